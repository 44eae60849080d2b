"""Items of every format, read and written: struct, NumPy, ctypes and ml_dtypes are the oracles."""

from __future__ import annotations

import contextlib
import copy
import ctypes
import gc
import math
import pickle
import struct
import sys
import types
import weakref

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import devview as dv
from support import CUDA_DEVICES, NATIVE_VALUES, run_clean

CUDA = CUDA_DEVICES[0]
HOST_AND_DEVICE = ["cpu", CUDA]

# --- struct: members without names are plain tuples ---

CODES = [code for code in NATIVE_VALUES if code not in "lLnN"]


@st.composite
def structs(draw):
    """Draw a struct format of two items or more, and values for it."""
    order = draw(st.sampled_from(("", "@", "=", "<", ">", "!")))
    spec, values = order, []
    for _ in range(draw(st.integers(2, 5))):
        kind = draw(st.sampled_from(("number", "counted", "string", "pad")))
        code = draw(st.sampled_from(CODES))
        pick = st.sampled_from(NATIVE_VALUES[code])
        if kind == "number":
            spec += code
            values.append(draw(pick))
        elif kind == "counted":
            count = draw(st.integers(1, 3))
            spec += f"{count}{code}"
            values += [draw(pick) for _ in range(count)]
        elif kind == "string":
            count = draw(st.integers(1, 5))
            spec += f"{count}{draw(st.sampled_from('sp'))}"
            values.append(draw(st.binary(max_size=6)))
        else:
            spec += f"{draw(st.integers(1, 3))}x"
    return spec, values


@given(structs())
def test_records_without_names_are_structs(case):
    spec, values = case
    if len(values) < 2:
        return
    data = struct.pack(spec, *values)
    v = dv.from_buffer(bytearray(data), format=spec, shape=(1,))
    assert v.itemsize == struct.calcsize(spec)
    expected = struct.unpack(spec, data)
    for item in (v[0], v.tolist()[0], next(iter(v))):
        assert type(item) is tuple
        assert item == expected
        assert list(map(type, item)) == list(map(type, expected))
    w = dv.zeros(1, spec)
    w[0] = values
    assert w.tobytes() == data


@pytest.mark.parametrize("order", ["", "@", "=", "<", ">", "!"])
@pytest.mark.parametrize("code", [*CODES, "l", "L"])
def test_scalars_of_every_order_are_structs(order, code):
    values = NATIVE_VALUES[code] if code not in "lL" else [0, 5, 2**31 - 1]
    data = struct.pack(f"{order}{len(values)}{code}", *values)
    v = dv.view(bytearray(data)).cast(order + code)
    assert [v[i] for i in range(len(values))] == v.tolist() == list(v) == values
    assert v[::-1].tolist() == list(v[::-1]) == values[::-1]
    assert list(map(type, v.tolist())) == list(map(type, values))
    for i, value in enumerate(values):
        v[len(values) - 1 - i] = value
    assert v.tolist() == values[::-1]
    assert v.fill(values[0]).tolist() == [values[0]] * len(values)


# --- NumPy: named records ---


def plain(item):
    """Give NumPy's item in the terms of struct and PEP 3118: lists for sub-arrays."""
    if isinstance(item, np.ndarray):
        return plain(item.tolist())
    if isinstance(item, tuple | list):
        return type(item)(map(plain, item))
    return item


@st.composite
def dtypes(draw, depth=2, align=None):
    # One alignment for all: NumPy cannot read back the formats that it writes for a mixture.
    align = draw(st.booleans()) if align is None else align
    members = []
    for i in range(draw(st.integers(1, 4))):
        kind = draw(st.sampled_from(("scalar", "scalar", "array", "record")))
        if kind == "record" and depth:
            base = draw(dtypes(depth - 1, align))
        else:
            base = np.dtype(
                draw(
                    st.sampled_from(("?", "i1", ">u2", "i4", ">i8", "u8", "f2", ">f4", "f8", "c8"))
                )
            )
        shape = tuple(draw(st.lists(st.integers(1, 3), max_size=2))) if kind == "array" else ()
        members.append((f"m{i}", base, shape))
    return np.dtype(members, align=align)


