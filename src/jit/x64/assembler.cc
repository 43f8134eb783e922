#include "jit/x64/assembler.h"

namespace lockstep::jit::x64 {

void Assembler::modrm_mem(uint8_t reg, const Mem& mem) {
  const auto reg_bits = static_cast<unsigned>(reg & 7) << 3;
  if (mem.base == Mem::kNone) {  // [disp32]: SIB without base and index
    CHECK(mem.index == Mem::kNone);
    byte(static_cast<uint8_t>(0x04 | reg_bits));
    byte(0x25);
    dword(static_cast<uint32_t>(mem.displacement));
    return;
  }
  const unsigned base = mem.base & 7u;
  const bool small = mem.displacement == static_cast<int8_t>(mem.displacement);
  // Without displacement, base 5 would mean something else.
  const unsigned mode = mem.displacement == 0 && base != 5 ? 0u : small ? 0x40u : 0x80u;
  if (mem.index != Mem::kNone || base == 4) {
    const unsigned index = mem.index == Mem::kNone ? 4u : mem.index & 7u;
    CHECK(mem.index != 4);  // rsp is no index
    byte(static_cast<uint8_t>(mode | reg_bits | 4));
    byte(static_cast<uint8_t>(static_cast<unsigned>(mem.scale_log2) << 6 | index << 3 | base));
  } else {
    byte(static_cast<uint8_t>(mode | reg_bits | base));
  }
  if (mode == 0x40) byte(static_cast<uint8_t>(mem.displacement));
  if (mode == 0x80) dword(static_cast<uint32_t>(mem.displacement));
}

void Assembler::relative(Label& target) {
  if (target.bound()) {
    dword(target.address_ - (here() + 4));
    return;
  }
  const uint32_t use = here();
  dword(target.last_use_);
  target.last_use_ = use;
}

void Assembler::bind(Label& label) {
  CHECK(!label.bound());
  label.address_ = here();
  if (overflow_) return;
  for (uint32_t use = label.last_use_; use != 0;) {
    std::byte* const place = writable_ + use;
    uint32_t next = 0;
    std::memcpy(&next, place, sizeof next);
    const uint32_t distance = label.address_ - (use + 4);
    std::memcpy(place, &distance, sizeof distance);
    use = next;
  }
}

}  // namespace lockstep::jit::x64
