#include "machine/boot.h"

#include <fmt/format.h>

#include "base/check.h"
#include "machine/device_tree.h"

namespace lockstep::machine {
namespace {

constexpr uint64_t kMegabyte = uint64_t{1} << 20;
constexpr uint64_t kDeviceTreeRoom = 2 * kMegabyte;  // at the end of RAM
constexpr size_t kA0 = 10;
constexpr size_t kA1 = 11;

uint64_t page_down(uint64_t value) {
  return value & ~(riscv::kPageSize - 1);
}

// One file's bytes at a time are in memory.
Status load_file(const BootFile& file, GuestAddress address, riscv::PhysicalMemory& memory) {
  const Result<Bytes> bytes = file.read();
  if (!bytes) return std::unexpected(bytes.error());
  CHECK(memory.write(address, *bytes));
  return {};
}

}  // namespace

Result<BootPlan> plan_boot(const BoardDescription& board, uint32_t virtio_slots) {
  BootPlan plan;
  plan.kernel = kRamBase + board.kernel_text_offset;
  const uint64_t kernel_end =
      board.kernel_text_offset + std::max<uint64_t>(board.kernel_image_size, board.kernel.size());
  const uint64_t wanted = kernel_end + board.initrd.size() + riscv::kPageSize + kDeviceTreeRoom;
  if (wanted > board.memory_bytes) {
    return fail(ErrorCode::kInvalid,
                "the kernel and the initrd do not fit into the guest's memory,",
                fmt::format("{} MiB", board.memory_bytes / kMegabyte),
                fmt::format("give the VM more than {} MiB", wanted / kMegabyte + 1));
  }
  const uint64_t tree_offset = page_down(board.memory_bytes - kDeviceTreeRoom);
  plan.device_tree_address = kRamBase + tree_offset;
  plan.initrd = kRamBase + page_down(tree_offset - board.initrd.size());
  plan.device_tree =
      make_device_tree(board, {plan.initrd, plan.initrd + board.initrd.size()}, virtio_slots);
  CHECK(plan.device_tree.size() <= kDeviceTreeRoom);
  return plan;
}

Status load_boot(const BoardDescription& board, const BootPlan& plan, riscv::PhysicalMemory& memory,
                 riscv::Hart& hart) {
  if (Status kernel = load_file(board.kernel, plan.kernel, memory); !kernel) return kernel;
  if (Status initrd = load_file(board.initrd, plan.initrd, memory); !initrd) return initrd;
  CHECK(memory.write(plan.device_tree_address, plan.device_tree));
  hart.isa = board.isa;
  hart.pc = plan.kernel.value;
  // As firmware leaves it: user programs may read cycle, time and instret.
  hart.scounteren = 7;
  hart.x[kA0] = 0;
  hart.x[kA1] = plan.device_tree_address.value;
  return {};
}

}  // namespace lockstep::machine
