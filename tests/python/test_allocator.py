"""dv.allocator: PyTorch's functions by ctypes; CuPy and RMM by modules with their signatures."""

from __future__ import annotations

import ctypes
import sys
import threading
import types

import pytest

import devview as dv
from support import (
    CUDA_DEVICES,
    DEVICE_MEMORY,
    EMULATED,
    THREE_DEVICES,
    counted_calls,
    delay,
    device_bytes,
    no_gc,
    settle,
)

CUDA = CUDA_DEVICES[0]
DELAY = 3000  # [us]

ALLOC = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_ssize_t, ctypes.c_int, ctypes.c_void_p)
FREE = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_ssize_t, ctypes.c_int, ctypes.c_void_p)


@pytest.fixture
def torch():
    """Return PyTorch's two functions; ctypes lets the GIL go, as PyTorch may."""
    allocator = dv.allocator()
    return types.SimpleNamespace(alloc=ALLOC(allocator.alloc_ptr), free=FREE(allocator.free_ptr))


# --- The object ---


def test_the_functions_are_found_by_name_and_by_address():
    allocator = dv.allocator("cuda")
    library = ctypes.CDLL(allocator.library)
    for name, address in (
        (allocator.alloc_name, allocator.alloc_ptr),
        (allocator.free_name, allocator.free_ptr),
    ):
        # As torch.cuda.memory.CUDAPluggableAllocator does it.
        assert ctypes.cast(getattr(library, name), ctypes.c_void_p).value == address


@pytest.mark.parametrize("device", [*CUDA_DEVICES, dv.Device])
def test_the_device_is_told(device):
    device = dv.Device(CUDA) if device is dv.Device else device
    assert dv.allocator(device).device == device
    assert dv.allocator(device).device in repr(dv.allocator(device))
    assert dv.allocator().device == dv.allocator("cuda").device == "cuda"


@pytest.mark.parametrize("device", ["cpu", "pinned", "managed", "tpu", "cuda:99", "cuda:-1"])
def test_other_devices_are_refused(device):
    with pytest.raises(dv.DeviceError):
        dv.allocator(device)


def test_the_device_is_a_name():
    with pytest.raises(TypeError):
        dv.allocator(0)


# --- PyTorch ---


@pytest.mark.parametrize("device", CUDA_DEVICES)
def test_memory_of_pytorch_is_in_the_ledger(torch, device):
    before = device_bytes(device)
    ptr = torch.alloc(1000, dv.Device(device).id, None)
    assert device_bytes(device) == before + 1000
    (row,) = [row for row in dv.live() if row.ptr == ptr]
    assert (row.device, row.nbytes, row.owned) == (device, 1000, True)
    assert ptr % 256 == 0
    v = dv.from_pointer(ptr, 1000, "B", device=device)
    assert v.fill(7).tolist() == [7] * 1000
    v.release()
    torch.free(ptr, 1000, dv.Device(device).id, None)
    assert device_bytes(device) == before


@EMULATED
def test_nothing_is_allocated_for_nothing(torch):
    with counted_calls() as calls:
        assert torch.alloc(0, 0, None) is None
        torch.free(None, 0, 0, None)
    assert not calls


@EMULATED
@THREE_DEVICES
def test_the_callers_device_stays_current(torch):
    current = dv._devview._current_device()
    ptr = torch.alloc(8, 2, None)
    assert dv._devview._current_device() == current
    torch.free(ptr, 8, 2, None)
    assert dv._devview._current_device() == current


@pytest.mark.release_errors(2)
def test_unknown_addresses_and_second_frees_are_told(torch, unraisable):
    ptr = torch.alloc(8, 0, None)
    torch.free(ptr, 8, 0, None)
    torch.free(ptr, 8, 0, None)
    torch.free(0x1234, 8, 0, None)
    assert [told.message for told in unraisable] == [
        "devview_torch_free: the address is of no living block"
    ] * 2


@EMULATED
def test_memory_is_made_and_freed_on_the_callers_streams(torch):
    with counted_calls() as calls:
        ptr = torch.alloc(8, 0, None)
        torch.free(ptr, 8, 0, None)
    assert (calls["cudaMallocAsync"], calls["cudaFreeAsync"]) == (1, 1)
    # No other call orders anything: the caller does.
    assert not [name for name in calls if "Event" in name or name.endswith("Synchronize")]


@EMULATED
def test_the_free_waits_for_the_stream_that_it_names(torch):
    one, other = dv.Stream(CUDA), dv.Stream(CUDA)
    ptr = torch.alloc(4096, 0, one.handle)
    one.synchronize()
    with delay(DELAY):
        v = dv.from_pointer(ptr, 4096, "B", device=CUDA, stream=other)
        v.fill(3)
        # Freed on a stream that does not wait for `other`, this would fail the emulated device.
        torch.free(ptr, 4096, 0, other.handle)
        v.release()
        other.synchronize()


