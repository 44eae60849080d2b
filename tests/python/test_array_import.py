"""dv.view of a NumPy array says what the array's buffer says, though it asks for none."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import warnings
import weakref
from pathlib import Path

import numpy as np
import pytest

import devview as dv
from support import no_gc

# Every type number that NumPy has, and dtypes that differ from it in something else.
SCALARS = "?bBhHiIlLqQefdgFDG"
OTHERS = [
    ">i4",
    ">f8",
    "<u2",
    "S3",
    "U2",
    "V5",
    np.dtype("i4,f8"),
    np.dtype([("a", "u1"), ("b", "<i8")], align=True),
    np.dtype((np.int32, (2, 3))),
    np.dtype("i4", metadata={"unit": "m"}),
    np.dtype("i8").newbyteorder("<"),
    np.dtype("f4").newbyteorder(">").newbyteorder(">"),
]
WARN_ON_WRITE = -(1 << 31)  # NPY_ARRAY_WARN_ON_WRITE, the sign of the flags

DTYPES = [np.dtype(code) for code in SCALARS] + [np.dtype(other) for other in OTHERS]


def told(v: dv.View) -> tuple:
    """Return all that a view of host memory says of itself."""
    block = v.allocation
    return (
        (v.format, v.itemsize, v.shape, v.strides, v.suboffsets, v.ndim, v.nbytes, v.ptr),
        (v.readonly, v.device, v.c_contiguous, v.f_contiguous, v.contiguous, v.exports),
        (block.ptr, block.nbytes, block.views, block.exports, block.device),
    )


def assert_as_the_buffer_says(a: np.ndarray) -> None:
    """Compare the view of an array with the view of its buffer and with memoryview."""
    before = sys.getrefcount(a)
    v, m = dv.view(a), memoryview(a)
    by_buffer = dv.from_buffer(a)
    assert told(v) == told(by_buffer)
    assert (v.format, v.shape, v.strides, v.readonly) == (m.format, m.shape, m.strides, m.readonly)
    assert v.obj is a
    assert sys.getrefcount(a) == before + 3
    assert v.tobytes() == m.tobytes()
    del v, m, by_buffer
    assert sys.getrefcount(a) == before


def random_array(rng: random.Random) -> np.ndarray:
    """Return an array of any dtype with a layout that NumPy allows."""
    dtype = rng.choice(DTYPES)
    shape = [rng.choice([0, 1, 1, 2, 3, 5]) for _ in range(rng.choice([0, 1, 1, 2, 2, 3, 3, 4, 5]))]
    nbytes = dtype.itemsize * int(np.prod(shape))
    offset = rng.choice([0, 0, 0, 1, 2, 3])  # else items out of place
    memory = np.frombuffer(bytearray(rng.randbytes(offset + nbytes)), "u1")
    a = np.ndarray(shape, dtype, memory, offset, order=rng.choice("CF"))
    if a.ndim:
        a = a.transpose(rng.sample(range(a.ndim), a.ndim))
        keys = [slice(None), slice(None, None, -1), slice(None, None, 2), slice(1, None)]
        a = a[tuple(rng.choice(keys) for _ in range(a.ndim))]
    if rng.random() < 0.2:
        a = np.broadcast_to(a, (rng.choice([1, 2, 3]), *a.shape))
    if rng.random() < 0.2:
        a = a[..., np.newaxis]
    if rng.random() < 0.3:
        a = a.view()
        a.flags.writeable = False
    return a


@pytest.mark.parametrize("seed", range(25))
def test_random_arrays_as_their_buffers(seed):
    rng = random.Random(seed)
    for _ in range(40):
        assert_as_the_buffer_says(random_array(rng))


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_each_dtype_as_its_buffer(dtype):
    for shape in ((), (3,), (2, 3), (2, 1, 3), (1, 1), (0,), (2, 0, 3)):
        for order in "CF":
            assert_as_the_buffer_says(np.zeros(shape, dtype, order))


@pytest.mark.parametrize("ndim", [3, 4, 32, 64])
def test_arrays_of_many_axes(ndim):
    if ndim > 32 and np.lib.NumpyVersion(np.__version__) < "2.0.0":
        pytest.skip("NumPy 1 has 32 axes")
    assert_as_the_buffer_says(np.arange(6.0).reshape((1,) * (ndim - 2) + (2, 3)))
    assert_as_the_buffer_says(np.arange(6.0).reshape((2, 3) + (1,) * (ndim - 2))[::-1])


def test_strides_of_single_items_are_those_of_the_buffer():
    # NumPy keeps any stride for an extent of 1; its buffers do not, where they are contiguous.
    memory = np.arange(100.0)
    for shape, strides in (((1, 5), (4096, 8)), ((5, 1), (8, -24)), ((1, 1, 2), (7, 3, 8))):
        a = np.lib.stride_tricks.as_strided(memory, shape, strides)
        assert a.flags.c_contiguous
        assert_as_the_buffer_says(a)
    assert_as_the_buffer_says(np.lib.stride_tricks.as_strided(memory, (1, 3, 1), (64, 16, 5)))


def test_overlapping_and_far_items():
    memory = np.arange(16.0)
    for shape, strides in (((4, 4), (8, 8)), ((3, 3), (0, 0)), ((4, 2), (16, -8))):
        a = np.lib.stride_tricks.as_strided(memory[8:], shape, strides)
        assert_as_the_buffer_says(a)


def test_array_that_warns_of_writes_is_read_only_without_a_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        a, _ = np.broadcast_arrays(np.arange(3), np.zeros((2, 3)))
        if not a.flags.num & WARN_ON_WRITE:
            pytest.skip("this NumPy returns plain views")
        assert_as_the_buffer_says(a)
        assert dv.view(a).readonly
        assert a.flags.num & WARN_ON_WRITE


class Unit(np.ndarray):
    """A subclass may answer by a buffer of its own."""


@pytest.mark.parametrize(
    "make",
    [
        lambda: np.arange(4.0).view(Unit),
        lambda: np.arange(4).view(np.recarray),
        lambda: np.matrix([[1, 2]]) if hasattr(np, "matrix") else np.arange(2),
        lambda: np.ma.masked_array([1.0, 2.0]).data.view(np.ma.MaskedArray),
    ],
    ids=["own", "recarray", "matrix", "masked"],
)
@pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")
def test_subclasses_as_their_buffers(make):
    a = make()
    v, by_buffer = dv.view(a), dv.from_buffer(a)
    assert told(v) == told(by_buffer)
    assert v.obj is a


@pytest.mark.skipif(sys.version_info < (3, 12), reason="PEP 688")
def test_buffer_method_of_a_subclass_is_called():
    class Other(np.ndarray):
        def __buffer__(self, flags):
            return memoryview(b"other")

    assert dv.view(np.arange(4.0).view(Other)).tobytes() == b"other"


@pytest.mark.parametrize("dtype", ["M8[s]", "m8[ns]", object])
def test_what_has_no_buffer_is_refused_in_the_words_of_numpy(dtype):
    a = np.zeros(2, dtype)
    if dtype is object:
        assert_as_the_buffer_says(a)
        return
    with pytest.raises(ValueError, match="buffer") as by_numpy:
        memoryview(a)
    with pytest.raises(dv.ImportRefused, match="buffer protocol: ") as refused:
        dv.view(a)
    assert str(by_numpy.value) in str(refused.value)
    assert "DLPack C exchange API: not offered" in str(refused.value)


def test_view_keeps_the_array_and_lets_it_go_at_once():
    with no_gc():
        a = np.arange(5.0)
        watch, pointer = weakref.ref(a), a.ctypes.data
        v = dv.view(a)
        part = v[1:]
        del a
        assert watch() is v.obj
        assert v.ptr == pointer
        v.release()
        assert part.tolist() == [1.0, 2.0, 3.0, 4.0]
        assert watch() is part.obj
        del part
        assert watch() is None


def test_array_cannot_be_resized_under_a_view():
    a = np.arange(4.0)
    v = dv.view(a)
    with pytest.raises(ValueError, match="resize"):
        a.resize(1000)
    assert v.tolist() == [0.0, 1.0, 2.0, 3.0]
    v.release()
    a.resize(8)
    assert dv.view(a).shape == (8,)


def test_view_keeps_its_shape_when_the_array_changes_its_own():
    a = np.arange(6.0).reshape(2, 3)
    v = dv.view(a)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # NumPy 2.5
        a.shape = (6,)
        a.dtype = "i8"
    a.flags.writeable = False
    assert (v.shape, v.strides, v.format, v.readonly) == ((2, 3), (24, 8), "d", False)
    assert (dv.view(a).shape, dv.view(a).format, dv.view(a).readonly) == ((6,), "l", True)


def test_ledger_tells_an_array_like_any_foreign_block():
    a = np.zeros((3, 4))[:, 1:]
    before = dv.memory_info("cpu")
    with dv.view(a) as v:
        (row,) = [row for row in dv.live() if row.ptr == v.allocation.ptr]
        assert (row.nbytes, row.views, row.exports) == ((2 * 4 + 3) * 8, 1, 0)
        second, m = v[1:], memoryview(v)
        (row,) = [row for row in dv.live() if row.ptr == v.allocation.ptr]
        assert (row.views, row.exports) == (2, 1)
        m.release()
        second.release()
        assert v.allocation.views == 1
        with pytest.raises(BufferError, match="1 view"):
            v.allocation.free()
        assert dv.memory_info("cpu").live_bytes == before.live_bytes
    assert all(row.nbytes != 88 for row in dv.live())


def test_owner_of_the_array_is_finalised_in_the_statement_with_the_error_kept():
    told_by = []

    class Base(bytearray):
        def __del__(self):
            try:
                raise RuntimeError("inside")
            except RuntimeError:
                told_by.append("gone")

    with no_gc():
        v = dv.view(np.frombuffer(Base(8), "u1"))
        try:
            raise KeyError("outside")
        except KeyError:
            v.release()
            assert told_by == ["gone"]
            assert isinstance(sys.exc_info()[1], KeyError)


def test_numpy_is_not_imported_for_others():
    script = """
import sys
import devview as dv
class ndarray(bytearray):
    __module__ = "numpy"
assert dv.view(ndarray(b"abc")).tobytes() == b"abc"
assert dv.view(b"abc").tobytes() == b"abc"
assert "numpy" not in sys.modules
import numpy as np
v = dv.view(np.arange(3, dtype="i2"))
assert (v.format, v.tolist()) == ("h", [0, 1, 2])
"""
    package = str(Path(dv.__file__).parents[1])
    subprocess.run(
        [sys.executable, "-c", script], check=True, env={**os.environ, "PYTHONPATH": package}
    )
