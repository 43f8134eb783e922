#include "log/file.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "log/file_header.h"

namespace lockstep::log {

Result<LogFileWriter> LogFileWriter::create(std::unique_ptr<io::SequentialWriter> file,
                                            const LogFileHeader& header, Compression compression) {
  LogFileWriter writer(std::move(file), header, compression);
  writer.finished_ = encode_file_header(header);
  const Status written = writer.write_out();
  if (!written.has_value()) return std::unexpected(written.error());
  return writer;
}

LogFileWriter::LogFileWriter(std::unique_ptr<io::SequentialWriter> file,
                             const LogFileHeader& header, Compression compression)
    : file_(std::move(file)), frames_(header.start, compression), horizon_(header.start.horizon) {
}

Status LogFileWriter::append(const Entry& entry) {
  if (error_.has_value()) return std::unexpected(*error_);
  CHECK(entry.step >= horizon_ && entry.step >= frames_.last_step());
  if (entry.kind() == EntryKind::kHorizon) {
    horizon_ = entry.step;
    return {};
  }
  if (!frames_.fits(entry)) end_frame();
  frames_.append(entry);
  if (frames_.pending_bytes() >= kFrameTargetBytes) end_frame();
  return finished_.size() >= kBufferBytes ? write_out() : Status{};
}

// All entries before the last one's step have been appended, so that step is a horizon, too.
void LogFileWriter::end_frame() {
  horizon_ = std::max(horizon_, frames_.last_step());
  frames_.take(horizon_, finished_);
}

Status LogFileWriter::flush() {
  if (error_.has_value()) return std::unexpected(*error_);
  if (frames_.pending_entries() > 0 || horizon_ > cursor().horizon) end_frame();
  return write_out();
}

Status LogFileWriter::sync() {
  Status done = flush();
  if (done.has_value()) done = file_->sync();
  if (!done.has_value()) error_ = done.error();
  return done;
}

Status LogFileWriter::write_out() {
  if (finished_.empty()) return {};
  Status written = file_->write(finished_);
  if (!written.has_value()) error_ = written.error();
  finished_.clear();
  return written;
}

namespace {

// Fills `out`, or says that the file ends before.
Status read_exactly(io::SequentialReader& file, std::span<std::byte> out) {
  while (!out.empty()) {
    const Result<size_t> count = file.read(out);
    if (!count.has_value()) return std::unexpected(count.error());
    if (*count == 0) {
      return fail(ErrorCode::kCorrupt, "cannot read the log", file.name(),
                  "it ends inside its file header (truncated); take another copy");
    }
    out = out.subspan(*count);
  }
  return {};
}

}  // namespace

Result<LogFileReader> LogFileReader::open(std::unique_ptr<io::SequentialReader> file) {
  Bytes fixed_part(kFileHeaderBytes);
  Status read = read_exactly(*file, fixed_part);
  if (!read.has_value()) return std::unexpected(read.error());
  const Result<FileHeaderFields> fields = parse_file_header(fixed_part, file->name());
  if (!fields.has_value()) return std::unexpected(fields.error());

  LogFileHeader header{Bytes(fields->board_bytes), fields->start};
  read = read_exactly(*file, header.board);
  if (!read.has_value()) return std::unexpected(read.error());
  if (hash128(header.board) != fields->board_hash) {
    return fail(ErrorCode::kCorrupt, "cannot read the log", file->name(),
                "its board description does not match its hash; take another copy");
  }
  const uint64_t offset = kFileHeaderBytes + fields->board_bytes;
  return LogFileReader(std::move(file), std::move(header), offset);
}

LogFileReader::LogFileReader(std::unique_ptr<io::SequentialReader> file, LogFileHeader header,
                             uint64_t offset)
    : file_(std::move(file)),
      header_(std::move(header)),
      frames_(header_.start, "the log " + file_->name(), offset) {
}

Result<std::optional<Entry>> LogFileReader::next() {
  if (next_entry_ == frame_.entries.size()) {
    const Result<bool> read = read_frame();
    if (!read.has_value()) return std::unexpected(read.error());
    if (!*read) return std::optional<Entry>();
  }
  return std::optional<Entry>(std::move(frame_.entries[next_entry_++]));
}

// False at the end of the log.
Result<bool> LogFileReader::read_frame() {
  if (read_error_.has_value()) return std::unexpected(*read_error_);
  frame_.entries.clear();
  next_entry_ = 0;
  for (;;) {
    const Result<bool> whole = frames_.next(frame_);
    if (!whole.has_value()) {
      frame_.entries.clear();
      return whole;
    }
    if (*whole) return true;
    const Result<size_t> count = file_->read(frames_.prepare(kReadBytes));
    if (!count.has_value()) {
      read_error_ = count.error();
      return std::unexpected(count.error());
    }
    if (*count == 0) {
      const Status finished = frames_.finish();
      if (!finished.has_value()) return std::unexpected(finished.error());
      return false;
    }
    frames_.commit(*count);
  }
}

}  // namespace lockstep::log
