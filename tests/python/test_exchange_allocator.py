"""The allocator of View's exchange table: every device, every refusal, and no need of the GIL."""

from __future__ import annotations

import ctypes
import threading

import pytest

import devview as dv
import dlpack_capsules as dl
from dlpack_capsules import DataType, Device, ManagedVersioned, Tensor, call_deleter
from exchange_tables import ALLOCATE_UNLOCKED, SET_ERROR, address_of, api_of, entry_of, object_of
from support import DEVICE_MEMORY, DEVICES, EMULATED

TYPES = {"cpu": (dl.CPU, 0), "pinned": (dl.PINNED, 0), "managed": (dl.MANAGED, 0)} | {
    f"cuda:{i}": (dl.CUDA, i) for i in range(3)
}


def prototype(shape=(3, 5), device=(dl.CPU, 0), dtype=(dl.FLOAT, 32, 1)):
    """Make a tensor whose other members are poison: they are not to be read."""
    tensor = Tensor()
    tensor.device, tensor.dtype, tensor.ndim = Device(*device), DataType(*dtype), len(shape)
    tensor.shape = (ctypes.c_int64 * max(len(shape), 1))(*shape)
    tensor.data, tensor.byte_offset = 0xDEAD0, (1 << 64) - 1
    tensor.strides = ctypes.cast(0xDEAD8, ctypes.POINTER(ctypes.c_int64))
    return tensor


def allocate(tensor, unlocked=False):
    """Give the managed tensor, or None, and what was told as an error."""
    told, out = [], ctypes.c_void_p(1)
    set_error = SET_ERROR(lambda _context, *words: told.append(tuple(w.decode() for w in words)))
    entry = entry_of("managed_tensor_allocator")
    if unlocked:
        entry = ALLOCATE_UNLOCKED(api_of(dv.View).managed_tensor_allocator)
    status = entry(
        tensor if tensor is None else ctypes.addressof(tensor),
        ctypes.addressof(out),
        None,
        address_of(set_error),
    )
    if status == 0:
        assert not told
        return ManagedVersioned.from_address(out.value), None
    assert status == -1
    assert out.value is None
    assert len(told) == 1, "set_error is called exactly once"
    return None, told[0]


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("unlocked", [False, True])
def test_memory_of_any_device(device, unlocked):
    before = dv.memory_info(device).live_bytes
    managed, _ = allocate(prototype(device=TYPES[device]), unlocked)
    assert dv.memory_info(device).live_bytes == before + 60
    v = object_of(managed)
    assert (v.device, v.shape, v.strides, v.format) == (dv.Device(device), (3, 5), (20, 4), "f")
    assert not v.readonly
    v.fill(2.5)
    assert v.tolist() == [[2.5] * 5] * 3
    v.release()
    assert dv.memory_info(device).live_bytes == before


@pytest.mark.parametrize("device", DEVICES)
def test_items_under_eight_bits_are_packed(device):
    before = dv.memory_info(device).live_bytes
    managed, _ = allocate(prototype(device=TYPES[device], dtype=(17, 4, 1)))
    assert managed.flags == 0
    assert dv.memory_info(device).live_bytes == before + 8
    v = object_of(managed)
    assert (v.format, v.shape) == ("T{4t:float4_e2m1fn:}", (3, 5))
    v.fill(1.5)
    assert v.tolist() == [[1.5] * 5] * 3


def test_lanes_are_refused():
    assert allocate(prototype(dtype=(17, 4, 2)))[1][0] == "ValueError"


def test_host_memory_is_aligned_for_any_consumer():
    managed, _ = allocate(prototype((1000,)))
    assert managed.dl_tensor.data % 256 == 0
    call_deleter(managed)


@pytest.mark.parametrize("shape", [(), (0,), (3, 0, 5)])
def test_no_axes_and_no_items(shape):
    managed, _ = allocate(prototype(shape))
    assert dl.shape_of(managed.dl_tensor) == shape
    assert object_of(managed).shape == shape


def test_another_thread_without_the_gil():
    result = []
    thread = threading.Thread(target=lambda: result.append(allocate(prototype(), unlocked=True)[0]))
    thread.start()
    thread.join()
    call_deleter(result[0])


@pytest.mark.parametrize(
    ("changes", "kind", "words"),
    [
        ({"shape": (-1,)}, "ValueError", "-1"),
        ({"shape": (1,) * 65}, "ValueError", "65"),
        ({"shape": (1 << 62, 4)}, "ValueError", ""),
        ({"dtype": (99, 32, 1)}, "ValueError", "99"),
        ({"dtype": (dl.FLOAT, 0, 1)}, "ValueError", ""),
        ({"dtype": (dl.FLOAT, 32, 0)}, "ValueError", ""),
        ({"device": (77, 0)}, "BufferError", "77"),
        ({"device": (dl.ROCM, 0)}, "ValueError", "rocm:0"),
        ({"device": (dl.CUDA, -1)}, "BufferError", "-1"),
        ({"device": (dl.CUDA, 15)}, "RuntimeError", "cuda:15"),
        ({"shape": (1 << 60,)}, "ValueError", "limit 2**56"),
        ({"shape": (1 << 46,)}, "MemoryError", ""),
    ],
)
def test_refusals(changes, kind, words):
    managed, told = allocate(prototype(**changes))
    assert managed is None
    assert told[0] == kind
    assert words in told[1]


def test_null_arguments():
    assert allocate(None)[1] == ("ValueError", "prototype: null")
    tensor = prototype()
    tensor.shape = None
    assert allocate(tensor)[1][0] == "ValueError"
    entry = entry_of("managed_tensor_allocator")
    assert entry(ctypes.addressof(prototype()), None, None, None) == -1
    out = ctypes.c_void_p(1)
    assert entry(None, ctypes.addressof(out), None, None) == -1  # nobody to tell
    assert out.value is None


@EMULATED
@pytest.mark.parametrize("unlocked", [False, True])
def test_failures_of_the_driver(unlocked):
    on = (dl.CUDA, 1)
    too_much = prototype((DEVICE_MEMORY + 1,), on, (dl.UINT, 8, 1))
    assert allocate(too_much, unlocked)[1][0] == "MemoryError"
    dv.emulation.fail("cudaMallocAsync", 1, 999)
    kind, message = allocate(prototype(device=on), unlocked)[1]
    assert (kind, "999" in message) == ("RuntimeError", True)
    managed, _ = allocate(prototype(device=on), unlocked)
    call_deleter(managed)


def test_no_python_error_is_set():
    """The entry reports through set_error alone; ctypes would raise what was set."""
    for _ in range(3):
        assert allocate(prototype((-1,)))[1][0] == "ValueError"
