"""Hold the direction of dependencies: of parts, and of rooms in a part. A test and a script."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SUFFIXES = {".hpp", ".cpp", ".h", ".cuh", ".cu"}

# What each part may include: the parts of this project, and foreign headers that it must not see.
MAY_INCLUDE = {"core": {"core"}, "cuda": {"core", "cuda"}, "python": {"core", "cuda", "python"}}
PYTHON_HEADERS = re.compile(r"^(pybind11/|Python\.h$)")
CUDA_HEADERS = re.compile(r"^(cuda(_\w+|rt\w*)?\.h$|cuda/std/|thrust/|cub/|driver_types\.h$)")
FORBIDDEN = {
    "core": (PYTHON_HEADERS, CUDA_HEADERS),
    "cuda": (PYTHON_HEADERS,),
    "python": (CUDA_HEADERS,),
}

# The rooms under src in the order of data: each may include those before it. "" is src itself.
ROOMS = {
    "core": (
        *("", "machine", "format", "layout", "memory", "copy", "convert", "compare", "exchange"),
        "c_api",
    ),
    "cuda": ("runtime", "stream", "memory", "ipc", "copy", "exchange", "c_api"),
}

# Folders in which an include is looked up, by the part that owns them.
INCLUDE_FOLDERS = {
    "core": ("core/include", "core"),
    "cuda": ("cuda/include", "cuda"),
    "python": ("python/src", "python/include", "python"),
}

# Where CUDA runtime functions may be called by name; everyone else goes through the table.
CALLERS = ("cuda/src/runtime/runtime_cudart.cpp", "cuda/emulator/", "cuda/kernels/")
CUDA_CALL = re.compile(r"(?<![\w.>])(?<!define )cuda[A-Z]\w*(?<!_t)\s*\(")

INCLUDE = re.compile(r'^\s*#\s*include\s*[<"]([^>"]+)[>"]', re.MULTILINE)
COMMENT_OR_STRING = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"', re.DOTALL)


def sources(part: str) -> list[Path]:
    """Return the C++ and CUDA files of one part."""
    return sorted(path for path in (ROOT / part).rglob("*") if path.suffix in SUFFIXES)


def owner(header: str, file: Path) -> str | None:
    """Return the part that owns an included header, None for a foreign one."""
    beside = file.parent / header
    if beside.is_file():
        return beside.resolve().relative_to(ROOT).parts[0]
    own = file.relative_to(ROOT).parts[0]
    for part in (own, *INCLUDE_FOLDERS):
        if any((ROOT / folder / header).is_file() for folder in INCLUDE_FOLDERS[part]):
            return part
    return None


def include_faults(part: str) -> list[str]:
    """Return one line for each include that points the wrong way."""
    faults = []
    for file in sources(part):
        for header in INCLUDE.findall(file.read_text(encoding="utf-8")):
            name = file.relative_to(ROOT).as_posix()
            target = owner(header, file)
            if target is None and any(rule.search(header) for rule in FORBIDDEN[part]):
                faults.append(f"{name}: {part}/ includes {header}")
            elif target is not None and target not in MAY_INCLUDE[part]:
                faults.append(f"{name}: {part}/ includes {header} of {target}/")
    return faults


def room(part: str, path: str) -> int:
    """Return the place of a file under the part's src among the rooms."""
    return ROOMS[part].index(path.removeprefix("src/").rpartition("/")[0])


def room_faults(part: str) -> list[str]:
    """Return one line for each private include of a later room."""
    faults = []
    for file in sources(part):
        name = file.relative_to(ROOT / part).as_posix()
        if not name.startswith("src/"):
            continue
        for header in INCLUDE.findall(file.read_text(encoding="utf-8")):
            if header.startswith("src/") and room(part, header) > room(part, name):
                faults.append(f"{part}/{name}: includes {header}")
    return faults


def call_faults(part: str) -> list[str]:
    """Return one line for each CUDA runtime function called by name outside the fillers."""
    faults = []
    for file in sources(part):
        name = file.relative_to(ROOT).as_posix()
        if name.startswith(CALLERS):
            continue
        code = COMMENT_OR_STRING.sub(
            lambda match: "\n" * match.group().count("\n"), file.read_text(encoding="utf-8")
        )
        for match in CUDA_CALL.finditer(code):
            line = code.count("\n", 0, match.start()) + 1
            faults.append(f"{name}:{line}: {match.group().rstrip('( ')} called by name")
    return faults


@pytest.mark.parametrize("part", MAY_INCLUDE)
def test_includes_point_one_way(part):
    assert include_faults(part) == []


@pytest.mark.parametrize("part", ROOMS)
def test_rooms_include_those_before_them(part):
    assert room_faults(part) == []


def test_rooms_are_found():
    assert room("cuda", "src/copy/fill.cpp") > room("cuda", "src/runtime/check.hpp")
    assert room("core", "src/copy/copy_host.cpp") > room("core", "src/checked.hpp")


@pytest.mark.parametrize("part", MAY_INCLUDE)
def test_cuda_runtime_is_called_through_the_table(part):
    assert call_faults(part) == []


@pytest.mark.parametrize(
    ("code", "count"),
    [
        ("cudaMalloc(&p, 4);", 1),
        ("::cudaFreeAsync (p, s);", 1),
        ("table.cudaMalloc(&p, 4); table->cudaFree(p);", 0),
        ("#define cudaStreamLegacy ((cudaStream_t)1)", 0),
        ("cudaStream_t(0); static_cast<cudaMemcpyKind>(1);", 0),
        ('// cudaMalloc(p)\nlog("cudaMalloc(4)");', 0),
    ],
)
def test_rule_tells_calls_from_other_names(code, count):
    assert len(CUDA_CALL.findall(COMMENT_OR_STRING.sub("", code))) == count


if __name__ == "__main__":
    found = [fault for part in MAY_INCLUDE for fault in include_faults(part) + call_faults(part)]
    found += [fault for part in ROOMS for fault in room_faults(part)]
    print("\n".join(found) or "layering: python -> cuda -> core holds")
    sys.exit(bool(found))
