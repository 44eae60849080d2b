"""DLPack capsules made by ctypes: any member may be wrong, and the deleter counts its calls."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass, field

import numpy as np

VERSIONED, LEGACY = b"dltensor_versioned", b"dltensor"
READ_ONLY, IS_COPIED, SUBBYTE_PADDED = 1, 2, 4
CPU, CUDA, PINNED, METAL, ROCM, MANAGED = 1, 2, 3, 8, 10, 13
INT, UINT, FLOAT, BFLOAT, COMPLEX, BOOL = 0, 1, 2, 4, 5, 6


class Device(ctypes.Structure):
    _fields_ = (("type", ctypes.c_int32), ("id", ctypes.c_int32))


class DataType(ctypes.Structure):
    _fields_ = (("code", ctypes.c_uint8), ("bits", ctypes.c_uint8), ("lanes", ctypes.c_uint16))


class Tensor(ctypes.Structure):
    _fields_ = (
        ("data", ctypes.c_void_p),
        ("device", Device),
        ("ndim", ctypes.c_int32),
        ("dtype", DataType),
        ("shape", ctypes.POINTER(ctypes.c_int64)),
        ("strides", ctypes.POINTER(ctypes.c_int64)),
        ("byte_offset", ctypes.c_uint64),
    )


class Managed(ctypes.Structure):
    _fields_ = (
        ("dl_tensor", Tensor),
        ("manager_ctx", ctypes.c_void_p),
        ("deleter", ctypes.c_void_p),
    )


class ManagedVersioned(ctypes.Structure):
    _fields_ = (
        ("major", ctypes.c_uint32),
        ("minor", ctypes.c_uint32),
        ("manager_ctx", ctypes.c_void_p),
        ("deleter", ctypes.c_void_p),
        ("flags", ctypes.c_uint64),
        ("dl_tensor", Tensor),
    )


DELETER = ctypes.CFUNCTYPE(None, ctypes.c_void_p)
DESTRUCTOR = ctypes.PYFUNCTYPE(None, ctypes.c_void_p)


def _api(name, restype, *argtypes):
    function = ctypes.pythonapi[name]  # a new one each time, other than by getattr
    function.restype, function.argtypes = restype, argtypes
    return function


_new = _api("PyCapsule_New", ctypes.py_object, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p)
_name = _api("PyCapsule_GetName", ctypes.c_char_p, ctypes.py_object)
_pointer = _api("PyCapsule_GetPointer", ctypes.c_void_p, ctypes.py_object, ctypes.c_char_p)
_set_name = _api("PyCapsule_SetName", ctypes.c_int, ctypes.py_object, ctypes.c_char_p)
# A destructor gets its capsule with no reference left: it must not become a Python object.
_raw_valid = _api("PyCapsule_IsValid", ctypes.c_int, ctypes.c_void_p, ctypes.c_char_p)
_raw_pointer = _api("PyCapsule_GetPointer", ctypes.c_void_p, ctypes.c_void_p, ctypes.c_char_p)


def name_of(capsule) -> str:
    return _name(capsule).decode()


_names: dict[bytes, ctypes.Array] = {}


def static_name(name: bytes) -> ctypes.Array:
    """Keep a name alive for good: a capsule only points to it."""
    return _names.setdefault(name, ctypes.create_string_buffer(name))


def rename(capsule, name: bytes) -> None:
    _set_name(capsule, ctypes.cast(static_name(name), ctypes.c_char_p))


def read(capsule) -> ManagedVersioned | Managed:
    """Look at the managed tensor of an unconsumed capsule, as it lies there."""
    name = _name(capsule)
    kind = {VERSIONED: ManagedVersioned, LEGACY: Managed}[name]
    return kind.from_address(_pointer(capsule, name))


def shape_of(tensor: Tensor) -> tuple:
    return tuple(tensor.shape[: tensor.ndim]) if tensor.ndim else ()


def strides_of(tensor: Tensor) -> tuple:
    return tuple(tensor.strides[: tensor.ndim]) if tensor.ndim else ()


def call_deleter(managed: ManagedVersioned | Managed) -> None:
    """As a consumer does, without the GIL."""
    DELETER(managed.deleter)(ctypes.addressof(managed))


@dataclass
class Crafted:
    """A tensor of 24 float32 whose members may be replaced before `capsule()` is called."""

    legacy: bool = False
    array: np.ndarray = field(default_factory=lambda: np.arange(24, dtype=np.float32))
    shape: tuple | None = (4, 6)
    strides: tuple | None = (6, 1)
    null_deleter: bool = False
    deleted: int = 0
    on_delete: object = None

    def __post_init__(self):
        self.managed = Managed() if self.legacy else ManagedVersioned()
        if not self.legacy:
            self.managed.major, self.managed.minor = 1, 3
        self._deleter = DELETER(self._delete)
        self._destructor = DESTRUCTOR(self._destroy)
        if not self.null_deleter:
            self.managed.deleter = ctypes.cast(self._deleter, ctypes.c_void_p).value
        tensor = self.tensor
        tensor.data = self.array.ctypes.data
        tensor.device = Device(CPU, 0)
        tensor.dtype = DataType(FLOAT, 32, 1)
        self.set_axes(self.shape, self.strides)

    @property
    def tensor(self) -> Tensor:
        return self.managed.dl_tensor

    @property
    def name(self) -> bytes:
        return LEGACY if self.legacy else VERSIONED

    def set_axes(self, shape, strides=None) -> None:
        self.shape, self.strides = shape, strides
        self.tensor.ndim = len(shape)
        self._shape = (ctypes.c_int64 * max(len(shape), 1))(*shape)
        self.tensor.shape = self._shape
        if strides is None:
            self.tensor.strides = None
        else:
            self._strides = (ctypes.c_int64 * max(len(strides), 1))(*strides)
            self.tensor.strides = self._strides

    def _delete(self, _address):
        self.deleted += 1
        if self.on_delete is not None:
            self.on_delete()

    def _destroy(self, capsule):
        if _raw_valid(capsule, self.name):
            address = _raw_pointer(capsule, self.name)
            deleter = type(self.managed).from_address(address).deleter
            if deleter:
                DELETER(deleter)(address)

    def capsule(self, name: bytes | None = None):
        """Make a capsule whose destructor deletes the tensor unless it was consumed.

        The destructor is Python: it must not run while an exception is on its way.
        """
        return _new(
            ctypes.addressof(self.managed),
            ctypes.cast(static_name(self.name if name is None else name), ctypes.c_char_p),
            ctypes.cast(self._destructor, ctypes.c_void_p),
        )


class Producer:
    """An object with __dlpack__ that gives what it was made with, and notes the keywords."""

    def __init__(self, result, device=(CPU, 0)):
        self.result, self.device, self.calls = result, device, []

    def __dlpack__(self, **keywords):
        self.calls.append(keywords)
        return self.result(self) if callable(self.result) else self.result

    def __dlpack_device__(self):
        return self.device
