"""What memoryview has: tobytes, tolist, hex, cast, count, index, ==, hash, toreadonly."""

from __future__ import annotations

import array
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import devview as dv
from support import CUDA_DEVICES, DTYPES, NATIVE_VALUES, RECORD, layouts, pattern

CUDA = CUDA_DEVICES[0]
HOST_AND_DEVICE = ["cpu", CUDA]


def native(code: str):
    """Give a View and a memoryview of the same items."""
    values = NATIVE_VALUES[code]
    data = struct.pack(f"{len(values)}{code}", *values)
    return dv.view(data).cast(code), data, values


# --- tobytes, tolist, hex ---


@given(layouts())
def test_tobytes_tolist_and_hex_are_memoryviews(layout):
    a = layout.apply(layout.base())
    v, m = dv.view(a), memoryview(a)
    for order in ("C", "F", "A"):
        assert v.tobytes(order) == m.tobytes(order)
    assert v.tobytes() == m.tobytes()
    assert v.tobytes(order=None) == m.tobytes(order=None)
    assert v.hex() == m.hex()
    if a.dtype.kind in "iuf":
        assert repr(v.tolist()) == repr(m.tolist())


@given(layouts())
def test_tobytes_of_a_device_view_is_the_hosts(layout):
    base = layout.base()
    v, a = layout.apply(dv.view(base).to(CUDA)), layout.apply(base)
    assert v.tobytes() == a.tobytes()
    assert v.tobytes("F") == a.tobytes("F")
    assert v.tobytes("A") == a.tobytes("A")
    assert bytes(v) == a.tobytes()


@pytest.mark.parametrize("device", HOST_AND_DEVICE)
@pytest.mark.parametrize("code", NATIVE_VALUES)
def test_every_native_format_is_read(device, code):
    v, data, values = native(code)
    v = v.to(device)
    assert v.format == code
    assert v.tolist() == values
    assert [v[i] for i in range(len(values))] == values
    assert list(map(type, v.tolist())) == list(map(type, values))
    assert v.tobytes() == data


@pytest.mark.parametrize("device", HOST_AND_DEVICE)
@pytest.mark.parametrize("code", NATIVE_VALUES)
def test_every_native_format_is_written(device, code):
    _, data, values = native(code)
    v = dv.zeros(len(values), code, device=device)
    for i, value in enumerate(values):
        v[i] = value
    assert v.tobytes() == data


@pytest.mark.parametrize("order", "<>=!")
@pytest.mark.parametrize("code", [c for c in NATIVE_VALUES if c not in "nNc"])
def test_every_byte_order_is_read_and_written(order, code):
    values = NATIVE_VALUES[code]
    if code in "lL":
        values = [0, 1, 2**31 - 1]
    data = struct.pack(f"{order}{len(values)}{code}", *values)
    v = dv.view(bytearray(data)).cast(order + code)
    assert v.tolist() == values
    w = dv.zeros(len(values), order + code)
    for i, value in enumerate(values):
        w[i] = value
    assert w.tobytes() == data


@pytest.mark.parametrize("device", HOST_AND_DEVICE)
@pytest.mark.parametrize(
    ("code", "value"),
    [
        ("b", 128),
        ("b", -129),
        ("B", 256),
        ("B", -1),
        ("h", 2**15),
        ("H", -1),
        ("i", 2**31),
        ("I", 2**32),
        ("q", 2**63),
        ("q", -(2**63) - 1),
        ("Q", 2**64),
        ("Q", -1),
        (">h", 40000),
        ("e", 1e6),
        ("c", b"ab"),
    ],
)
def test_values_out_of_range_are_refused(device, code, value):
    v = dv.zeros(2, code, device=device)
    with pytest.raises((ValueError, OverflowError)):
        v[0] = value
    with pytest.raises((ValueError, OverflowError)):
        v.fill(value)
    assert not any(v.tobytes())


@pytest.mark.parametrize(
    ("code", "value"),
    [("B", "a"), ("B", 1.0), ("i", None), ("d", "1"), ("d", 1j), ("c", "a"), ("c", 97), ("3s", 1)],
)
def test_values_of_another_type_are_refused(code, value):
    v = dv.zeros(2, code)
    with pytest.raises(TypeError):
        v[0] = value
    assert not any(v.tobytes())


def test_strings_and_complex_numbers():
    v = dv.zeros(2, "5s")
    v[0] = b"abc"
    assert v[0] == b"abc\0\0"
    z = dv.zeros(2, "Zd")
    z[1] = 1 - 2j
    assert z.tolist() == [0j, 1 - 2j]
    w = dv.zeros(1, "3w")
    w[0] = "aé€"
    assert w[0] == "aé€"
    p = dv.zeros(1, "4p")
    p[0] = b"ab"
    assert p[0] == b"ab"
    assert p.tobytes() == struct.pack("4p", b"ab")


