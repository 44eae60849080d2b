"""View's side of DLPack's C exchange API: its table, called as C does (dlpack.h 1.3)."""

from __future__ import annotations

import ctypes
import gc
import re
import threading
import tracemalloc
from ctypes import byref, c_void_p

import numpy as np
import pytest

import devview as dv
import dlpack_capsules as dl
from dlpack_capsules import Crafted, Tensor, call_deleter, shape_of, strides_of
from exchange_tables import (
    ATTRIBUTE,
    BAD,
    ENTRIES,
    FROM_OBJECT,
    TENSOR_FROM_OBJECT,
    TO_OBJECT,
    TYPES,
    address_of,
    api_of,
    entry_of,
    managed_of,
    object_of,
    tensor_of,
    work_stream,
)
from support import DEVICES, EMULATED, no_gc

CUDA_DEVICES = tuple(device for device in DEVICES if device != "cpu")
DEVICE_TYPES = {"cpu": dl.CPU, "cuda:0": dl.CUDA, "pinned": dl.PINNED, "managed": dl.MANAGED}


def views(*shape):
    return dv.view(np.arange(np.prod(shape, dtype=int), dtype="f4").reshape(shape))


# --- The table ---


def test_the_table_is_on_the_type_and_complete():
    api = api_of(dv.View)
    assert (api.header.major, api.header.minor) == (1, 3)
    assert not api.header.previous
    assert all(getattr(api, entry) for entry in ENTRIES)
    assert getattr(views(2), ATTRIBUTE) is getattr(dv.View, ATTRIBUTE)
    with pytest.raises(TypeError, match="immutable"):
        setattr(dv.View, ATTRIBUTE, None)


# --- An object as a managed tensor ---


@pytest.mark.parametrize("device", DEVICES)
def test_managed_tensor_shares_the_memory(device):
    v = dv.zeros((3, 5), "<f4", device=device)
    managed = managed_of(v)
    tensor = managed.dl_tensor
    assert (managed.major, managed.minor, managed.flags) == (1, 3, 0)
    assert tensor.data + tensor.byte_offset == v.ptr
    kind = dl.CUDA if device.startswith("cuda") else DEVICE_TYPES[device]
    assert (tensor.device.type, tensor.device.id) == (kind, v.device.id)
    assert (tensor.dtype.code, tensor.dtype.bits, tensor.dtype.lanes) == (dl.FLOAT, 32, 1)
    assert shape_of(tensor) == (3, 5)
    assert strides_of(tensor) == (5, 1)
    assert v.allocation.exports == 1
    call_deleter(managed)
    assert v.allocation.exports == 0


@pytest.mark.parametrize("device", DEVICES)
def test_managed_tensor_outlives_the_view(device):
    before = dv.memory_info(device).live_bytes
    v = dv.zeros(1000, device=device)
    managed = managed_of(v)
    with no_gc():
        v.release()
        del v
        assert dv.memory_info(device).live_bytes == before + 1000
        call_deleter(managed)
        assert dv.memory_info(device).live_bytes == before


def test_read_only_is_told():
    managed = managed_of(dv.view(b"abc"))
    assert managed.flags == dl.READ_ONLY
    call_deleter(managed)


def test_deleter_without_the_gil_on_another_thread_lets_python_memory_go():
    owner = bytearray(8)
    managed = managed_of(dv.view(owner))
    with pytest.raises(BufferError):
        owner.append(1)
    thread = threading.Thread(target=call_deleter, args=(managed,))
    thread.start()
    thread.join()
    owner.append(1)


# --- An object as a borrowed tensor ---


