#include "tests/oracle/engine.h"

#include <algorithm>
#include <cstring>
#include <fmt/format.h>
#include <memory>
#include <numeric>
#include <utility>
#include <vector>

#include "base/check.h"
#include "io/posix/anonymous_memory.h"
#include "riscv/disassembler.h"
#include "riscv/encoder.h"
#include "riscv/hart.h"
#include "riscv/physical_memory.h"
#include "tests/oracle/random.h"

namespace lockstep::oracle {
namespace {

using riscv::kPageShift;
using riscv::kPageSize;
using riscv::Opcode;

constexpr uint64_t kMemorySize = uint64_t{64} << 20;
constexpr uint64_t kMaximumImage = uint64_t{16} << 20;
constexpr uint64_t kStepLimit = 50'000'000;
constexpr uint64_t kWriteNumber = 64;  // Linux, asm-generic/unistd.h

// Behind the place of the image: the trap handler, then page tables.
constexpr GuestAddress kHandler = kProgramBase + 2 * kMaximumImage;
constexpr GuestAddress kTables = kHandler + kPageSize;

enum PteBit : uint64_t {
  kValid = 1,
  kRead = 2,
  kWrite = 4,
  kExecute = 8,
  kUser = 16,
  kAccessed = 64,
  kDirty = 128,
};

class NoDevices final : public riscv::Bus {
 public:
  bool read(GuestAddress, unsigned, uint64_t&) override { return false; }
  bool write(GuestAddress, unsigned, uint64_t) override { return false; }
};

// The trap handler's one instruction is an ecall from S-mode, which ends the run.
class EndOfRun final : public riscv::EnvironmentCalls {
 public:
  void call(riscv::Hart&) override {
    reached = true;
    engine->request_stop();
  }
  riscv::Engine* engine = nullptr;
  bool reached = false;
};

// One run of one program.
class EngineRun {
 public:
  EngineRun(const Program& program, std::span<std::byte> ram, const EngineVariant& variant,
            const riscv::EngineFactory& make_engine)
      : program_(program),
        variant_(variant),
        random_(variant.seed),
        memory_(kProgramBase, ram),
        engine_(make_engine(hart_, memory_, bus_, end_)) {
    end_.engine = engine_.get();
    place_pages();
    load_image();
    memory_.store(kHandler, riscv::encode({.opcode = Opcode::kEcall}));
    hart_.pc = program.entry.value;
    hart_.stvec = kHandler.value;
    hart_.privilege = riscv::Privilege::kUser;
    hart_.sstatus |= riscv::kStatusFs;
    if (variant.translation == Translation::kSv39) build_page_tables();
  }

  Result<Bytes> run() {
    while (!end_.reached) {
      if (hart_.step.value > kStepLimit) return failure("does not end");
      if (hart_.waiting) return failure("waits");
      engine_->run_until(hart_.step + run_length());
      if (variant_.chopped && random_.percent(2)) engine_->flush();
    }
    if (hart_.scause != static_cast<uint64_t>(riscv::Cause::kUserCall)) return failure("traps");
    if (hart_.x[17] != kWriteNumber) return failure("makes another system call");
    return image();
  }

 private:
  size_t page_count() const { return (program_.image.size() + kPageSize - 1) / kPageSize; }
  uint64_t run_length() { return variant_.chopped ? 1 + random_.below(200) : kStepLimit; }

  // places_[i]: the page of RAM that holds page i of the image.
  void place_pages() {
    places_.resize(page_count());
    std::iota(places_.begin(), places_.end(), uint64_t{0});
    if (variant_.translation == Translation::kBare) return;
    for (size_t i = places_.size(); i > 1; --i)
      std::swap(places_[i - 1], places_[random_.below(i)]);
  }

  GuestAddress place_of(size_t offset) const {
    return kProgramBase + (places_[offset / kPageSize] << kPageShift) + offset % kPageSize;
  }

