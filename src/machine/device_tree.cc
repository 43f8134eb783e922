#include "machine/device_tree.h"

#include <algorithm>
#include <fmt/format.h>
#include <libfdt.h>
#include <string>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "devices/goldfish_rtc/goldfish_rtc.h"
#include "devices/plic/plic.h"
#include "devices/syscon/syscon.h"
#include "devices/uart16550/uart16550.h"
#include "riscv/csr_numbers.h"
#include "riscv/guest_time.h"

namespace lockstep::machine {
namespace {

constexpr int kMaxTreeSize = 64 * 1024;
constexpr uint32_t kHartInterrupts = 1;  // phandle of the hart's own interrupt controller
constexpr uint32_t kPlicPhandle = 2;
constexpr uint32_t kSysconPhandle = 3;
constexpr uint32_t kMachineExternalInterrupt = 11;
constexpr uint32_t kSupervisorExternalInterrupt = 9;
constexpr uint32_t kUartClockHz = 3686400;

constexpr std::string_view kSingleLetters = "imafdc";

// libfdt's sequential writer; a failure is a bug: the sizes are ours.
class Tree {
 public:
  Tree() : bytes_(kMaxTreeSize) {
    CHECK(fdt_create(bytes_.data(), kMaxTreeSize) == 0);
    CHECK(fdt_finish_reservemap(bytes_.data()) == 0);
  }

  void begin(const std::string& name) { CHECK(fdt_begin_node(bytes_.data(), name.c_str()) == 0); }
  void end() { CHECK(fdt_end_node(bytes_.data()) == 0); }
  void empty(const char* name) { CHECK(fdt_property(bytes_.data(), name, nullptr, 0) == 0); }
  void cell(const char* name, uint32_t value) {
    CHECK(fdt_property_u32(bytes_.data(), name, value) == 0);
  }
  void wide(const char* name, uint64_t value) {
    CHECK(fdt_property_u64(bytes_.data(), name, value) == 0);
  }
  void text(const char* name, const std::string& value) {
    // With the terminating zero.
    raw(name, as_byte_view(std::string_view(value.c_str(), value.size() + 1)));
  }
  // Several strings, each with its terminating zero.
  void texts(const char* name, std::span<const std::string_view> values) {
    std::string joined;
    for (std::string_view value : values) {
      joined.append(value);
      joined.push_back('\0');
    }
    raw(name, as_byte_view(joined));
  }
  void raw(const char* name, ByteView value) {
    CHECK(fdt_property(bytes_.data(), name, value.data(), static_cast<int>(value.size())) == 0);
  }
  void cells(const char* name, std::initializer_list<uint32_t> values) {
    std::vector<fdt32_t> big_endian;
    for (uint32_t value : values) big_endian.push_back(cpu_to_fdt32(value));
    raw(name, std::as_bytes(std::span(big_endian)));
  }
  void reg(GuestAddress base, uint64_t size) {
    cells("reg", {static_cast<uint32_t>(base.value >> 32), static_cast<uint32_t>(base.value),
                  static_cast<uint32_t>(size >> 32), static_cast<uint32_t>(size)});
  }

  Bytes finish() {
    CHECK(fdt_finish(bytes_.data()) == 0);
    bytes_.resize(size_t{fdt_totalsize(bytes_.data())});
    return std::move(bytes_);
  }

