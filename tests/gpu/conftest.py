"""One process with the real runtime: devview and the libraries beside it share the devices.

`pytest tests/gpu` runs them on a GPU, or on a stand-in for the runtime that is preloaded. They are
no part of a plain `pytest`: a process has the real runtime or the emulated one, never both.
"""

from __future__ import annotations

import gc
import sys
from pathlib import Path

import pytest

# `--import-mode=importlib` leaves sys.path alone: the helpers beside this file need it.
sys.path.insert(0, str(Path(__file__).parent))
sys.path.append(str(Path(__file__).parents[1] / "python"))  # extension.py
pytest.register_assert_rewrite("gpu_layouts", "gpu_peers", "gpu_work")

FAILED = pytest.StashKey[bool]()


def pytest_collection_modifyitems(items):
    for item in items:
        item.add_marker(pytest.mark.gpu)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if call.when == "call" and not report.passed:
        item.stash[FAILED] = True
    return report


@pytest.fixture(scope="session")
def devices() -> tuple[str, ...]:
    """Name the CUDA devices; without one every test is skipped."""
    import devview as dv

    names = tuple(d.name for d in dv.devices() if d.name.startswith("cuda"))
    if not names:
        pytest.skip("missing: a CUDA device")
    assert not dv.emulation.active
    return names


@pytest.fixture(scope="session")
def two_devices(devices):
    """Name two devices."""
    if len(devices) < 2:
        pytest.skip("missing: a second CUDA device")
    return devices[:2]


@pytest.fixture(autouse=True)
def balance(request, devices, monkeypatch):
    """Hold every test to both ledgers: devview's, and that of CuPy's pool."""
    import devview as dv
    import gpu_work

    told: list[str] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda args: told.append(str(args.exc_value)))
    for name in ("last_exc", "last_type", "last_value", "last_traceback"):
        vars(sys).pop(name, None)  # the traceback of a test that failed holds its views
    # The collections of this test pass over what was there before it.
    gc.collect()
    gc.freeze()
    before, errors = gpu_work.ledger(devices), dv.release_errors()
    yield
    if request.node.stash.get(FAILED, False):
        return
    request.node.funcargs.clear()  # the fixtures' arrays are no leaks
    assert gpu_work.ledger(devices) == before, f"left alive: {dv.live()}"
    assert (dv.release_errors() - errors, told) == (0, [])
