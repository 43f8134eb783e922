// `lockstep image build`.

#include <fmt/format.h>

#include "cli/commands.h"
#include "config/values.h"
#include "image/build.h"

namespace lockstep::cli {

Status run_image_build(const ImageBuildCommand& command) {
  image::BuildOptions options;
  options.output_directory = command.output;
  options.programs = command.programs;
  options.packages = command.packages;
  options.replace_disk = command.replace_disk;
  if (!command.size.empty()) {
    const config::Parsed<uint64_t> size = config::parse_size(command.size);
    if (!size) {
      return fail(ErrorCode::kInvalid, "cannot use", "--size", "it must be " + size.error());
    }
    options.disk_bytes = *size;
  }
  options.on_progress = [](const image::BuildProgress& progress) {
    fmt::print("[{}/{}] {}\n", progress.step, progress.steps, progress.text);
  };
  const Result<image::BuildResult> built =
      command.full ? image::build_full_guest(options) : image::build_small_guest(options);
  if (!built) return std::unexpected(built.error());
  if (built->up_to_date) fmt::print("nothing to do: {} is up to date\n", command.output);
  if (built->disk_kept) {
    fmt::print("the disk has been used and is as it was; --replace-disk builds a new one\n");
  }
  fmt::print("start it: lockstep up {}\n", built->configuration);
  return {};
}

}  // namespace lockstep::cli
