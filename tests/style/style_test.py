"""House rules that a machine can check. Each rule is a function from (path, text) to findings.

`python3 tests/style/style_test.py` checks the tree; the rules themselves are checked on planted
violations first, so a rule that finds nothing because it is broken fails here.
"""

import re
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import tree  # noqa: E402

# A room may include itself and those before it (ARCHITECTURE.md, "Rooms").
ROOMS = [
    "base", "io", "riscv", "log", "jit", "devices", "machine", "replay", "replication", "clone",
    "config", "api", "vmm", "gateway", "image", "agent", "cli",
]
# These are pure: they reach the outside only through ports, never through src/io/posix.
PURE_ROOMS = {"log", "devices", "replication"}

MAX_COLUMNS = 100
MAX_LINES = 1000

SYSTEM_CALL_HEADERS = re.compile(
    r"^[ \t]*#[ \t]*include\s*<"
    r"((?:sys|arpa|net|netinet|linux|asm)/[^>]+|unistd\.h|fcntl\.h|signal\.h|csignal|pthread\.h|"
    r"poll\.h|netdb\.h|sched\.h|spawn\.h|termios\.h|dirent\.h|ucontext\.h|"
    r"liburing\.h|ifaddrs\.h|pwd\.h|grp\.h|dlfcn\.h|syscall\.h|time\.h)>",
    re.MULTILINE,
)
# (file, header): why it is allowed.
SYSTEM_CALL_EXCEPTIONS = {
    ("src/base/diagnostics.cc", "unistd.h"): "getpid, for the line's prefix; base is above io",
    ("src/gateway/user_network.cc", "arpa/inet.h"):
        "libslirp's configuration is made of in_addr; its conversions are no system calls",
}

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include\s*"([^"]+)"', re.MULTILINE)
# Spelled in two parts, so that this file does not find itself.
UNFINISHED = re.compile(r"\b(TO" + r"DO|FIX" + r"ME|XX" + r"X)\b")
MACHINE_PATH = re.compile(r"(?<![\w.$}])/wo" + r"rk/\w")
PUBLIC_HOSTS = {"deb.debian.org", "security.debian.org", "localhost"}


def line_of(text, offset):
    return text.count("\n", 0, offset) + 1


def room_of(path):
    parts = Path(path).parts
    return parts[1] if len(parts) > 2 and parts[0] == "src" else None


def check_includes(path, text):
    room = room_of(path)
    if room is None or Path(path).suffix not in {".h", ".cc"}:
        return []
    if room not in ROOMS:
        return [f"{path}: {room} is no room; the rooms are: {', '.join(ROOMS)}"]
    findings = []
    for match in INCLUDE.finditer(text):
        included, where = match.group(1), f"{path}:{line_of(text, match.start())}"
        other = included.split("/")[0]
        if "/" not in included or other not in ROOMS:
            findings.append(f'{where}: "{included}" does not begin with a room')
        elif ROOMS.index(other) > ROOMS.index(room):
            findings.append(f'{where}: room {room} includes "{included}", of a room below it')
        elif room in PURE_ROOMS and included.startswith("io/posix/") and not is_test(path):
            findings.append(f'{where}: room {room} is pure and includes "{included}"')
    return findings


def is_test(path):
    return Path(path).stem.endswith("_test")


def check_system_calls(path, text):
    path = str(path)
    if not path.startswith(("src/", "sim/")) or path.startswith("src/io/posix/") or is_test(path):
        return []
    return [
        f"{path}:{line_of(text, match.start(1))}: <{match.group(1)}>: system calls are made in "
        "src/io/posix only"
        for match in SYSTEM_CALL_HEADERS.finditer(text)
        if (path, match.group(1)) not in SYSTEM_CALL_EXCEPTIONS
    ]


def check_columns(path, text):
    if not tree.is_code(Path(path)) or Path(path).suffix == ".inc":
        return []
    return [
        f"{path}:{number}: {len(line)} columns, at most {MAX_COLUMNS}"
        for number, line in enumerate(text.split("\n"), 1) if len(line) > MAX_COLUMNS
    ]


def check_length(path, text):
    lines = text.count("\n")
    if not tree.is_code(Path(path)) or Path(path).suffix == ".inc" or lines <= MAX_LINES:
        return []
    return [f"{path}: {lines} lines, at most {MAX_LINES}: split it"]


def check_unfinished(path, text):
    return [f"{path}:{line_of(text, match.start())}: {match.group(1)}: finish it, or write it down "
            "where plans are kept" for match in UNFINISHED.finditer(text)]


def check_machine_paths(path, text):
    return [f"{path}:{line_of(text, match.start())}: a path of one machine: {match.group(0)}..."
            for match in MACHINE_PATH.finditer(text)]


