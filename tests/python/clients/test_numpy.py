"""NumPy arrays: layouts, records and masked parts of them."""

from __future__ import annotations

import numpy as np
import pytest

import devview as dv
from clients.contract import CUDA, Case, Contract
from support import pattern

POINT = np.dtype([("x", "<i4"), ("m", "<f8", (2, 2))])


def array_case(name: str, make, format: str, index: tuple, value, **more) -> Case:
    a = make()

    def set_item(array, new) -> None:
        array[index] = new

    return Case(
        name=name,
        make=make,
        address=lambda array: array.ctypes.data,
        read=lambda array: array.tolist(),
        format=format,
        shape=a.shape,
        strides=a.strides,
        index=index,
        value=value,
        **{"write": set_item, **more},
    )


def frozen(a: np.ndarray) -> np.ndarray:
    a.flags.writeable = False
    return a


def points() -> np.ndarray:
    a = np.zeros(3, POINT)
    a["x"] = [1, 2, 3]
    a["m"] = np.arange(12).reshape(3, 2, 2)
    return a


CASES = [
    array_case("dense", lambda: np.arange(6.0).reshape(2, 3), "d", (1, 2), -0.5),
    array_case(
        "fortran", lambda: np.arange(6, dtype="f4").reshape(2, 3, order="F"), "f", (1, 0), 9.0
    ),
    array_case("sliced", lambda: pattern((6, 8), "i2")[::2, ::-3], "h", (2, 1), 77),
    array_case("unaligned", lambda: pattern((13,), "u1")[1:13].view("<i4"), "=i", (1,), 77),
    array_case("big-endian", lambda: np.arange(4, dtype=">i4"), ">i", (3,), 77),
    array_case("complex", lambda: np.arange(4, dtype="c16"), "Zd", (1,), 2 - 3j),
    array_case("half", lambda: np.arange(4, dtype="f2"), "e", (1,), 0.5),
    array_case("strings", lambda: np.array([b"abc", b"xyz"], "S3"), "3s", (0,), b"new"),
    array_case("0-d", lambda: np.array(3, "u2"), "H", (), 4),
    array_case("read-only", lambda: frozen(np.arange(4)), "l", (1,), 9, write=None),
]


@pytest.mark.parametrize("case", CASES, ids=str)
class TestNumpy(Contract):
    pass


def test_records_are_read_and_written_through_the_view():
    a = points()
    v = dv.view(a)
    assert v.format == memoryview(a).format
    assert [(x, np.array(m).tolist()) for x, m in v.tolist()] == [
        (x, m.tolist()) for x, m in a.tolist()
    ]
    v[1] = (20, [[4.0, 3.0], [2.0, 1.0]])
    assert a["x"].tolist() == [1, 20, 3]
    assert a["m"][1].tolist() == [[4.0, 3.0], [2.0, 1.0]]
    d = v.to(CUDA)
    d[2] = (30, [[0.0, 0.0], [0.0, 0.0]])
    dv.copyto(a, d)
    assert a["x"].tolist() == [1, 20, 30]
    assert not a["m"][2].any()


def test_an_array_resizes_again_once_its_views_are_gone():
    a = np.arange(4)
    v = dv.view(a)
    with pytest.raises(ValueError, match="resize"):
        a.resize(8)
    v.release()
    del v
    a.resize(8)
    assert a.tolist() == [0, 1, 2, 3, 0, 0, 0, 0]


def test_numpy_computes_on_a_host_view_in_place():
    a = np.arange(6.0).reshape(2, 3)
    np.multiply(dv.view(a)[:, ::2], 10, out=np.asarray(dv.view(a)[:, ::2]))
    assert a.tolist() == [[0.0, 1.0, 20.0], [30.0, 4.0, 50.0]]


def test_numpy_reads_a_device_view_and_writes_it_in_a_staging():
    a = np.arange(6.0).reshape(2, 3)
    d = dv.view(a).to(CUDA)
    copy = np.asarray(memoryview(d))
    assert np.array_equal(copy, a)
    assert not copy.flags.writeable
    assert np.array_equal(np.asarray(d), a)
    del copy
    with d.stage(writable=True) as staged:
        array = np.asarray(staged)
        array += 1
        del array
    assert d.tolist() == (a + 1).tolist()
    # frombuffer asks for a memoryview first, which a device view gives to be read only.
    flat = np.frombuffer(d)
    assert not flat.flags.writeable
    del flat
    with d.stage(writable=True) as staged:
        np.frombuffer(staged)[0] = -1.0
    assert d[0, 0] == -1.0
