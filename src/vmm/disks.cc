#include "vmm/disks.h"

#include <fmt/format.h>

#include "base/check.h"

namespace lockstep::vmm {

Disks::Disks(std::vector<std::unique_ptr<io::Disk>> disks, Inbox& inbox,
             std::function<void(std::string)> failed)
    : inbox_(inbox), failed_(std::move(failed)) {
  for (std::unique_ptr<io::Disk>& disk : disks) {
    workers_.push_back(std::make_unique<DiskWorker>(
        std::move(disk), [this](log::DiskCompletion completion, std::string problem) {
          done(std::move(completion), std::move(problem));
        }));
  }
}

Disks::~Disks() = default;

void Disks::submit(devices::DiskRequest request) {
  CHECK(request.disk.value < workers_.size());
  workers_[request.disk.value]->submit(std::move(request));
}

void Disks::done(log::DiskCompletion completion, std::string problem) {
  if (!problem.empty()) failed_(std::move(problem));
  {
    const std::lock_guard lock(mutex_);
    if (!live_) {
      results_[{completion.disk.value, completion.request}] = std::move(completion);
      arrived_.notify_all();
      return;
    }
  }
  inbox_.post(std::move(completion));
}

Result<log::DiskCompletion> Disks::take_result(const log::DiskCompletion& logged) {
  const Key key{logged.disk.value, logged.request};
  std::unique_lock lock(mutex_);
  arrived_.wait(lock, [&] { return results_.contains(key); });
  log::DiskCompletion own = std::move(results_.extract(key).mapped());
  // What the primary's guest was told is what counts.
  if (logged.status != log::DiskStatus::kOk) return logged;
  if (own.status != log::DiskStatus::kOk) {
    return fail(ErrorCode::kSystem,
                "this replica's own disk failed a request that succeeded there,",
                fmt::format("disk {} request {}", logged.disk.value, logged.request),
                "replace the disk and start this node again as a backup");
  }
  return own;
}

void Disks::go_live() {
  std::map<Key, log::DiskCompletion> waiting;
  {
    const std::lock_guard lock(mutex_);
    live_ = true;
    waiting.swap(results_);
  }
  for (auto& [key, completion] : waiting) inbox_.post(std::move(completion));
}

}  // namespace lockstep::vmm
