#include "vmm/disk_worker.h"

#include <utility>

namespace lockstep::vmm {

DiskWorker::DiskWorker(std::unique_ptr<io::Disk> disk, Done done)
    : disk_(std::move(disk)), done_(std::move(done)), thread_([this] { run(); }) {
}

DiskWorker::~DiskWorker() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_one();
  thread_.join();
}

void DiskWorker::submit(devices::DiskRequest request) {
  {
    const std::lock_guard lock(mutex_);
    queue_.push_back(std::move(request));
  }
  changed_.notify_one();
}

void DiskWorker::run() {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
    if (queue_.empty()) return;
    const devices::DiskRequest request = std::move(queue_.front());
    queue_.pop_front();
    lock.unlock();
    std::string problem;
    log::DiskCompletion completion = carry_out(request, problem);
    done_(std::move(completion), std::move(problem));
    lock.lock();
  }
}

log::DiskCompletion DiskWorker::carry_out(const devices::DiskRequest& request,
                                          std::string& problem) {
  log::DiskCompletion completion;
  completion.disk = request.disk;
  completion.request = request.request;
  Status status;
  switch (request.operation) {
    case devices::DiskOperation::kRead:
      completion.data.resize(request.length);
      completion.has_data = true;
      status = disk_->read(request.offset, completion.data);
      break;
    case devices::DiskOperation::kWrite:
      status = disk_->write(request.offset, request.data);
      break;
    case devices::DiskOperation::kFlush:
      status = disk_->flush();
      break;
    case devices::DiskOperation::kDiscard:
    case devices::DiskOperation::kWriteZeroes:
      status = disk_->discard(request.offset, request.length);
      break;
  }
  if (!status) {
    completion.status = log::DiskStatus::kIoError;
    completion.has_data = false;
    completion.data.clear();
    problem = status.error().text();
  }
  return completion;
}

}  // namespace lockstep::vmm
