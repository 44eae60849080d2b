"""The examples of README and documentation run as they stand, and their links lead somewhere.

A page's blocks run in one process and one namespace. A block of `>>>` lines is compared with the
answers in it. Any other ```python block is a program, which runs as a whole at its place: what it
prints is the ```text block behind it, if one follows at once or behind the word `prints`.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from itertools import zip_longest
from pathlib import Path

import pytest

from clients.contract import require

# Clients that a page imports, by the package that has them.
CLIENTS = {"tvm_ffi": "apache-tvm-ffi", "pyarrow": "pyarrow"}

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
EXAMPLES = DOCS / "examples"
PAGES = [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]
FENCE = re.compile(r"^```(\S*)[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)

RUN = """
import doctest, json, sys
parser, examples, programs = doctest.DocTestParser(), [], []
for line, program, text, output in json.load(sys.stdin):
    if program:
        source = f"exec(compile(PROGRAMS[{len(programs)}], '<program>', 'exec'), globals())\\n"
        programs.append("\\n" * line + text)
        examples.append(doctest.Example(source, output, lineno=line))
    else:
        found = parser.get_examples(text)
        for example in found:
            example.lineno += line
        examples += found
test = doctest.DocTest(examples, {"PROGRAMS": programs}, sys.argv[1], sys.argv[1], 0, "")
result = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(test)
print(result.attempted, "examples")
sys.exit(bool(result.failed))
"""


def python_blocks(text: str) -> list[tuple[int, bool, str, str]]:
    """Return (line, is it a program, code, what a program prints) of each Python block."""
    blocks = []
    fences = list(FENCE.finditer(text))
    for fence, following in zip_longest(fences, fences[1:]):
        if fence[1] != "python":
            continue
        program = not re.search(r"^>>> ", fence[2], re.MULTILINE)
        output = ""
        if program and following and following[1] == "text":
            between = text[fence.end() : following.start()]
            output = following[2] if between.strip() in ("", "prints") else ""
        blocks.append((text.count("\n", 0, fence.start(2)), program, fence[2], output))
    return blocks


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_examples(page, tmp_path):
    text = page.read_text(encoding="utf-8")
    for module, package in CLIENTS.items():
        if re.search(rf"^(>>> )?import .*\b{module}\b", text, re.MULTILINE):
            require(module, package)
    blocks = python_blocks(text)
    result = subprocess.run(
        [sys.executable, "-c", RUN, str(page)],
        cwd=tmp_path,
        env={**os.environ, "DEVVIEW_EMULATE_CUDA": "1", "PYTHONIOENCODING": "utf-8"},
        input=json.dumps(blocks),
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stderr == ""
    examples = text.count("\n>>> ") + sum(program for _, program, _, _ in blocks)
    assert result.stdout == f"{examples} examples\n"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_to_files(page):
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    for target in re.findall(r"\]\(([^)#]+)", text):
        if target.startswith("https://"):
            continue
        # Pages of headers are made when the site is built, which another test does.
        made = Path(target).parent.name == "headers"
        assert made or (page.parent / target).exists(), target


def test_every_page_is_on_the_site():
    for page in DOCS.rglob("*.md"):
        if page.name != "index.md":
            index = (page.parent / "index.md").read_text(encoding="utf-8")
            tree = "\n".join(body for kind, body in FENCE.findall(index) if kind == "{toctree}")
            assert {page.stem, "*"} & set(tree.split()), page


def test_cpp_examples_are_excerpts_of_programs_that_run():
    built = (ROOT / "tests" / "CMakeLists.txt").read_text(encoding="utf-8")
    sources = [*EXAMPLES.rglob("*"), *(ROOT / "tests").rglob("*")]
    programs = [
        path.read_text(encoding="utf-8")
        for path in sources
        if path.suffix in (".c", ".cpp", ".cu", ".hpp", ".cuh")
    ]
    for page in PAGES:
        if page.relative_to(ROOT).as_posix() in built:
            continue  # its blocks are built from the page itself
        for kind, body in FENCE.findall(page.read_text(encoding="utf-8")):
            if kind in ("c", "cpp", "c++", "cuda"):
                lines = [line.strip() for line in body.strip().splitlines()]
                found = any(
                    lines == every[i : i + len(lines)]
                    for every in ([line.strip() for line in text.splitlines()] for text in programs)
                    for i in range(len(every))
                )
                assert found, f"{page}: no file of docs/examples or tests has this block:\n{body}"


def test_readme_has_examples():
    assert (ROOT / "README.md").read_text(encoding="utf-8").count("\n>>> ") > 20
