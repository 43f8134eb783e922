// Whole files in and out. Owner: none (pure functions).
#pragma once

#include <filesystem>
#include <string_view>

#include "base/bytes.h"
#include "base/error.h"

namespace lockstep::image {

// Bounds what is read into memory at once; the largest is a kernel module or a program.
inline constexpr uint64_t kMaxFileBytes = uint64_t{256} << 20;

Result<Bytes> read_file(const std::filesystem::path& path);
Result<std::string> read_text(const std::filesystem::path& path);
Status write_file(const std::filesystem::path& path, ByteView data);
Status write_text(const std::filesystem::path& path, std::string_view text);
// 0755.
Status write_script(const std::filesystem::path& path, std::string_view text);
Status make_directories(const std::filesystem::path& path);
Status make_executable(const std::filesystem::path& path);

// `template_text` with each {name} of `values` replaced. A brace pair that is no such name stays.
std::string fill_in(std::string_view template_text,
                    std::initializer_list<std::pair<std::string_view, std::string_view>> values);

}  // namespace lockstep::image
