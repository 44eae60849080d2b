"""== of views: by definition, that of the values which unpacking gives; and what never raises."""

from __future__ import annotations

import array
import struct

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import devview as dv
from support import CUDA_DEVICES

CUDA = CUDA_DEVICES[0]

SMALL = {
    name: getattr(ml_dtypes, name)
    for name in (
        *("bfloat16", "float8_e3m4", "float8_e4m3", "float8_e4m3b11fnuz", "float8_e4m3fn"),
        *("float8_e4m3fnuz", "float8_e5m2", "float8_e5m2fnuz", "float8_e8m0fnu"),
        *("float6_e2m3fn", "float6_e3m2fn", "float4_e2m1fn"),
    )
}
INTEGERS = [order + code for order in "<>" for code in "bBhHiIqQ"]
FLOATS = [order + code for order in "<>" for code in "efd"] + ["g"]
COMPLEX = ["Zf", "Zd", ">Zd", "Zg"]
BITS = ["t", "7t", "11t", "64t", "70t"]
NAMED = [f"T{{{'H' if name == 'bfloat16' else 'B'}:{name}:}}" for name in [*SMALL, "int4", "uint4"]]
NUMBERS = ["?", "P", *INTEGERS, *FLOATS, *COMPLEX, *BITS, *NAMED]
STRINGS = ["c", "s", "3s", "1p", "4p", "x", "2x"]
TEXTS = ["u", "w", ">u", ">w", "2u", "2w"]
SCALARS = [*NUMBERS, *STRINGS, *TEXTS]

# Where rounding, signs and ranges part.
VALUES = [
    *(0, 1, -1, 2, 7, 8, -8, 15, 127, 128, 255, 256, 2**24 + 1, 2**31, 2**53, 2**53 + 1),
    *(2**63 - 1, 2**63, 2**64 - 1, -(2**63), -(2**53) - 1, 2**64, 2**69 + 1),
    *(0.5, -0.0, 1.5, 1e300, float("inf"), float("-inf"), float("nan"), float(2**53), 2.0**64),
    *(1j, 1 + 0j, complex(2**53, 0), complex(0, float("nan"))),
    *(b"a", b"ab", b"\0", b"", "a", "\0", "\U0001f600"),
]


def struct_of(draw, make, depth=2):
    """Draw a format; `make` draws its scalars."""
    kind = draw(st.sampled_from(("scalar", "scalar", "record", "array"))) if depth else "scalar"
    if kind == "scalar":
        return draw(make)
    if kind == "array":
        shape = draw(st.lists(st.integers(0, 3), min_size=1, max_size=2))
        return f"({','.join(map(str, shape))}){struct_of(draw, make, depth - 1)}"
    members = [struct_of(draw, make, depth - 1) for _ in range(draw(st.integers(1, 3)))]
    names = draw(st.booleans())
    return "T{" + "".join(m + (f":f{i}:" if names else "") for i, m in enumerate(members)) + "}"


@st.composite
def formats(draw):
    return struct_of(draw, st.sampled_from(SCALARS))


def definition(a: dv.View, b: dv.View) -> bool:
    """Compare as == is defined: the shapes, then the values. Lists never look at identity here."""
    if a.ndim != b.ndim:
        return False
    for mine, other in zip(a.shape, b.shape, strict=True):
        if mine != other:
            return False
        if mine == 0:
            return True
    try:
        return a.tolist() == b.tolist()
    except (UnicodeDecodeError, ValueError):
        return False  # no value, no equality


def check(a: dv.View, b: dv.View) -> None:
    expected = definition(a, b)
    assert (a == b) is expected, (a.format, b.format, a.tobytes(), b.tobytes())
    assert (b == a) is expected
    assert (a != b) is not expected


@given(st.data())
def test_numbers_compare_as_their_python_values(data):
    pick = st.sampled_from(NUMBERS)
    a, b = (dv.zeros(3, data.draw(pick)) for _ in "ab")
    for i in range(3):
        value = data.draw(st.sampled_from(VALUES))
        for view in (a, b):
            try:
                view[i] = value
            except (TypeError, ValueError, OverflowError):
                view[i] = 1
    check(a, b)
    for i in range(3):
        check(a[i:], b[i:])
        check(a[i::-1], b[i::-1])


