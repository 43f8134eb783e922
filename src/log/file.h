// A log in a file: a header that says whose log it is, then frames, the same as on the channel.
//
// The file is written from front to back and never changed. A file that ends inside a frame was cut
// off there, which its reader says; what precedes is whole. A file that ends between two frames is
// a whole log up to its last horizon, whether or not its writer meant to go on.
//
// Owner: one thread each. Format: docs/formats/log.md §2.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "base/bytes.h"
#include "base/error.h"
#include "io/sequential_file.h"
#include "log/entry.h"
#include "log/format.h"
#include "log/frame.h"

namespace lockstep::log {

struct LogFileHeader {
  Bytes board;      // the board description; its form is the machine's, opaque here
  LogCursor start;  // where in the chain the first frame follows
};

// Writes a log file. What was not flushed when it goes is lost.
//
// Invariants
//   1. After an error every call gives that error: nothing is written behind a torn frame.
//   2. What flush() returned for stands in the file in whole frames.
class LogFileWriter {
 public:
  // A frame is ended when it has grown to this.
  static constexpr size_t kFrameTargetBytes = size_t{256} << 10;
  // Finished frames are kept back up to this many bytes.
  static constexpr size_t kBufferBytes = size_t{1} << 20;

  // Writes the header at once. header.board is at most kMaxBoardBytes long.
  static Result<LogFileWriter> create(std::unique_ptr<io::SequentialWriter> file,
                                      const LogFileHeader& header,
                                      Compression compression = Compression::kWhenItPays);

  // Requires: encodable(entry), and its step is not below the entry's before, nor below the last
  // horizon. A Horizon moves the horizon and takes no room: each frame holds one, its last.
  Status append(const Entry& entry);
  // Hands all frames to the operating system, with what was collected as a last one.
  Status flush();
  // flush(), and they survive a crash of the host.
  Status sync();

  const LogCursor& cursor() const { return frames_.cursor(); }
  const LogStatistics& statistics() const { return frames_.statistics(); }

 private:
  LogFileWriter(std::unique_ptr<io::SequentialWriter> file, const LogFileHeader& header,
                Compression compression);
  void end_frame();
  Status write_out();

  std::unique_ptr<io::SequentialWriter> file_;
  FrameWriter frames_;
  Step horizon_;
  Bytes finished_;  // whole frames, not yet written
  std::optional<Error> error_;
};

// Reads a log file, entry by entry, in constant memory.
class LogFileReader {
 public:
  static constexpr size_t kReadBytes = size_t{256} << 10;

  // Reads and checks the header.
  static Result<LogFileReader> open(std::unique_ptr<io::SequentialReader> file);

  const LogFileHeader& header() const { return header_; }

  // The next entry; nothing at the end of the log; an error, from then on, at the first frame that
  // is not as it should be. All entries before that frame have been given.
  Result<std::optional<Entry>> next();

  const LogCursor& cursor() const { return frames_.cursor(); }
  std::optional<FrameFault> fault() const { return frames_.fault(); }
  const LogStatistics& statistics() const { return frames_.statistics(); }

 private:
  LogFileReader(std::unique_ptr<io::SequentialReader> file, LogFileHeader header, uint64_t offset);
  Result<bool> read_frame();

  std::unique_ptr<io::SequentialReader> file_;
  LogFileHeader header_;
  FrameReader frames_;
  Frame frame_;
  size_t next_entry_ = 0;
  std::optional<Error> read_error_;
};

}  // namespace lockstep::log
