"""What views cost, counted: bytes and blocks of each, and who is told of them. No times here."""

from __future__ import annotations

import gc
import sys
import tracemalloc

import numpy as np
import pytest

import devview as dv
from devview.bench.cases import growth
from support import DEVICES

LIMIT = 256  # bytes of a view of up to two axes, with the collector's share
COUNT = 5000
FREE_LIST = 64  # dead objects that are kept for reuse, at most

RECORD = 256  # bytes of an allocation's record, at most
ROUNDING = 16  # what an allocator adds to an object: its size rounded up, a share of a pool

needs_proc = pytest.mark.skipif(sys.platform != "linux", reason="missing: /proc/self/statm")


def hand_overs(elements):
    """Return hand-overs of one array of that many bytes: none of them should look at its items."""
    array = np.empty(elements, "u1")
    v = dv.view(array)
    return {
        "view": lambda: dv.view(array),
        "slice": lambda: v[1:],
        "memoryview": lambda: memoryview(v),
        "cast": lambda: v.cast("b"),
        "shape": lambda: v.shape,
    }


# --- Bytes of a view ---


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("ndim", [0, 1, 2])
def test_a_view_of_up_to_two_axes_takes_256_bytes_at_most(ndim, device):
    v = dv.zeros((2,) * ndim, device=device)
    assert sys.getsizeof(v) <= LIMIT
    assert sys.getsizeof(v[...]) <= LIMIT
    assert sys.getsizeof(v.T) <= LIMIT


@needs_proc
@pytest.mark.parametrize("ndim", [1, 2, 3])
def test_a_slice_of_up_to_three_axes_takes_the_object_alone(ndim):
    size = sys.getsizeof(dv.zeros((2,) * ndim))
    taken = growth.resident("lambda: p[1:]", COUNT, f"p = dv.zeros((2,) * {ndim})")
    assert size <= taken <= size + ROUNDING


@needs_proc
@pytest.mark.parametrize("ndim", [1, 2, 3])
def test_an_import_takes_the_object_and_one_record(ndim):
    setup = f"x = np.ones((2,) * {ndim})"
    size = sys.getsizeof(dv.zeros((2,) * ndim))
    assert size + ROUNDING < growth.resident("lambda: dv.view(x)", COUNT, setup) <= size + RECORD


@needs_proc
@pytest.mark.parametrize("ndim", [1, 2, 3])
def test_an_import_of_a_memoryview_takes_no_more_than_that_memoryview_besides(ndim):
    setup = f"x = np.ones((2,) * {ndim})"
    its_own = growth.resident("lambda: memoryview(x)", COUNT, setup)
    taken = growth.resident("lambda: dv.view(memoryview(x))", COUNT, setup)
    size = sys.getsizeof(dv.zeros((2,) * ndim))
    assert size + ROUNDING < taken - its_own <= size + RECORD


@pytest.mark.parametrize("ndim", [3, 4, 64])
def test_sizeof_tells_the_layout_that_does_not_fit_into_the_object(ndim):
    few, many = dv.zeros((1,) * 3), dv.zeros((1,) * ndim)
    outside = 0 if ndim <= 3 else 2 * ndim * 8
    assert sys.getsizeof(many) == sys.getsizeof(few) + outside


def test_sizeof_of_a_released_view_has_no_layout():
    v = dv.zeros((1,) * 10)
    v.release()
    assert sys.getsizeof(v) >= sys.getsizeof(dv.zeros(1))


# --- Blocks of each operation, whatever the number of items ---


def blocks_of(call):
    """Return Python's blocks that COUNT results of call() take, one by one."""
    kept = [None] * COUNT
    for i in range(COUNT):
        kept[i] = call()
    kept[:] = [None] * COUNT
    gc.collect()
    before = sys.getallocatedblocks()
    for i in range(COUNT):
        kept[i] = call()
    return (sys.getallocatedblocks() - before) / COUNT


