// lockstep-audit: that the engines are the same in all that a guest can see.
//
// Exit: 0 no difference, 1 a difference, 2 the comparison could not be made.
#include <CLI/CLI.hpp>
#include <charconv>
#include <string>

#include "tests/audit/boot.h"
#include "tests/audit/programs.h"

namespace lockstep::audit {
namespace {

// FIRST:COUNT
std::string parse_seeds(const std::string& text, ProgramsOptions& options) {
  const char* const end = text.data() + text.size();
  const auto first = std::from_chars(text.data(), end, options.first_seed);
  if (first.ec != std::errc() || first.ptr == end || *first.ptr != ':') return "not FIRST:COUNT";
  const auto count = std::from_chars(first.ptr + 1, end, options.seeds);
  return count.ec == std::errc() && count.ptr == end ? "" : "not FIRST:COUNT";
}

int run(int argc, char** argv) {
  CLI::App app("The interpreter and the translator, step for step the same");
  app.require_subcommand(1);
  ProgramsOptions programs;
  CLI::App* const of_programs = app.add_subcommand("programs", "random guests on both engines");
  of_programs->add_option("--kind", programs.kind, "hot, cold or both")
      ->check(CLI::IsMember({"hot", "cold", "both"}));
  of_programs
      ->add_option_function<std::string>(
          "--seeds",
          [&](const std::string& text) {
            if (const std::string wrong = parse_seeds(text, programs); !wrong.empty()) {
              throw CLI::ValidationError("--seeds", wrong);
            }
          },
          "FIRST:COUNT")
      ->default_str("0:100");
  of_programs->add_option("--steps", programs.steps, "of each guest")->capture_default_str();
  of_programs->add_flag("--stop", programs.stop_at_first, "at the first difference");
  BootOptions boot;
  CLI::App* const of_boot =
      app.add_subcommand("boot", "a recording on both engines, by `lockstep record`");
  of_boot->add_option("recording", boot.recording)->required()->check(CLI::ExistingFile);
  of_boot->add_option("--every", boot.every, "steps between two comparisons")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  of_boot->add_option("--chaos", boot.chaos_seed, "a seed for the translator's options");
  CLI11_PARSE(app, argc, argv);
  return of_boot->parsed() ? audit_boot(boot) : audit_programs(programs);
}

}  // namespace
}  // namespace lockstep::audit

int main(int argc, char** argv) {
  return lockstep::audit::run(argc, argv);
}
