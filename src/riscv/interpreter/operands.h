// Small conversions that all handlers share. Internal to riscv/interpreter.
#pragma once

#include <cstdint>

#include "riscv/interpreter/op.h"

namespace lockstep::riscv::interpreter {

constexpr int64_t as_signed(uint64_t value) {
  return static_cast<int64_t>(value);
}

constexpr uint64_t extend_word(uint64_t value) {
  return static_cast<uint64_t>(static_cast<int64_t>(static_cast<int32_t>(value)));
}

constexpr uint64_t low_word(uint64_t value) {
  return value & 0xffffffff;
}

inline uint64_t immediate_of(const Op* op) {
  return static_cast<uint64_t>(static_cast<int64_t>(op->immediate));
}

}  // namespace lockstep::riscv::interpreter
