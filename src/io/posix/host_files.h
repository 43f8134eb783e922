// Files of the host as a whole: may they be used, read them, replace them, copy them.
//
// What is replaced is replaced at once: written beside its place, synchronised, then renamed. A
// crash leaves the old file or the new one, and perhaps a leftover whose name ends in
// kPartialSuffix, which the next attempt overwrites.
//
// Thread-safe: nothing here is shared.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"

namespace lockstep::posix {

inline constexpr std::string_view kPartialSuffix = ".partial";
// A longer file is not one of the small files that read_small_file is for.
inline constexpr size_t kMaxSmallFile = size_t{4} << 20;

// `what` begins the error, as in "cannot read the kernel": it says what the file is for.

// The size, in bytes, of a regular file or block device that this process may open. The second
// form wants to write to it as well. Nothing is changed.
Result<uint64_t> readable_file_size(const std::string& path, std::string_view what);
Result<uint64_t> writable_file_size(const std::string& path, std::string_view what);

// The directory and its parents exist afterwards; those it makes are for their owner only.
Status make_directory(const std::string& path);
// A file can be made in this directory. Makes one and removes it.
Status check_writable_directory(const std::string& path);

Result<std::string> read_small_file(const std::string& path);
Status write_file_atomically(const std::string& path, std::string_view text);

// Copies a file or a block device into a file, holes as holes; shares blocks where the file system
// can (FICLONE). `to` becomes the copy at once, when all of it is there.
Status copy_file_sparse(const std::string& from, const std::string& to);

}  // namespace lockstep::posix
