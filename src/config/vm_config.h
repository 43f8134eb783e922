// What a VM is: the contents of its configuration file, checked and with defaults filled in.
//
// Made by load_config (config/load.h) from the schema (config/schema.h), which is the source of
// every default, range and explanation. Owner: none (values).
//
// Paths are absolute, except a relative arbiter directory: that one belongs to the VM's state, and
// VmLayout (config/layout.h) places it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "riscv/isa.h"

namespace lockstep::config {

// What the board has virtio-mmio slots for.
inline constexpr size_t kMaxDisks = 4;
inline constexpr size_t kMaxNets = 2;
inline constexpr size_t kMaxForwards = 64;
// Of the translator's code cache, in bytes: with less than the least it would translate the same
// code again and again (a boot of Debian emits some 40 MiB), and the most leaves room for all else
// that lies below 2 GiB (io/posix/code_memory.h).
inline constexpr uint64_t kMinCodeCacheBytes = uint64_t{8} << 20;
inline constexpr uint64_t kMaxCodeCacheBytes = uint64_t{512} << 20;

// What runs the guest's instructions. The names are the same in the file, on the command line and
// in the status.
enum class Engine : uint8_t { kJit, kInterpreter };
inline constexpr std::array<std::string_view, 2> kEngineNames{"jit", "interpreter"};

constexpr std::string_view to_string(Engine engine) {
  return kEngineNames[static_cast<size_t>(engine)];
}
inline constexpr uint64_t kSectorSize = 512;  // bytes (virtio 1.2 §5.2.4)

struct DiskConfig {
  std::string path;  // a raw image, or "nbd://…", "nbd+unix://…"
  bool shared = false;
  bool readonly = false;
  bool operator==(const DiskConfig&) const = default;
};

enum class Protocol : uint8_t { kTcp, kUdp };

struct PortForward {
  Protocol protocol = Protocol::kTcp;
  std::string host_address;  // IPv4, dotted
  uint16_t host_port = 0;    // 0: any free one, which the status shows
  uint16_t guest_port = 0;
  bool operator==(const PortForward&) const = default;
};

struct MacAddress {
  std::array<uint8_t, 6> bytes{};
  bool operator==(const MacAddress&) const = default;
};

enum class NetMode : uint8_t { kUser, kTap, kStream };

struct NetConfig {
  NetMode mode = NetMode::kUser;
  std::optional<MacAddress> mac;  // none: the board's
  std::vector<PortForward> forward;
  bool operator==(const NetConfig&) const = default;
};

enum class ArbiterKind : uint8_t { kDirectory, kEtcd };

struct ArbiterAddress {
  ArbiterKind kind = ArbiterKind::kDirectory;
  std::string location;  // a path or a URL
  bool operator==(const ArbiterAddress&) const = default;
};

struct ProtectionConfig {
  uint64_t backups = 0;
  ArbiterAddress arbiter;
  uint64_t heartbeat_ms = 0;
  uint64_t suspect_after_ms = 0;
  uint64_t start_wait_ms = 0;
  uint64_t target_lag_ms = 0;
  uint64_t max_unacknowledged = 0;  // bytes
  std::optional<Engine> engine_a;   // none: VmConfig::engine
  std::optional<Engine> engine_b;
  bool operator==(const ProtectionConfig&) const = default;
};

struct VmConfig {
  std::string name;
  uint64_t memory = 0;  // bytes
  std::string kernel;
  std::string initrd;    // may be empty
  std::string firmware;  // may be empty
  std::string cmdline;
  riscv::IsaExtensions isa;
  Engine engine = Engine::kJit;
  uint64_t code_cache = 0;  // bytes
  std::vector<DiskConfig> disks;
  std::vector<NetConfig> nets;
  ProtectionConfig protection;
  bool operator==(const VmConfig&) const = default;
};

}  // namespace lockstep::config
