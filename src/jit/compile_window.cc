// Windows: which accesses share a probe, and the probe.
#include <algorithm>
#include <bit>

#include "jit/block_compiler.h"

namespace lockstep::jit {

using riscv::Format;
using riscv::Instruction;
using riscv::kPageSize;
using riscv::Opcode;
using x64::at;

std::optional<BlockCompiler::Access> BlockCompiler::access_of(const Instruction& instruction) {
  unsigned size = 0;
  bool for_store = false;
  switch (instruction.opcode) {
    case Opcode::kSb:
      for_store = true;
      [[fallthrough]];
    case Opcode::kLb:
    case Opcode::kLbu:
      size = 1;
      break;
    case Opcode::kSh:
      for_store = true;
      [[fallthrough]];
    case Opcode::kLh:
    case Opcode::kLhu:
      size = 2;
      break;
    case Opcode::kSw:
    case Opcode::kFsw:
      for_store = true;
      [[fallthrough]];
    case Opcode::kLw:
    case Opcode::kLwu:
    case Opcode::kFlw:
      size = 4;
      break;
    case Opcode::kSd:
    case Opcode::kFsd:
      for_store = true;
      [[fallthrough]];
    case Opcode::kLd:
    case Opcode::kFld:
      size = 8;
      break;
    default:
      return std::nullopt;
  }
  return Access{instruction.rs1, instruction.immediate, size, for_store};
}

// Whether rdx outlives the instruction: what is translated with rax, rcx and the xmm registers, and
// never calls the translator. Accesses that do, find the window again.
bool BlockCompiler::keeps_window(const Instruction& instruction) {
  if (access_of(instruction)) return true;
  switch (riscv::instruction_row(instruction.opcode).format) {
    case Format::kI:
    case Format::kIShift64:
    case Format::kIShift32:
    case Format::kU:
    case Format::kB:
    case Format::kFence:
      return true;
    case Format::kJ:
      return true;
    case Format::kR:
      break;
    default:
      return false;
  }
  switch (instruction.opcode) {
    case Opcode::kMulh:
    case Opcode::kMulhu:
    case Opcode::kMulhsu:
    case Opcode::kDiv:
    case Opcode::kDivu:
    case Opcode::kRem:
    case Opcode::kRemu:
    case Opcode::kDivw:
    case Opcode::kDivuw:
    case Opcode::kRemw:
    case Opcode::kRemuw:
    case Opcode::kCzeroEqz:
    case Opcode::kCzeroNez:
      return false;
    default:
      return true;
  }
}

bool BlockCompiler::writes(const Instruction& instruction, uint8_t guest) {
  switch (riscv::instruction_row(instruction.opcode).format) {
    case Format::kStore:
    case Format::kFpStore:
    case Format::kFpLoad:
    case Format::kB:
    case Format::kFence:
      return false;
    default:
      return instruction.rd == guest;
  }
}

// From the access at hand on; nothing when it stands alone.
std::optional<BlockCompiler::Window> BlockCompiler::find_window() const {
  const std::optional<Access> first = access_of(in());
  if (!use_windows_ || !first || first->base == 0) return std::nullopt;
  Window window{first->base, first->for_store, first->displacement,
                first->displacement + static_cast<int32_t>(first->size), index_};
  size_t accesses = 0;
  for (size_t i = index_; i < run_->size; ++i) {
    const Instruction& instruction = run_->instructions[i].instruction;
    if (!keeps_window(instruction)) break;
    const std::optional<Access> access = access_of(instruction);
    if (access && access->base == first->base) {
      const int32_t low = std::min(window.low, access->displacement);
      const int32_t high =
          std::max(window.high, access->displacement + static_cast<int32_t>(access->size));
      constexpr int32_t kWidest = 256;
      if (high - low > kWidest) break;
      window.low = low;
      window.high = high;
      window.for_store = window.for_store || access->for_store;
      window.last = i;
      ++accesses;
    }
    if (writes(instruction, first->base)) break;
  }
  if (accesses < 2) return std::nullopt;
  return window;
}

// rdx: the place on the host of the window's start.
void BlockCompiler::open_window(const Window& window, ColdExit& miss) {
  address_into_rax(window.base, window.low);
  find_data_entry(*a_);
  a_->alu(Alu::kXor, Reg::kRax, data_entry(window.for_store, offsetof(riscv::DataEntry, tag)));
  // Beyond the last place where it fits: another page, or too near to this one's end.
  a_->alu_imm(Alu::kCmp, Reg::kRax, static_cast<int32_t>(kPageSize) - (window.high - window.low));
  a_->jcc(Cond::kAbove, miss.label);
  a_->mov(Reg::kRdx, data_entry(window.for_store, offsetof(riscv::DataEntry, host_page)));
  a_->alu(Alu::kAdd, Reg::kRdx, Reg::kRax);
}

x64::Mem BlockCompiler::place_of_access(bool for_store, unsigned size, ColdAccess& cold) {
  if (window_ && index_ > window_->last) window_.reset();
  const auto in_window = [this] { return at(Reg::kRdx, in().immediate - window_->low); };
  if (window_ && window_->base == in().rs1) return in_window();
  if (!window_) {
    window_ = find_window();
    if (window_) {
      ColdExit& miss = cold_exit(ColdExit::To::kWindow, here_->offset, steps_before());
      open_window(*window_, miss);
      return in_window();
    }
  }
  if (window_ && index_ < window_->last) cold.window = window_;
  address_into_rax(in().rs1, in().immediate);
  probe(size, for_store, Alignment::kAny, cold.label);
  return at(Reg::kRax);
}

}  // namespace lockstep::jit
