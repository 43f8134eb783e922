// One console port's outside: terminals that connect to a Unix socket, and a log file.
//
// A terminal that connects first gets the last kScrollbackBytes of output, then all of it as it
// comes; what any terminal sends is typed into the console. Raw bytes both ways.
//
// Invariants
//   1. At most kMaxConsoleClients terminals; one that does not read is disconnected when
//      kMaxClientQueueBytes wait for it, so it never holds up the others or the guest.
//   2. Terminals are read only while there is room for what they type.
//   3. The log file and its predecessor have at most kMaxConsoleLogBytes each.
//
// Owner: the loop's thread. Units: bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "base/bytes.h"
#include "base/error.h"
#include "io/posix/append_file.h"
#include "io/posix/event_loop.h"
#include "io/posix/stream_acceptor.h"

namespace lockstep::gateway {

inline constexpr size_t kScrollbackBytes = size_t{64} * 1024;
inline constexpr size_t kMaxConsoleClients = 16;
inline constexpr size_t kMaxClientQueueBytes = size_t{512} * 1024;
inline constexpr uint64_t kMaxConsoleLogBytes = uint64_t{64} * 1024 * 1024;
inline constexpr size_t kMaxTypedBytes = 4096;  // in one call of on_input

struct ConsoleSettings {
  std::string socket_path;
  std::string log_path;  // empty: none
};

class ConsoleServer {
 public:
  struct Callbacks {
    std::function<bool()> has_room;                // for kMaxTypedBytes
    std::function<void(ByteView bytes)> on_input;  // called only after has_room
  };

  static Result<std::unique_ptr<ConsoleServer>> create(posix::EventLoop& loop,
                                                       const ConsoleSettings& settings,
                                                       Callbacks callbacks);
  ~ConsoleServer();
  ConsoleServer(const ConsoleServer&) = delete;
  ConsoleServer& operator=(const ConsoleServer&) = delete;

  // Gathered until before_wait().
  void output(ByteView bytes);
  // Writes what has been gathered; reads terminals again if there is room again. Once per round of
  // the loop, before it waits.
  void before_wait();

  size_t client_count() const { return clients_.size(); }

 private:
  struct Client {
    posix::Fd fd;
    Bytes queue;
    uint32_t watched = 0;
  };

  ConsoleServer(posix::EventLoop& loop, Callbacks callbacks);
  void add_client(posix::Fd fd);
  void on_ready(int fd, uint32_t readiness);
  bool read_from(Client& client);  // false: it is gone
  bool write_to(Client& client);   // false: it is gone
  void update_interest(Client& client);
  void remove(int fd);
  void log(ByteView bytes);

  posix::EventLoop& loop_;
  Callbacks callbacks_;
  std::optional<posix::StreamAcceptor> acceptor_;
  std::optional<posix::AppendFile> log_;
  bool log_failed_ = false;
  bool input_paused_ = false;
  Bytes scrollback_;  // what has been written out already; trimmed when twice too long
  Bytes gathered_;
  std::map<int, Client> clients_;
};

}  // namespace lockstep::gateway
