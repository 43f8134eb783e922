// CSRs, environment calls, returns from traps, waiting, fences.
#include "riscv/interpreter/context.h"
#include "riscv/interpreter/operands.h"

namespace lockstep::riscv::interpreter {
namespace {

// The TLB and the code cache are coherent: fences have nothing to do.
template <unsigned kSize>
const Op* fence(Context&, const Op* op, uint64_t*) {
  return op + kSize;
}

template <unsigned kSize>
const Op* sfence_vma(Context& context, const Op* op, uint64_t*) {
  if (context.hart.privilege == Privilege::kUser) return context.illegal(op);
  return op + kSize;
}

const Op* illegal_instruction(Context& context, const Op* op, uint64_t*) {
  return context.illegal(op);
}

const Op* ebreak(Context& context, const Op* op, uint64_t*) {
  const uint64_t pc = context.pc_of(op);
  return context.trap(pc, Cause::kBreakpoint, pc);
}

const Op* ecall(Context& context, const Op* op, uint64_t*) {
  const uint64_t pc = context.pc_of(op);
  if (context.hart.privilege == Privilege::kUser) return context.trap(pc, Cause::kUserCall, 0);
  context.sync_step();
  context.hart.pc = pc + 4;
  context.environment.call(context.hart);
  return nullptr;
}

const Op* sret(Context& context, const Op* op, uint64_t*) {
  Hart& hart = context.hart;
  if (hart.privilege == Privilege::kUser) return context.illegal(op);
  const bool to_supervisor = (hart.sstatus & kStatusSpp) != 0;
  const bool enable = (hart.sstatus & kStatusSpie) != 0;
  hart.sstatus &= ~(kStatusSie | kStatusSpp);
  hart.sstatus |= kStatusSpie | (enable ? kStatusSie : 0);
  hart.privilege = to_supervisor ? Privilege::kSupervisor : Privilege::kUser;
  context.select_bank();
  return context.leave(hart.sepc);
}

const Op* wfi(Context& context, const Op* op, uint64_t*) {
  Hart& hart = context.hart;
  if (hart.privilege == Privilege::kUser) return context.illegal(op);
  hart.waiting = true;  // ends at once when something is pending already
  return context.leave(context.pc_of(op) + 4);
}

bool needs_look(uint16_t number) {
  switch (static_cast<Csr>(number)) {
    case Csr::kSstatus:
    case Csr::kSie:
    case Csr::kSip:
    case Csr::kStimecmp:
    case Csr::kSatp:
      return true;
    default:
      return false;
  }
}

enum class CsrUpdate { kWrite, kSet, kClear };

// Source: unprivileged specification, "Zicsr". `writes`: csrrs and csrrc with rs1 = x0 do not.
const Op* access_csr(Context& context, const Op* op, uint64_t* x, CsrUpdate update,
                     uint64_t operand, bool writes) {
  context.sync_step();
  const auto number = static_cast<uint16_t>(op->immediate);
  uint64_t old_value = 0;
  if (!read_csr(context.hart, number, old_value)) return context.illegal(op);
  if (writes) {
    uint64_t value = operand;
    if (update == CsrUpdate::kSet) value = old_value | operand;
    if (update == CsrUpdate::kClear) value = old_value & ~operand;
    if (!write_csr(context.hart, number, value)) return context.illegal(op);
  }
  x[op->rd] = old_value;
  if (!writes || !needs_look(number)) return op + 2;
  const uint64_t next_pc = context.pc_of(op) + 4;
  context.select_bank();
  return context.leave(next_pc);
}

template <CsrUpdate kUpdate>
const Op* csr_register(Context& context, const Op* op, uint64_t* x) {
  const bool writes = kUpdate == CsrUpdate::kWrite || op->rs1 != 0;
  return access_csr(context, op, x, kUpdate, x[op->rs1], writes);
}

template <CsrUpdate kUpdate>
const Op* csr_immediate(Context& context, const Op* op, uint64_t* x) {
  const bool writes = kUpdate == CsrUpdate::kWrite || op->rs1 != 0;
  return access_csr(context, op, x, kUpdate, op->rs1, writes);
}

}  // namespace

Handlers system_handlers(Opcode opcode) {
  switch (opcode) {
    case Opcode::kFence:
      return {{fence<1>, fence<2>}};
    case Opcode::kFenceI:
      return {{fence<1>, fence<2>}};
    case Opcode::kSfenceVma:
      return {{sfence_vma<1>, sfence_vma<2>}};
    case Opcode::kEbreak:
      return {{ebreak, ebreak}};
    case Opcode::kEcall:
      return {{nullptr, ecall}};
    case Opcode::kSret:
      return {{nullptr, sret}};
    case Opcode::kWfi:
      return {{nullptr, wfi}};
    case Opcode::kCsrrw:
      return {{nullptr, csr_register<CsrUpdate::kWrite>}};
    case Opcode::kCsrrs:
      return {{nullptr, csr_register<CsrUpdate::kSet>}};
    case Opcode::kCsrrc:
      return {{nullptr, csr_register<CsrUpdate::kClear>}};
    case Opcode::kCsrrwi:
      return {{nullptr, csr_immediate<CsrUpdate::kWrite>}};
    case Opcode::kCsrrsi:
      return {{nullptr, csr_immediate<CsrUpdate::kSet>}};
    case Opcode::kCsrrci:
      return {{nullptr, csr_immediate<CsrUpdate::kClear>}};
    case Opcode::kIllegal:
      return {{illegal_instruction, illegal_instruction}};
    default:
      return {};
  }
}

}  // namespace lockstep::riscv::interpreter
