#include "base/state_visitors.h"

#include <algorithm>
#include <cstring>
#include <fmt/format.h>

#include "base/check.h"

namespace lockstep {
namespace {

constexpr size_t kMaxShownBytes = 32;

std::string joined(const std::vector<std::string>& path, std::string_view name) {
  std::string text;
  for (const std::string& part : path) text += part + ".";
  text += name;
  return text;
}

std::string component_name(std::string_view component, uint32_t index) {
  return fmt::format("{}[{}]", component, index);
}

std::string shown(ByteView value) {
  std::string text = "0x";
  // Little-endian numbers read most naturally from their last byte on.
  const size_t count = std::min(value.size(), kMaxShownBytes);
  for (size_t i = count; i > 0; --i)
    text += fmt::format("{:02x}", std::to_integer<int>(value[i - 1]));
  if (value.size() > count) text += fmt::format("… ({} bytes)", value.size());
  return text;
}

}  // namespace

void StateWriter::enter(std::string_view component, uint32_t index) {
  ByteWriter writer(out_);
  writer.blob(as_byte_view(component));
  writer.varint(index);
}

void StateWriter::raw(std::string_view, std::span<std::byte> bytes) {
  ByteWriter(out_).bytes(bytes);
}

void StateWriter::blob(std::string_view, Bytes& bytes, size_t limit) {
  CHECK(bytes.size() <= limit);
  ByteWriter(out_).blob(bytes);
}

void StateReader::enter(std::string_view component, uint32_t index) {
  path_.push_back(component_name(component, index));
  if (failed_field_) return;
  const ByteView name = in_.blob();
  const uint64_t saved_index = in_.varint();
  if (in_.failed() || as_text(name) != component || saved_index != index) reject("(start)");
}

void StateReader::leave() {
  CHECK(!path_.empty());
  path_.pop_back();
}

void StateReader::raw(std::string_view name, std::span<std::byte> bytes) {
  if (failed_field_) return;
  const ByteView saved = in_.bytes(bytes.size());
  if (in_.failed()) return reject(name);
  std::copy(saved.begin(), saved.end(), bytes.begin());
}

void StateReader::blob(std::string_view name, Bytes& bytes, size_t limit) {
  if (failed_field_) return;
  const ByteView saved = in_.blob();
  if (in_.failed() || saved.size() > limit) return reject(name);
  bytes.assign(saved.begin(), saved.end());
}

void StateReader::reject(std::string_view name) {
  if (!failed_field_) failed_field_ = joined(path_, name);
}

Status StateReader::finish() const {
  if (failed_field_) {
    return fail(ErrorCode::kCorrupt,
                fmt::format("the saved state does not fit this machine at {} in", *failed_field_),
                object_, "restore it with the version and configuration that saved it");
  }
  if (in_.remaining() != 0) {
    return fail(ErrorCode::kCorrupt,
                fmt::format("{} bytes are left over after the saved state in", in_.remaining()),
                object_, "restore it with the version and configuration that saved it");
  }
  return {};
}

void StateLister::enter(std::string_view component, uint32_t index) {
  path_.push_back(component_name(component, index));
}

void StateLister::leave() {
  CHECK(!path_.empty());
  path_.pop_back();
}

void StateLister::raw(std::string_view name, std::span<std::byte> bytes) {
  fields_.push_back({joined(path_, name), Bytes(bytes.begin(), bytes.end())});
}

void StateLister::blob(std::string_view name, Bytes& bytes, size_t) {
  fields_.push_back({joined(path_, name), bytes});
}

std::optional<std::string> first_difference(const StateLister& left, const StateLister& right) {
  const size_t common = std::min(left.fields().size(), right.fields().size());
  for (size_t i = 0; i < common; ++i) {
    const StateLister::Field& a = left.fields()[i];
    const StateLister::Field& b = right.fields()[i];
    if (a.name != b.name) return fmt::format("{} stands where the other has {}", a.name, b.name);
    if (a.value != b.value) {
      return fmt::format("{}: {} against {}", a.name, shown(a.value), shown(b.value));
    }
  }
  if (left.fields().size() != right.fields().size()) {
    const auto& longer = left.fields().size() > common ? left.fields() : right.fields();
    return fmt::format("{} exists on one side only", longer[common].name);
  }
  return std::nullopt;
}

}  // namespace lockstep
