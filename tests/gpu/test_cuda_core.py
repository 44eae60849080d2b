"""cuda.core beside devview: buffers, strided views, streams, memory resources."""

from __future__ import annotations

import ctypes

import numpy as np
import pytest

import devview as dv
from gpu_layouts import LAYOUTS, Layout
from gpu_peers import require
from gpu_work import no_gc

require("cuda.bindings", "cuda-bindings")
core = require("cuda.core", "cuda-core")
StridedMemoryView = require("cuda.core.utils", "cuda-core").StridedMemoryView

NO_ORDER = -1
COUNT = 64
EXPECTED = np.arange(100, 100 + COUNT, dtype="i4")
DTYPES = [np.dtype(c) for c in "?bBhHiIqQefdFD"]


@pytest.fixture(scope="module")
def device():
    made = core.Device(0)
    made.set_current()
    return made


@pytest.fixture
def stream(device):
    return device.create_stream()


def filled(device, stream, host=EXPECTED):
    """Give a buffer of cuda.core's with the items of an array, on a stream."""
    buffer = device.memory_resource.allocate(host.nbytes, stream=stream)
    stream.sync()
    dv.from_pointer(int(buffer.handle), host.nbytes, "B", device="cuda").copy_from(
        host.reshape(-1).view("u1")
    )
    dv.zeros(1, device="cuda").tolist()  # the legacy stream is done
    return buffer


TAKERS = {
    "from_dlpack": StridedMemoryView.from_dlpack,
    "from_any_interface": StridedMemoryView.from_any_interface,
    "from_cuda_array_interface": StridedMemoryView.from_cuda_array_interface,
}
takers = pytest.mark.parametrize("take", TAKERS.values(), ids=TAKERS.keys())


def strides_of(smv) -> tuple:
    if smv.strides is not None:
        return tuple(smv.strides)
    strides = [1]
    for extent in smv.shape[:0:-1]:
        strides.insert(0, strides[0] * extent)
    return tuple(strides) if smv.shape else ()


@takers
@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
def test_views_as_strided_memory_views_and_back(take, layout: Layout, stream):
    base = layout.base("<i4")
    view = dv.copy(base.T if layout.order == "F" else base, device="cuda")
    view = (view.T if layout.order == "F" else view)[layout.key]
    if layout.broadcast is not None:
        view = view.broadcast_to(layout.broadcast)
    smv = take(view, stream_ptr=int(stream.handle))
    assert smv.shape == view.shape
    assert (smv.device_id, smv.is_device_accessible, smv.readonly) == (0, True, view.readonly)
    assert smv.dtype == np.dtype("i4")
    if view.nbytes:
        assert smv.ptr == view.ptr
        told = tuple(s * 4 for s in strides_of(smv))
        pairs = zip(told, view.strides, view.shape, strict=True)
        assert [a for a, _, n in pairs if n > 1] == [
            b for b, n in zip(view.strides, view.shape, strict=True) if n > 1
        ]
    back = dv.view(smv)  # its C exchange API
    assert back.shape == view.shape
    assert back.tobytes() == layout.of(np, base).tobytes()
    if view.nbytes:
        assert (back.ptr, back.device) == (view.ptr, "cuda:0")
    assert back.readonly == view.readonly


@takers
@pytest.mark.parametrize("dtype", DTYPES, ids=lambda dtype: dtype.char)
def test_item_types(take, dtype, stream):
    base = LAYOUTS[0].base(dtype)
    view = dv.copy(base, device="cuda")
    smv = take(view, stream_ptr=int(stream.handle))
    assert smv.dtype == dtype
    back = dv.view(smv)
    assert back.tolist() == base.tolist()
    assert dv.Format(back.format).to_numpy() == dtype
    assert dv.from_dlpack(smv, stream=int(stream.handle)).tolist() == base.tolist()


@takers
def test_read_only_stays_so_both_ways(take):
    view = dv.zeros(4, "f", device="cuda").toreadonly()
    smv = take(view, stream_ptr=NO_ORDER)
    assert smv.readonly
    assert dv.view(smv).readonly


@takers
def test_pinned_and_managed_memory(take):
    for where in "pinned", "managed":
        view = dv.copy(EXPECTED, device=where)
        smv = take(view, stream_ptr=NO_ORDER)
        assert (smv.ptr, smv.is_device_accessible) == (view.ptr, True)
        back = dv.view(smv)
        assert (back.ptr, back.tolist()) == (view.ptr, EXPECTED.tolist())


@takers
def test_the_memory_lives_as_long_as_the_strided_view(take):
    with no_gc():
        before = dv.memory_info("cuda").live_bytes
        smv = take(dv.copy(EXPECTED, device="cuda"), stream_ptr=NO_ORDER)
        assert dv.memory_info("cuda").live_bytes == before + EXPECTED.nbytes
        view = dv.view(smv)
        del smv
        assert view.tolist() == EXPECTED.tolist()
        view.release()
        assert dv.memory_info("cuda").live_bytes == before


# --- Buffers ---


