"""NumPy's arrays by DLPack, both ways; what NumPy asks of __dlpack__ and gives for it."""

from __future__ import annotations

import gc
import sys

import numpy as np
import pytest

import devview as dv
from clients.consumer import Consumer, ConsumerContract, Lent
from clients.contract import CUDA, Case, Contract
from support import no_gc, pattern

FORMATS = {
    "f": [1.5, -2.0, 3.25, 0.0, 5.0, -6.5],
    "?": [True, False, False, True, True, False],
    "b": [-128, 0, 1, 2, 3, 127],
    "B": [255, 0, 1, 2, 3, 4],
    "h": [-(2**15), 0, 1, 2, 3, 4],
    "H": [2**16 - 1, 0, 1, 2, 3, 4],
    "i": [-(2**31), 0, 1, 2, 3, 4],
    "I": [2**32 - 1, 0, 1, 2, 3, 4],
    "l": [-(2**63), 0, 1, 2, 3, 4],
    "q": [2**63 - 1, 0, 1, 2, 3, 4],
    "Q": [2**64 - 1, 0, 1, 2, 3, 4],
    "e": [0.5, 0.0, 1.0, 2.0, 3.0, 4.0],
    "d": [0.1, 0.0, 1.0, 2.0, 3.0, 4.0],
    "Zf": [1 - 2j, 0j, 1j, 2j, 3j, 4j],
    "Zd": [0.1 - 2j, 0j, 1j, 2j, 3j, 4j],
}


def set_item(array, value) -> None:
    array[1, 2] = value


class TestNumpyTakesViews(ConsumerContract):
    consumer = Consumer(
        name="numpy.from_dlpack",
        take=np.from_dlpack,
        address=lambda a: a.ctypes.data,
        read=lambda a: a.tolist(),
        formats=FORMATS,
        write=set_item,
        readonly="kept",
        is_readonly=lambda a: not a.flags.writeable,
    )


# --- NumPy takes views: layouts ---


@pytest.mark.parametrize(
    "part",
    [
        lambda a: a,
        lambda a: a.T,
        lambda a: a[::2, ::-3],
        lambda a: a[1:1],
        lambda a: a[2, 3:4],
        lambda a: a[3, ...],
        lambda a: a[:, None, ::2],
    ],
)
def test_every_layout_of_whole_items_arrives_as_it_is(part):
    a = pattern((6, 8), "i2")
    expected = part(a)
    got = np.from_dlpack(part(dv.view(a)))
    assert (got.shape, got.dtype) == (expected.shape, expected.dtype)
    assert np.array_equal(got, expected)
    if got.size:
        assert got.ctypes.data == expected.ctypes.data
        assert all(
            x == y
            for x, y, n in zip(got.strides, expected.strides, got.shape, strict=True)
            if n > 1
        )


def test_no_axes():
    v = dv.zeros((), "d")
    v[()] = 2.5
    a = np.from_dlpack(v)
    assert (a.shape, a.ctypes.data, float(a)) == ((), v.ptr, 2.5)


def test_strides_between_items_are_refused():
    """DLPack counts strides in items: 3 bytes are none of a 2-byte item."""
    v = dv.from_buffer(bytearray(16), format="h", shape=(4,), strides=(3,))
    with pytest.raises(BufferError, match="3"):
        np.from_dlpack(v)


@pytest.mark.parametrize("format", ["T{i:a:d:b:}", ">i", "3s", "4x", "2w", "P", "(2)i"])
def test_items_that_dlpack_cannot_say_are_refused_by_name(format):
    v = dv.zeros(2, format)
    with pytest.raises(BufferError) as raised:
        np.from_dlpack(v)
    assert repr(dv.Format(format).str)[1:-1] in str(raised.value)
    assert v.allocation.exports == 0


def test_a_released_view_is_refused():
    v = dv.zeros(2)
    v.release()
    with pytest.raises(ValueError, match="released"):
        np.from_dlpack(v)


# --- copy and dl_device ---


def test_a_copy_is_of_its_own():
    lent = Lent()
    lent.view.fill(1.0)
    with no_gc():
        a = np.from_dlpack(lent.view, copy=True)
        assert a.ctypes.data != lent.view.ptr
        assert a.flags.writeable
        assert lent.exports == 0
        a[:] = 7
        assert lent.view.tolist() == [[1.0] * 3] * 2
        blocks = dv.memory_info("cpu").blocks
        del a
        assert dv.memory_info("cpu").blocks == blocks - 1