@pytest.mark.parametrize(
    "key", [(), 0, (0, 0), (slice(None, None, -2), slice(1, None)), (slice(0, 0),), (None, 1, None)]
)
def test_borrowed_tensor_has_the_views_layout(key):
    a = np.arange(24, dtype="i2").reshape(4, 6)
    v = dv.view(a)[key] if key != () else dv.view(a)
    expected = a[key]
    if not isinstance(v, dv.View):  # an item
        v, expected = dv.view(a)[1:2, 3:4].reshape(()), a[1:2, 3:4].reshape(())
    tensor = tensor_of(v)
    assert shape_of(tensor) == expected.shape
    axes = [(s // 2, n) for s, n in zip(expected.strides, expected.shape, strict=True)]
    told = strides_of(tensor)
    assert [t for t, (_, n) in zip(told, axes, strict=True) if n > 1] == [
        s for s, n in axes if n > 1
    ]
    assert tensor.byte_offset == 0
    assert tensor.data == (expected.ctypes.data if expected.size else None)
    assert v.allocation.exports == 0


@pytest.mark.parametrize("ndim", [0, 1, 3, 4, 64])
def test_borrowed_axes_live_as_long_as_the_view(ndim):
    v = dv.zeros((2, *[1] * (ndim - 1)) if ndim else (), "d")
    first, second = tensor_of(v), tensor_of(v)
    others = [tensor_of(dv.zeros((3,) * 4)) for _ in range(50)]  # would reuse what was given back
    assert len(others) == 50
    for tensor in (first, second):
        assert shape_of(tensor) == v.shape
        assert strides_of(tensor) == (1,) * ndim
    if ndim:
        assert ctypes.addressof(first.shape.contents) == ctypes.addressof(second.shape.contents)


def test_borrowed_axes_go_with_the_view():
    def borrow():
        for _ in range(200):
            tensor_of(dv.zeros((1,) * 64))
        gc.collect()

    borrow()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        borrow()
        assert tracemalloc.get_traced_memory()[0] - before < 20_000  # of 200 blocks of 1024
    finally:
        tracemalloc.stop()


def test_borrowed_tensor_cannot_say_read_only():
    with pytest.raises(BufferError, match="read-only"):
        tensor_of(dv.view(b"abc"))


# --- What cannot be handed over ---


@pytest.mark.parametrize("ask", [managed_of, tensor_of])
@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: dv.zeros(3, "T{i:a:f:b:}"), BufferError, "T{i:a:f:b:}"),
        (lambda: dv.zeros(3, ">i"), BufferError, ">i"),
        (lambda: dv.zeros(3, "3s"), BufferError, "3s"),
        (lambda: dv.zeros(3, "=T{d:a:i:b:}")["a"], BufferError, "stride 12"),
    ],
)
def test_views_that_dlpack_cannot_say(ask, make, error, words):
    v = make()
    with pytest.raises(error, match=re.escape(words)):
        ask(v)
    assert v.allocation.exports == 0


@pytest.mark.parametrize("ask", [managed_of, tensor_of])
def test_released_views(ask):
    v = dv.zeros(3)
    v.release()
    with pytest.raises(ValueError, match="released"):
        ask(v)


@pytest.mark.parametrize("ask", [managed_of, tensor_of])
@pytest.mark.parametrize("other", [b"abc", None, np.zeros(3), dv.Device("cpu"), dv.View, 1 << 70])
def test_objects_of_other_types(ask, other):
    with pytest.raises(TypeError, match=r"expected a devview\.View"):
        ask(other, dv.View)


def test_null_arguments():
    v, out = dv.zeros(3), c_void_p(1)
    with pytest.raises(ValueError, match="py_object: null"):
        entry_of(FROM_OBJECT)(None, byref(out))
    assert out.value is None
    with pytest.raises(ValueError, match="py_object: null"):
        entry_of(TENSOR_FROM_OBJECT)(None, ctypes.addressof(Tensor()))
    with pytest.raises(ValueError, match="out: null"):
        entry_of(FROM_OBJECT)(id(v), None)
    with pytest.raises(ValueError, match="out: null"):
        entry_of(TENSOR_FROM_OBJECT)(id(v), None)
    with pytest.raises(ValueError, match="out_current_stream: null"):
        entry_of("current_work_stream")(1, 0, None)
    assert v.allocation.exports == 0


# --- Streams ---


def test_current_work_stream():
    assert work_stream(dl.CPU, 0) is None
    assert work_stream(dl.CUDA, 0) == 1  # cudaStreamLegacy
    assert work_stream(dl.PINNED, 0) == work_stream(dl.MANAGED, 0) == 1
    assert work_stream(dl.ROCM, 0) is None


@EMULATED
@pytest.mark.parametrize(
    ("device_type", "device_id", "error", "words"),
    [
        (dl.CUDA, 3, dv.DeviceError, "cuda:3"),
        (dl.CUDA, -1, BufferError, "device id -1"),
        (77, 0, BufferError, "device type 77"),
        (-1, 0, BufferError, "device type -1"),
    ],
)
def test_current_work_stream_of_no_device(device_type, device_id, error, words):
    with pytest.raises(error, match=words):
        work_stream(device_type, device_id)


def calls_of(ask, v):
    """Return the runtime's calls that a hand-over made."""
    dv.emulation.clear()
    ask(v)
    return [call for call in dv.emulation.calls if call.startswith(("cudaEvent", "cudaStream"))]


@EMULATED
@pytest.mark.parametrize("borrowed", [False, True])
def test_work_on_other_streams_is_ordered_into_the_work_stream(borrowed):
    given = []

    def ask(v):
        given.append(tensor_of(v) if borrowed else managed_of(v))

    v = dv.zeros(1000, device="cuda:1")
    assert calls_of(ask, v) == []  # made on the legacy stream: it is the work stream
    stream = dv.Stream("cuda:1")
    dv.copyto(v, dv.zeros(1000, device="cuda:1", stream=stream), stream=stream)
    calls = calls_of(ask, v)
    assert "cudaEventRecord" in calls
    assert "cudaStreamWaitEvent" in calls
    assert not any("Synchronize" in call for call in calls)
    own = dv.view(v, stream=dv.Stream("cuda:1"))
    assert calls_of(ask, own).count("cudaStreamWaitEvent") == 2
    for managed in given if not borrowed else ():
        call_deleter(managed)


