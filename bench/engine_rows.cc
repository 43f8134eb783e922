#include "engine_rows.h"

#include <algorithm>
#include <array>
#include <fmt/format.h>

namespace lockstep::bench {
namespace {

constexpr std::string_view kMakeKbench = "test -x kbench || gcc -O2 -o kbench kbench.c";
constexpr std::string_view kMakeWork = "test -e Work.class || javac Work.java";

// The serial collector is what a JVM takes on one processor; on a host with more it would take
// another.
constexpr std::array kRows = {
    EngineRow{kBootRow, "", "", ""},
    EngineRow{"gcc", "", "gcc -O2 -o kbench kbench.c && cksum < kbench", "gcc"},
    EngineRow{"int", kMakeKbench, "./kbench int", "gcc"},
    EngineRow{"fp", kMakeKbench, "./kbench fp", "gcc"},
    EngineRow{"mem", kMakeKbench, "./kbench mem", "gcc"},
    EngineRow{"ptr", kMakeKbench, "./kbench ptr", "gcc"},
    EngineRow{"sys", kMakeKbench, "./kbench sys", "gcc"},
    EngineRow{"fork", kMakeKbench, "./kbench fork", "gcc"},
    EngineRow{"sh", "", "sh processes.sh", "sh"},
    EngineRow{kArchiveRow, "", "tar -C ${usr:-/usr} -cf - bin | gzip -1 | cksum", "debugfs"},
    EngineRow{"python", "", "python3 squares.py", "python3"},
    EngineRow{"openssl-sha256", "", "head -c 32M /dev/zero | openssl dgst -sha256", "openssl"},
    EngineRow{"openssl-rsa", "", "sh signatures.sh", "openssl"},
    EngineRow{"sqlite-memory", "", "sqlite3 :memory: < memory.sql", "sqlite3"},
    EngineRow{"sqlite-disk", "", "rm -f rows.db && sqlite3 rows.db < disk.sql", "sqlite3"},
    EngineRow{"perl", "", "perl words.pl", "perl"},
    EngineRow{"java", kMakeWork, "java -XX:+UseSerialGC -cp . Work", "java"},
};

std::string names_of_all() {
  std::string names;
  for (const EngineRow& row : kRows)
    names += fmt::format("{}{}", names.empty() ? "" : ", ", row.name);
  return names;
}

}  // namespace

std::span<const EngineRow> all_rows() {
  return kRows;
}

Result<std::vector<EngineRow>> select_rows(const std::string& names) {
  if (names.empty()) return std::vector<EngineRow>(kRows.begin(), kRows.end());
  std::vector<bool> wanted(kRows.size());
  std::string_view rest = names;
  while (true) {
    const std::string_view name = rest.substr(0, rest.find(','));
    const auto* row = std::ranges::find(kRows, name, &EngineRow::name);
    if (row == kRows.end()) {
      return fail(ErrorCode::kInvalid, "there is no row", fmt::format("{:?}", name),
                  "there are: " + names_of_all());
    }
    wanted[static_cast<size_t>(row - kRows.begin())] = true;
    if (name.size() == rest.size()) break;
    rest.remove_prefix(name.size() + 1);
  }
  std::vector<EngineRow> rows;
  for (size_t i = 0; i < kRows.size(); ++i) {
    if (wanted[i]) rows.push_back(kRows[i]);
  }
  return rows;
}

}  // namespace lockstep::bench
