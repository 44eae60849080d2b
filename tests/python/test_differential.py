"""Random formats and values against struct, NumPy and ctypes: at least 10^5 in a full run.

Each example holds many formats, so that drawing costs less than reading. `FORMATS` counts what was
compared; the last test asserts the sum. Where two oracles disagree the choice made is named in
docs/concepts/formats.md; here it is in the functions `*_value`, which turn the oracle's answer into
ours.
"""

from __future__ import annotations

import ctypes
import math
import os
import random
import struct
import sys
from collections import Counter
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import devview as dv

# 40 formats to an example; a full run has 3 x 34,000 formats, a short one a tenth.
FULL = os.environ.get("DEVVIEW_TEST_FULL") == "1"
EXAMPLES = 850 if FULL else 85
BATCH = 40
FORMATS: Counter[str] = Counter()

pytestmark = pytest.mark.timeout(600)
thorough = settings(max_examples=EXAMPLES)


class Batch:
    """Many formats and the bytes to read by them; short when a failing example is printed."""

    def __init__(self, formats, seed):
        self.formats = formats
        self.noise = random.Random(seed).randbytes(640)

    def __repr__(self):
        return f"<{len(self.formats)} formats: the assertion names the one>"


@st.composite
def batches(draw, formats, size=BATCH):
    return Batch(
        draw(st.lists(formats, min_size=size, max_size=size)), draw(st.integers(0, 2**32 - 1))
    )


def same(ours, theirs) -> bool:
    """Equal values of the same type, item by item; a NaN is equal to any NaN."""
    if isinstance(theirs, (tuple, list)):
        return (
            isinstance(ours, type(theirs))
            and len(ours) == len(theirs)
            and all(map(same, ours, theirs))
        )
    if type(ours) is not type(theirs):
        return False
    if isinstance(theirs, complex):
        return same(ours.real, theirs.real) and same(ours.imag, theirs.imag)
    if isinstance(theirs, float):
        if math.isnan(theirs):
            return math.isnan(ours)
        return ours == theirs and math.copysign(1, ours) == math.copysign(1, theirs)
    return ours == theirs


def read(data, spec):
    return dv.from_buffer(data, format=spec, shape=())


def flat(value):
    """Struct's flat tuple from our nested one: a counted scalar is a list here."""
    if isinstance(value, (tuple, list)):
        return [leaf for item in value for leaf in flat(item)]
    return [value]


def noise_of(batch, at):
    return np.frombuffer(batch.noise[at:], np.uint8)


# --- struct: every code, count, prefix and space between items ---


def struct_items(codes):
    """One draw for a count, a code and the space after it."""
    counts = ["", "", "", "0", "1", "2", "3", "07", "12"]
    spaces = ["", "", "", " ", "\t", "\n "]
    return st.sampled_from(["".join(item) for item in product(counts, codes, spaces)])


@st.composite
def struct_formats(draw):
    prefix = draw(st.sampled_from(["", "@", "=", "<", ">", "!"]))
    items = NATIVE_ITEMS if prefix in ("", "@") else STANDARD_ITEMS
    return prefix + "".join(draw(items) for _ in range(draw(st.integers(1, 6))))


STANDARD_ITEMS = struct_items("?cbBhHiIlLqQefdspx")
NATIVE_ITEMS = struct_items("?cbBhHiIlLqQefdspxnNP")


@thorough
@given(batches(struct_formats()))
def test_struct(batch):
    for at, spec in enumerate(batch.formats):
        oracle = struct.Struct(spec)
        assert dv.calcsize(spec) == oracle.size, spec
        FORMATS["struct"] += 1
        if oracle.size == 0:
            continue
        start = at % 64
        data = bytearray(batch.noise[start : start + oracle.size])
        if "0p" in spec:
            continue  # CPython's struct fails with SystemError there: a negative size
        expected = oracle.unpack(data)
        value = read(data, spec)[()]
        if value == bytes(data) and not expected:
            continue  # pad bytes alone are one opaque item, as NumPy's void is: "4x"
        assert same(flat(value), list(expected)), (spec, bytes(data))
        # Written anew: padding stays as it was, here zeros, as struct.pack leaves it.
        written = bytearray(oracle.size)
        read(written, spec)[()] = value
        assert same(list(oracle.unpack(written)), list(expected)), spec
        if not any(isinstance(leaf, float) and math.isnan(leaf) for leaf in expected):
            assert written == oracle.pack(*expected), spec


