#include "image/output_directory.h"

#include <charconv>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <system_error>

#include "image/files.h"
#include "io/posix/subprocess.h"

namespace lockstep::image {
namespace {

constexpr const char* kManifestName = ".image-manifest.json";
constexpr std::string_view kWorkPrefix = ".building-";
constexpr int kManifestVersion = 1;

// Work directories of processes that are no more.
void remove_abandoned_work(const std::filesystem::path& directory) {
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(directory, error)) {
    const std::string name = entry.path().filename();
    if (!name.starts_with(kWorkPrefix)) continue;
    posix::ProcessId process;
    const char* digits = name.data() + kWorkPrefix.size();
    const auto [end, failed] = std::from_chars(digits, name.data() + name.size(), process.value);
    if (failed != std::errc() || posix::process_alive(process)) continue;
    std::filesystem::remove_all(entry.path(), error);
  }
}

}  // namespace

std::optional<FileStamp> stamp_of(const std::filesystem::path& path) {
  std::error_code error;
  FileStamp stamp;
  stamp.size = std::filesystem::file_size(path, error);
  if (error) return std::nullopt;
  const auto time = std::filesystem::last_write_time(path, error);
  if (error) return std::nullopt;
  stamp.modified_ns = std::chrono::nanoseconds(time.time_since_epoch()).count();
  return stamp;
}

std::string Manifest::to_json() const {
  nlohmann::ordered_json json;
  json["version"] = kManifestVersion;
  json["recipe"] = recipe;
  json["checked_unix_s"] = checked_unix_s;
  json["configuration"] = configuration;
  if (disk) json["disk"] = {{"size", disk->size}, {"modified_ns", disk->modified_ns}};
  json["packages"] = nlohmann::ordered_json::array();
  for (const DebianPackage& package : packages) {
    json["packages"].push_back(
        {{"name", package.name}, {"version", package.version}, {"file", package.file}});
  }
  return json.dump(1) + "\n";
}

std::optional<Manifest> Manifest::from_json(std::string_view text) {
  const auto json = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object() || json.value("version", nlohmann::json()) != kManifestVersion) {
    return std::nullopt;
  }
  Manifest manifest;
  // The only user of exceptions here: a field of another type than it should have.
  try {
    manifest.recipe = json.at("recipe").get<std::string>();
    manifest.checked_unix_s = json.at("checked_unix_s").get<int64_t>();
    manifest.configuration = json.at("configuration").get<std::string>();
    if (json.contains("disk")) {
      manifest.disk = FileStamp{json["disk"].at("size").get<uint64_t>(),
                                json["disk"].at("modified_ns").get<int64_t>()};
    }
    for (const auto& package : json.at("packages")) {
      manifest.packages.push_back({package.at("name").get<std::string>(),
                                   package.at("version").get<std::string>(),
                                   package.at("file").get<std::string>()});
    }
  } catch (const nlohmann::json::exception&) {
    return std::nullopt;
  }
  return manifest;
}

Result<OutputDirectory> OutputDirectory::open(const std::filesystem::path& path) {
  if (auto status = make_directories(path); !status) return std::unexpected(status.error());
  remove_abandoned_work(path);
  OutputDirectory output;
  std::error_code error;
  output.path_ = path;
  output.work_ = std::filesystem::absolute(path, error) /
                 fmt::format("{}{}", kWorkPrefix, posix::this_process().value);
  std::filesystem::remove_all(output.work_, error);
  if (auto status = make_directories(output.work_); !status) {
    output.work_.clear();
    return std::unexpected(status.error());
  }
  return output;
}

OutputDirectory::~OutputDirectory() {
  std::error_code error;
  if (!work_.empty()) std::filesystem::remove_all(work_, error);
}

std::optional<Manifest> OutputDirectory::manifest() const {
  const auto text = read_text(path_ / kManifestName);
  if (!text) return std::nullopt;
  return Manifest::from_json(*text);
}

Status OutputDirectory::save_manifest(const Manifest& manifest) {
  if (auto status = write_text(work_ / kManifestName, manifest.to_json()); !status) return status;
  return install(kManifestName);
}

bool OutputDirectory::has_all(const std::vector<std::string>& names) const {
  std::error_code error;
  for (const std::string& name : names) {
    if (!std::filesystem::is_regular_file(path_ / name, error)) return false;
  }
  return true;
}

Status OutputDirectory::install(const std::string& name) {
  std::error_code error;
  std::filesystem::rename(work_ / name, path_ / name, error);
  if (!error) return {};
  return fail(ErrorCode::kSystem, "cannot put in place", (path_ / name).string(), error.message());
}

bool OutputDirectory::disk_untouched(const std::string& name,
                                     const std::optional<Manifest>& manifest) const {
  const auto stamp = stamp_of(path_ / name);
  if (!stamp) return true;
  return manifest && manifest->disk == stamp;
}

}  // namespace lockstep::image
