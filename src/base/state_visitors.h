// The four walks over a component's state (base/state_visitor.h): save, restore, digest, list.
//
// Format of saved state, all little-endian, in the order of the walk:
//   enter   blob(component name), varint(index)
//   raw     its bytes
//   blob    varint(length), its bytes
//   leave   nothing
// Field names are not stored: the order is the format, and whoever stores it adds a version.
//
// Owner: the thread that owns the component visited.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"
#include "base/hash.h"
#include "base/state_visitor.h"

namespace lockstep {

// Saves: appends to `out`, which outlives this.
class StateWriter : public StateVisitor {
 public:
  explicit StateWriter(Bytes& out) : out_(out) {}

  void enter(std::string_view component, uint32_t index) override;
  void leave() override {}
  void raw(std::string_view name, std::span<std::byte> bytes) override;
  void blob(std::string_view name, Bytes& bytes, size_t limit) override;

 private:
  Bytes& out_;
};

// Restores from what a StateWriter saved. The input is not trusted: what does not fit fails the
// restore, and from then on no field is changed. After a failure the component's state is part old,
// part new: reset it or drop it.
class StateReader : public StateVisitor {
 public:
  // `saved` outlives this. `object` names where it came from, for the error text.
  StateReader(ByteView saved, std::string object) : in_(saved), object_(std::move(object)) {}

  bool restoring() const override { return true; }
  void enter(std::string_view component, uint32_t index) override;
  void leave() override;
  void raw(std::string_view name, std::span<std::byte> bytes) override;
  void blob(std::string_view name, Bytes& bytes, size_t limit) override;
  void reject(std::string_view name) override;

  // After the walk: kCorrupt when something did not fit, or when bytes are left over.
  Status finish() const;

 private:
  ByteReader in_;
  std::string object_;
  std::vector<std::string> path_;
  std::optional<std::string> failed_field_;
};

// Digests: equal states have equal digests, and unequal ones differ but for chance.
class StateHasher : public StateVisitor {
 public:
  void enter(std::string_view component, uint32_t index) override {
    writer_.enter(component, index);
  }
  void leave() override { writer_.leave(); }
  void raw(std::string_view name, std::span<std::byte> bytes) override { writer_.raw(name, bytes); }
  void blob(std::string_view name, Bytes& bytes, size_t limit) override {
    writer_.blob(name, bytes, limit);
  }

  Hash128 digest() const { return hash128(saved_); }

 private:
  Bytes saved_;
  StateWriter writer_{saved_};
};

// Lists every field under its full name, "virtio-blk[0].queue[0].size".
class StateLister : public StateVisitor {
 public:
  struct Field {
    std::string name;
    Bytes value;
    bool operator==(const Field&) const = default;
  };

  void enter(std::string_view component, uint32_t index) override;
  void leave() override;
  void raw(std::string_view name, std::span<std::byte> bytes) override;
  void blob(std::string_view name, Bytes& bytes, size_t limit) override;

  const std::vector<Field>& fields() const { return fields_; }

 private:
  std::vector<std::string> path_;
  std::vector<Field> fields_;
};

// The first field in which two listed states differ, with both values in hexadecimal; nothing when
// they are equal.
std::optional<std::string> first_difference(const StateLister& left, const StateLister& right);

}  // namespace lockstep
