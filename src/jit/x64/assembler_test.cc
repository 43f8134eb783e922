// Every emitter, with every class of register and memory operand, against what objdump makes of the
// bytes. The expected text is composed here, from the operands, by objdump's rules.
#include "jit/x64/assembler.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <fmt/format.h>
#include <fstream>
#include <functional>
#include <gtest/gtest.h>
#include <map>
#include <string>
#include <unistd.h>
#include <vector>

#include "io/posix/subprocess.h"

namespace lockstep::jit::x64 {
namespace {

constexpr uint32_t kAddress = 0x10000;
constexpr size_t kSpace = size_t{4} << 20;

using Text = std::string;

// --- Operands as objdump writes them

enum class Width { k8, k16, k32, k64 };

constexpr std::array kRegs = {Reg::kRax, Reg::kRcx, Reg::kRdx, Reg::kRbx, Reg::kRsp, Reg::kRbp,
                              Reg::kRsi, Reg::kRdi, Reg::kR8,  Reg::kR9,  Reg::kR10, Reg::kR11,
                              Reg::kR12, Reg::kR13, Reg::kR14, Reg::kR15};
constexpr std::array kXmms = {Xmm::k0, Xmm::k1, Xmm::k7, Xmm::k8, Xmm::k15};

Text name(Reg reg, Width width) {
  static constexpr std::array<const char*, 8> kLow = {"a", "c", "d", "b", "sp", "bp", "si", "di"};
  const auto number = static_cast<unsigned>(reg);
  if (number >= 8) {
    static constexpr std::array kSuffix = {"b", "w", "d", ""};
    return fmt::format("r{}{}", number, kSuffix[static_cast<size_t>(width)]);
  }
  const Text stem = kLow[number];
  const Text word = number < 4 ? stem + "x" : stem;
  switch (width) {
    case Width::k8:
      return stem + "l";
    case Width::k16:
      return word;
    case Width::k32:
      return "e" + word;
    case Width::k64:
      return "r" + word;
  }
  return {};
}
Text q(Reg reg) {
  return name(reg, Width::k64);
}
Text d(Reg reg) {
  return name(reg, Width::k32);
}
Text b(Reg reg) {
  return name(reg, Width::k8);
}
Text x(Xmm reg) {
  return fmt::format("xmm{}", static_cast<unsigned>(reg));
}

Text displacement(int32_t value) {
  return value < 0 ? fmt::format("-{:#x}", -int64_t{value}) : fmt::format("+{:#x}", value);
}

struct Place {
  Mem mem;
  Text text;  // without its width
};

std::vector<Place> all_places() {
  std::vector<Place> places;
  for (const Reg base : kRegs) {
    for (const int32_t offset : {0, 8, 127, -128, 128, -129, 0x12345678, -0x12345678}) {
      // Where the encoding has a displacement of zero, objdump shows it.
      const bool shows = offset != 0 || base == Reg::kRbp || base == Reg::kR13;
      places.push_back(
          {at(base, offset), fmt::format("[{}{}]", q(base), shows ? displacement(offset) : "")});
    }
    for (const Reg index : kRegs) {
      if (index == Reg::kRsp) continue;
      const unsigned scale = static_cast<unsigned>(index) % 4;
      for (const int32_t offset : {0, 64, 0x1000}) {
        const bool shows = offset != 0 || base == Reg::kRbp || base == Reg::kR13;
        places.push_back({at(base, index, scale, offset),
                          fmt::format("[{}+{}*{}{}]", q(base), q(index), 1 << scale,
                                      shows ? displacement(offset) : "")});
      }
    }
  }
  for (const uint32_t address : {0u, 0x40u, 0x1000u, 0x7fffffffu}) {
    places.push_back({at_absolute(address), fmt::format("ds:{:#x}", address)});
  }
  return places;
}
const std::vector<Place> kPlaces = all_places();
// One of each kind, for what shares its encoding with others.
const std::vector<Place> kFewPlaces = {
    {at(Reg::kRax), "[rax]"},
    {at(Reg::kRsp, 8), "[rsp+0x8]"},
    {at(Reg::kRbp), "[rbp+0x0]"},
    {at(Reg::kRbp, -8), "[rbp-0x8]"},
    {at(Reg::kR12), "[r12]"},
    {at(Reg::kR13), "[r13+0x0]"},
    {at(Reg::kR15, 0x1000), "[r15+0x1000]"},
    {at(Reg::kR14, Reg::kRcx, 0, 0x100), "[r14+rcx*1+0x100]"},
    {at(Reg::kRcx, Reg::kR9, 3), "[rcx+r9*8]"},
    {at_absolute(0x7654320), "ds:0x7654320"},
};

Text sized(const char* width, const Place& place) {
  return fmt::format("{} PTR {}", width, place.text);
}

// An immediate, sign-extended to the operand.
Text immediate(int32_t value, Width width) {
  return width == Width::k64 ? fmt::format("{:#x}", static_cast<uint64_t>(int64_t{value}))
                             : fmt::format("{:#x}", static_cast<uint32_t>(value));
}

struct NamedCondition {
  Cond condition;
  const char* name;
};
constexpr std::array<NamedCondition, 15> kConditions = {{{Cond::kOverflow, "o"},
                                                         {Cond::kBelow, "b"},
                                                         {Cond::kNotBelow, "ae"},
                                                         {Cond::kEqual, "e"},
                                                         {Cond::kNotEqual, "ne"},
                                                         {Cond::kNotAbove, "be"},
                                                         {Cond::kAbove, "a"},
                                                         {Cond::kSign, "s"},
                                                         {Cond::kNotSign, "ns"},
                                                         {Cond::kParity, "p"},
                                                         {Cond::kNoParity, "np"},
                                                         {Cond::kLess, "l"},
                                                         {Cond::kNotLess, "ge"},
                                                         {Cond::kNotGreater, "le"},
                                                         {Cond::kGreater, "g"}}};
struct NamedAlu {
  Alu operation;
  const char* name;
};
constexpr std::array<NamedAlu, 6> kAlu = {{{Alu::kAdd, "add"},
                                           {Alu::kOr, "or"},
                                           {Alu::kAnd, "and"},
                                           {Alu::kSub, "sub"},
                                           {Alu::kXor, "xor"},
                                           {Alu::kCmp, "cmp"}}};
struct NamedShift {
  Shift operation;
  const char* name;
};
constexpr std::array<NamedShift, 5> kShifts = {{{Shift::kRol, "rol"},
                                                {Shift::kRor, "ror"},
                                                {Shift::kShl, "shl"},
                                                {Shift::kShr, "shr"},
                                                {Shift::kSar, "sar"}}};

// --- Emitting, and comparing at the end

// A temporary file, gone with it.
class CodeFile {
 public:
  explicit CodeFile(std::span<const std::byte> bytes) {
    std::string pattern = (std::filesystem::temp_directory_path() / "lockstep-XXXXXX").string();
    directory_ = ::mkdtemp(pattern.data());
    std::ofstream file(path(), std::ios::binary);
    for (const std::byte byte : bytes) file.put(static_cast<char>(byte));
    EXPECT_TRUE(file.flush());
  }
  ~CodeFile() { std::filesystem::remove_all(directory_); }
  CodeFile(const CodeFile&) = delete;
  CodeFile& operator=(const CodeFile&) = delete;
  std::string path() const { return (directory_ / "code").string(); }

