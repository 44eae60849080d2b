#!/usr/bin/env python3
"""Compare the C functions of the built libraries with the kept description of their ABI.

``c_abi.py check BUILD`` fails on every difference: a break, which is to be undone, or an addition,
after which ``c_abi.py write BUILD`` describes the libraries anew. BUILD is the folder of a build
with debug information. Needs libabigail's abidw and abidiff (Debian: abigail-tools).
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
HEADERS = {
    "core": ("--headers-dir", ROOT / "core/include/devview/c_api"),
    "cuda": (
        *("--headers-dir", ROOT / "core/include/devview/c_api"),
        *("--header-file", ROOT / "cuda/include/devview/cuda/c_api.h"),
        *("--header-file", ROOT / "cuda/include/devview/cuda/pluggable.h"),
    ),
}
# C++ names have no promise.
SUPPRESSIONS = """[suppress_function]
    symbol_name_not_regexp = ^devview_
    drop = yes
[suppress_variable]
    symbol_name_regexp = .*
    drop = yes
"""
BREAK = 8  # of abidiff's exit status


def kept(part: str) -> Path:
    """Return the file with the ABI that is promised."""
    return ROOT / part / f"devview_{part}.abi"


def describe(library: Path, part: str, folder: Path) -> ET.Element:
    """Return what abidw says of the C functions, of every translation unit."""
    suppressions, told = folder / "suppressions", folder / "abidw.xml"
    suppressions.write_text(SUPPRESSIONS, encoding="ascii")
    options = "--exported-interfaces-only --no-elf-needed --no-corpus-path --no-comp-dir-path"
    command = [
        *("abidw", *options.split(), "--no-show-locs", "--drop-private-types"),
        *("--suppressions", suppressions, *HEADERS[part], "--out-file", told, library),
    ]
    subprocess.run(command, check=True)
    return ET.parse(told).getroot()


def references(element: ET.Element) -> set[str]:
    """Return the types that a declaration names."""
    return {
        value
        for part in element.iter()
        for name, value in part.attrib.items()
        if name.endswith(("type-id", "typedef-id"))
    }


def reduce(corpus: ET.Element) -> ET.Element:
    """Return the C functions and the types that they reach, as one translation unit."""
    declarations = [item for unit in corpus.iter("abi-instr") for item in unit]
    types: dict[str, ET.Element] = {}
    for item in declarations:
        if "id" in item.attrib:
            types.setdefault(item.attrib["id"], item)
    functions = {
        item.attrib["name"]: item
        for item in declarations
        if item.tag == "function-decl" and item.attrib["name"].startswith("devview_")
    }
    reached: set[str] = set()
    pending = set().union(*(references(item) for item in functions.values()))
    while pending:
        name = pending.pop()
        if name in types and name not in reached:
            reached.add(name)
            pending |= references(types[name])
    unit = ET.Element(
        "abi-instr", {"address-size": "64", "path": "c_api.h", "language": "LANG_C99"}
    )
    unit.extend(item for name, item in types.items() if name in reached)
    unit.extend(functions[name] for name in sorted(functions))
    result = ET.Element("abi-corpus", corpus.attrib)
    result.extend([corpus.find("elf-function-symbols"), unit])
    ET.indent(result)
    return result


def write(element: ET.Element, path: Path) -> None:
    """Write a description, ending with a newline."""
    path.write_text(ET.tostring(element, encoding="unicode") + "\n", encoding="utf-8")


def check(part: str, found: ET.Element, folder: Path) -> int:
    """Return abidiff's status; what it says is printed."""
    now = folder / "now.abi"
    write(found, now)
    done = subprocess.run(["abidiff", kept(part), now], check=False, capture_output=True, text=True)
    functions = len(found.findall("abi-instr/function-decl"))
    if done.returncode == 0:
        print(f"libdevview_{part}: {functions} C functions as they were")
        return 0
    verdict = "is broken" if done.returncode & BREAK else "has changed: a break, or an addition?"
    print(f"libdevview_{part}: the C ABI {verdict}\n{done.stdout}{done.stderr}", file=sys.stderr)
    return done.returncode


def main(mode: str, build: str) -> int:
    """Check or write both libraries."""
    status = 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for part in HEADERS:
            library = Path(build) / part / f"libdevview_{part}.so"
            found = reduce(describe(library, part, folder))
            if mode == "write":
                write(found, kept(part))
            else:
                status |= check(part, found, folder)
    return status


if __name__ == "__main__":
    if len(sys.argv) != 3 or sys.argv[1] not in ("check", "write"):
        sys.exit(__doc__)
    sys.exit(main(*sys.argv[1:]))