def test_buffers_of_every_resource_are_viewed(device, stream):
    resources = {
        "cuda:0": [device.memory_resource, core.DeviceMemoryResource(device)],
        "pinned": [core.PinnedMemoryResource(), core.LegacyPinnedMemoryResource()],
        "managed": [core.ManagedMemoryResource()],
    }
    for where, made in resources.items():
        for resource in made:
            buffer = resource.allocate(256, stream=stream)
            stream.sync()
            view = dv.view(buffer)
            assert (view.ptr, view.nbytes, view.itemsize) == (int(buffer.handle), 256, 1)
            # A managed pool's memory is told as a device's, too.
            assert view.device in ((where, "cuda:0") if where == "managed" else (where,))
            view.copy_from(bytes(range(256)))
            assert bytes(view) == bytes(range(256))
            words = view.cast("I")
            assert words.shape == (64,)
            words.release()
            view.release()
            buffer.close(stream)
    stream.sync()


def test_a_view_holds_the_buffer(device, stream):
    import weakref

    buffer = filled(device, stream)
    alive = weakref.ref(buffer) if hasattr(buffer, "__weakref__") else None
    with no_gc():
        view = dv.view(buffer).cast("i")
        del buffer
        assert view.tolist() == EXPECTED.tolist()
        view.release()
        assert alive is None or alive() is None


def test_a_buffer_over_a_view(device, stream):
    with no_gc():
        before = dv.memory_info("cuda").live_bytes
        view = dv.copy(EXPECTED, device="cuda")
        buffer = core.Buffer.from_handle(view.ptr, view.nbytes, owner=view)
        del view
        buffer.fill(1, stream=stream)
        stream.sync()
        assert dv.view(buffer).cast("i").tolist() == [0x01010101] * COUNT
        buffer.close(stream)
        del buffer
        assert dv.memory_info("cuda").live_bytes == before


# --- Streams ---


def test_streams_of_cuda_core_are_streams_for_devview(stream):
    view = dv.zeros(COUNT, "i", device="cuda", stream=stream)
    view.copy_from(EXPECTED, stream=stream)
    assert view.copy(stream=stream).tolist() == EXPECTED.tolist()
    own = dv.Stream("cuda")
    own.wait(stream)
    assert view.copy(stream=own).tolist() == EXPECTED.tolist()
    stream.sync()


def test_streams_of_devview_are_streams_for_cuda_core(device):
    own = dv.Stream("cuda")
    theirs = core.Stream.from_handle(own.handle)
    view = dv.zeros(64, device="cuda", stream=own)
    buffer = core.Buffer.from_handle(view.ptr, view.nbytes, owner=view)
    buffer.fill(7, stream=theirs)
    assert view.copy(stream=own).tolist() == [7] * 64
    assert device.create_stream(own) is not None
    buffer.close(theirs)


def test_work_still_running_is_waited_for_by_both(device, stream):
    """A chain of copies on two streams: each side is handed what the other is still writing."""
    host = core.LegacyPinnedMemoryResource().allocate(EXPECTED.nbytes)
    np.from_dlpack(host).view("u1")[:] = EXPECTED.view("u1")
    buffer = device.memory_resource.allocate(EXPECTED.nbytes, stream=stream)
    buffer.fill(0, stream=stream)
    buffer.copy_from(host, stream=stream)
    own = dv.Stream("cuda")
    # cuda.core's buffers name no stream: the consumer's is ordered by the exporter's __dlpack__,
    # which only knows the one that is asked for.
    own.wait(stream)
    view = dv.view(buffer, stream=own).cast("i")
    target = dv.zeros(COUNT, "i", device="cuda", stream=own)
    dv.copyto(target, view, stream=own)
    smv = StridedMemoryView.from_dlpack(target, stream_ptr=int(stream.handle))
    back = core.LegacyPinnedMemoryResource().allocate(EXPECTED.nbytes)
    over = core.Buffer.from_handle(smv.ptr, EXPECTED.nbytes, owner=smv)
    over.copy_to(back, stream=stream)
    stream.sync()
    assert np.from_dlpack(back).view("u1").tobytes() == EXPECTED.tobytes()
    view.release()
    over.close(stream)
    buffer.close(stream)
    host.close()
    back.close()


# --- cuda.core's memory from devview ---


class FromDevview(core.MemoryResource):
    """A memory resource over the two functions of `dv.allocator`."""

    is_device_accessible, is_host_accessible, is_managed, device_id = True, False, False, 0

    def __init__(self):
        made = dv.allocator()
        self._allocate = ctypes.CFUNCTYPE(
            ctypes.c_void_p, ctypes.c_ssize_t, ctypes.c_int, ctypes.c_void_p
        )(made.alloc_ptr)
        self._free = ctypes.CFUNCTYPE(
            None, ctypes.c_void_p, ctypes.c_ssize_t, ctypes.c_int, ctypes.c_void_p
        )(made.free_ptr)

    def allocate(self, size, *, stream=None):
        handle = None if stream is None else int(stream.handle)
        return core.Buffer.from_handle(self._allocate(size, 0, handle), size, mr=self)

    def deallocate(self, ptr, size, *, stream=None):
        self._free(int(ptr), size, 0, None if stream is None else int(stream.handle))


def test_buffers_are_devviews_blocks(stream):
    resource = FromDevview()
    with no_gc():
        before = dv.memory_info("cuda").live_bytes
        buffer = resource.allocate(1000, stream=stream)
        assert dv.memory_info("cuda").live_bytes == before + 1000
        assert [row.nbytes for row in dv.live() if row.ptr == int(buffer.handle)] == [1000]
        buffer.fill(3, stream=stream)
        stream.sync()
        assert dv.view(buffer).tolist() == [3] * 1000
        buffer.close(stream)
        assert dv.memory_info("cuda").live_bytes == before
    stream.sync()
