#include "gateway/configuration.h"

#include <algorithm>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <fstream>
#include <initializer_list>
#include <iterator>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "io/gateway_protocol.h"

namespace lockstep::gateway {
namespace {

using nlohmann::json;

// Reads the keys of one JSON object. The first error stays; later reads give defaults.
class ObjectReader {
 public:
  ObjectReader(const json& object, std::string where, std::optional<Error>& error)
      : object_(object), where_(std::move(where)), error_(error) {}

  void allow_only(std::initializer_list<const char*> keys) {
    if (!object_.is_object()) {
      reject("is not an object");
      return;
    }
    for (const auto& [key, value] : object_.items()) {
      if (std::ranges::find(keys, key) == keys.end()) {
        reject(
            fmt::format("has the unknown key \"{}\"; it may have: {}", key, fmt::join(keys, ", ")));
      }
    }
  }

  std::string text(const char* key, bool required) {
    const json* value = find(key, required);
    if (value == nullptr) return {};
    if (value->is_string() && !value->get_ref<const std::string&>().empty()) {
      return value->get<std::string>();
    }
    reject(fmt::format("has a \"{}\" that is not a text of at least one character", key));
    return {};
  }

  bool boolean(const char* key, bool otherwise) {
    const json* value = find(key, false);
    if (value == nullptr) return otherwise;
    if (value->is_boolean()) return value->get<bool>();
    reject(fmt::format("has a \"{}\" that is neither true nor false", key));
    return otherwise;
  }

  DeviceIndex device(const char* key, uint32_t limit) {
    const json* value = find(key, true);
    if (value == nullptr) return {};
    if (value->is_number_unsigned() && value->get<uint64_t>() < limit) {
      return {value->get<uint32_t>()};
    }
    reject(fmt::format("has a \"{}\" that is not a number from 0 to {}", key, limit - 1));
    return {};
  }

  // An empty array when the key is absent or wrong.
  const json& array(const char* key, size_t limit) {
    static const json kNone = json::array();
    const json* value = find(key, false);
    if (value == nullptr) return kNone;
    if (value->is_array() && value->size() <= limit) return *value;
    reject(fmt::format("has a \"{}\" that is not an array of at most {}", key, limit));
    return kNone;
  }

  void reject(const std::string& why) {
    if (!error_) {
      error_ = Error{ErrorCode::kInvalid, "cannot use the gateway configuration", where_, why};
    }
  }
  void reject(Error error) {
    if (!error_) error_ = std::move(error);
  }

 private:
  const json* find(const char* key, bool required) {
    if (!object_.is_object()) return nullptr;
    const auto found = object_.find(key);
    if (found != object_.end()) return &*found;
    if (required) reject(fmt::format("lacks the key \"{}\"", key));
    return nullptr;
  }

  const json& object_;
  std::string where_;
  std::optional<Error>& error_;
};

UserNetworkSettings read_nic(ObjectReader reader, const std::string& vm) {
  reader.allow_only({"nic", "forward", "restrict", "host_loopback"});
  UserNetworkSettings settings;
  settings.host_name = vm;
  settings.nic = reader.device("nic", kMaxNics);
  settings.restricted = reader.boolean("restrict", false);
  settings.host_loopback = reader.boolean("host_loopback", true);
  for (const json& text : reader.array("forward", kMaxForwards)) {
    if (!text.is_string()) {
      reader.reject("has a \"forward\" that is not an array of texts");
      break;
    }
    Result<Forward> forward = Forward::parse(text.get<std::string>());
    if (!forward) {
      reader.reject(std::move(forward.error()));
      break;
    }
    settings.forwards.push_back(std::move(*forward));
  }
  return settings;
}

ConsoleConfiguration read_console(ObjectReader reader) {
  reader.allow_only({"port", "socket", "log"});
  return {.port = reader.device("port", kMaxConsolePorts),
          .settings = {.socket_path = reader.text("socket", true),
                       .log_path = reader.text("log", false)}};
}

// Two entries for one device would both be its outside.
template <typename Entry, typename Index>
bool has_twice(const std::vector<Entry>& entries, Index index) {
  for (size_t i = 0; i < entries.size(); ++i) {
    for (size_t j = 0; j < i; ++j) {
      if (index(entries[i]) == index(entries[j])) return true;
    }
  }
  return false;
}

posix::SocketAddress read_address(ObjectReader& reader) {
  Result<posix::SocketAddress> address = posix::SocketAddress::parse(reader.text("socket", true));
  if (!address) {
    reader.reject(std::move(address.error()));
    return {};
  }
  if (address->kind != posix::SocketAddress::Kind::kUnix) {
    reader.reject("has a \"socket\" that is not unix:PATH; a TCP peer could not be checked");
  }
  return *address;
}

}  // namespace

Result<Configuration> parse_configuration(std::string_view text, const std::string& name) {
  const json root = json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (root.is_discarded()) {
    return fail(ErrorCode::kInvalid, "cannot read the gateway configuration", name,
                "it is not JSON");
  }
  std::optional<Error> error;
  ObjectReader reader(root, name, error);
  reader.allow_only({"vm", "socket", "status_socket", "consoles", "nics"});
  Configuration configuration;
  configuration.vm = reader.text("vm", true);
  if (!is_valid_name(configuration.vm)) {
    reader.reject(
        fmt::format("has a \"vm\" that is not 1 to {} printable characters without "
                    "spaces",
                    kMaxNameBytes));
  }
  configuration.socket = read_address(reader);
  configuration.status_socket_path = reader.text("status_socket", true);
  for (const json& console : reader.array("consoles", kMaxConsolePorts)) {
    const std::string where =
        fmt::format("{}, console entry {}", name, configuration.consoles.size());
    configuration.consoles.push_back(read_console(ObjectReader(console, where, error)));
  }
  for (const json& nic : reader.array("nics", kMaxNics)) {
    const std::string where = fmt::format("{}, NIC entry {}", name, configuration.nics.size());
    configuration.nics.push_back(read_nic(ObjectReader(nic, where, error), configuration.vm));
  }
  if (has_twice(configuration.consoles, [](const auto& entry) { return entry.port; })) {
    reader.reject("names a console port twice");
  }
  if (has_twice(configuration.nics, [](const auto& entry) { return entry.nic; })) {
    reader.reject("names a NIC twice");
  }
  if (error) return std::unexpected(std::move(*error));
  return configuration;
}

Result<Configuration> load_configuration(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  if (!file) {
    return fail(ErrorCode::kNotFound, "cannot read the gateway configuration", path,
                "check the path");
  }
  return parse_configuration(text, path);
}

}  // namespace lockstep::gateway
