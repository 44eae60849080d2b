"""The documentation builds without a warning, and its reference has every public name."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import zlib
from pathlib import Path

import pytest

import devview as dv

ROOT = Path(__file__).resolve().parents[2]
SITE = ROOT / "build" / "docs" / "html"
# Nothing from an earlier run, every reference resolved, warnings are errors.
FLAGS = ("-q", "-E", "-n", "-W", "--keep-going", "-b", "html")

TYPES = {
    name: getattr(dv, name)
    for name in ("View", "Allocation", "Format", "Device", "Stream", "Event")
} | {"Staging": dv.Staging, "BufferFlags": dv.BufferFlags, "emulation": type(dv.emulation)}
# What consumers of a view call, which has no public name.
PROTOCOLS = {
    "__array_interface__",
    "__arrow_c_array__",
    "__arrow_c_device_array__",
    "__cuda_array_interface__",
    "__cuda_stream__",
    "__dlpack__",
    "__dlpack_c_exchange_api__",
    "__dlpack_device__",
    "__reduce_ex__",
}


def inventory() -> set[str]:
    """Return the Python names of the site's index, `objects.inv`."""
    data = (SITE / "objects.inv").read_bytes()
    for _ in range(4):  # lines of plain text
        data = data.partition(b"\n")[2]
    lines = zlib.decompress(data).decode().splitlines()
    return {line.split()[0] for line in lines if line.split()[1].startswith("py:")}


def missing(name: str, what: str):
    """Fail in CI, unless it names this among what it leaves out on purpose; else skip."""
    if os.environ.get("CI") and name not in os.environ.get("DEVVIEW_TEST_WITHOUT", "").split():
        pytest.fail(f"missing: {what}", pytrace=False)
    pytest.skip(f"missing: {what}")


def build() -> str:
    """Build the site and return what was said, warnings as errors."""
    for package in ("sphinx", "myst_parser", "breathe", "pydata_sphinx_theme"):
        if importlib.util.find_spec(package) is None:
            missing("sphinx", f"{package} (pip install '.[docs]')")
    if shutil.which("doxygen") is None:
        missing("doxygen", "doxygen")
    result = subprocess.run(
        [sys.executable, "-m", "sphinx", *FLAGS, "docs", SITE],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        check=False,
    )
    return result.stdout if result.returncode == 0 else f"rc {result.returncode}: {result.stdout}"


# One test: a second one could be run by another process at the same time, and would build again.
@pytest.mark.timeout(600)
def test_the_site_builds_without_warnings_and_has_every_public_name():
    assert build() == ""
    names = inventory()
    public = {f"devview.{name}" for name in dv.__all__}
    for name, kind in TYPES.items():
        public |= {f"devview.{name}.{member}" for member in vars(kind) if member[0] != "_"}
    public |= {f"devview.View.{name}" for name in PROTOCOLS}
    assert public - names == set()
    pages = {path.stem for path in (SITE / "reference" / "cpp" / "headers").glob("*.html")}
    for header in ("view-hpp", "format-hpp", "copy-hpp", "cuda-memory-hpp", "c_api-h"):
        assert header in pages
