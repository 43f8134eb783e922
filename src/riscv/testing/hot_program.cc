// The guest around the code of hot_code.h: four address spaces, a handler of all traps, and the
// restarts after which the code runs from another start with other registers.
#include <algorithm>
#include <array>
#include <cstring>
#include <functional>

#include "base/check.h"
#include "riscv/hart.h"
#include "riscv/testing/assembler.h"
#include "riscv/testing/audit_program.h"
#include "riscv/testing/hot_code.h"
#include "riscv/testing/page_tables.h"

namespace lockstep::riscv::testing {
namespace {

// Pages of the image.
constexpr uint64_t kHandlerPage = 1;
constexpr uint64_t kStatePage = 2;
constexpr uint64_t kRootPages = 8;     // of each address space
constexpr uint64_t kMiddlePages = 12;  // of each
constexpr uint64_t kLeafPages = 16;    // of each kind
constexpr uint64_t kLeafCopies = 20;   // as they were at the start
constexpr uint64_t kCodePages = 24;
constexpr uint64_t kTwinPages = kCodePages + kHotCodePages;
constexpr uint64_t kDataPages = kTwinPages + kHotCodePages;
constexpr uint64_t kDataCount = 8;
constexpr uint64_t kCodeCopies = kDataPages + kDataCount;  // of code and twin
constexpr uint64_t kMenuPages = kCodeCopies + 2 * kHotCodePages;
constexpr uint64_t kImagePages = kMenuPages + 8;

// Address spaces: 0 has the code, 1 its twin, for users and for S-mode; 2 and 3 mix them. So a
// write to satp changes what stands at the addresses that run, and no right.
constexpr uint64_t kSpaces = 4;
constexpr uint64_t kWindow = 0x4000'0000;
constexpr uint64_t kMegapage = uint64_t{1} << 21;
constexpr uint64_t kAgain = 3 * kMegapage;  // from an address to another that maps to the same
constexpr GuestAddress kNowhere{0};         // neither RAM nor a device
constexpr uint64_t kUserDevices = 0xc000'0000;
constexpr uint64_t kSupervisorDevices = 0x1'0000'0000;
enum LeafTable : uint64_t { kUserCode, kUserTwin, kSupervisorCode, kSupervisorTwin };
// In a leaf table.
constexpr uint64_t kDataSlot = 8;
constexpr uint64_t kTableSlot = 16;
constexpr uint64_t kAliasSlot = 24;
constexpr uint64_t kTwinSlot = 32;
constexpr uint64_t kSlots = 40;

constexpr uint64_t kMenus = 32;
constexpr uint64_t kMenuBytes = 1024;
constexpr int32_t kFloatOffset = 256;  // in a menu, behind x0 to x31
constexpr int32_t kSpareOffset = 512;  // sepc, sstatus, satp
constexpr uint64_t kExceptionOffset = 0x400;
constexpr uint64_t kRestartOffset = 0x600;
constexpr uint64_t kPlainIsaOneIn = 8;  // guests are offered no extension
constexpr uint64_t kRestartBits = 3;    // of interrupts, one in 4 restarts
constexpr std::array<uint8_t, 4> kSaved = {kT2, kT3, kT4, kT5};
constexpr int32_t kSaveOffset = 64;  // in the page of state

class HotProgramMaker {
 public:
  explicit HotProgramMaker(uint64_t seed)
      : random_(seed), image_(kImagePages * kPageSize), code_(make_hot_code(random_)) {}

  AuditProgram make() {
    make_tables();
    make_code();
    for (uint64_t menu = 0; menu < kMenus; ++menu) make_menu(menu);
    put(page(kStatePage), random_());
    put(page(kStatePage) + 16, 6364136223846793005u);
    make_boot();
    make_handler();
    return {std::move(image_),
            {{kLeafPages, kSpaces, 8},
             {kCodePages, 2 * kHotCodePages, 4},
             {kDataPages + 1, kDataCount - 1, 1}},
            kAllExtensions};
  }

 private:
  uint64_t below(uint64_t limit) { return random_() % limit; }
  bool one_in(uint64_t count) { return below(count) == 0; }
  template <typename T>
  T any_of(std::initializer_list<T> values) {
    return values.begin()[below(values.size())];
  }
  static GuestAddress page(uint64_t index) { return kAuditRam + index * kPageSize; }
  static uint64_t satp_of(uint64_t space) { return make_satp(page(kRootPages + space)); }
  void put(GuestAddress address, uint64_t value) {
    std::memcpy(image_.data() + (address - kAuditRam), &value, sizeof(value));
  }
  uint64_t get(GuestAddress address) const {
    uint64_t value = 0;
    std::memcpy(&value, image_.data() + (address - kAuditRam), sizeof(value));
    return value;
  }
  void put_bytes(GuestAddress address, ByteView bytes) {
    CHECK(address - kAuditRam + bytes.size() <= image_.size());
    std::memcpy(image_.data() + (address - kAuditRam), bytes.data(), bytes.size());
  }

