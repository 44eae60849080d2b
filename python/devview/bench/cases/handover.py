"""Hand-overs: arrays of every framework become views, and views become buffers and tensors.

Each framework's array is taken by `dv.view` and by nothing else of devview's.
"""

from __future__ import annotations

import subprocess
import sys
from typing import Any

from devview.bench.case import Case, Promise, Side

# The least that a call from Python into C with this argument costs: nothing is made or kept.
BARE = "bare call"


def host(quick: bool) -> dict[str, Any]:
    """Return an array, bytes, and views and memoryviews of them."""
    import numpy as np

    import devview as dv

    a = np.arange(100 * 100, dtype="f8").reshape(100, 100)
    b = bytearray(range(200))
    return {
        "np": np,
        "view": dv.view,
        "new": (1, 1),
        "a": a,
        "b": b,
        "v": dv.view(b),
        "m": memoryview(b),
        "v2": dv.view(a),
        "m2": memoryview(a),
    }


def tvm(quick: bool) -> dict[str, Any]:
    """Return the same, a tensor of tvm-ffi, and one as a type with an exchange table has it."""
    import tvm_ffi

    scope = host(quick)
    t = tvm_ffi.from_dlpack(scope["a"])
    # Of tvm-ffi's own types this one alone has __dlpack_c_exchange_api__.
    return scope | {"tvm_ffi": tvm_ffi, "t": t, "x": tvm_ffi.core.DLTensorTestWrapper(t)}


def core(quick: bool) -> dict[str, Any]:
    """Return the same, and cuda.core's view."""
    from cuda.core.utils import StridedMemoryView

    return host(quick) | {"StridedMemoryView": StridedMemoryView}


def jax(quick: bool) -> dict[str, Any]:
    """Return an array of JAX's, on the host."""
    import jax

    scope = host(quick)
    with jax.default_device(jax.devices("cpu")[0]):
        return scope | {"j": jax.numpy.ones((100, 100), "float32")}


def torch(quick: bool) -> dict[str, Any]:
    """Return a tensor of PyTorch's, on the host."""
    import torch

    return host(quick) | {"torch": torch, "p": torch.ones(100, 100)}


def cupy(quick: bool) -> dict[str, Any]:
    """Return an array of CuPy's, and a view of it."""
    import cupy

    import devview as dv

    c = cupy.ones((100, 100))
    return {"view": dv.view, "cupy": cupy, "c": c, "vc": dv.view(c)}


def bare(name: str) -> Side:
    """Return the limit: a builtin function that takes the argument and answers True."""
    return Side(BARE, f"callable({name})", "limit")


def start(quick: bool) -> dict[str, Any]:
    """Return what starts an interpreter with some code."""
    return {"run": lambda code: subprocess.run([sys.executable, "-c", code], check=True)}