def test_a_copy_of_read_only_memory_can_be_written():
    v = dv.view(b"abc")
    assert not np.from_dlpack(v).flags.writeable
    a = np.from_dlpack(v, copy=True)
    assert a.flags.writeable
    a[0] = 0
    assert v.tobytes() == b"abc"


def test_no_copy_is_made_where_none_may_be():
    v = dv.zeros(4, "i")
    assert np.from_dlpack(v, copy=False).ctypes.data == v.ptr
    assert np.from_dlpack(v, device="cpu").ctypes.data == v.ptr
    d = v.to(CUDA)
    with pytest.raises((BufferError, ValueError)):
        np.from_dlpack(d, device="cpu", copy=False)
    assert d.allocation.exports == 0


def test_a_device_view_is_copied_only_where_the_host_is_asked_for():
    v = dv.view(np.arange(6, dtype="f4").reshape(2, 3))
    d = v.to(CUDA)
    with pytest.raises((BufferError, RuntimeError)):
        np.from_dlpack(d)
    a = np.from_dlpack(d[:, ::2], device="cpu")
    assert a.tolist() == [[0.0, 2.0], [3.0, 5.0]]
    a[0, 0] = 9
    assert d[0, 0] == 0.0
    del a
    gc.collect()
    assert d.allocation.exports == 0


def test_pinned_and_managed_memory_is_the_host_s_where_the_host_is_asked_for():
    for place in ("pinned", "managed"):
        v = dv.zeros(4, "i", device=place)
        a = np.from_dlpack(v, device="cpu")
        v[1] = 5
        a[2] = 6
        if a.ctypes.data == v.ptr:
            assert v.tolist() == a.tolist() == [0, 5, 6, 0]
        del a


# --- NumPy's arrays are viewed ---


def frozen(a: np.ndarray) -> np.ndarray:
    a.flags.writeable = False
    return a


def array_case(name: str, make, format: str, index: tuple, value, **more) -> Case:
    a = make()

    def write(array, new) -> None:
        array[index] = new

    return Case(
        name=name,
        make=make,
        view=dv.from_dlpack,
        address=lambda array: array.ctypes.data,
        read=lambda array: array.tolist(),
        format=format,
        shape=a.shape,
        strides=a.strides,
        index=index,
        value=value,
        **{"write": write, **more},
    )


CASES = [
    array_case("dense", lambda: np.arange(6.0).reshape(2, 3), "d", (1, 2), -0.5),
    array_case(
        "fortran", lambda: np.arange(6, dtype="f4").reshape(2, 3, order="F"), "f", (1, 0), 9.0
    ),
    array_case("sliced", lambda: pattern((6, 8), "i2")[::2, ::-3], "h", (2, 1), 77),
    array_case("complex", lambda: np.arange(4, dtype="c16"), "Zd", (1,), 2 - 3j),
    array_case("half", lambda: np.arange(4, dtype="f2"), "e", (1,), 0.5),
    array_case("bool", lambda: np.zeros(4, "?"), "?", (1,), True),
    array_case("0-d", lambda: np.array(3, "u2"), "H", (), 4),
    array_case("read-only", lambda: frozen(np.arange(4, dtype="i4")), "i", (1,), 9, write=None),
]


@pytest.mark.parametrize("case", CASES, ids=str)
class TestNumpyIsViewed(Contract):
    pass


@pytest.mark.parametrize("dtype", [">i4", "S3", "V4", "M8[s]", "O", [("a", "i4")]])
def test_arrays_that_numpy_does_not_export_are_refused_with_its_reason(dtype):
    a = np.zeros(3, dtype)
    with pytest.raises(dv.ImportRefused, match="DLPack"):
        dv.from_dlpack(a)
    assert sys.getrefcount(a) == 2


def test_a_broadcast_array_is_viewed_as_one_row():
    a = np.broadcast_to(np.arange(3), (4, 3))
    v = dv.from_dlpack(a)
    assert v.readonly
    assert (v.shape, v.strides[0], v.ptr) == ((4, 3), 0, a.ctypes.data)
    assert v.tolist() == a.tolist()


def test_an_empty_array():
    v = dv.from_dlpack(np.zeros((0, 3), "f4"))
    assert (v.shape, v.format, v.tolist()) == ((0, 3), "f", [])


def test_a_round_trip_ends_at_the_same_memory():
    a = np.arange(6, dtype="i4").reshape(2, 3)
    b = np.from_dlpack(dv.from_dlpack(np.from_dlpack(dv.from_dlpack(a))[:, ::-1]))
    assert b.ctypes.data == a[:, ::-1].ctypes.data
    b[0, 0] = 77
    assert a[0, 2] == 77
    base = sys.getrefcount(a)
    del b
    assert sys.getrefcount(a) < base
