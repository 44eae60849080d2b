"""Builds as somebody does who has devview only installed: with CMake, pip or a compiler alone."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import devview as dv

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "docs" / "examples"
PACKAGE = Path(dv.__file__).parent


def missing(what: str):
    """Fail under CI, where everything is installed; elsewhere skip and say what is missing."""
    if os.environ.get("CI"):
        pytest.fail(f"missing: {what}", pytrace=False)
    pytest.skip(f"missing: {what}")


def tool(*names: str) -> str:
    """Return the first of these programs, of the system or of this Python environment."""
    scripts = str(Path(sys.executable).parent)
    for name in names:
        if found := shutil.which(name) or shutil.which(name, path=scripts):
            return found
    missing(" or ".join(names))
    return ""


def compiler() -> str:
    """Return the C++ compiler that a build takes if it is told nothing."""
    return tool(os.environ.get("CXX", "c++"), "g++")


def run(*command: str | Path, environment: dict[str, str] | None = None, code: int = 0) -> str:
    """Run a command that ends with `code`; return what it printed."""
    # Options for devview's own build are none of theirs.
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("SKBUILD_")}
    done = subprocess.run(
        [str(word) for word in command],
        cwd="/",  # nothing of the repository is found by accident
        env={**inherited, **(environment or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
        timeout=600,
    )
    assert done.returncode == code, done.stdout
    return done.stdout


def folder(option: str) -> Path:
    """Return what ``python -m devview <option>`` prints; skipped if devview was not installed."""
    if not (PACKAGE / "share").is_dir():
        missing("devview as an installation has it (pip install .); this is a build tree's")
    return Path(run(sys.executable, "-m", "devview", option).rstrip("\n"))


def cmake_build(source: Path, build: Path, *options: str) -> str:
    """Configure and build a project; return what CMake said."""
    ninja = shutil.which("ninja") or shutil.which("ninja", path=str(Path(sys.executable).parent))
    generator = ("-G", "Ninja", f"-DCMAKE_MAKE_PROGRAM={ninja}") if ninja else ()
    cmake = tool("cmake")
    said = run(cmake, "-S", source, "-B", build, *generator, *options)
    run(cmake, "--build", build)
    return said
