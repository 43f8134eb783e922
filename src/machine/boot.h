// Puts kernel, initrd and device tree into RAM as the RISC-V boot protocol wants them.
// Source: Linux, Documentation/arch/riscv/boot.rst. Owner: the vCPU thread.
#pragma once

#include "base/error.h"
#include "machine/board.h"
#include "riscv/hart.h"
#include "riscv/physical_memory.h"

namespace lockstep::machine {

struct BootPlan {
  GuestAddress kernel;
  GuestAddress initrd;
  Bytes device_tree;
  GuestAddress device_tree_address;
};

// kInvalid when it does not fit: the advice says how much memory would do.
Result<BootPlan> plan_boot(const BoardDescription& board, uint32_t virtio_slots);

// Writes everything and points the hart at the kernel: a0 = hart number, a1 = device tree. An error
// of BootFile::read() leaves the boot half done.
Status load_boot(const BoardDescription& board, const BootPlan& plan, riscv::PhysicalMemory& memory,
                 riscv::Hart& hart);

}  // namespace lockstep::machine
