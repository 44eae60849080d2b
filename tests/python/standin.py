"""A stand-in for a GPU (cudaemu) in this process: its controls under the names of dv.emulation."""

from __future__ import annotations

import ctypes
import os
from collections import Counter

import pytest


def _find() -> ctypes.CDLL | None:
    library = ctypes.CDLL(None)
    try:
        library.cudaemu_count.restype = ctypes.c_ulonglong
        library.cudaemu_count.argtypes = (ctypes.c_char_p,)
        library.cudaemu_fail.argtypes = (ctypes.c_char_p,)
        library.cudaemu_fail.restype = None
        library.cudaemu_delay.argtypes = (ctypes.c_long, ctypes.c_long)
        library.cudaemu_delay.restype = None
        library.cudaemu_clear_error.restype = None
    except AttributeError:
        return None
    return library


_LIBRARY = _find()
THERE = _LIBRARY is not None

# What tests count or let fail; cudaemu counts every name, but cannot list them.
NAMES = (
    "cudaDeviceGetAttribute",
    "cudaDeviceSynchronize",
    "cudaEventCreateWithFlags",
    "cudaEventDestroy",
    "cudaEventQuery",
    "cudaEventRecord",
    "cudaEventSynchronize",
    "cudaFree",
    "cudaFreeAsync",
    "cudaFreeHost",
    "cudaGetDevice",
    "cudaGetDeviceCount",
    "cudaGetLastError",
    "cudaHostAlloc",
    "cudaLaunchHostFunc",
    "cudaLaunchKernel",
    "cudaMalloc",
    "cudaMallocAsync",
    "cudaMallocFromPoolAsync",
    "cudaMallocManaged",
    "cudaMemPoolTrimTo",
    "cudaMemcpy2DAsync",
    "cudaMemcpy3DAsync",
    "cudaMemcpyAsync",
    "cudaMemcpyPeerAsync",
    "cudaMemsetAsync",
    "cudaPeekAtLastError",
    "cudaPointerGetAttributes",
    "cudaSetDevice",
    "cudaStreamCreateWithFlags",
    "cudaStreamDestroy",
    "cudaStreamIsCapturing",
    "cudaStreamQuery",
    "cudaStreamSynchronize",
    "cudaStreamWaitEvent",
    "kernel",
    "copy",
    "memset",
)


class Controls:
    """What cudaemu can do of dv.emulation; a test that asks for the rest is skipped by its name."""

    def __init__(self):
        self._carried: Counter = Counter()
        self._rules: list[tuple[str, int, int]] = []

    def counts(self) -> Counter:
        """Count the calls of each function since the process began."""
        functions = (name for name in NAMES if name.startswith("cuda"))
        return Counter({name: n for name in functions if (n := self.count(name))})

    def count(self, name: str) -> int:
        return self._carried[name] + self._count(name)

    def fail(self, name: str, nth: int, error: int) -> None:
        assert name in NAMES, name
        self._begin_anew()
        self._rules.append((name, nth, error))
        self._apply()

    def clear_faults(self) -> None:
        self._begin_anew()
        self._rules.clear()
        self._apply()

    def clear_sticky(self) -> None:
        _LIBRARY.cudaemu_clear_error()

    def set_delay(self, microseconds: int) -> None:
        """Slow every operation down; 0: as the environment says."""
        standing = int(os.environ.get("CUDAEMU_DELAY_US", "0"))
        jitter = int(os.environ.get("CUDAEMU_JITTER_US", "0"))
        _LIBRARY.cudaemu_delay(microseconds or standing, jitter)

    def settle(self) -> None:
        """Wait for every device, past devview."""
        before, count = ctypes.c_int(), ctypes.c_int()
        _LIBRARY.cudaGetDevice(ctypes.byref(before))
        _LIBRARY.cudaGetDeviceCount(ctypes.byref(count))
        for device in range(count.value):
            _LIBRARY.cudaSetDevice(device)
            _LIBRARY.cudaDeviceSynchronize()
        _LIBRARY.cudaSetDevice(before)

    def __getattr__(self, name: str):
        pytest.skip(f"missing: dv.emulation.{name} (a stand-in for a GPU runs the tests)")

    @staticmethod
    def _count(name: str) -> int:
        return _LIBRARY.cudaemu_count(name.encode())

    def _begin_anew(self) -> None:
        """Keep the counts, which cudaemu_fail restarts, and make the rules relative to now."""
        past = {name: self._count(name) for name in NAMES}
        self._carried.update(past)
        self._rules = [(n, nth - past[n], e) for n, nth, e in self._rules if nth > past[n]]
        self._apply()

    def _apply(self) -> None:
        rules = ",".join(f"{name}:{nth}:{error}" for name, nth, error in self._rules)
        _LIBRARY.cudaemu_fail(rules.encode())


class Missing:
    """In the place of dv.emulation on a GPU: every use skips the test."""

    def __getattr__(self, name: str):
        pytest.skip(f"missing: dv.emulation.{name} (a GPU runs the tests)")
