"""Errors of devices: no driver, a fork, and devices that have failed for good."""

from __future__ import annotations

import os
import re

import pytest

import devview as dv
from support import CUDA_DEVICES, EMULATED, REAL, run_clean, run_script

CUDA = CUDA_DEVICES[0]

# What a runtime answers where there is nothing to run on: 801 is a build without CUDA.
NOTHING_TO_RUN_ON = {
    35: "no NVIDIA driver was found|the driver is for CUDA",
    100: "CUDA_VISIBLE_DEVICES",
    34: "stubs",
    801: "built without CUDA",
}


# --- No driver ---

USES = """
v = dv.zeros(3)
print([d.name for d in dv.devices()])
for use in (lambda: dv.empty(3, device="cuda"), lambda: v.to("cuda"), lambda: dv.Stream(),
            lambda: dv.memory_info("cuda"), lambda: dv.empty(3, device="pinned"),
            lambda: dv.empty(3, device="managed"),
            lambda: dv.Allocation(3, device="cuda", shareable=True)):
    try:
        use()
    except dv.DeviceError as error:
        print(error.code, error.name, error.sticky, repr(error.first_seen), str(error), sep="|")
    else:
        print("no error")
"""


def check_uses(out, codes):
    lines = out.splitlines()
    assert lines[0] == "['cpu']"
    assert len(lines) == 8
    for line in lines[1:]:
        code, name, sticky, first_seen, text = line.split("|", 4)
        assert int(code) in codes, line
        assert name.startswith("cudaError"), line
        assert re.search(NOTHING_TO_RUN_ON[int(code)], text), line
        assert "devview.emulate()" in text
        assert (sticky, first_seen) == ("False", "''")


def test_without_a_driver_every_use_tells_what_to_do():
    out = run_clean(USES, emulate=False)
    if not out.startswith("['cpu']"):
        pytest.skip("missing: a machine without a CUDA device")
    check_uses(out, NOTHING_TO_RUN_ON)


def test_driver_without_devices_is_told_as_such():
    if "cudart" not in os.environ.get("LD_PRELOAD", ""):
        pytest.skip("missing: the CUDA stand-in (run tests under its `run`)")
    out = run_clean(USES, emulate=False, env={"CUDAEMU_DEVICES": "0"})
    check_uses(out, {100})


def test_runtime_info_needs_no_driver():
    out = run_clean(
        """
        from devview import _devview
        info = _devview.runtime_info()
        print(sorted(info), info["emulated"], len(info["devices"]) == len(dv.devices()[1:-2]))
        """,
        emulate=False,
    )
    assert out == ("['devices', 'driver_version', 'emulated', 'runtime_version'] False True\n")


# --- Forks ---


def test_child_of_a_fork_is_told_to_be_spawned():
    out = run_clean(
        f"""
        import os
        v = dv.zeros(3, device={CUDA!r})
        pid = os.fork()
        if pid == 0:
            assert [d.name for d in dv.devices()] == ["cpu"]
            for use in (lambda: dv.empty(3, device="cuda"), lambda: dv.Stream(),
                        lambda: dv.empty(3, device="pinned")):
                try:
                    use()
                except dv.DeviceError as error:
                    assert (error.code, error.name) == (3, "cudaErrorInitializationError")
                    assert "spawn" in str(error) and "fork" in str(error), error
                else:
                    os._exit(1)
            del v
            os._exit(7)
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
        print(v.tolist())
        """,
        emulate=not REAL,
    )
    assert out.split("\n")[:2] == ["7", "[0, 0, 0]"]


# --- Devices that have failed for good ---


def test_errors_have_their_attributes_on_the_class():
    assert (dv.DeviceError.sticky, dv.DeviceError.first_seen) == (False, "")
    assert "first_seen" in dv.DeviceError.__doc__
    with pytest.raises(dv.DeviceError) as error:
        dv.zeros(3, device="gpu")
    assert (error.value.sticky, error.value.first_seen) == (False, "")


@EMULATED
def test_failed_device_tells_where_that_was_first_seen():
    out = run_script(
        """
        stream = dv.Stream("cuda:2")
        view = dv.zeros(64, device="cuda:2", stream=stream)
        view.tolist()
        dv.emulation.fail("memset", 1, 700)
        view.fill(1)
        def told(use):
            try:
                use()
            except dv.DeviceError as error:
                return error.code, error.name, error.sticky, error.first_seen
        first = told(stream.synchronize)
        print(first)
        dv.emulation.clear()
        for use in (lambda: dv.zeros(3, device="cuda:2"), lambda: view.fill(2),
                    lambda: dv.copy(view), lambda: view.to("cuda:1"), lambda: dv.Stream("cuda:2"),
                    view.tolist, stream.synchronize):
            assert told(use) == first, (use, told(use))
        print(dv.emulation.count("cudaMallocAsync"), dv.emulation.count("cudaMemsetAsync"))
        try:
            dv.zeros(3, device="cuda:2")
        except dv.DeviceError as error:
            assert "first seen at: " + first[3] in str(error), error
        assert dv.zeros(3, device="cuda:0").tolist() == [0, 0, 0]
        others = [dv.zeros(3, device="cuda:0") for _ in range(3)]
        del view, stream, others
        gc.collect()
        print(dv.release_errors())
        """
    )
    assert out.code == 0, out.err
    first, counts, errors = out.out.splitlines()
    assert first == "(700, 'cudaErrorIllegalAddress', True, 'stream synchronize on cuda:2')"
    assert counts == "1 0", "no work begins on a failed device; cuda:1, the target, works"
    assert errors == "0"
    assert "Exception ignored" not in out.err, "the exception has told of it"


@EMULATED
def test_failure_that_only_drops_have_seen_is_told_once():
    out = run_script(
        """
        views = [dv.zeros(64, device="cuda:2") for _ in range(4)]
        views[0].tolist()
        dv.emulation.fail("memset", 1, 700)
        views[0].fill(1)
        while dv.emulation.ledger()["queued"]:
            pass
        del views
        print(dv.release_errors())
        """
    )
    assert (out.code, out.out) == (0, "1\n")
    assert out.err.count("Exception ignored") == 1
    assert "has failed for good" in out.err


@EMULATED
def test_error_that_comes_once_is_not_sticky():
    dv.emulation.fail("cudaMallocAsync", 1, 700)
    with pytest.raises(dv.DeviceError) as error:
        dv.empty(3, device=CUDA)
    assert (error.value.code, error.value.sticky, error.value.first_seen) == (700, False, "")
    assert dv.zeros(3, device=CUDA).tolist() == [0, 0, 0]


@EMULATED
def test_exhausted_memory_tells_who_has_it():
    with pytest.raises(dv.OutOfMemory, match=r"in use of \d+ reserved") as error:
        dv.empty(1 << 40, device=CUDA)
    assert error.value.requested == 1 << 40
    assert error.value.limit == dv.memory_info(CUDA).limit_bytes
