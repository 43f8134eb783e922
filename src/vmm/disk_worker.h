// Carries out one disk's requests, one after the other, on a thread of its own.
//
// One after the other is how racing operations are serialised (design §8). Data passes through the
// request's own buffer; the guest's memory is touched only when the completion is applied.
//
// submit() is called by the vCPU thread; `done` is called on the worker's thread.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>

#include "devices/device.h"
#include "io/disk.h"
#include "log/entry.h"

namespace lockstep::vmm {

class DiskWorker {
 public:
  // Told of each request in the order of submission; a read's data is in the completion. `problem`:
  // why the request failed, empty otherwise.
  using Done = std::function<void(log::DiskCompletion completion, std::string problem)>;

  DiskWorker(std::unique_ptr<io::Disk> disk, Done done);
  // Carries out what was submitted, then returns.
  ~DiskWorker();
  DiskWorker(const DiskWorker&) = delete;
  DiskWorker& operator=(const DiskWorker&) = delete;

  void submit(devices::DiskRequest request);
  uint64_t size() const { return disk_->size(); }

 private:
  void run();
  log::DiskCompletion carry_out(const devices::DiskRequest& request, std::string& problem);

  const std::unique_ptr<io::Disk> disk_;
  const Done done_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<devices::DiskRequest> queue_;  // bounded by what the device lets be in flight
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace lockstep::vmm
