// What translated code calls: accesses off the fast path, single steps, jumps that miss the TLB.
#include <immintrin.h>
#include <type_traits>

#include "base/check.h"
#include "jit/translator_impl.h"

namespace lockstep::jit {

using riscv::interpreter::Context;

namespace {

enum Outcome : uint64_t { kDone = 0, kLeave = 1, kElsewhere = 2 };

// RAII: the host's floating-point environment.
class HostFloat {
 public:
  HostFloat() : guest_(_mm_getcsr()) { _mm_setcsr(kDefault); }
  ~HostFloat() { _mm_setcsr(guest_); }
  HostFloat(const HostFloat&) = delete;
  HostFloat& operator=(const HostFloat&) = delete;

 private:
  static constexpr unsigned kDefault = 0x1f80;  // all masked, to nearest
  unsigned guest_;
};

constexpr uint64_t kBox = ~uint64_t{0} << 32;

// x86's flags (IE DE ZE OE UE PE from bit 0) as fflags.
constexpr uint8_t flags_from_host(uint32_t mxcsr) {
  return static_cast<uint8_t>((mxcsr & 1) << 4 | (mxcsr >> 2 & 1) << 3 | (mxcsr >> 3 & 1) << 2 |
                              (mxcsr >> 4 & 1) << 1 | (mxcsr >> 5 & 1));
}

}  // namespace

bool IsolatedBus::read(GuestAddress address, unsigned size, uint64_t& value) {
  const HostFloat host;
  return bus_.read(address, size, value);
}

bool IsolatedBus::write(GuestAddress address, unsigned size, uint64_t value) {
  const HostFloat host;
  return bus_.write(address, size, value);
}

void IsolatedEnvironment::call(riscv::Hart& hart) {
  const HostFloat host;
  environment_.call(hart);
}

void Translator::prepare_float() {
  constexpr uint32_t kAllMasked = 0x1f80;
  constexpr unsigned kRoundingShift = 13;
  // RNE, RTZ, RDN, RUP as MXCSR numbers them.
  static constexpr std::array<uint32_t, 4> kRounding = {0, 3, 1, 2};
  const bool known = hart_.frm < kRounding.size();
  state_.guest_mxcsr = kAllMasked | (known ? kRounding[hart_.frm] << kRoundingShift : 0);
  state_.fp_ready = known && (hart_.sstatus & riscv::kStatusFs) == riscv::kStatusFs ? 1 : 0;
}

void Translator::absorb_flags() {
  hart_.fflags = static_cast<uint8_t>(hart_.fflags | flags_from_host(state_.guest_mxcsr));
}

void Translator::settle_bank() {
  if (state_.bank_changed == 0) return;
  state_.bank_changed = 0;
  context_.select_bank();
}

void Translator::publish_bank() {
  state_.bank = context_.bank;
  state_.supervisor_bank = &context_.mmu.supervisor_bank();
  state_.sum_bank = &context_.mmu.sum_bank();
}

uint64_t Translator::begin_step(uint64_t site, uint64_t budget) {
  settle_bank();
  const auto word = static_cast<uint32_t>(site);
  context_.left = budget - Site::steps_done(word);
  return state_.page_va + Site::offset(word);
}

// Whether the superblock that called for a store may go on behind it: no code was dropped, and its
// page is still where it was fetched from.
bool Translator::running_code_stands() const {
  const riscv::FetchEntry& fetch =
      context_.bank->fetch[riscv::TlbBank::fetch_index(state_.page_va)];
  return fetch.tag == state_.page_va && cache_.statistics().invalidated == invalidated_;
}

uint64_t Translator::outcome_of(Context::Outcome outcome, uint64_t site) {
  ++statistics_.data_misses;
  switch (outcome) {
    case Context::Outcome::kDone:
      return kDone;
    case Context::Outcome::kChanged:
      if (running_code_stands()) return kDone;
      [[fallthrough]];
    case Context::Outcome::kLeave: {
      const auto word = static_cast<uint32_t>(site);
      hart_.pc = state_.page_va + Site::offset(word) + Site::length(word);
      state_.left = context_.left;
      return kLeave;
    }
    case Context::Outcome::kTrapped:
      state_.left = context_.left;
      publish_bank();
      return kElsewhere;
  }
  return kElsewhere;
}

template <typename T, bool kBoxed>
Helpers::Loaded Translator::load(Translator* self, uint64_t address, uint64_t site,
                                 uint64_t budget) {
  const uint64_t pc = self->begin_step(site, budget);
  uint64_t raw = 0;
  const Context::Outcome outcome = self->context_.load(pc, address, sizeof(T), raw);
  uint64_t value = 0;
  if constexpr (kBoxed) {
    value = raw | kBox;
  } else if constexpr (std::is_signed_v<T>) {
    value = static_cast<uint64_t>(static_cast<int64_t>(static_cast<T>(raw)));
  } else {
    value = raw;
  }
  return {value, self->outcome_of(outcome, site)};
}

template <unsigned kSize>
uint64_t Translator::store(Translator* self, uint64_t address, uint64_t value, uint64_t site,
                           uint64_t budget) {
  const uint64_t pc = self->begin_step(site, budget);
  self->invalidated_ = self->cache_.statistics().invalidated;
  return self->outcome_of(self->context_.store(pc, address, kSize, value), site);
}

// One step by the interpreter. To go on with the next instruction of the superblock, to leave, or
// to go on at hart.pc.
uint64_t Translator::step(Translator* self, uint64_t site, uint64_t budget) {
  ++self->statistics_.single_steps;
  Context& context = self->context_;
  riscv::Hart& hart = self->hart_;
  const uint64_t pc = self->begin_step(site, budget);
  const bool supervisor = hart.privilege == riscv::Privilege::kSupervisor;
  const auto* op = context.lookup(pc);
  CHECK(op != nullptr);  // the superblock that runs was fetched from there
  op = op->run(context, op, hart.x);
  self->state_.left = context.left;
  self->publish_bank();
  if (op != nullptr) return kDone;
  const bool look = supervisor && Site::leaves_from_supervisor(static_cast<uint32_t>(site));
  const bool interrupted = self->state_.deliverable != 0 && hart.interrupts_enabled();
  return look || interrupted || context.stop || hart.waiting ? kLeave : kElsewhere;
}

uint64_t Translator::float_step(Translator* self, uint64_t site, uint64_t budget) {
  self->absorb_flags();
  const uint64_t outcome = step(self, site, budget);
  self->prepare_float();
  return outcome;
}

uint64_t Translator::find(Translator* self) {
  ++self->statistics_.fetch_misses;
  self->settle_bank();
  const uint64_t pc = self->state_.target_pc;
  const riscv::Translation fetch = self->context_.mmu.fill_fetch(pc);
  if (fetch.fault) return 0;
  riscv::FetchEntry& entry = self->context_.bank->fetch[riscv::TlbBank::fetch_index(pc)];
  if (CodeTable* table = self->cache_.find(entry.physical_page)) entry.code = table->words;
  self->state_.page_va = pc & ~(riscv::kPageSize - 1);
  return entry.code[(pc & (riscv::kPageSize - 1)) / 2];
}

Helpers Translator::helpers() {
  Helpers helpers;
  helpers.load = {&load<int8_t, false>,   &load<int16_t, false>, &load<int32_t, false>,
                  &load<uint64_t, false>, &load<uint8_t, false>, &load<uint16_t, false>,
                  &load<uint32_t, false>, &load<uint32_t, true>};
  helpers.store = {&store<1>, &store<2>, &store<4>, &store<8>};
  helpers.step = &step;
  helpers.float_step = &float_step;
  helpers.find = &find;
  return helpers;
}

}  // namespace lockstep::jit