# --- NumPy: records, aligned or not, with offsets, sub-arrays, titles ---

SCALARS = [
    "?", "i1", "u1", "<i2", ">i2", "<u2", ">u2", "<i4", ">i4", "<u4", ">u4", "<i8", ">i8", "<u8",
    ">u8", "<f2", ">f2", "<f4", ">f4", "<f8", ">f8", "g", "<c8", ">c8", "<c16", ">c16", "G",
    "S1", "S5", "U1", "<U3", ">U2", "V3",
]  # fmt: skip


@st.composite
def dtypes(draw, depth=0):
    if depth == 2 or draw(st.integers(0, 3)) == 0:
        return np.dtype(draw(st.sampled_from(SCALARS)))
    names = [f"f{i}" for i in range(draw(st.integers(1, 4)))]
    fields = []
    for i, name in enumerate(names):
        key = (f"title {i}", name) if draw(st.integers(0, 5)) == 0 else name
        kind = draw(dtypes(depth=depth + 1))
        shape = draw(st.sampled_from([None, None, None, (2,), (2, 3), 2]))
        fields.append((key, kind) if shape is None else (key, kind, shape))
    return np.dtype(fields, align=draw(st.booleans()))


def fill_text(array, noise):
    """Give strings code points that exist: random bytes are none."""
    if array.dtype.subdtype is not None:
        raise AssertionError(array.dtype)
    if array.dtype.names is not None:
        for name in array.dtype.names:
            fill_text(array[name], noise)
    elif array.dtype.kind == "U":
        count = array.dtype.itemsize // 4
        array[...] = "".join(chr(0x61 + noise[i] % 26) for i in range(count))
    elif array.dtype.kind == "b":
        array[...] = noise[0] % 2 == 1


