#include "riscv/testing/random_program.h"

#include <array>
#include <vector>

#include "base/check.h"
#include "riscv/encoder.h"
#include "riscv/testing/assembler.h"
#include "riscv/testing/page_tables.h"

namespace lockstep::riscv::testing {
namespace {

using Random = std::mt19937_64;

// Pages of the image.
constexpr uint64_t kHandlerPage = 1;
constexpr uint64_t kStatePage = 2;
constexpr uint64_t kMenuPage = 3;
constexpr uint64_t kRootPages = 8;                     // two roots,
constexpr uint64_t kMiddlePages = 10;                  // a table for each,
constexpr uint64_t kLeafPages = kRandomProgramTables;  // and two tables of leaves that both use
constexpr uint64_t kTablePages = 4;                    // middle and leaf
constexpr uint64_t kCodePages = kRandomProgramCode;
constexpr uint64_t kDataPages = kRandomProgramData;
constexpr uint64_t kPagesOfEach = 8;  // of code, of data

// Virtual addresses: the random code's GiB; RAM as it is; the devices.
constexpr uint64_t kWindow = 0x4000'0000;
constexpr uint64_t kMegapage = uint64_t{1} << 21;
constexpr uint64_t kDevices = 0xc000'0000;
constexpr GuestAddress kIdentity{0x8000'0000};
// In a leaf table: code, data, tables to be written, code again, random.
constexpr uint64_t kDataSlot = 8;
constexpr uint64_t kTableSlot = 16;
constexpr uint64_t kAliasSlot = 20;
constexpr uint64_t kSlots = 32;

constexpr uint64_t kMenus = 16;
constexpr uint64_t kMenuBytes = 256;
constexpr std::array<uint8_t, 12> kPointers = {8, 9, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27};
constexpr uint64_t kArguments = 8;
constexpr int32_t kStartOffset = 160;  // in a menu: sepc, sstatus, satp,
constexpr int32_t kHealOffset = 184;   // then PTEs to be put right: place and value
constexpr uint64_t kHealed = 4;
constexpr uint64_t kExceptionOffset = 0x400;
constexpr uint64_t kRestartOffset = 0x500;

constexpr uint64_t kPlic = kDevices + 0xc00'0000;
constexpr uint64_t kUart = kDevices + 0x1000'0000;
constexpr uint64_t kRtc = kDevices + 0x10'1000;
constexpr int32_t kUartSource = 10;

class ProgramMaker {
 public:
  ProgramMaker(uint64_t seed, GuestAddress load, ProgramDevices devices)
      : random_(seed), load_(load), devices_(devices), image_(kRandomProgramSize) {}

  Bytes make() {
    make_tables();
    make_code();
    make_menus();
    make_state();
    make_boot();
    make_handler();
    return std::move(image_);
  }

 private:
  uint64_t below(uint64_t limit) { return random_() % limit; }
  bool one_in(uint64_t count) { return below(count) == 0; }
  template <typename T, size_t kCount>
  T any_of(const T (&values)[kCount]) {
    return values[below(kCount)];
  }
  GuestAddress page(uint64_t index) const { return load_ + index * kPageSize; }
  void put(GuestAddress address, uint64_t value) {
    for (size_t i = 0; i < 8; ++i) {
      image_[address - load_ + i] = static_cast<std::byte>(value >> (8 * i));
    }
  }
  void put(const Assembler& code) {
    CHECK(code.start() - load_ + code.bytes().size() <= image_.size());
    std::copy(code.bytes().begin(), code.bytes().end(),
              image_.begin() + static_cast<std::ptrdiff_t>(code.start() - load_));
  }

  // --- Page tables ---

  uint64_t random_flags() {
    uint64_t flags = kAllRights | (one_in(2) ? kPteUser : 0);
    if (one_in(6)) flags &= ~(uint64_t{1} << below(8));
    return flags;
  }
  uint64_t random_leaf() {
    const uint64_t target =
        one_in(6) ? kMiddlePages + below(kTablePages) : kCodePages + below(2 * kPagesOfEach);
    return one_in(10) ? 0 : make_pte(page(target), random_flags());
  }
  uint64_t random_upper() {
    if (one_in(4)) return make_pte(load_, random_flags());
    return make_pte(page(one_in(8) ? kMiddlePages : kLeafPages + below(2)), kPteValid);
  }
  GuestAddress random_leaf_place() { return page(kLeafPages + below(2)) + 8 * below(kSlots); }
  GuestAddress random_upper_place() { return page(kMiddlePages + below(2)) + 8 * below(4); }
  uint64_t satp_of(uint64_t space) const { return make_satp(page(kRootPages + space)); }

  void make_tables() {
    for (uint64_t space = 0; space < 2; ++space) {
      const GuestAddress root = page(kRootPages + space);
      put(root + 8 * 1, make_pte(page(kMiddlePages + space), kPteValid));
      put(root + 8 * 2, make_pte(kIdentity, kAllRights));
      put(root + 8 * 3, make_pte(GuestAddress(0), kReadWrite));
      const GuestAddress middle = page(kMiddlePages + space);
      put(middle, make_pte(page(kLeafPages + space), kPteValid));
      put(middle + 8, make_pte(page(kLeafPages + 1 - space), kPteValid));
      put(middle + 16, make_pte(load_, kAllRights | (space == 0 ? kPteUser : 0)));
      const GuestAddress leaf = page(kLeafPages + space);
      const uint64_t user = space == 0 ? kPteUser : 0;
      for (uint64_t i = 0; i < kPagesOfEach; ++i) {
        put(leaf + 8 * i, make_pte(page(kCodePages + i), kAllRights | user));
        put(leaf + 8 * (kDataSlot + i), make_pte(page(kDataPages + i), kReadWrite | user));
      }
      for (uint64_t i = 0; i < kTablePages; ++i) {
        put(leaf + 8 * (kTableSlot + i), make_pte(page(kMiddlePages + i), kReadWrite | user));
        put(leaf + 8 * (kAliasSlot + i), make_pte(page(kCodePages + i), kReadWrite | user));
      }
      for (uint64_t i = kAliasSlot + kTablePages; i < kSlots; ++i) put(leaf + 8 * i, random_leaf());
    }
  }

  // --- Instructions ---

  uint8_t random_value_register() {
    static constexpr uint8_t kRegisters[] = {0, 5, 6, 7, 10, 11, 12, 13, 14, 15, 16, 17, 28};
    return any_of(kRegisters);
  }
  Opcode random_opcode(std::initializer_list<Format> formats) {
    std::vector<Opcode> candidates;
    for (const InstructionRow& row : instruction_table()) {
      for (const Format format : formats) {
        if (row.format == format) candidates.push_back(row.opcode);
      }
    }
    return candidates[below(candidates.size())];
  }
  int32_t random_distance(int64_t low, int64_t high, int64_t unit) {
    const auto count = static_cast<uint64_t>((high - low) / unit);
    return static_cast<int32_t>(low + unit * static_cast<int64_t>(below(count)));
  }

  Instruction random_computation() {
    Instruction made =
        register_form(random_opcode({Format::kR, Format::kRUnary, Format::kI, Format::kIShift32,
                                     Format::kIShift64, Format::kU}),
                      random_value_register(), random_value_register(), random_value_register());
    switch (instruction_row(made.opcode).format) {
      case Format::kI:
        made.immediate = random_distance(-2048, 2048, 1);
        break;
      case Format::kU:
        made.immediate = random_distance(-4096, 4096, 1) * 4096;
        break;
      case Format::kIShift32:
      case Format::kIShift64:
        made.immediate = random_distance(0, 32, 1);
        break;
      default:
        break;
    }
    return made;
  }
  Instruction random_load() {
    Instruction made =
        immediate_form(random_opcode({Format::kLoad, Format::kFpLoad}), random_value_register(),
                       kPointers[below(6)], random_distance(-32, 32, one_in(3) ? 1 : 8));
    return made;
  }
  Instruction random_store() {
    // cbo.zero into anything, but seldom into code and tables: zeroes end what the guest does.
    if (one_in(24)) {
      return register_form(random_opcode({Format::kCacheBlock}), 0,
                           kPointers[one_in(4) ? below(6) : 1], 0);
    }
    switch (below(6)) {
      case 0:  // into code
        return store_form(any_of({Opcode::kSw, Opcode::kSw, Opcode::kSh, Opcode::kSb}),
                          kPointers[0], kPointers[8], random_distance(-64, 64, 2));
      case 1:
        return store_form(Opcode::kSd, kPointers[0], kPointers[9], random_distance(-64, 64, 2));
      case 2:  // into tables
        return store_form(Opcode::kSd, kPointers[3 + below(2)], kPointers[6],
                          random_distance(-64, 64, 8));
      case 3:
        return one_in(2) ? store_form(Opcode::kSd, kPointers[5], kPointers[7], 0)
                         : store_form(Opcode::kSb, kPointers[3], random_value_register(), 0);
      default:  // into data
        return store_form(random_opcode({Format::kStore, Format::kFpStore}),
                          kPointers[1 + below(2)], random_value_register(),
                          random_distance(-32, 32, one_in(3) ? 1 : 8));
    }
  }
  Instruction random_atomic() {
    const Opcode opcode = random_opcode({Format::kAmo, Format::kLoadReserved});
    const bool on_code = one_in(6);
    return register_form(opcode, random_value_register(), kPointers[on_code ? 0 : 1],
                         on_code ? kPointers[8] : random_value_register());
  }
  Instruction random_jump() {
    switch (below(6)) {
      case 0:
        return immediate_form(Opcode::kJal, random_value_register(), 0,
                              random_distance(-60, 120, 2));
      case 1:
        return immediate_form(Opcode::kJalr, random_value_register(), kPointers[10],
                              random_distance(-32, 32, 2));
      default:
        return store_form(random_opcode({Format::kB}), random_value_register(),
                          random_value_register(), random_distance(-40, 60, 2));
    }
  }
  Instruction random_csr() {
    switch (below(8)) {
      case 0:
        return immediate_form(Opcode::kCsrrw, 0, kPointers[11], static_cast<int32_t>(Csr::kSatp));
      case 1:
        return immediate_form(any_of({Opcode::kCsrrs, Opcode::kCsrrs, Opcode::kCsrrc}),
                              random_value_register(), random_value_register(),
                              static_cast<int32_t>(Csr::kSstatus));
      case 2:
        return immediate_form(random_opcode({Format::kCsr, Format::kCsrImmediate}),
                              random_value_register(), random_value_register(),
                              static_cast<int32_t>(any_of({Csr::kSscratch, Csr::kFcsr, Csr::kSip,
                                                           Csr::kStimecmp, Csr::kScause})));
      default:
        return immediate_form(Opcode::kCsrrs, random_value_register(), 0,
                              static_cast<int32_t>(any_of({Csr::kCycle, Csr::kTime, Csr::kInstret,
                                                           Csr::kSip, Csr::kSstatus})));
    }
  }
  Instruction random_system() {
    return {.opcode = any_of({Opcode::kEcall, Opcode::kEbreak, Opcode::kSret, Opcode::kWfi,
                              Opcode::kSfenceVma, Opcode::kFence, Opcode::kFenceI})};
  }
  Instruction random_float() {
    Instruction made = register_form(
        random_opcode({Format::kRFp, Format::kR4, Format::kRFpUnary, Format::kRFpExact,
                       Format::kRFpCompare, Format::kFpToInteger, Format::kIntegerToFp,
                       Format::kFpExactToInteger, Format::kIntegerExactToFp}),
        random_value_register(), random_value_register(), random_value_register());
    made.rs3 = random_value_register();
    const uint32_t mask = instruction_row(made.opcode).mask;
    if ((mask >> 12 & 7) == 0) made.rounding_mode = one_in(2) ? 7 : static_cast<uint8_t>(below(8));
    return made;
  }
  // The clock and the serial port, whose registers have sizes of their own.
  Instruction random_device_access() {
    const bool load = one_in(2);
    const Opcode opcode =
        load ? any_of({Opcode::kLw, Opcode::kLbu}) : any_of({Opcode::kSb, Opcode::kSw});
    return load ? immediate_form(opcode, random_value_register(), kPointers[2], 0)
                : store_form(opcode, kPointers[2], random_value_register(), 0);
  }
  Instruction random_instruction() {
    const uint64_t choice = below(100);
    if (choice < 34) return random_computation();
    if (choice < 48) return random_load();
    if (choice < 66) return random_store();
    if (choice < 72) return random_atomic();
    if (choice < 84) return random_jump();
    if (choice < 90) return random_csr();
    if (choice < 91) return random_system();
    if (choice < 95) return random_float();
    if (choice < 98) return random_device_access();
    const uint8_t pointer = kPointers[below(6)];
    return immediate_form(Opcode::kAddi, pointer, pointer,
                          any_of({-8, 8, -64, 64, 2047, -2048, 1}));
  }

  void make_code() {
    Assembler code(page(kCodePages));
    while (code.bytes().size() + 8 <= kPagesOfEach * kPageSize) {
      if (one_in(80)) {
        code.word(static_cast<uint32_t>(random_()));
      } else if (one_in(12)) {
        const auto bits = static_cast<uint16_t>(random_());
        if (is_compressed(bits)) code.half(bits);
      } else {
        code.emit(random_instruction());
      }
    }
    put(code);
  }

  // --- What the handler restarts from ---

  uint64_t window(uint64_t slot, uint64_t offset) {
    return kWindow + below(2) * kMegapage + slot * kPageSize + offset;
  }
  uint64_t code_address() {
    return window(below(kPagesOfEach), one_in(4) ? kPageSize - 2 : 2 * below(kPageSize / 2));
  }
  std::array<uint64_t, kPointers.size()> random_pointers() {
    const bool through_megapage = one_in(6);
    const uint64_t code_to_write =
        through_megapage
            ? kWindow + 2 * kMegapage + kCodePages * kPageSize + 2 * below(kPageSize / 2)
            : window(one_in(2) ? kAliasSlot + below(kTablePages) : below(kPagesOfEach),
                     one_in(4) ? kPageSize - 2 : 4 * below(kPageSize / 4));
    const GuestAddress leaf_place = random_leaf_place();
    const GuestAddress upper_place = random_upper_place();
    const auto table_window = [&](GuestAddress place) {
      return window(kTableSlot + (place - page(kMiddlePages)) / kPageSize, place.value % kPageSize);
    };
    const uint64_t device = devices_ == ProgramDevices::kNone || one_in(3)
                                ? window(kDataSlot + below(kPagesOfEach), kPageSize - 4)
                                : any_of({kUart, kUart, kUart + 5, kRtc, kRtc, kRtc + 4, kPlic});
    Assembler words(GuestAddress(0));
    for (int i = 0; i < 3; ++i) words.emit(random_instruction());
    ByteReader reader(words.bytes());
    const uint64_t one_word = reader.fixed<uint32_t>();
    const uint64_t two_words = reader.fixed<uint64_t>();
    return {code_to_write,
            window(kDataSlot + below(kPagesOfEach), 8 * below(kPageSize / 8)),
            device,
            table_window(leaf_place),
            one_in(2) ? random_leaf_place().value : random_upper_place().value,
            one_in(2) ? table_window(upper_place) : upper_place.value,
            random_leaf(),
            random_upper(),
            one_word,
            two_words,
            code_address(),
            satp_of(below(2))};
  }

  void make_menus() {
    for (uint64_t menu = 0; menu < kMenus; ++menu) {
      GuestAddress at = page(kMenuPage) + menu * kMenuBytes;
      for (const uint64_t value : random_pointers()) {
        put(at, value);
        at += 8;
      }
      for (uint64_t i = 0; i < kArguments; ++i, at += 8) {
        put(at, one_in(2) ? random_() : below(40));
      }
      const uint64_t start = code_address();
      const uint64_t space = below(2);
      // The first leaf table is the users'; mostly a start has the privilege that it needs.
      const uint64_t leaf_table = (start / kMegapage & 1) ^ space;
      const bool supervisor = one_in(8) ? one_in(2) : leaf_table == 1;
      const uint64_t status = (supervisor ? kStatusSpp : 0) | (one_in(16) ? 0 : kStatusSpie) |
                              (one_in(2) ? kStatusSum : 0) | (one_in(6) ? kStatusMxr : 0) |
                              (one_in(8) ? 0 : kStatusFs);
      at = page(kMenuPage) + (menu * kMenuBytes + kStartOffset);
      put(at, start);
      put(at + 8, status);
      put(at + 16, satp_of(space));
      at += 24;
      for (uint64_t i = 0; i < kHealed; ++i, at += 16) {
        const GuestAddress place = i == 0 ? random_upper_place() : random_leaf_place();
        uint64_t value = 0;
        for (size_t byte = 8; byte-- > 0;) {
          value = value << 8 | std::to_integer<uint64_t>(image_[place - load_ + byte]);
        }
        put(at, place.value);
        put(at + 8, value);
      }
    }
  }

  // Words of state: the handler's random numbers, a hash of all traps, the multiplier.
  void make_state() {
    put(page(kStatePage), random_());
    put(page(kStatePage) + 16, 6364136223846793005u);
  }

  void make_boot() {
    Assembler code(load_);
    const auto store_word = [&](uint64_t address, uint64_t value) {
      code.li(kT0, address);
      code.li(kT1, value);
      code.store(Opcode::kSw, kT1, kT0);
    };
    if (devices_ == ProgramDevices::kBoard) {
      store_word(kPlic - kDevices + 4 * kUartSource, 1);
      store_word(kPlic - kDevices + 0x2080, 1 << kUartSource);
      store_word(kPlic - kDevices + 0x201000, 0);
      code.li(kT0, kUart - kDevices);
      code.li(kT1, 1);
      code.store(Opcode::kSb, kT1, kT0, 1);
    }
    code.li(kT0, page(kHandlerPage).value);
    code.csr_write(Csr::kStvec, kT0);
    code.li(kT0, kSoftwareInterrupt | kTimerInterrupt | kExternalInterrupt);
    code.csr_write(Csr::kSie, kT0);
    code.li(kT0, satp_of(0));
    code.csr_write(Csr::kSatp, kT0);
    code.op(Opcode::kEbreak);
    put(code);
  }

  void make_handler() {
    Assembler code(page(kHandlerPage));
    const uint64_t exception = page(kHandlerPage).value + kExceptionOffset;
    const uint64_t restart = page(kHandlerPage).value + kRestartOffset;
    code.csr_read(kT6, Csr::kScause);
    code.li(kT5, page(kStatePage).value);
    code.load(Opcode::kLd, kT4, kT5, 0);
    code.load(Opcode::kLd, kT3, kT5, 16);
    code.op(Opcode::kMul, kT4, kT4, kT3);
    code.addi(kT4, kT4, 1013);
    code.store(Opcode::kSd, kT4, kT5, 0);
    code.load(Opcode::kLd, kT2, kT5, 8);
    for (const Csr csr : {Csr::kStval, Csr::kSepc, Csr::kInstret}) {
      code.csr_read(kT3, csr);
      code.op(Opcode::kXor, kT2, kT2, kT3);
      code.emit(immediate_form(Opcode::kSlli, kT3, kT2, 7));
      code.op(Opcode::kAdd, kT2, kT2, kT3);
    }
    code.op(Opcode::kAdd, kT2, kT2, kT6);
    code.store(Opcode::kSd, kT2, kT5, 8);
    // The next timer interrupt, sometimes at once; sometimes a software interrupt.
    code.csr_read(kT3, Csr::kTime);
    code.emit(immediate_form(Opcode::kSrli, kT2, kT4, 56));
    code.op(Opcode::kAdd, kT3, kT3, kT2);
    code.csr_write(Csr::kStimecmp, kT3);
    code.csr(Opcode::kCsrrci, kZero, Csr::kSip, 2);
    code.emit(immediate_form(Opcode::kSrli, kT2, kT4, 40));
    code.emit(immediate_form(Opcode::kAndi, kT2, kT2, 31));
    code.branch(Opcode::kBne, kT2, kZero, code.here() + 8);
    code.csr(Opcode::kCsrrsi, kZero, Csr::kSip, 2);
    code.branch(Opcode::kBge, kT6, kZero, exception);
    if (devices_ == ProgramDevices::kBoard) answer_uart(code);
    // Out of loops that nothing else ends.
    code.emit(immediate_form(Opcode::kSrli, kT2, kT4, 50));
    code.emit(immediate_form(Opcode::kAndi, kT2, kT2, 1));
    code.branch(Opcode::kBne, kT2, kZero, restart);
    code.op(Opcode::kSret);
    code.pad_to(exception);
    skip_instruction(code, restart);
    code.pad_to(restart);
    restart_from_menu(code);
    put(code);
  }

  // Claims, empties the serial port's queue by one, completes.
  void answer_uart(Assembler& code) {
    code.li(kT3, kPlic + 0x201004);
    code.load(Opcode::kLw, kT2, kT3);
    code.li(kT5, kUart);
    code.addi(kT6, kZero, 3);
    code.store(Opcode::kSb, kT6, kT5, 3);  // LCR: not the divisor
    code.load(Opcode::kLbu, kT6, kT5, 0);
    code.store(Opcode::kSw, kT2, kT3);
  }

  // Mostly an exception is passed over, and what follows runs with what there is.
  void skip_instruction(Assembler& code, uint64_t restart) {
    for (const Cause fetch_fault : {Cause::kFetchPage, Cause::kFetchAccess}) {
      code.li(kT3, static_cast<uint64_t>(fetch_fault));
      code.branch(Opcode::kBeq, kT6, kT3, restart);
    }
    code.emit(immediate_form(Opcode::kSrli, kT2, kT4, 45));
    code.emit(immediate_form(Opcode::kAndi, kT2, kT2, 15));
    code.branch(Opcode::kBeq, kT2, kZero, restart);
    code.csr_read(kT3, Csr::kSepc);
    code.addi(kT3, kT3, 4);
    code.csr_write(Csr::kSepc, kT3);
    code.op(Opcode::kSret);
  }

  void restart_from_menu(Assembler& code) {
    code.emit(immediate_form(Opcode::kSrli, kT3, kT4, 33));
    code.emit(immediate_form(Opcode::kAndi, kT3, kT3, kMenus - 1));
    code.emit(immediate_form(Opcode::kSlli, kT3, kT3, 8));
    code.li(kT2, page(kMenuPage).value);
    code.op(Opcode::kAdd, kT3, kT3, kT2);
    int32_t offset = 0;
    for (const uint8_t pointer : kPointers) {
      code.load(Opcode::kLd, pointer, kT3, offset);
      offset += 8;
    }
    for (uint8_t i = 0; i < kArguments; ++i, offset += 8) {
      code.load(Opcode::kLd, static_cast<uint8_t>(kA0 + i), kT3, offset);
    }
    CHECK(offset == kStartOffset);
    for (const Csr csr : {Csr::kSepc, Csr::kSstatus, Csr::kSatp}) {
      code.load(Opcode::kLd, kT2, kT3, offset);
      code.csr_write(csr, kT2);
      offset += 8;
    }
    CHECK(offset == kHealOffset);
    for (uint64_t i = 0; i < kHealed; ++i, offset += 16) {
      code.load(Opcode::kLd, kT2, kT3, offset);
      code.load(Opcode::kLd, kT6, kT3, offset + 8);
      code.store(Opcode::kSd, kT6, kT2);
    }
    code.op(Opcode::kSret);
  }

  Random random_;
  GuestAddress load_;
  ProgramDevices devices_;
  Bytes image_;
};

}  // namespace

Bytes random_program(uint64_t seed, GuestAddress load, ProgramDevices devices) {
  return ProgramMaker(seed, load, devices).make();
}

}  // namespace lockstep::riscv::testing
