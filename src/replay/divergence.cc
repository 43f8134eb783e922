#include "replay/divergence.h"

#include <fmt/format.h>

namespace lockstep::replay {
namespace {

std::string hex(const Hash128& hash) {
  return fmt::format("{:016x}{:016x}", hash.high, hash.low);
}

}  // namespace

const char* to_string(DivergenceKind kind) {
  switch (kind) {
    case DivergenceKind::kDigest:
      return "its state has another digest than the log says";
    case DivergenceKind::kStandsStill:
      return "it stands still where the log goes on";
    case DivergenceKind::kRefusedEntry:
      return "it cannot take an entry of the log";
    case DivergenceKind::kUnloggedInput:
      return "it asked for an input that the log does not have";
  }
  return "unknown";
}

std::string Divergence::report() const {
  std::string text = fmt::format("the machine diverged from its log: {}\n", to_string(kind));
  text += fmt::format("  machine at step   {}\n", step.value);
  text += fmt::format("  last known good   step {}\n", last_good_step.value);
  text += fmt::format("  log entry         {} at step {}, entry {} of the replay, frame {}\n",
                      log::to_string(entry_kind), entry_step.value, entry, position.value);
  if (expected.has_value()) text += fmt::format("  digest expected   {}\n", hex(*expected));
  if (actual.has_value()) text += fmt::format("  digest found      {}\n", hex(*actual));
  if (!reason.empty()) text += fmt::format("  reason            {}\n", reason);
  return text;
}

Error Divergence::error() const {
  std::string what = fmt::format("the machine diverged at step {} from", step.value);
  std::string advice = to_string(kind);
  if (!reason.empty()) advice += "; " + reason;
  return Error{ErrorCode::kDiverged, std::move(what),
               fmt::format("frame {} of its log", position.value), std::move(advice)};
}

}  // namespace lockstep::replay
