"""The README's Python examples run as they stand there, and its links lead somewhere."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from clients.contract import require

# Clients that a page imports, by the package that has them.
CLIENTS = {"tvm_ffi": "apache-tvm-ffi", "pyarrow": "pyarrow"}

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]

RUN = """
import doctest, pathlib, sys
text = pathlib.Path(sys.argv[1]).read_text(encoding="utf-8")
inside, lines = False, []
for line in text.splitlines():  # other lines become empty: line numbers stay those of the page
    fence = line.startswith("```")
    lines.append(line if inside and not fence else "")
    inside = line == "```python" if fence else inside
test = doctest.DocTestParser().get_doctest("\\n".join(lines), {}, sys.argv[1], sys.argv[1], 0)
flags = doctest.ELLIPSIS
result = doctest.DocTestRunner(optionflags=flags).run(test)
print(result.attempted, "examples")
sys.exit(bool(result.failed))
"""


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_examples(page, tmp_path):
    text = page.read_text(encoding="utf-8")
    for module, package in CLIENTS.items():
        if re.search(rf"^>>> import .*\b{module}\b", text, re.MULTILINE):
            require(module, package)
    result = subprocess.run(
        [sys.executable, "-c", RUN, str(page)],
        cwd=tmp_path,
        env={**os.environ, "DEVVIEW_EMULATE_CUDA": "1", "PYTHONIOENCODING": "utf-8"},
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stderr == ""
    examples = text.count("\n>>> ")
    assert result.stdout == f"{examples} examples\n"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_to_files(page):
    for target in re.findall(r"\]\(([^)#]+)", page.read_text(encoding="utf-8")):
        assert target.startswith("https://") or (page.parent / target).exists(), target


def test_readme_has_examples():
    assert (ROOT / "README.md").read_text(encoding="utf-8").count("\n>>> ") > 20