@pytest.mark.parametrize(
    ("operation", "blocks"),
    [("view", 1), ("slice", 1), ("memoryview", 2), ("cast", 1)],
)
def test_the_blocks_of_an_operation_do_not_grow_with_the_items(operation, blocks):
    for elements in (2, 1000, 1_000_000):
        call = hand_overs(elements)[operation]
        assert blocks_of(call) == pytest.approx(blocks, abs=(FREE_LIST + 10) / COUNT)


@pytest.mark.parametrize("operation", ["view", "slice", "memoryview", "cast", "shape"])
def test_a_result_that_goes_leaves_nothing(operation):
    call = hand_overs(1000)[operation]
    for _ in range(100):
        call()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(1000):
            call()
        assert tracemalloc.get_traced_memory()[0] - before < 1000
    finally:
        tracemalloc.stop()


@needs_proc
@pytest.mark.parametrize("ndim", [4, 8, 32])
def test_a_slice_of_many_axes_takes_one_block_of_cpp(ndim):
    parent = f"p = dv.zeros((2,) * 4 + (1,) * {ndim - 4})"
    taken = growth.resident("lambda: p[1:, 1:, 1:, 1:]", COUNT, parent)
    size = sys.getsizeof(dv.zeros((1,) * ndim))  # with its layout
    assert size <= taken <= size + 2 * ROUNDING


def test_slices_share_one_record():
    v = dv.zeros(100)
    before = len(dv.live())
    kept = [v[i:] for i in range(100)]
    assert len(dv.live()) == before
    assert v.allocation.views == 101
    del kept
    assert v.allocation.views == 1


# --- The collector ---


@pytest.mark.parametrize("owner", [b"ab", bytearray(b"ab"), np.zeros(2)], ids=lambda o: type(o))
def test_views_of_what_cannot_be_in_a_cycle_are_not_tracked(owner):
    v = dv.view(owner)
    assert not gc.is_tracked(owner)
    assert not gc.is_tracked(v)
    part = v[1:]
    assert not gc.is_tracked(part)
    assert not gc.is_tracked(v.allocation)


def test_views_of_own_memory_are_not_tracked():
    v = dv.zeros(2)
    assert not any(map(gc.is_tracked, (v, v[1:], v.T, v.allocation)))


class Owner(bytearray):
    """A Python class: an object of it can hold anything."""


def test_views_of_what_can_be_in_a_cycle_are_tracked_and_collected():
    freed = []

    class Told(Owner):
        def __del__(self):
            freed.append(True)

    for with_part in (False, True):
        owner = Told(b"abc")
        owner.view = dv.view(owner)
        if with_part:
            owner.part = owner.view[1:]
            owner.view[2:].release()  # its handle is kept for the next
            assert gc.is_tracked(owner.part)
        assert gc.is_tracked(owner.view)
        del owner
        gc.collect()
        assert freed.pop()


def test_a_release_callback_keeps_a_view_tracked():
    block = bytearray(8)
    address = dv.view(block).ptr
    calls = []
    v = dv.from_pointer(address, 8, "B", device="cpu", release=lambda stream: calls.append(stream))
    assert gc.is_tracked(v)
    holder = [v, v[1:]]
    holder.append(holder)
    del v, holder
    gc.collect()
    assert calls == [None]


# --- The counts of views that are counted without atomics ---


def test_views_are_counted_whoever_goes_first():
    a = np.zeros(4)
    v = dv.view(a)
    first = v[1:]
    allocation = v.allocation
    second = first[1:]
    assert allocation.views == 3
    v.release()
    assert allocation.views == 2
    del second
    assert allocation.views == 1
    first.release()
    assert allocation.views == 0


def test_the_owner_is_let_go_with_the_last_view_though_a_slice_went_before():
    a = np.zeros(4)
    before = sys.getrefcount(a)
    v = dv.view(a)
    for _ in range(3):
        v[1:].release()
        v.T.T.release()
    part = v[2:]
    del v
    assert sys.getrefcount(a) == before + 1
    del part
    assert sys.getrefcount(a) == before


