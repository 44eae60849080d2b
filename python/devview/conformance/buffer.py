"""A C type whose `bf_getbuffer` fills a Py_buffer in which each field can be made wrong."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from . import abi
from .case import Memory, Probe, Release
from .tensor import SHAPE

SELF = object()

_HAVE_GETBUFFER, _HAVE_RELEASEBUFFER = 1, 2  # typeslots.h
_FLAGS = 1 << 18 | 1 << 10  # Py_TPFLAGS_DEFAULT and BASETYPE

_kept: list[object] = []


@dataclass
class Filled:
    """What a Py_buffer says; the defaults are a good one of 2 x 3 float32.

    Sequences None are NULL pointers. `obj` is SELF, None for NULL, or another object (without a
    releasebuffer of its own).
    """

    shape: tuple[int, ...] | None = SHAPE
    strides: tuple[int, ...] | None = (12, 4)
    suboffsets: tuple[int, ...] | None = None
    ndim: int | None = None
    format: bytes | None = b"f"
    itemsize: int = 4
    len: int | None = None
    buf: int | None = None
    readonly: int = 0
    obj: Any = SELF


class Struct:
    """A Py_buffer's fields in memory, with the arrays that it points to."""

    def __init__(self, told: Filled, memory: Memory):
        self.told = told
        self.shape = None if told.shape is None else abi.array_of(told.shape)
        self.strides = None if told.strides is None else abi.array_of(told.strides)
        self.suboffsets = None if told.suboffsets is None else abi.array_of(told.suboffsets)
        self.buf = memory.host if told.buf is None else told.buf % (1 << 64)
        _kept.append(self)

    def fill(self, buffer: abi.PyBuffer) -> None:
        """Write everything but `obj`."""
        told = self.told
        buffer.buf = self.buf
        buffer.itemsize = abi.wrapped(told.itemsize)
        buffer.len = abi.wrapped(self._len())
        buffer.readonly = told.readonly
        buffer.ndim = len(told.shape or ()) if told.ndim is None else told.ndim
        buffer.format = told.format
        for name in ("shape", "strides", "suboffsets"):
            array = getattr(self, name)
            setattr(buffer, name, None if array is None else ctypes.addressof(array))
        buffer.internal = None

    def _len(self) -> int:
        if self.told.len is not None:
            return self.told.len
        count = self.told.itemsize
        for extent in self.told.shape or ():
            count *= extent
        return count


class Exporting(Release):
    """The functions of one producer's type, and how often its buffers were given and released."""

    def __init__(self, told: Filled, memory: Memory):
        super().__init__()
        self.struct = Struct(told, memory)
        self.code = 0  # what bf_getbuffer returns
        self.fills = True
        self.without_owner = told.obj is not SELF  # then others are told, or nobody
        self._get = abi.GetBuffer(self._getbuffer)
        self._release = abi.ReleaseBuffer(self._releasebuffer)
        _kept.append(self)

    def new_type(self, get: int | None = None) -> type:
        """Return a type with these functions; `get` stands in for bf_getbuffer."""
        pointer = ctypes.c_void_p
        slots = (abi.TypeSlot * 3)(
            (_HAVE_GETBUFFER, get or ctypes.cast(self._get, pointer).value),
            (_HAVE_RELEASEBUFFER, ctypes.cast(self._release, pointer).value),
            (0, None),
        )
        spec = abi.TypeSpec(b"devview.conformance.Exporting", 0, 0, _FLAGS, slots)
        _kept.append((slots, spec))
        return abi.type_from_spec(spec)

    def _getbuffer(self, exporter: int, buffer, _flags: int) -> int:
        abi.pending_exception()
        filled = buffer.contents
        filled.obj = None
        if self.fills:
            self.struct.fill(filled)
        if self.code < 0 or not self.fills:
            return self.code
        owner = self.struct.told.obj
        if owner is not None:
            address = exporter if owner is SELF else id(owner)
            abi.new_reference(address)
            filled.obj = address
        self.given += 1
        return self.code

    def _releasebuffer(self, _exporter: int, _buffer) -> None:
        abi.pending_exception()
        self.taken_back += 1


def probe_of(told: Filled, memory: Memory, **shown) -> Probe:
    """Return a probe of an instance of a new C type that exports `told`."""
    exporting = Exporting(told, memory)
    return Probe(exporting.new_type()(), releases=[exporting], **shown)


def memoryview_of(told: Filled, memory: Memory, **shown) -> Probe:
    """Return a probe of a memoryview over `told` that nobody owns (its `obj` is NULL)."""
    struct, buffer = Struct(told, memory), abi.PyBuffer()
    struct.fill(buffer)
    buffer.obj = None
    return Probe(abi.memoryview_from(buffer), **shown)


def changed_after(change: Callable[[Struct], None], memory: Memory, **shown) -> Probe:
    """Return a probe whose arrays are overwritten while the result lives."""
    exporting = Exporting(Filled(), memory)
    return Probe(
        exporting.new_type()(),
        releases=[exporting],
        accepted=lambda _result: change(exporting.struct),
        **shown,
    )
