"""empty, zeros, empty_like, copy, View(obj), attributes and repr."""

from __future__ import annotations

import copy as copies
import ctypes

import numpy as np
import pytest

import devview as dv
from support import CUDA_DEVICES, DEVICES, pattern

MADE = [dv.empty, dv.zeros]


@pytest.mark.parametrize("make", MADE, ids=lambda f: f.__name__)
@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(
    ("shape", "extents"),
    [(5, (5,)), ((), ()), ((0,), (0,)), ((2, 3), (2, 3)), ([4, 0, 2], (4, 0, 2)), ((1,) * 64,) * 2],
    ids=["int", "0-d", "empty", "2-d", "list-with-zero", "64-d"],
)
def test_making_gives_a_dense_writable_view(make, device, shape, extents):
    v = make(shape, "h", device=device)
    assert v.shape == extents
    assert v.ndim == len(extents)
    assert v.strides == np.empty(extents, "i2").strides or 0 in extents
    assert v.device == device
    assert v.format == "h"
    assert v.itemsize == 2
    assert v.nbytes == 2 * int(np.prod(extents))
    assert not v.readonly
    assert v.c_contiguous
    assert v.contiguous
    assert v.suboffsets == ()
    assert v.obj is None
    assert v.exports == 0
    assert not v.released


@pytest.mark.parametrize("device", DEVICES)
def test_zeros_are_zero_after_the_memory_was_used(device):
    for _ in range(3):
        dirty = dv.empty(1000, device=device)
        dirty.fill(0xAB)
        assert bytes(dirty) == b"\xab" * 1000
        del dirty
        assert bytes(dv.zeros(1000, device=device)) == bytes(1000)


def test_format_and_device_have_defaults():
    v = dv.empty(3)
    assert (v.format, v.itemsize, v.device, v.shape) == ("B", 1, "cpu", (3,))


@pytest.mark.parametrize("make", MADE, ids=lambda f: f.__name__)
@pytest.mark.parametrize("device", DEVICES)
def test_order_f_makes_fortran_strides(make, device):
    v = make((2, 3, 4), "i", device=device, order="F")
    assert v.strides == (4, 8, 24)
    assert v.f_contiguous
    assert not v.c_contiguous
    assert v.contiguous


@pytest.mark.parametrize("nbytes", [1, 3, 100, 4096, 1 << 20])
def test_host_memory_is_aligned_to_256_bytes(nbytes):
    held = [dv.empty(nbytes) for _ in range(8)] + [dv.zeros(nbytes) for _ in range(8)]
    assert [v.ptr % 256 for v in held] == [0] * 16


@pytest.mark.parametrize("device", CUDA_DEVICES)
def test_device_pointers_are_aligned_to_256_bytes(device):
    held = [dv.empty(n, device=device) for n in (1, 7, 300, 4097)]
    assert [v.ptr % 256 for v in held] == [0] * 4


def test_two_blocks_do_not_share_memory():
    a, b = dv.zeros(8), dv.zeros(8)
    a.fill(1)
    assert bytes(b) == bytes(8)
    assert a.ptr != b.ptr


@pytest.mark.parametrize("device", DEVICES)
def test_empty_like_takes_shape_format_and_device(device):
    model = dv.empty((2, 3), "d", device=device)
    v = dv.empty_like(model)
    assert (v.shape, v.format, v.device) == ((2, 3), "d", device)
    assert v.ptr != model.ptr
    other = dv.empty_like(np.zeros((4, 2), "f4"), device=device, order="F")
    assert (other.shape, other.itemsize, other.device) == ((4, 2), 4, device)
    assert other.f_contiguous


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("order", ["C", "F", "A"])
def test_copy_is_new_memory_with_the_same_items(device, order):
    a = pattern((3, 4, 5), "i4")[::2, ::-1, 1:]
    source = dv.view(a)
    made = dv.copy(source, device=device, order=order)
    assert made.device == device
    assert made.tobytes() == a.tobytes()
    assert made.shape == a.shape
    assert made.f_contiguous == (order == "F")
    assert made.allocation is not source.allocation
    assert not made.readonly


def test_copy_with_order_a_keeps_fortran():
    f = np.asfortranarray(pattern((3, 4), "i4"))
    assert dv.copy(f, order="A").f_contiguous
    assert dv.copy(f, order="C").c_contiguous


def test_copy_of_read_only_memory_is_writable():
    made = dv.copy(b"abc")
    made[0] = 65
    assert bytes(made) == b"Abc"


def test_view_of_a_view_is_a_view_of_the_same_memory():
    v = dv.empty(4)
    w = dv.view(v)
    x = dv.View(v)
    assert w.ptr == x.ptr == v.ptr
    assert w.allocation is v.allocation is x.allocation
    assert v.allocation.views == 3
    v.release()
    assert w.shape == (4,)