@given(dtypes(), st.binary(min_size=1, max_size=64), st.sampled_from((1, 2, -1)))
def test_records_are_numpys(dtype, raw, step):
    data = (raw * (4 * dtype.itemsize))[: 4 * dtype.itemsize]
    a = np.frombuffer(bytearray(data), dtype)[::step]
    v = dv.view(a)
    assert repr(plain_names(v.tolist())) == repr([plain(item) for item in a.tolist()])
    assert repr(plain_names(v[-1])) == repr(plain(a[-1].item()))
    copied = dv.zeros(len(v), v.format)
    for i, item in enumerate(v):
        copied[i] = item
    assert repr(copied.tolist()) == repr(v.tolist())
    for name in dtype.names:
        field = v[name]
        assert field.shape == a[name].shape
        if a[name].dtype.names is None:
            assert repr(field.tolist()) == repr(a[name].tolist())


def plain_names(item):
    """Take the names off records."""
    if isinstance(item, tuple):
        return tuple(map(plain_names, item))
    return list(map(plain_names, item)) if isinstance(item, list) else item


def test_records_have_names():
    v = dv.zeros(2, "T{i:a:T{h:x:h:y:}:n:(2)B:arr:}")
    v[0] = (1, (2, 3), [4, 5])
    item = v[0]
    assert (item.a, item.n.x, item.n.y, item.arr) == (1, 2, 3, [4, 5])
    assert item == (1, (2, 3), [4, 5])
    assert item._fields == ("a", "n", "arr")
    assert item._asdict()["n"]._replace(x=9) == (9, 3)
    assert isinstance(item, tuple)
    assert type(item) is type(v[1]) is type(v.tolist()[0]) is type(next(iter(v)))
    assert type(item) is type(dv.zeros(1, ">T{q:a:T{h:k:}:n:i:arr:}")[0]), "one type for the names"
    assert repr(item) == "Record(a=1, n=Record(x=2, y=3), arr=[4, 5])"
    match item:
        case (a, (x, _), _):
            assert (a, x) == (1, 2)


@pytest.mark.parametrize(
    ("spec", "fields"),
    [
        ("T{i:class:i:b c:i:x:}", ("_0", "_1", "x")),
        ("T{i:_a:i:9:i:a:}", ("_0", "_1", "a")),
        ("T{ii:b:}", ("_0", "b")),
        ("T{i:é:i:count:}", ("é", "count")),
    ],
)
def test_names_that_are_no_identifiers_are_replaced_as_namedtuple_does(spec, fields):
    assert dv.zeros(1, spec)[0]._fields == fields


@pytest.mark.parametrize("spec", ["T{ii}", "hi", "T{i}", "T{}i"])
def test_records_without_names_are_tuples(spec):
    assert type(dv.zeros(1, spec)[0]) is tuple


def test_very_long_records_are_tuples():
    members = "".join(f"B:m{i}:" for i in range(4097))
    assert type(dv.zeros(1, f"T{{{members}}}")[0]) is tuple


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_records_are_pickled(protocol):
    item = dv.zeros(1, "T{i:a:T{d:x:}:for:}")[0]
    again = pickle.loads(pickle.dumps(item, protocol))
    assert again == item
    assert type(again) is type(item)
    assert again._fields == ("a", "_1")
    assert again[1].x == 0.0


def test_records_are_copied():
    item = dv.zeros(1, "T{i:a:(2)i:b:}")[0]
    shallow, deep = copy.copy(item), copy.deepcopy(item)
    assert shallow == deep == item
    assert type(shallow) is type(deep) is type(item)
    assert deep.b is not item.b


def test_records_are_pickled_into_another_process():
    item = dv.zeros(1, "T{i:a:d:b:}")[0]
    run_clean(
        f"""
        import pickle
        item = pickle.loads({pickle.dumps(item)!r})
        assert item.a == 0 and item.b == 0.0, item
        """
    )


def test_pickles_of_records_are_checked():
    make = dv.zeros(1, "T{i:a:}")[0].__reduce__()[0]
    assert make(("a", "b"), (1, 2)).b == 2
    with pytest.raises(ValueError, match="1 values"):
        make(("a", "b"), (1,))
    with pytest.raises(TypeError):
        make((1, 2), (1, 2))


