"""dv.Allocation: an owner apart from its views; no resize or free while anything views it."""

from __future__ import annotations

import gc
import weakref

import pytest

import devview as dv
from support import CUDA_DEVICES, DEVICES, device_bytes, no_gc

CUDA = CUDA_DEVICES[0]


@pytest.fixture(params=DEVICES)
def device(request):
    return request.param


def test_allocation_owns_memory_without_views(device):
    with no_gc():
        before = device_bytes(device)
        block = dv.Allocation(100, device=device)
        assert device_bytes(device) == before + 100
        assert (block.nbytes, block.device, block.views, block.exports) == (100, device, 0, 0)
        assert block.owner is None
        assert not block.freed
        assert block.ptr % 256 == 0
        del block
        assert device_bytes(device) == before


def test_allocation_is_on_the_host_by_default():
    assert dv.Allocation(10).device == "cpu"
    assert dv.Allocation(10).stream is None


def test_view_of_an_allocation(device):
    block = dv.Allocation(24, device=device)
    v = block.view()
    assert (v.format, v.shape, v.ptr) == ("B", (24,), block.ptr)
    assert block.view("i").shape == (6,)
    assert block.view("h", (3, 4)).shape == (3, 4)
    assert block.view(format="d", shape=[2]).shape == (2,)
    assert block.view("i", ()).shape == ()
    assert v.allocation is block


def test_allocation_outlives_its_views_and_views_the_allocation_object(device):
    with no_gc():
        before = device_bytes(device)
        block = dv.Allocation(24, device=device)
        v = block.view("i")
        v.fill(7)
        v.release()
        assert device_bytes(device) == before + 24
        v = block.view("i")
        assert v.tolist() == [7] * 6
        del block
        assert v.tolist() == [7] * 6
        assert device_bytes(device) == before + 24
        v.release()
        assert device_bytes(device) == before


@pytest.mark.parametrize(
    ("format", "shape", "words"),
    [
        ("i", (7,), "24"),
        ("7s", None, "24"),
        ("B", (2**62, 4), "extent"),
        ("B", (-1,), "-1"),
        ("0s", None, "itemsize"),
        ("O", None, "O"),
        ("nope", None, "unknown code"),
    ],
    ids=str,
)
def test_view_that_does_not_fit_is_refused(device, format, shape, words):
    block = dv.Allocation(24, device=device)
    with pytest.raises(ValueError, match=words):
        block.view(format, shape)
    assert block.views == 0


@pytest.mark.parametrize("sizes", [(10, 1000), (1000, 10), (10, 10), (10, 0), (0, 10)], ids=str)
def test_resize_keeps_the_content(device, sizes):
    old, new = sizes
    block = dv.Allocation(old, device=device)
    data = bytes(i % 251 for i in range(old))
    block.view().copy_from(data)
    before = device_bytes(device)
    block.resize(new)
    assert block.nbytes == new
    assert device_bytes(device) == before - old + new
    kept = min(old, new)
    assert block.view()[:kept].tobytes() == data[:kept]
    block.view()[kept:].fill(1)


def test_resize_is_refused_while_a_view_lives(device):
    block = dv.Allocation(10, device=device)
    v, w = block.view(), block.view()
    with pytest.raises(BufferError, match="2 views"):
        block.resize(20)
    w.release()
    with pytest.raises(BufferError, match="1 view"):
        block.resize(20)
    assert block.nbytes == 10
    v.release()
    block.resize(20)
    assert block.nbytes == 20


def test_resize_and_free_are_refused_while_an_export_lives(device):
    block = dv.Allocation(10, device=device)
    m = memoryview(block.view())
    for refused in (lambda: block.resize(20), block.free):
        with pytest.raises(BufferError, match="1 export"):
            refused()
    assert m.nbytes == 10
    m.release()
    block.free()


def test_free_is_at_once_and_idempotent(device):
    with no_gc():
        before = device_bytes(device)
        block = dv.Allocation(100, device=device)
        block.free()
        assert device_bytes(device) == before
        assert block.freed
        block.free()
        assert "freed" in repr(block)


