#include "base/bytes.h"

namespace lockstep {

void ByteWriter::varint(uint64_t value) {
  while (value >= 0x80) {
    out_.push_back(static_cast<std::byte>((value & 0x7f) | 0x80));
    value >>= 7;
  }
  out_.push_back(static_cast<std::byte>(value));
}

void ByteWriter::blob(ByteView data) {
  varint(data.size());
  bytes(data);
}

uint64_t ByteReader::varint() {
  uint64_t value = 0;
  for (unsigned shift = 0; shift < 64; shift += 7) {
    const auto byte = fixed<uint8_t>();
    if (failed_) return 0;
    const uint64_t bits = byte & 0x7f;
    if (shift == 63 && bits > 1) break;  // more than 64 bits
    value |= bits << shift;
    if ((byte & 0x80) == 0) {
      // One number, one encoding: a final zero byte would be a second way to write it.
      if (byte == 0 && shift != 0) break;
      return value;
    }
  }
  failed_ = true;
  data_ = {};
  return 0;
}

ByteView ByteReader::bytes(size_t count) {
  if (count > data_.size()) {
    failed_ = true;
    data_ = {};
    return {};
  }
  ByteView taken = data_.first(count);
  data_ = data_.subspan(count);
  return taken;
}

ByteView ByteReader::blob() {
  const uint64_t size = varint();
  if (failed_ || size > data_.size()) {
    failed_ = true;
    data_ = {};
    return {};
  }
  return bytes(static_cast<size_t>(size));
}

}  // namespace lockstep
