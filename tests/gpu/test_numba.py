"""numba-cuda beside devview: the array interface both ways, kernels, streams, memory."""

from __future__ import annotations

import ctypes
import hashlib
import weakref

import numpy as np
import pytest

import devview as dv
from gpu_layouts import LAYOUTS, Layout, logical_strides
from gpu_peers import require
from gpu_work import SPINS, no_gc

require("numba", "numba-cuda")
cuda = require("numba.cuda", "numba-cuda")

# The first kernel of a process warns of an old linker on the stand-in, small grids on a GPU.
pytestmark = pytest.mark.filterwarnings("ignore")
DTYPES = [np.dtype(c) for c in "?bBhHiIlLefdFD"]
COUNT = 64
EXPECTED = np.arange(100, 100 + COUNT, dtype="i4")


@cuda.jit
def _slow_fill(items, first, spins):
    x = np.uint32(1)
    for _ in range(spins):
        x = np.uint32(x * np.uint32(1664525) + np.uint32(1013904223))
    if x != 0:
        for i in range(items.shape[0]):
            items[i] = first + i


@cuda.jit
def _add(items, value):
    i = cuda.grid(1)
    if i < items.shape[0]:
        items[i] += value


def slow_fill(items, first, stream):
    _slow_fill[1, 1, stream](items, first, SPINS)


def address(array) -> int:
    return array.device_ctypes_pointer.value or 0


WAYS = {"view": dv.view, "from_cuda_array": dv.from_cuda_array}
ways = pytest.mark.parametrize("take", WAYS.values(), ids=WAYS.keys())


@ways
@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
def test_layouts_out(take, layout: Layout):
    base = layout.base("<i4")
    if layout.broadcast is not None or "new axes" in layout.name or layout.name == "deep":
        pytest.skip(f"missing: {layout.name} arrays in numba-cuda")
    array = cuda.to_device(base)
    part = array if layout.key is ... else array[layout.key]
    expected = layout.of(np, base)
    view = take(part)
    assert view.device == "cuda:0"
    assert view.shape == part.shape == expected.shape
    if expected.size:
        assert view.ptr == address(part)
        assert logical_strides(view) == logical_strides(expected)
    assert view.tobytes() == expected.tobytes()


@ways
@pytest.mark.parametrize("dtype", DTYPES, ids=lambda dtype: dtype.char)
def test_item_types_out(take, dtype):
    base = LAYOUTS[0].base(dtype)
    view = take(cuda.to_device(base))
    assert dv.Format(view.format).to_numpy() == dtype
    assert view.tolist() == base.tolist()
    if dtype.char in "?bBhHiIlLfd":
        assert memoryview(view).tolist() == base.tolist()


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
def test_layouts_in(layout: Layout):
    base = layout.base("<i4")
    view = dv.copy(base.T if layout.order == "F" else base, device="cuda")
    view = (view.T if layout.order == "F" else view)[layout.key]
    if layout.broadcast is not None:
        view = view.broadcast_to(layout.broadcast)
    expected = layout.of(np, base)
    array = cuda.as_cuda_array(view)
    assert array.shape == view.shape
    assert logical_strides(array) == logical_strides(view)
    if expected.size:
        assert address(array) == view.ptr
    if layout.broadcast is not None:
        # numba-cuda 0.30 tells zero strides as dense, which reaches beyond the memory.
        assert array.__cuda_array_interface__["strides"] is None
        return
    # What numba copies back has to be in one piece: the way back reads the items.
    assert dv.view(array).tobytes() == expected.tobytes()


@pytest.mark.parametrize("dtype", DTYPES, ids=lambda dtype: dtype.char)
def test_item_types_in(dtype):
    base = LAYOUTS[0].base(dtype)
    view = dv.copy(base, device="cuda")
    array = cuda.as_cuda_array(view)
    assert array.dtype == dtype
    assert array.copy_to_host().tobytes() == base.tobytes()


