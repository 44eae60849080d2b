"""Python classes whose buffer is a View: staged for consumers of buffers, shared by dv.view."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest

import devview as dv
from support import (
    CUDA_DEVICES,
    EMULATED,
    FULL_RO,
    WRITABLE,
    counted_calls,
    delay,
    device_bytes,
    get_buffer,
    no_gc,
    pattern,
)

CUDA = CUDA_DEVICES[0]


class OnDevice(dv.Exporter):
    def __init__(self, view):
        self.kept = view
        self.asked = 0
        self.returned = []

    def __buffer__(self, flags):
        self.asked += 1
        return self.kept

    def __release_buffer__(self, buffer):
        self.returned.append(buffer)


class Of2012(dv.Exporter):
    def __init__(self, view):
        self.kept = view
        self.asked = 0
        self.returned = []

    def __getbuffer__(self, flags):
        self.asked += 1
        return self.kept

    def __releasebuffer__(self, buffer):
        self.returned.append(buffer)


def on_device(cls=OnDevice, device=CUDA, shape=(3, 4)):
    array = pattern(shape, "i4")
    return array, cls(dv.view(array, device=device, copy=True))


@pytest.mark.parametrize("cls", [OnDevice, Of2012])
def test_consumers_of_buffers_get_a_staging_copy(cls):
    array, x = on_device(cls)
    with memoryview(x) as m:
        assert m.obj is x
        assert m.tolist() == array.tolist()
        assert m.readonly
        assert x.kept.exports == 1
    assert x.kept.exports == 0
    assert bytes(x) == array.tobytes()
    assert np.asarray(x).tolist() == array.tolist()
    gc.collect()
    assert x.asked == 3
    assert len(x.returned) == 3
    assert all(buffer is x.kept for buffer in x.returned)


def test_writable_consumers_write_back_before_the_release():
    array, x = on_device()
    seen = []

    class Looks(OnDevice):
        def __release_buffer__(self, buffer):
            seen.append(buffer.tolist())

    x = Looks(x.kept)
    request = get_buffer(x, WRITABLE | FULL_RO)
    m = (np.ctypeslib.ctypes.c_int32 * 12).from_address(request.raw.buf)
    m[0] = 77
    request.release()
    array[0, 0] = 77
    assert seen == [array.tolist()]


@pytest.mark.parametrize("cls", [OnDevice, Of2012])
@pytest.mark.parametrize("device", [CUDA, "pinned", "managed"])
def test_dv_view_shares_the_memory(cls, device):
    array, x = on_device(cls, device)
    before = device_bytes(CUDA)
    v = dv.view(x)
    assert (v.device, v.ptr, v.obj) == (x.kept.device, x.kept.ptr, x)
    assert (v.format, v.shape, v.strides) == ("i", (3, 4), (16, 4))
    assert x.asked == 1
    assert device_bytes(CUDA) == before
    v[1, 2] = 5
    array[1, 2] = 5
    assert x.kept.tolist() == v.tolist() == array.tolist()
    w = v[::2]
    v.release()
    assert x.returned == []
    w.release()
    assert len(x.returned) == 1
    assert x.returned[0] is x.kept


@EMULATED
def test_dv_view_copies_nothing():
    _, x = on_device()
    with counted_calls() as calls:
        v = dv.view(x)
        v.release()
    assert not {name for name in calls if name.startswith(("cudaMemcpy", "cudaMalloc"))}


@EMULATED
def test_both_views_order_their_streams():
    # A write through one is seen by a read through the other on another stream: one book of uses.
    _, x = on_device(shape=(50, 50))
    first, second = dv.Stream(CUDA), dv.Stream(CUDA)
    v = dv.view(x)
    with delay(3000):
        v.fill(9, stream=first)
        copied = x.kept.copy(stream=second)
        x.kept.fill(4, stream=second)
        again = v.copy(stream=first)
    assert set(np.asarray(copied).ravel().tolist()) == {9}
    assert set(np.asarray(again).ravel().tolist()) == {4}


@EMULATED
def test_memory_outlives_the_last_name_of_it():
    _, x = on_device()
    expected = x.kept.tobytes()
    base = device_bytes(CUDA)
    with no_gc():
        alive = weakref.ref(x)
        v = dv.view(x)
        w = v[1:]
        del x, v
        assert alive() is not None
        assert w.tobytes() == expected[16:]
        w.release()
        assert alive() is None
    assert device_bytes(CUDA) < base


def test_stream_and_layout_are_the_returned_views():
    stream = dv.Stream(CUDA)
    base = dv.zeros((4, 6), "h", device=CUDA, stream=stream)
    x = OnDevice(base[::2, ::-1].toreadonly())
    v = dv.view(x)
    assert v.strides == x.kept.strides
    assert v.readonly
    assert v.stream == x.kept.stream
    with pytest.raises(BufferError, match="read-only"):
        dv.view(x, readonly=False)
    assert len(x.returned) == 1


def test_options_of_dv_view():
    array, x = on_device()
    host = dv.view(x, device="cpu")
    assert host.tolist() == array.tolist()
    assert len(x.returned) == 1
    with pytest.raises(BufferError, match="copy=False"):
        dv.view(x, device="cpu", copy=False)
    assert len(x.returned) == 2
    assert x.asked == 2
    target = dv.zeros((3, 4), "i", device=CUDA)
    dv.copyto(target, dv.view(x))
    assert target == x.kept


def test_delegate_gives_the_view_itself():
    class Delegate(OnDevice, owner="delegate"):
        pass

    array, x = on_device(Delegate)
    v = dv.view(x)
    assert v.allocation is x.kept.allocation
    assert memoryview(x).obj is x.kept
    assert memoryview(x).tolist() == array.tolist()
    v.release()
    assert x.returned == []
    block = dv.zeros(64)
    x = Delegate(dv.from_pointer(block.ptr, 8, "d", device="pinned", owner=block))
    v = dv.view(x)
    assert v.allocation is x.kept.allocation
    assert v.obj is block


def test_cycle_through_a_delegated_block_is_collected():
    class Delegate(OnDevice, owner="delegate"):
        pass

    class Node:
        pass

    block, node = dv.zeros(64), Node()
    node.x = Delegate(dv.from_pointer(block.ptr, 8, "d", device="pinned", owner=node))
    node.view = dv.view(node.x)
    alive = weakref.ref(node)
    del node
    gc.collect()
    assert alive() is None


def test_cycle_through_a_device_view_is_collected():
    _, x = on_device()
    x.view = dv.view(x)
    x.again = memoryview(x)
    alive = weakref.ref(x)
    del x
    gc.collect()
    assert alive() is None


def test_refusals():
    _, x = on_device()
    x.kept.release()
    with pytest.raises(ValueError, match="released"):
        get_buffer(x, FULL_RO)
    with pytest.raises(dv.ImportRefused, match="released"):
        dv.view(x)
    assert len(x.returned) == 2
    _, x = on_device()
    with dv.transfer_guard("forbid"):
        with pytest.raises(BufferError, match="transfer_guard"):
            get_buffer(x, FULL_RO)
        assert len(x.returned) == 1
        dv.view(x).release()
    x.kept = x.kept.toreadonly()
    with pytest.raises(BufferError, match="writable"):
        get_buffer(x, WRITABLE)


@pytest.mark.release_errors(2)
def test_release_that_raises(unraisable):
    class Raises(OnDevice):
        def __release_buffer__(self, buffer):
            raise KeyError("mine")

    _, x = on_device(Raises)
    dv.view(x).release()
    get_buffer(x, FULL_RO).release()
    assert [told.type for told in unraisable] == [KeyError] * 2
