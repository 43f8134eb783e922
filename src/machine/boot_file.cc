#include "machine/boot_file.h"

#include <fmt/format.h>
#include <utility>

namespace lockstep::machine {

BootFile::BootFile(ByteView contents, std::shared_ptr<BootFileSource> source)
    : size_(contents.size()), hash_(hash128(contents)), source_(std::move(source)) {
}

Result<Bytes> BootFile::read() const {
  if (!source_) return Bytes{};
  Result<Bytes> bytes = source_->read();
  if (!bytes || (bytes->size() == size_ && hash128(*bytes) == hash_)) return bytes;
  return fail(ErrorCode::kCorrupt,
              "a boot file was changed since the VM was started:", source_->name(),
              fmt::format("{}; put back what it held, or start the VM anew",
                          bytes->size() == size_
                              ? "its bytes are others"
                              : fmt::format("it gave {} bytes, now {}", size_, bytes->size())));
}

}  // namespace lockstep::machine
