#include "io/posix/anonymous_memory.h"

#include <sys/mman.h>
#include <utility>

#include "base/check.h"
#include "io/posix/fd.h"

namespace lockstep::posix {

Result<AnonymousMemory> AnonymousMemory::create(size_t size) {
  void* address = ::mmap(nullptr, size, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (address == MAP_FAILED) {
    return fail_errno("cannot map memory for the guest's RAM,", std::to_string(size) + " bytes",
                      "give the VM less memory");
  }
  ::madvise(address, size, MADV_HUGEPAGE);
  return AnonymousMemory(std::span(static_cast<std::byte*>(address), size));
}

AnonymousMemory::AnonymousMemory(AnonymousMemory&& other) noexcept
    : bytes_(std::exchange(other.bytes_, {})) {
}

AnonymousMemory& AnonymousMemory::operator=(AnonymousMemory&& other) noexcept {
  std::swap(bytes_, other.bytes_);
  return *this;
}

AnonymousMemory::~AnonymousMemory() {
  if (!bytes_.empty()) ::munmap(bytes_.data(), bytes_.size());
}

void AnonymousMemory::clear() {
  CHECK(::madvise(bytes_.data(), bytes_.size(), MADV_DONTNEED) == 0);
}

}  // namespace lockstep::posix