  template <typename Visit>
  void for_each_page(Visit visit) const {
    const size_t size = program_.image.size();
    for (size_t offset = 0; offset < size; offset += kPageSize) {
      visit(offset, std::min<size_t>(kPageSize, size - offset));
    }
  }

  void load_image() {
    for_each_page([this](size_t offset, size_t size) {
      CHECK(memory_.write(place_of(offset), ByteView(program_.image).subspan(offset, size)));
    });
  }

  Bytes image() const {
    Bytes bytes(program_.image.size());
    for_each_page([&](size_t offset, size_t size) {
      CHECK(memory_.read(place_of(offset), std::span(bytes).subspan(offset, size)));
    });
    return bytes;
  }

  static uint64_t pte(GuestAddress place, uint64_t bits) {
    return place.value >> kPageShift << 10 | bits | kValid;
  }

  // Sv39: one root, one middle table for the gigabyte that all of it lies in, leaf tables.
  void build_page_tables() {
    const GuestAddress root = kTables;
    const GuestAddress middle = root + kPageSize;
    const GuestAddress leaves = middle + kPageSize;
    const uint64_t gigabyte = kProgramBase.value >> 30;
    memory_.store(root + gigabyte * 8, pte(middle, 0));
    const auto map = [&](uint64_t address, GuestAddress place, uint64_t bits) {
      const uint64_t megapage = address >> 21 & 0x1ff;
      const GuestAddress leaf = leaves + megapage * kPageSize;
      memory_.store(middle + megapage * 8, pte(leaf, 0));
      memory_.store(leaf + (address >> kPageShift & 0x1ff) * 8,
                    pte(place, bits | kAccessed | kDirty));
    };
    for_each_page([&](size_t offset, size_t) {
      map(kProgramBase.value + offset, place_of(offset), kRead | kWrite | kExecute | kUser);
    });
    map(kHandler.value, kHandler, kRead | kExecute);
    hart_.satp = riscv::kSatpModeSv39 << riscv::kSatpModeShift | root.value >> kPageShift;
  }

  std::unexpected<Error> failure(std::string_view what) const {
    const uint64_t pc = end_.reached ? hart_.sepc : hart_.pc;
    const uint64_t offset = pc - kProgramBase.value;
    std::string instruction = "outside the program";
    if (offset + 4 <= program_.image.size()) {
      uint32_t bits = 0;
      std::memcpy(&bits, program_.image.data() + offset, sizeof(bits));
      instruction = riscv::disassemble(riscv::decode(bits));
    }
    return fail(ErrorCode::kDiverged,
                fmt::format("the engine {} at step {}: scause {:#x}, stval {:#x}, pc", what,
                            hart_.step.value, hart_.scause, hart_.stval),
                fmt::format("{:#x} ({})", pc, instruction));
  }

  const Program& program_;
  EngineVariant variant_;
  Random random_;
  std::vector<uint64_t> places_;
  riscv::Hart hart_;
  riscv::PhysicalMemory memory_;
  NoDevices bus_;
  EndOfRun end_;
  std::unique_ptr<riscv::Engine> engine_;
};

}  // namespace

EngineVariant variant_of(uint64_t seed) {
  return {.translation = seed % 2 == 0 ? Translation::kSv39 : Translation::kBare,
          .chopped = seed % 3 == 0,
          .seed = seed};
}

Runner engine_runner(const EngineVariant& variant, riscv::EngineFactory make_engine) {
  return [variant, make_engine = std::move(make_engine)](const Program& program) -> Result<Bytes> {
    CHECK(program.base == kProgramBase && program.image.size() <= kMaximumImage);
    Result<posix::AnonymousMemory> ram = posix::AnonymousMemory::create(kMemorySize);
    if (!ram) return std::unexpected(ram.error());
    return EngineRun(program, ram->bytes(), variant, make_engine).run();
  };
}

}  // namespace lockstep::oracle