@pytest.mark.parametrize(
    "dtype", [*DTYPES, RECORD, "f2", "?", "U4", ">i4", ">c8", "m8[s]"], ids=str
)
def test_tolist_is_numpys(dtype):
    a = np.zeros((2, 3), dtype)
    if a.dtype.kind in "iufc":
        a.flat[:] = range(6)
    elif a.dtype.kind in "SU":
        a.flat[:] = ["a", "bc", "def", "", "x", "yz"]
    try:
        v = dv.view(a)
    except dv.ImportRefused:
        assert a.dtype.kind in "mM", "NumPy itself says no format for datetimes only"
        return
    got = v.tolist()
    if a.dtype.kind == "S":
        width = a.itemsize
        got = [[item.rstrip(b"\0") for item in row] for row in got]
        assert all(len(item) == width for row in v.tolist() for item in row)
    elif a.dtype.kind == "U":
        got = [[item.rstrip("\0") for item in row] for row in got]
    elif a.dtype.kind == "V" and a.dtype.names:
        got = [[(x, y, z) for x, y, z in row] for row in got]
        assert got == [[(0, 0.0, [[0, 0], [0, 0]])] * 3] * 2
        return
    assert got == a.tolist()


def test_tolist_of_zero_sizes():
    assert dv.zeros(()).tolist() == 0
    assert dv.zeros((0,)).tolist() == []
    assert dv.zeros((2, 0)).tolist() == [[], []]
    assert dv.zeros((0, 2), device=CUDA).tolist() == []


def test_hex_takes_the_arguments_of_bytes():
    v = dv.view(b"\x01\x02\xff\x00")
    assert v.hex() == "0102ff00"
    assert v.hex(":") == "01:02:ff:00"
    assert v.hex("_", 2) == "0102_ff00"
    assert v.to(CUDA).hex("-", -2) == "0102-ff00"
    with pytest.raises((TypeError, ValueError)):
        v.hex("too long")


@pytest.mark.parametrize("order", ["X", "", "CF", 1])
def test_tobytes_refuses_another_order(order):
    with pytest.raises((ValueError, TypeError)):
        dv.zeros(3).tobytes(order)


# --- cast ---


