// Reading and writing of little-endian numbers and varints in byte buffers: the one primitive under
// the log, the wire protocols and saved state.
//
// ByteReader never reads past its end: a read that does not fit returns zero and sets failed(),
// which stays set; callers check once, at the end. Owner: none.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace lockstep {

using Bytes = std::vector<std::byte>;
using ByteView = std::span<const std::byte>;

static_assert(std::endian::native == std::endian::little, "the formats are written in host order");

inline ByteView as_byte_view(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

inline std::string_view as_text(ByteView bytes) {
  // SAFETY: char may alias any object; the view borrows `bytes`.
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

class ByteWriter {
 public:
  explicit ByteWriter(Bytes& out) : out_(out) {}

  template <typename T>
    requires std::is_integral_v<T>
  void fixed(T value) {
    std::byte raw[sizeof(T)];
    std::memcpy(raw, &value, sizeof(T));
    out_.insert(out_.end(), raw, raw + sizeof(T));
  }

  // LEB128, 1 to 10 bytes.
  void varint(uint64_t value);
  void bytes(ByteView data) { out_.insert(out_.end(), data.begin(), data.end()); }
  // varint length, then the bytes.
  void blob(ByteView data);

 private:
  Bytes& out_;
};

class ByteReader {
 public:
  explicit ByteReader(ByteView data) : data_(data) {}

  template <typename T>
    requires std::is_integral_v<T>
  T fixed() {
    T value{};
    ByteView raw = bytes(sizeof(T));
    if (raw.size() == sizeof(T)) std::memcpy(&value, raw.data(), sizeof(T));
    return value;
  }

  uint64_t varint();
  ByteView bytes(size_t count);
  ByteView blob();

  size_t remaining() const { return data_.size(); }
  bool failed() const { return failed_; }

 private:
  ByteView data_;
  bool failed_ = false;
};

}  // namespace lockstep