  // --- Page tables ---

  void make_leaf_table(LeafTable which) {
    const GuestAddress table = page(kLeafPages + which);
    const bool user = which == kUserCode || which == kUserTwin;
    const bool twin = which == kUserTwin || which == kSupervisorTwin;
    const uint64_t right = user ? kPteUser : 0;
    const uint64_t code = twin ? kTwinPages : kCodePages;
    const uint64_t other = twin ? kCodePages : kTwinPages;
    const auto map = [&](uint64_t slot, uint64_t target, uint64_t flags) {
      put(table + 8 * slot, make_pte(page(target), flags | right));
    };
    for (uint64_t i = 0; i < kHotCodePages; ++i) {
      map(i, code + i, kAllRights);
      map(kDataSlot + i, kDataPages + (twin && i > 1 ? i ^ 1 : i), kReadWrite);
      map(kTableSlot + i, kMiddlePages + i, kReadWrite);
      map(kAliasSlot + i, code + i, kReadWrite);
      map(kTwinSlot + i, other + i, kAllRights);
    }
    put_bytes(page(kLeafCopies + which), ByteView(image_).subspan(table - kAuditRam, 8 * kSlots));
  }

  void make_tables() {
    for (uint64_t i = 0; i < kSpaces; ++i) make_leaf_table(static_cast<LeafTable>(i));
    for (uint64_t space = 0; space < kSpaces; ++space) {
      const GuestAddress root = page(kRootPages + space);
      const GuestAddress middle = page(kMiddlePages + space);
      put(root + 8 * 1, make_pte(middle, kPteValid));
      put(root + 8 * 2, make_pte(kAuditRam, kAllRights));
      put(root + 8 * 3, make_pte(GuestAddress(0), kReadWrite | kPteUser));
      put(root + 8 * 4, make_pte(GuestAddress(0), kReadWrite));
      const uint64_t user = (space & 1) == 0 ? kUserCode : kUserTwin;
      const uint64_t supervisor = space == 0 || space == 3 ? kSupervisorCode : kSupervisorTwin;
      put(middle, make_pte(page(kLeafPages + user), kPteValid));
      put(middle + 8, make_pte(page(kLeafPages + supervisor), kPteValid));
      put(middle + 16, make_pte(kAuditRam, kAllRights | (space < 2 ? kPteUser : 0)));
      // The same tables once more, so that one leaf PTE maps two addresses.
      put(middle + 24, get(middle));
      put(middle + 32, get(middle + 8));
    }
  }

  void make_code() {
    for (const uint64_t at : {kCodePages, kCodeCopies}) {
      put_bytes(page(at), code_.code);
      put_bytes(page(at + kHotCodePages), code_.twin);
    }
    for (uint64_t i = 0; i < kHotLeaves; ++i) put(page(kDataPages) + 8 * i, code_.leaves[i]);
    for (uint64_t i = 0; i < kHotFloatCount; ++i) {
      put(page(kDataPages) + (kHotFloats + 8 * i), float_value());
    }
    for (uint64_t at = kHotFloats + 8 * kHotFloatCount; at < kDataCount * kPageSize; at += 8) {
      put(page(kDataPages) + at, one_in(3) ? random_() : below(1000));
    }
  }

  // --- What a restart runs from ---

  uint64_t float_value() {
    static constexpr uint64_t kSingle = 0xffff'ffff'0000'0000;
    const uint64_t special =
        any_of<uint64_t>({0, uint64_t{1} << 63, 0x7ff0'0000'0000'0000, 0x7ff8'0000'0000'0001,
                          0x7ff0'0000'0000'0001, 1, 0x000f'ffff'ffff'ffff, 0x3ff0'0000'0000'0000,
                          0x43e0'0000'0000'0000, kSingle | 0x7f80'0000, kSingle | 0xffc0'0000,
                          kSingle | 0x7f80'0001, kSingle | 1, kSingle | 0x3f80'0000});
    if (one_in(3)) return special;
    if (one_in(3)) return kSingle | random_() >> 32;
    if (one_in(4)) return random_();
    // Products near the ends of the range.
    if (one_in(4)) return kSingle | (any_of<uint64_t>({0x2000'0000, 0x6000'0000}) + below(1 << 25));
    if (one_in(3)) return any_of<uint64_t>({0x2000, 0x6000}) << 48 | random_() >> 15;
    return 0x3fe0'0000'0000'0000 + (random_() >> any_of({8, 10, 12}));
  }

