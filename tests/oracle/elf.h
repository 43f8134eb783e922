// A program as a static ELF executable for riscv64 Linux: one segment, readable, writable and
// executable, no sections. Owner: none (a pure function). Source: the System V ABI, "Object Files";
// the RISC-V ELF psABI for e_flags.
#pragma once

#include "base/bytes.h"
#include "tests/oracle/program.h"

namespace lockstep::oracle {

Bytes make_elf(const Program& program);

}  // namespace lockstep::oracle
