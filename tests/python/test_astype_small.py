"""Small floats and 4-bit integers converted as ml_dtypes does, but rounded once."""

from __future__ import annotations

import math

import ml_dtypes
import numpy as np
import pytest

import devview as dv
from conversion import SMALL, assert_same, format_of, items, numbers, saturated, small_format
from support import CUDA_DEVICES

CUDA = CUDA_DEVICES[0]
HOST_AND_DEVICE = ["cpu", CUDA]


@pytest.mark.parametrize("device", HOST_AND_DEVICE)
@pytest.mark.parametrize("name", SMALL)
def test_small_floats_decode_as_ml_dtypes_does(name, device):
    dtype = np.dtype(getattr(ml_dtypes, name))
    bits = ml_dtypes.finfo(dtype).bits
    codes = np.arange(2**bits, dtype=f"u{dtype.itemsize}")
    v = dv.view(codes).cast(small_format(name)).to(device)
    for target in ("f4", "f8", ">f4", "f2", "c8"):
        with np.errstate(all="ignore"):
            wanted = codes.view(dtype).astype("f4").astype(target)
        assert_same(items(v.astype(format_of(target)), target), wanted)
    with np.errstate(all="ignore"):
        values = codes.view(dtype).astype("f8")
    assert_same(items(v.astype("q"), "q"), saturated(values, "q"))


@pytest.mark.parametrize("device", HOST_AND_DEVICE)
@pytest.mark.parametrize("name", SMALL)
def test_small_floats_encode_as_ml_dtypes_does(name, device):
    dtype = np.dtype(getattr(ml_dtypes, name))
    a = numbers("f4", 20000, seed=5)
    codes = np.arange(2 ** ml_dtypes.finfo(dtype).bits, dtype=f"u{dtype.itemsize}")
    with np.errstate(all="ignore"):
        near = np.unique(codes.view(dtype).astype("f4"))
        middle = ((near[1:].astype("f8") + near[:-1]) / 2).astype("f4")
        a = np.concatenate([a, near, middle, np.nextafter(middle, np.inf, dtype="f4")])
        if name == "float8_e8m0fnu":  # ml_dtypes rounds subnormal floats up, however near
            a = a[~(np.abs(a) < np.finfo("f4").tiny) | (a == 0)]
        wanted = a.astype(dtype).view(codes.dtype)
        sources = [a.astype(source) for source in ("f4", "f8", ">f4")]
    for source in sources:
        v = dv.view(source).to(device).astype(small_format(name))
        np.testing.assert_array_equal(items(v, codes.dtype), wanted)


@pytest.mark.parametrize("device", HOST_AND_DEVICE)
def test_small_floats_are_rounded_once(device):
    # Half way between two of them, and a little more than float32 can tell.
    tie = dv.view(np.array([1 + 2**-8, 1 + 2**-8 + 2**-40, 1 + 3 * 2**-8 - 2**-40])).to(device)
    assert items(tie.astype(small_format("bfloat16")), "u2").tolist() == [0x3F80, 0x3F81, 0x3F81]
    tie = dv.view(np.array([257 * 2**55, 257 * 2**55 + 1, 2**63 - 1, 2**64 - 1], "u8")).to(device)
    assert items(tie.astype(small_format("bfloat16")), "u2").tolist() == [
        0x5F00,
        0x5F01,
        0x5F00,
        0x5F80,
    ]
    negative = dv.view(np.array([-(257 * 2**54), -(257 * 2**54) - 1])).to(device)
    assert items(negative.astype(small_format("bfloat16")), "u2").tolist() == [0xDE80, 0xDE81]
    long = np.longdouble(1) + np.longdouble(2) ** -8 + np.longdouble(2) ** -60
    assert items(dv.view(np.array([long])).astype(small_format("bfloat16")), "u2")[0] == 0x3F81


@pytest.mark.parametrize("device", HOST_AND_DEVICE)
def test_integers_of_four_bits_wrap_and_floats_saturate(device):
    numbers_ = np.arange(-40, 40)
    floats = [-100.0, -8.9, -1.9, 0.5, 7.9, 15.9, 100.0, math.nan]
    for name, low, high in (("int4", -8, 7), ("uint4", 0, 15)):
        made = dv.view(numbers_).to(device).astype(f"T{{B:{name}:}}")
        wanted = numbers_.astype(getattr(ml_dtypes, name))
        np.testing.assert_array_equal(items(made, "u1"), wanted.view("u1"))
        np.testing.assert_array_equal(items(made.astype("i"), "i4"), wanted.astype("i4"))
        clipped = [0 if math.isnan(x) else min(max(int(x), low), high) for x in floats]
        for code in "fd":
            made = dv.view(np.array(floats, code)).to(device).astype(f"T{{B:{name}:}}")
            assert made.astype("b").tolist() == clipped
        dirty = dv.view(bytes([0x73, 0xF8])).cast(f"T{{B:{name}:}}").to(device)
        assert dirty.astype("b").tolist() == [3, -8 if low else 8]
