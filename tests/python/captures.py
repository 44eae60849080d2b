"""Stream capture by devview's own table of runtime calls, whatever fills it: Python has no door."""

from __future__ import annotations

import contextlib
import ctypes
import re
from pathlib import Path

import devview as dv

ROOT = Path(__file__).resolve().parents[2]
GLOBAL, THREAD_LOCAL, RELAXED = range(3)
NOT_SUPPORTED = 801


def _entries() -> list[str]:
    """Names of the table's entries, in its order."""
    header = (ROOT / "cuda/include/devview/cuda/runtime.hpp").read_text()
    calls = header[header.index("#define DEVVIEW_CUDA_CALLS(X)") :]
    return re.findall(r"^    X\((\w+),", calls[: calls.index("\n\n")], re.MULTILINE)


def _call(name: str, *arguments) -> int:
    # Found among the module's own libraries: another copy would have another runtime.
    runtime = ctypes.CDLL(dv._devview.__file__)._ZN7devview4cuda7runtimeEv
    runtime.restype = ctypes.POINTER(ctypes.c_void_p)
    entry = runtime()[_entries().index(name)]
    types = [type(argument) for argument in arguments]
    return ctypes.CFUNCTYPE(ctypes.c_int, *types)(entry)(*arguments)


def _expect(status: int, call: str) -> None:
    assert status == 0, f"{call}: {status}"


class Graph:
    """What a capture recorded, ready to run."""

    def __init__(self):
        self._exec = ctypes.c_void_p()

    def launch(self, stream: dv.Stream) -> None:
        _expect(_call("GraphLaunch", self._exec, ctypes.c_void_p(stream.handle)), "launch")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        _expect(_call("GraphExecDestroy", self._exec), "destroy")


def begin(stream: dv.Stream, mode: int = GLOBAL) -> None:
    handle = ctypes.c_void_p(stream.handle)
    _expect(_call("StreamBeginCapture", handle, ctypes.c_int(mode)), "begin")


def end(stream: dv.Stream) -> Graph:
    """Fails if the capture was invalidated."""
    captured = ctypes.c_void_p()
    handle = ctypes.c_void_p(stream.handle)
    pointer = ctypes.c_void_p(ctypes.addressof(captured))
    _expect(_call("StreamEndCapture", handle, pointer), "end")
    graph = Graph()
    where = ctypes.c_void_p(ctypes.addressof(graph._exec))
    _expect(_call("GraphInstantiate", where, captured, ctypes.c_ulonglong(0)), "instantiate")
    _expect(_call("GraphDestroy", captured), "destroy")
    return graph


def supported() -> bool:
    """Tell whether the runtime has stream capture."""
    stream = dv.Stream("cuda:0")
    handle = ctypes.c_void_p(stream.handle)
    if _call("StreamBeginCapture", handle, ctypes.c_int(GLOBAL)) == NOT_SUPPORTED:
        return False
    with end(stream):
        return True


@contextlib.contextmanager
def capture(stream: dv.Stream, mode: int = GLOBAL):
    """Whatever happens in it must leave the capture valid."""
    begin(stream, mode)
    try:
        yield
    finally:
        with end(stream):
            pass
