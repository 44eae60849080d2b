"""Our copy of Arrow's structs agrees with a released arrow/c/abi.h, and stands beside it."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from clients.contract import require

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "tests" / "compile" / "arrow_abi.cpp"

pa = require("pyarrow", "pyarrow")


def compile_against(includes: Path, source: Path = SOURCE) -> subprocess.CompletedProcess:
    compiler = os.environ.get("CXX") or shutil.which("c++") or shutil.which("g++")
    if compiler is None:
        pytest.skip("missing: a C++ compiler")
    paths = [f"-I{ROOT / 'core' / 'include'}", f"-I{includes}"]
    return subprocess.run(
        [*compiler.split(), "-std=c++17", "-Wall", "-Werror", "-fsyntax-only", *paths, str(source)],
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_structs_are_those_of_a_released_header():
    done = compile_against(Path(pa.get_include()))
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("ARROW_DEVICE_METAL 8", "ARROW_DEVICE_METAL 9", "ARROW_DEVICE_METAL"),
        ("ARROW_FLAG_NULLABLE 2", "ARROW_FLAG_NULLABLE 3", "ARROW_FLAG_NULLABLE"),
        ("int64_t null_count;", "int32_t null_count;", "null_count"),
        ("int64_t device_id;", "uint64_t device_id;", "device_id"),
        ("int64_t reserved[3];", "int64_t reserved[4];", "reserved"),
    ],
)
def test_a_header_that_differs_is_noticed(tmp_path, old, new, told):
    header = Path(pa.get_include()) / "arrow" / "c" / "abi.h"
    text = header.read_text(encoding="utf-8")
    assert old in text
    copy = tmp_path / "arrow" / "c" / "abi.h"
    copy.parent.mkdir(parents=True)
    copy.write_text(text.replace(old, new), encoding="utf-8")
    done = compile_against(tmp_path)
    assert done.returncode != 0
    assert told in done.stderr


@pytest.mark.parametrize("order", [("devview/arrow.hpp", "arrow/c/abi.h"), None])
def test_both_headers_can_be_included(tmp_path, order):
    order = order or ("arrow/c/abi.h", "devview/arrow.hpp")
    source = tmp_path / "both.cpp"
    source.write_text("".join(f'#include "{name}"\n' for name in order), encoding="utf-8")
    done = compile_against(Path(pa.get_include()), source)
    assert done.returncode == 0, done.stderr
