"""v[...] and v[...] = x, against NumPy and memoryview."""

from __future__ import annotations

import contextlib
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import devview as dv
from support import CUDA_DEVICES, DEVICES, RECORD, keys, pattern

CUDA = CUDA_DEVICES[0]


@st.composite
def arrays_with_keys(draw):
    shape = tuple(draw(st.lists(st.integers(0, 5), max_size=4)))
    return pattern(shape, draw(st.sampled_from(("u1", "i4", "f8", "S3")))), draw(keys(shape))


@given(arrays_with_keys())
def test_slices_are_numpys_address_shape_and_strides(case):
    a, key = case
    v, expected = dv.view(a)[key], a[key]
    assert v.shape == expected.shape
    if expected.size:
        assert v.strides == expected.strides
        assert v.ptr == expected.ctypes.data
    assert v.tobytes() == expected.tobytes()


@given(arrays_with_keys())
def test_device_slices_are_numpys_items(case):
    a, key = case
    v = dv.view(a).to(CUDA)
    assert v[key].tobytes() == a[key].tobytes()
    assert v[key].allocation is v.allocation


@given(arrays_with_keys())
def test_assigned_slices_are_numpys(case):
    a, key = case
    expected = a.copy()
    source = pattern(a[key].shape, a.dtype, seed=2)
    expected[key] = source
    for device in ("cpu", CUDA):
        v = dv.copy(a, device=device)
        # As memoryview: what is written to a view without axes is an item.
        v[key] = source if source.ndim else source.item()
        assert v.tobytes() == expected.tobytes()


@pytest.mark.parametrize("device", DEVICES)
def test_integers_give_items_on_every_device(device):
    v = dv.copy(np.arange(12, dtype="i4").reshape(3, 4), device=device)
    assert v[1, 2] == 6
    assert v[-1, -1] == 11
    assert v[2][3] == 11
    assert type(v[0, 0]) is int
    assert v[1].tolist() == [4, 5, 6, 7]
    assert [row.tolist() for row in v] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]]


@pytest.mark.parametrize("device", DEVICES)
def test_items_are_written_on_every_device(device):
    v = dv.zeros((3, 4), "i", device=device)
    v[1, 2] = -7
    v[-1, -1] = 2**31 - 1
    v[0][1] = 5
    expected = np.zeros((3, 4), "i4")
    expected[1, 2], expected[-1, -1], expected[0, 1] = -7, 2**31 - 1, 5
    assert v.tolist() == expected.tolist()


def test_ellipsis_gives_a_view_and_not_an_item():
    v = dv.view(np.arange(6, dtype="i4").reshape(2, 3))
    assert v[1, 2, ...].shape == ()
    assert v[...].shape == (2, 3)
    assert v[..., 1].tolist() == [1, 4]
    assert v[1, 2, ...].tolist() == 5


def test_zero_dimensional_items():
    v = dv.view(np.array(5, dtype="i4"))
    assert v[()] == 5
    assert v[...].shape == ()
    assert v[None].shape == (1,)
    w = dv.zeros((), "i", device=CUDA)
    w[()] = 9
    assert w[()] == 9
    w[...] = np.array(4, "i4")
    assert w.tolist() == 4
    for wrong in (0, slice(None)):
        with pytest.raises((TypeError, IndexError)):
            v[wrong]


def test_none_makes_axes_of_extent_one():
    v = dv.view(np.arange(6, dtype="i4").reshape(2, 3))
    assert v[None].shape == (1, 2, 3)
    assert v[:, None].shape == (2, 1, 3)
    assert v[None, ..., None].shape == (1, 2, 3, 1)
    assert v[None, 1, 2].shape == (1,)


@pytest.mark.parametrize(
    ("key", "error", "words"),
    [
        ((3,), IndexError, "3"),
        ((-4,), IndexError, "-4"),
        ((0, 4), IndexError, "4"),
        ((2**63,), IndexError, "."),
        ((-(2**70),), IndexError, "."),
        ((0, 0, 0), TypeError, "3"),
        ((Ellipsis, Ellipsis), IndexError, "ellipsis"),
        (1.5, TypeError, "float"),
        ("a", (TypeError, ValueError), "a"),
        (([0, 1],), TypeError, "list"),
        (slice("a", None), TypeError, "."),
        (slice(None, None, 0), ValueError, "zero"),
        ((True and object(),), TypeError, "object"),
    ],
    ids=str,
)
@pytest.mark.parametrize("device", ["cpu", CUDA])
def test_wrong_keys_are_refused_with_a_reason(device, key, error, words):
    v = dv.zeros((3, 4), "i", device=device)
    with pytest.raises(error, match=words):
        v[key]
    # For a slice the value is asked for its buffer first, as memoryview does.
    value = dv.zeros((3, 4), "i") if isinstance(key, slice) else 0
    with pytest.raises(error, match=words):
        v[key] = value
    assert v.tobytes() == bytes(48)


