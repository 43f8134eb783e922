// The programs of Debian that a build runs, and the packages that carry them.
//
// Owner: none (each call runs a process and waits for it).
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "io/posix/subprocess.h"

namespace lockstep::image {

// The path of a program, looked for in PATH and where root's programs are. Empty: not installed.
std::string find_tool(const std::string& name);

// Error kNotFound when one is not installed; the advice names all the packages that are missing.
Status require_tools(const std::vector<std::string>& names);

// Runs to the end. A failure is an Error with the last lines of the tool's output; what names a
// full disk is kNoSpace.
Status run_tool(const std::vector<std::string>& argv, const posix::CommandOptions& options = {});

// As run_tool, and gives each line of output to `on_line`.
Status run_tool_lines(const std::vector<std::string>& argv,
                      const std::function<void(std::string_view line)>& on_line);

}  // namespace lockstep::image
