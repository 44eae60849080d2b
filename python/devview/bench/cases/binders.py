"""Array arguments of C++ functions: devview/pybind11.hpp beside nanobind and plain pybind11.

The modules need a compiler: `python bench/binders.py` of the repository builds them. The base of
each is its own call of a function that takes any object.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from devview.bench.case import Case, Promise, Side

CASTER = "devview caster"


class Producer:
    """What has `__dlpack__` and nothing else."""

    def __init__(self, array: Any):
        self.array = array

    def __dlpack__(self, **options: Any) -> Any:
        """Return the array's capsule."""
        return self.array.__dlpack__(**options)

    def __dlpack_device__(self) -> tuple[int, int]:
        """Return the host."""
        return (1, 0)


def tvm(array: Any) -> Any:
    """Return a tensor on the array's memory."""
    import tvm_ffi

    return tvm_ffi.from_dlpack(array)


def view(array: Any) -> Any:
    """Return a view of the array's memory."""
    import devview as dv

    return dv.view(array)


ARGUMENTS = {
    "ndarray": lambda array: array,
    "View": view,
    "DLPack, Python": Producer,
    "DLPack, tvm-ffi": tvm,
}


def make(quick: bool, argument: str) -> dict[str, Any]:
    """Return the modules that are there, and the argument."""
    import importlib

    import numpy as np

    scope: dict[str, Any] = {"x": ARGUMENTS[argument](np.ones((2, 3), "f4"))}
    for name in ("devview_caster", "nanobind_peer", "pybind11_peer"):
        try:
            scope[name] = importlib.import_module(name)
        except ImportError:
            scope[name] = None
    return scope


def sides(function: str, argument: str) -> tuple[Side, ...]:
    """Return the calls, and each binder's empty one."""
    told = [
        ("devview", "devview_caster", "ours", CASTER),
        ("nanobind", "nanobind_peer", "peer", "nanobind"),
    ]
    if argument in ("ndarray", "View") and function == "any":
        told.append(("pybind11", "pybind11_peer", "peer", "pybind11"))
    calls = [
        Side(label, f"{module}.{function}(x)", role, library)  # type: ignore[arg-type]
        for label, module, role, library in told
    ]
    empty = [
        Side(f"{label}, empty", f"{module}.empty(x)", "base", library, of=label)
        for label, module, role, library in told
    ]
    # What no binder on pybind11 can undercut: a capsule of version 1 is asked for and thrown away.
    asked = Side("asked", "devview_caster.ask(x)", "limit", CASTER)
    return (*calls, *empty, *([asked] if argument.startswith("DLPack") else ()))


CASES = tuple(
    Case(
        "argument",
        f"{function}: {argument}",
        sides(function, argument),
        partial(make, argument=argument),
        (Promise("nanobind", at_most=1.3), Promise("nanobind", at_most=1.0, net=True)),
        needs="tvm-ffi" if "tvm" in argument else "",
    )
    for function in ("any", "readonly", "typed")
    for argument in ARGUMENTS
)
