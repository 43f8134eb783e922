// The shared routines of translated code: entering and leaving it, jumping to a guest address, and
// calling into the translator. Generated once per code cache.
//
// Owner: the vCPU thread. Internal to jit.
#pragma once

#include <cstdint>
#include <span>

#include "jit/runtime_state.h"
#include "jit/x64/assembler.h"

namespace lockstep::jit {

// What the routines call. All are plain functions, so that their address is one word.
struct Helpers {
  struct Loaded {
    uint64_t value;
    uint64_t outcome;
  };
  // Outcomes: 0 done, 1 done but leave translated code after this instruction (hart.pc and
  // state.left are set), 2 trapped or gone elsewhere: go on at hart.pc.
  using Load = Loaded (*)(Translator* translator, uint64_t address, uint64_t site, uint64_t budget);
  using Store = uint64_t (*)(Translator* translator, uint64_t address, uint64_t value,
                             uint64_t site, uint64_t budget);
  using Step = uint64_t (*)(Translator* translator, uint64_t site, uint64_t budget);
  // The address of the code for state.target_pc; fills the TLB. 0: not to be fetched.
  using Find = uint64_t (*)(Translator* translator);

  std::array<Load, 8> load{};    // by LoadKind
  std::array<Store, 4> store{};  // by log2 of the size
  Step step = nullptr;
  Step float_step = nullptr;
  Find find = nullptr;
};

enum class LoadKind : uint8_t { kB, kH, kW, kD, kBu, kHu, kWu, kBoxedW };

struct Routines {
  uint32_t enter = 0;           // called from C++: (code, &hart.x[16], bank, steps left)
  uint32_t not_translated = 0;  // jumped to with the target, or its low 12 bits, in rax
  uint32_t jump = 0;            // to the guest address in rax
  uint32_t jump_slowly = 0;     // where emit_jump() goes when the page is not in the TLB
  uint32_t exit_budget = 0;     // eax = offset of the pc in its page; the budget is restored
  uint32_t exit_step = 0;       // the same
  uint32_t exit_leave = 0;      // the same
  uint32_t exit_window = 0;     // eax = WindowMiss
  uint32_t exit_at_hart = 0;    // with hart.pc and state.left set
  // Called with the address in rax, the site in ecx, and the value in rdx for stores. Give the
  // value in rax; ZF is set when code must be left after the instruction: exit_at_hart.
  std::array<uint32_t, 8> load{};
  std::array<uint32_t, 4> store{};
  // Called with the site in ecx: one step by the interpreter. Comes back only to go on with the
  // instruction behind it.
  uint32_t step = 0;
  uint32_t float_step = 0;
};

// Emits them; `state` is the address of the RuntimeState.
Routines emit_routines(x64::Assembler& assembler, uint32_t state, const Helpers& helpers);

// The address of a field of the RuntimeState, as an operand.
constexpr x64::Mem state_field(uint32_t state, size_t offset) {
  return x64::at_absolute(state + static_cast<uint32_t>(offset));
}

// Emits: rcx = where in the bank the fetch entry for the address in rax lies; and that entry.
void find_fetch_entry(x64::Assembler& assembler);
constexpr x64::Mem fetch_entry(size_t offset) {
  return x64::at(kBank, x64::Reg::kRcx, 0,
                 static_cast<int32_t>(offsetof(riscv::TlbBank, fetch) + offset));
}

// Emits: rcx = where in the bank the data entry for the address in rax lies; and that entry.
void find_data_entry(x64::Assembler& assembler);
constexpr x64::Mem data_entry(bool for_store, size_t offset) {
  const size_t entries =
      for_store ? offsetof(riscv::TlbBank, writes) : offsetof(riscv::TlbBank, reads);
  return x64::at(kBank, x64::Reg::kRcx, 0, static_cast<int32_t>(entries + offset));
}

// Emits: page of rax to page_va, and on to the code for rax.
void emit_jump(x64::Assembler& assembler, uint32_t state, uint32_t slow_path);

}  // namespace lockstep::jit
