"""Keys of ints and slices on any number of axes: NumPy is the oracle."""

from __future__ import annotations

import numpy as np
import pytest

import devview as dv
from support import DEVICES

BOUNDS = (None, 0, 1, 2, 5, -1, -2, -9, 1 << 40, -(1 << 40), 1 << 70, -(1 << 70))
STEPS = (None, 1, 2, 7, -1, -2, 1 << 62, 1 << 70)


@pytest.mark.parametrize("step", STEPS)
def test_every_slice_of_a_vector_is_numpys(step):
    a = np.arange(5, dtype="i4")[::-1]
    v = dv.view(a)
    for start in BOUNDS:
        for stop in BOUNDS:
            key = slice(start, stop, step)
            assert v[key].tolist() == a[key].tolist(), key
            assert v[key].shape == a[key].shape


@pytest.mark.parametrize("ndim", [2, 3, 4, 6, 10])
def test_keys_of_ints_and_slices_are_numpys(ndim):
    shape = (3, 2, 4, 2, 3, 1, 2, 1, 2, 2)[:ndim]
    a = np.arange(np.prod(shape), dtype="i2").reshape(shape)
    random = np.random.default_rng(ndim)
    for base in (a, a.T, a[::-1]):
        v = dv.view(base)
        for _ in range(300):
            key = tuple(
                int(random.integers(-extent, extent))
                if random.random() < 0.3
                else slice(
                    *(
                        None if random.random() < 0.5 else int(random.integers(-5, 6))
                        for _ in range(2)
                    ),
                    int(random.choice([1, 1, 2, 3, -1])),
                )
                for extent in base.shape[: int(random.integers(1, ndim + 1))]
            )
            expected = base[key]
            if not isinstance(expected, np.ndarray):
                assert v[key] == expected
                continue
            part = v[key]
            assert part.shape == expected.shape
            assert part.tolist() == expected.tolist()
            if expected.size:
                assert part.ptr == expected.ctypes.data
            assert part.readonly == v.readonly


@pytest.mark.parametrize("device", DEVICES)
def test_slices_keep_device_stream_and_readonly(device):
    v = dv.zeros((4, 4), device=device).toreadonly()
    for part in (v[1:], v[1:, 2], v[1], v.T, v[0:0]):
        assert part.device == v.device
        assert part.readonly
        assert part.stream == v.stream
        assert part.allocation is v.allocation
        assert part.obj is None
