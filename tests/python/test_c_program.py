"""The C libraries without Python: a ctypes program of its own process, and what they export."""

from __future__ import annotations

import ctypes
import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
HEADERS = {
    "core": sorted((ROOT / "core/include/devview/c_api").glob("*.h")),
    "cuda": [ROOT / "cuda/include/devview/cuda/c_api.h"],
}
DECLARED = re.compile(r"_API\s[^;{}()]*?\b(devview_\w+)\(")
MAP_NAME = re.compile(r"^\s+(devview_\w+);$", re.MULTILINE)


def package() -> Path:
    """Return the folder of the package under test, without importing it."""
    return Path(importlib.util.find_spec("devview").origin).parent


def declared(part: str) -> set[str]:
    """Return the functions of the C headers of one library."""
    text = "".join(path.read_text(encoding="utf-8") for path in HEADERS[part])
    return set(DECLARED.findall(text))


def test_a_program_without_our_module():
    done = subprocess.run(
        [sys.executable, "-I", str(HERE / "c_program.py"), str(package())],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "7 checks\n"


@pytest.mark.parametrize(("part", "least"), [("core", 45), ("cuda", 25)])
def test_every_declared_function_is_exported(part, least):
    names = declared(part)
    assert len(names) >= least
    library = ctypes.CDLL(str(next(package().glob(f"libdevview_{part}*"))))
    assert [name for name in sorted(names) if not hasattr(library, name)] == []


@pytest.mark.parametrize("part", ["core", "cuda"])
def test_every_declared_function_has_a_version(part):
    listed = MAP_NAME.findall((ROOT / part / f"devview_{part}.map").read_text(encoding="utf-8"))
    assert len(listed) == len(set(listed))
    plugged = {"devview_torch_alloc", "devview_torch_free"} if part == "cuda" else set()
    assert set(listed) == declared(part) | plugged
