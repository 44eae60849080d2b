"""devview's views as CuPy's arrays: every protocol, item type and layout; no copy."""

from __future__ import annotations

import numpy as np
import pytest

import devview as dv
from gpu_layouts import LAYOUTS, Layout, logical_strides, values
from gpu_peers import require
from gpu_work import no_gc

cp = require("cupy", "cupy-cuda13x")
ml_dtypes = require("ml_dtypes", "ml_dtypes")

DTYPES = [np.dtype(c) for c in "?bBhHiIlLqQefdFD"]


def by_legacy_capsule(view):
    return cp.from_dlpack(view.__dlpack__(stream=1))


def by_versioned_capsule(view):
    return cp.from_dlpack(view.__dlpack__(stream=1, max_version=(1, 3)))


WAYS = {
    "from_dlpack": cp.from_dlpack,
    "legacy capsule": by_legacy_capsule,
    "versioned capsule": by_versioned_capsule,
    "asarray": cp.asarray,  # the array interface
}
ways = pytest.mark.parametrize("take", WAYS.values(), ids=WAYS.keys())
by_dlpack = pytest.mark.parametrize("take", list(WAYS.values())[:3], ids=list(WAYS)[:3])


def of_layout(layout: Layout, dtype, device="cuda") -> tuple[dv.View, np.ndarray]:
    """Make a view of devview's memory in that layout, and NumPy's array of the same items."""
    base = layout.base(dtype)
    dense = base.T if layout.order == "F" else base
    view = dv.copy(dense, device=device)
    view = view.T if layout.order == "F" else view
    view = view[layout.key]
    if layout.broadcast is not None:
        view = view.broadcast_to(layout.broadcast)
        view = readable(view)
    return view, layout.of(np, base)


def readable(view: dv.View) -> dv.View:
    """`broadcast_to` is read-only as in NumPy, which legacy capsules cannot say."""
    return dv.from_pointer(
        view.ptr, view.shape, view.format, device=view.device, strides=view.strides, owner=view
    )


def assert_same(array, view: dv.View, expected: np.ndarray) -> None:
    assert array.shape == view.shape
    assert logical_strides(array) == logical_strides(view)
    if array.size:
        assert array.data.ptr == view.ptr
        assert array.device.id == view.device.id
    assert array.get().tobytes() == expected.tobytes()


@ways
@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
def test_layouts(take, layout: Layout):
    view, expected = of_layout(layout, "<i4")
    array = take(view)
    assert array.dtype == np.dtype("i4")
    assert_same(array, view, expected)


@ways
@pytest.mark.parametrize("dtype", DTYPES, ids=lambda dtype: dtype.char)
def test_item_types(take, dtype):
    for layout in LAYOUTS[0], LAYOUTS[6], LAYOUTS[8]:
        view, expected = of_layout(layout, dtype)
        array = take(view)
        assert array.dtype == dtype
        assert_same(array, view, expected)


@by_dlpack
def test_bfloat16(take):
    host = values((3, 4), ml_dtypes.bfloat16)
    view = dv.copy(host.view("u2"), device="cuda").cast("T{H:bfloat16:}")
    array = take(view[::-1])
    assert array.dtype == np.dtype(ml_dtypes.bfloat16)
    assert array.get().tobytes() == host[::-1].tobytes()


def test_bfloat16_by_the_array_interface_is_a_record_of_one_member():
    view = dv.zeros(3, "T{H:bfloat16:}", device="cuda")
    array = cp.asarray(view)
    assert array.data.ptr == view.ptr
    assert array.dtype == np.dtype([("bfloat16", "<u2")])


@by_dlpack
def test_small_floats_are_refused_by_cupy_and_nothing_leaks(take):
    view = dv.zeros(8, dv.Format((10, 8, 1)), device="cuda")
    with pytest.raises(TypeError, match="Unsupported dtype"):
        take(view)
    assert view.allocation.exports == 0


def test_records_go_by_the_array_interface():
    record = np.dtype([("a", "<i4"), ("b", "<f8")], align=True)
    host = np.zeros(5, record)
    host["a"], host["b"] = range(5), np.arange(5) / 2
    view = dv.view(host).to("cuda")
    array = cp.asarray(view)
    assert array.data.ptr == view.ptr
    assert array.dtype.itemsize == record.itemsize
    assert (array.get() == host).all()


@ways
def test_64_axes(take):
    host = values((2, 1) * 3 + (1,) * 58, "<i2")
    view = dv.copy(host, device="cuda")
    assert_same(take(view), view, host)


@ways
def test_what_cupy_writes_devview_reads(take):
    view = dv.zeros((4, 6), "f", device="cuda")
    array = take(view[:, ::2])
    array[...] = cp.arange(12, dtype="f4").reshape(4, 3)
    array[0, 0] = -1
    cp.cuda.get_current_stream().synchronize()
    expected = np.arange(12, dtype="f4").reshape(4, 3)
    expected[0, 0] = -1
    assert view[:, ::2].tolist() == expected.tolist()
    assert view[:, 1::2].tolist() == [[0.0] * 3] * 4


