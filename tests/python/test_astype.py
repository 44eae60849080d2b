"""Numbers converted by value as NumPy does: every pair, layout, byte order and device."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import devview as dv
from conversion import CODES, SPECIAL, assert_same, expected, format_of, items, numbers, saturated
from support import CUDA_DEVICES, DEVICES, layouts

CUDA = CUDA_DEVICES[0]
HOST_AND_DEVICE = ["cpu", CUDA]


@pytest.mark.parametrize("device", HOST_AND_DEVICE)
@pytest.mark.parametrize("target", CODES)
@pytest.mark.parametrize("source", CODES)
def test_every_pair_of_numbers_converts_as_numpy_does(source, target, device):
    a = numbers(source, 700, seed=ord(source))
    v = dv.view(a).to(device)
    if source in "FDG" and target not in "FDG?":
        with pytest.raises(dv.FormatError, match=f"astype: format '{format_of(source)}'"):
            v.astype(format_of(target))
        return
    made = v.astype(format_of(target))
    assert (made.format, made.device) == (format_of(target), v.device)
    assert_same(items(made, target), expected(a, target))


@given(
    layouts(dtypes=("?", "i1", "u2", ">i4", "u8", ">i8", "f2", ">f4", "f8", ">c8", "c16", "g")),
    st.sampled_from(("?", "i1", ">u2", "i4", "u8", ">i8", ">f2", "f4", ">f8", ">c8", ">c16", "g")),
    st.sampled_from("CFA"),
)
def test_any_layout_and_byte_order_converts_as_numpy_does(layout, target, order):
    base = numbers(layout.dtype, max(math.prod(layout.shape), 1), seed=7)
    base = np.resize(base, layout.shape).astype(layout.dtype)
    a = layout.apply(base)
    if a.dtype.kind == "c" and np.dtype(target).kind not in "cb":
        return
    v = layout.apply(dv.view(base))
    made = v.astype(format_of(target), order=order)
    wanted = expected(a, target)
    assert_same(items(made, target), wanted)
    strides = np.empty(a.shape, target, order="F" if order == "F" else "C").strides
    if order != "A" and a.size:
        assert made.contiguous
        assert made.strides == strides or 1 in a.shape
    on_device = layout.apply(dv.view(base).to(CUDA)).astype(format_of(target))
    assert on_device.device == dv.Device(CUDA)
    assert_same(items(on_device, target), wanted)


@given(
    layouts(dtypes=("u1", "i4", "f4", ">f8")),
    st.sampled_from(("i4", ">i8", "f4", "f8", "D")),
    st.sampled_from(DEVICES),
    st.sampled_from(DEVICES),
    st.data(),
)
def test_copyto_converts_into_any_layout_between_any_devices(layout, target, where, home, data):
    base = np.resize(numbers(layout.dtype, 50, seed=3), layout.shape).astype(layout.dtype)
    a = layout.apply(base)
    if not np.can_cast(a.dtype, target, "same_kind"):
        return
    source = layout.apply(dv.view(base).to(home))
    wide = tuple(2 * extent for extent in a.shape)
    whole = np.zeros(wide, target)
    key = tuple(
        data.draw(st.sampled_from((slice(None, n), slice(0, None, 2), slice(n - 1, None, -1))))
        if n
        else slice(0, 0)
        for n in a.shape
    )
    view = dv.view(whole.copy()).to(where, copy=True)
    part = view[(*key, ...)]
    if part.shape != a.shape:  # reversed from n - 1: n items
        return
    with np.errstate(all="ignore"):
        whole[(*key, ...)] = a
    dv.copyto(part, source)
    assert_same(items(view, target), whole)


def test_long_rows_and_short_rows_convert_alike():
    for shape in ((3, 5000), (5000, 3), (70, 70), (2, 3, 4000), (1, 9000), (4000, 2, 3)):
        a = np.arange(math.prod(shape)).reshape(shape) * 0.75 - 100
        for source in ("f8", ">f8", "i2", "f2", "g"):
            b = a.astype(source)
            for turned in (b, b.T, b[..., ::-1], b[:, ::2], np.asfortranarray(b)):
                for target in ("f4", ">i4", "f2", "c8", ">f8"):
                    made = dv.view(turned).astype(format_of(target))
                    assert_same(items(made, target), expected(turned, target))


@pytest.mark.parametrize("device", HOST_AND_DEVICE)
@pytest.mark.parametrize("source", ["f4", "f8", ">f8", "e"])
@pytest.mark.parametrize("target", ["i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8"])
def test_floats_saturate_to_integers(source, target, device):
    with np.errstate(all="ignore"):
        a = np.array(SPECIAL, source)
        # More than one block, in one of which everything is in range.
        a = np.concatenate([np.resize(a, 600), np.resize(np.arange(100, dtype=a.dtype), 600)])
    made = dv.view(a).to(device).astype(format_of(target))
    assert_same(items(made, target), saturated(a, target))


@pytest.mark.parametrize("device", HOST_AND_DEVICE)
def test_any_byte_but_zero_is_true(device):
    truth = dv.view(bytes(range(256))).cast("?").to(device)
    assert truth.astype("i").tolist() == [0] + [1] * 255
    assert truth.astype("d").tolist() == [0.0] + [1.0] * 255