def test_constructor_takes_what_view_takes():
    v = dv.View(bytearray(b"abc"), readonly=True)
    assert isinstance(v, dv.View)
    assert v.readonly
    w = dv.View(b"abc", device=CUDA_DEVICES[0])
    assert w.device == CUDA_DEVICES[0]
    assert bytes(w) == b"abc"


def test_constructor_by_dunder_new_is_the_same():
    v = dv.View.__new__(dv.View, b"abc", readonly=True)
    assert bytes(v) == b"abc"


@pytest.mark.parametrize("args", [(), (b"a", b"b")], ids=["none", "two"])
def test_view_takes_one_positional_argument(args):
    with pytest.raises(TypeError, match="1 positional"):
        dv.view(*args)


def test_view_names_an_unknown_keyword():
    with pytest.raises(TypeError, match="colour"):
        dv.view(b"a", colour="red")


def test_view_type_cannot_be_subclassed_or_changed():
    with pytest.raises(TypeError):
        type("Sub", (dv.View,), {})
    with pytest.raises(TypeError):
        dv.View.shape = 1


@pytest.mark.parametrize(
    "name",
    [
        *("device", "ptr", "format", "itemsize", "shape", "strides", "suboffsets", "ndim"),
        *("nbytes", "readonly", "c_contiguous", "f_contiguous", "contiguous", "obj", "exports"),
        *("released", "stream", "allocation", "T"),
    ],
)
def test_attributes_cannot_be_set(name):
    v = dv.empty(3)
    with pytest.raises(AttributeError):
        setattr(v, name, getattr(v, name))


@pytest.mark.parametrize("readonly", [None, True])
def test_readonly_narrows(readonly):
    data = bytearray(b"abc")
    v = dv.view(data, readonly=readonly)
    assert v.readonly is bool(readonly)
    assert dv.view(v, readonly=True).readonly
    assert not dv.view(data, readonly=False).readonly


def test_readonly_false_on_read_only_memory_is_refused():
    with pytest.raises(BufferError, match="read-only"):
        dv.view(b"abc", readonly=False)
    with pytest.raises(BufferError, match="read-only"):
        dv.view(dv.view(bytearray(2), readonly=True), readonly=False)


@pytest.mark.parametrize("options", [{"copy": True}, {"device": CUDA_DEVICES[0]}], ids=str)
def test_readonly_true_holds_for_a_copy_too(options):
    v = dv.view(bytearray(b"abc"), readonly=True, **options)
    assert v.readonly
    assert bytes(v) == b"abc"


def test_copy_true_always_copies():
    data = bytearray(b"abc")
    v = dv.view(data, copy=True)
    data[0] = 0
    assert bytes(v) == b"abc"
    assert v.obj is None
    own = dv.empty(3)
    assert dv.view(own, copy=True).ptr != own.ptr


def test_copy_false_never_copies():
    data = bytearray(b"abc")
    assert dv.view(data, copy=False).obj is data
    for device in CUDA_DEVICES:
        with pytest.raises(BufferError, match="copy=False"):
            dv.view(data, copy=False, device=device)
    data.append(1)  # nothing holds it


@pytest.mark.parametrize("device", DEVICES)
def test_view_with_device_brings_the_items_there(device):
    a = pattern((5, 7), "f4")[:, ::2]
    v = dv.view(a, device=device)
    assert v.device == device
    assert v.tobytes() == a.tobytes()


def test_repr_is_one_line_with_what_matters():
    text = repr(dv.empty((2, 3), "d", device=CUDA_DEVICES[0]).T)
    for part in (CUDA_DEVICES[0], "'d'", "(3, 2)", "(8, 24)"):
        assert part in text
    assert "\n" not in text
    assert "readonly" not in text
    assert "readonly" in repr(dv.view(b"abc"))
    v = dv.empty(1)
    v.release()
    assert "released" in repr(v)


def test_emulated_device_says_so():
    v = dv.empty(1, device=CUDA_DEVICES[0])
    assert ("(emulated)" in str(v.device)) == v.device.emulated
    assert ("(emulated)" in repr(v)) == v.device.emulated


def test_weak_references_work():
    import weakref

    v = dv.empty(3)
    reference = weakref.ref(v)
    assert reference() is v
    del v
    assert reference() is None


def test_copy_module_does_not_alias_silently():
    # No __reduce_ex__ in this issue: refusing is fine, sharing or garbage is not.
    v = dv.view(bytearray(b"abc"))
    try:
        made = copies.deepcopy(v)
    except TypeError:
        return
    assert made.tobytes() == b"abc"
    assert made.ptr != v.ptr


def test_host_view_memory_is_where_ptr_says():
    v = dv.empty(4)
    v[:] = b"wxyz"
    assert ctypes.string_at(v.ptr, 4) == b"wxyz"
    assert ctypes.string_at(v[2:].ptr, 2) == b"yz"


def test_zero_size_view_of_a_device_has_no_cost():
    v = dv.empty((0, 5), device=CUDA_DEVICES[0])
    assert bytes(v) == b""
    assert v.tolist() == []
    assert v.nbytes == 0
