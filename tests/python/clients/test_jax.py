"""JAX on the host: arrays over views without a copy, and views of arrays.

JAX takes memory over as it is from an alignment of 64 bytes up; devview's own has 256. Its strides
must be those of a dense array, in whatever order of axes: everything else it refuses.
"""

from __future__ import annotations

import ctypes
import gc

import numpy as np
import pytest

import devview as dv
from clients.consumer import Consumer, ConsumerContract, Lent
from clients.contract import CUDA, require
from support import no_gc

jax = require("jax", "jax")
jnp = jax.numpy

# A computation is over for its caller before the thread that ran it has dropped its arguments.
pytestmark = pytest.mark.lets_go_later

FORMATS = {
    "f": [1.5, -2.0, 3.25, 0.0, 5.0, -6.5],
    "?": [True, False, False, True, True, False],
    "b": [-128, 0, 1, 2, 3, 127],
    "B": [255, 0, 1, 2, 3, 4],
    "h": [-(2**15), 0, 1, 2, 3, 4],
    "i": [-(2**31), 0, 1, 2, 3, 4],
    "I": [2**32 - 1, 0, 1, 2, 3, 4],
    "e": [0.5, 0.0, 1.0, 2.0, 3.0, 4.0],
    "Zf": [1 - 2j, 0j, 1j, 2j, 3j, 4j],
}
Refused = (jax.errors.JaxRuntimeError, ValueError, BufferError, TypeError)


class TestJaxTakesViews(ConsumerContract):
    consumer = Consumer(
        name="jax.dlpack.from_dlpack",
        take=jax.dlpack.from_dlpack,
        address=lambda array: array.unsafe_buffer_pointer(),
        read=lambda array: array.tolist(),
        formats=FORMATS,
        write=None,  # arrays of JAX are never written
        readonly="refused",  # JAX asks for the legacy struct, which cannot say read-only
        strided=jax.errors.JaxRuntimeError,
    )

    def test_a_change_in_the_view_is_seen_by_the_client(self, formats):
        """JAX may cache what it has shown once: a copy of its own is made after the change."""
        for format in formats:
            v = dv.zeros((2, 3), format)
            array = jax.dlpack.from_dlpack(v)
            v[1, 2] = FORMATS[format][0]
            seen = (ctypes.c_char * v.nbytes).from_address(array.unsafe_buffer_pointer())
            assert bytes(seen) == v.tobytes()
            assert jnp.copy(array).tolist()[1][2] == FORMATS[format][0]
            del array


def test_jax_computes_on_the_memory_of_a_view():
    v = dv.zeros((64, 64), "f")
    v.fill(2.0)
    array = jax.dlpack.from_dlpack(v)
    assert array.unsafe_buffer_pointer() == v.ptr
    total = jax.jit(lambda x: (x @ x).sum())(array)
    assert float(total) == 4.0 * 64**3


def test_every_allocation_of_devview_is_aligned_enough():
    for place in ("cpu", "pinned"):
        for count in (1, 3, 1000):
            v = dv.zeros(count, "f", device=place)
            assert v.ptr % 256 == 0
    v = dv.zeros(64, "f")
    assert jax.dlpack.from_dlpack(v, copy=False).unsafe_buffer_pointer() == v.ptr


def test_a_view_that_starts_between_is_copied_and_a_copy_can_be_forbidden():
    v = dv.zeros(64, "f")
    aligned, between = v[16:], v[1:]
    assert jax.dlpack.from_dlpack(aligned).unsafe_buffer_pointer() == aligned.ptr
    assert jax.dlpack.from_dlpack(between).unsafe_buffer_pointer() != between.ptr
    with pytest.raises(ValueError, match="aligned"):
        jax.dlpack.from_dlpack(between, copy=False)
    gc.collect()
    assert v.allocation.exports == 0


def test_dense_memory_in_another_order_of_axes_is_taken():
    v = dv.view(np.arange(24, dtype="f4").reshape(2, 3, 4)).copy()
    for part in (v.T, v.transpose(1, 0, 2), v.transpose(2, 0, 1), v[:1], v[1]):
        assert jax.dlpack.from_dlpack(part).tolist() == part.tolist()


@pytest.mark.parametrize(
    "part", [lambda v: v[:, ::2], lambda v: v[::-1], lambda v: v[:, 1:], lambda v: v[0].T[::3]]
)
def test_memory_with_gaps_or_backwards_is_refused(part):
    v = dv.zeros((4, 6), "f")
    with pytest.raises(Refused):
        jax.dlpack.from_dlpack(part(v))
    gc.collect()
    assert v.allocation.exports == 0


