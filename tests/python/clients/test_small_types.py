"""bfloat16, 8-, 6- and 4-bit items with MLX, JAX and tvm-ffi, both ways, padded and packed."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest

import devview as dv
from clients.contract import require
from dlpack_capsules import Crafted, DataType

mx = require("mlx.core", "mlx")
jax = require("jax", "jax")
tvm_ffi = require("tvm_ffi", "apache-tvm-ffi")

JAX_FLOATS = ("bfloat16", "float8_e4m3fn", "float8_e5m2", "float8_e4m3b11fnuz", "float8_e8m0fnu")
VALUES = [4, 1, 2, 0.5, 4, 1, 2, 0.5]  # powers of two: float8_e8m0fnu has no others


def array_of(name: str) -> np.ndarray:
    return np.array(VALUES).astype(getattr(ml_dtypes, name))


def packed(name: str) -> dv.Format:
    return dv.Format(name, packed=True)


def jax_array(name: str):
    return jax.numpy.asarray(array_of(name))


# --- In ---


def test_mlx_names_its_items_in_the_buffer_protocol():
    a = mx.array(VALUES, mx.bfloat16)
    assert memoryview(a).format == "bfloat16"  # a text that PEP 3118 does not have
    v = dv.from_buffer(a)
    assert dv.Format(v) == dv.Format("bfloat16")
    assert v.tolist() == VALUES
    assert dv.view(memoryview(a)).ptr == dv.view(a).ptr == v.ptr


@pytest.mark.parametrize("name", JAX_FLOATS)
def test_jax_array(name):
    a = jax_array(name)
    v = dv.view(a)
    assert dv.Format(v) == dv.Format(name)
    assert v.ptr == a.unsafe_buffer_pointer()
    back = np.asarray(v).view(getattr(ml_dtypes, name))
    assert back.astype("f8").tolist() == np.asarray(a).astype("f8").tolist()


def test_jax_has_packed_floats_in_its_capsules():
    a = jax_array("float4_e2m1fn")
    v = dv.view(a)
    assert (v.format, v.shape, v.nbytes) == ("T{4t:float4_e2m1fn:}", (8,), 4)
    assert v.tolist() == np.asarray(a).astype("f8").tolist() == VALUES


# --- Out ---


@pytest.mark.parametrize("name", JAX_FLOATS)
def test_view_to_jax(name):
    source = array_of(name)
    v = dv.copy(source)
    a = jax.dlpack.from_dlpack(v, copy=False)
    assert a.dtype == source.dtype
    assert a.unsafe_buffer_pointer() == v.ptr
    np.testing.assert_array_equal(np.asarray(a).view("u1"), source.view("u1"))


@pytest.mark.parametrize(
    ("name", "text"),
    [(name, name) for name in JAX_FLOATS]
    + [(f"{name}:packed", name) for name in ("int4", "uint4", "float4_e2m1fn", "float6_e3m2fn")],
)
def test_view_to_tvm_and_back(name, text):
    small = text == name
    source = dv.view(array_of(text))
    v = source.copy() if small else source.astype(packed(text))
    t = tvm_ffi.from_dlpack(v)
    assert str(t.dtype) == text
    assert t.data_ptr() == v.ptr
    assert tuple(t.shape) == v.shape
    back = dv.view(t)
    assert dv.Format(back) == dv.Format(v)
    assert back.ptr == v.ptr
    assert back.tolist() == v.tolist() == source.tolist()
    back[3] = back[1]
    assert v[3] == v[1]


class Pairs:
    """A producer of items of two lanes, four bits each, as PyTorch's float4_e2m1fn_x2."""

    def __init__(self, array: np.ndarray):
        self.crafted = Crafted(legacy=True, array=array)
        self.crafted.tensor.dtype = DataType(17, 4, 2)
        self.crafted.set_axes(array.shape)

    def __dlpack__(self, **_options):
        return self.crafted.capsule()

    def __dlpack_device__(self):
        return 1, 0


def test_pairs_of_four_bits_are_items_of_the_last_axis():
    raw = np.arange(12, dtype="u1").reshape(3, 4)
    t = tvm_ffi.from_dlpack(Pairs(raw))
    assert (str(t.dtype), tuple(t.shape)) == ("float4_e2m1fnx2", (3, 4))
    for v in (dv.view(t), dv.from_dlpack(Pairs(raw))):
        assert (v.format, v.shape, v.ptr) == ("T{4t:float4_e2m1fn:}", (3, 8), raw.ctypes.data)
        assert v.tobytes() == raw.tobytes()
