#include "config/schema.h"

#include <algorithm>
#include <array>
#include <fmt/format.h>

#include "base/check.h"
#include "config/values.h"

namespace lockstep::config {
namespace {

constexpr uint64_t kMiB = uint64_t{1} << 20;
constexpr uint64_t kGiB = uint64_t{1} << 30;

constexpr uint64_t kMinMemory = 64 * kMiB;  // what the board wants (machine/board.h)
constexpr uint64_t kMaxMemory = 64 * kGiB;
constexpr uint64_t kMaxNameLength = 63;       // also a directory's and a host's name
constexpr uint64_t kMaxCmdlineLength = 1023;  // COMMAND_LINE_SIZE of Linux on RISC-V, less the zero
constexpr uint64_t kMaxBackups = 8;
constexpr uint64_t kMaxPeriodMs = 60'000;

constexpr std::array<std::string_view, 3> kNetModeNames{"user", "tap", "stream"};

constexpr std::array kSections{
    SectionFacts{Section::kVm, "", "", false, 1, "The VM itself."},
    SectionFacts{Section::kDisk, "disk", "[[disk]]", true, kMaxDisks,
                 "One table for each disk: /dev/vda, /dev/vdb, … in the guest."},
    SectionFacts{Section::kNet, "net", "[[net]]", true, kMaxNets,
                 "One table for each network interface: eth0, eth1, … in the guest."},
    SectionFacts{Section::kProtection, "protection", "[protection]", false, 1,
                 "How the VM is protected by `lockstep up`."},
};

const SchemaRow kSchema[] = {
    {.section = Section::kVm,
     .key = "name",
     .kind = ValueKind::kName,
     .required = true,
     .min = 1,
     .max = kMaxNameLength,
     .doc = "What the VM is called in commands, in its state directory and by the arbiter.",
     .field = [](VmConfig& c, size_t) { return FieldPointer(&c.name); }},
    {.section = Section::kVm,
     .key = "memory",
     .kind = ValueKind::kSize,
     .default_toml = "\"512M\"",
     .min = kMinMemory,
     .max = kMaxMemory,
     .multiple = kMiB,
     .doc = "The guest's RAM.",
     .field = [](VmConfig& c, size_t) { return FieldPointer(&c.memory); }},
    {.section = Section::kVm,
     .key = "kernel",
     .kind = ValueKind::kPath,
     .doc = "A Linux kernel for RISC-V: an Image, compressed or not. This or firmware.",
     .field = [](VmConfig& c, size_t) { return FieldPointer(&c.kernel); }},
    {.section = Section::kVm,
     .key = "initrd",
     .kind = ValueKind::kPath,
     .doc = "The initial RAM disk that belongs to the kernel.",
     .field = [](VmConfig& c, size_t) { return FieldPointer(&c.initrd); }},
    {.section = Section::kVm,
     .key = "cmdline",
     .kind = ValueKind::kText,
     .default_toml = "\"\"",
     .max = kMaxCmdlineLength,
     .doc = "The kernel's command line.",
     .field = [](VmConfig& c, size_t) { return FieldPointer(&c.cmdline); }},
    {.section = Section::kVm,
     .key = "firmware",
     .kind = ValueKind::kPath,
     .doc = "Firmware (U-Boot) that finds the kernel on the disk itself. This or kernel.",
     .field = [](VmConfig& c, size_t) { return FieldPointer(&c.firmware); }},
    {.section = Section::kVm,
     .key = "isa",
     .kind = ValueKind::kIsa,
     .default_toml = "\"rv64gc_zicboz_zicond_zba_zbb_zbs_svvptc\"",
     .doc = "The instruction set that the guest is offered, the same on every replica: without the "
            "key all that this version has, `rv64gc` for the plain one.",
     .field = [](VmConfig& c, size_t) { return FieldPointer(&c.isa); }},
    {.section = Section::kVm,
     .key = "engine",
     .kind = ValueKind::kChoice,
     .default_toml = "\"jit\"",
     .choices = kEngineNames,
     .doc = "What runs the guest's instructions: jit, which translates them to the host's, or the "
            "interpreter, which is several times slower. The guest cannot tell.",
     .field = [](VmConfig& c, size_t) { return FieldPointer(&c.engine); }},
    {.section = Section::kVm,
     .key = "code_cache",
     .kind = ValueKind::kSize,
     .default_toml = "\"48M\"",
     .min = kMinCodeCacheBytes,
     .max = kMaxCodeCacheBytes,
     .doc = "Space for what the jit has translated, in each replica. Less is slower, not wrong.",
     .field = [](VmConfig& c, size_t) { return FieldPointer(&c.code_cache); }},
    {.section = Section::kDisk,
     .key = "path",
     .kind = ValueKind::kDiskPath,
     .required = true,
     .doc =
         "A raw image or block device, or an NBD address (`nbd://host/export`, "
         "`nbd+unix:///export?socket=…`). Replica a uses this file itself; replica b keeps a copy "
         "in the VM's state directory.",
     .field = [](VmConfig& c, size_t i) { return FieldPointer(&c.disks[i].path); }},
    {.section = Section::kDisk,
     .key = "shared",
     .kind = ValueKind::kBoolean,
     .default_toml = "false",
     .doc = "Both replicas use the one image, and only the live one writes.",
     .field = [](VmConfig& c, size_t i) { return FieldPointer(&c.disks[i].shared); }},
    {.section = Section::kDisk,
     .key = "readonly",
     .kind = ValueKind::kBoolean,
     .default_toml = "false",
     .doc = "The guest cannot write to it, and the replicas need no copy of it.",
     .field = [](VmConfig& c, size_t i) { return FieldPointer(&c.disks[i].readonly); }},
    {.section = Section::kNet,
     .key = "mode",
     .kind = ValueKind::kChoice,
     .default_toml = "\"user\"",
     .choices = kNetModeNames,
     .doc = "user: address translation and port forwards by the gateway, without root. tap: a TAP "
            "device on a bridge. stream: a socket that carries frames.",
     .field = [](VmConfig& c, size_t i) { return FieldPointer(&c.nets[i].mode); }},
    {.section = Section::kNet,
     .key = "mac",
     .kind = ValueKind::kMac,
     .doc = "The interface's address. Without it the board's: 52:54:00:00:00:01 and so on.",
     .field = [](VmConfig& c, size_t i) { return FieldPointer(&c.nets[i].mac); }},
    {.section = Section::kNet,
     .key = "forward",
     .kind = ValueKind::kForwards,
     .default_toml = "[]",
     .max = kMaxForwards,
     .doc = "Ports of the host that lead into the guest: `PROTOCOL:HOST-ADDRESS:HOST-PORT:"
            "GUEST-PORT`. Host port 0 takes a free one, which `lockstep status` shows.",
     .field = [](VmConfig& c, size_t i) { return FieldPointer(&c.nets[i].forward); }},
    {.section = Section::kProtection,
     .key = "backups",
     .kind = ValueKind::kInteger,
     .default_toml = "1",
     .max = kMaxBackups,
     .doc = "How many backups follow the primary. 0: none, the VM is not protected.",
     .field = [](VmConfig& c, size_t) { return FieldPointer(&c.protection.backups); }},
    {.section = Section::kProtection,
     .key = "arbiter",
     .kind = ValueKind::kArbiter,
     .default_toml = "\"dir:arbiter\"",
     .doc =
         "Who decides which replica may go live: `dir:PATH`, a directory that both see (a relative "
         "one belongs to the VM's state directory), or `etcd:URL`.",
     .field = [](VmConfig& c, size_t) { return FieldPointer(&c.protection.arbiter); }},
    {.section = Section::kProtection,
     .key = "heartbeat_ms",
     .kind = ValueKind::kInteger,
     .default_toml = "10",
     .unit = "ms",
     .min = 1,
     .max = kMaxPeriodMs,
     .doc = "How often each replica says that it lives.",
     .field = [](VmConfig& c, size_t) { return FieldPointer(&c.protection.heartbeat_ms); }},
    {.section = Section::kProtection,
     .key = "suspect_after_ms",
     .kind = ValueKind::kInteger,
     .default_toml = "100",
     .unit = "ms",
     .min = 3,
     .max = kMaxPeriodMs,
     .doc = "How long a silence is before the other replica counts as failed: at least three "
            "heartbeats. An end of the channel is noticed at once.",
     .field = [](VmConfig& c, size_t) { return FieldPointer(&c.protection.suspect_after_ms); }},
    {.section = Section::kProtection,
     .key = "start_wait_ms",
     .kind = ValueKind::kInteger,
     .default_toml = "10000",
     .unit = "ms",
     .min = 1,
     .max = kMaxPeriodMs,
     .doc = "How long a starting primary waits for its backup before it runs solo.",
     .field = [](VmConfig& c, size_t) { return FieldPointer(&c.protection.start_wait_ms); }},
    {.section = Section::kProtection,
     .key = "target_lag_ms",
     .kind = ValueKind::kInteger,
     .default_toml = "20",
     .unit = "ms",
     .min = 1,
     .max = kMaxPeriodMs,
     .doc = "How far the backup may be behind before the primary is slowed by a few percent.",
     .field = [](VmConfig& c, size_t) { return FieldPointer(&c.protection.target_lag_ms); }},
    {.section = Section::kProtection,
     .key = "max_unacknowledged",
     .kind = ValueKind::kSize,
     .default_toml = "\"16M\"",
     .min = kMiB,
     .max = kGiB,
     .doc = "How much log the backup may owe an acknowledgement for before the primary stops and "
            "waits.",
     .field = [](VmConfig& c, size_t) { return FieldPointer(&c.protection.max_unacknowledged); }},
    {.section = Section::kProtection,
     .key = "engine_a",
     .kind = ValueKind::kChoice,
     .choices = kEngineNames,
     .doc = "Replica a's engine, where it is not to be the VM's `engine`.",
     .field = [](VmConfig& c, size_t) { return FieldPointer(&c.protection.engine_a); }},
    {.section = Section::kProtection,
     .key = "engine_b",
     .kind = ValueKind::kChoice,
     .choices = kEngineNames,
     .doc = "Replica b's.",
     .field = [](VmConfig& c, size_t) { return FieldPointer(&c.protection.engine_b); }},
};

constexpr NotYetSupported kNotYetSupported[] = {
    {Section::kVm, "firmware", [](const VmConfig& c, size_t) { return !c.firmware.empty(); },
     "booting through firmware is not supported by this version; give a kernel"},
    {Section::kDisk, "path",
     [](const VmConfig& c, size_t i) { return is_nbd_address(c.disks[i].path); },
     "NBD disks are not supported by this version; give a raw image"},
    {Section::kDisk, "shared", [](const VmConfig& c, size_t i) { return c.disks[i].shared; },
     "shared disks need a fence, which this version does not have; let each replica own its image"},
    {Section::kNet, "mode",
     [](const VmConfig& c, size_t i) { return c.nets[i].mode != NetMode::kUser; },
     "this mode is not supported by this version; use \"user\""},
    {Section::kNet, "mac", [](const VmConfig& c, size_t i) { return c.nets[i].mac.has_value(); },
     "choosing the address is not supported by this version; leave it out to get the board's"},
    {Section::kProtection, "backups",
     [](const VmConfig& c, size_t) { return c.protection.backups > 1; },
     "more than one backup is not supported by this version"},
    {Section::kProtection, "arbiter",
     [](const VmConfig& c, size_t) { return c.protection.arbiter.kind == ArbiterKind::kEtcd; },
     "etcd is not supported by this version; use \"dir:PATH\" on storage that both replicas see"},
};

std::string describe_range(const SchemaRow& row) {
  if (row.kind == ValueKind::kSize) {
    return fmt::format(", {} to {}{}", format_size(row.min), format_size(row.max),
                       row.multiple > 1 ? ", in steps of " + format_size(row.multiple) : "");
  }
  return fmt::format(", {} to {}{}{}", row.min, row.max, row.unit.empty() ? "" : " ", row.unit);
}

}  // namespace

std::span<const SectionFacts> sections() {
  return kSections;
}

const SectionFacts& facts_of(Section section) {
  const auto found = std::ranges::find(kSections, section, &SectionFacts::section);
  CHECK(found != kSections.end());
  return *found;
}

size_t count_of(Section section, const VmConfig& config) {
  if (section == Section::kDisk) return config.disks.size();
  if (section == Section::kNet) return config.nets.size();
  return 1;
}

std::span<const SchemaRow> schema() {
  return kSchema;
}

std::span<const NotYetSupported> not_yet_supported() {
  return kNotYetSupported;
}

std::string describe_type(const SchemaRow& row) {
  switch (row.kind) {
    case ValueKind::kName:
      return fmt::format("name, at most {} letters, digits, `.`, `_`, `-`", row.max);
    case ValueKind::kText:
      return fmt::format("text, at most {} bytes", row.max);
    case ValueKind::kPath:
      return "path";
    case ValueKind::kDiskPath:
      return "path or NBD address";
    case ValueKind::kBoolean:
      return "true or false";
    case ValueKind::kInteger:
      return "integer" + describe_range(row);
    case ValueKind::kSize:
      return "size" + describe_range(row);
    case ValueKind::kChoice:
      return fmt::format("\"{}\"", fmt::join(row.choices, "\", \""));
    case ValueKind::kIsa:
      return "`rv64gc` and extensions, each after `_`";
    case ValueKind::kForwards:
      return fmt::format("list of forwards, at most {}", row.max);
    case ValueKind::kMac:
      return "MAC address";
    case ValueKind::kArbiter:
      return "`dir:PATH` or `etcd:URL`";
  }
  return "?";
}

}  // namespace lockstep::config
