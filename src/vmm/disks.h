// All disks of one replica: their workers, and where completions go.
//
// A live replica's completions are inputs: they go to the inbox as they come. A backup's wait here
// until the log says at which step they are applied (M14: the log need not carry the data).
//
// submit(), take_result() and go_live() belong to the vCPU thread.
#pragma once

#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "base/error.h"
#include "devices/device.h"
#include "io/disk.h"
#include "log/entry.h"
#include "vmm/disk_worker.h"
#include "vmm/inbox.h"

namespace lockstep::vmm {

class Disks {
 public:
  // `failed` is told, on a worker's thread, when a disk fails a request.
  Disks(std::vector<std::unique_ptr<io::Disk>> disks, Inbox& inbox,
        std::function<void(std::string)> failed);
  ~Disks();

  void submit(devices::DiskRequest request);

  // A backup: waits for this replica's own result of a request that was submitted. An error when it
  // failed here though the log says that it succeeded there.
  Result<log::DiskCompletion> take_result(const log::DiskCompletion& logged);

  // From now on completions are inputs: those that wait and those that come. A request whose
  // completion the log did not hold is so re-issued: it was submitted here, too.
  void go_live();

 private:
  using Key = std::pair<uint32_t, uint64_t>;

  void done(log::DiskCompletion completion, std::string problem);

  Inbox& inbox_;
  const std::function<void(std::string)> failed_;
  std::mutex mutex_;
  std::condition_variable arrived_;
  bool live_ = false;
  std::map<Key, log::DiskCompletion> results_;  // bounded by what the devices let be in flight
  std::vector<std::unique_ptr<DiskWorker>> workers_;
};

}  // namespace lockstep::vmm
