"""CuPy's arrays as devview's views: every protocol, item type and layout; no copy."""

from __future__ import annotations

import ctypes

import numpy as np
import pytest

import devview as dv
from gpu_layouts import LAYOUTS, Layout, logical_strides, values
from gpu_peers import cupy_base, require
from gpu_work import no_gc

cp = require("cupy", "cupy-cuda13x")
ml_dtypes = require("ml_dtypes", "ml_dtypes")

BFLOAT16 = np.dtype(ml_dtypes.bfloat16)
DTYPES = [np.dtype(c) for c in "?bBhHiIlLqQefdFD"]
RECORD = np.dtype([("a", "<i4"), ("b", "<f8")], align=True)


def by_legacy_capsule(array) -> dv.View:
    return dv.from_dlpack(array.__dlpack__(stream=1))


def by_versioned_capsule(array) -> dv.View:
    return dv.from_dlpack(array.__dlpack__(stream=1, max_version=(1, 0)))


WAYS = {
    "view": dv.view,
    "from_dlpack": dv.from_dlpack,
    "legacy capsule": by_legacy_capsule,
    "versioned capsule": by_versioned_capsule,
    "from_cuda_array": dv.from_cuda_array,
}
ways = pytest.mark.parametrize("take", WAYS.values(), ids=WAYS.keys())


def viewed(take, array):
    """Take an array; None where CuPy's DLPack says its negative strides wrong."""
    backwards = any(s < 0 for s in array.strides) and array.itemsize > 1
    if not backwards or take in (dv.view, dv.from_cuda_array):
        return take(array)
    try:
        return take(array)
    except dv.ImportRefused as error:
        if "stride" not in str(error):
            raise
        return None


def assert_same(view: dv.View, array, expected: np.ndarray) -> None:
    """Hold a view to CuPy's word on the memory, and the items to NumPy's."""
    assert view.device == f"cuda:{array.device.id}"
    assert (view.shape, view.itemsize, view.nbytes) == (array.shape, array.itemsize, array.nbytes)
    assert logical_strides(view) == logical_strides(array)
    if array.size:
        assert view.ptr == array.data.ptr
    assert not view.readonly
    assert view.tobytes() == expected.tobytes()


@ways
@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
def test_layouts(take, layout: Layout):
    base = layout.base("<i4")
    array = layout.of(cp, cupy_base(cp, base))
    view = viewed(take, array)
    if view is not None:
        assert_same(view, array, layout.of(np, base))


@ways
@pytest.mark.parametrize("dtype", DTYPES, ids=lambda dtype: dtype.char)
def test_item_types(take, dtype):
    for layout in LAYOUTS[0], LAYOUTS[6], LAYOUTS[8]:
        base = layout.base(dtype)
        array = layout.of(cp, cupy_base(cp, base))
        view = viewed(take, array)
        if view is None:
            continue
        expected = layout.of(np, base)
        assert_same(view, array, expected)
        assert dv.Format(view.format).to_numpy() == dtype
        assert view.tolist() == expected.tolist()


def test_cupys_dlpack_says_negative_strides_wrong():
    """CuPy 14 divides them by an unsigned itemsize. No guess is made: `view` asks elsewhere."""
    array = cp.arange(5, dtype="i4")[::-1]
    if cp.__version__.startswith("14."):
        with pytest.raises(dv.ImportRefused, match="stride 4611686018427387903 items"):
            dv.from_dlpack(array)
    assert dv.view(array).strides == (-4,)
    assert dv.view(array).tolist() == [4, 3, 2, 1, 0]
    assert dv.from_dlpack(cp.arange(5, dtype="u1")[::-1]).strides == (-1,)


def test_bfloat16_by_dlpack():
    host = values((3, 4), BFLOAT16)
    array = cupy_base(cp, host)
    for take in dv.view, dv.from_dlpack, by_versioned_capsule, by_legacy_capsule:
        view = take(array)
        assert view.format == "T{H:bfloat16:}"
        assert_same(view, array, host)
        assert view.tolist() == host.astype("f4").tolist()


def test_bfloat16_by_the_array_interface_is_opaque():
    """CuPy tells ml_dtypes' typestr, which names no type: the bytes, and no guess."""
    array = cupy_base(cp, values((3,), BFLOAT16))
    view = dv.from_cuda_array(array)
    assert (view.itemsize, view.ptr) == (2, array.data.ptr)
    assert view.format != "T{H:bfloat16:}"
    assert view.tobytes() == array.get().tobytes()


def test_records_come_by_the_array_interface():
    """DLPack has no records: devview goes on to the next protocol by itself."""
    host = np.zeros(5, RECORD)
    host["a"], host["b"] = range(5), np.arange(5) / 2
    array = cp.asarray(host)
    view = dv.view(array)
    assert (view.ptr, view.itemsize) == (array.data.ptr, RECORD.itemsize)
    for name in "ab":  # the gaps hold anything
        assert view[name].tolist() == host[name].tolist()
    with pytest.raises(dv.ImportRefused, match="dtype is not supported"):
        dv.from_dlpack(array)