@pytest.mark.parametrize("device", HOST_AND_DEVICE)
@pytest.mark.parametrize("to", [c for c in NATIVE_VALUES if c != "?"])
@pytest.mark.parametrize("source", ["B", "i", "d"])
def test_cast_is_memoryviews(device, source, to):
    data = bytes(range(48))
    v = dv.view(data).cast(source).to(device).cast(to)
    assert v.format == to
    assert v.shape == (48 // struct.calcsize(to),)
    assert v.tobytes() == data
    if to != "e":  # memoryview has no half before Python 3.12
        assert v.tolist() == memoryview(data).cast(to).tolist()


def test_cast_with_a_shape():
    v = dv.view(bytes(24))
    assert v.cast("i", (2, 3)).shape == (2, 3)
    assert v.cast("i", shape=[3, 2]).strides == (8, 4)
    assert v.cast("B", (24,)).shape == (24,)
    assert v.cast("d", (1, 3, 1)).shape == (1, 3, 1)
    assert dv.view(bytes(4)).cast("i", ()).shape == ()
    assert v.cast("i", (2, 3)).cast("B", (24,)).shape == (24,)


def test_cast_of_the_last_axis_as_numpys_view():
    a = pattern((3, 4), "i4")
    v = dv.view(a)
    assert v.cast("f").shape == (3, 4)
    assert v.cast("q").tolist() == a.view("i8").tolist()
    assert v[::2].cast("h").tolist() == a[::2].view("i2").tolist()
    assert v.T.cast("I").tolist() == a.T.view("u4").tolist()


@pytest.mark.parametrize(
    ("made", "arguments"),
    [
        (lambda: dv.zeros(7), ("i",)),
        (lambda: dv.zeros(24), ("i", (5,))),
        (lambda: dv.zeros(24), ("i", (-6,))),
        (lambda: dv.zeros(24), ("i", (2**62, 2**62))),
        (lambda: dv.zeros((4, 6), "i").T, ("B",)),
        (lambda: dv.zeros(24)[::2], ("H",)),
        (lambda: dv.zeros(24)[::2], ("B", (3, 4))),
        (lambda: dv.zeros(()), ("H",)),
        (lambda: dv.zeros(8), ("0s",)),
        (lambda: dv.zeros(8), ("$",)),
        (lambda: dv.zeros(8), ("O",)),
        (lambda: dv.zeros(8), ("",)),
    ],
    ids=str,
)
def test_cast_refuses_what_does_not_fit(made, arguments):
    with pytest.raises(ValueError, match=r"\w"):
        made().cast(*arguments)


def test_cast_to_python_objects_is_refused_both_ways():
    a = np.array([1, "x"], dtype=object)
    v = dv.view(a)
    assert v.tolist() == [1, "x"]
    with pytest.raises(dv.FormatError):
        v.cast("Q")


# --- count, index ---


@pytest.mark.parametrize("device", HOST_AND_DEVICE)
def test_count_and_index_are_those_of_a_list(device):
    values = [3, 1, 4, 1, 5, 9, 2, 6, 5, 3]
    v = dv.copy(array.array("i", values), device=device)
    for value in (1, 3, 5, 7, 1.0, "a", None):
        assert v.count(value) == values.count(value)
    for arguments in ((1,), (5, 5), (3, -1), (3, 1, 100), (1, -9, 3)):
        assert v.index(*arguments) == values.index(*arguments)
    for arguments in ((7,), (3, 1, 9), (1, 4), ("a",), (9, 0, 5)):
        with pytest.raises(ValueError, match="index"):
            v.index(*arguments)


def test_count_and_index_of_strided_and_record_views():
    a = np.zeros(4, RECORD)
    a["a"] = [1, 2, 1, 2]
    v = dv.view(a)[::2]
    assert v.count((1, 0.0, [[0, 0], [0, 0]])) == 2
    assert dv.view(a)["a"].index(2) == 1


def test_count_and_index_need_one_axis():
    for v in (dv.zeros(()), dv.zeros((2, 2))):
        with pytest.raises((ValueError, TypeError, NotImplementedError)):
            v.count(0)
        with pytest.raises((ValueError, TypeError, NotImplementedError)):
            v.index(0)


# --- == and hash ---


@given(layouts(), st.booleans())
def test_equality_is_by_value(layout, device):
    base = layout.base()
    a = layout.apply(base)
    v = layout.apply(dv.view(base).to(CUDA if device else "cpu"))
    b = np.ascontiguousarray(a).reshape(a.shape)
    # NaNs among random bytes differ from themselves, as they do for memoryview.
    if a.dtype.kind in "fc" and np.isnan(a).any():
        assert v != b
        return
    assert v == b
    assert dv.view(b) == v
    if a.size and a.flags.owndata | a.flags.writeable:
        other = b.copy().reshape(-1)
        raw = other.view("u1")
        raw[-1] ^= 1
        assert (v == other.reshape(a.shape)) is bool(np.array_equal(a, other.reshape(a.shape)))


@pytest.mark.parametrize("code", NATIVE_VALUES)
def test_equality_is_memoryviews_over_native_formats(code):
    _, data, _ = native(code)
    for other in NATIVE_VALUES:
        size = struct.calcsize(other)
        if len(data) % size or "e" in (code, other):
            continue  # memoryview has no half before Python 3.12
        mine = dv.view(data).cast(code) == dv.view(data).cast(other)
        theirs = memoryview(data).cast(code) == memoryview(data).cast(other)
        assert mine == theirs, (code, other)


def test_equality_with_other_objects():
    v = dv.view(b"abc")
    assert v == b"abc"
    assert v == bytearray(b"abc")
    assert v == memoryview(b"abc")
    assert b"abc" == v  # noqa: SIM300
    assert v != b"abd"
    assert v != b"ab"
    assert (v == "abc") is False
    assert (v == 3) is False
    assert v != [97, 98, 99]
    assert v is not None
    assert dv.view(array.array("i", [1, 2])) == array.array("d", [1, 2])
    with pytest.raises(TypeError):
        _ = v < b"abd"


def test_nan_differs_from_itself():
    v = dv.view(array.array("d", [float("nan")]))
    assert v != v
    assert memoryview(v) != v


def test_negative_zero_equals_zero():
    assert dv.view(array.array("d", [-0.0])) == dv.view(array.array("d", [0.0]))


def test_records_and_complex_are_comparable():
    a = np.zeros(3, RECORD)
    assert dv.view(a) == dv.view(a.copy())
    b = a.copy()
    b["b"][2] = 1
    assert dv.view(a) != dv.view(b)
    z = np.array([1 + 2j])
    assert dv.view(z) == dv.view(z.copy())
    assert dv.view(np.array([1.5], "e")) == dv.view(np.array([1.5], "f"))


def test_padding_bytes_do_not_count():
    a = np.zeros(2, np.dtype({"names": ["x", "y"], "formats": ["u1", "i4"], "offsets": [0, 4]}))
    b = a.copy()
    b.view("u1").reshape(2, 8)[:, 1:4] = 255
    assert dv.view(a) == dv.view(b)


def test_released_views_equal_only_themselves():
    v, w = dv.view(b"abc"), dv.view(b"abc")
    v.release()
    assert v == v
    assert v != w
    assert w != v
    assert v != b"abc"


@pytest.mark.parametrize("device", HOST_AND_DEVICE)
@pytest.mark.parametrize("code", "Bbc")
def test_hash_is_that_of_the_bytes(device, code):
    v = dv.view(b"some bytes").cast(code).to(device).toreadonly()
    assert hash(v) == hash(b"some bytes") == hash(memoryview(b"some bytes").cast(code))
    assert hash(v[::2]) == hash(b"some bytes"[::2])
    assert hash(v) == hash(v)


def test_hash_of_writable_or_other_items_is_refused():
    with pytest.raises(ValueError, match="writable"):
        hash(dv.zeros(3))
    with pytest.raises(ValueError, match="format"):
        hash(dv.zeros(3, "i").toreadonly())


def test_hash_is_kept_after_release():
    v = dv.view(b"abc")
    kept = hash(v)
    v.release()
    assert hash(v) == kept
    w = dv.view(b"abc")
    w.release()
    with pytest.raises(ValueError, match="released"):
        hash(w)


# --- the rest ---


@pytest.mark.parametrize("device", HOST_AND_DEVICE)
def test_toreadonly_shares_the_memory(device):
    v = dv.zeros(3, device=device)
    r = v.toreadonly()
    assert r.readonly
    assert not v.readonly
    assert r.ptr == v.ptr
    v[1] = 7
    assert r[1] == 7
    assert r.toreadonly().readonly


@pytest.mark.parametrize("device", ["cpu", CUDA, "pinned", "managed"])
@pytest.mark.parametrize(
    ("code", "value"), [("B", 7), ("i", -5), ("d", 0.5), ("Zf", 1j), ("3s", b"xyz")]
)
def test_fill_writes_every_item_and_no_other(device, code, value):
    v = dv.zeros((5, 6), code, device=device)
    before = v.tobytes()
    part = v[1::2, ::-2]
    assert part.fill(value) is part
    assert v[::2].tobytes() == before[: len(v[::2].tobytes())]
    items = v.tolist()
    zero = items[0][0]
    for i, row in enumerate(items):
        for j, item in enumerate(row):
            assert item == (value if i % 2 and j % 2 else zero)


@pytest.mark.parametrize("device", HOST_AND_DEVICE)
def test_fill_of_records_larger_than_a_kernel_argument(device):
    dtype = np.dtype([("x", "i4", (40,)), ("y", "f8")])
    v = dv.copy(np.zeros((3, 4), dtype), device=device)
    v[:, ::2].fill((list(range(40)), 2.5))
    got = np.frombuffer(v.tobytes(), dtype).reshape(3, 4)
    assert (got["x"][:, ::2] == np.arange(40)).all()
    assert (got["y"][:, ::2] == 2.5).all()
    assert not got["x"][:, 1::2].any()


def test_fill_of_read_only_or_empty_views():
    with pytest.raises((TypeError, BufferError), match="read-only"):
        dv.view(b"abc").fill(0)
    assert dv.zeros((0, 3), device=CUDA).fill(1).tobytes() == b""
    assert dv.zeros((), device=CUDA).fill(3).tolist() == 3


def test_context_manager_releases():
    with dv.zeros(3) as v:
        assert not v.released
        w = v[1:]
    assert v.released
    assert w.shape == (2,)


def test_copy_from_and_copy_to():
    a = pattern((3, 4), "i4")
    for device in ("cpu", CUDA, "pinned", "managed"):
        v = dv.zeros((3, 4), "i", device=device)
        assert v.copy_from(a) is v
        out = np.zeros((3, 4), "i4")
        assert v.copy_to(out) is out
        assert (out == a).all()
    with pytest.raises(ValueError, match="shape"):
        v.copy_from(a[1:])
    with pytest.raises(ValueError, match="format"):
        v.copy_from(a.astype("f4"))
    with pytest.raises(BufferError, match="read-only"):
        v.copy_to(memoryview(bytes(48)).cast("i", (3, 4)))


@pytest.mark.parametrize(
    "codes",
    ["ld", "f", "T{<i:x:>d:y:}", "(2,3)h", "T{(2)T{B:a:H:b:}:n:}", "3x", "&i", "g", "Zg", "u"],
)
def test_other_formats_keep_their_bytes(codes):
    v = dv.empty(4, codes)
    data = np.random.default_rng(3).bytes(v.nbytes)
    v.cast("B")[:] = data
    assert v.tobytes() == data
    assert v.to(CUDA).tobytes() == data
    assert v[::-1].copy().tobytes() == b"".join(
        data[i * v.itemsize : (i + 1) * v.itemsize] for i in (3, 2, 1, 0)
    )
