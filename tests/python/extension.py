"""Extension modules of tests/extension, compiled once a run against the package under test."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sysconfig
import time
from pathlib import Path

import pytest

import devview as dv

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


def build(folder: Path, name: str, standard: int = 20, options: tuple[str, ...] = ()) -> Path:
    """Compile tests/extension/NAME.cpp; of several processes of a run one does it."""
    target = folder / f"{name}{sysconfig.get_config_var('EXT_SUFFIX')}"
    lock = folder / f"{name}.lock"
    folder.mkdir(parents=True, exist_ok=True)
    try:
        lock.touch(exist_ok=False)
    except FileExistsError:
        done = folder / f"{name}.done"
        end = time.monotonic() + 300
        while not done.exists() and time.monotonic() < end:
            time.sleep(0.1)
        if done.read_text():
            pytest.fail(done.read_text())
        return target
    line = command(ROOT / f"tests/extension/{name}.cpp", target, standard, options)
    run = subprocess.run(line, capture_output=True, text=True, check=False, timeout=300)
    said = run.stderr if run.returncode else ""
    (folder / f"{name}.part").write_text(said)
    (folder / f"{name}.part").rename(folder / f"{name}.done")
    assert run.returncode == 0, said
    return target


def load(path: Path):
    """Import the module in that file."""
    name = path.name.partition(".")[0]
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def shared_folder(tmp_path_factory) -> Path:
    """Return one folder for all processes of this run."""
    base = tmp_path_factory.getbasetemp()
    return (base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base) / "extensions"
