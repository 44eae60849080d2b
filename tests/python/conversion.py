"""What conversions are tested with: values of every kind, and what must come out."""

from __future__ import annotations

import math

import ml_dtypes
import numpy as np

import devview as dv

CODES = "?bBhHiIqQefdFDgG"
SMALL = (
    "bfloat16",
    "float8_e3m4",
    "float8_e4m3",
    "float8_e4m3b11fnuz",
    "float8_e4m3fn",
    "float8_e4m3fnuz",
    "float8_e5m2",
    "float8_e5m2fnuz",
    "float8_e8m0fnu",
    "float6_e2m3fn",
    "float6_e3m2fn",
    "float4_e2m1fn",
)
SPECIAL = [0.0, -0.0, math.inf, -math.inf, math.nan, 0.5, -0.5, 1.5, 2.5, 254.9, 255.5, 256.0]
SPECIAL += [s * (2.0**k + d) for s in (1, -1) for k in (7, 8, 15, 31, 32, 63, 64) for d in (-1, 0)]
SPECIAL += [
    2.0**-24,
    2.0**-25,
    65504.0,
    65519.9,
    65520.0,
    1e39,
    3.4028235677973366e38,
    1e-46,
    1e308,
]


def format_of(dtype) -> str:
    """Give the format under which NumPy exports a dtype."""
    return memoryview(np.empty(1, dtype)).format


def small_format(name: str) -> str:
    return f"T{{{'BH'[np.dtype(getattr(ml_dtypes, name)).itemsize - 1]}:{name}:}}"


def numbers(dtype, count: int, seed: int) -> np.ndarray:
    """Give special values, then random bits (of long doubles: random values)."""
    dtype = np.dtype(dtype)
    random = np.random.default_rng(seed)
    with np.errstate(all="ignore"):
        special = np.array(SPECIAL, "f8")
        if dtype.kind in "iu":
            bits = np.dtype(dtype).itemsize * 8
            special = np.array(
                [v % 2**bits for v in (0, 1, -1, 127, 128, 2**24 + 1, 2**53 + 1, 2 ** (bits - 1))],
                f"u{dtype.itemsize}",
            ).astype(dtype)
        special = special.astype(dtype)
    if dtype.kind == "b":
        return np.arange(count) % 3 == 1
    if dtype.char in "gG":
        scale = np.exp2(random.integers(-90, 90, count)).astype("g")
        rest = (random.normal(size=count).astype("g") * scale / (2**40 + 1)).astype(dtype)
    else:
        rest = np.frombuffer(random.bytes(count * dtype.itemsize), dtype)
    return np.concatenate([special, rest])[:count]


def saturated(a: np.ndarray, dtype) -> np.ndarray:
    """Give the floats truncated to an integer type: the nearest limit beyond it, 0 for NaN."""
    info = np.iinfo(dtype)

    def one(value) -> int:
        if math.isnan(value):
            return 0
        if math.isinf(value):
            return info.max if value > 0 else info.min
        return min(max(int(value), info.min), info.max)

    return np.array([one(value) for value in a.ravel()], dtype).reshape(a.shape)


def expected(a: np.ndarray, dtype) -> np.ndarray:
    """Give NumPy's answer, or ours where C leaves it undefined."""
    dtype = np.dtype(dtype)
    if a.dtype.kind == "f" and dtype.kind in "iu":
        return saturated(a, dtype)
    with np.errstate(all="ignore"):
        return a.astype(dtype)


def items(view: dv.View, dtype) -> np.ndarray:
    return np.frombuffer(view.tobytes(), dtype).reshape(view.shape)


def assert_same(found: np.ndarray, wanted: np.ndarray) -> None:
    assert found.dtype == wanted.dtype
    with np.errstate(invalid="ignore"):  # signalling NaNs
        np.testing.assert_array_equal(found, wanted)
    if wanted.dtype.kind in "fc" and wanted.dtype.char not in "gG":
        same = np.isnan(wanted) | (np.copysign(1, found.real) == np.copysign(1, wanted.real))
        assert same.all(), "the sign of a zero"