def test_free_tells_views_and_exports_and_works_when_they_have_gone():
    allocation = dv.Allocation(16)
    v = allocation.view()
    part = v[4:]
    exported = memoryview(part), memoryview(part), memoryview(v)
    assert (allocation.views, allocation.exports) == (2, 3)
    assert (v.exports, part.exports) == (1, 2)
    with pytest.raises(BufferError, match="2 views and 3 exports"):
        allocation.free()
    with pytest.raises(BufferError, match="2 views and 3 exports"):
        allocation.resize(32)
    del exported
    with pytest.raises(BufferError, match="2 views and 0 exports"):
        allocation.free()
    del v, part
    assert (allocation.views, allocation.exports) == (0, 0)
    allocation.resize(32)
    again = allocation.view()[8:]
    assert allocation.views == 1
    del again
    allocation.free()
    assert allocation.freed


def test_memory_info_counts_exports_of_views():
    before = dv.memory_info("cpu").exports
    with memoryview(dv.zeros(4)), memoryview(dv.view(b"abc")):
        assert dv.memory_info("cpu").exports == before + 2
    assert dv.memory_info("cpu").exports == before


# --- Bytes and bytearrays, which are not asked for what is known ---


@pytest.mark.parametrize("content", [b"", b"a", bytes(range(256)) * 5])
@pytest.mark.parametrize("kind", [bytes, bytearray])
def test_bytes_are_seen_as_their_memoryview_shows_them(kind, content):
    owner = kind(content)
    v, m = dv.view(owner), memoryview(owner)
    for name in [
        "format",
        "itemsize",
        "shape",
        "strides",
        "suboffsets",
        "ndim",
        "nbytes",
        "readonly",
    ]:
        assert getattr(v, name) == getattr(m, name)
    assert (v.c_contiguous, v.f_contiguous, v.contiguous) == (True, True, True)
    assert v.obj is owner
    assert bytes(v) == content
    assert v.ptr == np.frombuffer(m, "u1").ctypes.data or not content


def test_a_bytearray_is_not_resized_under_a_view():
    owner = bytearray(b"abc")
    v = dv.view(owner)
    part = v[1:]
    v.release()
    with pytest.raises(BufferError):
        owner.append(1)
    part[0] = 7
    assert owner == b"a\x07c"
    del part
    owner.append(1)
    assert len(owner) == 4


def test_subclasses_of_bytes_are_asked():
    class Text(bytes):
        pass

    owner = Text(b"abc")
    v = dv.view(owner)
    assert v.obj is owner
    assert bytes(v) == b"abc"


def test_bytes_live_as_long_as_their_view():
    def view_of_new():
        return dv.view(bytes([1, 2, 3] * 100))

    v = view_of_new()[3:6]
    gc.collect()
    assert v.tolist() == [1, 2, 3]


# --- What the harness hands to plots ---


def test_each_line_of_growth_has_a_point_for_each_number():
    lines = {}
    for case in growth.CASES:
        lines.setdefault((case.axis, case.series), []).append(case.x)
    assert all(points == sorted(set(points)) for points in lines.values())
    assert {axis for axis, _ in lines} >= {"axes", "elements", "views alive"}
    assert lines["axes", "view(ndarray)"] == lines["axes", "slice of all axes"]
    assert lines["axes", "view(ndarray)"][:3] == [0, 1, 2]
    assert lines["axes", "view(ndarray)"][-1] == 64
    assert lines["views alive", "one more view"][-1] == 10**6


@needs_proc
def test_the_harness_measures_slices_as_the_object_alone_and_views_with_their_record():
    measured = {
        case.series: eval(case.sides[0].code, case.make(True))
        for case in growth.bytes_per_view()
        if case.x == min(growth.MANY)
    }
    size = sys.getsizeof(dv.zeros((2, 2)))
    assert size <= measured["memory of a slice of a view"] <= min(size + ROUNDING, LIMIT)
    assert size + ROUNDING < measured["memory of a view"] <= size + RECORD