def check_hosts(path, text, hosts):
    return [f"{path}: names this machine's package mirror" for host in hosts if host in text]


def mirror_hosts():
    """Hosts of this machine's apt sources; they belong to the machine, not to the tree."""
    apt = Path("/etc/apt")
    sources = [apt / "sources.list", *apt.glob("sources.list.d/*")]
    text = "\n".join(path.read_text(errors="replace") for path in sources if path.is_file())
    return set(re.findall(r"https?://([^/\s:]+)", text)) - PUBLIC_HOSTS


RULES = [check_includes, check_system_calls, check_columns, check_length, check_unfinished,
         check_machine_paths]


class RulesFindViolations(unittest.TestCase):
    """A rule that cannot fail is no rule."""

    def assert_finds(self, findings, text):
        self.assertEqual(len(findings), 1, findings)
        self.assertIn(text, findings[0])

    def test_include_of_a_lower_room(self):
        self.assert_finds(check_includes("src/base/a.cc", '\n#include "vmm/b.h"\n'),
                          "src/base/a.cc:2: room base")
        self.assertEqual(check_includes("src/vmm/a.cc", '#include "base/b.h"\n'), [])
        self.assertEqual(check_includes("src/vmm/a.cc", '#include "api/status.h"\n'), [])

    def test_include_without_a_room(self):
        self.assert_finds(check_includes("src/base/a.cc", '#include "b.h"\n'), "begin with a room")

    def test_pure_room_includes_posix(self):
        text = '#include "io/posix/fd.h"\n'
        self.assert_finds(check_includes("src/replication/a.cc", text), "is pure")
        self.assertEqual(check_includes("src/replication/a_test.cc", text), [])
        self.assertEqual(check_includes("src/vmm/a.cc", text), [])

    def test_unknown_room(self):
        self.assert_finds(check_includes("src/misc/a.cc", ""), "is no room")

    def test_system_call(self):
        self.assert_finds(check_system_calls("src/vmm/a.cc", "#include <sys/mman.h>\n"),
                          "<sys/mman.h>")
        self.assert_finds(check_system_calls("src/cli/a.cc", "#  include <csignal>\n"), "csignal")
        self.assertEqual(check_system_calls("src/io/posix/a.cc", "#include <unistd.h>\n"), [])
        self.assertEqual(check_system_calls("src/base/diagnostics.cc", "#include <unistd.h>\n"), [])

    def test_columns_and_length(self):
        self.assert_finds(check_columns("a.cc", "x" * 101), "101 columns")
        self.assertEqual(check_columns("a.cc", "x" * 100), [])
        self.assert_finds(check_length("a.cc", "\n" * 1001), "1001 lines")
        self.assertEqual(check_length("table.inc", "\n" * 1001), [])

    def test_unfinished(self):
        self.assert_finds(check_unfinished("a.cc", "// TO" + "DO: later\n"), "finish it")

    def test_machine_path(self):
        self.assert_finds(check_machine_paths("a.cc", '"/wo' + 'rk/main"'), "one machine")
        self.assertEqual(check_machine_paths("a.cc", "net" + "/wo" + "rk/main"), [])

    def test_host(self):
        self.assert_finds(check_hosts("a", "see http://mirror.example/debian", {"mirror.example"}),
                          "mirror")

    def test_exceptions_are_still_needed(self):
        for (path, header), reason in SYSTEM_CALL_EXCEPTIONS.items():
            self.assertIn(f"<{header}>", tree.text_of(path), f"{path}: {reason}")


class TheTreeObeys(unittest.TestCase):
    def setUp(self):
        self.texts = [(path, text) for path in tree.files()
                      if (text := tree.text_of(path)) is not None]
        self.assertGreater(len(self.texts), 20, "the tree was not found")

    def assert_none(self, findings):
        self.assertFalse(findings, "\n" + "\n".join(findings))

    def test_rules(self):
        for rule in RULES:
            with self.subTest(rule=rule.__name__):
                self.assert_none([finding for path, text in self.texts
                                  for finding in rule(path, text)])

    def test_mirror_hosts(self):
        hosts = mirror_hosts()
        self.assert_none([finding for path, text in self.texts
                          for finding in check_hosts(path, text, hosts)])

    def test_every_room_has_a_readme(self):
        rooms = {room for path, text in self.texts
                 if path.suffix in {".h", ".cc"} and (room := room_of(path))}
        self.assert_none([f"src/{room}/README.md is missing" for room in sorted(rooms)
                          if not (tree.ROOT / "src" / room / "README.md").is_file()])


if __name__ == "__main__":
    unittest.main()
