#include "io/posix/code_memory.h"

#include <sys/mman.h>
#include <unistd.h>
#include <utility>

#include "base/check.h"
#include "io/posix/fd.h"

namespace lockstep::posix {
namespace {

constexpr uint64_t kLowEnd = uint64_t{1} << 31;
constexpr const char* kAdvice = "make code_cache smaller, or use --engine interpreter";

Result<std::span<std::byte>> map(int fd, size_t size, int protection, int flags) {
  void* const address = ::mmap(nullptr, size, protection, flags, fd, 0);
  if (address == MAP_FAILED) {
    return fail_errno("cannot map memory for translated code,", std::to_string(size) + " bytes",
                      kAdvice);
  }
  return std::span(static_cast<std::byte*>(address), size);
}

void unmap(std::span<std::byte> bytes) {
  if (!bytes.empty()) ::munmap(bytes.data(), bytes.size());
}

}  // namespace

uint32_t CodeMemory::address_of(const void* place) {
  // SAFETY: only the numeric address is used; create() placed it below 2 GiB.
  const auto address = reinterpret_cast<uintptr_t>(place);
  CHECK(address < kLowEnd);
  return static_cast<uint32_t>(address);
}

Result<CodeMemory> CodeMemory::create(size_t code_size, size_t table_size) {
  const Fd file(::memfd_create("lockstep-code", MFD_CLOEXEC));
  if (!file.valid() || ::ftruncate(file.get(), static_cast<off_t>(code_size)) != 0) {
    return fail_errno("cannot make memory for translated code,",
                      std::to_string(code_size) + " bytes", kAdvice);
  }
  CodeMemory memory;
  auto writable = map(file.get(), code_size, PROT_READ | PROT_WRITE, MAP_SHARED);
  if (!writable) return std::unexpected(writable.error());
  memory.writable_ = *writable;
  auto executable = map(file.get(), code_size, PROT_READ | PROT_EXEC, MAP_SHARED | MAP_32BIT);
  if (!executable) return std::unexpected(executable.error());
  memory.executable_ = *executable;
  auto tables = map(-1, table_size, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_32BIT);
  if (!tables) return std::unexpected(tables.error());
  memory.tables_ = *tables;
  memory.code_address_ = address_of(memory.executable_.data());
  return memory;
}

CodeMemory::CodeMemory(CodeMemory&& other) noexcept
    : writable_(std::exchange(other.writable_, {})),
      executable_(std::exchange(other.executable_, {})),
      tables_(std::exchange(other.tables_, {})),
      code_address_(other.code_address_) {
}

CodeMemory& CodeMemory::operator=(CodeMemory&& other) noexcept {
  std::swap(writable_, other.writable_);
  std::swap(executable_, other.executable_);
  std::swap(tables_, other.tables_);
  std::swap(code_address_, other.code_address_);
  return *this;
}

CodeMemory::~CodeMemory() {
  unmap(writable_);
  unmap(executable_);
  unmap(tables_);
}

}  // namespace lockstep::posix