  // What toggles a PTE: to another page, or to where nothing is, or one of its rights.
  uint64_t pte_change(bool of_code, uint64_t slot) {
    if (!one_in(3)) {
      const uint64_t target = of_code ? kCodePages + slot % kHotCodePages : kDataPages + slot % 8;
      const uint64_t other =
          of_code ? kTwinPages + slot % kHotCodePages : kDataPages + 1 + below(kDataCount - 1);
      const GuestAddress place = one_in(8) ? kNowhere : page(other);
      return make_pte(page(target), 0) ^ make_pte(place, 0);
    }
    return any_of<uint64_t>({kPteValid, kPteWrite, kPteExecute, kPteUser, kPteAccessed, kPteDirty});
  }

  void make_menu(uint64_t menu) {
    const bool supervisor = menu % 2 == 1;
    const uint64_t space = below(kSpaces);
    const std::vector<uint64_t>& starts =
        supervisor ? code_.supervisor_routines : code_.user_routines;
    const uint64_t start = starts[below(starts.size())];
    const bool through_megapage = one_in(8) && supervisor == (space >= 2);
    const uint64_t window = kWindow + (supervisor ? kMegapage : 0);
    const uint64_t base = through_megapage ? kWindow + 2 * kMegapage + kCodePages * kPageSize
                                           : window + (one_in(6) ? kTwinSlot * kPageSize : 0);
    const auto data = [&](uint64_t index, uint64_t offset) {
      return window + (kDataSlot + index) * kPageSize + offset;
    };
    std::array<uint64_t, 32> x{};
    for (uint64_t& value : x) value = one_in(2) ? random_() : below(64);
    x[kSp] = data(1 + below(3), 8 * below(256));
    const bool of_users = supervisor && one_in(3);
    if (of_users) x[kSp] -= kMegapage;
    x[kS0] = data(4, 8 * below(512));
    x[kS1] = data(5 + below(2), kPageSize - 4);
    x[kGp] = one_in(4) ? data(1, 0)
                       : (supervisor ? kSupervisorDevices : kUserDevices) + kAuditDevice.value;
    x[kTp] = base;
    x[kS2] = data(0, 0);
    x[kS3] = through_megapage ? 0 : kAliasSlot * kPageSize - (base - window);
    if (x[kS3] != 0 && one_in(3)) x[kS3] = kAgain;
    x[kS4] = make_patch(random_);
    x[kS5] = x[kS4] ^ make_patch(random_);
    const bool of_code = one_in(2);
    const uint64_t slot = of_code ? (one_in(2) ? start / kPageSize : below(kHotCodePages))
                                  : kDataSlot + 1 + below(kDataCount - 1);
    const uint64_t leaf =
        get(page(kMiddlePages + space) + (supervisor ? 8 : 0)) >> 10 << kPageShift;
    const GuestAddress pte_place = GuestAddress(leaf) + 8 * slot;
    x[kS6] = window + kTableSlot * kPageSize + (pte_place - page(kMiddlePages));
    x[kS7] = get(pte_place);
    x[kS8] = pte_change(of_code, slot);
    x[kS9] = satp_of(space);
    x[kT6] = satp_of(space) ^ satp_of(below(kSpaces));
    x[kT5] =
        any_of({kStatusSum, kStatusMxr, kStatusSum | kStatusMxr, kStatusFs, uint64_t{1} << 13});
    if (of_users) x[kT5] = kStatusSum;
    const uint64_t status =
        (supervisor ? kStatusSpp : 0) | (one_in(16) ? 0 : kStatusSpie) |
        (one_in(2) ? kStatusSum : 0) | (one_in(6) ? kStatusMxr : 0) |
        any_of({kStatusFs, kStatusFs, uint64_t{1} << 13, uint64_t{2} << 13, uint64_t{0}});
    const GuestAddress at = page(kMenuPages) + menu * kMenuBytes;
    for (uint64_t i = 0; i < 32; ++i) {
      put(at + 8 * i, x[i]);
      put(at + (kFloatOffset + 8 * i), float_value());
    }
    put(at + kSpareOffset, base + start);
    put(at + (kSpareOffset + 8), status);
    put(at + (kSpareOffset + 16), satp_of(space));
  }

  // --- Fixed code ---

  void put_code(const Assembler& code) { put_bytes(code.start(), code.bytes()); }

