#include "log/statistics.h"

#include <fmt/format.h>

namespace lockstep::log {

uint64_t LogStatistics::entries() const {
  uint64_t total = 0;
  for (const Kind& kind : kinds) total += kind.entries;
  return total;
}

std::string LogStatistics::text() const {
  std::string text = fmt::format("{} entries in {} frames ({} compressed), {} bytes\n", entries(),
                                 frames, compressed_frames, wire_bytes);
  for (size_t i = 0; i < kinds.size(); ++i) {
    if (kinds[i].entries == 0) continue;
    text += fmt::format("  {:<16} {:>12} entries {:>14} bytes\n",
                        to_string(static_cast<EntryKind>(i)), kinds[i].entries, kinds[i].bytes);
  }
  return text;
}

}  // namespace lockstep::log
