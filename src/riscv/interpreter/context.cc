#include "riscv/interpreter/context.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/check.h"

namespace lockstep::riscv::interpreter {

Context::Context(Hart& the_hart, PhysicalMemory& the_memory, Bus& the_bus,
                 EnvironmentCalls& the_environment)
    : hart(the_hart),
      memory(the_memory),
      bus(the_bus),
      environment(the_environment),
      mmu(the_hart, the_memory),
      bank(&mmu.bank()),
      code_(the_memory.page_count()) {
  scratch_[2].run = next_page;
}

Context::~Context() = default;

bool Context::execute() {
  return execute_until([](uint64_t, uint64_t) { return false; });
}

void Context::fail_to_fetch() {
  --left;
  const Translation fetch = mmu.translate(hart.pc, Access::kFetch);
  trap(hart.pc, fetch.fault.value_or(Cause::kFetchAccess), hart.pc);
}

const Op* Context::lookup(uint64_t pc) {
  const uint64_t page = pc & ~(kPageSize - 1);
  const FetchEntry& entry = bank->fetch[TlbBank::fetch_index(pc)];
  uint64_t physical_page = entry.physical_page;
  if (entry.tag != page) {
    const Translation fetch = mmu.fill_fetch(pc);
    if (fetch.fault) {
      hart.pc = pc;
      return nullptr;
    }
    physical_page = memory.page_index(fetch.address);
  }
  CodePage* code = code_[physical_page].get();
  if (code == nullptr) [[unlikely]]
    code = make_code_page(physical_page);
  current = {page, code->ops, code};
  return code->ops + (pc & (kPageSize - 1)) / 2;
}

CodePage* Context::make_code_page(uint64_t physical_page) {
  if (code_count_ >= kMaxCodePages) {
    for (uint64_t page = 0; page < code_.size(); ++page) {
      if (code_[page]) retire(page);
    }
    // The running Op lies in the current page; what was retired earlier in this run is not used.
    std::erase_if(retired_, [this](const auto& page) { return page.get() != current.code; });
  }
  std::unique_ptr<CodePage>& code = code_[physical_page];
  code = std::make_unique_for_overwrite<CodePage>();
  ++code_count_;
  std::fill(std::begin(code->ops), std::end(code->ops), Op{decode_here, 0, 0, 0, 0, 0});
  code->ops[kOpsPerPage].run = next_page;
  code->physical_page = physical_page;
  code->writes = 0;
  mmu.guard(physical_page, PhysicalMemory::kCode);
  return code.get();
}

void Context::retire(uint64_t physical_page) {
  retired_.push_back(std::move(code_[physical_page]));
  --code_count_;
  if (translations == nullptr || !translations->has_code(physical_page)) {
    memory.clear_flag(physical_page, PhysicalMemory::kCode);
  }
}

void Context::free_retired_pages() {
  if (retired_.empty()) return;
  retired_.clear();
  current = {};
}

void Context::drop_all_code() {
  for (uint64_t page = 0; page < code_.size(); ++page) {
    if (code_[page]) retire(page);
  }
  free_retired_pages();
}

void Context::before_code_write(GuestAddress address, size_t size) {
  const uint64_t physical_page = memory.page_index(address);
  if (translations != nullptr) translations->before_code_write(address, size);
  CodePage* code = code_[physical_page].get();
  if (code == nullptr) return;
  if (++code->writes >= kRetireAfterWrites) {
    retire(physical_page);
    return;
  }
  const uint64_t offset = address.value & (kPageSize - 1);
  // An instruction that starts one halfword before may reach into the bytes written.
  const uint64_t first = offset / 2 == 0 ? 0 : offset / 2 - 1;
  const uint64_t last = (offset + size - 1) / 2;
  for (uint64_t i = first; i <= last; ++i) code->ops[i].run = decode_here;
}

const Op* Context::decode_here(Context& context, const Op* op, uint64_t* x) {
  const auto index = static_cast<uint64_t>(op - context.current.ops);
  const uint64_t offset = 2 * index;
  CodePage* code = context.current.code;
  const GuestAddress place = context.memory.page_address(code->physical_page) + offset;
  uint32_t bits = context.memory.load<uint16_t>(place);
  if ((bits & 3) == 3) {
    if (index == kOpsPerPage - 1) {
      code->ops[index].run = across_pages;
      return across_pages(context, op, x);
    }
    bits |= static_cast<uint32_t>(context.memory.load<uint16_t>(place + 2)) << 16;
  }
  build_op(code->ops[index], decode(bits, context.hart.isa), offset, true);
  return op->run(context, op, x);
}

const Op* Context::next_page(Context& context, const Op* op, uint64_t* x) {
  const uint64_t pc = context.pc_of(op);
  const Op* next = context.lookup(pc);
  if (next != nullptr) return next->run(context, next, x);
  const Translation fetch = context.mmu.translate(pc, Access::kFetch);
  return context.trap(pc, fetch.fault.value_or(Cause::kFetchAccess), pc);
}

const Op* Context::across_pages(Context& context, const Op* op, uint64_t* x) {
  const uint64_t pc = context.pc_of(op);
  const Translation second = context.mmu.translate(pc + 2, Access::kFetch);
  if (second.fault || !context.memory.contains(second.address, 2)) {
    return context.trap(pc, second.fault.value_or(Cause::kFetchAccess), pc + 2);
  }
  Op& scratch = context.scratch_[0];
  build_op(scratch, decode(context.instruction_bits(pc), context.hart.isa), pc & (kPageSize - 1),
           false);
  context.current = {pc, context.scratch_, nullptr};
  return scratch.run(context, &scratch, x);
}

uint32_t Context::instruction_bits(uint64_t pc) {
  const Translation first = mmu.translate(pc, Access::kFetch);
  if (first.fault || !memory.contains(first.address, 2)) return 0;
  uint32_t bits = memory.load<uint16_t>(first.address);
  if ((bits & 3) != 3) return bits;
  const Translation second = mmu.translate(pc + 2, Access::kFetch);
  if (second.fault || !memory.contains(second.address, 2)) return bits;
  return bits | static_cast<uint32_t>(memory.load<uint16_t>(second.address)) << 16;
}

const Op* Context::trap(uint64_t pc, Cause cause, uint64_t value) {
  sync_step();
  hart.pc = pc;
  hart.take_trap(cause, value);
  select_bank();
  return nullptr;
}

const Op* Context::illegal(const Op* op) {
  const uint64_t pc = pc_of(op);
  return trap(pc, Cause::kIllegalInstruction, instruction_bits(pc));
}

}  // namespace lockstep::riscv::interpreter