def test_records_both_ways():
    record = np.dtype([("a", "<i4"), ("b", "<f8")], align=True)
    host = np.zeros(5, record)
    host["a"] = range(5)
    view = dv.view(cuda.to_device(host))
    # numba tells no descr: the bytes, and no guess.
    assert view.itemsize == record.itemsize
    assert dv.from_buffer(bytes(view), format=dv.Format(record).str)["a"].tolist() == [*range(5)]


def test_kernels_take_views():
    view = dv.copy(EXPECTED, device="cuda")
    _add[2, 32](cuda.as_cuda_array(view), 5)
    cuda.synchronize()
    assert view.tolist() == (EXPECTED + 5).tolist()
    _add[2, 32](cuda.as_cuda_array(view[::2]), 1)
    cuda.synchronize()
    assert view[::2].tolist() == (EXPECTED[::2] + 6).tolist()
    assert view[1::2].tolist() == (EXPECTED[1::2] + 5).tolist()


def test_kernels_take_bare_views_where_no_implicit_copy_is_allowed():
    """It looks for a buffer first, and would type the argument by the layout of a host copy."""
    view = dv.copy(EXPECTED, device="cuda")
    with dv.transfer_guard("forbid"):
        _add[2, 32](view, 5)
        _add[2, 32](view[::2], 1)
        cuda.synchronize()
    assert view[::2].tolist() == (EXPECTED[::2] + 6).tolist()
    assert view[1::2].tolist() == (EXPECTED[1::2] + 5).tolist()
    with dv.transfer_guard("warn"), pytest.warns(match="implicit"):
        _add[2, 32](view, 1)
    cuda.synchronize()
    assert view[1::2].tolist() == (EXPECTED[1::2] + 6).tolist()


def test_read_only_views_are_taken_as_if_they_could_be_written():
    view = dv.copy(EXPECTED, device="cuda").toreadonly()
    assert address(cuda.as_cuda_array(view)) == view.ptr


@pytest.mark.parametrize("where", ["pinned", "managed"])
def test_memory_that_the_host_reads(where):
    array = {"pinned": cuda.mapped_array, "managed": cuda.managed_array}[where](10, np.int32)
    array[:] = range(10)
    view = dv.view(array)  # NumPy's arrays, and buffers: the host's
    assert (view.device, view.ptr) == ("cpu", array.ctypes.data)
    view = dv.from_cuda_array(array)
    assert (view.device, view.ptr) == (where, array.ctypes.data)
    assert memoryview(view).tolist() == list(range(10))
    view[0] = 99
    assert array[0] == 99


def test_host_consumers(tmp_path):
    array = cuda.to_device(EXPECTED)
    view = dv.view(array)
    assert bytes(view) == EXPECTED.tobytes()
    assert hashlib.sha256(view).digest() == hashlib.sha256(EXPECTED.tobytes()).digest()
    path = tmp_path / "items"
    path.write_bytes((EXPECTED * 2).tobytes())
    with path.open("rb") as file:
        file.readinto(view)
    assert array.copy_to_host().tolist() == (EXPECTED * 2).tolist()
    dv.copyto(array, EXPECTED)
    assert array.copy_to_host().tolist() == EXPECTED.tolist()


# --- Streams ---


@ways
def test_devview_waits_for_the_stream_that_numba_tells(take):
    stream = cuda.stream()
    array = cuda.device_array(COUNT, np.int32, stream=stream)
    slow_fill(array, 100, stream)
    assert take(array).tolist() == EXPECTED.tolist()


def test_a_stream_of_numbas_that_the_array_does_not_know():
    """An array without a stream tells none: the stream that was used has to be told."""
    stream = cuda.stream()
    array = cuda.to_device(np.zeros(COUNT, np.int32))
    slow_fill(array, 100, stream)
    handle = int(stream.handle)
    own = dv.Stream("cuda")
    own.wait(handle)
    assert dv.view(array).copy(stream=own).tolist() == EXPECTED.tolist()
    slow_fill(array, 200, stream)
    assert dv.view(array).copy(stream=handle).tolist() == (EXPECTED + 100).tolist()
    assert dv.view(array.bind(stream)).tolist() == (EXPECTED + 100).tolist()


