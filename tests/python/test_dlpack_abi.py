"""Our copy of DLPack's structs agrees with a released dlpack.h."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from clients.contract import require

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "tests" / "compile" / "dlpack_abi.cpp"


def released_header() -> Path:
    folder = Path(require("tvm_ffi", "apache-tvm-ffi").__file__).parent / "include"
    assert (folder / "dlpack" / "dlpack.h").is_file()
    return folder


def compile_against(header: Path) -> subprocess.CompletedProcess:
    compiler = os.environ.get("CXX") or shutil.which("c++") or shutil.which("g++")
    if compiler is None:
        pytest.skip("missing: a C++ compiler")
    includes = [f"-I{ROOT / 'core' / 'include'}", f"-I{header}"]
    return subprocess.run(
        [*compiler.split(), "-std=c++17", "-fsyntax-only", *includes, str(SOURCE)],
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_structs_are_those_of_a_released_header():
    done = compile_against(released_header())
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("kDLMetal = 8", "kDLMetal = 9", "kDLMetal"),
        ("kDLBool = 6U", "kDLBool = 7U", "kDLBool"),
        ("uint64_t byte_offset;", "uint32_t byte_offset;", "DLTensor"),
    ],
)
def test_a_header_that_differs_is_noticed(tmp_path, old, new, told):
    text = (released_header() / "dlpack" / "dlpack.h").read_text(encoding="utf-8")
    assert old in text
    (tmp_path / "dlpack").mkdir()
    (tmp_path / "dlpack" / "dlpack.h").write_text(text.replace(old, new), encoding="utf-8")
    done = compile_against(tmp_path)
    assert done.returncode != 0
    assert told in done.stderr