def test_a_broadcast_view_is_refused():
    with pytest.raises(Refused):
        jax.dlpack.from_dlpack(dv.zeros(3, "f").broadcast_to((2, 3)))


def test_a_copy_is_made_by_the_view_for_jax_makes_none():
    """copy=True of jax 0.10 shares aligned memory all the same, NumPy's as well."""
    lent = Lent()
    shared = jax.dlpack.from_dlpack(lent.view, copy=True)
    array = jax.dlpack.from_dlpack(lent.view.copy())
    lent.view.fill(1.0)
    assert array.tolist() == [[0.0] * 3] * 2
    del array, shared
    gc.collect()
    assert lent.exports == 0


def test_small_floats_keep_their_type():
    for format, dtype in (("T{H:bfloat16:}", jnp.bfloat16), ("e", jnp.float16)):
        v = dv.zeros((2, 3), format)
        v[1, 2] = 1.5
        array = jax.dlpack.from_dlpack(v)
        assert array.dtype == dtype
        assert array.unsafe_buffer_pointer() == v.ptr
        assert float(array[1, 2]) == 1.5
        back = dv.from_dlpack(array)
        assert (back.format, back.ptr, back[1, 2]) == (v.format, v.ptr, 1.5)
        del array, back


def test_records_are_refused_by_name():
    with pytest.raises(BufferError, match=r"T\{i:a:f:b:\}"):
        jax.dlpack.from_dlpack(dv.zeros(2, "T{i:a:f:b:}"))


def test_a_device_view_does_not_come_to_the_host_by_itself():
    d = dv.zeros((2, 3), "f", device=CUDA)
    with pytest.raises((*Refused, RuntimeError)):
        jax.dlpack.from_dlpack(d)
    gc.collect()
    assert d.allocation.exports == 0
    array = jax.dlpack.from_dlpack(d.to("cpu"))
    assert array.tolist() == d.tolist()


def test_buffers_are_copied_by_jnp_asarray():
    """jnp.asarray goes by NumPy, which takes the buffer; JAX shares it where it is aligned."""
    v = dv.zeros((2, 3), "f")
    v.fill(3.0)
    array = jnp.asarray(np.asarray(v))
    assert array.tolist() == v.tolist()
    del array
    gc.collect()
    v.release()


# --- Arrays of JAX are viewed ---


@pytest.mark.parametrize("view", [dv.view, dv.from_dlpack], ids=["view", "from_dlpack"])
@pytest.mark.parametrize(
    "dtype", ["bool", "int8", "uint8", "int16", "int32", "uint32", "float16", "float32"]
)
def test_an_array_is_viewed_in_place(view, dtype):
    array = jnp.arange(6).reshape(2, 3).astype(dtype)
    v = view(array)
    assert v.ptr == array.unsafe_buffer_pointer()
    assert (v.device, v.shape, v.c_contiguous) == ("cpu", (2, 3), True)
    assert dv.Format(v.format).to_numpy() == np.dtype(dtype)
    assert v.tolist() == array.tolist()


def test_the_buffer_of_an_array_is_read_only():
    v = dv.view(jnp.arange(6))
    assert v.readonly
    with pytest.raises(TypeError, match="read-only"):
        v[0] = 1


def test_an_array_is_held_by_its_view():
    with no_gc():
        array = jnp.arange(6, dtype="f") * 2
        array.block_until_ready()
        for view in (dv.view, dv.from_dlpack):
            v = view(array)
            part = v[1:]
            v.release()
            assert part.tolist() == [2.0, 4.0, 6.0, 8.0, 10.0]
            del part, v
        v = dv.from_dlpack(array)
        address = v.ptr
        del array
        others = [jnp.ones(6) for _ in range(10)]
        assert all(other.unsafe_buffer_pointer() != address for other in others)
        assert v.tolist() == [0.0, 2.0, 4.0, 6.0, 8.0, 10.0]


def test_an_array_moves_to_a_device_and_back():
    array = jnp.arange(6, dtype="f").reshape(2, 3)
    d = dv.view(array).to(CUDA)
    d[1, 2] = -1.0
    back = jax.dlpack.from_dlpack(d.to("cpu"))
    assert back.tolist() == [[0.0, 1.0, 2.0], [3.0, 4.0, -1.0]]
    assert array[1, 2] == 5.0


def test_an_array_of_an_array_is_the_same_memory():
    array = jnp.arange(16, dtype="f")
    v = dv.from_dlpack(array)
    assert not v.readonly  # the legacy struct that JAX exports cannot say so
    assert jax.dlpack.from_dlpack(v).unsafe_buffer_pointer() == array.unsafe_buffer_pointer()