def test_numba_waits_for_the_stream_that_devview_tells():
    theirs, own = cuda.stream(), dv.Stream("cuda")
    source = cuda.to_device(np.zeros(COUNT, np.int32))
    slow_fill(source, 100, theirs)
    view = dv.zeros(COUNT, "i", device="cuda", stream=own)
    dv.copyto(view, source.bind(theirs), stream=own)
    assert cuda.as_cuda_array(view).copy_to_host().tolist() == EXPECTED.tolist()
    slow_fill(source, 200, theirs)
    dv.copyto(view, source.bind(theirs), stream=own)
    with dv.transfer_guard("forbid"):
        _add[2, 32](view, 1)  # a kernel's argument is waited for, too
    cuda.synchronize()
    assert view.tolist() == (EXPECTED + 101).tolist()


# --- Release ---


def test_numbas_array_is_held_by_the_views():
    array = cuda.to_device(EXPECTED)
    memory = weakref.ref(array)
    with no_gc():
        view = dv.view(array)
        part = view[3:5]
        del array, view
        assert memory() is not None
        assert part.tolist() == [103, 104]
        part.release()
        assert memory() is None


def test_devviews_memory_is_held_by_numbas_array():
    with no_gc():
        before = dv.memory_info("cuda").live_bytes
        array = cuda.as_cuda_array(dv.copy(EXPECTED, device="cuda"))
        assert dv.memory_info("cuda").live_bytes == before + EXPECTED.nbytes
        assert array.copy_to_host().tolist() == EXPECTED.tolist()
        del array
        assert dv.memory_info("cuda").live_bytes == before


# --- numba's memory from devview ---


class FromDevview(cuda.HostOnlyCUDAMemoryManager):
    """An External Memory Management plugin over the two functions of `dv.allocator`."""

    interface_version = 1

    def initialize(self):
        made = dv.allocator()
        self._allocate = ctypes.CFUNCTYPE(
            ctypes.c_void_p, ctypes.c_ssize_t, ctypes.c_int, ctypes.c_void_p
        )(made.alloc_ptr)
        self._free = ctypes.CFUNCTYPE(
            None, ctypes.c_void_p, ctypes.c_ssize_t, ctypes.c_int, ctypes.c_void_p
        )(made.free_ptr)

    def memalloc(self, size):
        device, free, alive = self.context.device.id, self._free, self.allocations
        pointer = self._allocate(size, device, None)

        def finalize():
            free(pointer, size, device, None)
            del alive[pointer]

        made = cuda.cudadrv.driver.AutoFreePointer(
            weakref.proxy(self.context), ctypes.c_void_p(pointer), size, finalizer=finalize
        )
        alive[pointer] = made
        return made.own()

    def reset(self):
        super().reset()

    def get_memory_info(self):
        raise NotImplementedError

    def get_ipc_handle(self, memory):
        raise NotImplementedError


def test_numbas_arrays_are_devviews_blocks():
    context = cuda.current_context()
    own, context.memory_manager = context.memory_manager, FromDevview(context=context)
    try:
        context.memory_manager.initialize()
        before = dv.memory_info("cuda").live_bytes
        with no_gc():
            array = cuda.to_device(EXPECTED)
            assert dv.memory_info("cuda").live_bytes == before + EXPECTED.nbytes
            assert [row.nbytes for row in dv.live() if row.ptr == address(array)] == [256]
            _add[2, 32](array, 1)
            assert array.copy_to_host().tolist() == (EXPECTED + 1).tolist()
            del array
            assert dv.memory_info("cuda").live_bytes == before
    finally:
        context.memory_manager = own