 private:
  Bytes bytes_;
};

std::string node_name(std::string_view kind, GuestAddress base) {
  return fmt::format("{}@{:x}", kind, base.value);
}

void add_chosen(Tree& tree, const BoardDescription& board, InitrdPlace initrd) {
  tree.begin("chosen");
  tree.text("bootargs", board.command_line);
  tree.text("stdout-path", "/soc/" + node_name("serial", kUartBase));
  tree.raw("rng-seed", board.boot_seed);
  if (initrd.end > initrd.start) {
    tree.wide("linux,initrd-start", initrd.start.value);
    tree.wide("linux,initrd-end", initrd.end.value);
  }
  tree.end();
}

// Extensions with names of several letters. Svvptc may be among them because the TLB is coherent
// (riscv/mmu.h): no invalid PTE is cached, so a PTE made valid is seen by the next access.
std::vector<std::string_view> long_names(riscv::IsaExtensions isa) {
  std::vector<std::string_view> names;
  for (const riscv::NamedExtension& named : riscv::named_extensions()) {
    if (isa.has(named.extension)) names.push_back(named.name);
  }
  return names;
}

// The extensions, in the older notation and in the newer.
void add_isa(Tree& tree, riscv::IsaExtensions isa) {
  std::vector<std::string_view> names = long_names(isa);
  tree.text("riscv,isa", fmt::format("rv64{}_{}", kSingleLetters, fmt::join(names, "_")));
  tree.text("riscv,isa-base", "rv64i");
  for (size_t i = 0; i < kSingleLetters.size(); ++i) {
    names.insert(names.begin() + static_cast<std::ptrdiff_t>(i), kSingleLetters.substr(i, 1));
  }
  tree.texts("riscv,isa-extensions", names);
  if (isa.has(riscv::IsaExtension::kZicboz)) {
    tree.cell("riscv,cboz-block-size", riscv::kCacheBlockSize);
  }
}

void add_hart(Tree& tree, riscv::IsaExtensions isa) {
  tree.begin("cpus");
  tree.cell("#address-cells", 1);
  tree.cell("#size-cells", 0);
  tree.cell("timebase-frequency", static_cast<uint32_t>(riscv::kTicksPerSecond));
  tree.begin("cpu@0");
  tree.text("device_type", "cpu");
  tree.cell("reg", 0);
  tree.text("status", "okay");
  tree.text("compatible", "riscv");
  add_isa(tree, isa);
  tree.text("mmu-type", "riscv,sv39");
  tree.begin("interrupt-controller");
  tree.cell("#interrupt-cells", 1);
  tree.empty("interrupt-controller");
  tree.text("compatible", "riscv,cpu-intc");
  tree.cell("phandle", kHartInterrupts);
  tree.end();
  tree.end();
  tree.end();
}

void add_syscon(Tree& tree) {
  constexpr std::string_view kCompatible[] = {"sifive,test1", "sifive,test0", "syscon"};
  tree.begin(node_name("test", kSysconBase));
  tree.texts("compatible", kCompatible);
  tree.reg(kSysconBase, devices::Syscon::kWindowSize);
  tree.cell("phandle", kSysconPhandle);
  tree.end();
}

// Each names the register and the value that does it.
void add_power_nodes(Tree& tree) {
  for (const auto& [name, value] : {std::pair{"poweroff", devices::Syscon::kPowerOff},
                                    std::pair{"reboot", devices::Syscon::kReset}}) {
    tree.begin(name);
    tree.text("compatible", fmt::format("syscon-{}", name));
    tree.cell("regmap", kSysconPhandle);
    tree.cell("offset", 0);
    tree.cell("value", value);
    tree.end();
  }
}

void add_plic(Tree& tree) {
  constexpr std::string_view kCompatible[] = {"sifive,plic-1.0.0", "riscv,plic0"};
  tree.begin(node_name("plic", kPlicBase));
  tree.texts("compatible", kCompatible);
  tree.reg(kPlicBase, devices::Plic::kWindowSize);
  tree.cell("#interrupt-cells", 1);
  tree.cell("#address-cells", 0);
  tree.empty("interrupt-controller");
  // Contexts as on QEMU's board: 0 is M-mode of hart 0 (never taken here), 1 its S-mode.
  tree.cells("interrupts-extended", {kHartInterrupts, kMachineExternalInterrupt, kHartInterrupts,
                                     kSupervisorExternalInterrupt});
  tree.cell("riscv,ndev", devices::Plic::kVirtSources);
  tree.cell("phandle", kPlicPhandle);
  tree.end();
}

void begin_device(Tree& tree, std::string_view kind, const char* compatible, GuestAddress base,
                  uint64_t size, uint32_t interrupt) {
  tree.begin(node_name(kind, base));
  tree.text("compatible", compatible);
  tree.reg(base, size);
  tree.cell("interrupt-parent", kPlicPhandle);
  tree.cell("interrupts", interrupt);
}

void add_soc(Tree& tree, uint32_t virtio_slots) {
  tree.begin("soc");
  tree.cell("#address-cells", 2);
  tree.cell("#size-cells", 2);
  tree.text("compatible", "simple-bus");
  tree.empty("ranges");
  add_syscon(tree);
  add_plic(tree);
  begin_device(tree, "rtc", "google,goldfish-rtc", kRtcBase, devices::GoldfishRtc::kWindowSize,
               kRtcInterrupt);
  tree.end();
  begin_device(tree, "serial", "ns16550a", kUartBase, devices::Uart16550::kWindowSize,
               kUartInterrupt);
  tree.cell("clock-frequency", kUartClockHz);
  tree.end();
  for (uint32_t slot = 0; slot < virtio_slots; ++slot) {
    begin_device(tree, "virtio_mmio", "virtio,mmio", kVirtioBase + slot * kVirtioStride,
                 kVirtioStride, kVirtioFirstInterrupt + slot);
    tree.end();
  }
  tree.end();
}

}  // namespace

Bytes make_device_tree(const BoardDescription& board, InitrdPlace initrd, uint32_t virtio_slots) {
  Tree tree;
  tree.begin("");
  tree.cell("#address-cells", 2);
  tree.cell("#size-cells", 2);
  tree.text("compatible", "riscv-virtio");
  tree.text("model", "lockstep,virt");
  add_chosen(tree, board, initrd);
  add_hart(tree, board.isa);
  tree.begin(node_name("memory", kRamBase));
  tree.text("device_type", "memory");
  tree.reg(kRamBase, board.memory_bytes);
  tree.end();
  add_power_nodes(tree);
  add_soc(tree, virtio_slots);
  tree.end();
  return tree.finish();
}

}  // namespace lockstep::machine
