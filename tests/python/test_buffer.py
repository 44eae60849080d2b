"""bf_getbuffer: every set of request flags, answered as CPython's memoryview answers it."""

from __future__ import annotations

import gc

import numpy as np
import pytest
from hypothesis import given

import devview as dv
from support import (
    ANY_CONTIGUOUS,
    C_CONTIGUOUS,
    CUDA_DEVICES,
    F_CONTIGUOUS,
    FLAG_SETS,
    FORMAT,
    FULL,
    FULL_RO,
    ND,
    SIMPLE,
    STRIDES,
    WRITABLE,
    answer,
    get_buffer,
    layouts,
    pattern,
)

CUDA = CUDA_DEVICES[0]


def suboffset_exporter(shape=(2, 3, 4)):
    testbuffer = pytest.importorskip("_testbuffer", reason="missing: CPython's _testbuffer")
    return testbuffer.ndarray(
        list(range(int(np.prod(shape)))), shape=list(shape), format="i", flags=testbuffer.ND_PIL
    )


HOST_LAYOUTS = {
    "bytes": lambda: b"read-only",
    "bytearray": lambda: bytearray(b"writable"),
    "empty bytes": lambda: b"",
    "c": lambda: pattern((3, 4), "i4"),
    "f": lambda: np.asfortranarray(pattern((3, 4), "i4")),
    "f 3-d": lambda: np.asfortranarray(pattern((2, 3, 4), "f8")),
    "both": lambda: pattern((1, 5, 1), "u2"),
    "strided": lambda: pattern((4, 6), "i4")[::2, 1::3],
    "columns": lambda: pattern((4, 6), "i4")[:, :3],
    "negative": lambda: pattern((5,), "i4")[::-1],
    "negative 2-d": lambda: pattern((4, 5), "i4")[::-1, ::-2],
    "0-d": lambda: np.array(7, "i4"),
    "zero size": lambda: pattern((0,), "i4"),
    "zero size 3-d": lambda: pattern((2, 0, 3), "i4"),
    "zero size strided": lambda: pattern((4, 0), "i4")[::2],
    "broadcast": lambda: np.broadcast_to(pattern((4,), "i4"), (3, 4)),
    "one item": lambda: pattern((4,), "i4")[::4],
    "odd strides": lambda: pattern((3,), [("x", "i4"), ("y", "u1")])["x"],
    "record": lambda: pattern((3,), [("x", "i4"), ("y", "f8")]),
    "read-only array": lambda: np.frombuffer(bytes(24), "i4").reshape(2, 3),
    "64-d": lambda: pattern((1,) * 64, "i4"),
    "suboffsets": suboffset_exporter,
    "suboffsets 1-d": lambda: suboffset_exporter((5,)),
}


@pytest.mark.parametrize("layout", HOST_LAYOUTS)
def test_every_flag_set_is_answered_as_memoryview_does(layout):
    exporter = HOST_LAYOUTS[layout]()
    v, m = dv.view(exporter), memoryview(exporter)
    for flags in FLAG_SETS:
        assert answer(v, flags) == answer(m, flags), f"flags {flags:#x}"
    assert v.exports == 0
    assert v.allocation.exports == 0


def test_both_answers_occur():
    # The test above compares; this one shows that there is something to compare.
    def refused(x):
        return [answer(dv.view(x), flags) for flags in FLAG_SETS].count("BufferError")

    assert (
        refused(pattern((4, 6), "i4")[::2]) == len(FLAG_SETS) - 8
    )  # all that do not ask for plain strides
    assert 0 < refused(pattern((4, 6), "i4")) < 128
    assert 0 < refused(b"abc") < 256


@given(layouts(max_ndim=3))
def test_random_layouts_are_answered_as_memoryview_does(layout):
    a = layout.apply(layout.base())
    if a.ndim == 1 and a.size == 0:
        return  # memoryview finds an empty vector with another stride not contiguous
    v, m = dv.view(a), memoryview(a)
    for flags in (SIMPLE, ND, STRIDES, C_CONTIGUOUS, F_CONTIGUOUS, ANY_CONTIGUOUS, FULL_RO, FULL):
        assert answer(v, flags) == answer(m, flags), f"flags {flags:#x}"


@pytest.mark.parametrize("made", [dv.empty, dv.zeros], ids=lambda f: f.__name__)
@pytest.mark.parametrize("device", ["cpu", "pinned", "managed"])
def test_own_host_memory_is_exported_where_it_is(made, device):
    v = made((3, 4), "i", device=device)
    with get_buffer(v, FULL) as request:
        got = request.answer()
        assert v.exports == 1
        assert v.allocation.exports == 1
    assert got["buf"] == v.ptr
    assert got["shape"] == (3, 4)
    assert got["strides"] == (16, 4)
    assert got["format"] == b"i"
    assert got["suboffsets"] is None
    assert not got["readonly"]
    assert v.exports == 0