@pytest.mark.parametrize("left", SCALARS)
def test_every_pair_of_scalars(left):
    for right in SCALARS:
        for value in VALUES:
            a, b = dv.zeros(2, left), dv.zeros(2, right)
            try:
                a[1] = value
                b[1] = value
            except (TypeError, ValueError, OverflowError):
                continue
            check(a, b)
        check(dv.zeros(2, left), dv.zeros(2, right))


@given(formats(), formats(), st.binary(min_size=0, max_size=4096), st.booleans())
def test_any_formats_over_any_bytes(left, right, raw, same):
    sizes = []
    for spec in (left, left if same else right):
        try:
            sizes.append((spec, dv.calcsize(spec) if hasattr(dv, "calcsize") else size(spec)))
        except ValueError:
            return
    if not all(n for _, n in sizes):
        return
    count = min(3, *(len(raw) // n for _, n in sizes))
    data = np.frombuffer(raw, "u1")
    views = [dv.from_buffer(data[: count * n], format=spec, shape=(count,)) for spec, n in sizes]
    check(*views)
    if count:
        check(views[0][::-1], views[1][::-1])
        check(views[0][: count // 2], views[0][count - count // 2 :])


def size(spec: str) -> int:
    return dv.empty(0, spec).itemsize


@given(formats(), st.binary(min_size=1, max_size=64), st.sampled_from((1, 2, -1, -2)))
def test_copies_are_equal_unless_a_nan_is_there(spec, raw, step):
    try:
        itemsize = size(spec)
    except ValueError:
        return
    if itemsize == 0 or itemsize > 2048:
        return
    data = np.frombuffer((raw * (4 * itemsize))[: 4 * itemsize], "u1")
    view = dv.from_buffer(data, format=spec, shape=(4,))[::step]
    check(view, dv.from_buffer(data.copy(), format=spec, shape=(4,))[::step])


@pytest.mark.parametrize("name", SMALL)
def test_small_floats_over_all_codes(name):
    dtype = np.dtype(SMALL[name])
    spec = f"T{{{'H' if dtype.itemsize == 2 else 'B'}:{name}:}}"
    codes = np.arange(1 << min(16, 8 * dtype.itemsize), dtype=f"u{dtype.itemsize}")
    if dtype.itemsize == 2:
        codes = codes[::0x1F]
    other = np.roll(codes, 1)
    with np.errstate(invalid="ignore"):  # NaNs
        values, moved = (x.view(dtype).astype("f8") for x in (codes, other))
    for shifted, theirs in ((codes, values), (other, moved)):
        expected = (values == theirs).tolist()
        a, b = dv.view(codes).cast(spec), dv.view(shifted).cast(spec)
        assert [a[i : i + 1] == b[i : i + 1] for i in range(len(codes))] == expected


@pytest.mark.parametrize("dtype", ["f8", "f4", "f2", "i4", "u1", "?", ">f8", ">i2", "c8", "c16"])
@pytest.mark.parametrize("other", ["f8", "i8", ">f4", "c16", "u8"])
def test_large_views_find_any_difference_in_any_layout(dtype, other):
    a = np.arange(60 * 70).reshape(60, 70) % 100
    a = (a % 2 if dtype == "?" else a).astype(dtype)
    for apply in (lambda x: x, lambda x: x.T, lambda x: x[::2, ::-1], lambda x: x[::-3].T):
        left, b = dv.view(apply(a)), apply(a.real).astype(other)
        assert left == dv.view(b)
        for at in (0, b.size // 2, b.size - 1):
            changed = b.copy()
            changed.flat[at] += 1
            assert left != dv.view(changed)


def test_broadcast_views():
    a = np.arange(6, dtype="i4").reshape(2, 3)
    row = dv.view(np.arange(3, dtype="i8")).broadcast_to((2, 3))
    assert row == np.array([[0, 1, 2]] * 2)
    assert dv.view(np.array([[0, 1, 2]] * 2)) == row
    assert row != dv.view(a)
    column = dv.view(np.zeros((2, 1))).broadcast_to((2, 3))
    assert column != row
    assert column == dv.view(np.zeros((1, 3), "u1")).broadcast_to((2, 3))


def test_shapes_as_memoryview():
    for left, right in (((0, 3), (0, 4)), ((2, 0, 3), (2, 0, 9)), ((2, 0), (3, 0)), ((0,), (0, 1))):
        a, b = np.zeros(left), np.zeros(right)
        assert (dv.view(a) == dv.view(b)) is (memoryview(a) == memoryview(b))
    assert dv.view(b"") == dv.zeros(0, "3s")
    assert dv.zeros(0, "i") == dv.view(np.empty(0, object))


def test_a_dimension_of_the_view_is_none_of_the_item():
    assert dv.zeros((2, 3), "i") != dv.zeros(2, "(3)i")
    assert dv.zeros(2, "(2,3)i") == dv.zeros(2, "(2)(3)q")


@pytest.mark.parametrize("device", ["cpu", CUDA])
def test_device_views_compare_with_host_and_device(device):
    a = np.arange(24, dtype="f4").reshape(4, 6)
    v = dv.view(a).to(device)
    assert v == a
    assert v[:, ::2] == a[:, ::2].astype(">i2")
    assert v != dv.view(a + 1).to(CUDA)
    assert dv.view(a) == v


def test_suboffsets_are_followed():
    testbuffer = pytest.importorskip("_testbuffer")
    pil = testbuffer.ndarray(
        list(range(12)), shape=[3, 4], format="i", flags=testbuffer.ND_PIL | testbuffer.ND_WRITABLE
    )
    plain = np.arange(12).reshape(3, 4)
    assert dv.view(pil) == dv.view(plain)
    assert dv.view(plain) == dv.view(pil)
    assert dv.view(pil)[1:, ::-1] == dv.view(plain)[1:, ::-1]
    assert dv.view(pil) != dv.view(plain + 1)


class Unequal:
    def __eq__(self, other):
        return False

    __hash__ = None


def test_objects_are_compared_by_python():
    a = np.array([1, "x", None, (1, 2)], dtype=object)
    assert dv.view(a) == dv.view(a.copy())
    assert dv.view(np.array([1, 2], dtype=object)) == dv.view(np.array([1.0, 2.0]))
    b = np.array([Unequal()], dtype=object)
    assert dv.view(b) != dv.view(b)
    records = np.array([(1, "x")], dtype=[("a", "i4"), ("b", "O")])
    assert dv.view(records) == dv.view(records.copy())


def test_errors_of_eq_methods_are_passed_on_and_releases_survived():
    class Raises:
        def __eq__(self, other):
            raise ZeroDivisionError

        __hash__ = None

    class Releases:
        def __eq__(self, other):
            v.release()
            w.release()
            return True

        __hash__ = None

    v = dv.view(np.array([Raises()], dtype=object))
    with pytest.raises(ZeroDivisionError):
        _ = v == dv.view(np.array([1], dtype=object))
    v, w = (dv.view(np.array([Releases(), Releases()], dtype=object)) for _ in "vw")
    assert v == w
    assert v.released


def test_what_cannot_be_compared_is_not_equal_and_raises_nothing():
    v = dv.view(b"abc")
    assert v.__eq__(3) is NotImplemented
    assert v.__eq__("abc") is NotImplemented
    assert v.__lt__(b"abc") is NotImplemented
    wrong = dv.view(struct.pack("=II", 0x110000, 0xD800)).cast("w")
    assert wrong != wrong
    assert wrong[1:] == wrong[1:]
    assert (dv.view(np.zeros(2, "i4")) == memoryview(b"ab").cast("c")) is False

    class Anything:
        def __eq__(self, other):
            return "reflected"

        __hash__ = None

    assert (v == Anything()) == "reflected"


def test_eq_with_an_exporter_of_an_unknown_format_is_false():
    testbuffer = pytest.importorskip("_testbuffer")
    odd = testbuffer.ndarray([1, 2], shape=[2], format="=Q")
    assert dv.view(array.array("i", [1, 2])) == odd
