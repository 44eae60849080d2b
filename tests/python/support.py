"""What the tests share: the ledger, layouts with an oracle, Py_buffer by ctypes, scripts."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import itertools
import os
import subprocess
import sys
import textwrap
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from hypothesis import strategies as st

import devview as dv
import standin

# "real": the real runtime, on a GPU or on a stand-in for one, which has most of dv.emulation.
REAL = os.environ.get("DEVVIEW_TEST_RUNTIME", "emulator") == "real"
STANDIN = REAL and standin.THERE
EMULATED = pytest.mark.skipif(
    REAL and not STANDIN, reason="missing: the emulator's controls (DEVVIEW_TEST_RUNTIME=real)"
)
if REAL:
    # Of a stand-in what it has; what it has not skips the test that asks.
    dv.emulation = standin.Controls() if STANDIN else standin.Missing()

MIB = 1 << 20
DEVICE_MEMORY = 256 * MIB
CUDA_DEVICES = (
    tuple(str(d) for d in dv.devices() if str(d).startswith("cuda:"))[:3] or ("cuda:0",)
    if REAL
    else ("cuda:0", "cuda:1", "cuda:2")
)
TWO_DEVICES = pytest.mark.skipif(len(CUDA_DEVICES) < 2, reason="missing: 2 CUDA devices")
THREE_DEVICES = pytest.mark.skipif(len(CUDA_DEVICES) < 3, reason="missing: 3 CUDA devices")
DEVICES = ("cpu", *CUDA_DEVICES, "pinned", "managed")

# Formats that struct knows, with values that reach the ends of their range.
NATIVE_VALUES = {
    "?": [True, False],
    "b": [-128, -1, 0, 127],
    "B": [0, 1, 255],
    "h": [-(2**15), -1, 2**15 - 1],
    "H": [0, 2**16 - 1],
    "i": [-(2**31), 0, 2**31 - 1],
    "I": [0, 2**32 - 1],
    "l": [-(2**63), -1, 2**63 - 1],
    "L": [0, 2**64 - 1],
    "q": [-(2**63), 1, 2**63 - 1],
    "Q": [0, 2**64 - 1],
    "n": [-(2**63), 5],
    "N": [0, 2**64 - 1],
    "e": [0.5, -65504.0, float("inf")],
    "f": [0.5, -1.25, float("inf")],
    "d": [0.1, -1e308, float("-inf")],
    "c": [b"a", b"\x00", b"\xff"],
}


# --- The ledger ---


@dataclass(frozen=True)
class Ledger:
    """Everything that must come back to its level."""

    live: int
    devices: tuple
    pinned_live: int
    emulator: tuple


def settle(seconds: float = 10.0) -> None:
    """Wait until no emulated stream has work left: frees are queued like everything else."""
    if STANDIN:
        dv.emulation.settle()
    if REAL:
        return
    end = time.monotonic() + seconds
    while dv.emulation.ledger()["queued"] and time.monotonic() < end:
        time.sleep(0.0005)


def ledger() -> Ledger:
    """Count what is alive now."""
    settle()
    dv.trim()
    devices = tuple(
        (i.live_bytes, i.blocks, i.foreign_bytes, i.foreign_blocks, i.exports)
        for i in map(dv.memory_info, DEVICES)
    )
    emulator = (
        ()
        if REAL
        else tuple(
            dv.emulation.ledger()[key]
            for key in (
                *("device_blocks", "device_bytes", "pinned_blocks", "pinned_bytes"),
                *("managed_blocks", "managed_bytes", "streams"),
            )
        )
    )
    return Ledger(len(dv.live()), devices, dv.memory_info("cpu").pinned_live_bytes, emulator)


def device_bytes(device: str = "cuda:0") -> int:
    """Count the bytes that devview holds on a device; no waiting."""
    return dv.memory_info(device).live_bytes


@contextlib.contextmanager
def no_gc():
    """Switch the garbage collector off: what is freed here was freed by counts alone."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


# --- The call log ---

COPIES = ("cudaMemcpyAsync", "cudaMemcpy2DAsync", "cudaMemcpy3DAsync", "cudaMemcpyPeerAsync")
WAITS = ("cudaEventSynchronize", "cudaStreamSynchronize", "cudaDeviceSynchronize")


@contextlib.contextmanager
def counted_calls():
    """Give a Counter that holds, at the end of the block, the runtime calls made in it."""
    counts: Counter = Counter()
    if STANDIN:
        first = dv.emulation.counts()
        yield counts
        counts.update(dv.emulation.counts() - first)
        return
    before = len(dv.emulation.calls)
    yield counts
    counts.update(dv.emulation.calls[before:])


@contextlib.contextmanager
def delay(microseconds: int):
    """Make every stream operation sleep first."""
    dv.emulation.set_delay(microseconds)
    try:
        yield
    finally:
        settle()
        dv.emulation.set_delay(0)


