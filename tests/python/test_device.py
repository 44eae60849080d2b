"""Moving items: to, copy, copyto between cpu, devices, pinned and managed memory, any layout."""

from __future__ import annotations

import array
import itertools
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import devview as dv
from support import (
    CUDA_DEVICES,
    DEVICES,
    EMULATED,
    REAL,
    RECORD,
    counted_calls,
    layouts,
    no_gc,
    pattern,
)

CUDA = CUDA_DEVICES[0]
PAIRS = list(itertools.product(DEVICES, DEVICES))


# --- dv.Device ---


@pytest.mark.parametrize(
    ("name", "canonical"),
    [("cpu", "cpu"), ("cuda", "cuda:0"), ("cuda:1", "cuda:1"), ("pinned", "pinned")],
)
def test_devices_are_named(name, canonical):
    device = dv.Device(name)
    assert device.name == canonical
    assert device == name
    assert device == dv.Device(canonical)
    assert device != "managed"
    assert hash(device) == hash(dv.Device(canonical))
    assert dv.Device(device) == device
    assert pickle.loads(pickle.dumps(device)) == device
    assert canonical in repr(device)


def test_devices_know_dlpacks_numbers():
    known = {"cpu": (1, 0), "cuda:2": (2, 2), "pinned": (3, 0), "managed": (13, 0)}
    assert {name: dv.Device(name).dlpack for name in known} == known
    assert [dv.Device(n).host_accessible for n in known] == [True, False, True, True]
    assert (dv.Device("cuda:2").type, dv.Device("cuda:2").id) == ("cuda", 2)


def test_devices_lists_the_host_first():
    names = [device.name for device in dv.devices()]
    assert names[0] == "cpu"
    assert set(DEVICES) <= set(names)
    for name in names:
        assert dv.zeros(3, device=name).tolist() == [0, 0, 0]


@pytest.mark.skipif(REAL, reason="missing: an emulated device (DEVVIEW_TEST_RUNTIME=real)")
def test_emulated_devices_say_so():
    assert str(dv.Device("cuda:1")) == "cuda:1 (emulated)"
    assert dv.Device("cuda:1").emulated
    assert not dv.Device("cpu").emulated
    assert dv.Device("cuda:1") == "cuda:1 (emulated)"


# --- to ---


@pytest.mark.parametrize(("source", "target"), PAIRS)
def test_to_moves_the_items(source, target):
    a = pattern((4, 6), "i4")
    v = dv.copy(a, device=source)
    moved = v.to(target)
    assert moved.device == target
    assert moved.tobytes() == a.tobytes()
    assert (moved is v) == (source == target)
    assert (moved.format, moved.shape) == (v.format, v.shape)
    if source != target:
        assert moved.c_contiguous
        assert not moved.readonly
        v.fill(0)
        assert moved.tobytes() == a.tobytes()


@pytest.mark.parametrize("device", DEVICES)
def test_to_with_copy_true_is_always_new(device):
    v = dv.zeros(4, device=device)
    w = v.to(device, copy=True)
    w.fill(1)
    assert v.tolist() == [0] * 4


@pytest.mark.parametrize(("source", "target"), PAIRS)
def test_to_with_copy_false_never_copies(source, target):
    v = dv.zeros(4, device=source)
    if source == target:
        assert v.to(target, copy=False) is v
    else:
        with pytest.raises(BufferError, match="copy=False"):
            v.to(target, copy=False)


def test_to_takes_a_device_object():
    v = dv.zeros(4).to(dv.Device(CUDA))
    assert v.device == CUDA
    with pytest.raises(TypeError):
        v.to(3)
    with pytest.raises(TypeError, match="device"):
        v.to()


def test_to_frees_nothing_and_keeps_nothing():
    with no_gc():
        before = dv.memory_info(CUDA).live_bytes
        v = dv.zeros(1000)
        assert v.to(CUDA).to("cpu").tobytes() == bytes(1000)
        assert dv.memory_info(CUDA).live_bytes == before
        del v


@given(layouts(), st.sampled_from(PAIRS))
def test_every_layout_moves_between_all_devices(layout, pair):
    source, target = pair
    base = layout.base()
    expected = layout.apply(base)
    v = layout.apply(dv.copy(base, device=source))
    assert v.to(target, copy=True).tobytes() == expected.tobytes()


@given(layouts(), st.sampled_from(PAIRS), st.sampled_from("CFA"))
def test_copy_gives_the_asked_order(layout, pair, order):
    source, target = pair
    base = layout.base()
    a = layout.apply(base)
    v = layout.apply(dv.copy(base, device=source)).copy(device=target, order=order)
    assert v.device == target
    assert v.tobytes() == a.tobytes()
    fortran = order == "F" or (order == "A" and a.flags.f_contiguous and not a.flags.c_contiguous)
    assert v.f_contiguous if fortran else v.c_contiguous