def numpy_value(item, dtype):
    """NumPy's item as ours: strings keep their NULs, sub-arrays are lists, long doubles floats."""
    if dtype.subdtype is not None:
        base, _ = dtype.subdtype
        if isinstance(item, (list, np.ndarray)):
            return [numpy_value(part, np.dtype((base, np.shape(item)[1:]))) for part in item]
        return numpy_value(item, base)
    if dtype.names is not None:
        return tuple(numpy_value(item[name], dtype.fields[name][0]) for name in dtype.names)
    if dtype.kind == "S":
        return bytes(item).ljust(dtype.itemsize, b"\0")
    if dtype.kind == "U":
        return str(item).ljust(dtype.itemsize // 4, "\0")
    if dtype.kind == "V":
        return bytes(item)
    if dtype.kind == "f":
        return float(item)
    if dtype.kind == "c":
        return complex(item)
    return item.item() if isinstance(item, np.generic) else item


def tuples(value):
    """Make records plain tuples, whatever their own type."""
    if isinstance(value, tuple):
        return tuple(map(tuples, value))
    if isinstance(value, list):
        return list(map(tuples, value))
    return value


@thorough
@given(batches(dtypes()))
@pytest.mark.filterwarnings("ignore:overflow encountered")
@pytest.mark.filterwarnings("ignore:invalid value encountered")
def test_numpy(batch):
    for at, dtype in enumerate(batch.formats):
        FORMATS["numpy"] += 1
        assert dv.Format(dtype).itemsize == dtype.itemsize
        array = np.zeros(2, dtype)
        raw = array.view(np.uint8)
        raw[:] = np.resize(noise_of(batch, at), raw.shape)
        fill_text(array, batch.noise[at:])
        view = dv.view(array)
        assert view.itemsize == dtype.itemsize
        expected = [numpy_value(array[i], dtype) for i in range(2)]
        assert same(tuples(view.tolist()), expected), (dtype, view.format)
        again = np.zeros(2, dtype)
        written = dv.view(again)
        for i in range(2):
            written[i] = view[i]
        back = [numpy_value(again[i], dtype) for i in range(2)]
        assert same(back, expected), (dtype, view.format)


# --- ctypes: structures in every order and packing ---

NATIVE_C = [
    ctypes.c_byte, ctypes.c_ubyte, ctypes.c_short, ctypes.c_ushort, ctypes.c_int,
    ctypes.c_uint, ctypes.c_long, ctypes.c_ulong, ctypes.c_longlong, ctypes.c_ulonglong,
    ctypes.c_float, ctypes.c_double,
]  # fmt: skip
# Those that ctypes has in the host's byte order alone.
HOST_ONLY_C = [ctypes.c_bool, ctypes.c_char, ctypes.c_wchar, ctypes.c_longdouble, ctypes.c_void_p]
BASES = [ctypes.Structure, ctypes.LittleEndianStructure, ctypes.BigEndianStructure]
FOREIGN_ORDER = BASES[2 if sys.byteorder == "little" else 1]


@st.composite
def structures(draw, base, depth=0):
    fields = []
    for i in range(draw(st.integers(1, 4))):
        kind = draw(st.integers(0, 5))
        if kind == 0 and depth < 2:
            member = draw(structures(base, depth + 1))
        else:
            member = draw(st.sampled_from(NATIVE_C if base is FOREIGN_ORDER else C_SCALARS))
        for _ in range(draw(st.sampled_from([0, 0, 0, 1, 2]))):
            member = member * draw(st.integers(1, 3))
        fields.append((f"m{i}", member))
    body = {"_fields_": fields}
    pack = draw(st.sampled_from([None, None, 1, 2, 4]))
    if pack is not None:
        body = {"_pack_": pack, "_layout_": "ms", **body}
    return type("S", (base,), body)


C_SCALARS = NATIVE_C + HOST_ONLY_C
PLAIN_C = {ctypes.c_wchar: "w", ctypes.c_bool: True}


def leaves(kind, address):
    """Every scalar member of a structure or array at `address`: ctypes cuts strings at a NUL."""
    if issubclass(kind, ctypes.Structure):
        for name, member in kind._fields_:
            yield from leaves(member, address + getattr(kind, name).offset)
    elif issubclass(kind, ctypes.Array):
        for i in range(kind._length_):
            yield from leaves(kind._type_, address + i * ctypes.sizeof(kind._type_))
    else:
        yield kind.from_address(address)


def fill_wide(instance):
    """Give wchars code points that exist, and truth values 1."""
    for leaf in leaves(type(instance), ctypes.addressof(instance)):
        if type(leaf) in PLAIN_C:
            leaf.value = PLAIN_C[type(leaf)]


def c_value(kind, address):
    """Turn what ctypes reads into ours: structures are tuples, arrays lists, NULL pointers 0."""
    if issubclass(kind, ctypes.Structure):
        return tuple(
            c_value(member, address + getattr(kind, name).offset) for name, member in kind._fields_
        )
    if issubclass(kind, ctypes.Array):
        step = ctypes.sizeof(kind._type_)
        return [c_value(kind._type_, address + i * step) for i in range(kind._length_)]
    value = kind.from_address(address).value
    return value or 0 if kind is ctypes.c_void_p else value


@thorough
@given(batches(st.sampled_from(BASES).flatmap(structures)))
def test_ctypes(batch):
    for at, kind in enumerate(batch.formats):
        FORMATS["ctypes"] += 1
        size = ctypes.sizeof(kind)
        spec = dv.Format(kind)
        assert spec.itemsize == size
        assert [(f.name, f.offset) for f in spec.fields] == [
            (name, getattr(kind, name).offset) for name, _ in kind._fields_
        ]
        instance = kind.from_buffer_copy(np.resize(noise_of(batch, at), size).tobytes())
        fill_wide(instance)
        expected = c_value(kind, ctypes.addressof(instance))
        view = dv.view(instance)
        assert view.itemsize == size
        if view.format == "B":
            continue  # a packed structure of one byte: ctypes says no more before Python 3.12
        assert same(tuples(view[()]), expected), (spec, memoryview(instance).format)
        again = kind()
        dv.view(again)[()] = view[()]
        assert same(c_value(kind, ctypes.addressof(again)), expected), spec


def test_enough_were_compared():
    """Runs last: 10^5 in a full run, if all three tests above ran in this process."""
    if len(FORMATS) < 3:
        pytest.skip("needs the three differential tests in the same run")
    assert sum(FORMATS.values()) >= (100_000 if FULL else 10_000), FORMATS