# --- Scripts in a process of their own ---


@dataclass(frozen=True)
class Outcome:
    code: int
    out: str
    err: str


def run_script(
    script: str, *, emulate: bool = True, env: dict | None = None, timeout: float = 60
) -> Outcome:
    """Run Python code in a new interpreter; `np`, `dv` (and `gc`, `sys`) are imported."""
    head = "import gc, os, sys, threading\nimport numpy as np\nimport devview as dv\n"
    # Scripts that use the emulator's controls have the emulator everywhere.
    if emulate and not (REAL and "emulation" not in script):
        head += "dv.emulate(devices=3)\n"
    variables = {k: v for k, v in os.environ.items() if not k.startswith("DEVVIEW_")}
    # The package's own folder, so that an in-place build is found from any working directory.
    package = str(Path(dv.__file__).parents[1])
    old = variables.get("PYTHONPATH")
    variables["PYTHONPATH"] = os.pathsep.join([package, old] if old else [package])
    variables.update(env or {})
    # The emulator's workers are threads: 3.12 warns of that at every fork, which a test wants.
    quiet = ["-X", "faulthandler=0", "-W", "ignore:This process:DeprecationWarning"]
    done = subprocess.run(
        [sys.executable, *quiet, "-c", head + textwrap.dedent(script)],
        capture_output=True,
        text=True,
        timeout=timeout,
        env=variables,
        check=False,
    )
    return Outcome(done.returncode, done.stdout, done.stderr)


def run_clean(script: str, **options) -> str:
    """Run a script that must end with code 0 and an empty stderr; give what it printed."""
    outcome = run_script(script, **options)
    assert (outcome.code, outcome.err) == (0, ""), outcome.out
    return outcome.out


# --- Py_buffer by ctypes: requests with flags that no Python function makes ---

PYBUF_BITS = (0x1, 0x4, 0x8, 0x10, 0x20, 0x40, 0x80, 0x100)
FLAG_SETS = [
    sum(bits) for n in range(len(PYBUF_BITS) + 1) for bits in itertools.combinations(PYBUF_BITS, n)
]
if sys.version_info >= (3, 13):
    # The bit of INDIRECT alone is PyBUF_READ, which PyObject_GetBuffer no longer passes on.
    FLAG_SETS.remove(0x100)
SIMPLE, WRITABLE, FORMAT, ND, STRIDES = 0, 0x1, 0x4, 0x8, 0x18
C_CONTIGUOUS, F_CONTIGUOUS, ANY_CONTIGUOUS, INDIRECT = 0x38, 0x58, 0x98, 0x118
FULL, FULL_RO = INDIRECT | WRITABLE | FORMAT, INDIRECT | FORMAT


class PyBuffer(ctypes.Structure):
    _fields_ = (
        ("buf", ctypes.c_void_p),
        ("obj", ctypes.c_void_p),
        ("len", ctypes.c_ssize_t),
        ("itemsize", ctypes.c_ssize_t),
        ("readonly", ctypes.c_int),
        ("ndim", ctypes.c_int),
        ("format", ctypes.c_char_p),
        ("shape", ctypes.POINTER(ctypes.c_ssize_t)),
        ("strides", ctypes.POINTER(ctypes.c_ssize_t)),
        ("suboffsets", ctypes.POINTER(ctypes.c_ssize_t)),
        ("internal", ctypes.c_void_p),
    )


_get_buffer = ctypes.pythonapi.PyObject_GetBuffer
_get_buffer.argtypes = (ctypes.py_object, ctypes.POINTER(PyBuffer), ctypes.c_int)
_get_buffer.restype = ctypes.c_int
_release_buffer = ctypes.pythonapi.PyBuffer_Release
_release_buffer.argtypes = (ctypes.POINTER(PyBuffer),)
_release_buffer.restype = None


def _values(pointer, count: int):
    # Without axes there is nothing to point at: NULL and an empty array say the same.
    if count == 0 or not pointer:
        return None
    return tuple(pointer[:count])


@dataclass
class Request:
    """One answered buffer request; `release()` gives it back."""

    raw: PyBuffer
    released: bool = False

    def answer(self) -> dict:
        raw = self.raw
        return {
            "buf": raw.buf,
            "len": raw.len,
            "itemsize": raw.itemsize,
            "readonly": bool(raw.readonly),
            "ndim": raw.ndim,
            "format": raw.format,
            "shape": _values(raw.shape, raw.ndim),
            "strides": _values(raw.strides, raw.ndim),
            "suboffsets": _values(raw.suboffsets, raw.ndim),
        }

    def bytes(self) -> bytes:
        return ctypes.string_at(self.raw.buf, self.raw.len)

    def release(self) -> None:
        if not self.released:
            self.released = True
            _release_buffer(ctypes.byref(self.raw))

    def __enter__(self) -> Request:
        return self

    def __exit__(self, *_) -> None:
        self.release()


