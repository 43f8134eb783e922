// One list of fields per type serves writing and strict reading of JSON.
//
// A type's list is a function template `visit_fields(fields, value)` that calls
// `fields(name, member)` for each member; FieldWriter and FieldReader are the two visitors.
// Private to this room. Owner: none.
#pragma once

#include <concepts>
#include <cstdint>
#include <fmt/format.h>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace lockstep::api {

using Json = nlohmann::ordered_json;

struct ParseFailure {
  std::string text;  // "replicas[0].state: unknown value \"x\""; empty: none
  bool failed() const { return !text.empty(); }
  void set(std::string_view path, std::string_view problem) {
    if (!failed()) text = fmt::format("{}: {}", path.empty() ? "document" : path, problem);
  }
};

// Specialised by each enumeration that has names.
template <typename Enum>
std::optional<Enum> parse_enum(std::string_view text);

inline Json to_value(const std::string& text) {
  return text;
}
template <typename T>
  requires std::is_arithmetic_v<T>
Json to_value(T number) {
  return number;
}
template <typename T>
  requires std::is_enum_v<T>
Json to_value(T name) {
  return std::string(to_string(name));
}
template <typename T>
Json to_value(const std::optional<T>& value) {
  return value ? to_value(*value) : Json(nullptr);
}
template <typename T>
Json to_value(const std::vector<T>& list) {
  Json out = Json::array();
  for (const T& item : list) out.push_back(to_value(item));
  return out;
}
template <typename T>
Json to_value(const std::map<std::string, T>& map) {
  Json out = Json::object();
  for (const auto& [key, item] : map) out[key] = to_value(item);
  return out;
}

struct FieldWriter {
  Json& out;
  template <typename T>
  void operator()(const char* name, const T& member) {
    out[name] = to_value(member);
  }
};

template <typename T>
  requires requires(const T& value, FieldWriter writer) { visit_fields(writer, value); }
Json to_value(const T& value) {
  Json out = Json::object();
  visit_fields(FieldWriter{out}, value);
  return out;
}

class FieldReader;

inline void from_value(const Json& json, std::string& out, std::string_view path,
                       ParseFailure& failure) {
  if (!json.is_string()) return failure.set(path, "must be a string");
  out = json.get<std::string>();
}
inline void from_value(const Json& json, bool& out, std::string_view path, ParseFailure& failure) {
  if (!json.is_boolean()) return failure.set(path, "must be true or false");
  out = json.get<bool>();
}
template <std::floating_point T>
void from_value(const Json& json, T& out, std::string_view path, ParseFailure& failure) {
  if (!json.is_number()) return failure.set(path, "must be a number");
  out = json.get<T>();
}
template <std::integral T>
void from_value(const Json& json, T& out, std::string_view path, ParseFailure& failure) {
  if (!json.is_number_integer()) return failure.set(path, "must be an integer");
  const bool fits = json.is_number_unsigned() ? std::in_range<T>(json.get<uint64_t>())
                                              : std::in_range<T>(json.get<int64_t>());
  if (!fits) return failure.set(path, "is out of range");
  out = json.get<T>();
}
template <typename T>
  requires std::is_enum_v<T>
void from_value(const Json& json, T& out, std::string_view path, ParseFailure& failure) {
  if (!json.is_string()) return failure.set(path, "must be a string");
  const std::string text = json.get<std::string>();
  const std::optional<T> value = parse_enum<T>(text);
  if (!value) return failure.set(path, fmt::format("unknown value \"{}\"", text));
  out = *value;
}
template <typename T>
  requires requires(T& value, FieldReader& reader) { visit_fields(reader, value); }
void from_value(const Json& json, T& out, std::string_view path, ParseFailure& failure);
template <typename T>
void from_value(const Json& json, std::optional<T>& out, std::string_view path,
                ParseFailure& failure) {
  out.reset();
  if (!json.is_null()) from_value(json, out.emplace(), path, failure);
}
template <typename T>
void from_value(const Json& json, std::vector<T>& out, std::string_view path,
                ParseFailure& failure) {
  if (!json.is_array()) return failure.set(path, "must be an array");
  out.clear();
  for (size_t i = 0; i < json.size(); ++i) {
    from_value(json[i], out.emplace_back(), fmt::format("{}[{}]", path, i), failure);
  }
}
template <typename T>
void from_value(const Json& json, std::map<std::string, T>& out, std::string_view path,
                ParseFailure& failure) {
  if (!json.is_object()) return failure.set(path, "must be an object");
  out.clear();
  for (const auto& [key, item] : json.items()) {
    from_value(item, out[key], fmt::format("{}.{}", path, key), failure);
  }
}

class FieldReader {
 public:
  FieldReader(const Json& json, std::string_view path, ParseFailure& failure)
      : json_(json), path_(path), failure_(failure) {}

  template <typename T>
  void operator()(const char* name, T& member) {
    const std::string path = path_.empty() ? name : fmt::format("{}.{}", path_, name);
    known_.push_back(name);
    const auto found = json_.find(name);
    if (found == json_.end()) return failure_.set(path, "is missing");
    from_value(*found, member, path, failure_);
  }

  void refuse_others() {
    for (const auto& [key, item] : json_.items()) {
      if (std::find(known_.begin(), known_.end(), key) == known_.end()) {
        failure_.set(path_, fmt::format("unknown member \"{}\"", key));
      }
    }
  }

 private:
  const Json& json_;
  std::string_view path_;
  ParseFailure& failure_;
  std::vector<std::string_view> known_;
};

template <typename T>
  requires requires(T& value, FieldReader& reader) { visit_fields(reader, value); }
void from_value(const Json& json, T& out, std::string_view path, ParseFailure& failure) {
  if (!json.is_object()) return failure.set(path, "must be an object");
  FieldReader reader(json, path, failure);
  visit_fields(reader, out);
  reader.refuse_others();
}

}  // namespace lockstep::api
