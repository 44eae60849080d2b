"""Passing arrays to C++ functions: devview/pybind11.hpp beside nanobind and plain pybind11.

    python bench/binders.py [--build FOLDER] [options of `python -m devview bench`]

Builds one module for each binder (CMake, pybind11 and nanobind have to be installed), then runs the
harness' cases of arguments with them. Without --build nothing is kept.

The limit of a DLPack object is a function on pybind11 that asks it for a capsule of version 1 and
throws that away. For `const` arrays nanobind asks for one of before 2023, which costs a Python
class half as much; it cannot say that memory is read-only, so producers refuse read-only memory,
and newer ones warn or refuse at all: devview never asks for it.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import devview as dv

SOURCE = Path(__file__).parent / "binders"


def build(folder: Path) -> None:
    """Configure and build the modules."""
    hints = []
    for name, flag in (("pybind11", "--cmakedir"), ("nanobind", "--cmake_dir")):
        told = subprocess.check_output([sys.executable, "-m", name, flag], text=True)
        hints.append(f"-D{name}_DIR={told.strip()}")
    package = Path(dv.__file__).parent
    subprocess.run(
        [
            *("cmake", "-S", SOURCE, "-B", folder, "-DCMAKE_BUILD_TYPE=Release"),
            *(f"-DPython_EXECUTABLE={sys.executable}", f"-DDEVVIEW_PACKAGE={package}", *hints),
        ],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    subprocess.run(["cmake", "--build", folder], check=True, stdout=subprocess.DEVNULL)


def main() -> int:
    """Build, then measure; return the harness' status."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--build", type=Path, metavar="FOLDER", help="folder to build in, kept")
    own, others = parser.parse_known_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = own.build or Path(temporary)
        build(folder)
        command = [sys.executable, "-m", "devview", "bench", "--modules", folder]
        return subprocess.run([*command, "--filter", "argument/", *others], check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