def test_the_exporter_is_the_view():
    v = dv.zeros(3)
    m = memoryview(v)
    assert m.obj is v
    with get_buffer(v, SIMPLE) as request:
        assert request.raw.obj == id(v)


def test_released_view_gives_no_buffer():
    v = dv.zeros(3)
    v.release()
    for flags in (SIMPLE, FULL, FULL_RO):
        with pytest.raises((ValueError, BufferError), match="released"):
            get_buffer(v, flags)


@pytest.mark.parametrize(
    "layout", ["strided", "f", "negative 2-d", "broadcast", "0-d", "zero size"]
)
def test_device_views_satisfy_every_request_for_contiguity(layout):
    a = HOST_LAYOUTS[layout]()
    base = dv.copy(np.ascontiguousarray(a).reshape(a.shape), device=CUDA)
    for flags in FLAG_SETS:
        if flags & WRITABLE:
            continue
        got = answer(base, flags)
        if (flags & FORMAT) and not (flags & ND):
            assert got == "BufferError", f"flags {flags:#x}"
            continue
        assert got != "BufferError", f"flags {flags:#x}"
        assert got["len"] == a.nbytes
        assert got["readonly"]
        assert got["suboffsets"] is None
        assert (got["format"] is None) == (not flags & FORMAT)
    assert base.exports == 0


@pytest.mark.parametrize(
    "key", [(), (slice(None, None, 2),), (slice(None), slice(None, None, -1))], ids=str
)
def test_device_requests_choose_the_order(key):
    a = pattern((4, 5, 3), "i4")
    v = dv.view(a, device=CUDA)[key]
    expected = a[key]
    for flags, order in [
        (C_CONTIGUOUS, "C"),
        (F_CONTIGUOUS, "F"),
        (ANY_CONTIGUOUS, "C"),
        (STRIDES, "C"),
        (SIMPLE, "C"),
        (ND, "C"),
        (FULL_RO, "C"),
    ]:
        with get_buffer(v, flags) as request:
            assert request.bytes() == expected.tobytes(order)
            got = request.answer()
        if got["strides"] is not None:
            dense = np.empty(expected.shape, "i4", order=order)
            assert got["strides"] == dense.strides


def test_device_request_for_writing_read_only_memory_is_refused():
    v = dv.zeros(3, device=CUDA).toreadonly()
    for flags in (WRITABLE, FULL):
        with pytest.raises(BufferError, match="writable"):
            get_buffer(v, flags)
    assert v.exports == 0


def test_export_readonly_refuses_writable_request():
    for v in (dv.view(b"abc"), dv.zeros(3).toreadonly()):
        with pytest.raises(BufferError, match="writable"):
            get_buffer(v, WRITABLE)


def test_memoryview_of_a_host_view_sees_writes():
    v = dv.zeros((2, 3), "h")
    m = memoryview(v)
    m[1, 2] = 5
    assert v[1, 2] == 5
    v[0, 0] = 9
    assert m[0, 0] == 9


def test_buffer_outlives_the_view_object():
    data = bytearray(b"abcd")
    m = memoryview(dv.view(data)[1:3])
    gc.collect()
    assert m.tobytes() == b"bc"
    with pytest.raises(BufferError):
        data.append(0)
    m.release()
    data.append(0)


def test_numpy_shares_a_host_view():
    v = dv.zeros((3, 4), "f")
    a = np.asarray(v)
    assert a.ctypes.data == v.ptr
    a[1, 1] = 2.5
    assert v[1, 1] == 2.5
    assert np.asarray(v[::2].T).strides == v[::2].T.strides


def test_shape_and_strides_live_as_long_as_the_buffer():
    v = dv.zeros((2,) * 12)  # more axes than a View keeps inline
    request = get_buffer(v[::-1], FULL)
    gc.collect()
    junk = [dv.zeros((3,) * 12) for _ in range(8)]
    got = request.answer()
    assert got["shape"] == (2,) * 12
    assert got["strides"] == v[::-1].strides
    del junk
    request.release()


def test_release_twice_of_one_buffer_counts_once():
    v = dv.zeros(3)
    request = get_buffer(v, SIMPLE)
    request.release()
    request.released = False
    request.release()  # obj is NULL by now: CPython makes this a no-op
    assert v.exports == 0
