#include "image/files.h"

#include <cerrno>
#include <fmt/format.h>
#include <fstream>
#include <system_error>

#include "io/posix/fd.h"

namespace lockstep::image {
namespace {

Status fail_filesystem(const char* what, const std::filesystem::path& path,
                       const std::error_code& error) {
  errno = error.value();
  return posix::fail_errno(what, path.string());
}

}  // namespace

Result<Bytes> read_file(const std::filesystem::path& path) {
  std::error_code error;
  const uint64_t size = std::filesystem::file_size(path, error);
  if (error) {
    return std::unexpected(fail_filesystem("cannot read the file", path, error).error());
  }
  if (size > kMaxFileBytes) {
    return fail(ErrorCode::kInvalid, "file too large", path.string(),
                fmt::format("at most {} MiB are read", kMaxFileBytes >> 20));
  }
  Bytes bytes(size);
  std::ifstream stream(path, std::ios::binary);
  // SAFETY: char may alias any object; the buffer has `size` bytes.
  if (!stream.read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(size))) {
    return posix::fail_errno("cannot read the file", path.string());
  }
  return bytes;
}

Result<std::string> read_text(const std::filesystem::path& path) {
  auto bytes = read_file(path);
  if (!bytes) return std::unexpected(std::move(bytes.error()));
  return std::string(as_text(*bytes));
}

Status write_file(const std::filesystem::path& path, ByteView data) {
  std::ofstream stream(path, std::ios::binary | std::ios::trunc);
  const std::string_view text = as_text(data);
  stream.write(text.data(), static_cast<std::streamsize>(text.size()));
  stream.close();
  if (!stream) return posix::fail_errno("cannot write the file", path.string());
  return {};
}

Status write_text(const std::filesystem::path& path, std::string_view text) {
  return write_file(path, as_byte_view(text));
}

Status make_executable(const std::filesystem::path& path) {
  std::error_code error;
  std::filesystem::permissions(path, std::filesystem::perms(0755), error);
  if (error) return fail_filesystem("cannot set the mode of", path, error);
  return {};
}

Status write_script(const std::filesystem::path& path, std::string_view text) {
  if (auto status = write_text(path, text); !status) return status;
  return make_executable(path);
}

Status make_directories(const std::filesystem::path& path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (error) return fail_filesystem("cannot make the directory", path, error);
  return {};
}

std::string fill_in(std::string_view template_text,
                    std::initializer_list<std::pair<std::string_view, std::string_view>> values) {
  std::string out;
  while (!template_text.empty()) {
    const size_t open = template_text.find('{');
    out.append(template_text.substr(0, open));
    if (open == std::string_view::npos) break;
    template_text.remove_prefix(open);
    size_t consumed = 1;
    std::string_view replacement = "{";
    for (const auto& [name, value] : values) {
      if (template_text.substr(1).starts_with(name) &&
          template_text.substr(1 + name.size()).starts_with('}')) {
        consumed = name.size() + 2;
        replacement = value;
      }
    }
    out.append(replacement);
    template_text.remove_prefix(consumed);
  }
  return out;
}

}  // namespace lockstep::image
