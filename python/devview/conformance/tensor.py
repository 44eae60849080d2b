"""A managed tensor in which each member can be made wrong, and the count of its deleter."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from typing import Any

from . import abi
from .case import Memory, Release

ROWS, COLUMNS = SHAPE = (2, 3)
ITEMS = [[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]]

# Structs, arrays and callbacks stay for the life of the process: a second call of a deleter, or a
# reading after it, is then counted and does no further harm.
_kept: list[object] = []


@dataclass
class Tensor:
    """What a DLTensor says; the defaults are a good one of 2 x 3 float32 on the host.

    `shape` and `strides` None are NULL pointers; strides "C" are filled as DLPack 1.2 asks.
    `data` None is the memory that fits the device.
    """

    shape: tuple[int, ...] | None = SHAPE
    strides: tuple[int, ...] | str | None = "C"
    ndim: int | None = None
    data: int | None = None
    dtype: tuple[int, int, int] = (abi.FLOAT, 32, 1)
    device: tuple[int, int] = (abi.CPU, 0)
    byte_offset: int = 0
    flags: int = 0
    version: tuple[int, int] = (1, 3)
    deleter: bool = True
    versioned: bool = True
    host_pointer: bool = False  # the device is a lie

    def pointer(self, memory: Memory) -> int:
        """Return the address that stands in `data`."""
        if self.data is not None:
            return self.data % (1 << 64)
        if self.device[0] == abi.CUDA and not self.host_pointer:
            return memory.cuda
        return memory.host

    def steps(self) -> tuple[int, ...] | None:
        """Return the strides in items."""
        if self.strides != "C" or self.shape is None:
            return None if self.strides == "C" else self.strides
        steps, step = [], 1
        for extent in reversed(self.shape):
            steps.append(step)
            step *= extent
        return tuple(reversed(steps))


class Managed(Release):
    """A DLManagedTensor or DLManagedTensorVersioned in memory."""

    def __init__(self, told: Tensor, memory: Memory):
        super().__init__()
        self.told = told
        self.given = 1
        self.lost: BaseException | None = None
        self.capsule: Any = None
        self.given_name: bytes | None = None
        self.without_owner = not told.deleter
        shape, steps = told.shape, told.steps()
        self.shape = abi.array_of(shape or ())
        self.strides = abi.array_of(steps or ())
        self._deleter = abi.Deleter(self._delete)
        kind = abi.ManagedTensorVersioned if told.versioned else abi.ManagedTensor
        self.struct = kind()
        if told.versioned:
            self.struct.major, self.struct.minor = told.version
            self.struct.flags = told.flags
        if told.deleter:
            self.struct.deleter = ctypes.cast(self._deleter, ctypes.c_void_p)
        tensor = self.tensor = self.struct.tensor
        tensor.data = told.pointer(memory)
        tensor.device_type, tensor.device_id = told.device
        tensor.ndim = len(shape or ()) if told.ndim is None else told.ndim
        tensor.code, tensor.bits, tensor.lanes = told.dtype
        tensor.shape = None if shape is None else ctypes.addressof(self.shape)
        tensor.strides = None if steps is None else ctypes.addressof(self.strides)
        tensor.byte_offset = told.byte_offset % (1 << 64)
        _kept.append(self)

    def _delete(self, _address) -> None:
        pending = abi.pending_exception()
        if pending is not None:
            self.lost = pending
        self.taken_back += 1

    @property
    def address(self) -> int:
        """Where the struct lies."""
        return ctypes.addressof(self.struct)

    @property
    def fresh_name(self) -> bytes:
        """The name of a capsule that nobody has taken over."""
        return abi.VERSIONED if self.told.versioned else abi.LEGACY

    def in_capsule(self, name: bytes | None | Any = ...):
        """Put it into a capsule, by default under its proper name; kept to see who renames it."""
        self.given_name = self.fresh_name if name is ... else name
        self.capsule = abi.capsule(self.address, self.given_name)
        return self.capsule

    def owed(self, refused: bool) -> tuple[int, ...] | None:
        """Return how often the deleter has to have run.

        A capsule that keeps its name is the producer's: its destructor would call the deleter. One
        called `used_...` is the importer's. Without a capsule (exchange API) it always is.
        """
        if self.capsule is None:
            return (self.given,)
        name = abi.capsule_name(self.capsule) or b""
        taken = name != self.given_name and name.startswith(b"used_")
        return (1,) if taken else (0,)
