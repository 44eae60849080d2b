"""What users do wrong between CuPy and devview, and what they are told."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import devview as dv
from gpu_peers import require

cp = require("cupy", "cupy-cuda13x")


def run(script: str, **env: str) -> subprocess.CompletedProcess:
    """Run a script in a process of its own, with the same runtime and package."""
    package = str(Path(dv.__file__).parents[1])
    path = os.pathsep.join(filter(None, [package, os.environ.get("PYTHONPATH")]))
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        capture_output=True,
        text=True,
        timeout=100,
        env=os.environ | {"PYTHONPATH": path} | env,
        check=False,
    )


class Told:
    """An object with an array interface of somebody's own."""

    def __init__(self, owner, **told):
        self.owner = owner
        self.__cuda_array_interface__ = told | {"version": 3}


def told(array, **changes) -> Told:
    return Told(array, **(array.__cuda_array_interface__ | {"descr": None} | changes))


def test_memory_that_cupy_has_freed():
    """The pool keeps the address, so only the address of memory that is gone can be found out."""
    memory = cp.cuda.alloc(1000)
    address = memory.ptr
    del memory
    cp.get_default_memory_pool().free_all_blocks()
    gone = Told(None, shape=(1000,), typestr="|u1", data=(address, False), strides=None)
    with pytest.raises(dv.ImportRefused, match=str(address)):
        dv.view(gone)


def test_host_memory_said_to_be_cudas():
    host = bytearray(64)
    with dv.view(host) as view:
        wrong = Told(host, shape=(64,), typestr="|u1", data=(view.ptr, False), strides=None)
        with pytest.raises(dv.ImportRefused, match="no CUDA device knows"):
            dv.view(wrong)


def test_more_items_than_the_block_has():
    """Where a block ends CUDA tells of an address, not of a length: the last byte is looked up."""
    memory = cp.cuda.alloc(4096)
    array = cp.ndarray((4096,), "u1", memory)
    with pytest.raises(dv.ImportRefused):
        dv.view(told(array, shape=(1 << 40,)))


@pytest.mark.parametrize("stream", [0, -1, True, "1", 1.5])
def test_streams_that_the_array_interface_cannot_name(stream):
    array = cp.zeros(4)
    with pytest.raises((dv.ImportRefused, TypeError), match="stream"):
        dv.from_cuda_array(told(array, stream=stream))


@pytest.mark.parametrize("stream", [0, -2])
def test_streams_that_dlpack_cannot_name(stream):
    view = dv.zeros(4, device="cuda")
    with pytest.raises((BufferError, ValueError), match="stream"):
        view.__dlpack__(stream=stream)


def test_cupys_null_stream_is_the_legacy_stream():
    """`Stream.null.ptr` is 0, which DLPack forbids as a number: as an object it says what it is."""
    view = dv.zeros(4, device="cuda")
    assert cp.cuda.Stream.null.ptr == 0
    capsule = view.__dlpack__(stream=cp.cuda.Stream.null)
    assert cp.from_dlpack(capsule).tolist() == [0] * 4
    capsule = view.__dlpack__(stream=cp.cuda.Stream.ptds, max_version=(1, 0))
    assert cp.from_dlpack(capsule).tolist() == [0] * 4


def test_capsules_are_consumed_once():
    array = cp.arange(4)
    capsule = array.__dlpack__(max_version=(1, 0))
    view = dv.from_dlpack(capsule)
    for consumer in dv.from_dlpack, cp.from_dlpack:
        with pytest.raises((BufferError, ValueError)):
            consumer(capsule)
    assert view.tolist() == [0, 1, 2, 3]
    capsule = view.__dlpack__(stream=1)
    again = cp.from_dlpack(capsule)
    with pytest.raises((BufferError, ValueError)):
        dv.from_dlpack(capsule)
    assert again.tolist() == [0, 1, 2, 3]


def test_a_released_view_is_given_to_cupy():
    view = dv.zeros(4, device="cuda")
    view.release()
    for take in cp.from_dlpack, cp.asarray:
        with pytest.raises(ValueError, match="released"):
            take(view)


def test_devices_that_are_not_there():
    view = dv.zeros(4, device="cuda")
    with pytest.raises(BufferError, match="99"):
        view.__dlpack__(dl_device=(2, 99))
    with pytest.raises(dv.DeviceError, match="99"):
        view.to("cuda:99")
    with pytest.raises(dv.DeviceError, match="99"):
        dv.view(cp.zeros(4), device="cuda:99")


def test_cupy_is_asked_for_another_device_by_us():
    """`device=` makes a copy; CuPy itself would refuse."""
    with pytest.raises(BufferError, match="unsupported device"):
        cp.zeros(4).__dlpack__(dl_device=(9, 0))
    assert dv.view(cp.arange(4), device="pinned").tolist() == [0, 1, 2, 3]


def test_masks_and_later_versions_are_refused():
    array = cp.zeros(4)
    with pytest.raises(dv.ImportRefused, match="mask"):
        dv.view(told(array, mask=cp.ones(4, "?")))
    later = told(array)
    later.__cuda_array_interface__["version"] = 4
    with pytest.raises(dv.ImportRefused, match="version"):
        dv.view(later)


EMULATED = """
    import cupy
    import devview as dv
    dv.emulate()
"""


def test_an_array_of_cupys_in_a_process_that_emulates():
    done = run(
        EMULATED
        + """
    array = cupy.arange(4)
    for take in dv.view, dv.from_dlpack, dv.from_cuda_array:
        try:
            take(array)
        except dv.ImportRefused as error:
            print(error)
    print(array.sum())
    """
    )
    assert done.returncode == 0, done.stderr
    *refused, total = done.stdout.splitlines()
    assert total == "6"
    assert len(refused) == 3
    for line in refused:
        assert "emulat" in line, line


def test_an_emulated_view_is_given_to_cupy():
    done = run(
        EMULATED
        + """
    view = dv.zeros(4, "i", device="cuda")
    for take in cupy.from_dlpack, cupy.asarray:
        try:
            print(take(view))
        except Exception as error:
            print(type(error).__name__, error)
    """
    )
    # CuPy's own errors, before a kernel runs: no crash, and no items of somebody else's.
    assert (done.returncode, done.stderr) == (0, "")
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["CUDARuntimeError"] * 2


def test_devview_cannot_emulate_after_it_has_used_a_gpu():
    dv.zeros(1, device="cuda").release()
    with pytest.raises(dv.Error, match="emulate"):
        dv.emulate()