def test_types_of_records_are_bounded_and_freed():
    types = [weakref.ref(type(dv.zeros(1, f"T{{i:bound{i}:}}")[0])) for i in range(1600)]
    gc.collect()
    assert sum(made() is not None for made in types) <= 1024 + 256
    assert dv.zeros(1, "T{i:bound0:}")[0].bound0 == 0


def test_records_of_scalars_are_not_the_collectors_business():
    v = dv.zeros(3, "T{i:a:T{d:x:}:b:}")
    assert not any(map(gc.is_tracked, v.tolist()))
    array = np.empty(1, [("a", "O"), ("b", "i4")])
    assert gc.is_tracked(dv.view(array)[0])
    assert gc.is_tracked(dv.zeros(1, "T{i:a:(2)i:b:}")[0])
    item = v[0]
    reference = weakref.ref(type(item))
    del item, v
    assert reference() is not None  # the cache holds it


# --- Writing records ---


@pytest.mark.parametrize("device", HOST_AND_DEVICE)
def test_records_take_sequences_and_mappings(device):
    v = dv.zeros(1, "T{i:a:T{h:x:d:y:}:n:(2)B:arr:}", device=device)
    expected = (1, (2, 0.5), [3, 4])
    for value in (
        expected,
        list(expected),
        [1, [2, 0.5], (3, 4)],
        {"n": (2, 0.5), "arr": b"\3\4", "a": 1},
        types.MappingProxyType({"n": {"y": 0.5, "x": 2}, "arr": [3, 4], "a": True}),
    ):
        v.fill((0, (0, 0), (0, 0)))
        v[0] = value
        assert v[0] == expected


@pytest.mark.parametrize("device", HOST_AND_DEVICE)
@pytest.mark.parametrize(
    ("value", "error", "words"),
    [
        ((1, 2), ValueError, "2 values for the 3"),
        ((1, "x", [1, 2]), TypeError, "member 'b': invalid type str"),
        ((1, 1.0, [1, 256]), ValueError, "member 'arr', element 1: invalid value 256"),
        ((1, 1.0, [1]), ValueError, "member 'arr': 1 values for the 2"),
        ((2**40, 1.0, [1, 2]), ValueError, "member 'a'"),
        ({"a": 1, "b": 2.0}, ValueError, "no value for member 'arr'"),
        ({"a": 1, "b": 2.0, "arr": [1, 2], "c": 0}, ValueError, "no member 'c'"),
        ({"a": 1, "b": 2.0, "arr": [1, 2], 3: 0}, ValueError, "no member 3"),
        ("abc", TypeError, "invalid type str"),
        (7, TypeError, "invalid type int"),
        (None, TypeError, "NoneType"),
    ],
    ids=str,
)
def test_wrong_records_are_refused_and_nothing_is_written(device, value, error, words):
    v = dv.zeros(1, "T{i:a:d:b:(2)B:arr:}", device=device)
    v[0] = (7, 7.0, [7, 7])
    for write in (lambda: v.__setitem__(0, value), lambda: v.fill(value)):
        with pytest.raises(error, match=words):
            write()
        assert v[0] == (7, 7.0, [7, 7])


def test_members_without_a_name_are_told_by_position():
    v = dv.zeros(1, "T{ii}")
    with pytest.raises(TypeError, match="member 1: invalid type"):
        v[0] = (1, "x")
    with pytest.raises(ValueError, match="member 0, without a name"):
        v[0] = {}


def test_errors_of_mappings_are_passed_on():
    class Broken(dict):
        def __getitem__(self, key):
            raise ZeroDivisionError

    v = dv.zeros(1, "T{i:a:}")
    with pytest.raises(ZeroDivisionError):
        v[0] = Broken(a=1)


@pytest.mark.parametrize("device", HOST_AND_DEVICE)
def test_padding_stays_as_it_was(device):
    raw = bytearray(b"\xff" * 16)
    v = dv.from_buffer(raw, format="T{b:a:3xi:b:8x}", shape=(1,)).to(device)
    v[0] = (1, 2)
    assert v.tobytes() == struct.pack("=b3sib7s", 1, b"\xff" * 3, 2, -1, b"\xff" * 7)


# --- Fields ---


