// What a frame of the log costs, and which compressor pays: the numbers behind docs/formats/log.md
// §7.
//
// Two kinds of payload:
//   packets  Ethernet frames of 100 to 300 bytes as a key-value store receives them: headers that
//            repeat, sequence numbers that grow, keys and values of random letters.
//   disk     reads of 4 to 64 KiB from a file of the host: LOCKSTEP_BENCH_DISK, by default this
//            program itself (machine code and tables).
#include <algorithm>
#include <benchmark/benchmark.h>
#include <cstdlib>
#include <fmt/format.h>
#include <fstream>
#include <iterator>
#include <lz4.h>
#include <random>
#include <string>
#include <zstd.h>

#include "log/entry_codec.h"
#include "log/frame.h"

namespace {

using lockstep::Bytes;
using lockstep::ByteView;
using lockstep::Step;
using namespace lockstep::log;

constexpr size_t kEthernetIpTcpBytes = 14 + 20 + 32;

Bytes key_value_packet(std::mt19937_64& random, uint32_t sequence) {
  static const Bytes headers = [] {
    std::mt19937_64 fixed(7);
    Bytes bytes(kEthernetIpTcpBytes);
    for (std::byte& byte : bytes) byte = static_cast<std::byte>(fixed());
    return bytes;
  }();
  Bytes packet = headers;
  // IP identification and checksum, TCP sequence, acknowledgement, checksum, time stamp.
  for (size_t at : {18u, 19u, 24u, 25u, 50u, 51u, 60u, 61u})
    packet[at] = static_cast<std::byte>(random());
  for (size_t i = 0; i < 4; ++i) {
    packet[38 + i] = static_cast<std::byte>(sequence >> (24 - 8 * i));
    packet[42 + i] = static_cast<std::byte>((sequence * 5) >> (24 - 8 * i));
  }
  const size_t value_size = 1 + random() % 190;
  std::string value(value_size, ' ');
  for (char& letter : value) letter = "0123456789abcdef"[random() % 16];
  const std::string command = fmt::format("*3\r\n$3\r\nSET\r\n$16\r\nkey:{:012}\r\n${}\r\n{}\r\n",
                                          random() % 1'000'000, value_size, value);
  const ByteView text = lockstep::as_byte_view(command);
  packet.insert(packet.end(), text.begin(), text.end());
  return packet;
}

std::vector<Entry> packet_entries(size_t count) {
  std::mt19937_64 random(1);
  std::vector<Entry> entries;
  Step step(0);
  for (size_t i = 0; i < count; ++i) {
    step += random() % 30'000;
    entries.push_back(
        {step, FrameIn{{}, key_value_packet(random, static_cast<uint32_t>(i * 200))}});
  }
  return entries;
}

const Bytes& disk_file() {
  static const Bytes bytes = [] {
    const char* path = std::getenv("LOCKSTEP_BENCH_DISK");
    std::ifstream file(path != nullptr ? path : "/proc/self/exe", std::ios::binary);
    const std::string all{std::istreambuf_iterator<char>(file), {}};
    const ByteView view = lockstep::as_byte_view(all);
    return Bytes(view.begin(), view.end());
  }();
  return bytes;
}

Bytes payload_of(const std::vector<Entry>& entries) {
  Bytes payload;
  Step previous(0);
  for (const Entry& entry : entries) {
    encode_entry(entry, previous, payload);
    previous = entry.step;
  }
  encode_entry({previous, Horizon{}}, previous, payload);
  return payload;
}

// Payloads to compress: many, so that no branch predictor learns one by heart.
std::vector<Bytes> packet_payloads(size_t packets_each) {
  const std::vector<Entry> entries = packet_entries(64 * packets_each);
  std::vector<Bytes> payloads;
  for (size_t i = 0; i < 64; ++i) {
    const auto first = entries.begin() + static_cast<std::ptrdiff_t>(i * packets_each);
    payloads.push_back(payload_of({first, first + static_cast<std::ptrdiff_t>(packets_each)}));
  }
  return payloads;
}

std::vector<Bytes> disk_payloads(size_t bytes_each) {
  std::vector<Bytes> payloads;
  const Bytes& file = disk_file();
  for (size_t at = 0; at + bytes_each <= file.size() && payloads.size() < 64; at += bytes_each) {
    const auto first = file.begin() + static_cast<std::ptrdiff_t>(at);
    payloads.push_back(payload_of(
        {{Step(0), DiskCompletion{{},
                                  1,
                                  DiskStatus::kOk,
                                  true,
                                  {first, first + static_cast<std::ptrdiff_t>(bytes_each)}}}}));
  }
  return payloads;
}

enum class Codec { kLz4, kZstd1 };

size_t compress(Codec codec, ZSTD_CCtx* context, ByteView in, Bytes& out) {
  if (codec == Codec::kZstd1) {
    return ZSTD_compressCCtx(context, out.data(), out.size(), in.data(), in.size(), 1);
  }
  // SAFETY: char may alias any object.
  return static_cast<size_t>(LZ4_compress_default(
      reinterpret_cast<const char*>(in.data()), reinterpret_cast<char*>(out.data()),
      static_cast<int>(in.size()), static_cast<int>(out.size())));
}

size_t decompress(Codec codec, ZSTD_DCtx* context, ByteView in, Bytes& out) {
  if (codec == Codec::kZstd1) {
    return ZSTD_decompressDCtx(context, out.data(), out.size(), in.data(), in.size());
  }
  // SAFETY: char may alias any object.
  return static_cast<size_t>(LZ4_decompress_safe(
      reinterpret_cast<const char*>(in.data()), reinterpret_cast<char*>(out.data()),
      static_cast<int>(in.size()), static_cast<int>(out.size())));
}

void run_codec(benchmark::State& state, Codec codec, const std::vector<Bytes>& payloads,
               bool compressing) {
  if (payloads.empty()) return state.SkipWithError("the file of LOCKSTEP_BENCH_DISK is too small");
  ZSTD_CCtx* compressor = ZSTD_createCCtx();
  ZSTD_DCtx* decompressor = ZSTD_createDCtx();
  Bytes out(ZSTD_compressBound(payloads[0].size() * 2) + 1'024);
  std::vector<Bytes> compressed;
  size_t in_bytes = 0;
  size_t out_bytes = 0;
  for (const Bytes& payload : payloads) {
    const size_t size = compress(codec, compressor, payload, out);
    compressed.emplace_back(out.begin(), out.begin() + static_cast<std::ptrdiff_t>(size));
    in_bytes += payload.size();
    out_bytes += size;
  }
  size_t i = 0;
  for (auto _ : state) {
    const size_t size = compressing ? compress(codec, compressor, payloads[i], out)
                                    : decompress(codec, decompressor, compressed[i], out);
    benchmark::DoNotOptimize(size);
    i = (i + 1) % payloads.size();
  }
  state.counters["in"] = static_cast<double>(in_bytes) / static_cast<double>(payloads.size());
  state.counters["out"] = static_cast<double>(out_bytes) / static_cast<double>(payloads.size());
  state.counters["ratio"] = static_cast<double>(out_bytes) / static_cast<double>(in_bytes);
  ZSTD_freeCCtx(compressor);
  ZSTD_freeDCtx(decompressor);
}

template <Codec kCodec, bool kCompress>
void packets(benchmark::State& state) {
  run_codec(state, kCodec, packet_payloads(static_cast<size_t>(state.range(0))), kCompress);
}
template <Codec kCodec, bool kCompress>
void disk(benchmark::State& state) {
  run_codec(state, kCodec, disk_payloads(static_cast<size_t>(state.range(0)) << 10), kCompress);
}

#define PACKET_COUNTS ->Arg(1)->Arg(2)->Arg(4)->Arg(16)->Arg(64)
#define DISK_KIB ->Arg(4)->Arg(16)->Arg(64)
BENCHMARK(packets<Codec::kLz4, true>) PACKET_COUNTS;
BENCHMARK(packets<Codec::kZstd1, true>) PACKET_COUNTS;
BENCHMARK(packets<Codec::kLz4, false>) PACKET_COUNTS;
BENCHMARK(packets<Codec::kZstd1, false>) PACKET_COUNTS;
BENCHMARK(disk<Codec::kLz4, true>) DISK_KIB;
BENCHMARK(disk<Codec::kZstd1, true>) DISK_KIB;
BENCHMARK(disk<Codec::kLz4, false>) DISK_KIB;
BENCHMARK(disk<Codec::kZstd1, false>) DISK_KIB;

// A frame of `range` packets, from entries to bytes.
void write_frame(benchmark::State& state) {
  std::vector<Entry> entries = packet_entries(static_cast<size_t>(state.range(0)));
  const auto compression = state.range(1) != 0 ? Compression::kWhenItPays : Compression::kNever;
  const uint64_t span = entries.back().step.value;
  FrameWriter writer({}, compression);
  Bytes out;
  for (auto _ : state) {
    out.clear();
    for (Entry& entry : entries) {
      writer.append(entry);
      entry.step += span;
    }
    writer.take(writer.last_step(), out);
    benchmark::DoNotOptimize(out.data());
  }
  state.counters["bytes"] = static_cast<double>(out.size());
}

// The reverse.
void read_frame(benchmark::State& state) {
  const std::vector<Entry> entries = packet_entries(static_cast<size_t>(state.range(0)));
  const auto compression = state.range(1) != 0 ? Compression::kWhenItPays : Compression::kNever;
  constexpr size_t kFrames = 1'000;
  FrameWriter writer({}, compression);
  std::vector<Bytes> frames(kFrames);
  for (Bytes& frame : frames) {
    const Step base = writer.last_step();
    for (Entry entry : entries) {
      entry.step += base.value;
      writer.append(entry);
    }
    writer.take(writer.last_step(), frame);
  }
  FrameReader reader({}, "bench");
  Frame frame;
  size_t i = 0;
  for (auto _ : state) {
    if (i == kFrames) {
      state.PauseTiming();
      reader = FrameReader({}, "bench");
      i = 0;
      state.ResumeTiming();
    }
    reader.append(frames[i++]);
    const auto whole = reader.next(frame);
    if (!whole.has_value() || !*whole) return state.SkipWithError("a frame was refused");
  }
}

BENCHMARK(write_frame)->Args({1, 0})->Args({1, 1})->Args({16, 0})->Args({16, 1});
BENCHMARK(read_frame)->Args({1, 0})->Args({1, 1})->Args({16, 0})->Args({16, 1});

}  // namespace

BENCHMARK_MAIN();