# --- copyto ---


@st.composite
def two_layouts(draw):
    """Two layouts of one shape over bases of their own; the first has each item once."""
    target = draw(layouts(max_ndim=3, broadcast=False))
    shape = target.apply(target.base()).shape
    turned = tuple(draw(st.permutations(range(len(shape)))))
    steps = tuple(draw(st.sampled_from((1, 2, -1, -2))) for _ in shape)
    return target, shape, turned, steps


@given(two_layouts(), st.sampled_from(PAIRS))
def test_copyto_between_any_two_layouts(case, pair):
    layout, shape, turned, steps = case
    base = layout.base()
    expected = base.copy()
    # The source: permuted and stepped storage under the same shape.
    stored = tuple(n * abs(step) for n, step in zip(shape, steps, strict=True))
    inverse = tuple(np.argsort(turned))
    source_base = pattern(tuple(stored[i] for i in turned), layout.dtype, seed=2)
    key = (..., *(slice(None, None, step) for step in steps))
    source = source_base.transpose(inverse)[key]
    assert source.shape == shape
    layout.apply(expected)[...] = source
    destination = dv.copy(base, device=pair[1])
    dv.copyto(
        layout.apply(destination), dv.copy(source_base, device=pair[0]).transpose(inverse)[key]
    )
    assert destination.tobytes() == expected.tobytes()


@pytest.mark.parametrize(("source", "target"), PAIRS)
def test_copyto_from_a_broadcast(source, target):
    row = pattern((5,), "i4")
    v = dv.zeros((4, 5), "i", device=target)
    dv.copyto(v, dv.copy(row, device=source).broadcast_to((4, 5)))
    assert v.tobytes() == np.broadcast_to(row, (4, 5)).tobytes()


@pytest.mark.parametrize("device", DEVICES)
def test_copyto_takes_any_exporter(device):
    v = dv.zeros(4, "i", device=device)
    dv.copyto(v, array.array("i", [1, 2, 3, 4]))
    out = np.zeros(4, "i4")
    dv.copyto(out, v)
    assert out.tolist() == [1, 2, 3, 4]
    data = bytearray(16)
    dv.copyto(memoryview(data).cast("i"), v)
    assert bytes(data) == out.tobytes()


@pytest.mark.parametrize(("source", "target"), PAIRS)
@pytest.mark.parametrize("dtype", ["f8", RECORD, "S7", ">i2", "c16", "?"], ids=str)
def test_copyto_of_items_of_all_sizes(source, target, dtype):
    a = np.ones((3, 4), dtype) if dtype == "?" else pattern((3, 4), dtype)
    v = dv.copy(np.zeros_like(a), device=target)
    dv.copyto(v.T, dv.copy(a, device=source).T)
    assert v.tobytes() == a.tobytes()


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(
    ("to", "source"),
    [
        (np.s_[1:], np.s_[:-1]),
        (np.s_[:-1], np.s_[1:]),
        (np.s_[::-1], np.s_[:]),
        (np.s_[:50], np.s_[::2]),
        (np.s_[::2], np.s_[50:]),
        (np.s_[1::2], np.s_[:-1:2]),
    ],
    ids=str,
)
def test_overlapping_copies_are_as_through_a_temporary(device, to, source):
    a = np.arange(100, dtype="u4")
    v = dv.copy(a, device=device)
    a[to] = a[source].copy()
    dv.copyto(v[to], v[source])
    assert v.tolist() == a.tolist()


@pytest.mark.parametrize("device", DEVICES)
def test_overlapping_transpose(device):
    a = pattern((70, 70), "i4")
    v = dv.copy(a, device=device)
    dv.copyto(v, v.T)
    assert v.tobytes() == a.T.tobytes()


@pytest.mark.parametrize("source", [(4, 3), (4, 1)], ids=str)
def test_copyto_keeps_the_last_item_where_the_destination_stands_still(source):
    a, row = np.broadcast_to(pattern(source, "f4"), (4, 3)), np.zeros(3, "f4")
    target = dv.view(np.lib.stride_tricks.as_strided(row, (4, 3), (0, 4)))
    dv.copyto(target, dv.view(a))
    assert row.tolist() == a[-1].tolist()
    dv.copyto(target, target[::-1, ::-1])  # of the same memory
    assert row.tolist() == a[-1, ::-1].tolist()


def objects():
    return dv.view(np.array([{}, None], "O"))


def released():
    v = dv.zeros(4)
    v.release()
    return v


