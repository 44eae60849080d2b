"""Run the GoogleTest binaries of core/ and cuda/, one pytest test per suite.

The binaries are built in build/pytest, against the libraries of the installed package where these
are newer than the sources (so that kernels are compiled once), else from the sources.
"""

from __future__ import annotations

import fcntl
import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build" / "pytest"
PARTS = ("core", "cuda")
SUITE = re.compile(
    r"^\s*(?:TYPED_TEST|TYPED_TEST_P|TEST|TEST_F|TEST_P)\(\s*(\w+)\s*,", re.MULTILINE
)
CASE_LINE = re.compile(r"^\[ +(OK|SKIPPED|FAILED) +\] ", re.MULTILINE)

# The first suite waits for the build.
pytestmark = [pytest.mark.native, pytest.mark.timeout(1500)]


def suites() -> list[tuple[str, str]]:
    """Return (part, suite) for every suite, read from the sources: collection builds nothing."""
    return [
        (part, suite)
        for part in PARTS
        for suite in sorted(
            {
                name
                for file in (ROOT / "tests" / part).rglob("*.cpp")
                for name in SUITE.findall(file.read_text(encoding="utf-8"))
            }
        )
    ]


def missing(what: str):
    """Fail under CI, where everything is installed; elsewhere skip and say what is missing."""
    if os.environ.get("CI"):
        pytest.fail(f"missing: {what}", pytrace=False)
    pytest.skip(f"missing: {what}")


def tool(name: str) -> str | None:
    """Return a program of the system, else of this Python environment."""
    return shutil.which(name) or shutil.which(name, path=str(Path(sys.executable).parent))


def installed_libraries() -> Path | None:
    """Return the installed package's folder if its libraries are no older than their sources."""
    spec = importlib.util.find_spec("devview")
    if spec is None or spec.origin is None:
        return None
    folder = Path(spec.origin).parent
    libraries = [folder / f"libdevview_{part}.so" for part in PARTS]
    if not all(library.exists() for library in libraries):
        return None
    built = min(library.stat().st_mtime for library in libraries)
    files = [path for part in PARTS for path in (ROOT / part).rglob("*") if path.is_file()]
    return folder if all(path.stat().st_mtime <= built for path in files) else None


def run(*command: str | Path) -> subprocess.CompletedProcess:
    """Run a command at the repository's root; both streams in one text."""
    return subprocess.run(
        command,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )


@pytest.fixture(scope="module")
def binaries() -> Path:
    """Build the test binaries, one process of a run after the other; return their folder."""
    BUILD.mkdir(parents=True, exist_ok=True)
    with (BUILD / "build.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return build()


def build() -> Path:
    """Configure and build; missing tools are told by name."""
    cmake = tool("cmake")
    if cmake is None:
        missing("cmake")
    if tool("c++") is None and "CXX" not in os.environ:
        missing("a C++ compiler")
    ninja = tool("ninja")
    generator = ["-G", "Ninja", f"-DCMAKE_MAKE_PROGRAM={ninja}"] if ninja else []
    configure = run(
        cmake,
        *("-S", ROOT, "-B", BUILD, *generator),
        "-DCMAKE_BUILD_TYPE=Release",
        "-DDEVVIEW_TESTS=ON",
        "-DDEVVIEW_PYTHON=OFF",
        f"-DDEVVIEW_PREBUILT={installed_libraries() or ''}",
        f"-DPython_EXECUTABLE={sys.executable}",
    )
    if configure.returncode and "googletest" in configure.stdout:
        missing(f"GoogleTest, neither installed nor to be fetched\n{configure.stdout[-2000:]}")
    assert configure.returncode == 0, configure.stdout
    made = run(cmake, "--build", BUILD, "--parallel", str(os.cpu_count() or 1))
    assert made.returncode == 0, made.stdout
    return BUILD / "tests"


@pytest.mark.parametrize(("part", "suite"), suites())
def test_suite(binaries, part, suite):
    # A parametrised suite is Prefix/Suite, a typed one Suite/0.
    chosen = ":".join(
        f"{prefix}{suite}{suffix}.*" for prefix in ("", "*/") for suffix in ("", "/*")
    )
    result = run(binaries / f"test_{part}", f"--gtest_filter={chosen}", "--gtest_color=no")
    assert result.returncode == 0, result.stdout
    outcomes = set(CASE_LINE.findall(result.stdout))
    assert outcomes, f"no case of {suite} has run\n{result.stdout}"
    if outcomes == {"SKIPPED"}:
        pytest.skip(result.stdout)


EXAMPLES = sorted((ROOT / "docs" / "examples").glob("*.c*"))


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_example_of_the_documentation(binaries, example):
    result = run(binaries / f"example_{example.stem}")
    assert result.returncode == 0, result.stdout


@pytest.mark.parametrize("part", PARTS)
def test_every_suite_of_the_binary_is_known_here(binaries, part):
    listed = run(binaries / f"test_{part}", "--gtest_list_tests").stdout
    names = re.findall(r"^(?:\w+/)?(\w+)(?:/\w+)?\.", listed, re.MULTILINE)
    assert set(names) == {suite for owner, suite in suites() if owner == part}
