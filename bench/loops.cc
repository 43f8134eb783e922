#include "loops.h"

#include <algorithm>
#include <cstring>

#include "assembler.h"

namespace lockstep::bench {
namespace {

using riscv::Opcode;

constexpr uint64_t kMebibyte = uint64_t{1} << 20;
constexpr GuestAddress kFirstArea = kLoopRam + kMebibyte;

// int: CRC-32 bit by bit, then the sieve of Eratosthenes.
constexpr uint64_t kCrcBytes = 65536;
constexpr unsigned kCrcRounds = 15;
constexpr uint64_t kCrcPolynomial = 0xEDB88320;
constexpr uint64_t kSieveNumbers = 2'000'000;

// fp: a product of square matrices of double.
constexpr size_t kMatrixRows = 200;
constexpr uint64_t kMatrixRowBytes = kMatrixRows * sizeof(double);
constexpr uint64_t kMatrixBytes = kMatrixRows * kMatrixRowBytes;
constexpr unsigned kMatrixRounds = 2;
constexpr size_t kMatrixProbe = 7 * kMatrixRows + 9;

// mem: copies of a block that no cache holds.
constexpr uint64_t kCopyBytes = 64 * kMebibyte;
constexpr unsigned kCopyRounds = 3;
constexpr uint64_t kCopyProbe = 96;

// ptr: a walk along a random permutation, each step depending on the one before.
constexpr size_t kChaseEntries = size_t{1} << 20;
constexpr unsigned kChaseSteps = 20'000'000;

template <typename T>
Bytes as_bytes_copy(const std::vector<T>& values) {
  const auto view = std::as_bytes(std::span(values));
  return {view.begin(), view.end()};
}

uint64_t sign_extend_word(uint32_t value) {
  return static_cast<uint64_t>(static_cast<int64_t>(static_cast<int32_t>(value)));
}

std::vector<uint8_t> crc_input() {
  std::vector<uint8_t> bytes(kCrcBytes);
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<uint8_t>(i * 7);
  return bytes;
}

uint64_t integer_on_host(const std::vector<uint8_t>& bytes, unsigned rounds) {
  uint32_t sum = 0;
  for (unsigned round = 0; round < rounds; ++round) {
    uint32_t crc = ~uint32_t{0};
    for (const uint8_t byte : bytes) {
      crc ^= byte;
      for (int bit = 0; bit < 8; ++bit) {
        crc = (crc >> 1) ^ (static_cast<uint32_t>(kCrcPolynomial) & (0 - (crc & 1)));
      }
    }
    sum += ~crc;
  }
  std::vector<uint8_t> composite(kSieveNumbers);
  uint32_t primes = 0;
  for (uint64_t i = 2; i < kSieveNumbers; ++i) {
    if (composite[i] != 0) continue;
    ++primes;
    for (uint64_t j = i * i; j < kSieveNumbers; j += i) composite[j] = 1;
  }
  return sign_extend_word(sum) + primes;
}

void emit_crc(Assembler& code) {
  const auto round = code.new_label();
  const auto byte = code.new_label();
  const auto bit = code.new_label();
  code.bind(round);
  code.i(Opcode::kAddi, kT0, kS2, 0);
  code.i(Opcode::kAddi, kT1, kZero, -1);
  code.bind(byte);
  code.load(Opcode::kLbu, kT2, 0, kT0);
  code.i(Opcode::kAddi, kT3, kZero, 8);
  code.i(Opcode::kAddi, kT0, kT0, 1);
  code.r(Opcode::kXor, kT1, kT1, kT2);
  code.bind(bit);
  code.i(Opcode::kAndi, kT2, kT1, 1);
  code.r(Opcode::kSubw, kT2, kZero, kT2);
  code.i(Opcode::kSrliw, kT1, kT1, 1);
  code.r(Opcode::kAnd, kT2, kT2, kT6);
  code.r(Opcode::kXor, kT1, kT1, kT2);
  code.i(Opcode::kAddiw, kT3, kT3, -1);
  code.i(Opcode::kAddiw, kT1, kT1, 0);
  code.branch(Opcode::kBne, kT3, kZero, bit);
  code.branch(Opcode::kBne, kT0, kS3, byte);
  code.r(Opcode::kSubw, kA0, kA0, kT1);
  code.i(Opcode::kAddiw, kS0, kS0, -1);
  code.i(Opcode::kAddiw, kA0, kA0, -1);
  code.branch(Opcode::kBne, kS0, kZero, round);
}

void emit_sieve(Assembler& code) {
  const auto next = code.new_label();
  const auto strike = code.new_label();
  const auto skip = code.new_label();
  code.i(Opcode::kAddi, kT0, kZero, 2);
  code.i(Opcode::kAddi, kT5, kZero, 1);
  code.i(Opcode::kAddi, kA1, kZero, 0);
  code.bind(next);
  code.r(Opcode::kAdd, kT1, kS4, kT0);
  code.load(Opcode::kLbu, kT2, 0, kT1);
  code.branch(Opcode::kBne, kT2, kZero, skip);
  code.r(Opcode::kMul, kT3, kT0, kT0);
  code.i(Opcode::kAddiw, kA1, kA1, 1);
  code.branch(Opcode::kBge, kT3, kS5, skip);
  code.r(Opcode::kAdd, kT4, kS4, kT3);
  code.bind(strike);
  code.store(Opcode::kSb, kT5, 0, kT4);
  code.r(Opcode::kAdd, kT3, kT3, kT0);
  code.r(Opcode::kAdd, kT4, kT4, kT0);
  code.branch(Opcode::kBlt, kT3, kS5, strike);
  code.bind(skip);
  code.i(Opcode::kAddi, kT0, kT0, 1);
  code.branch(Opcode::kBne, kT0, kS5, next);
  code.r(Opcode::kAdd, kA0, kA0, kA1);
}

Loop make_integer_loop(unsigned scale) {
  const unsigned rounds = kCrcRounds * scale;
  const GuestAddress sieve = kFirstArea + kMebibyte;
  Assembler code;
  emit_crc(code);
  emit_sieve(code);
  code.wait_for_interrupt();
  return {.name = "int",
          .code = code.finish(),
          .data = {{kFirstArea, as_bytes_copy(crc_input())}},
          .registers = {{kS0, rounds},
                        {kS2, kFirstArea.value},
                        {kS3, (kFirstArea + kCrcBytes).value},
                        {kS4, sieve.value},
                        {kS5, kSieveNumbers},
                        {kT6, sign_extend_word(static_cast<uint32_t>(kCrcPolynomial))}},
          .native = [rounds, input = crc_input()] { return integer_on_host(input, rounds); }};
}

// Multiples of 1/8 whose products' sums are exact, however they are added up.
struct Matrices {
  std::vector<double> a = std::vector<double>(kMatrixRows * kMatrixRows);
  std::vector<double> b = a;

