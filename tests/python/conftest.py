"""One process, three emulated devices, and a ledger that every test must leave as it found it."""

from __future__ import annotations

import gc
import re
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

# Modules that need no built package; what follows would import it.
FOREIGN = {"test_native", "test_layering"}

# `--import-mode=importlib` leaves sys.path alone: `import support` needs this folder.
sys.path.insert(0, str(Path(__file__).parent))
pytest.register_assert_rewrite("support", "clients.contract", "clients.consumer", "dlpack_imports")


def pytest_itemcollected(item):
    """Ids without addresses: every process of a run must collect the same ones."""
    item._nodeid = re.sub(r" at 0x[0-9a-f]+", "", item.nodeid)


FAILED = pytest.StashKey[bool]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if call.when == "call" and not report.passed:
        item.stash[FAILED] = True
    return report


def pytest_configure(config):
    for line in (
        "slow: takes more than a few seconds",
        "release_errors(n): exactly n releases fail, and each is told once (no n: any number)",
        "lets_go_later: threads of a client drop what they hold when they come to it",
    ):
        config.addinivalue_line("markers", line)
    try:
        from hypothesis import HealthCheck, settings
    except ImportError:
        return  # the modules that draw examples fail on their own import
    settings.register_profile(
        "devview",
        derandomize=True,
        deadline=None,
        database=None,
        max_examples=60,
        suppress_health_check=[
            HealthCheck.function_scoped_fixture,
            HealthCheck.too_slow,
            HealthCheck.data_too_large,
        ],
    )
    settings.load_profile("devview")


@pytest.fixture(scope="session")
def runtime():
    """Start the emulator, once; with DEVVIEW_TEST_RUNTIME=real there is nothing to start."""
    import devview as dv
    import support

    if support.REAL:
        if not any(str(device).startswith("cuda") for device in dv.devices()):
            pytest.skip("missing: a CUDA device (DEVVIEW_TEST_RUNTIME=real)")
    else:
        dv.emulate(devices=3, memory=support.DEVICE_MEMORY)
    return dv


@pytest.fixture(scope="module")
def caster(tmp_path_factory):
    """Import tests/extension/caster.cpp, which one process of a run compiles."""
    from extension import built

    return built(tmp_path_factory, "caster")


@pytest.fixture
def unraisable(monkeypatch):
    """Collect what reaches sys.unraisablehook during the test, as plain values."""
    told = []

    def hook(args):
        told.append(
            SimpleNamespace(
                type=args.exc_type, message=str(args.exc_value), object=repr(args.object)
            )
        )

    monkeypatch.setattr(sys, "unraisablehook", hook)
    return told


def settled(before, seconds=20):
    """Read the ledger until it is `before`: what is lost stays in it, what is late does not."""
    import support

    end = time.monotonic() + seconds
    while (after := support.ledger()) != before and time.monotonic() < end:
        time.sleep(0.001)
    return after


@pytest.fixture(autouse=True)
def balance(request):
    """Hold every test to the ledger: memory, exports, streams, failed releases."""
    if request.module.__name__.rpartition(".")[2] in FOREIGN:
        yield
        return
    dv = request.getfixturevalue("runtime")
    unraisable = request.getfixturevalue("unraisable")
    import support

    emulated = not support.REAL
    # The traceback of a test that failed before this one holds that test's views.
    for name in ("last_exc", "last_type", "last_value", "last_traceback"):
        vars(sys).pop(name, None)
    # The collections of this test pass over what was there before it.
    gc.collect()
    gc.freeze()
    before = support.ledger()
    limit = dv.pinned_limit()
    errors = dv.release_errors()
    yield
    if emulated or support.STANDIN:
        dv.emulation.clear_faults()
        dv.emulation.clear_sticky()
        dv.emulation.set_delay(0)
    dv.set_pinned_limit(limit)
    if request.node.stash.get(FAILED, False):
        return  # its traceback holds its views, and there is a failure to look at already
    gc.collect()
    after = support.ledger()
    if request.node.get_closest_marker("lets_go_later") is not None:
        after = settled(before)
    assert after == before, f"left alive: {dv.live()}"
    failed = dv.release_errors() - errors
    marker = request.node.get_closest_marker("release_errors")
    if marker is None:
        assert failed == 0
        assert not unraisable
    else:
        assert failed == len(unraisable), "a failed release was not told exactly once"
        if marker.args:
            assert failed == marker.args[0]