 private:
  std::filesystem::path directory_;
};

// Single spaces, none at the end, and no comment: "mov    rax,rbx" is "mov rax,rbx".
Text tidy(std::string_view line) {
  Text result;
  for (const char c : line.substr(0, line.find('#'))) {
    if (c == ' ' && (result.empty() || result.back() == ' ')) continue;
    result.push_back(c);
  }
  while (!result.empty() && result.back() == ' ') result.pop_back();
  return result;
}

std::map<uint32_t, Text> disassemble(std::span<const std::byte> bytes,
                                     uint32_t address = kAddress) {
  const CodeFile file(bytes);
  std::map<uint32_t, Text> lines;
  const auto done = posix::run_command(
      {"objdump", "-D", "-b", "binary", "-mi386:x86-64", "-Mintel", "--no-show-raw-insn",
       fmt::format("--adjust-vma={:#x}", address), file.path()},
      {.environment = {{"LC_ALL", "C"}}, .on_output_line = [&](std::string_view line) {
         const size_t colon = line.find(":\t");
         if (colon == std::string_view::npos) return;
         const Text start(line.substr(0, colon));
         lines[static_cast<uint32_t>(std::stoul(start, nullptr, 16))] =
             tidy(line.substr(colon + 2));
       }});
  if (!done) {
    ADD_FAILURE() << done.error().text();
  } else {
    EXPECT_EQ(done->exit_code, 0) << done->output;
  }
  return lines;
}

class AssemblerTest : public testing::Test {
 protected:
  AssemblerTest() : space_(kSpace), code({space_, kAddress}, {}) {}

