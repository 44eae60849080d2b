"""Extension modules of tests/extension, compiled once a run against the package under test."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sysconfig
from pathlib import Path

import pytest

import devview as dv
from built_once import built_once

pybind11 = pytest.importorskip("pybind11")

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = Path(dv.__file__).parent


def command(source: Path, target: Path, standard: int, options: tuple[str, ...]) -> list[str]:
    """Return the compiler's command line: headers of this tree, the package's libraries."""
    includes = (ROOT / "core/include", ROOT / "python/include")
    system = (pybind11.get_include(), sysconfig.get_path("include"))
    return [
        *(os.environ.get("CXX", "c++"), f"-std=c++{standard}", "-O1", "-fPIC", "-shared"),
        *("-fvisibility=hidden", "-Wall", "-Wextra", "-Werror", *options),
        *(f"-I{folder}" for folder in includes),
        *(f"-isystem{folder}" for folder in system),
        *(str(source), "-o", str(target), f"-L{PACKAGE}", "-ldevview_core"),
        f"-Wl,-rpath,{PACKAGE}",
    ]


def built(factory, name: str, standard: int = 20, options: tuple[str, ...] = ()):
    """Import tests/extension/NAME.cpp, which one process of a run compiles."""

    def build(folder: Path) -> None:
        target = folder / f"{name}{sysconfig.get_config_var('EXT_SUFFIX')}"
        line = command(ROOT / f"tests/extension/{name}.cpp", target, standard, options)
        run = subprocess.run(line, capture_output=True, text=True, check=False, timeout=300)
        assert run.returncode == 0, run.stderr

    folder = built_once(factory, f"extension-{name}", build)
    return load(next(folder.glob(f"{name}.*")))


def load(path: Path):
    """Import the module in that file."""
    name = path.name.partition(".")[0]
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
