"""The C exchange API with released peers on the other side: apache-tvm-ffi and cuda.core."""

from __future__ import annotations

import gc
import textwrap

import numpy as np
import pytest

import devview as dv
import dlpack_capsules as dl
from clients.contract import require
from dlpack_capsules import Crafted, call_deleter
from exchange_tables import (
    FROM_OBJECT,
    TO_OBJECT,
    counted,
    entry_of,
    managed_of,
    object_of,
)
from support import CUDA_DEVICES, EMULATED, no_gc, run_clean

tvm_ffi = require("tvm_ffi", "apache-tvm-ffi")
TvmProducer = tvm_ffi.core.DLTensorTestWrapper  # tvm-ffi's one type with a table


# --- tvm-ffi takes views ---


def test_tvm_ffi_takes_the_table_and_not_a_capsule():
    a = np.arange(12, dtype="f4").reshape(3, 4)
    v = dv.view(a)
    with counted(FROM_OBJECT) as calls:
        tensor = tvm_ffi.from_dlpack(v)
    assert len(calls) == 1
    assert tensor.data_ptr() == a.ctypes.data
    assert (tensor.shape, tensor.strides, str(tensor.dtype)) == ((3, 4), (4, 1), "float32")
    a[1, 2] = 99
    assert np.from_dlpack(tensor)[1, 2] == 99
    # No capsule could have brought this one in: tvm-ffi asks for legacy ones.
    readonly = dv.view(b"abcd")
    with pytest.raises(BufferError):
        readonly.__dlpack__()
    assert tvm_ffi.from_dlpack(readonly).data_ptr() == readonly.ptr


