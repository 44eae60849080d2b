"""Two devices: whose memory is where, and what goes between them."""

from __future__ import annotations

import numpy as np
import pytest

import devview as dv
from gpu_peers import require
from gpu_work import slow_fill

cp = require("cupy", "cupy-cuda13x")

HOST = np.arange(24, dtype="i4").reshape(4, 6)


@pytest.fixture(autouse=True)
def names(two_devices):
    return two_devices


def on(device: int, host=HOST):
    with cp.cuda.Device(device):
        return cp.asarray(host)


@pytest.mark.parametrize("current", [0, 1])
@pytest.mark.parametrize("device", [0, 1])
@pytest.mark.parametrize("take", [dv.view, dv.from_dlpack, dv.from_cuda_array])
def test_the_device_is_the_memorys_not_the_current_one(take, device, current):
    array = on(device)
    with cp.cuda.Device(current):
        view = take(array)
        assert cp.cuda.runtime.getDevice() == current
        assert view.device == f"cuda:{device}"
        assert view.ptr == array.data.ptr
        assert view.tolist() == HOST.tolist()
        view.release()
        assert cp.cuda.runtime.getDevice() == current


@pytest.mark.parametrize("current", [0, 1])
@pytest.mark.parametrize("device", [0, 1])
@pytest.mark.parametrize("take", [cp.from_dlpack, cp.asarray])
def test_cupy_is_told_the_device(take, device, current):
    view = dv.copy(HOST, device=f"cuda:{device}")
    with cp.cuda.Device(current):
        array = take(view)
    if take is cp.asarray and device != current:
        # CuPy's asarray is an array of the current device: a copy, of its own arrays, too.
        assert array.device.id == current
    else:
        assert array.data.ptr == view.ptr
        assert array.__dlpack_device__() == view.__dlpack_device__() == (2, device)
    assert (array.get() == HOST).all()


def test_copies_between_them():
    array = on(1)
    target = on(0, np.zeros_like(HOST))
    dv.copyto(target, array)
    assert (target.get() == HOST).all()
    dv.copyto(on(1)[::-1, ::2], target[:, :3])
    there = dv.view(array).to("cuda:0")
    assert there.device == "cuda:0"
    assert (cp.from_dlpack(there).get() == HOST).all()
    again = dv.view(array[:, ::-2], device="cuda:0")
    assert (cp.asarray(again).get() == HOST[:, ::-2]).all()


def test_another_devices_consumer_gets_a_copy_by_dlpack():
    view = dv.copy(HOST, device="cuda:1")
    capsule = view.__dlpack__(dl_device=(2, 0), max_version=(1, 0))
    array = cp.from_dlpack(capsule)
    assert array.device.id == 0
    assert (array.get() == HOST).all()
    with pytest.raises(BufferError):
        view.__dlpack__(dl_device=(2, 0), copy=False)


def test_work_still_running_on_the_other_device():
    for current in 0, 1:
        with cp.cuda.Device(1):
            array = cp.zeros(64, "i4")
            cp.cuda.runtime.deviceSynchronize()
            stream = cp.cuda.Stream(non_blocking=True)
            slow_fill(array, 5, stream)
            with stream:
                views = [dv.view(array), dv.from_cuda_array(array)]
        with cp.cuda.Device(current):
            for view in views:
                assert view.to("cuda:0").tolist() == list(range(5, 69))
                assert view.tolist() == list(range(5, 69))


@pytest.mark.parametrize("take", [dv.view, dv.from_dlpack])
@pytest.mark.parametrize("asked", [None, "devview's", 1])
def test_a_producer_is_asked_on_the_memorys_device(take, asked):
    """CuPy orders the stream that is current on the current device, and has one for each."""
    with cp.cuda.Device(1):
        array = cp.zeros(64, "i4")
        cp.cuda.runtime.deviceSynchronize()
        stream = cp.cuda.Stream(non_blocking=True)
        slow_fill(array, 5, stream)
        stream.use()
    where = dv.Stream("cuda:1") if asked == "devview's" else asked
    try:
        with cp.cuda.Device(0):
            view = take(array, stream=where)
            assert cp.cuda.runtime.getDevice() == 0
            assert view.copy(stream=where).tolist() == list(range(5, 69))
            assert view.tolist() == list(range(5, 69))
    finally:
        with cp.cuda.Device(1):
            cp.cuda.Stream.null.use()


def test_a_stream_of_the_wrong_device():
    with cp.cuda.Device(1):
        array = cp.zeros(4)
    other = dv.Stream("cuda:0")
    with pytest.raises((dv.Error, BufferError, ValueError), match="cuda:"):
        dv.view(array, stream=other)
    with pytest.raises((dv.Error, BufferError, ValueError), match="cuda:"):
        dv.view(array).copy(stream=other)


def test_allocators_serve_the_current_device():
    before = [dv.memory_info(f"cuda:{i}").live_bytes for i in (0, 1)]
    with cp.cuda.using_allocator(dv.allocator()):
        zero, one = on(0), on(1)
        assert [dv.memory_info(f"cuda:{i}").live_bytes for i in (0, 1)] == [
            before[0] + HOST.nbytes,
            before[1] + HOST.nbytes,
        ]
        assert (zero.device.id, one.device.id) == (0, 1)
        assert (one.get() == HOST).all()
        del zero, one
    assert [dv.memory_info(f"cuda:{i}").live_bytes for i in (0, 1)] == before
    with (
        cp.cuda.using_allocator(dv.allocator("cuda:1")),
        pytest.raises(dv.DeviceError, match="cuda:0"),
    ):
        on(0)


@pytest.mark.filterwarnings("ignore:The device where the array resides")
def test_managed_memory_is_both_devices():
    view = dv.copy(HOST, device="managed")
    for device in 0, 1:
        with cp.cuda.Device(device):
            array = cp.from_dlpack(view)
            assert array.data.ptr == view.ptr
            array += 1
            cp.cuda.runtime.deviceSynchronize()
    assert view.tolist() == (HOST + 2).tolist()