def get_buffer(obj, flags: int) -> Request:
    """Ask an exporter; raises what it raises, after a look at `obj`, which must be NULL then."""
    raw = PyBuffer()
    ctypes.memset(ctypes.byref(raw), 0xDB, ctypes.sizeof(raw))  # what an answer must overwrite
    try:
        _get_buffer(obj, ctypes.byref(raw), flags)
    except BaseException:
        assert not raw.obj, "Py_buffer.obj is not NULL after a refusal"
        raise
    return Request(raw)


def answer(obj, flags: int):
    """Give the fields of the answer, or the word "BufferError"."""
    try:
        request = get_buffer(obj, flags)
    except BufferError:
        return "BufferError"
    with request:
        return request.answer()


# --- Arrays and layouts, with NumPy as the oracle ---

RECORD = np.dtype([("a", "<i4"), ("b", "<f8"), ("c", "u1", (2, 2))])
DTYPES = ("u1", "i2", "u4", "f4", "f8", "c16", "S3", "V5")


def pattern(shape, dtype="u1", seed: int = 1) -> np.ndarray:
    """Give an array whose bytes are random and the same each time."""
    dtype = np.dtype(dtype)
    count = int(np.prod(shape, dtype=np.int64))
    data = np.random.default_rng(seed).bytes(count * dtype.itemsize)
    return np.frombuffer(bytearray(data), dtype=dtype, count=count).reshape(shape)


def raw_bytes(array: np.ndarray) -> bytes:
    """Give the items in C order."""
    return array.tobytes()


@dataclass(frozen=True)
class Layout:
    """A dense array and steps that give it another layout; the same on an ndarray and a View."""

    shape: tuple
    dtype: str
    steps: tuple = field(default=())

    def base(self, seed: int = 1) -> np.ndarray:
        return pattern(self.shape, self.dtype, seed)

    def apply(self, x):
        for what, argument in self.steps:
            if what == "slice":
                x = x[argument]
            elif what == "transpose":
                x = x.transpose(argument)
            elif what == "broadcast":
                x = (
                    np.broadcast_to(x, argument)
                    if isinstance(x, np.ndarray)
                    else (x.broadcast_to(argument))
                )
            else:
                raise AssertionError(what)
        return x


@st.composite
def layouts(draw, max_ndim=4, dtypes=DTYPES, broadcast=True, min_extent=0) -> Layout:
    """Draw layouts: sliced (also backwards), transposed, with new axes, broadcast, empty, 0-d."""
    ndim = draw(st.integers(0, max_ndim))
    shape = tuple(draw(st.integers(min_extent, 5)) for _ in range(ndim))
    steps = []
    now = np.empty(shape, "u1")
    for _ in range(draw(st.integers(0, 3))):
        what = draw(st.sampled_from(("slice", "transpose", "broadcast")))
        if what == "slice":
            key = draw(keys(now.shape))
            if np.ndim(now[key]) > max_ndim + 2 or (0 in now[key].shape and min_extent):
                continue
            steps.append(("slice", key))
            now = now[key]
        elif what == "transpose":
            axes = tuple(draw(st.permutations(range(now.ndim))))
            steps.append(("transpose", axes))
            now = now.transpose(axes)
        elif broadcast:
            target = tuple(
                draw(st.integers(2, 3)) if extent == 1 else extent for extent in now.shape
            )
            if now.ndim < max_ndim and draw(st.booleans()):
                target = (draw(st.integers(1, 3)), *target)
            steps.append(("broadcast", target))
            now = np.broadcast_to(now, target)
    return Layout(shape, draw(st.sampled_from(dtypes)), tuple(steps))


@st.composite
def keys(draw, shape, integers=True):
    """Draw an index for `shape` that always selects a sub-array, never an item."""

    def part(extent: int) -> list:
        kind = draw(st.sampled_from(("slice", "slice", "int", "none+slice")))
        if kind == "int" and extent and integers:
            return [draw(st.integers(-extent, extent - 1))]
        bound = st.one_of(st.none(), st.integers(-extent - 2, extent + 2))
        step = draw(st.sampled_from((None, 1, 2, 3, -1, -2)))
        chosen = slice(draw(bound), draw(bound), step)
        return [None, chosen] if kind == "none+slice" else [chosen]

    front = draw(st.integers(0, len(shape)))
    back = draw(st.integers(0, len(shape) - front))
    head = [item for extent in shape[:front] for item in part(extent)]
    tail = [item for extent in shape[len(shape) - back :] for item in part(extent)]
    is_item = all(isinstance(item, int) for item in head + tail)
    if back or is_item or draw(st.booleans()):
        head.append(Ellipsis)
    return tuple(head + tail)
