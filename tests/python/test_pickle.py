"""Pickles of views: every protocol, every layout and device, buffers out of band."""

import copy
import pickle
import sys

import numpy as np
import pytest

import devview as dv
from support import CUDA_DEVICES, DEVICES

CUDA = CUDA_DEVICES[0]
PROTOCOLS = range(pickle.HIGHEST_PROTOCOL + 1)
FORMATS = [
    "B",
    "<i",
    ">h",
    "d",
    "e",
    "?",
    "Zd",
    "3s",
    "c",
    "T{b:a:xxxi:b:}",
    "T{H:bfloat16:}",
    "(2,3)f",
]


def example(format, shape=(3, 4)):
    count = int(np.prod(shape)) * dv.calcsize(format)
    return dv.from_buffer(bytearray(i % 2 for i in range(count)), format=format, shape=shape)


def same(a, b):
    assert (a.device, a.shape, a.readonly) == (b.device, b.shape, b.readonly)
    assert dv.Format(a.format) == dv.Format(b.format)
    assert a.tobytes() == b.tobytes()


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("format", FORMATS)
def test_round_trip_of_formats(format, protocol):
    v = example(format)
    same(pickle.loads(pickle.dumps(v, protocol)), v)
    same(pickle.loads(pickle.dumps(v.toreadonly(), protocol)), v.toreadonly())


LAYOUTS = {
    "strided": lambda v: v[::2, 1:],
    "reversed": lambda v: v[::-1],
    "transposed": lambda v: v.T,
    "broadcast": lambda v: v[:1].broadcast_to((5, 4)),
    "empty": lambda v: v[:0],
    "0-d": lambda v: v[1:2, 1:2].reshape(()),
    "row": lambda v: v[1],
    "six axes": lambda v: v.reshape(1, 3, 1, 2, 2, 1),
}


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("name", LAYOUTS)
@pytest.mark.parametrize("device", DEVICES)
def test_round_trip_of_layouts_and_devices(device, name, protocol):
    v = LAYOUTS[name](example("<i").to(device))
    w = pickle.loads(pickle.dumps(v, protocol))
    same(w, v)
    assert w.f_contiguous or not v.f_contiguous or v.c_contiguous
    if not w.readonly and w.nbytes:
        before = v.tobytes()
        w.fill(7)
        assert v.tobytes() == before  # memory of its own


def test_out_of_band_is_the_memory_itself():
    source = bytearray(range(24))
    v = dv.view(source).cast("h", (3, 4))
    buffers = []
    data = pickle.dumps(v, 5, buffer_callback=buffers.append)
    assert len(buffers) == 1
    assert np.frombuffer(buffers[0].raw(), "u1").__array_interface__["data"][0] == v.ptr
    w = pickle.loads(data, buffers=buffers)
    assert w.ptr == v.ptr
    w[0, 0] = -1
    assert source[:2] == b"\xff\xff"


def test_out_of_band_of_a_transposed_view_is_the_memory_itself():
    v = example("f").T
    buffers = []
    w = pickle.loads(pickle.dumps(v, 5, buffer_callback=buffers.append), buffers=buffers)
    assert (w.ptr, w.strides) == (v.ptr, v.strides)


def test_a_pickle_with_its_buffer_keeps_the_owner():
    source = bytearray(8)
    count = sys.getrefcount(source)
    buffers = []
    data = pickle.dumps(dv.view(source), 5, buffer_callback=buffers.append)
    with pytest.raises(BufferError):
        source.append(1)
    w = pickle.loads(data, buffers=buffers)
    buffers.clear()
    assert w.tolist() == [0] * 8
    w.release()
    source.append(1)
    assert sys.getrefcount(source) == count


def test_given_memory_that_is_read_only_makes_the_view_read_only():
    buffers = []
    data = pickle.dumps(example("f"), 5, buffer_callback=buffers.append)
    assert pickle.loads(data, buffers=[bytes(buffers[0].raw())]).readonly


def test_buffers_of_another_size_are_refused():
    data = pickle.dumps(example("f"), 5, buffer_callback=lambda buffer: None)
    with pytest.raises(ValueError, match="which has 7"):
        pickle.loads(data, buffers=[b"\0" * 7])


@pytest.mark.parametrize("method", [copy.copy, copy.deepcopy])
@pytest.mark.parametrize("device", ["cpu", CUDA])
def test_copies_have_memory_of_their_own(device, method):
    v = example("h").to(device)
    w = method(v)
    same(w, v)
    assert w.ptr != v.ptr


def test_objects_are_refused():
    v = dv.view(np.array([1, "a"], dtype=object))
    for protocol in PROTOCOLS:
        with pytest.raises(dv.FormatError, match="Python objects"):
            pickle.dumps(v, protocol)


def test_released_views_are_refused():
    v = example("B")
    v.release()
    with pytest.raises(ValueError, match="released"):
        pickle.dumps(v)


def test_nothing_is_left_on_the_device():
    v = example("f").to(CUDA)
    before = dv.memory_info(CUDA).live_bytes
    w = pickle.loads(pickle.dumps(v))
    assert dv.memory_info(CUDA).live_bytes == before + w.nbytes
    w.release()
    assert dv.memory_info(CUDA).live_bytes == before
