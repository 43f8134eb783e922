#include "engine_report.h"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/check.h"

namespace lockstep::bench {
namespace {

using nlohmann::ordered_json;

constexpr double kMebibyte = 1 << 20;

std::optional<Timing> best_of(const std::vector<Timing>& runs) {
  if (runs.empty()) return std::nullopt;
  return best(runs);
}

std::optional<double> least(const std::vector<double>& values) {
  if (values.empty()) return std::nullopt;
  return *std::ranges::min_element(values);
}

std::optional<double> field(const std::optional<Timing>& timing, double Timing::* seconds) {
  return timing ? std::optional((*timing).*seconds) : std::nullopt;
}

std::optional<double> mebibytes(std::optional<uint64_t> bytes) {
  return bytes ? std::optional(static_cast<double>(*bytes) / kMebibyte) : std::nullopt;
}

ordered_json or_null(std::optional<double> value) {
  return value ? ordered_json(*value) : ordered_json(nullptr);
}

ordered_json host_seconds(const std::vector<Timing>& runs) {
  ordered_json seconds = ordered_json::array();
  for (const Timing& run : runs) seconds.push_back(run.host_seconds);
  return seconds;
}

std::string shown(std::optional<double> value) {
  return value ? fmt::format("{:.3f}", *value) : "-";
}

std::string line_of(const RowResult& row) {
  const auto ours = best_of(row.ours);
  const auto qemu = best_of(row.qemu);
  const auto ratio = row.ratio();
  std::string line = fmt::format(
      "{:<15} {:>9} {:>9} {:>9} {:>8} {:>11} {:>11}", row.name,
      shown(field(ours, &Timing::host_seconds)), shown(field(qemu, &Timing::host_seconds)),
      shown(least(row.native_seconds)), ratio ? fmt::format("{:.2f}", *ratio) : "-",
      shown(field(ours, &Timing::guest_seconds)), shown(field(qemu, &Timing::guest_seconds)));
  return line + (row.error.empty() ? "\n" : "  failed\n");
}

ordered_json json_of(const RowResult& row) {
  const auto ours = best_of(row.ours);
  const auto qemu = best_of(row.qemu);
  return {{"name", row.name},
          {"ours_seconds", or_null(field(ours, &Timing::host_seconds))},
          {"qemu_seconds", or_null(field(qemu, &Timing::host_seconds))},
          {"native_seconds", or_null(least(row.native_seconds))},
          {"ratio", or_null(row.ratio())},
          {"ours_guest_seconds", or_null(field(ours, &Timing::guest_seconds))},
          {"qemu_guest_seconds", or_null(field(qemu, &Timing::guest_seconds))},
          {"ours_cpu_seconds", or_null(field(ours, &Timing::cpu_seconds))},
          {"qemu_cpu_seconds", or_null(field(qemu, &Timing::cpu_seconds))},
          {"ours_runs", host_seconds(row.ours)},
          {"qemu_runs", host_seconds(row.qemu)},
          {"native_runs", row.native_seconds},
          {"error", row.error.empty() ? ordered_json(nullptr) : ordered_json(row.error)}};
}

}  // namespace

const Timing& best(const std::vector<Timing>& runs) {
  CHECK(!runs.empty());
  return *std::ranges::min_element(runs, {}, &Timing::host_seconds);
}

std::optional<double> geometric_mean(const std::vector<double>& values) {
  if (values.empty()) return std::nullopt;
  double sum = 0;
  for (const double value : values) {
    CHECK(value > 0);
    sum += std::log(value);
  }
  return std::exp(sum / static_cast<double>(values.size()));
}

std::optional<double> RowResult::ratio() const {
  if (ours.empty() || qemu.empty() || !error.empty()) return std::nullopt;
  const double our_seconds = best(ours).host_seconds;
  const double qemu_seconds = best(qemu).host_seconds;
  if (our_seconds <= 0 || qemu_seconds <= 0) return std::nullopt;
  return qemu_seconds / our_seconds;
}

std::optional<double> EngineReport::mean_ratio() const {
  std::vector<double> ratios;
  for (const RowResult& row : rows) {
    if (const auto ratio = row.ratio()) ratios.push_back(*ratio);
  }
  return geometric_mean(ratios);
}

const RowResult* EngineReport::slowest() const {
  const RowResult* slowest = nullptr;
  for (const RowResult& row : rows) {
    if (row.ratio() && (slowest == nullptr || *row.ratio() < *slowest->ratio())) slowest = &row;
  }
  return slowest;
}

std::string EngineReport::table() const {
  std::string text = fmt::format("{:<15} {:>9} {:>9} {:>9} {:>8} {:>11} {:>11}\n", "row", "ours s",
                                 "QEMU s", "native s", "QEMU/us", "ours guest", "QEMU guest");
  for (const RowResult& row : rows) text += line_of(row);
  for (const RowResult& row : rows) {
    if (!row.error.empty()) text += fmt::format("\n{} failed: {}\n", row.name, row.error);
  }
  text +=
      fmt::format("\nengine {}, {} MiB of RAM, rounds {}, {}\n", engine, guest_memory_bytes >> 20,
                  rounds, qemu_version.empty() ? "without QEMU" : qemu_version);
  if (our_memory_bytes) {
    text += fmt::format("memory above the guest's RAM: {:.0f} MiB, budget {} MiB{}\n",
                        *mebibytes(our_memory_bytes), kMemoryBudgetBytes >> 20,
                        *our_memory_bytes > kMemoryBudgetBytes ? ": EXCEEDED" : "");
  }
  if (qemu_memory_bytes) {
    text += fmt::format("the same of QEMU: {:.0f} MiB\n", *mebibytes(qemu_memory_bytes));
  }
  if (const RowResult* row = slowest()) {
    text += fmt::format("slowest row: {}, {:.2f} times QEMU\n", row->name, *row->ratio());
    text += fmt::format("geometric mean: {:.2f} times QEMU\n", *mean_ratio());
  }
  return text;
}

std::string EngineReport::json() const {
  ordered_json all = ordered_json::array();
  for (const RowResult& row : rows) all.push_back(json_of(row));
  const RowResult* slowest_row = slowest();
  const ordered_json document = {
      {"rows", std::move(all)},
      {"geometric_mean", or_null(mean_ratio())},
      {"slowest_row",
       slowest_row == nullptr ? ordered_json(nullptr) : ordered_json(slowest_row->name)},
      {"memory_overhead_mib", or_null(mebibytes(our_memory_bytes))},
      {"memory_budget_mib", *mebibytes(kMemoryBudgetBytes)},
      {"qemu_memory_overhead_mib", or_null(mebibytes(qemu_memory_bytes))},
      {"qemu_version", qemu_version.empty() ? ordered_json(nullptr) : ordered_json(qemu_version)},
      {"engine", engine},
      {"guest_memory_mib", guest_memory_bytes >> 20},
      {"rounds", rounds}};
  return document.dump(2) + "\n";
}

Status EngineReport::complete() const {
  for (const RowResult& row : rows) {
    if (row.error.empty()) continue;
    return fail(ErrorCode::kUnavailable, "this row is not complete:", row.name, row.error);
  }
  return {};
}

}  // namespace lockstep::bench