@EMULATED
def test_the_stream_of_the_allocation_may_be_gone_at_the_free(torch):
    one, other = dv.Stream(CUDA), dv.Stream(CUDA)
    ptr = torch.alloc(64, 0, one.handle)
    one.synchronize()
    del one
    torch.free(ptr, 64, 0, other.handle)


def test_failures_are_exceptions():
    """PyTorch does not look at the pointer: a null one would become a tensor."""
    lend = dv._devview._lend  # the same function, with C++ exceptions made Python's
    with pytest.raises(dv.OutOfMemory) as refusal:
        lend(1 << 45, 0, 0)
    assert refusal.value.requested == 1 << 45
    with pytest.raises(ValueError, match="-1"):
        lend(-1, 0, 0)
    with pytest.raises(dv.DeviceError, match="cuda:99"):
        lend(8, 99, 0)


@EMULATED
def test_a_failing_free_is_tried_again(torch):
    ptr = torch.alloc(64, 0, None)
    before = device_bytes()
    dv.emulation.fail("cudaFreeAsync", 1, 400)
    with counted_calls() as calls:
        torch.free(ptr, 64, 0, None)
    assert calls["cudaFree"] == 1
    assert device_bytes() == before - 64


def test_threads_share_the_table(torch):
    failed = []

    def work(seed):
        try:
            blocks = []
            for i in range(200):
                size = (seed * 37 + i * 101) % 5000 + 1
                blocks.append((torch.alloc(size, i % len(CUDA_DEVICES), None), size, i))
                if i % 3:
                    ptr, size, j = blocks.pop(i % len(blocks))
                    torch.free(ptr, size, j % len(CUDA_DEVICES), None)
            assert len({ptr for ptr, _, _ in blocks}) == len(blocks)
            for ptr, size, j in blocks:
                torch.free(ptr, size, j % len(CUDA_DEVICES), None)
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed


# --- CuPy 14 ---


class CupyStream:
    """cupy.cuda.Stream: `ptr` is the handle, 0 the null stream."""

    def __init__(self, stream=None):
        self.held = stream

    @property
    def ptr(self):
        return 0 if self.held is None else self.held.handle


class UnownedMemory:
    """cupy.cuda.UnownedMemory(intptr_t ptr, size_t size, owner, int device_id=-1)."""

    def __init__(self, ptr, size, owner, device_id=-1):
        assert type(ptr) is type(size) is type(device_id) is int
        self.ptr, self.size, self._owner, self.device_id = ptr, size, owner, device_id


class MemoryPointer:
    """cupy.cuda.MemoryPointer(BaseMemory mem, ptrdiff_t offset)."""

    def __init__(self, mem, offset):
        assert isinstance(mem, UnownedMemory)
        assert mem.ptr != 0 or offset == 0
        self.mem, self.ptr, self.device_id = mem, mem.ptr + offset, mem.device_id


@pytest.fixture
def cupy(monkeypatch):
    module, cuda = types.ModuleType("cupy"), types.ModuleType("cupy.cuda")
    module.cuda = cuda
    cuda.current = types.SimpleNamespace(device=0, stream=CupyStream())
    cuda.Device = lambda: types.SimpleNamespace(id=cuda.current.device)
    cuda.get_current_stream = lambda: cuda.current.stream
    cuda.UnownedMemory, cuda.MemoryPointer = UnownedMemory, MemoryPointer
    monkeypatch.setitem(sys.modules, "cupy", module)
    monkeypatch.setitem(sys.modules, "cupy.cuda", cuda)
    return cuda


def test_memory_of_cupy_is_in_the_ledger(cupy):
    allocator = dv.allocator("cuda")
    before = device_bytes()
    with no_gc():
        pointer = allocator(1000)
        assert (pointer.mem.size, pointer.device_id) == (1000, 0)
        assert device_bytes() == before + 1000
        assert [row.nbytes for row in dv.live() if row.ptr == pointer.ptr] == [1000]
        del pointer
        assert device_bytes() == before


def test_cupys_current_device_is_used(cupy):
    cupy.current.device = 0
    free, bound = dv.allocator(), dv.allocator(dv.Device(CUDA))
    for device in range(len(CUDA_DEVICES)):
        cupy.current.device = device
        assert free(8).device_id == device
        if device:
            with pytest.raises(dv.DeviceError, match=f"cuda:{device}") as refusal:
                bound(8)
            assert refusal.value.name == "cudaErrorInvalidDevice"


def test_nothing_of_cupys_is_an_address_of_nothing(cupy):
    pointer = dv.allocator()(0)
    assert (pointer.ptr, pointer.mem.size) == (0, 0)


@EMULATED
def test_cupys_stream_lives_until_the_memory_was_freed_on_it(cupy):
    allocator = dv.allocator()
    with no_gc():
        streams = dv.emulation.ledger()["streams"]
        cupy.current.stream = CupyStream(dv.Stream(CUDA))
        pointer = allocator(4096)
        handle = cupy.current.stream.ptr
        with delay(DELAY):
            # CuPy's own work, of which devview knows nothing: the free comes after it.
            work = dv.from_pointer(pointer.ptr, 4096, "B", device=CUDA, stream=handle)
            for value in range(4):
                work.fill(value, stream=handle)
            cupy.current.stream = CupyStream()
            assert dv.emulation.ledger()["streams"] == streams + 1
            with counted_calls() as calls:
                del pointer
            names = [name for name in calls if name in ("cudaFreeAsync", "cudaStreamDestroy")]
            assert names == ["cudaFreeAsync", "cudaStreamDestroy"]
            work.release()
        assert dv.emulation.ledger()["streams"] == streams
        settle()
        dv.Stream(CUDA).synchronize()  # the device has not failed