  void make_boot() {
    Assembler code(kAuditRam);
    code.li(kT0, page(kHandlerPage).value);
    code.csr_write(Csr::kStvec, kT0);
    code.li(kT0, page(kStatePage).value);
    code.csr_write(Csr::kSscratch, kT0);
    code.li(kT0, kSoftwareInterrupt | kTimerInterrupt | kExternalInterrupt);
    code.csr_write(Csr::kSie, kT0);
    code.li(kT0, satp_of(0));
    code.csr_write(Csr::kSatp, kT0);
    code.jal(kZero, page(kHandlerPage).value + kRestartOffset);
    put_code(code);
  }

  // t6: the page of state; its own value is in sscratch meanwhile. t4: random.
  void make_handler() {
    Assembler code(page(kHandlerPage));
    code.csr(Opcode::kCsrrw, kT6, Csr::kSscratch, kT6);
    int32_t offset = kSaveOffset;
    for (const uint8_t saved : kSaved) {
      code.store(Opcode::kSd, saved, kT6, offset);
      offset += 8;
    }
    next_random(code);
    hash_trap(code);
    code.csr_read(kT5, Csr::kScause);
    code.branch(Opcode::kBge, kT5, kZero, page(kHandlerPage).value + kExceptionOffset);
    answer_interrupt(code);
    code.emit(immediate_form(Opcode::kSrli, kT2, kT4, 50));
    code.emit(immediate_form(Opcode::kAndi, kT2, kT2, kRestartBits));
    code.branch(Opcode::kBeq, kT2, kZero, page(kHandlerPage).value + kRestartOffset);
    resume(code);
    code.pad_to(page(kHandlerPage).value + kExceptionOffset);
    skip_instruction(code);
    code.pad_to(page(kHandlerPage).value + kRestartOffset);
    restart(code);
    put_code(code);
  }

  void next_random(Assembler& code) {
    code.load(Opcode::kLd, kT4, kT6, 0);
    code.load(Opcode::kLd, kT3, kT6, 16);
    code.op(Opcode::kMul, kT4, kT4, kT3);
    code.addi(kT4, kT4, 1013);
    code.store(Opcode::kSd, kT4, kT6, 0);
  }

  void hash_trap(Assembler& code) {
    code.load(Opcode::kLd, kT2, kT6, 8);
    for (const Csr csr : {Csr::kScause, Csr::kStval, Csr::kSepc, Csr::kInstret}) {
      code.csr_read(kT3, csr);
      code.op(Opcode::kXor, kT2, kT2, kT3);
      code.emit(immediate_form(Opcode::kSlli, kT3, kT2, 7));
      code.op(Opcode::kAdd, kT2, kT2, kT3);
    }
    code.store(Opcode::kSd, kT2, kT6, 8);
  }

  // Lowers the line, ends a software interrupt, sets the timer.
  void answer_interrupt(Assembler& code) {
    const uint64_t lower = static_cast<uint64_t>(DeviceEffect::kLowerLine) << kDeviceEffectShift;
    code.li(kT3, kSupervisorDevices + kAuditDevice.value + lower);
    code.load(Opcode::kLw, kT2, kT3);
    code.csr(Opcode::kCsrrci, kZero, Csr::kSip, 2);
    set_timer(code);
  }

  void set_timer(Assembler& code) {
    code.csr_read(kT3, Csr::kTime);
    code.emit(immediate_form(Opcode::kSrli, kT2, kT4, 56));
    code.op(Opcode::kAdd, kT3, kT3, kT2);
    code.csr_write(Csr::kStimecmp, kT3);
  }

  void resume(Assembler& code) {
    int32_t offset = kSaveOffset;
    for (const uint8_t saved : kSaved) {
      code.load(Opcode::kLd, saved, kT6, offset);
      offset += 8;
    }
    code.csr(Opcode::kCsrrw, kT6, Csr::kSscratch, kT6);
    code.op(Opcode::kSret);
  }

  // Mostly an exception is passed over, and what follows runs with what there is.
  void skip_instruction(Assembler& code) {
    const uint64_t restart_place = page(kHandlerPage).value + kRestartOffset;
    for (const Cause fetch_fault : {Cause::kFetchPage, Cause::kFetchAccess}) {
      code.li(kT3, static_cast<uint64_t>(fetch_fault));
      code.branch(Opcode::kBeq, kT5, kT3, restart_place);
    }
    code.emit(immediate_form(Opcode::kSrli, kT2, kT4, 45));
    code.emit(immediate_form(Opcode::kAndi, kT2, kT2, 15));
    code.branch(Opcode::kBeq, kT2, kZero, restart_place);
    // Floating point that is off goes on, sometimes.
    code.emit(immediate_form(Opcode::kAndi, kT2, kT2, 7));
    code.branch(Opcode::kBne, kT2, kZero, code.here() + 12);
    code.emit(immediate_form(Opcode::kLui, kT3, 0, 0x2000));
    code.csr(Opcode::kCsrrs, kZero, Csr::kSstatus, kT3);
    code.csr_read(kT3, Csr::kSepc);
    code.addi(kT3, kT3, 4);
    code.csr_write(Csr::kSepc, kT3);
    resume(code);
  }

