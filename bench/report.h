// What a benchmark found: rows of a table for a person, and the same rows as JSON.
//
// JSON: an array of {"name", "value", "unit", "baseline", "ratio"}; baseline and ratio (value /
// baseline) are null where there is nothing to compare with.
//
// Owner: the main thread.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/error.h"

namespace lockstep::bench {

struct Row {
  std::string name;  // "guest/int/seconds"
  double value = 0;
  std::string unit;                // "s", "Msteps/s"
  std::optional<double> baseline;  // same unit
};

class Report {
 public:
  void add(Row row) { rows_.push_back(std::move(row)); }
  const std::vector<Row>& rows() const { return rows_; }

  std::string table() const;
  std::string json() const;
  // Prints the table, and writes the JSON when `json_path` is not empty.
  Status publish(const std::string& json_path) const;

 private:
  std::vector<Row> rows_;
};

// Of an odd number of values the middle one, of an even number the mean of the middle two.
double median(std::vector<double> values);

}  // namespace lockstep::bench