  // One instruction, and its text.
  void expect(const Text& text, const std::function<void()>& emit) {
    const uint32_t start = code.here();
    emit();
    cases_.push_back({start, text});
  }
  void compare() {
    ASSERT_TRUE(code.ok());
    ASSERT_FALSE(cases_.empty());
    const uint32_t end = code.here();
    const auto lines = disassemble(std::span(space_).first(code.main_size()));
    for (size_t i = 0; i < cases_.size(); ++i) {
      const auto line = lines.find(cases_[i].start);
      ASSERT_NE(line, lines.end())
          << "no instruction starts where this one does: " << cases_[i].text;
      ASSERT_EQ(line->second, cases_[i].text);
      // It is one instruction, and as long as what was emitted.
      const auto next = std::next(line);
      const uint32_t expected_end = i + 1 < cases_.size() ? cases_[i + 1].start : end;
      ASSERT_EQ(next == lines.end() ? end : next->first, expected_end) << cases_[i].text;
    }
  }

 private:
  struct Case {
    uint32_t start;
    Text text;
  };
  std::vector<std::byte> space_;
  std::vector<Case> cases_;

 protected:
  Assembler code;
};

TEST_F(AssemblerTest, MovesBetweenRegisters) {
  for (const Reg to : kRegs) {
    for (const Reg from : kRegs) {
      expect("mov " + q(to) + "," + q(from), [&] { code.mov(to, from); });
      expect("mov " + d(to) + "," + d(from), [&] { code.mov_l(to, from); });
      expect("movsxd " + q(to) + "," + d(from), [&] { code.movsxd(to, from); });
      expect("movzx " + d(to) + "," + b(from), [&] { code.movzx_b(to, from); });
      expect("movzx " + d(to) + "," + name(from, Width::k16), [&] { code.movzx_w(to, from); });
      expect("movsx " + q(to) + "," + b(from), [&] { code.movsx_b(to, from); });
      expect("movsx " + q(to) + "," + name(from, Width::k16), [&] { code.movsx_w(to, from); });
      // With rax it has a form of its own, which is not used: objdump names the second first.
      expect("xchg " + q(from) + "," + q(to), [&] { code.xchg(to, from); });
      for (const auto& [condition, suffix] : kConditions) {
        expect(fmt::format("cmov{} {},{}", suffix, q(to), q(from)),
               [&] { code.cmov(condition, to, from); });
      }
    }
  }
  compare();
}

TEST_F(AssemblerTest, ReachesEveryPlaceInMemory) {
  for (const Place& place : kPlaces) {
    for (const Reg reg : {Reg::kRax, Reg::kRsi, Reg::kR13}) {
      expect("mov " + q(reg) + "," + sized("QWORD", place), [&] { code.mov(reg, place.mem); });
      expect("movzx " + d(reg) + "," + sized("WORD", place), [&] { code.movzx_w(reg, place.mem); });
      expect("mov " + sized("BYTE", place) + "," + b(reg), [&] { code.mov_b(place.mem, reg); });
    }
    expect("movsd xmm9," + sized("QWORD", place), [&] { code.movsd(Xmm::k9, place.mem); });
  }
  compare();
}

TEST_F(AssemblerTest, LoadsAndStores) {
  for (const Place& place : kFewPlaces) {
    const Text byte = sized("BYTE", place);
    const Text half = sized("WORD", place);
    const Text word = sized("DWORD", place);
    const Text wide = sized("QWORD", place);
    for (const Reg reg : kRegs) {
      const Mem& mem = place.mem;
      expect("mov " + q(reg) + "," + wide, [&] { code.mov(reg, mem); });
      expect("mov " + d(reg) + "," + word, [&] { code.mov_l(reg, mem); });
      expect("mov " + wide + "," + q(reg), [&] { code.mov(mem, reg); });
      expect("mov " + word + "," + d(reg), [&] { code.mov_l(mem, reg); });
      expect("mov " + half + "," + name(reg, Width::k16), [&] { code.mov_w16(mem, reg); });
      expect("mov " + byte + "," + b(reg), [&] { code.mov_b(mem, reg); });
      expect("movzx " + d(reg) + "," + byte, [&] { code.movzx_b(reg, mem); });
      expect("movzx " + d(reg) + "," + half, [&] { code.movzx_w(reg, mem); });
      expect("movsx " + q(reg) + "," + byte, [&] { code.movsx_b(reg, mem); });
      expect("movsx " + q(reg) + "," + half, [&] { code.movsx_w(reg, mem); });
      expect("movsxd " + q(reg) + "," + word, [&] { code.movsxd(reg, mem); });
      expect("lea " + q(reg) + "," + place.text, [&] { code.lea(reg, mem); });
      expect("lea " + d(reg) + "," + place.text, [&] { code.lea_l(reg, mem); });
    }
  }
  compare();
}

TEST_F(AssemblerTest, Immediates) {
  for (const Reg reg : kRegs) {
    for (const uint64_t value : {uint64_t{0}, uint64_t{1}, uint64_t{0x7fffffff},
                                 uint64_t{0x80000000}, uint64_t{0xffffffff}}) {
      expect(fmt::format("mov {},{:#x}", d(reg), value), [&] { code.mov_imm(reg, value); });
    }
    for (const uint64_t value : {~uint64_t{0}, ~uint64_t{0x7fffffff}}) {
      expect(fmt::format("mov {},{:#x}", q(reg), value), [&] { code.mov_imm(reg, value); });
    }
    for (const uint64_t value :
         {uint64_t{0x100000000}, ~uint64_t{0x80000000}, uint64_t{0x123456789abcdef0}}) {
      expect(fmt::format("movabs {},{:#x}", q(reg), value), [&] { code.mov_imm(reg, value); });
    }
    expect("xor " + d(reg) + "," + d(reg), [&] { code.zero(reg); });
  }
  for (const Place& place : kFewPlaces) {
    expect("mov " + sized("BYTE", place) + ",0xfe", [&] { code.mov_b_imm(place.mem, 0xfe); });
    expect("mov " + sized("DWORD", place) + ",0x89abcdef",
           [&] { code.mov_l_imm(place.mem, 0x89abcdef); });
    for (const int32_t value : {1, -2, 0x12345678}) {
      expect("mov " + sized("QWORD", place) + "," + immediate(value, Width::k64),
             [&] { code.mov_imm(place.mem, value); });
    }
    expect("cmp " + sized("BYTE", place) + ",0x7", [&] { code.cmp_b_imm(place.mem, 7); });
    expect("bt " + sized("DWORD", place) + ",0x1f", [&] { code.bt_imm(place.mem, 31); });
  }
  compare();
}

TEST_F(AssemblerTest, Arithmetic) {
  for (const auto& [operation, text] : kAlu) {
    const Text op = Text(text) + " ";
    for (const Reg to : kRegs) {
      for (const Reg from : kRegs) {
        expect(op + q(to) + "," + q(from), [&] { code.alu(operation, to, from); });
        expect(op + d(to) + "," + d(from), [&] { code.alu_l(operation, to, from); });
      }
      for (const int32_t value : {0, 127, -128, 128, -129, 0x7fffffff}) {
        expect(op + q(to) + "," + immediate(value, Width::k64),
               [&] { code.alu_imm(operation, to, value); });
        expect(op + d(to) + "," + immediate(value, Width::k32),
               [&] { code.alu_l_imm(operation, to, value); });
      }
      for (const Place& place : kFewPlaces) {
        const Text wide = sized("QWORD", place);
        expect(op + q(to) + "," + wide, [&] { code.alu(operation, to, place.mem); });
        expect(op + d(to) + "," + sized("DWORD", place),
               [&] { code.alu_l(operation, to, place.mem); });
        expect(op + wide + "," + q(to), [&] { code.alu(operation, place.mem, to); });
      }
    }
    for (const Place& place : kFewPlaces) {
      for (const int32_t value : {127, -128, 128, -0x12345678}) {
        expect(op + sized("QWORD", place) + "," + immediate(value, Width::k64),
               [&] { code.alu_imm(operation, place.mem, value); });
        expect(op + sized("DWORD", place) + "," + immediate(value, Width::k32),
               [&] { code.alu_l_imm(operation, place.mem, value); });
      }
    }
  }
  compare();
}

TEST_F(AssemblerTest, TestsAndMultipliesAndDivides) {
  for (const Reg to : kRegs) {
    for (const Reg from : kRegs) {
      expect("test " + q(to) + "," + q(from), [&] { code.test(to, from); });
      expect("test " + d(to) + "," + d(from), [&] { code.test_l(to, from); });
      expect("imul " + q(to) + "," + q(from), [&] { code.imul(to, from); });
      expect("imul " + d(to) + "," + d(from), [&] { code.imul_l(to, from); });
    }
    expect("test " + d(to) + ",0x80000001", [&] { code.test_imm(to, 0x80000001); });
    for (const int32_t value : {7, -4096 | 3}) {
      expect("test " + q(to) + "," + immediate(value, Width::k64),
             [&] { code.test_sign_extended(to, value); });
    }
    expect("neg " + q(to), [&] { code.neg(to); });
    expect("neg " + d(to), [&] { code.neg_l(to); });
    expect("not " + q(to), [&] { code.not_(to); });
    expect("mul " + q(to), [&] { code.mul_wide(to); });
    expect("imul " + q(to), [&] { code.imul_wide(to); });
    expect("div " + q(to), [&] { code.div(to); });
    expect("idiv " + q(to), [&] { code.idiv(to); });
    expect("div " + d(to), [&] { code.div_l(to); });
    expect("idiv " + d(to), [&] { code.idiv_l(to); });
    expect("bswap " + q(to), [&] { code.bswap(to); });
    for (const auto& [condition, suffix] : kConditions) {
      expect(fmt::format("set{} {}", suffix, b(to)), [&] { code.setcc(condition, to); });
    }
  }
  expect("cqo", [&] { code.cqo(); });
  expect("cdq", [&] { code.cdq(); });
  compare();
}

TEST_F(AssemblerTest, ShiftsAndBits) {
  for (const Reg to : kRegs) {
    for (const auto& [operation, text] : kShifts) {
      const Text op = Text(text) + " ";
      for (const uint8_t count : {uint8_t{1}, uint8_t{31}, uint8_t{63}}) {
        expect(fmt::format("{}{},{:#x}", op, q(to), count),
               [&] { code.shift_imm(operation, to, count); });
      }
      expect(op + d(to) + ",0x1f", [&] { code.shift_l_imm(operation, to, 31); });
      expect(op + q(to) + ",cl", [&] { code.shift_cl(operation, to); });
      expect(op + d(to) + ",cl", [&] { code.shift_l_cl(operation, to); });
    }
    for (const Reg from : kRegs) {
      const Text wide = q(to) + "," + q(from);
      const Text narrow = d(to) + "," + d(from);
      expect("bts " + wide, [&] { code.bts(to, from); });
      expect("btr " + wide, [&] { code.btr(to, from); });
      expect("btc " + wide, [&] { code.btc(to, from); });
      expect("bt " + wide, [&] { code.bt(to, from); });
      expect("bsr " + wide, [&] { code.bsr(to, from); });
      expect("bsf " + wide, [&] { code.bsf(to, from); });
      expect("lzcnt " + wide, [&] { code.lzcnt(to, from); });
      expect("tzcnt " + wide, [&] { code.tzcnt(to, from); });
      expect("popcnt " + wide, [&] { code.popcnt(to, from); });
      expect("lzcnt " + narrow, [&] { code.lzcnt_l(to, from); });
      expect("tzcnt " + narrow, [&] { code.tzcnt_l(to, from); });
      expect("popcnt " + narrow, [&] { code.popcnt_l(to, from); });
      for (const Reg third : {Reg::kRcx, Reg::kRsp, Reg::kRdi, Reg::kR8, Reg::kR15}) {
        const Text three = wide + "," + q(third);
        const Text three_narrow = narrow + "," + d(third);
        expect("andn " + three, [&] { code.andn(to, from, third); });
        expect("shlx " + three, [&] { code.shlx(true, to, from, third); });
        expect("shrx " + three, [&] { code.shrx(true, to, from, third); });
        expect("sarx " + three, [&] { code.sarx(true, to, from, third); });
        expect("shlx " + three_narrow, [&] { code.shlx(false, to, from, third); });
        expect("shrx " + three_narrow, [&] { code.shrx(false, to, from, third); });
        expect("sarx " + three_narrow, [&] { code.sarx(false, to, from, third); });
      }
    }
  }
  compare();
}

TEST_F(AssemblerTest, FloatingPoint) {
  struct Operation {
    uint8_t prefix;
    uint8_t opcode;
    const char* name;
    const char* width;
  };
  constexpr std::array<Operation, 18> kOperations = {{{0xf2, 0x51, "sqrtsd", "QWORD"},
                                                      {0xf3, 0x51, "sqrtss", "DWORD"},
                                                      {0xf2, 0x58, "addsd", "QWORD"},
                                                      {0xf3, 0x58, "addss", "DWORD"},
                                                      {0xf2, 0x59, "mulsd", "QWORD"},
                                                      {0xf3, 0x59, "mulss", "DWORD"},
                                                      {0xf2, 0x5c, "subsd", "QWORD"},
                                                      {0xf3, 0x5c, "subss", "DWORD"},
                                                      {0xf2, 0x5e, "divsd", "QWORD"},
                                                      {0xf3, 0x5e, "divss", "DWORD"},
                                                      {0xf2, 0x5a, "cvtsd2ss", "QWORD"},
                                                      {0xf3, 0x5a, "cvtss2sd", "DWORD"},
                                                      {0x66, 0x2e, "ucomisd", "QWORD"},
                                                      {0, 0x2e, "ucomiss", "DWORD"},
                                                      {0x66, 0x2f, "comisd", "QWORD"},
                                                      {0, 0x2f, "comiss", "DWORD"},
                                                      {0x66, 0x57, "xorpd", "XMMWORD"},
                                                      {0, 0x54, "andps", "XMMWORD"}}};
  for (const Xmm to : kXmms) {
    for (const Operation& operation : kOperations) {
      const Text op = Text(operation.name) + " " + x(to) + ",";
      for (const Xmm from : kXmms) {
        expect(op + x(from), [&] { code.sse(operation.prefix, operation.opcode, to, from); });
      }
      for (const Place& place : kFewPlaces) {
        expect(op + sized(operation.width, place),
               [&] { code.sse(operation.prefix, operation.opcode, to, place.mem); });
      }
    }
    for (const Place& place : kFewPlaces) {
      const Text wide = sized("QWORD", place);
      const Text word = sized("DWORD", place);
      expect("movsd " + x(to) + "," + wide, [&] { code.movsd(to, place.mem); });
      expect("movss " + x(to) + "," + word, [&] { code.movss(to, place.mem); });
      expect("movsd " + wide + "," + x(to), [&] { code.movsd(place.mem, to); });
      expect("movups " + sized("XMMWORD", place) + "," + x(to),
             [&] { code.movups(place.mem, to); });
      expect("movss " + word + "," + x(to), [&] { code.movss(place.mem, to); });
      expect("ldmxcsr " + word, [&] { code.ldmxcsr(place.mem); });
      expect("stmxcsr " + word, [&] { code.stmxcsr(place.mem); });
    }
    for (const Xmm from : kXmms) {
      expect("movaps " + x(to) + "," + x(from), [&] { code.movaps(to, from); });
      struct Fused {
        uint8_t opcode;
        const char* name;
      };
      for (const Fused& fused : {Fused{0xa9, "vfmadd213"}, Fused{0xab, "vfmsub213"},
                                 Fused{0xad, "vfnmadd213"}, Fused{0xaf, "vfnmsub213"}}) {
        for (const Xmm third : kXmms) {
          const Text operands = " " + x(to) + "," + x(from) + "," + x(third);
          expect(Text(fused.name) + "sd" + operands,
                 [&] { code.vex_fused(fused.opcode, true, to, from, third); });
          expect(Text(fused.name) + "ss" + operands,
                 [&] { code.vex_fused(fused.opcode, false, to, from, third); });
        }
      }
    }
    for (const Reg reg : kRegs) {
      expect("movd " + x(to) + "," + d(reg), [&] { code.movd(to, reg); });
      expect("movq " + x(to) + "," + q(reg), [&] { code.movq(to, reg); });
      expect("movd " + d(reg) + "," + x(to), [&] { code.movd(reg, to); });
      expect("movq " + q(reg) + "," + x(to), [&] { code.movq(reg, to); });
      for (const bool wide : {false, true}) {
        const Text integer = wide ? q(reg) : d(reg);
        for (const auto& [prefix, format] : {std::pair{0xf2, "sd"}, std::pair{0xf3, "ss"}}) {
          const auto number = static_cast<uint8_t>(prefix);
          expect(fmt::format("cvtsi2{} {},{}", format, x(to), integer),
                 [&] { code.cvt_from_integer(number, wide, to, reg); });
          expect(fmt::format("cvt{}2si {},{}", format, integer, x(to)),
                 [&] { code.cvt_to_integer(number, wide, false, reg, to); });
          expect(fmt::format("cvtt{}2si {},{}", format, integer, x(to)),
                 [&] { code.cvt_to_integer(number, wide, true, reg, to); });
        }
      }
    }
  }
  compare();
}

TEST_F(AssemblerTest, Control) {
  for (const Reg reg : kRegs) {
    expect("jmp " + q(reg), [&] { code.jmp(reg); });
    expect("call " + q(reg), [&] { code.call(reg); });
    expect("push " + q(reg), [&] { code.push(reg); });
    expect("pop " + q(reg), [&] { code.pop(reg); });
  }
  for (const uint32_t target : {kAddress, kAddress + 0x200000}) {
    expect(fmt::format("jmp {:#x}", target), [&] { code.jmp_to(target); });
    expect(fmt::format("call {:#x}", target), [&] { code.call_to(target); });
    for (const auto& [condition, suffix] : kConditions) {
      expect(fmt::format("j{} {:#x}", suffix, target), [&] { code.jcc_to(condition, target); });
    }
  }
  expect("ret", [&] { code.ret(); });
  expect("ud2", [&] { code.trap(); });
  compare();
}

// --- Labels, areas, and the ends of areas

// A main area and a cold one of a few hundred bytes, with bytes around them that nobody writes.
class Areas {
 public:
  static constexpr std::byte kUntouched{0x5a};
  static constexpr size_t kMargin = 32;