@pytest.mark.parametrize(
    "key", [(slice(None), slice(None, None, 2)), (slice(None, None, -1),), (1,), (slice(0, 0),)]
)
def test_tvm_ffi_gets_the_layout(key):
    a = np.arange(12, dtype="i8").reshape(3, 4)
    tensor = tvm_ffi.from_dlpack(dv.view(a)[key])
    assert tensor.shape == a[key].shape
    if a[key].size:
        assert tensor.data_ptr() == a[key].ctypes.data
        assert tensor.strides == tuple(s // 8 for s in a[key].strides)


@pytest.mark.parametrize("device", CUDA_DEVICES)
def test_tvm_ffi_gets_device_memory(device):
    v = dv.zeros((3, 4), "d", device=device)[:, 1:]
    with counted(FROM_OBJECT) as calls:
        tensor = tvm_ffi.from_dlpack(v)
    assert len(calls) == 1
    assert str(tensor.device) == device
    assert (tensor.data_ptr(), tensor.shape, tensor.strides) == (v.ptr, (3, 3), (4, 1))


@pytest.mark.parametrize("device", ["cpu", *CUDA_DEVICES])
def test_a_tensor_keeps_the_memory_and_lets_it_go(device):
    before = dv.memory_info(device).live_bytes
    v = dv.zeros(1000, device=device)
    allocation = v.allocation
    with no_gc():
        tensor = tvm_ffi.from_dlpack(v)
        second = tvm_ffi.from_dlpack(v)
        assert (allocation.exports, v.exports) == (2, 0)
        v.release()
        del v
        with pytest.raises(BufferError, match="2 exports"):
            allocation.free()
        del tensor
        assert allocation.exports == 1
        del allocation
        assert dv.memory_info(device).live_bytes == before + 1000
        del second
        assert dv.memory_info(device).live_bytes == before


def test_functions_of_tvm_ffi_take_and_give_views():
    """An argument goes in by one entry, the result comes back as a View by another."""
    v = dv.view(np.arange(6, dtype="f4"))
    seen = []

    def same(tensor):
        seen.append(tensor.data_ptr())
        return tensor

    with counted(FROM_OBJECT) as given, counted(TO_OBJECT) as taken:
        result = tvm_ffi.convert(same)(v)
    assert (len(given), len(taken)) == (1, 1)
    assert seen == [v.ptr]
    assert type(result) is dv.View
    assert (result.ptr, result.tolist()) == (v.ptr, v.tolist())
    result.release()
    assert v.allocation.exports == 0


# --- views of tvm-ffi's ---


def test_view_of_a_tvm_ffi_object_with_a_table():
    a = np.arange(12, dtype="f4").reshape(3, 4)
    v = dv.view(TvmProducer(tvm_ffi.from_dlpack(a)))
    assert v.ptr == a.ctypes.data
    v[2, 3] = -1
    assert a[2, 3] == -1
    v.release()


@EMULATED
@pytest.mark.parametrize("device", CUDA_DEVICES)
def test_view_of_device_memory_of_tvm_ffi(device):
    memory = dv.zeros((3, 4), "f", device=device)
    v = dv.view(TvmProducer(tvm_ffi.from_dlpack(memory)))
    assert (v.ptr, v.device, v.shape) == (memory.ptr, memory.device, (3, 4))
    v.fill(3.0)
    assert memory.tolist() == [[3.0] * 4] * 3
    assert memory.allocation.exports == 1
    v.release()
    assert memory.allocation.exports == 0


def test_a_refused_result_is_deleted_by_tvm_ffi_alone():
    """It calls the deleter of what could not become a View, and goes on with its own tensor."""
    crafted = Crafted()
    crafted.tensor.dtype = dl.DataType(dl.FLOAT, 7, 1)  # tvm-ffi takes any number of bits
    strange = tvm_ffi.from_dlpack(crafted.capsule())
    result = tvm_ffi.convert(lambda _, held=strange: held)(dv.zeros(3))
    assert isinstance(result, tvm_ffi.Tensor)
    assert result.data_ptr() == crafted.array.ctypes.data
    assert crafted.deleted == 0
    del strange, result
    gc.collect()
    assert crafted.deleted == 1


# --- cuda.core ---


@pytest.fixture(scope="module")
def strided_memory_view():
    require("cuda.bindings", "cuda-bindings")
    return require("cuda.core.utils", "cuda-core").StridedMemoryView


def test_view_of_a_cuda_core_view(strided_memory_view):
    a = np.arange(12, dtype="f4").reshape(3, 4)
    theirs = strided_memory_view.from_dlpack(a, stream_ptr=-1)
    v = dv.view(theirs)
    assert (v.ptr, v.shape, v.readonly) == (a.ctypes.data, (3, 4), False)
    v[0, 0] = 5
    assert a[0, 0] == 5


def test_cuda_core_takes_and_gives_managed_tensors_of_views(strided_memory_view):
    v = dv.view(np.arange(12, dtype="f4").reshape(3, 4))
    theirs = object_of(managed_of(v), strided_memory_view)
    assert (theirs.ptr, tuple(theirs.shape)) == (v.ptr, (3, 4))
    assert v.allocation.exports == 1
    back = object_of(managed_of(theirs))
    del theirs
    assert (back.ptr, back.tolist()) == (v.ptr, v.tolist())
    back.release()
    assert v.allocation.exports == 0
    assert entry_of(TO_OBJECT, strided_memory_view)
    call_deleter(managed_of(v))


# --- The end ---

LIVE = {
    "tensors of views": """
        kept = [tvm_ffi.from_dlpack(dv.zeros(9, device=d)) for d in ("cpu", "cuda", "pinned")]
        kept.append(tvm_ffi.from_dlpack(dv.view(bytearray(9))))
    """,
    "views of tensors": """
        Wrapper = tvm_ffi.core.DLTensorTestWrapper
        kept = [dv.view(Wrapper(tvm_ffi.from_dlpack(np.zeros(9)))),
                dv.view(Wrapper(tvm_ffi.from_dlpack(dv.zeros(9, device="cuda"))))]
    """,
    "both, in a module and a cycle": """
        class Node: pass
        n = Node(); n.me = n; n.t = tvm_ffi.from_dlpack(dv.view(np.zeros(9)))
        n.v = dv.view(tvm_ffi.core.DLTensorTestWrapper(n.t))
        sys.modules["x"] = type("M", (), {"t": n.t, "v": n.v})()
        tvm_ffi.keep = n.t
    """,
}


@EMULATED
@pytest.mark.parametrize("what", LIVE)
def test_the_interpreter_ends_cleanly_with_live(what):
    script = "import tvm_ffi\n" + textwrap.dedent(LIVE[what]) + "\nprint('end')"
    assert run_clean(script) == "end\n"
