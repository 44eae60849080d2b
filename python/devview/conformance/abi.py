"""The C side of the protocols as ctypes: DLPack's structs, Py_buffer, capsules.

Written from dlpack.h 1.3 and CPython's headers; nothing of devview is used, so that the cases are
the same whatever importer they are pointed at.
"""

from __future__ import annotations

import ctypes
from ctypes import (
    CFUNCTYPE,
    POINTER,
    PYFUNCTYPE,
    Structure,
    c_char_p,
    c_int,
    c_int32,
    c_int64,
    c_ssize_t,
    c_uint8,
    c_uint16,
    c_uint32,
    c_uint64,
    c_void_p,
    py_object,
)

CPU, CUDA, CUDA_HOST, CUDA_MANAGED, ROCM = 1, 2, 3, 13, 10
INT, UINT, FLOAT, OPAQUE, BFLOAT, COMPLEX, BOOL = range(7)
FLOAT8_E4M3FN, FLOAT6_E2M3FN, FLOAT4_E2M1FN = 10, 15, 17
READ_ONLY, IS_COPIED, SUBBYTE_PADDED = 1, 2, 4

LEGACY, VERSIONED, EXCHANGE = b"dltensor", b"dltensor_versioned", b"dlpack_exchange_api"
USED_LEGACY, USED_VERSIONED = b"used_dltensor", b"used_dltensor_versioned"


class DLTensor(Structure):
    """DLTensor, with the device and the dtype spread out."""

    _fields_ = (
        ("data", c_void_p),
        ("device_type", c_int32),
        ("device_id", c_int32),
        ("ndim", c_int32),
        ("code", c_uint8),
        ("bits", c_uint8),
        ("lanes", c_uint16),
        ("shape", c_void_p),
        ("strides", c_void_p),
        ("byte_offset", c_uint64),
    )


class ManagedTensor(Structure):
    """DLManagedTensor, the legacy one."""

    _fields_ = (("tensor", DLTensor), ("context", c_void_p), ("deleter", c_void_p))


class ManagedTensorVersioned(Structure):
    """DLManagedTensorVersioned."""

    _fields_ = (
        ("major", c_uint32),
        ("minor", c_uint32),
        ("context", c_void_p),
        ("deleter", c_void_p),
        ("flags", c_uint64),
        ("tensor", DLTensor),
    )


class ExchangeAPI(Structure):
    """DLPackExchangeAPI with its header."""

    _fields_ = (
        ("major", c_uint32),
        ("minor", c_uint32),
        ("prev_api", c_void_p),
        ("allocator", c_void_p),
        ("from_object", c_void_p),
        ("to_object", c_void_p),
        ("tensor_from_object", c_void_p),
        ("current_work_stream", c_void_p),
    )


class PyBuffer(Structure):
    """Py_buffer; `obj` as an address, for who counts it is the point of several cases."""

    _fields_ = (
        ("buf", c_void_p),
        ("obj", c_void_p),
        ("len", c_ssize_t),
        ("itemsize", c_ssize_t),
        ("readonly", c_int),
        ("ndim", c_int),
        ("format", c_char_p),
        ("shape", c_void_p),
        ("strides", c_void_p),
        ("suboffsets", c_void_p),
        ("internal", c_void_p),
    )


class TypeSlot(Structure):
    """PyType_Slot."""

    _fields_ = (("slot", c_int), ("function", c_void_p))


class TypeSpec(Structure):
    """PyType_Spec."""

    _fields_ = (
        ("name", c_char_p),
        ("basicsize", c_int),
        ("itemsize", c_int),
        ("flags", ctypes.c_uint),
        ("slots", POINTER(TypeSlot)),
    )


# Callbacks take the GIL themselves and may be called from any thread.
Deleter = CFUNCTYPE(None, c_void_p)
FromObject = CFUNCTYPE(c_int, c_void_p, POINTER(c_void_p))
ToObject = CFUNCTYPE(c_int, c_void_p, POINTER(c_void_p))
TensorFromObject = CFUNCTYPE(c_int, c_void_p, POINTER(DLTensor))
Allocator = CFUNCTYPE(c_int, c_void_p, POINTER(c_void_p), c_void_p, c_void_p)
WorkStream = CFUNCTYPE(c_int, c_int32, c_int32, POINTER(c_void_p))
GetBuffer = CFUNCTYPE(c_int, c_void_p, POINTER(PyBuffer), c_int)
# Addresses only: making any other argument fails where an exception is pending.
ReleaseBuffer = CFUNCTYPE(None, c_void_p, c_void_p)


def _function(name, result, *arguments):
    return PYFUNCTYPE(result, *arguments)((name, ctypes.pythonapi))


_capsule_new = _function("PyCapsule_New", py_object, c_void_p, c_char_p, c_void_p)
_capsule_name = _function("PyCapsule_GetName", c_char_p, py_object)
_capsule_rename = _function("PyCapsule_SetName", c_int, py_object, c_char_p)
new_reference = _function("Py_IncRef", None, c_void_p)
type_from_spec = _function("PyType_FromSpec", py_object, POINTER(TypeSpec))
memoryview_from = _function("PyMemoryView_FromBuffer", py_object, POINTER(PyBuffer))
_nothing = _function("Py_GetVersion", c_char_p)

# `int f(PyObject*)` that runs Python code (`__bool__`), and gives -1 with its exception: no ctypes
# callback can do that. Further arguments of the callback it stands for are left unread.
IS_TRUE = ctypes.cast(ctypes.pythonapi.PyObject_IsTrue, c_void_p).value

_names: dict[bytes, c_char_p] = {}  # a capsule keeps the pointer, nobody the text


def _kept(name: bytes | None) -> c_char_p | None:
    return None if name is None else _names.setdefault(name, c_char_p(name))


def capsule(address: int, name: bytes | None):
    """Return a new capsule without a destructor: whoever made it looks at its name later."""
    return _capsule_new(address, _kept(name), None)


def capsule_name(told) -> bytes | None:
    """Return the name a capsule has now."""
    return _capsule_name(told)


def rename(told, name: bytes) -> None:
    """Give a capsule another name."""
    _capsule_rename(told, _kept(name))


def pending_exception() -> BaseException | None:
    """Return, and clear, the exception with which a callback was entered.

    A C function may be called with one set; ctypes would lose it. The call of any function of
    the Python API raises it here.
    """
    try:
        _nothing()
    except BaseException as pending:
        return pending
    return None


def array_of(values) -> ctypes.Array:
    """Return int64 values as a C array; ctypes takes each modulo 2**64."""
    return (c_int64 * max(1, len(values)))(*values)


def wrapped(value: int) -> int:
    """Return `value` as an int64 holds it."""
    return (value + (1 << 63)) % (1 << 64) - (1 << 63)
