#include "jit/translator.h"

#include <algorithm>

#include "base/check.h"
#include "jit/translator_impl.h"

namespace lockstep::jit {

using riscv::kPageSize;

namespace {

constexpr size_t kPageRounding = kPageSize - 1;

size_t code_bytes_of(const Options& options) {
  return (std::max(options.code_cache_bytes, kMinCodeCacheBytes) + kPageRounding) & ~kPageRounding;
}

}  // namespace

Translator::Translator(const Options& options, posix::CodeMemory memory, riscv::Hart& hart,
                       riscv::PhysicalMemory& physical, riscv::Bus& bus,
                       riscv::EnvironmentCalls& environment)
    : hart_(hart),
      memory_(physical),
      bus_(bus),
      environment_(environment),
      context_(hart, physical, bus_, environment_),
      cache_(std::move(memory), physical.page_count()),
      state_(cache_.state()),
      hot_threshold_(std::clamp(options.hot_threshold, uint32_t{1}, kMaxHotThreshold)) {
  static_assert(std::is_standard_layout_v<riscv::Hart>);
  static_assert(std::is_standard_layout_v<riscv::TlbBank>);
  const uint32_t state_address = posix::CodeMemory::address_of(&state_);
  x64::Assembler assembler(cache_.routine_space(), {});
  routines_ = emit_routines(assembler, state_address, helpers());
  CHECK(assembler.ok());
  cache_.set_not_translated(routines_.not_translated);
  // SAFETY: the difference of two addresses of the same byte, as numbers.
  const uint64_t physical_minus_host =
      memory_.base().value - reinterpret_cast<uint64_t>(memory_.host(memory_.base()));
  compiler_ = std::make_unique<BlockCompiler>(
      CompilerSetup{options.features, routines_, state_address, physical_minus_host});
  run_ = std::make_unique<InstructionRun>();
  state_.translator = this;
  context_.translations = this;
  context_.mmu.set_no_code(cache_.empty_words());
  memory_.set_observer(&context_);
}

Translator::~Translator() {
  memory_.set_observer(nullptr);
}

void Translator::run_until(Step target) {
  context_.stop = false;
  context_.select_bank();
  while (hart_.step < target && !context_.stop) {
    hart_.wake_if_pending();
    if (hart_.waiting) return;
    if (hart_.take_interrupt()) {
      context_.select_bank();
      continue;
    }
    context_.limit = hart_.timer_limit(target);
    context_.left = context_.limit - hart_.step;
    state_.deliverable = hart_.pending() & hart_.sie;
    run_slice();
    hart_.step = context_.limit - context_.left;
    // Also when the target ends the run right behind a WFI: hart.h, invariant 3.
    hart_.wake_if_pending();
    context_.free_retired_pages();
  }
}

// Runs until something must be looked at, or no step is left.
void Translator::run_slice() {
  while (context_.left != 0) {
    const uint32_t code = find_code();
    if (code == 0) {
      const uint64_t before = context_.left;
      const bool hot = context_.execute_until([this](uint64_t page, uint64_t halfword) {
        CodeTable* const table = cache_.find(page);
        if (table == nullptr) return true;  // gets one
        if (table->words[halfword] != cache_.not_translated()) return true;
        return ++table->heat[halfword] >= hot_threshold_;
      });
      statistics_.interpreted_steps += before - context_.left;
      if (!hot) return;
      continue;
    }
    enter(code);
    if (context_.left == 0) return;
    switch (state_.exit_reason) {
      case ExitReason::kCold:
        ++statistics_.cold_exits;
        break;
      case ExitReason::kBudget:
        ++statistics_.budget_exits;
        statistics_.interpreted_steps += context_.left;
        context_.execute();
        return;
      case ExitReason::kWindow:
        note_window_miss(WindowMiss::entry(state_.site));
        [[fallthrough]];
      case ExitReason::kStep:
        if (!step_by_interpreter()) return;
        break;
      case ExitReason::kLeave:
        ++statistics_.leave_exits;
        return;
    }
  }
}

// False: something must be looked at.
bool Translator::step_by_interpreter() {
  ++statistics_.step_exits;
  ++statistics_.interpreted_steps;
  const uint64_t rest = context_.left - 1;
  context_.limit = context_.limit - rest;
  context_.left = 1;
  const bool goes_on = context_.execute();
  context_.limit += rest;
  context_.left += rest;
  return goes_on;
}

// A superblock whose windows fail often, since what they reach lies across pages or is guarded, is
// translated again without them.
void Translator::note_window_miss(uint32_t entry) {
  ++statistics_.window_misses;
  const riscv::FetchEntry& fetch =
      context_.bank->fetch[riscv::TlbBank::fetch_index(state_.page_va)];
  if (fetch.tag != state_.page_va) return;
  CodeTable* const table = cache_.find(fetch.physical_page);
  if (table == nullptr || table->words[entry / 2] == cache_.not_translated()) return;
  if (++table->heat[entry / 2] < kGiveUpWindowsAfter) return;
  cache_.drop_superblock(fetch.physical_page, entry);
  table->without_windows[entry / 2] = true;
  table->heat[entry / 2] = static_cast<uint8_t>(hot_threshold_);
}

void Translator::enter(uint32_t code) {
  using Enter =
      void (*)(uint64_t code, uint64_t* registers, const riscv::TlbBank* bank, uint64_t left);
  prepare_float();
  publish_bank();
  // SAFETY: the routine that emit_routines() made at this address has this signature.
  // NOLINTNEXTLINE(performance-no-int-to-ptr)
  const auto run = reinterpret_cast<Enter>(static_cast<uintptr_t>(routines_.enter));
  run(code, hart_.x + 16, context_.bank, context_.left);
  absorb_flags();
  settle_bank();
  context_.left = state_.left;
}

bool Translator::has_code(uint64_t page) const {
  return cache_.has_code(page);
}

CodeTable* Translator::table_of(uint64_t page) {
  if (CodeTable* const table = cache_.find(page)) return table;
  if (CodeTable* const table = cache_.make(page)) return table;
  reset_code();
  return cache_.make(page);
}

uint32_t Translator::find_code() {
  const uint64_t pc = hart_.pc;
  const uint64_t page_va = pc & ~(kPageSize - 1);
  riscv::FetchEntry& entry = context_.bank->fetch[riscv::TlbBank::fetch_index(pc)];
  if (entry.tag != page_va && context_.mmu.fill_fetch(pc).fault) return 0;
  const uint64_t page = entry.physical_page;
  CodeTable* const table = table_of(page);
  // table_of() may have dropped the entry with all the others.
  if (entry.tag != page_va && context_.mmu.fill_fetch(pc).fault) return 0;
  entry.code = table->words;
  state_.page_va = page_va;
  const auto offset = static_cast<uint32_t>(pc & (kPageSize - 1));
  const uint32_t code = table->words[offset / 2];
  if (code != cache_.not_translated()) return code;
  uint8_t& heat = table->heat[offset / 2];
  if (heat < hot_threshold_) ++heat;
  if (heat < hot_threshold_) return 0;
  return translate(page, offset);
}

// The page that follows the one at state_.page_va, when it can be fetched from and has a table.
std::optional<uint64_t> Translator::next_page() {
  const uint64_t next_va = state_.page_va + kPageSize;
  riscv::FetchEntry& entry = context_.bank->fetch[riscv::TlbBank::fetch_index(next_va)];
  if (entry.tag != next_va && context_.mmu.fill_fetch(next_va).fault) return std::nullopt;
  const uint64_t page = entry.physical_page;
  if (cache_.find(page) == nullptr && cache_.make(page) == nullptr) return std::nullopt;
  return page;
}

uint32_t Translator::translate(uint64_t page, uint32_t offset) {
  const auto bytes_of = [this](uint64_t number) {
    return std::span(memory_.host(memory_.page_address(number)), kPageSize);
  };
  std::optional<uint64_t> next;
  if (offset == kPageSize - 2) next = next_page();
  InstructionRun& run = *run_;
  form_superblock(bytes_of(page), next ? bytes_of(*next) : std::span<const std::byte>{}, offset,
                  hart_.isa, run);
  if (run.size == 0) return 0;
  const CodeCache::Space space = cache_.begin_superblock();
  x64::Assembler assembler(space.main, space.cold);
  const bool use_windows = !cache_.find(page)->without_windows[offset / 2];
  compiler_->compile(assembler, run, {next.value_or(0), use_windows});
  CHECK(assembler.ok());
  context_.mmu.guard(page, riscv::PhysicalMemory::kCode);
  if (run.straddles()) {
    context_.mmu.guard(*next, riscv::PhysicalMemory::kCode);
    cache_.note_straddle(page, *next);
  }
  cache_.add(page,
             {static_cast<uint16_t>(offset), static_cast<uint16_t>(run.first),
              static_cast<uint16_t>(std::min<uint64_t>(run.end, kPageSize)), space.main.address},
             assembler, compiler_->links(), run.size);
  return space.main.address;
}

void Translator::before_code_write(GuestAddress address, size_t size) {
  const uint64_t page = memory_.page_index(address);
  CodeTable* const table = cache_.find(page);
  if (table == nullptr) return;
  cache_.drop_range(page, address.value & (kPageSize - 1), size);
  if (cache_.has_code(page) && ++table->writes >= kRetireAfterWrites) cache_.drop_page(page);
  if (!cache_.has_code(page) && !context_.has_code(page)) {
    memory_.clear_flag(page, riscv::PhysicalMemory::kCode);
  }
}

void Translator::reset_code() {
  context_.mmu.drop_fetch_entries();
  cache_.for_each_page([this](uint64_t page) {
    if (!context_.has_code(page)) memory_.clear_flag(page, riscv::PhysicalMemory::kCode);
  });
  cache_.drop_all();
}

void Translator::flush() {
  context_.mmu.flush();
  reset_code();
  context_.drop_all_code();
}

riscv::EngineStatistics Translator::statistics() const {
  riscv::EngineStatistics result = statistics_;
  result.mmu = context_.mmu.statistics();
  const CodeCacheStatistics& cache = cache_.statistics();
  result.superblocks = cache.superblocks;
  result.instructions = cache.instructions;
  result.code_bytes = cache.code_bytes;
  result.invalidated = cache.invalidated;
  result.evicted = cache.evicted;
  return result;
}

Result<std::unique_ptr<riscv::Engine>> make_translator(const Options& options, riscv::Hart& hart,
                                                       riscv::PhysicalMemory& memory,
                                                       riscv::Bus& bus,
                                                       riscv::EnvironmentCalls& environment) {
  auto code = posix::CodeMemory::create(code_bytes_of(options), CodeCache::table_space());
  if (!code) return std::unexpected(code.error());
  return std::make_unique<Translator>(options, std::move(*code), hart, memory, bus, environment);
}

riscv::EngineFactory translator_factory(const Options& options) {
  return [options](riscv::Hart& hart, riscv::PhysicalMemory& memory, riscv::Bus& bus,
                   riscv::EnvironmentCalls& environment) {
    auto engine = make_translator(options, hart, memory, bus, environment);
    CHECK(engine.has_value());
    return std::move(*engine);
  };
}

}  // namespace lockstep::jit
