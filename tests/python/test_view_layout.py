"""T, transpose, reshape, broadcast_to, squeeze: arithmetic on layouts, against NumPy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import devview as dv
from support import CUDA_DEVICES, layouts, pattern

CUDA = CUDA_DEVICES[0]


def same_layout(v, a) -> None:
    assert v.shape == a.shape
    assert v.ndim == a.ndim
    assert v.nbytes == a.nbytes
    if a.size:
        # Strides of axes that are never stepped along say nothing.
        stepped = [i for i in range(a.ndim) if a.shape[i] > 1]
        assert [v.strides[i] for i in stepped] == [a.strides[i] for i in stepped]
        assert v.ptr == a.ctypes.data
    assert v.c_contiguous == a.flags.c_contiguous
    assert v.f_contiguous == a.flags.f_contiguous
    assert v.contiguous == (a.flags.c_contiguous or a.flags.f_contiguous)


@given(layouts())
def test_layouts_are_numpys(layout):
    base = layout.base()
    v, a = layout.apply(dv.view(base)), layout.apply(base)
    same_layout(v, a)
    assert v.tobytes() == a.tobytes()
    same_layout(v.T, a.T)
    same_layout(v.transpose(), a.transpose())
    same_layout(v.T.T, a)


@given(layouts(), st.data())
def test_transpose_with_axes_is_numpys(layout, data):
    a = layout.apply(layout.base())
    v = dv.view(a)
    axes = data.draw(st.permutations(range(a.ndim)))
    given_axes = [axis - a.ndim * data.draw(st.booleans()) for axis in axes]
    same_layout(v.transpose(given_axes), a.transpose(axes))
    if a.ndim > 1:
        same_layout(v.transpose(*given_axes), a.transpose(axes))


@given(layouts(min_extent=1), st.data())
def test_reshape_shares_where_numpy_shares(layout, data):
    a = layout.apply(layout.base())
    assume(a.size)
    v = dv.view(a)
    factors = []
    left = a.size
    while left > 1 and len(factors) < 4:
        divisors = [d for d in range(1, left + 1) if left % d == 0]
        factors.append(data.draw(st.sampled_from(divisors)))
        left //= factors[-1]
    shape = (*factors, left)
    try:
        expected = a.view()
        expected.shape = shape
    except AttributeError:
        with pytest.raises(dv.LayoutError, match="reshape"):
            v.reshape(shape)
        return
    same_layout(v.reshape(shape), expected)
    same_layout(v.reshape(*shape), expected)
    unknown = data.draw(st.integers(0, len(shape) - 1))
    same_layout(v.reshape((*shape[:unknown], -1, *shape[unknown + 1 :])), expected)


def test_reshape_forms():
    v = dv.view(np.arange(12, dtype="i4"))
    assert v.reshape(3, 4).shape == (3, 4)
    assert v.reshape((3, 4)).shape == (3, 4)
    assert v.reshape([3, -1]).shape == (3, 4)
    assert v.reshape(-1).shape == (12,)
    assert v.reshape(shape=(2, 6)).shape == (2, 6)
    assert dv.zeros(()).reshape(1, 1).shape == (1, 1)
    assert dv.zeros((1, 1)).reshape(()).shape == ()
    assert dv.zeros((0, 3)).reshape(3, 0).shape == (3, 0)
    assert dv.zeros((0, 3)).reshape(5, -1).shape == (5, 0)


@pytest.mark.parametrize(
    ("shape", "words"),
    [
        ((5,), "12"),
        ((5, -1), "12"),
        ((-1, -1), "-1"),
        ((-2, 6), "-2"),
        ((0, -1), "."),
        ((2**32, 2**32), "."),
        ((2**63,), "."),
        ((12,) + (1,) * 64, "64"),
    ],
    ids=str,
)
def test_reshape_refuses_what_does_not_fit(shape, words):
    v = dv.zeros(12)
    with pytest.raises(dv.LayoutError, match=words):
        v.reshape(shape)


def test_reshape_that_strides_cannot_say_is_refused():
    v = dv.zeros((3, 4), "i")
    with pytest.raises(dv.LayoutError, match="reshape"):
        v.T.reshape(12)
    with pytest.raises(dv.LayoutError, match="reshape"):
        v[:, :3].reshape(9)


@given(layouts(max_ndim=3, broadcast=False), st.data())
def test_broadcast_to_is_numpys(layout, data):
    a = layout.apply(layout.base())
    front = tuple(data.draw(st.lists(st.integers(0, 3), max_size=2)))
    target = front + tuple(
        data.draw(st.integers(0, 4)) if extent == 1 else extent for extent in a.shape
    )
    expected = np.broadcast_to(a, target)
    v = dv.view(a).broadcast_to(target)
    assert v.shape == target
    assert v.readonly
    if expected.size:
        stepped = [i for i in range(len(target)) if target[i] > 1]
        assert [v.strides[i] for i in stepped] == [expected.strides[i] for i in stepped]
    assert v.tobytes() == expected.tobytes()


@pytest.mark.parametrize(
    "target", [(4,), (3, 1), (2, 4), (), (3, 2**62, 2**62), (-1, 3), (1,) * 65], ids=str
)
def test_broadcast_to_refuses_other_shapes(target):
    with pytest.raises(dv.LayoutError):
        dv.zeros((2, 3)).broadcast_to(target)


def test_broadcast_nbytes_counts_items_not_memory():
    v = dv.zeros(1, "d").broadcast_to((1000, 1000, 1000))
    assert v.nbytes == 8 * 10**9
    assert v.allocation.nbytes == 8


@given(layouts(), st.data())
def test_squeeze_is_numpys(layout, data):
    a = layout.apply(layout.base())
    v = dv.view(a)
    same_layout(v.squeeze(), a.squeeze())
    ones = [axis for axis in range(a.ndim) if a.shape[axis] == 1]
    if ones:
        axes = tuple(data.draw(st.lists(st.sampled_from(ones), min_size=1, unique=True)))
        same_layout(v.squeeze(axes), a.squeeze(axes))
        same_layout(v.squeeze(axis=axes[0] - a.ndim), a.squeeze(axes[0]))


@pytest.mark.parametrize("axis", [1, -1, 2, -3, (0, 1)], ids=str)
def test_squeeze_refuses_axes_that_are_not_one(axis):
    with pytest.raises((dv.LayoutError, IndexError)):
        dv.zeros((1, 3)).squeeze(axis)


def test_squeeze_of_no_axes_drops_none():
    assert dv.zeros((1, 3)).squeeze(()).shape == (1, 3)


@pytest.mark.parametrize("axes", [(0,), (0, 0), (0, 2), (0, 1, 2), (-3, 0), ("a", "b")], ids=str)
def test_transpose_refuses_wrong_axes(axes):
    with pytest.raises((dv.LayoutError, TypeError)):
        dv.zeros((2, 3)).transpose(axes)


@pytest.mark.parametrize("device", ["cpu", CUDA])
def test_layout_changes_move_no_data(device):
    v = dv.copy(np.arange(24, dtype="i4").reshape(2, 3, 4), device=device)
    views = [
        v.T,
        v.transpose(1, 0, 2),
        v.reshape(4, 6),
        v[None].squeeze(),
        v.broadcast_to((9, 2, 3, 4)),
    ]
    assert all(w.allocation is v.allocation for w in views)
    assert all(w.ptr == v.ptr for w in views)
    assert v.allocation.views == 6


@given(layouts(max_ndim=3))
def test_device_layouts_are_the_hosts(layout):
    base = layout.base()
    v, a = layout.apply(dv.view(base).to(CUDA)), layout.apply(base)
    assert v.shape == a.shape
    assert v.c_contiguous == a.flags.c_contiguous
    assert v.tobytes() == a.tobytes()
    assert v.T.tobytes() == a.T.tobytes()


def test_readonly_survives_every_layout_change():
    v = dv.view(pattern((2, 3)), readonly=True)
    for w in (v.T, v.transpose(), v.reshape(6), v.squeeze(), v[1], v[None], v.cast("b"), v[...]):
        assert w.readonly


def test_methods_name_a_wrong_argument():
    v = dv.zeros((2, 3))
    with pytest.raises(TypeError, match="squeeze"):
        v.squeeze(1, 2)
    with pytest.raises(TypeError, match="colour"):
        v.squeeze(colour=1)
    with pytest.raises(TypeError, match="shape"):
        v.reshape()
    with pytest.raises(TypeError, match="axis"):
        v.squeeze(0, axis=0)
