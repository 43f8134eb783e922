// Handlers that compute a register from registers or an immediate, made from a function.
// Internal to riscv/interpreter.
#pragma once

#include "riscv/interpreter/op.h"
#include "riscv/interpreter/operands.h"

namespace lockstep::riscv::interpreter {

template <auto kFunction, unsigned kSize>
const Op* register_register(Context&, const Op* op, uint64_t* x) {
  x[op->rd] = kFunction(x[op->rs1], x[op->rs2]);
  return op + kSize;
}

template <auto kFunction, unsigned kSize>
const Op* register_immediate(Context&, const Op* op, uint64_t* x) {
  x[op->rd] = kFunction(x[op->rs1], immediate_of(op));
  return op + kSize;
}

template <auto kFunction, unsigned kSize>
const Op* register_alone(Context&, const Op* op, uint64_t* x) {
  x[op->rd] = kFunction(x[op->rs1]);
  return op + kSize;
}

template <auto kFunction>
constexpr Handlers kRegister = {{register_register<kFunction, 1>, register_register<kFunction, 2>}};
template <auto kFunction>
constexpr Handlers kImmediate = {
    {register_immediate<kFunction, 1>, register_immediate<kFunction, 2>}};
template <auto kFunction>
constexpr Handlers kUnary = {{register_alone<kFunction, 1>, register_alone<kFunction, 2>}};

}  // namespace lockstep::riscv::interpreter