def test_field_errors_name_what_there_is():
    v = dv.zeros(2, "T{i:a:d:b:}")
    with pytest.raises(dv.FormatError, match=r"no field 'zz'.*has 'a', 'b'"):
        v["zz"]
    with pytest.raises(TypeError, match="no fields"):
        dv.zeros(2, "i")["a"]
    with pytest.raises(dv.FormatError, match="no names"):
        dv.zeros(2, "ii")["a"]


@pytest.mark.parametrize("device", HOST_AND_DEVICE)
def test_fields_are_written_through(device):
    v = dv.zeros((2, 2), "T{i:a:T{h:x:d:y:}:n:(3)B:arr:}", device=device)
    assert v["arr"].shape == (2, 2, 3)
    assert v["n"]["y"].shape == (2, 2)
    v["n"]["y"] = np.arange(4.0).reshape(2, 2)
    v["arr"][..., 1] = np.full((2, 2), 9, "u1")
    v["a"].fill(5)
    assert v[1, 1] == (5, (0, 3.0), [0, 9, 0])
    for value in (5, 1.5, None, (1, 2), "x"):
        with pytest.raises(TypeError, match="fill"):
            v["a"] = value


# --- Bits ---


@given(st.lists(st.integers(0, 80), min_size=1, max_size=6), st.data())
def test_bit_fields_are_cut_out_of_an_integer(widths, data):
    spec = "T{" + "".join(f"{width}t:m{i}:" for i, width in enumerate(widths)) + "}"
    if sum(widths) == 0:
        return
    v = dv.zeros(1, spec)
    number = data.draw(st.integers(0, 2 ** (8 * v.itemsize) - 1))
    raw = bytearray(number.to_bytes(v.itemsize, "little"))
    v = dv.from_buffer(raw, format=spec, shape=(1,))
    expected, at = [], 0
    for width in widths:
        expected.append((number >> at) & ((1 << width) - 1))
        at += width
    assert list(v[0]) == expected
    new = [data.draw(st.integers(0, 2**width - 1)) for width in widths]
    v[0] = new
    assert list(v[0]) == new
    assert int.from_bytes(raw, "little") >> at == number >> at, "what is no member stays"
    for i, width in enumerate(widths):
        with pytest.raises(ValueError, match=f"member 'm{i}'"):
            v[0] = [*new[:i], 1 << width, *new[i + 1 :]]
        with pytest.raises(ValueError, match=f"member 'm{i}'"):
            v[0] = [*new[:i], -1, *new[i + 1 :]]
    assert list(v[0]) == new


@pytest.mark.parametrize("device", HOST_AND_DEVICE)
def test_a_bit_field_is_filled_beside_its_neighbours(device):
    v = dv.view(bytearray(b"\xff" * 3)).cast("T{3t:a:5t:b:}").to(device)
    v["a"].fill(2)
    assert v.tolist() == [(2, 31)] * 3
    v["a"][1] = 0
    assert v.tolist() == [(2, 31), (0, 31), (2, 31)]
    with pytest.raises(ValueError, match="8"):
        v["a"].fill(8)
    with pytest.raises(dv.FormatError, match="inside a byte"):
        v["b"]


# --- Small numbers ---

SMALL = [
    *("bfloat16", "float8_e3m4", "float8_e4m3", "float8_e4m3b11fnuz", "float8_e4m3fn"),
    *("float8_e4m3fnuz", "float8_e5m2", "float8_e5m2fnuz", "float8_e8m0fnu"),
    *("float6_e2m3fn", "float6_e3m2fn", "float4_e2m1fn"),
]


def same_floats(a, b):
    return all(
        (math.isnan(x) and math.isnan(y)) or (x == y and math.copysign(1, x) == math.copysign(1, y))
        for x, y in zip(a, b, strict=True)
    )