  // `words` of 8 bytes from the address in t2 to that in t3.
  void copy(Assembler& code, uint64_t words) {
    code.li(kT5, 8 * words);
    code.op(Opcode::kAdd, kT5, kT5, kT2);
    const uint64_t loop = code.here();
    code.load(Opcode::kLd, kA0, kT2);
    code.store(Opcode::kSd, kA0, kT3);
    code.addi(kT2, kT2, 8);
    code.addi(kT3, kT3, 8);
    code.branch(Opcode::kBltu, kT2, kT5, loop);
  }

  // What `body` makes runs in `count` of 256 restarts.
  void sometimes(Assembler& code, uint8_t random_shift, uint64_t count,
                 const std::function<void(Assembler&)>& body) {
    code.emit(immediate_form(Opcode::kSrli, kT2, kT4, random_shift));
    code.emit(immediate_form(Opcode::kAndi, kT2, kT2, 255));
    code.addi(kT3, kZero, static_cast<int32_t>(count));
    Assembler inside(GuestAddress(code.here() + 4));
    body(inside);
    code.branch(Opcode::kBgeu, kT2, kT3, code.here() + 4 + inside.bytes().size());
    for (ByteReader reader(inside.bytes()); reader.remaining() > 0;) {
      code.word(reader.fixed<uint32_t>());
    }
  }

  void restart(Assembler& code) {
    code.li(kT6, page(kStatePage).value);
    code.csr_write(Csr::kSscratch, kT6);
    next_random(code);
    set_timer(code);
    // Leaf tables and code as they were.
    sometimes(code, 20, 40, [&](Assembler& inside) {
      for (uint64_t i = 0; i < kSpaces; ++i) {
        inside.li(kT2, page(kLeafCopies + i).value);
        inside.li(kT3, page(kLeafPages + i).value);
        copy(inside, kSlots);
      }
    });
    sometimes(code, 40, 2 * kHotCodePages, [&](Assembler& inside) {
      inside.emit(immediate_form(Opcode::kSlli, kT2, kT2, kPageShift));
      inside.li(kT3, page(kCodePages).value);
      inside.op(Opcode::kAdd, kT3, kT3, kT2);
      inside.li(kT5, page(kCodeCopies).value);
      inside.op(Opcode::kAdd, kT2, kT2, kT5);
      copy(inside, kPageSize / 8);
    });
    load_menu(code);
  }

  void load_menu(Assembler& code) {
    code.emit(immediate_form(Opcode::kSrli, kT3, kT4, 33));
    code.emit(immediate_form(Opcode::kAndi, kT3, kT3, kMenus - 1));
    code.emit(immediate_form(Opcode::kSlli, kT3, kT3, 10));
    code.li(kT6, page(kMenuPages).value);
    code.op(Opcode::kAdd, kT6, kT6, kT3);
    code.li(kT2, kStatusFs);
    code.csr(Opcode::kCsrrs, kZero, Csr::kSstatus, kT2);
    for (uint8_t i = 0; i < 32; ++i) code.load(Opcode::kFld, i, kT6, kFloatOffset + 8 * i);
    int32_t offset = kSpareOffset;
    for (const Csr csr : {Csr::kSepc, Csr::kSstatus, Csr::kSatp}) {
      code.load(Opcode::kLd, kT2, kT6, offset);
      code.csr_write(csr, kT2);
      offset += 8;
    }
    for (uint8_t i = 1; i < 32; ++i) {
      if (i != kT6) code.load(Opcode::kLd, i, kT6, 8 * i);
    }
    code.load(Opcode::kLd, kT6, kT6, 8 * kT6);
    code.op(Opcode::kSret);
  }

  HotRandom random_;
  Bytes image_;
  HotCode code_;
};

}  // namespace

AuditProgram hot_program(uint64_t seed) {
  AuditProgram program = HotProgramMaker(seed).make();
  if (seed % kPlainIsaOneIn == 0) program.isa = {};
  return program;
}

}  // namespace lockstep::riscv::testing
