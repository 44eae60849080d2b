"""Work that is still running, and what is alive: of devview and of CuPy."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import gc
import os
import sys

import devview as dv

# The stand-in's streams then run only as far as somebody waits: a missing wait shows every time.
LAZY = os.environ.get("CUDAEMU_LAZY") == "1"
STAND_IN = hasattr(ctypes.CDLL(None), "cudaemu_count")

SLOW_FILL = r"""
extern "C" __global__ void slow_fill(int* items, int count, int first, long long spins) {
    unsigned int x = 1;
    for (long long i = 0; i < spins; ++i) x = x * 1664525u + 1013904223u;
    if (x == 0) return;  // never: so that the loop is not left out
    for (int i = 0; i < count; ++i) items[i] = first + i;
}
"""
SPINS = 60_000 if STAND_IN else 6_000_000  # some 20 ms


@functools.cache
def _slow_fill(device: int):
    import cupy

    with cupy.cuda.Device(device):
        kernel = cupy.RawKernel(SLOW_FILL, "slow_fill")
        kernel.compile()
    return kernel


def slow_fill(array, first: int, stream) -> None:
    """Write first, first + 1, … into a dense int32 array of CuPy, slowly, on a stream of CuPy."""
    import numpy as np

    kernel = _slow_fill(array.device.id)
    with stream:
        kernel((1,), (1,), (array, np.int32(array.size), np.int32(first), np.int64(SPINS)))


def synchronize() -> None:
    """Wait for all devices, by whichever library is there."""
    for name in ("cupy", "torch"):
        module = sys.modules.get(name)
        if module is None:
            continue
        if name == "torch":
            for device in range(module.cuda.device_count()):
                module.cuda.synchronize(device)
            return
        for device in range(module.cuda.runtime.getDeviceCount()):
            with module.cuda.Device(device):
                module.cuda.runtime.deviceSynchronize()
        return


def ledger(devices) -> tuple:
    """Count what is alive: devview's memory and exports, and the bytes that CuPy uses."""
    gc.collect()
    synchronize()
    dv.trim()
    infos = [dv.memory_info(name) for name in (*devices, "pinned", "managed")]
    ours = [(i.live_bytes, i.blocks, i.foreign_bytes, i.foreign_blocks, i.exports) for i in infos]
    return len(dv.live()), tuple(ours), cupy_bytes()


def cupy_bytes() -> int:
    """Count the bytes that CuPy's default pool has given out, on all devices."""
    cupy = sys.modules.get("cupy")
    if cupy is None:
        return 0
    total = 0
    for device in range(cupy.cuda.runtime.getDeviceCount()):
        with cupy.cuda.Device(device):
            total += cupy.get_default_memory_pool().used_bytes()
    return total


@contextlib.contextmanager
def no_gc():
    """Switch the garbage collector off: what is freed here was freed by counts alone."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
