"""PyTorch beside devview: both protocols both ways, streams, its allocator. No kernel is launched.

PyTorch's wheels hold machine code alone, so that kernels of its own run on a GPU only; copies and
fills of zero do without.
"""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

import devview as dv
from gpu_peers import require
from gpu_work import no_gc

torch = require("torch", "torch")

DTYPES = {
    torch.bool: "?",
    torch.uint8: "B",
    torch.int8: "b",
    torch.int16: "h",
    torch.int32: "i",
    torch.int64: "q",
    torch.float16: "e",
    torch.float32: "f",
    torch.float64: "d",
    torch.complex64: "Zf",
    torch.complex128: "Zd",
    torch.bfloat16: "T{H:bfloat16:}",
}
SMALL = [
    name
    for name in ("float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "float8_e5m2fnuz")
    if hasattr(torch, name)
]
HOST = torch.arange(24, dtype=torch.float32).reshape(4, 6)
WAYS = {
    "view": dv.view,
    "from_dlpack": dv.from_dlpack,
    "legacy capsule": lambda t: dv.from_dlpack(t.__dlpack__(stream=1)),
    "from_cuda_array": dv.from_cuda_array,
}
ways = pytest.mark.parametrize("take", WAYS.values(), ids=WAYS.keys())
TAKERS = {
    "from_dlpack": torch.from_dlpack,
    "legacy capsule": lambda v: torch.from_dlpack(v.__dlpack__(stream=1)),
    "as_tensor": lambda v: torch.as_tensor(v, device="cuda"),
}
takers = pytest.mark.parametrize("take", TAKERS.values(), ids=TAKERS.keys())


def strides_of(tensor) -> tuple:
    return tuple(s * tensor.element_size() for s in tensor.stride())


@ways
@pytest.mark.parametrize("layout", ["dense", "transposed", "sliced", "expanded", "0-d", "empty"])
def test_layouts_out(take, layout):
    def of(t):
        return {
            "dense": t,
            "transposed": t.T,
            "sliced": t[1:, ::2],
            "expanded": t[:1].expand(5, 6),
            "0-d": t[2, 3],
            "empty": t[:0],
        }[layout]

    tensor = of(HOST.cuda())
    view = take(tensor)
    assert (view.device, view.shape) == ("cuda:0", tuple(tensor.shape))
    if view.nbytes:
        assert view.ptr == tensor.data_ptr()
        assert view.strides == strides_of(tensor)
    assert view.tolist() == of(HOST).tolist()


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_item_types_both_ways(dtype):
    tensor = HOST.to(dtype).cuda()
    view = dv.view(tensor)
    assert (view.format, view.ptr) == (DTYPES[dtype], tensor.data_ptr())
    assert view.tolist() == HOST.to(dtype).tolist()
    back = torch.from_dlpack(view)
    assert (back.dtype, back.data_ptr()) == (dtype, tensor.data_ptr())
    assert torch.equal(back.cpu(), HOST.to(dtype))


@pytest.mark.parametrize("name", SMALL)
def test_small_floats(name):
    tensor = torch.zeros(4, dtype=torch.uint8, device="cuda").view(getattr(torch, name))
    view = dv.view(tensor)
    assert view.ptr == tensor.data_ptr()
    assert name.partition("_")[2] in view.format
    assert torch.from_dlpack(view).dtype == tensor.dtype


@takers
@pytest.mark.parametrize("key", [..., (slice(1, None), slice(None, None, 2)), 2], ids=str)
def test_layouts_in(take, key):
    view = dv.copy(HOST.numpy(), device="cuda")[key]
    tensor = take(view)
    assert tensor.is_cuda
    assert (tensor.data_ptr(), tuple(tensor.shape)) == (view.ptr, view.shape)
    assert strides_of(tensor) == view.strides
    assert dv.view(tensor).tolist() == HOST[key].tolist()
    if not tensor.is_contiguous():
        return  # PyTorch reads and fills it by kernels of its own
    assert tensor.cpu().tolist() == HOST[key].tolist()
    tensor.zero_()
    torch.cuda.synchronize()
    assert not np.asarray(view).any()


def test_negative_strides_are_refused_by_pytorch():
    view = dv.copy(HOST.numpy(), device="cuda")[::-1]
    with pytest.raises((RuntimeError, ValueError, BufferError)):
        torch.from_dlpack(view)
    assert view.allocation.exports == 0


@ways
def test_released_at_the_moment(take):
    with no_gc():
        before = torch.cuda.memory_allocated()
        tensor = torch.zeros(1 << 20, dtype=torch.uint8, device="cuda")
        assert torch.cuda.memory_allocated() == before + (1 << 20)
        view = take(tensor)
        del tensor
        assert torch.cuda.memory_allocated() == before + (1 << 20)
        assert bytes(view[:4]) == bytes(4)
        view.release()
        assert torch.cuda.memory_allocated() == before


@takers
def test_devviews_memory_goes_with_the_tensor(take):
    with no_gc():
        before = dv.memory_info("cuda").live_bytes
        tensor = take(dv.zeros(1000, device="cuda"))
        part = tensor[10:20]
        del tensor
        assert dv.memory_info("cuda").live_bytes == before + 1000
        del part
        assert dv.memory_info("cuda").live_bytes == before


# --- Streams ---


def slowly(stream, tensor):
    """Copy on a stream, again and again; the last copy counts."""
    pinned = [torch.full(tensor.shape, n, dtype=tensor.dtype).pin_memory() for n in range(8)]
    with torch.cuda.stream(stream):
        for host in pinned:
            tensor.copy_(host, non_blocking=True)
    return pinned


@ways
def test_devview_reads_what_pytorch_is_still_writing(take):
    tensor = torch.zeros(1 << 20, dtype=torch.uint8, device="cuda")
    torch.cuda.synchronize()
    stream = torch.cuda.Stream()
    held = slowly(stream, tensor)
    if take is dv.from_cuda_array or take is WAYS["legacy capsule"]:
        # Its dict names no stream, and a stream given is the consumer's: ours has to be told.
        own = dv.Stream("cuda")
        own.wait(stream.cuda_stream)
        with torch.cuda.stream(stream):
            view = take(tensor)
        assert bytes(view.copy(stream=own)) == b"\7" * (1 << 20)
    else:
        with torch.cuda.stream(stream):
            view = take(tensor)
        assert bytes(view) == b"\7" * (1 << 20)
    del held


def test_pytorch_reads_what_devview_is_still_writing():
    own, stream = dv.Stream("cuda"), torch.cuda.Stream()
    view = dv.zeros(1 << 20, device="cuda", stream=own)
    for value in range(8):
        view.fill(value, stream=own)
    with torch.cuda.stream(stream):
        host = torch.from_dlpack(view).cpu()
    assert bool((host == 7).all())


def test_streams_of_pytorch_are_streams_for_devview():
    stream = torch.cuda.Stream()
    for told in (
        (stream, stream.cuda_stream)
        if hasattr(stream, "__cuda_stream__")
        else (stream.cuda_stream,)
    ):
        view = dv.zeros(64, device="cuda", stream=told)
        view.fill(3, stream=told)
        assert view.copy(stream=told).tolist() == [3] * 64
        stream.synchronize()


def test_host_consumers(tmp_path):
    tensor = HOST.cuda()
    view = dv.view(tensor.T)
    content = HOST.T.contiguous().numpy().tobytes()
    assert bytes(view) == content
    path = tmp_path / "items"
    path.write_bytes(content[::-1])
    with path.open("rb") as file:
        file.readinto(view)
    assert tensor.T.cpu().contiguous().numpy().tobytes() == content[::-1]
    dv.copyto(tensor, HOST.numpy())
    assert torch.equal(tensor.cpu(), HOST)


# --- The allocator, which PyTorch takes before its first allocation only ---


def test_pytorchs_memory_from_devview():
    script = """
        import devview as dv, torch
        a = dv.allocator()
        plugged = torch.cuda.memory.CUDAPluggableAllocator(a.library, a.alloc_name, a.free_name)
        torch.cuda.memory.change_current_allocator(plugged)
        before = dv.memory_info("cuda").live_bytes
        tensor = torch.zeros(1000, dtype=torch.uint8, device="cuda")
        print(dv.memory_info("cuda").live_bytes - before)
        print([row.owned for row in dv.live() if row.ptr == tensor.data_ptr()])
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            other = tensor.clone()
        stream.synchronize()
        print(bool((other.cpu() == 0).all()), dv.view(other).tolist() == [0] * 1000)
        del tensor, other
        print(dv.memory_info("cuda").live_bytes - before)
        try:
            torch.empty(1 << 45, dtype=torch.uint8, device="cuda")
        except RuntimeError as error:
            print("refused", str(1 << 45) in str(error))
        print(dv.release_errors())
    """
    package = str(Path(dv.__file__).parents[1])
    path = os.pathsep.join(filter(None, [package, os.environ.get("PYTHONPATH")]))
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        capture_output=True,
        text=True,
        timeout=200,
        env=os.environ | {"PYTHONPATH": path},
        check=False,
    )
    assert done.stdout.splitlines() == [
        "1000",
        "[True]",
        "True True",
        "0",
        "refused True",
        "0",
    ], done.stderr
