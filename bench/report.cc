#include "report.h"

#include <algorithm>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/check.h"
#include "io/posix/host_files.h"

namespace lockstep::bench {
namespace {

std::optional<double> ratio_of(const Row& row) {
  if (!row.baseline || *row.baseline == 0) return std::nullopt;
  return row.value / *row.baseline;
}

std::string or_dash(std::optional<double> value) {
  return value ? fmt::format("{:.4g}", *value) : "-";
}

}  // namespace

std::string Report::table() const {
  size_t name_width = 4;
  for (const Row& row : rows_) name_width = std::max(name_width, row.name.size());
  std::string text = fmt::format("{:<{}}  {:>10}  {:<9}  {:>10}  {:>7}\n", "name", name_width,
                                 "value", "unit", "baseline", "ratio");
  for (const Row& row : rows_) {
    text += fmt::format("{:<{}}  {:>10}  {:<9}  {:>10}  {:>7}\n", row.name, name_width,
                        fmt::format("{:.4g}", row.value), row.unit, or_dash(row.baseline),
                        or_dash(ratio_of(row)));
  }
  return text;
}

std::string Report::json() const {
  nlohmann::ordered_json rows = nlohmann::ordered_json::array();
  for (const Row& row : rows_) {
    const std::optional<double> ratio = ratio_of(row);
    rows.push_back({{"name", row.name},
                    {"value", row.value},
                    {"unit", row.unit},
                    {"baseline", row.baseline ? nlohmann::ordered_json(*row.baseline) : nullptr},
                    {"ratio", ratio ? nlohmann::ordered_json(*ratio) : nullptr}});
  }
  return rows.dump(1) + "\n";
}

Status Report::publish(const std::string& json_path) const {
  fmt::print("{}", table());
  if (json_path.empty()) return {};
  return posix::write_file_atomically(json_path, json());
}

double median(std::vector<double> values) {
  CHECK(!values.empty());
  std::ranges::sort(values);
  const size_t middle = values.size() / 2;
  if (values.size() % 2 == 1) return values[middle];
  return (values[middle - 1] + values[middle]) / 2;
}

}  // namespace lockstep::bench
