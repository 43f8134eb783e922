"""The files of the source tree, for the style checks."""

import os
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CODE_SUFFIXES = {".h", ".cc", ".c", ".S", ".py", ".cmake", ".inc"}
NOT_SOURCE = {".git", "build", "guest"}


def files():
    """Every file of the tree, relative to ROOT: those git would commit, or all but build output."""
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, check=False,
    )
    if listing.returncode == 0:
        names = [Path(os.fsdecode(name)) for name in listing.stdout.split(b"\0") if name]
    else:
        names = [path.relative_to(ROOT) for path in ROOT.rglob("*")]
        names = [path for path in names if not NOT_SOURCE.intersection(path.parts)]
    return sorted(path for path in names if (ROOT / path).is_file())


def text_of(path):
    """The file's text, or None when it is not text."""
    data = (ROOT / path).read_bytes()
    if b"\0" in data:
        return None
    return data.decode("utf-8", errors="replace")


def is_code(path):
    return path.suffix in CODE_SUFFIXES or path.name == "CMakeLists.txt"