@pytest.mark.parametrize("name", SMALL)
def test_small_floats_are_those_of_ml_dtypes(name):
    dtype = np.dtype(getattr(ml_dtypes, name))
    spec = f"T{{{'H' if dtype.itemsize == 2 else 'B'}:{name}:}}"
    bits = 4 if "4_" in name and "8" not in name else 6 if "float6" in name else 8 * dtype.itemsize
    codes = np.arange(1 << bits, dtype=f"u{dtype.itemsize}")
    with np.errstate(all="ignore"):
        values = codes.view(dtype).astype("f8")
        v = dv.view(codes).cast(spec)
        assert same_floats(v.tolist(), values)
        assert all(type(x) is float for x in v.tolist())
        if dtype.itemsize == 2:
            swapped = dv.view(codes.byteswap()).cast(spec.replace("H", ">H"))
            assert same_floats(swapped.tolist(), values)
        # Every value, every midpoint and its neighbours, and what is out of range.
        finite = np.unique(values[np.isfinite(values)])[:: 7 if dtype.itemsize == 2 else 1]
        middle = (finite[1:] + finite[:-1]) / 2
        wanted = np.concatenate(
            [
                finite,
                middle,
                np.nextafter(middle, np.inf),
                np.nextafter(middle, -np.inf),
                [1e300, -1e300, np.inf, -np.inf, np.nan, 1e-300, -0.0],
            ]
        )
        expected = wanted.astype(dtype).view(codes.dtype)
        # Where a float holds the value: through it ml_dtypes may round twice.
        single = wanted.astype("f4").astype("f8") == wanted
    w = dv.zeros(len(wanted), spec)
    for i, value in enumerate(wanted.tolist()):
        w[i] = value
    got = np.frombuffer(w.tobytes(), codes.dtype)
    wrong = (got != expected) & single
    assert not wrong.any(), list(zip(wanted[wrong], got[wrong], expected[wrong], strict=True))[:5]


@pytest.mark.parametrize("name", ["int4", "uint4"])
def test_four_bit_integers(name):
    low, high = (-8, 7) if name == "int4" else (0, 15)
    v = dv.zeros(16, f"T{{B:{name}:}}")
    values = list(range(low, high + 1))
    for i, value in enumerate(values):
        v[i] = value
    assert v.tolist() == values
    assert v.tobytes() == np.array(values, getattr(ml_dtypes, name)).tobytes()
    for value in (low - 1, high + 1):
        with pytest.raises(ValueError, match=str(value)):
            v[0] = value
    noise = dv.view(bytes(0xA0 | i for i in range(16))).cast(v.format)
    assert sorted(noise.tolist()) == values, "the bits above are ignored"


def test_half_is_structs():
    codes = np.arange(1 << 16, dtype="u2")
    v = dv.view(codes).cast("e")
    assert same_floats(v.tolist(), struct.unpack(f"{1 << 16}e", codes.tobytes()))
    w = dv.zeros(1, ">e")
    values = codes.view("f2").astype("f8")
    for value in values[np.abs(values) < 65400][::3]:
        for number in (value, np.nextafter(value * 1.0004, 0), value + 1e-9):
            w[0] = number
            assert w.tobytes() == struct.pack(">e", number)
    for number in (65519.99, -65519.99):
        w[0] = number
        assert abs(w[0]) == 65504
    for number in (65520.0, 1e6, -1e300):
        with pytest.raises(ValueError, match="invalid value"):
            w[0] = number
        with pytest.raises(OverflowError):
            struct.pack("e", number)
    for number in (math.inf, -math.inf):
        w[0] = number
        assert w[0] == number


# --- Floats, complex, strings ---


def test_long_double_is_the_double_that_it_rounds_to():
    a = np.array([1, np.longdouble(1) / 3, np.longdouble(2) ** 16000], "g")
    v = dv.view(a)
    with np.errstate(over="ignore"):
        assert v.tolist() == a.astype("f8").tolist()
    v[0] = 0.1
    assert a[0] == np.longdouble(0.1)


@pytest.mark.parametrize("code", ["Zf", "Zd", "Zg", ">Zf", ">Zd"])
def test_complex(code):
    v = dv.zeros(3, code)
    v[0], v[1], v[2] = 1 - 2j, 3, -0.5
    assert v.tolist() == [1 - 2j, 3 + 0j, -0.5 + 0j]
    assert all(type(item) is complex for item in v)
    with pytest.raises(TypeError):
        v[0] = "x"
    assert v.index(3) == 1
    assert v.count(1 - 2j) == 1