def test_cupy_is_told_of_exhaustion(cupy):
    with pytest.raises(MemoryError) as refusal:
        dv.allocator()(1 << 45)
    assert refusal.value.requested == 1 << 45
    with pytest.raises(ValueError, match="-1"):
        dv.allocator()(-1)


def test_cupy_is_imported_at_the_first_call(monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", None)
    allocator = dv.allocator()
    with pytest.raises(ImportError, match="cupy"):
        allocator(8)


# --- RMM ---


class RmmStream:
    def __init__(self, stream=None):
        self.handle = 0 if stream is None else stream.handle

    def __cuda_stream__(self):
        return (0, self.handle)


class OldResource:
    """rmm.mr.CallbackMemoryResource as it was first: sizes before streams."""

    def __init__(self, allocate_func, deallocate_func):
        self.allocate_func, self.deallocate_func = allocate_func, deallocate_func

    def allocate(self, size, stream):
        return self.allocate_func(size, stream)

    def deallocate(self, ptr, size, stream):
        assert self.deallocate_func(ptr, size, stream) is None


class NewResource(OldResource):
    """The same of newer RMM: streams first, and an alignment."""

    def allocate(self, size, stream, alignment=256):
        return self.allocate_func(stream, size, alignment)

    def deallocate(self, ptr, size, stream, alignment=256):
        assert self.deallocate_func(stream, ptr, size, alignment) is None


@pytest.fixture(params=[OldResource, NewResource])
def rmm(request, monkeypatch):
    module, mr = types.ModuleType("rmm"), types.ModuleType("rmm.mr")
    module.mr, mr.CallbackMemoryResource = mr, request.param
    monkeypatch.setitem(sys.modules, "rmm", module)
    monkeypatch.setitem(sys.modules, "rmm.mr", mr)
    return mr


def test_memory_of_rmm_is_in_the_ledger(rmm):
    resource = dv.allocator().rmm()
    before = device_bytes()
    stream = RmmStream()
    ptr = resource.allocate(1000, stream)
    assert type(ptr) is int
    assert ptr % 256 == 0
    assert device_bytes() == before + 1000
    resource.deallocate(ptr, 1000, stream)
    assert device_bytes() == before
    assert resource.allocate(0, stream) == 0
    resource.deallocate(0, 0, stream)


@EMULATED
def test_rmm_frees_on_another_stream_than_it_allocated_on(rmm):
    resource = dv.allocator().rmm()
    one, other = dv.Stream(CUDA), dv.Stream(CUDA)
    ptr = resource.allocate(4096, RmmStream(one))
    one.synchronize()
    with delay(DELAY):
        v = dv.from_pointer(ptr, 4096, "B", device=CUDA, stream=other)
        v.fill(3)
        resource.deallocate(ptr, 4096, RmmStream(other))
        v.release()
        other.synchronize()


def test_rmm_is_told_of_exhaustion_and_alignment(rmm):
    resource = dv.allocator().rmm()
    with pytest.raises(MemoryError):
        resource.allocate(1 << 45, RmmStream())
    if rmm.CallbackMemoryResource is NewResource:
        before = device_bytes()
        with pytest.raises(MemoryError, match="aligned"):
            resource.allocate(8, RmmStream(), 1 << 62)
        assert device_bytes() == before


def test_rmm_streams_of_a_later_protocol_are_refused(rmm):
    stream = RmmStream()
    stream.__class__ = type("Later", (RmmStream,), {"__cuda_stream__": lambda self: (1, 0)})
    with pytest.raises(ValueError, match="version 1"):
        dv.allocator().rmm().allocate(8, stream)


# --- One pool ---


def test_all_of_them_count_together(torch, cupy, rmm):
    allocator = dv.allocator()
    before = dv.memory_info(CUDA)
    ptr = torch.alloc(100, 0, None)
    pointer = allocator(200)
    resource = allocator.rmm()
    other = resource.allocate(300, RmmStream())
    own = dv.empty(400, device=CUDA)
    now = dv.memory_info(CUDA)
    assert now.live_bytes == before.live_bytes + 1000
    assert now.blocks == before.blocks + 4
    assert now.peak_bytes >= now.live_bytes
    # The limit of the device is one, too.
    with pytest.raises(MemoryError):
        allocator(DEVICE_MEMORY)
    torch.free(ptr, 100, 0, None)
    resource.deallocate(other, 300, RmmStream())
    own.release()
    del pointer
    assert dv.memory_info(CUDA).live_bytes == before.live_bytes