@ways
def test_64_axes(take):
    host = values((2, 1) * 3 + (1,) * 58, "<i2")
    assert host.ndim == 64
    array = cp.asarray(host)
    assert_same(take(array), array, host)


@ways
def test_65_axes_are_refused_by_cupy_before_us(take):
    with pytest.raises(ValueError, match="64"):
        cp.empty((1,) * 65)


@ways
def test_what_devview_writes_cupy_reads(take):
    array = cp.zeros((4, 6), "f4")[:, ::2]
    view = take(array)
    view.copy_from(np.arange(12, dtype="f4").reshape(4, 3))
    view[0, 0] = -1.0
    expected = np.arange(12, dtype="f4").reshape(4, 3)
    expected[0, 0] = -1
    assert (array.get() == expected).all()


@ways
def test_what_cupy_writes_devview_reads(take):
    array = cp.zeros((4, 6), "f4")
    view = take(array)
    array[1:3, ::2] = 7
    cp.cuda.get_current_stream().synchronize()
    assert view[1:3, ::2].tolist() == [[7.0] * 3] * 2
    assert view[0].tolist() == [0.0] * 6


@ways
def test_the_array_is_held_by_its_views_and_given_back_with_the_last(take):
    pool = cp.cuda.MemoryPool()
    with cp.cuda.using_allocator(pool.malloc):
        array = cp.arange(1000, dtype="i4")
    used = pool.used_bytes()
    assert used >= 4000
    with no_gc():
        view = take(array)
        part = view[10:20]
        del array, view
        assert pool.used_bytes() == used
        assert part.tolist() == list(range(10, 20))
        part.release()
        assert pool.used_bytes() == 0


@ways
def test_an_empty_array_has_no_address_to_be_wrong(take):
    view = take(cp.empty((0, 4), "f8"))
    assert (view.shape, view.nbytes, view.tolist(), bytes(view)) == ((0, 4), 0, [], b"")


@ways
def test_an_unaligned_offset_into_a_block(take):
    block = cp.arange(64, dtype="u1")
    array = block[3:].view("u1")[:8]
    view = take(array)
    assert view.ptr == block.data.ptr + 3
    assert view.tolist() == list(range(3, 11))


def test_managed_memory_is_known_as_such():
    pool = cp.cuda.MemoryPool(cp.cuda.malloc_managed)
    with cp.cuda.using_allocator(pool.malloc):
        array = cp.arange(10, dtype="i4")
    for take in WAYS.values():
        view = take(array)
        assert (view.device, view.ptr) == ("managed", array.data.ptr)
        memory = memoryview(view)  # where it is: no copy
        assert ctypes.addressof(ctypes.c_char.from_buffer(memory)) == array.data.ptr
        assert memory.tolist() == list(range(10))
        memory.release()
        view.release()


def test_memory_of_cupys_stream_ordered_pool():
    pool = cp.cuda.MemoryAsyncPool()
    with cp.cuda.using_allocator(pool.malloc):
        array = cp.arange(100, dtype="i4")
        for take in WAYS.values():
            view = take(array)
            assert (view.device, view.ptr) == ("cuda:0", array.data.ptr)
            assert view.tolist() == list(range(100))
            view.release()
        del array


def test_pinned_memory_of_cupy():
    memory = cp.cuda.alloc_pinned_memory(40)
    array = np.frombuffer(memory, "i4", 10)
    array[:] = range(10)
    pinned = dv.from_pointer(array.ctypes.data, 10, "i", device="pinned", owner=array)
    device = pinned.to("cuda")
    assert cp.asarray(device).get().tolist() == list(range(10))
    assert dv.view(array).device == "cpu"  # NumPy's word; the address is the same
    assert dv.view(array).ptr == pinned.ptr


def test_readonly_narrows_what_cupy_cannot_say():
    array = cp.zeros(4)
    view = dv.view(array, readonly=True)
    assert view.readonly
    assert view.__cuda_array_interface__["data"] == (array.data.ptr, True)
    with pytest.raises(TypeError, match="read-only"):
        view[0] = 1


def test_copy_and_device_of_view():
    array = cp.arange(6, dtype="f4")
    copied = dv.view(array, copy=True)
    assert copied.ptr != array.data.ptr
    assert copied.tolist() == array.tolist()
    host = dv.view(array, device="cpu")
    assert (host.device, host.tolist()) == ("cpu", array.tolist())
    with pytest.raises(BufferError):
        dv.view(array, device="cpu", copy=False)
    with pytest.raises(BufferError):
        dv.from_dlpack(array, device="cpu", copy=False)
    host = dv.from_dlpack(array, device="cpu")
    assert (host.device, host.tolist()) == ("cpu", array.tolist())