@pytest.mark.parametrize("code", ["u", "w", ">u", ">w"])
def test_unicode(code):
    v = dv.zeros(2, code[:-1] + "4" + code[-1])
    v[0] = "aé€\U0001f600"[: 3 if code[-1] == "u" else 4]
    v[1] = "\ud800"
    assert v[0].rstrip("\0") == "aé€\U0001f600"[: 3 if code[-1] == "u" else 4]
    assert v[1] == "\ud800\0\0\0"
    with pytest.raises(ValueError, match="invalid value"):
        v[0] = "abcde"
    with pytest.raises(TypeError):
        v[0] = b"ab"


def test_code_points_that_do_not_exist_are_errors_of_reading():
    v = dv.view(struct.pack("=I", 0x110000)).cast("w")
    for read in (lambda: v[0], v.tolist, lambda: list(v), lambda: v.count("a")):
        with pytest.raises(UnicodeDecodeError):
            read()


# --- ctypes ---


def test_nested_ctypes_structures():
    class Inner(ctypes.BigEndianStructure):
        _fields_ = (("x", ctypes.c_short), ("y", ctypes.c_double))

    class Outer(ctypes.Structure):
        _fields_ = [
            ("tag", ctypes.c_char),
            ("grid", (ctypes.c_float * 2) * 3),
            ("inner", Inner * 2),
            ("text", ctypes.c_char * 4),
            ("where", ctypes.c_void_p),
        ]

    items = (Outer * 2)()
    item = items[1]
    item.tag, item.text, item.where = b"t", b"abcd", 4096
    item.grid[1][1] = 2.5
    item.inner[1].y = 0.75
    v = dv.view(items)
    got = v[1]
    assert (got.tag, got.where) == (b"t", 4096)
    assert got.grid == [[0, 0], [0, 2.5], [0, 0]]
    assert got.inner[1] == (0, 0.75)
    v["inner"]["x"][0, 1] = -3
    assert items[0].inner[1].x == -3
    v[0] = got
    assert items[0].inner[1].y == 0.75
    assert bytes(items[0]) == bytes(items[1])


# --- Iteration ---


@pytest.mark.parametrize("device", [*HOST_AND_DEVICE, "pinned", "managed"])
@pytest.mark.parametrize("code", ["B", "d", "T{b:a:d:b:}", "(2)i"])
def test_iteration_gives_the_items(device, code):
    v = dv.zeros(5000, code, device=device)
    assert list(v[::2]) == v[::2].tolist()
    assert list(v[::-3]) == v[::-3].tolist()
    assert list(dv.zeros(0, code, device=device)) == []


def test_iteration_is_memoryviews():
    data = bytearray(range(5))
    for it in (iter(dv.view(data)), iter(memoryview(data))):
        assert iter(it) is it
        assert next(it) == 0
        data[1] = 77
        assert next(it) == 77, "what is written meanwhile is seen"
        data[1] = 1
        assert list(it) == [2, 3, 4]
        assert next(it, None) is None
    v, m = dv.view(data), memoryview(data)
    for view in (v, m):
        it = iter(view)
        next(it)
        view.release()
        with pytest.raises(ValueError, match="released"):
            next(it)
    with pytest.raises(ValueError, match="released"):
        iter(v)
    with pytest.raises(TypeError):
        iter(dv.zeros(()))
    with pytest.raises(TypeError):
        type(iter(dv.zeros(1)))()


def test_iterators_hold_the_view_and_are_collected():
    it = iter(dv.view(bytearray(b"abc")))
    assert list(it) == [97, 98, 99]

    class Holder(bytearray):
        pass

    holder = Holder(b"abc")
    holder.it = iter(dv.view(holder))
    reference = weakref.ref(holder)
    del holder
    gc.collect()
    assert reference() is None


def test_released_device_views_end_their_iteration():
    v = dv.zeros(10, device=CUDA)
    it = iter(v)
    next(it)
    v.release()
    with pytest.raises(ValueError, match="released"):
        next(it)


def test_two_dimensions_give_views():
    v = dv.view(np.arange(6, dtype="i4").reshape(2, 3))
    assert [row.tolist() for row in v] == [[0, 1, 2], [3, 4, 5]]
    assert [list(row) for row in v.T] == [[0, 3], [1, 4], [2, 5]]