@ways
def test_what_devview_writes_cupy_reads(take):
    view = dv.zeros((4, 6), "f", device="cuda")
    array = take(view)
    view[1:3].fill(7)
    # The legacy stream, which CuPy works on as well, orders the two.
    assert array.get().tolist() == [[0.0] * 6, [7.0] * 6, [7.0] * 6, [0.0] * 6]


@by_dlpack
def test_the_memory_is_held_by_the_array_and_given_back_with_it(take):
    with no_gc():
        before = dv.memory_info("cuda").live_bytes
        view = dv.copy(range_of(1000), device="cuda")
        assert dv.memory_info("cuda").live_bytes == before + 4000
        array = take(view[10:20])
        assert view.allocation.exports == 1
        view.release()
        del view
        assert dv.memory_info("cuda").live_bytes == before + 4000
        part = array[2:4]
        del array
        assert dv.memory_info("cuda").live_bytes == before + 4000
        assert part.tolist() == [12, 13]
        del part
        assert dv.memory_info("cuda").live_bytes == before


def test_the_array_interface_holds_the_view_object():
    """It has no word for giving back: CuPy keeps the view that it asked, and `release` ends it."""
    with no_gc():
        before = dv.memory_info("cuda").live_bytes
        view = dv.copy(range_of(1000), device="cuda")
        array = cp.asarray(view)
        del view
        assert dv.memory_info("cuda").live_bytes == before + 4000
        assert array[5:7].tolist() == [5, 6]
        del array
        assert dv.memory_info("cuda").live_bytes == before


def range_of(count: int) -> np.ndarray:
    return np.arange(count, dtype="i4")


@ways
def test_managed_memory(take):
    view = dv.copy(range_of(10), device="managed")
    array = take(view)
    assert array.data.ptr == view.ptr
    assert array.tolist() == list(range(10))
    array += 1
    cp.cuda.get_current_stream().synchronize()
    assert view.tolist() == list(range(1, 11))


def test_pinned_memory():
    """CuPy takes it by the array interface alone: its DLPack knows no pinned memory."""
    view = dv.copy(range_of(10), device="pinned")
    array = cp.asarray(view)
    assert array.data.ptr == view.ptr
    assert (array + 1).tolist() == list(range(1, 11))
    with pytest.raises(TypeError, match="Unsupported array type: 3"):
        cp.from_dlpack(view)


def test_host_memory_is_refused_by_dlpack_and_copied_by_asarray():
    view = dv.copy(range_of(10))
    with pytest.raises(TypeError, match="CPU arrays"):
        cp.from_dlpack(view)
    array = cp.asarray(np.asarray(view))
    assert array.tolist() == list(range(10))


def test_read_only_views():
    """CuPy has no read-only arrays: it passes over what capsules and dicts say."""
    view = dv.zeros(4, "f", device="cuda").toreadonly()
    assert cp.from_dlpack(view).data.ptr == view.ptr
    assert cp.asarray(view).data.ptr == view.ptr
    with pytest.raises(BufferError, match="read-only"):
        by_legacy_capsule(view)


def test_strides_that_are_no_multiple_of_the_itemsize():
    odd = dv.zeros(64, "B", device="cuda")
    view = dv.from_pointer(odd.ptr, 5, "i", device="cuda", strides=(6,), owner=odd)
    with pytest.raises(BufferError, match="stride"):
        cp.from_dlpack(view)
    # The interface can say them, and CuPy's kernels would read misaligned: a dense copy can go.
    assert cp.from_dlpack(view.copy()).tolist() == [0] * 5


def test_copy_is_made_where_cupy_asks_for_one():
    view = dv.copy(range_of(10), device="cuda")
    array = cp.from_dlpack(view, copy=True)
    assert array.data.ptr != view.ptr
    assert array.tolist() == list(range(10))
    assert view.allocation.exports == 0
    assert cp.from_dlpack(view, copy=False).data.ptr == view.ptr


@ways
def test_there_and_back_is_the_same_memory(take):
    view = dv.copy(range_of(24), device="cuda").reshape(4, 6)
    back = dv.view(take(view[1:, ::-2]))
    assert (back.device, back.ptr, back.shape, back.strides) == (
        "cuda:0",
        view[1:, ::-2].ptr,
        (3, 3),
        (24, -8),
    )
    back.fill(0)
    assert view[1:, ::-2].tolist() == [[0] * 3] * 3


def test_kernels_and_functions_take_views():
    """By the array interface, wherever CuPy wants an array of its own."""
    view = dv.copy(range_of(10), device="cuda")
    assert int(cp.sum(cp.asarray(view))) == 45
    total = cp.ElementwiseKernel("int32 x", "int32 y", "y = 2 * x")(view, cp.empty(10, "i4"))
    assert total.tolist() == list(range(0, 20, 2))
    assert cp.add(view, 1).tolist() == list(range(1, 11))
    assert cp.asnumpy(view).tolist() == list(range(10))
