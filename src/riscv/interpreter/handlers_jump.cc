// Jumps and branches. A target inside the page is a pointer away; any other is looked up.
#include "riscv/interpreter/context.h"
#include "riscv/interpreter/operands.h"

namespace lockstep::riscv::interpreter {
namespace {

template <auto kCondition, unsigned kSize>
const Op* branch_inside(Context&, const Op* op, uint64_t* x) {
  return kCondition(x[op->rs1], x[op->rs2]) ? op + op->immediate : op + kSize;
}

template <auto kCondition, unsigned kSize>
const Op* branch_outside(Context& context, const Op* op, uint64_t* x) {
  if (!kCondition(x[op->rs1], x[op->rs2])) return op + kSize;
  return context.jump(context.pc_of(op) + immediate_of(op));
}

template <unsigned kSize>
const Op* jal_inside(Context& context, const Op* op, uint64_t* x) {
  x[op->rd] = context.pc_of(op) + 2 * kSize;
  return op + op->immediate;
}

template <unsigned kSize>
const Op* jal_outside(Context& context, const Op* op, uint64_t* x) {
  const uint64_t pc = context.pc_of(op);
  x[op->rd] = pc + 2 * kSize;
  return context.jump(pc + immediate_of(op));
}

template <unsigned kSize>
const Op* jalr(Context& context, const Op* op, uint64_t* x) {
  const uint64_t target = (x[op->rs1] + immediate_of(op)) & ~uint64_t{1};
  x[op->rd] = context.pc_of(op) + 2 * kSize;
  return context.jump(target);
}

template <unsigned kSize>
const Op* auipc(Context& context, const Op* op, uint64_t* x) {
  x[op->rd] = context.pc_of(op) + immediate_of(op);
  return op + kSize;
}

template <auto kCondition>
Handlers branch(bool inside_page) {
  if (inside_page) return {{branch_inside<kCondition, 1>, branch_inside<kCondition, 2>}};
  return {{branch_outside<kCondition, 1>, branch_outside<kCondition, 2>}};
}

constexpr auto kEqual = [](uint64_t a, uint64_t b) { return a == b; };
constexpr auto kNotEqual = [](uint64_t a, uint64_t b) { return a != b; };
constexpr auto kLess = [](uint64_t a, uint64_t b) { return as_signed(a) < as_signed(b); };
constexpr auto kNotLess = [](uint64_t a, uint64_t b) { return as_signed(a) >= as_signed(b); };
constexpr auto kBelow = [](uint64_t a, uint64_t b) { return a < b; };
constexpr auto kNotBelow = [](uint64_t a, uint64_t b) { return a >= b; };

}  // namespace

Handlers jump_handlers(Opcode opcode, bool inside_page) {
  switch (opcode) {
    case Opcode::kBeq:
      return branch<kEqual>(inside_page);
    case Opcode::kBne:
      return branch<kNotEqual>(inside_page);
    case Opcode::kBlt:
      return branch<kLess>(inside_page);
    case Opcode::kBge:
      return branch<kNotLess>(inside_page);
    case Opcode::kBltu:
      return branch<kBelow>(inside_page);
    case Opcode::kBgeu:
      return branch<kNotBelow>(inside_page);
    case Opcode::kJal:
      if (inside_page) return {{jal_inside<1>, jal_inside<2>}};
      return {{jal_outside<1>, jal_outside<2>}};
    case Opcode::kJalr:
      return {{jalr<1>, jalr<2>}};
    case Opcode::kAuipc:
      return {{auipc<1>, auipc<2>}};
    default:
      return {};
  }
}

}  // namespace lockstep::riscv::interpreter
