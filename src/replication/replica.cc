#include "replication/replica.h"

#include <algorithm>
#include <fmt/format.h>

#include "base/check.h"

namespace lockstep::replication {

namespace {

const char* text_of(Replica::StopReason why) {
  switch (why) {
    case Replica::kUnacknowledged:
      return "too many bytes of the log are not acknowledged";
    case Replica::kOutputHeld:
      return "too many bytes of output wait for the other side";
    case Replica::kBackupBuffer:
      return "the backup's buffer is full";
    case Replica::kFailoverOrdered:
      return "a failover was ordered";
  }
  return "";
}

}  // namespace

Replica::Replica(Options options)
    : options_(std::move(options)), gate_(options_.max_held_bytes, options_.planted_bug) {
  CHECK(!options_.vm.empty() && options_.vm.size() <= kMaxNameBytes);
  CHECK(!options_.node.empty() && options_.node.size() <= kMaxNameBytes);
  CHECK(options_.build_version.size() <= kMaxNameBytes);
}

void Replica::begin_step(HostTime now) {
  CHECK(actions_.empty());
  own_gap_ns_ = stepped_ && now > now_ ? now - now_ : 0;
  now_ = std::max(now_, now);
  stepped_ = true;
}

void Replica::send(ConnectionId connection, Message message) {
  act(Send{connection, std::move(message)});
}

void Replica::refuse(ConnectionId connection, std::string reason) {
  send(connection, Refuse{clip_text(reason)});
  act(CloseChannel{connection, std::move(reason)});
}

void Replica::enter(VmState state, std::string reason) {
  if (state == state_ && reason == reason_) return;
  act(StateChanged{state_, state, reason});
  state_ = state;
  reason_ = std::move(reason);
}

void Replica::end(VmState state, std::string reason) {
  CHECK(!ended_);
  ended_ = true;
  asked_from_.reset();
  if (gate_.held_bytes() > 0) act(DropHeldOutputs{gate_.held_bytes()});
  gate_.drop_held();
  enter(state, reason);
  act(Halt{state, std::move(reason)});
}

void Replica::set_epoch(Epoch epoch) {
  CHECK(epoch >= epoch_);
  epoch_ = epoch;
}

void Replica::release() {
  std::vector<Output> outputs = gate_.take_released(now_);
  if (!outputs.empty()) act(Release{std::move(outputs)});
}

void Replica::set_stop(StopReason why, bool stopped) {
  const uint8_t before = stop_reasons_;
  stop_reasons_ = static_cast<uint8_t>(stopped ? before | why : before & ~why);
  if (before == 0 && stop_reasons_ != 0) act(StopExecution{text_of(why)});
  if (before != 0 && stop_reasons_ == 0) act(ResumeExecution{});
}

void Replica::ask_arbiter(Epoch from) {
  CHECK(!asked_from_ && !answer_pending_);
  asked_from_ = from;
  answer_pending_ = true;
  retry_delay_ms_ = kArbiterRetryMinMs;
  act(AskArbiter{from});
}

Replica::Verdict Replica::read_answer(const io::AcquireResult& result) {
  CHECK(answer_pending_);
  answer_pending_ = false;
  CHECK(asked_from_);
  if (const auto* won = std::get_if<io::AcquireResult::Won>(&result.value)) {
    CHECK(won->epoch == *asked_from_ + 1);
    asked_from_.reset();
    return {Verdict::Kind::kWon, won->epoch, {}};
  }
  if (const auto* lost = std::get_if<io::AcquireResult::Lost>(&result.value)) {
    Verdict verdict{Verdict::Kind::kLost, lost->epoch,
                    fmt::format("{} owns epoch {} of this VM", lost->owner, lost->epoch.value)};
    if (planted(PlantedBug::kLoserGoesOn)) {
      verdict = {Verdict::Kind::kWon, *asked_from_ + 1, {}};
    }
    asked_from_.reset();
    return verdict;
  }
  if (planted(PlantedBug::kUnreachableCountsAsWon)) {
    return {Verdict::Kind::kWon, *std::exchange(asked_from_, std::nullopt) + 1, {}};
  }
  retry_at_ = now_ + retry_delay_ms_ * kNsPerMs;
  retry_delay_ms_ = std::min(retry_delay_ms_ * 2, kArbiterRetryMaxMs);
  const Error& error = std::get<io::AcquireResult::Unreachable>(result.value).error;
  return {Verdict::Kind::kUnreachable, Epoch(), error.text()};
}

void Replica::retry_arbiter_when_due() {
  if (!asked_from_ || answer_pending_ || now_ < retry_at_) return;
  answer_pending_ = true;
  act(AskArbiter{*asked_from_});
}

}  // namespace lockstep::replication