@pytest.mark.parametrize(
    "key",
    [slice(100, 200), slice(-100, -50), slice(2**62, None, 2**62), slice(None, None, -(2**63))],
    ids=str,
)
def test_slices_out_of_range_are_clipped_as_lists_are(key):
    data = list(range(10))
    assert dv.view(bytes(data))[key].tolist() == data[key]


@pytest.mark.parametrize("step", [2**62, 2**63 - 1, -(2**62), -(2**63)])
def test_huge_steps_do_not_overflow(step):
    a = np.arange(10, dtype="i8").reshape(2, 5)
    v = dv.view(a)[::step]
    assert v.tolist() == a[::step].tolist()
    assert v[:, ::step].tolist() == a[::step][:, ::step].tolist()


def test_numpy_integers_and_index_objects_are_integers():
    class Two:
        def __index__(self):
            return 2

    v = dv.view(b"abcde")
    assert v[np.int64(1)] == ord("b")
    assert v[Two()] == ord("c")
    assert bytes(v[Two() : np.uint8(4)]) == b"cd"
    assert v[True] == ord("b")


def test_index_that_raises_is_passed_on():
    class Bad:
        def __index__(self):
            raise ZeroDivisionError

    v = dv.zeros(4)
    with pytest.raises(ZeroDivisionError):
        v[Bad()]
    with pytest.raises(ZeroDivisionError):
        v[Bad() :]
    with pytest.raises(ZeroDivisionError):
        v[0] = Bad()
    with pytest.raises(ZeroDivisionError):
        v[Bad(), ...] = b"abcd"
    assert bytes(v) == bytes(4)


@pytest.mark.parametrize("device", ["cpu", CUDA])
@pytest.mark.parametrize("shape", [(4,), (4, 2)], ids=str)
def test_index_that_releases_the_view_is_safe(device, shape):
    class Closing:
        def __index__(self):
            v.release()
            return 1

    for use in (
        lambda: v[Closing()],
        lambda: v[Closing() :],
        lambda: v[Closing(), ...],
        lambda: v.__setitem__(Closing(), 1),
        lambda: v.__setitem__((0,) * len(shape), Closing()),
        lambda: v.__setitem__(slice(Closing(), None), dv.zeros(shape)[1:]),
        lambda: v.transpose((Closing(),)),
        lambda: v.reshape(Closing(), -1),
        lambda: v.cast("B", (Closing(),)),
    ):
        v = dv.zeros(shape, device=device)
        # Refused, or done on the memory that the call still held: never a touch of freed memory.
        with contextlib.suppress(ValueError, TypeError, IndexError):
            use()
        assert v.released


@pytest.mark.parametrize("device", ["cpu", CUDA])
@pytest.mark.parametrize("key", [0, slice(1, 2), (..., 0), ()], ids=str)
def test_read_only_memory_is_not_written(device, key):
    v = dv.zeros(3, device=device).toreadonly()
    with pytest.raises((TypeError, BufferError), match="read-only"):
        v[key] = 1
    assert bytes(v) == bytes(3)


def test_items_cannot_be_deleted():
    v = dv.zeros(3)
    with pytest.raises(TypeError, match="delete"):
        del v[0]


@pytest.mark.parametrize("device", ["cpu", CUDA])
@pytest.mark.parametrize(
    ("value", "error"),
    [
        (b"abc", ValueError),  # another shape
        (np.zeros(4, "i2"), ValueError),  # another format
        (np.zeros((2, 2), "u1"), ValueError),
        (5, (TypeError, ValueError)),  # no buffer
        ("abcd", (TypeError, ValueError)),
        (None, (TypeError, ValueError)),
    ],
    ids=["shape", "format", "ndim", "int", "str", "None"],
)
def test_slice_assignment_refuses_what_does_not_fit(device, value, error):
    v = dv.zeros(4, device=device)
    with pytest.raises(error):
        v[:] = value
    assert bytes(v) == bytes(4)