  Areas(size_t main_size, size_t cold_size)
      : main_size_(main_size),
        cold_size_(cold_size),
        bytes_(main_size + cold_size + 3 * kMargin, kUntouched) {}

  Assembler assembler() { return {area(kMargin, main_size_), area(cold_start(), cold_size_)}; }
  uint32_t main_address() const { return kAddress + kMargin; }
  uint32_t cold_address() const { return kAddress + static_cast<uint32_t>(cold_start()); }
  std::span<const std::byte> bytes() const { return bytes_; }
  bool margins_untouched() const {
    const auto untouched = [this](size_t start) {
      return std::ranges::all_of(std::span(bytes_).subspan(start, kMargin),
                                 [](std::byte byte) { return byte == kUntouched; });
    };
    return untouched(0) && untouched(kMargin + main_size_) && untouched(cold_start() + cold_size_);
  }

 private:
  size_t cold_start() const { return 2 * kMargin + main_size_; }
  CodeArea area(size_t offset, size_t size) {
    return {std::span(bytes_).subspan(offset, size), kAddress + static_cast<uint32_t>(offset)};
  }

  size_t main_size_;
  size_t cold_size_;
  std::vector<std::byte> bytes_;
};

constexpr size_t kRoom = 256;

TEST(AssemblerLabels, LeadForwardsAndBackwardsInAndAcrossTheAreas) {
  Areas areas(kRoom, kRoom);
  Assembler code = areas.assembler();
  Label back;
  Label forward;
  Label cold;
  Label in_cold_only;
  std::map<uint32_t, std::pair<Text, const Label*>> jumps;
  std::map<const Label*, uint32_t> places;
  const auto jump = [&](Label& label) {
    jumps[code.here()] = {"jmp", &label};
    code.jmp(label);
  };
  const auto jump_if = [&](Cond condition, const char* name, Label& label) {
    jumps[code.here()] = {name, &label};
    code.jcc(condition, label);
  };
  const auto bind = [&](Label& label) {
    places[&label] = code.here();
    code.bind(label);
  };
  EXPECT_FALSE(forward.used());
  EXPECT_FALSE(back.bound());
  bind(back);
  EXPECT_TRUE(back.bound());
  jump(forward);
  EXPECT_TRUE(forward.used());
  jump_if(Cond::kEqual, "je", forward);
  jump(cold);
  jump_if(Cond::kNotLess, "jge", forward);
  jump(back);
  jump_if(Cond::kParity, "jp", cold);
  bind(forward);
  code.ret();
  const size_t main_size = code.main_size();
  code.begin_cold();
  EXPECT_EQ(code.here(), areas.cold_address());
  jump_if(Cond::kAbove, "ja", in_cold_only);
  bind(cold);
  jump(back);
  jump_if(Cond::kSign, "js", forward);
  jump_if(Cond::kOverflow, "jo", cold);
  bind(in_cold_only);
  code.ret();
  ASSERT_TRUE(code.ok());
  EXPECT_EQ(code.main_size(), main_size);
  EXPECT_EQ(code.cold_size(), code.here() - areas.cold_address());

  const uint32_t main_offset = areas.main_address() - kAddress;
  const uint32_t cold_offset = areas.cold_address() - kAddress;
  std::map<uint32_t, Text> lines;
  // By area: what lies between them is no code.
  for (const auto& [offset, size] :
       {std::pair{main_offset, code.main_size()}, std::pair{cold_offset, code.cold_size()}}) {
    for (const auto& [at, text] :
         disassemble(areas.bytes().subspan(offset, size), kAddress + offset)) {
      lines[at] = text;
    }
  }
  for (const auto& [place, expected] : jumps) {
    EXPECT_EQ(lines[place], fmt::format("{} {:#x}", expected.first, places.at(expected.second)));
  }
}

TEST(AssemblerLabelsDeathTest, AreBoundOnce) {
  Areas areas(kRoom, kRoom);
  Assembler code = areas.assembler();
  Label label;
  code.bind(label);
  EXPECT_DEATH(code.bind(label), "CHECK");
}

TEST(AssemblerDeathTest, RspIsNoIndex) {
  Areas areas(kRoom, kRoom);
  Assembler code = areas.assembler();
  EXPECT_DEATH(code.mov(Reg::kRax, at(Reg::kRax, Reg::kRsp, 0)), "CHECK");
}

TEST(AssemblerAreas, WhatDoesNotFitIsNotWrittenBeyondTheEnd) {
  const std::vector<std::function<void(Assembler&)>> kinds = {
      [](Assembler& code) { code.ret(); },
      [](Assembler& code) { code.mov_imm(Reg::kR9, 0x123456789abcdef0); },
      [](Assembler& code) { code.mov_imm(at(Reg::kRsp, Reg::kR9, 2, 0x1000), 7); },
      [](Assembler& code) { code.alu_imm(Alu::kAdd, at_absolute(0x1000), 0x1000); },
      [](Assembler& code) { code.shlx(true, Reg::kRax, Reg::kRcx, Reg::kRdx); },
      [](Assembler& code) { code.jmp_to(kAddress); },
      [](Assembler& code) { code.push(Reg::kR12); },
      [](Assembler& code) {
        Label label;
        code.jcc(Cond::kEqual, label);
        code.mov_l(Reg::kRax, at(Reg::kRcx, 0x40));
        code.bind(label);
      },
  };
  for (size_t kind = 0; kind < kinds.size(); ++kind) {
    Areas wide(kRoom, kRoom);
    Assembler whole = wide.assembler();
    kinds[kind](whole);
    ASSERT_TRUE(whole.ok());
    const size_t length = whole.main_size();
    for (size_t room = 0; room <= length; ++room) {
      Areas main_areas(room, kRoom);
      Assembler in_main = main_areas.assembler();
      kinds[kind](in_main);
      EXPECT_EQ(in_main.ok(), room == length) << "kind " << kind << ", room " << room;
      EXPECT_LE(in_main.main_size(), room);
      in_main.begin_cold();
      in_main.ret();
      EXPECT_EQ(in_main.ok(), room == length) << "the second area does not make good";
      EXPECT_TRUE(main_areas.margins_untouched()) << "kind " << kind << ", room " << room;

      Areas cold_areas(kRoom, room);
      Assembler in_cold = cold_areas.assembler();
      in_cold.begin_cold();
      kinds[kind](in_cold);
      EXPECT_EQ(in_cold.ok(), room == length) << "kind " << kind << ", room " << room;
      EXPECT_TRUE(cold_areas.margins_untouched()) << "kind " << kind << ", room " << room;
    }
  }
}

TEST(AssemblerAreas, AligningEndsAtTheEnd) {
  Areas areas(kRoom, kRoom);
  Assembler code = areas.assembler();
  code.align(16);
  EXPECT_EQ(code.main_size(), 0u);
  code.ret();
  code.align(16);
  EXPECT_EQ(code.main_size(), 16u);
  for (size_t i = 1; i < 16; ++i) {
    EXPECT_EQ(areas.bytes()[Areas::kMargin + i], std::byte{0xcc}) << i;
  }
}

TEST(AssemblerCondition, NegatedIsTheOther) {
  EXPECT_EQ(negated(Cond::kBelow), Cond::kNotBelow);
  EXPECT_EQ(negated(Cond::kNotGreater), Cond::kGreater);
  EXPECT_EQ(negated(negated(Cond::kParity)), Cond::kParity);
}

}  // namespace
}  // namespace lockstep::jit::x64
