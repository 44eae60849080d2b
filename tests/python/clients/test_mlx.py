"""MLX on the host: its arrays are viewed in place; what it takes, it copies."""

from __future__ import annotations

import gc

import numpy as np
import pytest

import devview as dv
from clients.consumer import Lent
from clients.contract import CUDA, Case, Contract, require

mx = require("mlx.core", "mlx-cpu")


def on_cpu(values, dtype):
    array = mx.array(values, dtype=dtype)
    mx.eval(array)
    return array


def ndarray_of(array) -> np.ndarray:
    return np.array(array, copy=False)


def set_item(array, value) -> None:
    """MLX replaces an array's memory when an item is set; NumPy writes where it is."""
    ndarray_of(array)[1, 2] = value


def mlx_case(name: str, make, format: str, **more) -> Case:
    a = make()
    return Case(
        name=name,
        make=make,
        address=lambda array: ndarray_of(array).ctypes.data,
        read=lambda array: array.tolist(),
        format=format,
        shape=a.shape,
        strides=ndarray_of(a).strides,
        index=(1, 2),
        value=7,
        write=set_item,
        **more,
    )


VALUES = [[0, 1, 2], [3, 4, 5]]
CASES = [
    mlx_case("float32", lambda: on_cpu(VALUES, mx.float32), "f"),
    mlx_case("int16", lambda: on_cpu(VALUES, mx.int16), "h"),
    mlx_case("float16", lambda: on_cpu(VALUES, mx.float16), "e"),
    mlx_case("complex64", lambda: on_cpu(VALUES, mx.complex64), "Zf"),
    mlx_case("from_dlpack", lambda: on_cpu(VALUES, mx.float32), "f", view=dv.from_dlpack),
]


@pytest.mark.parametrize("case", CASES, ids=str)
class TestMlxIsViewed(Contract):
    def test_the_client_is_given_back_with_the_last_view(self, case):
        """Its exports hold the memory, not the Python object: MLX counts that itself."""
        before = mx.get_active_memory()
        array = case.make()
        alone = mx.get_active_memory()
        v = case.view(array)
        part = v[...]
        del array
        v.release()
        del v
        gc.collect()
        assert mx.get_active_memory() == alone
        del part
        gc.collect()
        assert mx.get_active_memory() == before


def test_what_is_not_computed_yet_is_computed_for_the_view():
    v = dv.view(mx.ones((2, 3)) + mx.ones((2, 3)))
    assert v.tolist() == [[2.0] * 3] * 2


def test_a_turned_array_keeps_its_strides():
    array = on_cpu(VALUES, mx.float32).T
    v = dv.view(array)
    assert (v.shape, v.strides) == ((3, 2), (4, 12))
    assert v.tolist() == array.tolist()


def test_bfloat16_is_named_by_no_buffer_format_and_comes_by_dlpack():
    """Its buffer's format is "bfloat16", which PEP 3118 does not know: the next is asked."""
    array = on_cpu([1.5, -2.0, 3.0], mx.bfloat16)
    assert memoryview(array).format == "bfloat16"
    v = dv.view(array)
    assert v.format == "T{H:bfloat16:}"
    assert v.tolist() == [1.5, -2.0, 3.0]
    assert v.ptr == dv.from_dlpack(array).ptr
    d = v.to(CUDA)
    assert d.tolist() == v.tolist()


# --- MLX takes views: it copies what it takes ---


@pytest.mark.parametrize("format", ["f", "?", "b", "B", "h", "H", "i", "I", "q", "Q", "e", "Zf"])
def test_every_type_arrives(format):
    lent = Lent((2, 3), format)
    lent.view[1, 2] = 1
    array = mx.from_dlpack(lent.view)
    assert array.shape == (2, 3)
    assert array.tolist() == lent.view.tolist()
    assert dv.view(array).format == memoryview(array).format
    del array
    gc.collect()
    assert lent.exports == 0


def test_mlx_copies_memory_of_the_host():
    lent = Lent((2, 3), "f")
    array = mx.from_dlpack(lent.view)
    assert lent.exports == 0
    lent.view.fill(1.0)
    assert array.tolist() == [[0.0] * 3] * 2
    with pytest.raises(ValueError, match="without a copy"):
        mx.from_dlpack(lent.view, copy=False)
    gc.collect()
    assert lent.exports == 0


def test_strided_turned_and_read_only_views_arrive():
    """MLX asks for the legacy struct first, and for the versioned one when that is refused."""
    v = dv.view(np.arange(24, dtype="f4").reshape(4, 6))
    for part in (v[:, ::2], v.T, v.toreadonly(), v.broadcast_to((2, 4, 6))):
        assert mx.from_dlpack(part).tolist() == part.tolist()
    with pytest.raises(ValueError, match="negative strides"):
        mx.from_dlpack(v[::-1])
    gc.collect()
    assert v.allocation.exports == 0


def test_bfloat16_arrives():
    v = dv.zeros(3, "T{H:bfloat16:}")
    v[1] = 1.5
    array = mx.from_dlpack(v)
    assert array.dtype == mx.bfloat16
    assert array.tolist() == [0.0, 1.5, 0.0]


def test_a_buffer_of_a_device_view_arrives():
    d = dv.view(np.arange(6, dtype="f4").reshape(2, 3)).to(CUDA)
    assert mx.array(memoryview(d)).tolist() == d.tolist()
    d.release()


def test_a_device_view_is_refused_by_dlpack():
    d = dv.zeros((2, 3), "f", device=CUDA)
    with pytest.raises((BufferError, ValueError, RuntimeError, TypeError)):
        mx.from_dlpack(d)
    gc.collect()
    assert d.allocation.exports == 0
