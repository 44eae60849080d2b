"""CuPy's own tests of DLPack and the array interface, with devview's views as the foreign arrays.

They are not in CuPy's wheel: DEVVIEW_CUPY_SOURCE names a folder with its source distribution
(`pip download cupy==VERSION --no-deps --no-binary cupy`, unpacked), of the version installed.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import devview as dv
from gpu_peers import require

cp = require("cupy", "cupy-cuda13x")

SUITE = Path(__file__).parent / "cupy_suite"
# The module, how many of its tests pass, and how many do not apply (the plugin names each).
MODULES = {
    "test_dlpack": (28, 6),
    "test_ndarray_cuda_array_interface": (53, 3),
}


@pytest.fixture(scope="module")
def source() -> Path:
    told = os.environ.get("DEVVIEW_CUPY_SOURCE")
    if not told:
        pytest.skip("missing: CuPy's source (DEVVIEW_CUPY_SOURCE)")
    folder = Path(told)
    assert f"__version__ = '{cp.__version__}'" in (folder / "cupy/_version.py").read_text()
    return folder


@pytest.mark.timeout(400)
@pytest.mark.parametrize("module", MODULES)
def test_cupys_tests(source, module, tmp_path):
    package = Path(dv.__file__).parents[1]
    path = [str(SUITE), str(package), *filter(None, [os.environ.get("PYTHONPATH")])]
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"),
            *("-p", "devview_in_cupys_tests", "-W", "ignore", "--rootdir", str(tmp_path)),
            *("-c", os.devnull, "--confcutdir", str(tmp_path), "--import-mode=importlib"),
            str(source / "tests/cupy_tests/core_tests" / f"{module}.py"),
        ],
        capture_output=True,
        text=True,
        timeout=390,
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(path), "PYTEST_ADDOPTS": ""},
        check=False,
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    passed, skipped = MODULES[module]
    assert re.search(rf"^{passed} passed, {skipped} skipped", done.stdout, re.M), done.stdout
    assert int(re.search(r"views of devview made: (\d+)", done.stdout)[1]) > passed / 2