@pytest.mark.parametrize(
    ("target", "source", "error", "words"),
    [
        (
            lambda: dv.zeros((2, 3)),
            lambda: dv.zeros((3, 2)),
            ValueError,
            r"copyto: shape \(3, 2\) into \(2, 3\)$",
        ),
        (
            lambda: dv.zeros(4),
            lambda: dv.zeros((4, 1)),
            ValueError,
            r"copyto: shape \(4, 1\) into \(4,\)$",
        ),
        (objects, objects, dv.FormatError, "copyto: format 'O' holds Python objects"),
        (released, lambda: dv.zeros(4), ValueError, "released"),
        (lambda: dv.zeros(4), released, ValueError, "released"),
        (lambda: dv.zeros(4, "i"), lambda: dv.zeros(4, "3s"), ValueError, "format"),
        (lambda: b"abcd", lambda: dv.zeros(4), BufferError, "read-only"),
        (lambda: dv.zeros(4).toreadonly(), lambda: dv.zeros(4), BufferError, "read-only"),
        (lambda: dv.zeros(1).broadcast_to(4), lambda: dv.zeros(4), BufferError, "read-only"),
        (lambda: 3, lambda: dv.zeros(4), BufferError, "int"),
        (lambda: dv.zeros(4), lambda: "text", BufferError, "str"),
    ],
)
def test_copyto_refuses_with_a_reason(target, source, error, words):
    with pytest.raises(error, match=words):
        dv.copyto(target(), source())


@pytest.mark.parametrize(("source", "target"), PAIRS)
@pytest.mark.parametrize("shape", [(0,), (3, 0), (), (1, 1)], ids=str)
def test_small_shapes_move(source, target, shape):
    a = pattern(shape, "f4")
    v = dv.copy(a, device=source)
    assert v.to(target, copy=True).tobytes() == a.tobytes()
    w = dv.zeros(shape, "f", device=target)
    dv.copyto(w, v)
    assert w.tobytes() == a.tobytes()


@pytest.mark.parametrize("dtype", ["u1", "u2", "f4", "f8", "c16", "V3", "V12"])
@pytest.mark.parametrize("shape", [(257, 129), (1, 1000), (33, 65), (16, 16, 16)], ids=str)
def test_device_transposes_are_right_at_tile_borders(dtype, shape):
    a = pattern(shape, dtype)
    v = dv.copy(a, device=CUDA)
    assert v.T.copy().tobytes() == a.T.tobytes()
    assert v[..., ::-1].T.copy().tobytes() == a[..., ::-1].T.tobytes()
    dv.copyto(v.T, v.T[::-1].copy())
    assert v.T.tobytes() == a.T[::-1].tobytes()


def test_many_axes_are_copied():
    a = pattern((2,) * 12, "u2")
    axes = (5, 3, 0, 11, 7, 1, 2, 10, 4, 6, 9, 8)
    v = dv.copy(a, device=CUDA).transpose(axes)[::-1, :, ::-1]
    expected = a.transpose(axes)[::-1, :, ::-1]
    assert v.tobytes() == expected.tobytes()
    assert v.copy(order="F").tobytes() == expected.tobytes()


@EMULATED
def test_dense_copies_are_one_runtime_call():
    v, w = dv.zeros(1000, device=CUDA), dv.zeros(1000, device=CUDA)
    with counted_calls() as calls:
        dv.copyto(v, w)
    assert calls["cudaMemcpyAsync"] == 1
    assert calls["cudaLaunchKernel"] == 0
    assert calls["cudaStreamSynchronize"] == calls["cudaDeviceSynchronize"] == 0
    assert calls["cudaMallocAsync"] == 0


@EMULATED
def test_copies_between_devices_do_not_wait_on_the_host():
    if len(CUDA_DEVICES) < 2:
        pytest.skip("missing: a second CUDA device")
    v = dv.zeros(1000, device=CUDA_DEVICES[0])
    w = dv.zeros(1000, device=CUDA_DEVICES[1])
    with counted_calls() as calls:
        dv.copyto(v, w)
    for name in ("cudaStreamSynchronize", "cudaDeviceSynchronize", "cudaEventSynchronize"):
        assert calls[name] == 0


@pytest.mark.parametrize("order", ["X", 3, "CF"])
def test_copy_refuses_another_order(order):
    with pytest.raises((ValueError, TypeError)):
        dv.zeros(3).copy(order=order)
    with pytest.raises((ValueError, TypeError)):
        dv.empty(3, order=order)


def test_indirect_memory_is_copied_to_devices():
    testbuffer = pytest.importorskip("_testbuffer", reason="missing: CPython's _testbuffer")
    nd = testbuffer.ndarray(list(range(12)), shape=[3, 4], format="i", flags=testbuffer.ND_PIL)
    for device in DEVICES:
        v = dv.copy(nd, device=device)
        assert v.suboffsets == ()
        assert v.tolist() == np.arange(12).reshape(3, 4).tolist()