  Matrices() {
    for (size_t i = 0; i < kMatrixRows; ++i) {
      for (size_t j = 0; j < kMatrixRows; ++j) {
        const auto row = static_cast<double>(i);
        const auto column = static_cast<double>(j);
        a[i * kMatrixRows + j] = row + column * 0.5;
        b[i * kMatrixRows + j] = row * 0.25 - column;
      }
    }
  }
};

uint64_t matrices_on_host(const Matrices& m, unsigned rounds) {
  std::vector<double> c(kMatrixRows * kMatrixRows);
  for (unsigned round = 0; round < rounds; ++round) {
    for (size_t i = 0; i < kMatrixRows; ++i) {
      for (size_t j = 0; j < kMatrixRows; ++j) {
        double sum = 0;
        for (size_t k = 0; k < kMatrixRows; ++k) {
          sum += m.a[i * kMatrixRows + k] * m.b[k * kMatrixRows + j];
        }
        c[i * kMatrixRows + j] += sum;
      }
    }
  }
  uint64_t result = 0;
  std::memcpy(&result, &c[kMatrixProbe], sizeof(result));
  return result;
}

Loop make_matrix_loop(unsigned scale) {
  const unsigned rounds = kMatrixRounds * scale;
  const GuestAddress a = kFirstArea;
  const GuestAddress b = a + kMebibyte;
  const GuestAddress c = b + kMebibyte;
  Assembler code;
  const auto round = code.new_label();
  const auto row = code.new_label();
  const auto cell = code.new_label();
  const auto inner = code.new_label();
  code.bind(round);
  code.i(Opcode::kAddi, kT0, kS2, 0);
  code.i(Opcode::kAddi, kT1, kS4, 0);
  code.bind(row);
  code.i(Opcode::kAddi, kT2, kS3, 0);
  code.bind(cell);
  code.i(Opcode::kAddi, kT3, kT0, 0);
  code.i(Opcode::kAddi, kT4, kT2, 0);
  code.i(Opcode::kFmvDX, kFa5, kZero, 0);
  code.r(Opcode::kAdd, kT5, kT2, kS7);
  code.bind(inner);
  code.load(Opcode::kFld, kFa3, 0, kT3);
  code.load(Opcode::kFld, kFa4, 0, kT4);
  code.i(Opcode::kAddi, kT4, kT4, kMatrixRowBytes);
  code.i(Opcode::kAddi, kT3, kT3, sizeof(double));
  code.fused(Opcode::kFmaddD, kFa5, kFa3, kFa4, kFa5);
  code.branch(Opcode::kBne, kT4, kT5, inner);
  code.load(Opcode::kFld, kFa4, 0, kT1);
  code.i(Opcode::kAddi, kT1, kT1, sizeof(double));
  code.i(Opcode::kAddi, kT2, kT2, sizeof(double));
  code.fused(Opcode::kFaddD, kFa5, kFa4, kFa5, kZero);
  code.store(Opcode::kFsd, kFa5, -int32_t{sizeof(double)}, kT1);
  code.branch(Opcode::kBne, kT2, kS6, cell);
  code.i(Opcode::kAddi, kT0, kT0, kMatrixRowBytes);
  code.branch(Opcode::kBne, kT0, kS5, row);
  code.i(Opcode::kAddiw, kS0, kS0, -1);
  code.branch(Opcode::kBne, kS0, kZero, round);
  code.load(Opcode::kLd, kA0, 0, kS8);
  code.wait_for_interrupt();
  const Matrices matrices;
  return {.name = "fp",
          .code = code.finish(),
          .data = {{a, as_bytes_copy(matrices.a)}, {b, as_bytes_copy(matrices.b)}},
          .registers = {{kS0, rounds},
                        {kS2, a.value},
                        {kS3, b.value},
                        {kS4, c.value},
                        {kS5, (a + kMatrixBytes).value},
                        {kS6, (b + kMatrixRowBytes).value},
                        {kS7, kMatrixBytes},
                        {kS8, (c + kMatrixProbe * sizeof(double)).value}},
          .native = [rounds, matrices] { return matrices_on_host(matrices, rounds); }};
}

std::vector<uint64_t> copy_source() {
  std::vector<uint64_t> words(kCopyBytes / sizeof(uint64_t));
  for (size_t i = 0; i < words.size(); ++i) words[i] = i * 0x9e3779b97f4a7c15;
  return words;
}

Loop make_copy_loop(unsigned scale) {
  const unsigned rounds = kCopyRounds * scale;
  const GuestAddress from = kFirstArea;
  const GuestAddress to = from + kCopyBytes;
  Assembler code;
  const auto round = code.new_label();
  const auto inner = code.new_label();
  code.bind(round);
  code.i(Opcode::kAddi, kT0, kS2, 0);
  code.i(Opcode::kAddi, kT1, kS4, 0);
  code.bind(inner);
  const Reg parts[] = {kT2, kT3, kT4, kT5};
  for (int32_t i = 0; i < 4; ++i) code.load(Opcode::kLd, parts[i], 8 * i, kT0);
  for (int32_t i = 0; i < 4; ++i) code.store(Opcode::kSd, parts[i], 8 * i, kT1);
  code.i(Opcode::kAddi, kT0, kT0, 32);
  code.i(Opcode::kAddi, kT1, kT1, 32);
  code.branch(Opcode::kBne, kT0, kS3, inner);
  code.i(Opcode::kAddiw, kS0, kS0, -1);
  code.branch(Opcode::kBne, kS0, kZero, round);
  code.load(Opcode::kLd, kA0, kCopyProbe, kS4);
  code.wait_for_interrupt();
  const std::vector<uint64_t> source = copy_source();
  return {.name = "mem",
          .code = code.finish(),
          .data = {{from, as_bytes_copy(source)}},
          .registers = {{kS0, rounds},
                        {kS2, from.value},
                        {kS3, (from + kCopyBytes).value},
                        {kS4, to.value}},
          .native = [rounds, source, copy = std::vector<uint64_t>(source.size())]() mutable {
            for (unsigned i = 0; i < rounds; ++i) std::ranges::copy(source, copy.begin());
            return copy[kCopyProbe / sizeof(uint64_t)];
          }};
}

// Fisher and Yates' shuffle, by Marsaglia's xorshift64.
std::vector<uint32_t> chase_table() {
  std::vector<uint32_t> next(kChaseEntries);
  for (uint32_t i = 0; i < next.size(); ++i) next[i] = i;
  uint64_t random = 88172645463325252;
  for (size_t i = next.size() - 1; i > 0; --i) {
    random ^= random << 13;
    random ^= random >> 7;
    random ^= random << 17;
    std::swap(next[i], next[random % i]);
  }
  return next;
}

Loop make_chase_loop(unsigned scale) {
  const unsigned steps = kChaseSteps * scale;
  Assembler code;
  const auto inner = code.new_label();
  code.bind(inner);
  code.i(Opcode::kSlli, kT0, kA0, 2);
  code.r(Opcode::kAdd, kT0, kT0, kS2);
  code.i(Opcode::kAddiw, kS0, kS0, -1);
  code.load(Opcode::kLwu, kA0, 0, kT0);
  code.branch(Opcode::kBne, kS0, kZero, inner);
  code.wait_for_interrupt();
  const std::vector<uint32_t> table = chase_table();
  return {.name = "ptr",
          .code = code.finish(),
          .data = {{kFirstArea, as_bytes_copy(table)}},
          .registers = {{kS0, steps}, {kS2, kFirstArea.value}},
          .native = [steps, table] {
            uint32_t at = 0;
            for (unsigned i = 0; i < steps; ++i) at = table[at];
            return uint64_t{at};
          }};
}

}  // namespace

std::vector<Loop> make_loops(unsigned scale) {
  std::vector<Loop> loops;
  loops.push_back(make_integer_loop(scale));
  loops.push_back(make_matrix_loop(scale));
  loops.push_back(make_copy_loop(scale));
  loops.push_back(make_chase_loop(scale));
  return loops;
}

}  // namespace lockstep::bench
