#include "vmm/arbiter_thread.h"

#include <utility>

namespace lockstep::vmm {

ArbiterThread::ArbiterThread(posix::EventLoop& loop, std::unique_ptr<io::Arbiter> arbiter,
                             std::string vm, std::string node, Answer answer)
    : loop_(loop),
      arbiter_(std::move(arbiter)),
      vm_(std::move(vm)),
      node_(std::move(node)),
      answer_(std::move(answer)),
      thread_([this] { run(); }) {
}

ArbiterThread::~ArbiterThread() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_one();
  thread_.join();
}

void ArbiterThread::acquire(Epoch from) {
  {
    const std::lock_guard lock(mutex_);
    questions_.push_back(from);
  }
  changed_.notify_one();
}

void ArbiterThread::run() {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [this] { return stopping_ || !questions_.empty(); });
    if (stopping_) return;
    const Epoch from = questions_.front();
    questions_.pop_front();
    lock.unlock();
    io::AcquireResult result = arbiter_->acquire(vm_, from, node_);
    loop_.post([this, result = std::move(result)]() mutable { answer_(std::move(result)); });
    lock.lock();
  }
}

}  // namespace lockstep::vmm
