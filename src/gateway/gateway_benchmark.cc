// Frames through the gateway's hot path: a replica's socket, the exchange, and back. The network
// behind it answers every frame at once, so that both directions are measured without libslirp.
#include <benchmark/benchmark.h>
#include <thread>

#include "base/check.h"
#include "gateway/exchange.h"
#include "io/posix/message_socket.h"
#include "io/posix/stream_socket.h"

namespace lockstep::gateway {
namespace {

using posix::EventLoop;
using posix::Fd;
using posix::MessageSocket;

constexpr posix::MessageLimits kLimits{.max_message_bytes = kMaxMessageBytes,
                                       .max_queued_bytes = size_t{1024} * 1024};
constexpr ConnectionId kReplica{1};
constexpr uint64_t kFramesPerBatch = 64;

// The gateway's side: an exchange whose network sends every frame back.
class Echo : private ExchangeOutside {
 public:
  Echo(EventLoop& loop, Fd fd)
      : exchange_({.vm = "vm", .nics = 1, .console_ports = 0}, *this),
        socket_(loop, std::move(fd), kLimits,
                {.on_message = [this](ByteView bytes) { exchange_.received(kReplica, bytes); },
                 .on_closed = [&loop](const Error&) { loop.stop(); }}) {
    exchange_.connected(kReplica);
    loop.before_wait([this] {
      socket_.hold();
      exchange_.feed();
      socket_.release();
    });
  }

 private:
  bool send(ConnectionId, const GatewayMessage& message) override {
    return socket_.send(encode(message).parts());
  }
  void disconnect(ConnectionId) override { CHECK(false); }
  void frame_to_network(DeviceIndex nic, ByteView frame) override {
    exchange_.frame_from_network(nic, frame);
  }
  void console_to_clients(DeviceIndex, ByteView) override {}

  Exchange exchange_;
  MessageSocket socket_;
};

// Batches of frames go to the gateway, the next when the last has come back.
void frames_through_socket(benchmark::State& state) {
  std::pair<Fd, Fd> pair = posix::stream_socket_pair().value();
  std::thread gateway([&] {
    EventLoop loop;
    Echo echo(loop, std::move(pair.second));
    loop.run();
  });
  EventLoop loop;
  uint64_t received = 0;
  uint64_t sent = 0;
  const Bytes frame(static_cast<size_t>(state.range(0)));
  {
    std::optional<MessageSocket> socket;
    const auto send_batch = [&] {
      socket->hold();
      for (uint64_t i = 0; i < kFramesPerBatch; ++i, ++sent) {
        const EncodedMessage message = encode(
            FrameOut{.epoch = Epoch(1), .nic = {0}, .index = FrameIndex(sent), .frame = frame});
        CHECK(socket->send(message.parts()));
      }
      socket->send(encode(InputHeld{.next_input = InputSequence(received)}).parts());
      socket->release();
    };
    const auto receive = [&](ByteView bytes) {
      const Result<GatewayMessage> message = decode_gateway_message(bytes);
      CHECK(message);
      if (!std::holds_alternative<Input>(*message) || ++received < sent) return;
      if (state.KeepRunningBatch(kFramesPerBatch)) {
        send_batch();
      } else {
        loop.stop();
      }
    };
    socket.emplace(loop, std::move(pair.first), kLimits,
                   MessageSocket::Callbacks{.on_message = receive});
    socket->send(encode(Hello{.vm = "vm", .node = "a"}).parts());
    socket->send(encode(Live{.epoch = Epoch(1), .next_input = InputSequence(0)}).parts());
    if (state.KeepRunningBatch(kFramesPerBatch)) send_batch();
    loop.run();
  }
  gateway.join();
  state.SetItemsProcessed(static_cast<int64_t>(2 * received));
}
BENCHMARK(frames_through_socket)->Arg(60)->Arg(1514)->UseRealTime();

// One frame out and one in, without a socket.
void frame_through_exchange(benchmark::State& state) {
  class Nowhere : public ExchangeOutside {
   public:
    bool send(ConnectionId, const GatewayMessage& message) override {
      benchmark::DoNotOptimize(encode(message).parts());
      return true;
    }
    void disconnect(ConnectionId) override { CHECK(false); }
    void frame_to_network(DeviceIndex, ByteView) override {}
    void console_to_clients(DeviceIndex, ByteView) override {}
  } outside;
  Exchange exchange({.vm = "vm", .nics = 1, .console_ports = 0}, outside);
  const auto receive = [&](const ReplicaMessage& message) {
    Bytes bytes;
    const EncodedMessage encoded = encode(message);
    for (const ByteView part : encoded.parts()) ByteWriter(bytes).bytes(part);
    exchange.received(kReplica, bytes);
  };
  exchange.connected(kReplica);
  receive(Hello{.vm = "vm", .node = "a"});
  receive(Live{.epoch = Epoch(1), .next_input = InputSequence(0)});
  const Bytes frame(1514);
  uint64_t count = 0;
  for (auto _ : state) {
    receive(FrameOut{.epoch = Epoch(1), .nic = {0}, .index = FrameIndex(count), .frame = frame});
    exchange.frame_from_network({0}, frame);
    if (++count % kFramesPerBatch == 0) {
      exchange.feed();
      receive(InputHeld{.next_input = InputSequence(count)});
    }
  }
  state.SetItemsProcessed(static_cast<int64_t>(2 * count));
}
BENCHMARK(frame_through_exchange);

}  // namespace
}  // namespace lockstep::gateway

BENCHMARK_MAIN();
