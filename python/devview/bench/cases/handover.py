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


def start(quick: bool) -> dict[str, Any]:
    """Return what starts an interpreter with some code."""
    return {"run": lambda code: subprocess.run([sys.executable, "-c", code], check=True)}


# What makes the arrays of a library; "" needs none but NumPy.
MAKES = {"": host, "tvm-ffi": tvm, "cuda.core": core, "JAX": jax, "PyTorch": torch, "CuPy": cupy}


def hand_over(
    name: str,
    argument: str,
    ours: str,
    peers: dict[str, str],
    library: str = "",
    at_most: dict[str, float] | None = None,
) -> Case:
    """Return the case of handing over `argument` by the statement `ours`.

    `peers` and `at_most`: by label, the same by others, and the ratios that are promised. The limit
    is a builtin function that takes the argument and answers True.
    """
    return Case(
        "hand-over",
        name,
        (
            Side("devview", ours, "ours", library),
            *(Side(label, code, library=library) for label, code in peers.items()),
            Side(BARE, f"callable({argument})", "limit"),
        ),
        MAKES[library],
        tuple(Promise(label, at_most=ratio) for label, ratio in (at_most or {}).items()),
    )


CASES = (
    hand_over(
        "view of an ndarray",
        "a",
        "view(a)",
        {"memoryview(ndarray)": "memoryview(a)", "np.from_dlpack": "np.from_dlpack(a)"},
        at_most={"memoryview(ndarray)": 0.7},
    ),
    hand_over(
        "view of an ndarray, beside tvm-ffi",
        "a",
        "view(a)",
        {"tvm_ffi.from_dlpack": "tvm_ffi.from_dlpack(a)"},
        "tvm-ffi",
    ),
    hand_over(
        "view of an ndarray, beside cuda.core",
        "a",
        "view(a)",
        {
            f"StridedMemoryView.{way}": f"StridedMemoryView.{way}(a, stream_ptr=-1)"
            for way in ("from_dlpack", "from_any_interface")
        },
        "cuda.core",
    ),
    hand_over("view of a bytearray", "b", "view(b)", {"memoryview": "memoryview(b)"}),
    hand_over(
        "view, used and released",
        "a",
        "with view(a): pass",
        {"memoryview(ndarray)": "with memoryview(a): pass"},
        at_most={"memoryview(ndarray)": 0.85},
    ),
    hand_over(
        "view of a tvm-ffi tensor",
        "t",
        "view(t)",
        {"tvm_ffi.from_dlpack": "tvm_ffi.from_dlpack(t)"},
        "tvm-ffi",
    ),
    hand_over(
        "view through the C exchange API",
        "x",
        "view(x)",
        {"tvm_ffi.from_dlpack": "tvm_ffi.from_dlpack(x)"},
        "tvm-ffi",
        at_most={"tvm_ffi.from_dlpack": 0.6},
    ),
    hand_over(
        "view of a JAX array",
        "j",
        "view(j)",
        {"np.from_dlpack": "np.from_dlpack(j)", "memoryview": "memoryview(j)"},
        "JAX",
    ),
    hand_over(
        "view of a PyTorch tensor",
        "p",
        "view(p)",
        {"torch.from_dlpack": "torch.from_dlpack(p)", "tensor.numpy()": "p.numpy()"},
        "PyTorch",
    ),
    hand_over(
        "view of a CuPy array", "c", "view(c)", {"cupy.from_dlpack": "cupy.from_dlpack(c)"}, "CuPy"
    ),
    hand_over(
        "CuPy takes a view",
        "vc",
        "cupy.from_dlpack(vc)",
        {"its own array": "cupy.from_dlpack(c)"},
        "CuPy",
    ),
    hand_over(
        "memoryview of a view",
        "v2",
        "memoryview(v2)",
        {"memoryview(bytearray)": "memoryview(b)", "memoryview(ndarray)": "memoryview(a)"},
        at_most={"memoryview(bytearray)": 1.1, "memoryview(ndarray)": 0.8},
    ),
    hand_over(
        "NumPy takes a view", "v2", "np.asarray(v2)", {"np.asarray(memoryview)": "np.asarray(m2)"}
    ),
    hand_over(
        "tvm-ffi takes a view",
        "v2",
        "tvm_ffi.from_dlpack(v2)",
        {"of an ndarray": "tvm_ffi.from_dlpack(a)"},
        "tvm-ffi",
    ),
    hand_over(
        "DLPack capsule",
        "v2",
        "v2.__dlpack__(max_version=new)",
        {"ndarray's": "a.__dlpack__(max_version=new)"},
    ),
    hand_over("DLPack capsule, legacy", "v2", "v2.__dlpack__()", {"ndarray's": "a.__dlpack__()"}),
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
