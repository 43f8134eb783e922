#include "vmm/boot_files.h"

#include <memory>
#include <utility>

#include "io/posix/held_file.h"
#include "machine/kernel_image.h"

namespace lockstep::vmm {
namespace {

class KernelSource final : public machine::BootFileSource {
 public:
  explicit KernelSource(posix::HeldFile file) : file_(std::move(file)) {}

  Result<machine::KernelImage> unpack() const {
    Result<Bytes> bytes = file_.read(machine::kMaxKernelImageSize);
    if (!bytes) return std::unexpected(bytes.error());
    return machine::parse_kernel_image(std::move(*bytes), name());
  }

  Result<Bytes> read() override {
    Result<machine::KernelImage> image = unpack();
    if (!image) return std::unexpected(image.error());
    return std::move(image->bytes);
  }
  const std::string& name() const override { return file_.path(); }

 private:
  posix::HeldFile file_;
};

class InitrdSource final : public machine::BootFileSource {
 public:
  explicit InitrdSource(posix::HeldFile file) : file_(std::move(file)) {}

  Result<Bytes> read() override { return file_.read(kMaxInitrdBytes); }
  const std::string& name() const override { return file_.path(); }

 private:
  posix::HeldFile file_;
};

}  // namespace

Result<KernelFile> open_kernel(const std::string& path) {
  Result<posix::HeldFile> file = posix::HeldFile::open(path, "the kernel");
  if (!file) return std::unexpected(file.error());
  auto source = std::make_shared<KernelSource>(std::move(*file));
  const Result<machine::KernelImage> image = source->unpack();
  if (!image) return std::unexpected(image.error());
  return KernelFile{machine::BootFile(image->bytes, source), image->text_offset, image->image_size};
}

Result<machine::BootFile> open_initrd(const std::string& path) {
  if (path.empty()) return machine::BootFile();
  Result<posix::HeldFile> file = posix::HeldFile::open(path, "the initrd");
  if (!file) return std::unexpected(file.error());
  auto source = std::make_shared<InitrdSource>(std::move(*file));
  const Result<Bytes> bytes = source->read();
  if (!bytes) return std::unexpected(bytes.error());
  if (bytes->empty()) {
    return fail(ErrorCode::kCorrupt, "the initrd is empty:", path, "make the guest's image again");
  }
  return machine::BootFile(*bytes, std::move(source));
}

}  // namespace lockstep::vmm