def test_free_is_refused_while_a_view_lives(device):
    block = dv.Allocation(10, device=device)
    v = block.view()
    part = v[1:]
    with pytest.raises(BufferError, match="2 views"):
        block.free()
    assert not block.freed
    v.release()
    with pytest.raises(BufferError, match="1 view"):
        block.free()
    part.release()
    block.free()


def test_freed_allocation_refuses_every_use(device):
    block = dv.Allocation(10, device=device)
    block.free()
    for use in (
        lambda: block.ptr,
        lambda: block.nbytes,
        lambda: block.device,
        lambda: block.stream,
        lambda: block.owner,
        lambda: block.view(),
        lambda: block.resize(5),
        lambda: block.__enter__(),
    ):
        with pytest.raises(ValueError, match="freed"):
            use()
    assert (block.views, block.exports) == (0, 0)


def test_context_manager_frees(device):
    with no_gc():
        before = device_bytes(device)
        with dv.Allocation(100, device=device) as block:
            block.view().release()
            assert device_bytes(device) == before + 100
        assert block.freed
        assert device_bytes(device) == before


def test_context_manager_refuses_to_free_what_is_viewed(device):
    with pytest.raises(BufferError, match="1 view"), dv.Allocation(10, device=device) as block:
        v = block.view()
    assert not block.freed
    v.fill(1)
    v.release()
    block.free()


def test_every_view_has_the_same_allocation_object(device):
    v = dv.zeros((4, 4), device=device)
    block = v.allocation
    assert v[1:].allocation is block
    assert v.T.allocation is block
    assert v.cast("b").allocation is block
    assert dv.view(v).allocation is block
    assert v.copy().allocation is not block


def test_memory_made_with_a_view_can_be_resized_through_its_allocation(device):
    v = dv.zeros(10, device=device)
    block = v.allocation
    v.release()
    block.resize(30)
    assert block.view()[:10].tobytes() == bytes(10)


def test_imported_memory_is_not_resized():
    data = bytearray(10)
    v = dv.view(data)
    block = v.allocation
    assert block.owner is data
    v.release()
    with pytest.raises(BufferError, match="not allocated"):
        block.resize(20)
    with pytest.raises(BufferError):
        data.append(0)
    block.free()
    data.append(0)


@pytest.mark.parametrize("nbytes", [-1, 2**63, "10", 1.5, None], ids=repr)
def test_wrong_sizes_are_refused(nbytes):
    with pytest.raises((ValueError, TypeError, MemoryError)):
        dv.Allocation(nbytes)
    block = dv.Allocation(10)
    with pytest.raises((ValueError, TypeError, MemoryError)):
        block.resize(nbytes)
    assert block.nbytes == 10


def test_size_zero_is_legal(device):
    block = dv.Allocation(0, device=device)
    assert block.nbytes == 0
    assert block.view().shape == (0,)
    assert bytes(block.view()) == b""
    block.free()


def test_failed_resize_changes_nothing():
    block = dv.Allocation(1000, device=CUDA)
    block.view().fill(5)
    ptr = block.ptr
    with pytest.raises(dv.OutOfMemory):
        block.resize(1 << 40)
    assert (block.nbytes, block.ptr) == (1000, ptr)
    assert block.view().tobytes() == b"\5" * 1000


def test_resize_of_the_host_beyond_memory():
    block = dv.Allocation(10)
    block.view().copy_from(b"0123456789")
    with pytest.raises(MemoryError):
        block.resize(2**62)
    assert block.view().tobytes() == b"0123456789"


def test_allocation_can_be_weakly_referenced():
    block = dv.Allocation(10)
    alive = weakref.ref(block)
    v = block.view()
    del block
    gc.collect()
    assert alive() is v.allocation
    v.release()
    assert alive() is None


def test_allocation_on_a_stream():
    stream = dv.Stream(CUDA)
    block = dv.Allocation(100, device=CUDA, stream=stream)
    assert block.stream == stream
    assert block.view().stream in (stream, None)


def test_repr_tells_the_counts(device):
    block = dv.Allocation(10, device=device)
    v = block.view()
    text = repr(block)
    assert "10 bytes" in text
    assert "1 view" in text
    assert device.partition(":")[0] in text
    v.release()