def test_suboffsets_are_followed():
    testbuffer = pytest.importorskip("_testbuffer")
    flags = testbuffer.ND_PIL | testbuffer.ND_WRITABLE
    for shape in ([6], [2, 3], [2, 1, 3]):
        pil = testbuffer.ndarray(list(range(6)), shape=shape, format="h", flags=flags)
        v = dv.view(pil)
        assert v.tolist() == pil.tolist()
        flat = v
        while flat.ndim > 1:
            flat = flat[-1]
        assert list(flat) == flat.tolist()
        v.fill(-7)
        assert v.tolist() == pil.tolist()
        v[(0,) * len(shape)] = 9
        assert v[(0,) * len(shape)] == 9


# --- Objects ---


class Thing:
    pass


def test_objects_keep_their_counts():
    things = [Thing() for _ in range(3)]
    array = np.array([*things, things[0]], dtype=object)
    v = dv.view(array)
    before = [sys.getrefcount(thing) for thing in things]
    listed = v.tolist()
    assert listed == [*things, things[0]]
    assert [sys.getrefcount(thing) for thing in things] == [
        before[0] + 2,
        before[1] + 1,
        before[2] + 1,
    ]
    del listed
    assert v[1] is things[1]
    assert v == v
    assert v.count(things[0]) == 2
    assert v.index(things[2]) == 2
    assert list(v)[2] is things[2]
    with pytest.raises(ValueError, match="hash"):
        hash(v.toreadonly())
    assert [sys.getrefcount(thing) for thing in things] == before
    v[0] = things[1]
    assert [sys.getrefcount(thing) for thing in things] == [before[0] - 1, before[1] + 1, before[2]]
    v[::2].fill(things[2])
    assert array.tolist() == [things[2], things[1], things[2], things[0]]
    assert [sys.getrefcount(thing) for thing in things] == [before[0] - 1, before[1], before[2] + 1]
    v.fill(None)
    assert array.tolist() == [None] * 4
    assert [sys.getrefcount(thing) for thing in things] == [
        before[0] - 2,
        before[1] - 1,
        before[2] - 1,
    ]


def test_objects_in_records_are_filled():
    thing, old = Thing(), Thing()
    array = np.zeros((2, 2), [("a", "O"), ("b", "i4"), ("c", "O", (2,))])
    array["a"][1, 1] = old
    v = dv.view(array)
    counts = sys.getrefcount(thing), sys.getrefcount(old)
    v.fill((thing, 3, [thing, None]))
    assert (sys.getrefcount(thing), sys.getrefcount(old)) == (counts[0] + 8, counts[1] - 1)
    assert v[1, 0] == (thing, 3, [thing, None])
    with pytest.raises(TypeError, match="member 'b'"):
        v.fill((None, "x", [None, None]))
    assert sys.getrefcount(thing) == counts[0] + 8
    v.fill({"a": None, "b": 0, "c": (None, None)})
    assert sys.getrefcount(thing) == counts[0]


def test_dropped_objects_may_use_the_view():
    class Last:
        def __del__(self):
            seen.append(v.tolist())
            v.release()

    seen = []
    array = np.array([Last(), 1], dtype=object)
    v = dv.view(array)
    v.fill(7)
    assert seen == [[7, 7]]
    assert v.released
    assert array.tolist() == [7, 7]
    for write in (lambda: v.__setitem__(0, 8), lambda: v.__setitem__((0,), 8)):
        array[0] = Last()
        v = dv.view(array)
        write()
        assert v.released
        assert array[0] == 8


# --- User code in the middle ---


class Counting:
    def __init__(self, value):
        self.value, self.calls = value, 0

    def __index__(self):
        self.calls += 1
        return self.value


def test_keys_are_read_once():
    v = dv.zeros((4, 4, 4, 4), "i")
    for key in (
        lambda k: k,
        lambda k: (k, ...),
        lambda k: (0, k, None),
        lambda k: slice(k, None),
        lambda k: (..., slice(None, k)),
        lambda k: (0, 0, 0, k),
    ):
        for view in (v, v[:, 0, 0, 0]) if not isinstance(key(0), tuple) else (v,):
            k = Counting(1)
            view[key(k)]
            assert k.calls == 1
            k = Counting(1)
            with contextlib.suppress(TypeError, ValueError):
                view[key(k)] = b""
            assert k.calls == 1
    k = Counting(9)
    with pytest.raises(IndexError):
        v[0][k]
    assert k.calls == 1