@pytest.mark.parametrize("device", ["cpu", CUDA])
@pytest.mark.parametrize(
    ("to", "source"),
    [
        (slice(2, None), slice(None, -2)),
        (slice(None, -2), slice(2, None)),
        (slice(None), slice(None, None, -1)),
        (slice(None, 5), slice(None, None, 2)),
    ],
    ids=str,
)
def test_overlapping_assignment_is_as_through_a_temporary(device, to, source):
    a = np.arange(10, dtype="u1")
    v = dv.copy(a, device=device)
    a[to] = a[source].copy()
    v[to] = v[source]
    assert v.tolist() == a.tolist()


def test_overlapping_assignment_in_two_dimensions():
    a = np.arange(36, dtype="i4").reshape(6, 6)
    for device in ("cpu", CUDA):
        v = dv.copy(a, device=device)
        v[...] = v.T
        assert v.tolist() == a.T.tolist()


@pytest.mark.parametrize("device", ["cpu", CUDA])
def test_fields_are_views(device):
    a = pattern((3, 2), RECORD)
    v = dv.copy(a, device=device)
    for name in ("a", "b", "c"):
        part = v[name]
        assert part.shape == a[name].shape
        assert part.strides == a[name].strides
        assert part.tobytes() == a[name].tobytes()
        assert part.allocation is v.allocation


def test_field_that_is_not_there_names_it():
    v = dv.view(pattern((3,), RECORD))
    with pytest.raises((KeyError, ValueError), match="zz"):
        v["zz"]


def test_field_of_a_record_is_written_through():
    a = np.zeros(3, RECORD)
    v = dv.view(a)
    v["a"][1] = 7
    v["c"][2] = np.ones((2, 2), "u1")
    assert a["a"].tolist() == [0, 7, 0]
    assert a["c"][2].tolist() == [[1, 1], [1, 1]]


def test_records_are_tuples():
    a = np.zeros(2, RECORD)
    v = dv.view(a)
    v[1] = (5, 2.5, [[1, 2], [3, 4]])
    assert a[1].item()[:2] == (5, 2.5)
    assert v[1] == (5, 2.5, [[1, 2], [3, 4]])
    before = a.tobytes()
    for wrong in ((1, 2.0), (1, 2.0, [[1, 2], [3]]), ("x", 2.0, [[1, 2], [3, 4]]), 3):
        with pytest.raises((TypeError, ValueError)):
            v[0] = wrong
    assert a.tobytes() == before


def test_iteration_len_and_in():
    v = dv.view(np.arange(5, dtype="i2"))
    assert len(v) == 5
    assert list(v) == [0, 1, 2, 3, 4]
    assert 3 in v
    assert 9 not in v
    assert list(reversed(v)) == [4, 3, 2, 1, 0]
    assert len(dv.zeros((7, 2), device=CUDA)) == 7
    assert 0 in dv.zeros(3, device=CUDA)


def test_iteration_over_zero_dimensions_is_refused():
    with pytest.raises(TypeError):
        iter(dv.zeros(())).__next__()
    if sys.version_info >= (3, 12):
        with pytest.raises(TypeError):
            len(dv.zeros(()))
    else:  # what len() of this Python's memoryview says
        assert len(dv.zeros(())) == len(memoryview(dv.zeros(()))) == 1


def test_views_match_sequence_patterns():
    match dv.view(b"ab"):
        case [first, second]:
            assert (first, second) == (97, 98)
        case _:
            pytest.fail("a View is no sequence for match")


@pytest.mark.parametrize("device", ["cpu", CUDA])
def test_sub_views_keep_the_memory(device):
    v = dv.copy(bytes(range(10)), device=device)
    part = v[2:8][::2]
    v.release()
    assert part.tolist() == [2, 4, 6]
    assert part.allocation.views == 1


def test_suboffsets_are_followed():
    testbuffer = pytest.importorskip("_testbuffer", reason="missing: CPython's _testbuffer")
    nd = testbuffer.ndarray(list(range(24)), shape=[2, 3, 4], format="i", flags=testbuffer.ND_PIL)
    expected = np.arange(24).reshape(2, 3, 4)
    v = dv.view(nd)
    assert v.suboffsets == nd.suboffsets
    assert v.tolist() == expected.tolist()
    assert v[1].tolist() == expected[1].tolist()
    assert v[1, 2, 3] == 23
    assert v[::-1].tolist() == expected[::-1].tolist()
    assert v[::-1, 1:, ::2].tolist() == expected[::-1, 1:, ::2].tolist()
    assert v[..., 1].tolist() == expected[..., 1].tolist()
    assert v[:, 1].tolist() == expected[:, 1].tolist()
    assert v.tobytes() == expected.astype("i4").tobytes()
    assert v.to(CUDA).tolist() == expected.tolist()