@EMULATED
@pytest.mark.parametrize("borrowed", [False, True])
def test_pinned_memory_is_ready_for_the_host(borrowed):
    """Consumers read it on the host, where no stream orders them."""
    v = dv.zeros(1000, device="pinned")
    dv.emulation.set_delay(20_000)
    dv.copyto(v, dv.view(bytes([7]) * 1000).to("cuda:0"), stream=dv.Stream("cuda:0"))
    if borrowed:
        assert ctypes.string_at(tensor_of(v).data, 1000) == bytes([7]) * 1000
    else:
        managed = managed_of(v)
        assert ctypes.string_at(managed.dl_tensor.data, 1000) == bytes([7]) * 1000
        call_deleter(managed)


@EMULATED
def test_ordering_that_fails_gives_nothing():
    v = dv.zeros(10, device="cuda:0")
    stream = dv.Stream("cuda:0")
    dv.copyto(v, dv.zeros(10, device="cuda:0"), stream=stream)
    dv.emulation.fail("cudaStreamWaitEvent", 1, 719)
    with pytest.raises(dv.DeviceError, match="719"):
        managed_of(v)
    assert v.allocation.exports == 0


# --- A managed tensor as an object ---


def test_object_of_a_tensor():
    crafted = Crafted()
    v = object_of(crafted.managed)
    assert type(v) is dv.View
    assert v.ptr == crafted.array.ctypes.data
    assert (v.shape, v.strides, v.format, v.readonly) == ((4, 6), (24, 4), "f", False)
    assert v.tolist() == crafted.array.reshape(4, 6).tolist()
    w = v[1]
    v.release()
    assert crafted.deleted == 0
    w.release()
    assert crafted.deleted == 1


def test_object_keeps_read_only_and_takes_a_null_deleter():
    crafted = Crafted(null_deleter=True)
    crafted.managed.flags = dl.READ_ONLY
    v = object_of(crafted.managed)
    assert v.readonly
    v.release()
    assert crafted.deleted == 0


@pytest.mark.parametrize("case", BAD)
def test_refused_tensors_stay_the_callers(case):
    """As tvm-ffi means it, which calls the deleter of what it could not give away."""
    crafted = Crafted()
    BAD[case](crafted)
    with pytest.raises((BufferError, ValueError, dv.DeviceError)):
        object_of(crafted.managed)
    assert crafted.deleted == 0
    call_deleter(crafted.managed)
    assert crafted.deleted == 1


def test_memory_exhaustion_leaves_a_tensor_the_callers():
    testcapi = pytest.importorskip("_testcapi")
    kept = [dv.zeros(1) for _ in range(100)]  # no dead object is left to reuse
    crafted, out = Crafted(), c_void_p()
    entry, address, reference = entry_of(TO_OBJECT), ctypes.addressof(crafted.managed), byref(out)
    failures = 0
    for n in range(1, 40):
        testcapi.set_nomemory(n, n + 1)
        try:
            entry(address, reference)
        except ctypes.ArgumentError:  # it was ctypes that had no memory
            continue
        except MemoryError:
            failures += 1
            assert crafted.deleted == 0
            assert crafted.managed.deleter
            continue
        finally:
            testcapi.remove_mem_hooks()
        break
    assert failures >= 1
    made = ctypes.cast(out, ctypes.py_object).value
    ctypes.pythonapi.Py_DecRef(ctypes.py_object(made))
    made.release()
    assert crafted.deleted == 1
    assert len(kept) == 100


def test_null_tensor_and_null_out():
    with pytest.raises(ValueError, match="tensor: null"):
        entry_of(TO_OBJECT)(None, byref(c_void_p()))
    crafted = Crafted()
    with pytest.raises(ValueError, match="out_py_object: null"):
        entry_of(TO_OBJECT)(ctypes.addressof(crafted.managed), None)
    assert crafted.deleted == 0


def test_there_and_back_is_the_same_memory():
    for device in DEVICES:
        v = dv.zeros((2, 3), "i", device=device)
        w = object_of(managed_of(v))
        assert (w.ptr, w.shape, w.device, w.format) == (v.ptr, v.shape, v.device, "i")
        assert v.allocation.exports == 1
        w.fill(7)
        assert v.tolist() == [[7] * 3] * 2
        w.release()
        assert v.allocation.exports == 0


def test_the_types_of_the_entries_are_those_of_the_table():
    assert set(TYPES) == set(ENTRIES)
    assert all(address_of(entry_of(name)) == getattr(api_of(dv.View), name) for name in ENTRIES)
