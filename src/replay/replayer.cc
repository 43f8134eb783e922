#include "replay/replayer.h"

#include <fmt/format.h>
#include <numeric>
#include <utility>

namespace lockstep::replay {

uint64_t ReplayCounts::total() const {
  return std::accumulate(entries.begin(), entries.end(), uint64_t{0});
}

Replayer::Replayer(EntrySource& source, ReplayTarget& target)
    : source_(source), target_(target), last_good_step_(target.step()) {
}

Result<ReplayStop> Replayer::advance(std::optional<Step> limit) {
  if (error_.has_value()) return std::unexpected(*error_);
  for (;;) {
    const Status fetched = fetch();
    if (!fetched.has_value()) return std::unexpected(fetched.error());
    if (!has_entry_) {
      return source_state_ == SourceState::kStopped ? ReplayStop::kStopped : ReplayStop::kEnd;
    }
    const bool limited = limit.has_value() && entry_.step >= *limit;
    const Status ran = run_to(limited ? *limit : entry_.step);
    if (!ran.has_value()) return std::unexpected(ran.error());
    if (limited) return ReplayStop::kLimit;
    const Status taken = take();
    if (!taken.has_value()) return std::unexpected(taken.error());
  }
}

// Afterwards has_entry_ is false only at the end of the source.
Status Replayer::fetch() {
  if (has_entry_ || source_state_ != SourceState::kEntry) return {};
  const Result<SourceState> state = source_.next(entry_);
  if (!state.has_value()) {
    error_ = state.error();
    return std::unexpected(*error_);
  }
  source_state_ = *state;
  has_entry_ = source_state_ == SourceState::kEntry;
  fetched_ += has_entry_ ? 1 : 0;
  return {};
}

// All entries before entry_ have been taken and none lies between the machine and `step`, so that a
// machine that stops on its way there stops for good.
Status Replayer::run_to(Step step) {
  const Step from = target_.step();
  if (from > step) {
    return diverge(DivergenceKind::kRefusedEntry,
                   fmt::format("the machine is already past step {}", step.value));
  }
  if (from == step) return {};
  const Result<machine::StopReason> stop = target_.run_until(step);
  counts_.steps += target_.step() - from;
  if (!stop.has_value()) {
    error_ = stop.error();
    return std::unexpected(*error_);
  }
  const Status inputs = target_.inputs();
  if (!inputs.has_value()) return diverge(DivergenceKind::kUnloggedInput, inputs.error().text());
  if (target_.step() == step) return {};
  return diverge(DivergenceKind::kStandsStill,
                 *stop == machine::StopReason::kPoweredOff ? "it is powered off" : "it waits");
}

Status Replayer::take() {
  const log::EntryKind kind = entry_.kind();
  if (const auto* digest = std::get_if<log::Digest>(&entry_.payload)) {
    const Hash128 actual = target_.digest();
    if (actual != digest->value) {
      ++counts_.mismatches;
      auto error = diverge(DivergenceKind::kDigest);
      divergence_->expected = digest->value;
      divergence_->actual = actual;
      return error;
    }
    last_good_step_ = entry_.step;
  } else if (kind != log::EntryKind::kHorizon) {
    const Status applied = target_.apply(std::move(entry_));
    if (!applied.has_value() && applied.error().code != ErrorCode::kDiverged) {
      error_ = applied.error();
      return std::unexpected(*error_);
    }
    if (!applied.has_value()) {
      return diverge(DivergenceKind::kRefusedEntry, applied.error().text());
    }
  }
  ++counts_.entries[static_cast<size_t>(kind)];
  has_entry_ = false;
  return {};
}

std::unexpected<Error> Replayer::diverge(DivergenceKind kind, std::string reason) {
  Divergence& divergence = divergence_.emplace();
  divergence.kind = kind;
  divergence.step = target_.step();
  divergence.last_good_step = last_good_step_;
  divergence.position = source_.position();
  divergence.entry = fetched_ - 1;
  divergence.entry_kind = entry_.kind();
  divergence.entry_step = entry_.step;
  divergence.reason = std::move(reason);
  error_ = divergence.error();
  return std::unexpected(*error_);
}

}  // namespace lockstep::replay
