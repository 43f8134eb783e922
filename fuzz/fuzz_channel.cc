// Any bytes, as a replica meets them on the logging channel.
//
// What decode() takes, encode() writes again bit for bit (a Hello of another version excepted: only
// its version is read), and no message, in any state, makes a core fail or go live: at worst the
// connection ends.
#include <algorithm>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/check.h"
#include "replication/core.h"

namespace {

using lockstep::ByteReader;
using lockstep::Bytes;
using lockstep::ByteView;
using lockstep::HostTime;
using lockstep::Step;
using namespace lockstep::replication;

constexpr ConnectionId kConnection(1);

// A core of either role that has just met its peer, and carries out what it says.
class Target {
 public:
  explicit Target(Role role) : core_(options()) {
    feed(Started{role, lockstep::Epoch(0)});
    if (role == Role::kPrimary) {
      feed(ArbiterAnswered{lockstep::io::AcquireResult::won(lockstep::Epoch(1))});
    }
    feed(PeerConnected{kConnection});
  }

  void feed(Event event) {
    now_ += kNsPerMs;
    std::vector<Event> consequences;
    for (Action& action : core_.step(now_, std::move(event))) {
      CHECK(!std::holds_alternative<GoLive>(action));
      if (const auto* hold = std::get_if<HoldFrame>(&action)) {
        consequences.push_back(
            FrameHeld{hold->position, Step(hold->position.value), hold->frame.size()});
      }
    }
    for (Event& consequence : consequences) feed(std::move(consequence));
  }

 private:
  static Options options() {
    Options options;
    options.vm = std::string("vm");
    options.node = std::string("node");
    return options;
  }

  Core core_;
  HostTime now_ = HostTime(kNsPerMs);
};

}  // namespace

// The first byte chooses the role; then messages, each after its 16-bit length.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  ByteReader reader(std::as_bytes(std::span(data, size)));
  Target target(reader.fixed<uint8_t>() % 2 == 0 ? Role::kPrimary : Role::kBackup);
  while (reader.remaining() > 0 && !reader.failed()) {
    const ByteView bytes = reader.bytes(reader.fixed<uint16_t>());
    auto message = decode(bytes);
    if (!message) {
      target.feed(MalformedMessage{kConnection, message.error()});
      continue;
    }
    const auto* hello = std::get_if<Hello>(&*message);
    if (hello == nullptr || hello->protocol_version == kProtocolVersion) {
      const Bytes again = encode(*message);
      CHECK(std::ranges::equal(again, bytes));
    }
    target.feed(MessageReceived{kConnection, std::move(*message)});
  }
  return 0;
}