CASES = (
    Case(
        "hand-over",
        "view of an ndarray",
        (
            Side("devview", "view(a)", "ours"),
            Side("memoryview(ndarray)", "memoryview(a)"),
            Side("np.from_dlpack", "np.from_dlpack(a)"),
            bare("a"),
        ),
        host,
        (Promise("memoryview(ndarray)", at_most=0.7),),
    ),
    Case(
        "hand-over",
        "view of an ndarray, beside tvm-ffi",
        (
            Side("devview", "view(a)", "ours", "tvm-ffi"),
            Side("tvm_ffi.from_dlpack", "tvm_ffi.from_dlpack(a)", library="tvm-ffi"),
            bare("a"),
        ),
        tvm,
    ),
    Case(
        "hand-over",
        "view of an ndarray, beside cuda.core",
        (
            Side("devview", "view(a)", "ours", "cuda.core"),
            Side(
                "StridedMemoryView.from_dlpack",
                "StridedMemoryView.from_dlpack(a, stream_ptr=-1)",
                library="cuda.core",
            ),
            Side(
                "StridedMemoryView.from_any_interface",
                "StridedMemoryView.from_any_interface(a, stream_ptr=-1)",
                library="cuda.core",
            ),
            bare("a"),
        ),
        core,
    ),
    Case(
        "hand-over",
        "view of a bytearray",
        (Side("devview", "view(b)", "ours"), Side("memoryview", "memoryview(b)"), bare("b")),
        host,
    ),
    Case(
        "hand-over",
        "view, used and released",
        (
            Side("devview", "with view(a): pass", "ours"),
            Side("memoryview(ndarray)", "with memoryview(a): pass"),
            bare("a"),
        ),
        host,
        (Promise("memoryview(ndarray)", at_most=0.85),),
    ),
    Case(
        "hand-over",
        "view of a tvm-ffi tensor",
        (
            Side("devview", "view(t)", "ours", "tvm-ffi"),
            Side("tvm_ffi.from_dlpack", "tvm_ffi.from_dlpack(t)", library="tvm-ffi"),
            bare("t"),
        ),
        tvm,
    ),
    Case(
        "hand-over",
        "view through the C exchange API",
        (
            Side("devview", "view(x)", "ours", "tvm-ffi"),
            Side("tvm_ffi.from_dlpack", "tvm_ffi.from_dlpack(x)", library="tvm-ffi"),
            bare("x"),
        ),
        tvm,
        (Promise("tvm_ffi.from_dlpack", at_most=0.6),),
    ),
    Case(
        "hand-over",
        "view of a JAX array",
        (
            Side("devview", "view(j)", "ours", "JAX"),
            Side("np.from_dlpack", "np.from_dlpack(j)", library="JAX"),
            Side("memoryview", "memoryview(j)", library="JAX"),
            bare("j"),
        ),
        jax,
    ),
    Case(
        "hand-over",
        "view of a PyTorch tensor",
        (
            Side("devview", "view(p)", "ours", "PyTorch"),
            Side("torch.from_dlpack", "torch.from_dlpack(p)", library="PyTorch"),
            Side("tensor.numpy()", "p.numpy()", library="PyTorch"),
            bare("p"),
        ),
        torch,
    ),
    Case(
        "hand-over",
        "view of a CuPy array",
        (
            Side("devview", "view(c)", "ours", "CuPy"),
            Side("cupy.from_dlpack", "cupy.from_dlpack(c)", library="CuPy"),
            bare("c"),
        ),
        cupy,
    ),
    Case(
        "hand-over",
        "CuPy takes a view",
        (
            Side("devview", "cupy.from_dlpack(vc)", "ours", "CuPy"),
            Side("its own array", "cupy.from_dlpack(c)", library="CuPy"),
            bare("vc"),
        ),
        cupy,
    ),
    Case(
        "hand-over",
        "memoryview of a view",
        (
            Side("devview", "memoryview(v2)", "ours"),
            Side("memoryview(bytearray)", "memoryview(b)"),
            Side("memoryview(ndarray)", "memoryview(a)"),
            bare("v2"),
        ),
        host,
        (
            Promise("memoryview(bytearray)", at_most=1.1),
            Promise("memoryview(ndarray)", at_most=0.8),
        ),
    ),
    Case(
        "hand-over",
        "NumPy takes a view",
        (
            Side("devview", "np.asarray(v2)", "ours"),
            Side("np.asarray(memoryview)", "np.asarray(m2)"),
            bare("v2"),
        ),
        host,
    ),
    Case(
        "hand-over",
        "tvm-ffi takes a view",
        (
            Side("devview", "tvm_ffi.from_dlpack(v2)", "ours", "tvm-ffi"),
            Side("of an ndarray", "tvm_ffi.from_dlpack(a)", library="tvm-ffi"),
            bare("v2"),
        ),
        tvm,
    ),
    Case(
        "hand-over",
        "DLPack capsule",
        (
            Side("devview", "v2.__dlpack__(max_version=new)", "ours"),
            Side("ndarray's", "a.__dlpack__(max_version=new)"),
            bare("v2"),
        ),
        host,
    ),
    Case(
        "hand-over",
        "DLPack capsule, legacy",
        (
            Side("devview", "v2.__dlpack__()", "ours"),
            Side("ndarray's", "a.__dlpack__()"),
            bare("v2"),
        ),
        host,
    ),
    Case(
        "hand-over",
        "start Python, import devview",
        (
            Side("devview", "run('import devview')", "ours"),
            Side("bare interpreter", "run('pass')", "limit"),
        ),
        start,
        clock="wall",  # most of it is spent by another process
    ),
)