@pytest.mark.parametrize("device", HOST_AND_DEVICE)
@pytest.mark.parametrize("spec", ["i", "T{i:a:i:b:}", "(2)i", "d", "?", "T{3t:a:5t:b:}"])
def test_values_that_release_the_view(device, spec):
    class Releasing:
        def __index__(self):
            v.release()
            return 1

        def __float__(self):
            return float(self.__index__())

        def __bool__(self):
            return bool(self.__index__())

    for use in (
        lambda value: v.__setitem__(1, value),
        lambda value: v.__setitem__((1,), value),
        lambda value: v.fill(value),
    ):
        v = dv.zeros(3, spec, device=device)
        value = Releasing()
        with pytest.raises(ValueError, match="released"):
            use((value, value) if spec[0] in "T(" else value)
        assert v.released


def test_equality_that_releases_the_view_in_count_and_index():
    class Releasing:
        def __eq__(self, other):
            v.release()
            return False

        __hash__ = None

    for use in ("count", "index"):
        v = dv.view(bytearray(1000))
        with contextlib.suppress(ValueError):
            getattr(v, use)(Releasing())
        assert v.released


def test_mapping_that_releases_the_view():
    class Releasing(dict):
        def __getitem__(self, key):
            v.release()
            return 1

    v = dv.zeros(1, "T{i:a:}")
    with pytest.raises(ValueError, match="released"):
        v[0] = Releasing(a=1)
    assert v.released


# --- Edges ---


@pytest.mark.parametrize("device", HOST_AND_DEVICE)
@pytest.mark.parametrize(
    ("spec", "value"),
    [
        *(("B", 7), ("?", True), (">h", -2), ("e", 0.5), ("g", 0.25), ("Zf", 1j), ("c", b"x")),
        *(
            ("5s", b"abc\0\0"),
            ("5p", b"abc"),
            ("3w", "abc"),
            (">2u", "ab"),
            ("P", 4096),
            ("11t", 5),
        ),
        *(("T{H:bfloat16:}", -1.5), ("T{B:float8_e4m3fn:}", 448.0), ("T{B:int4:}", -8)),
        *(("T{i:a:(2)d:b:}", (1, [2.0, 3.0])), ("(2,2)h", [[1, 2], [3, 4]]), ("3x", b"abc")),
        *(("&i", 64), ("X{}", 128)),
    ],
    ids=str,
)
def test_every_format_is_filled_listed_counted_and_found(device, spec, value):
    v = dv.zeros((3, 4), spec, device=device)
    part = v[1:, ::2]
    assert part.fill(value) is part
    assert part.tolist() == [[value] * 2] * 2
    row = v[1]
    zero = row[1]
    assert zero != value
    assert row.count(value) == 2
    assert row.index(zero) == 1
    assert (value in row, value in v[0]) == (True, False)
    assert row[::2] == v[2, ::2]
    assert row != v[0]
    v[0, 1] = value
    assert v[0, 1] == value
    assert v[0, 0] == v[1, 1] == zero
    zero_dim = v[1, 0, ...]
    assert zero_dim.tolist() == zero_dim[()] == value


def test_members_of_no_size():
    v = dv.zeros(2, "T{0s:a:(0)i:b:(2,0)d:c:T{}:d:B:e:0t:f:}")
    assert v[0] == (b"", [], [[], []], (), 0, 0)
    v[1] = (b"", (), [[], []], (), 9, 0)
    assert v[1].e == 9
    with pytest.raises(ValueError, match="member 'f'"):
        v[1] = (b"", (), [[], []], (), 9, 1)
    assert v["b"].shape == (2, 0)
    assert v["b"].tolist() == [[], []]


def test_broadcast_and_empty_views():
    v = dv.view(np.array([3], "i4")).broadcast_to((2, 3))
    assert v.tolist() == [[3] * 3] * 2
    assert v[0].count(3) == 3
    assert dv.zeros((0, 3), "T{i:a:}").fill((1,)).tolist() == []
    with pytest.raises(TypeError, match="read-only"):
        v.fill(1)


def test_values_that_do_not_fit_leave_a_fill_undone():
    v = dv.zeros(3, "B")
    for value in (256, -1, "a", None, 1.0):
        with pytest.raises((TypeError, ValueError)):
            v.fill(value)
    assert bytes(v) == bytes(3)
