"""DLPack's C exchange API by ctypes: View's table to call, and crafted ones to be called."""

from __future__ import annotations

import contextlib
import ctypes
from ctypes import POINTER, PYFUNCTYPE, byref, c_char_p, c_int, c_int32, c_uint32, c_void_p

import devview as dv
import dlpack_capsules as dl
from dlpack_capsules import Crafted, ManagedVersioned, Tensor

ATTRIBUTE = "__dlpack_c_exchange_api__"
NAME = b"dlpack_exchange_api"
FROM_OBJECT = "managed_tensor_from_py_object_no_sync"
TO_OBJECT = "managed_tensor_to_py_object_no_sync"
TENSOR_FROM_OBJECT = "dltensor_from_py_object_no_sync"
ENTRIES = (
    "managed_tensor_allocator",
    FROM_OBJECT,
    TO_OBJECT,
    TENSOR_FROM_OBJECT,
    "current_work_stream",
)


class Header(ctypes.Structure):
    pass


Header._fields_ = (("major", c_uint32), ("minor", c_uint32), ("previous", POINTER(Header)))


class Api(ctypes.Structure):
    _fields_ = (("header", Header), *((entry, c_void_p) for entry in ENTRIES))


SET_ERROR = ctypes.CFUNCTYPE(None, c_void_p, c_char_p, c_char_p)

# As C sees them. Called through ctypes, an exception that an entry has set is raised.
TYPES = {
    "managed_tensor_allocator": PYFUNCTYPE(c_int, c_void_p, c_void_p, c_void_p, c_void_p),
    FROM_OBJECT: PYFUNCTYPE(c_int, c_void_p, POINTER(c_void_p)),
    TO_OBJECT: PYFUNCTYPE(c_int, c_void_p, POINTER(c_void_p)),
    TENSOR_FROM_OBJECT: PYFUNCTYPE(c_int, c_void_p, c_void_p),
    "current_work_stream": PYFUNCTYPE(c_int, c_int32, c_int32, POINTER(c_void_p)),
}
# The same for a caller that has let the GIL go.
ALLOCATE_UNLOCKED = ctypes.CFUNCTYPE(c_int, c_void_p, c_void_p, c_void_p, c_void_p)

_pointer = ctypes.pythonapi.PyCapsule_GetPointer
_pointer.restype, _pointer.argtypes = c_void_p, (ctypes.py_object, c_char_p)
_new_capsule = ctypes.pythonapi.PyCapsule_New
_new_capsule.restype, _new_capsule.argtypes = ctypes.py_object, (c_void_p, c_char_p, c_void_p)
_decref = ctypes.pythonapi.Py_DecRef
_decref.argtypes = (ctypes.py_object,)


def address_of(function) -> int:
    return ctypes.cast(function, c_void_p).value


def api_of(type_) -> Api:
    """Return the table of a type, in place."""
    return Api.from_address(_pointer(getattr(type_, ATTRIBUTE), NAME))


def entry_of(name: str, type_=dv.View):
    """Return an entry of a type's table as a function."""
    return TYPES[name](getattr(api_of(type_), name))


def managed_of(obj, type_=None) -> ManagedVersioned:
    """Ask a table for an object as a managed tensor; the caller deletes it."""
    out = c_void_p(1)
    try:
        assert entry_of(FROM_OBJECT, type_ or type(obj))(id(obj), byref(out)) == 0
    except BaseException:
        assert not out.value, "out is not NULL after a failure"
        raise
    return ManagedVersioned.from_address(out.value)


def tensor_of(obj, type_=None) -> Tensor:
    """Borrow the tensor of an object."""
    out = Tensor()
    assert entry_of(TENSOR_FROM_OBJECT, type_ or type(obj))(id(obj), ctypes.addressof(out)) == 0
    return out


def object_of(managed: ManagedVersioned, type_=dv.View):
    """Make an object of a tensor, which goes to it."""
    out = c_void_p(1)
    try:
        assert entry_of(TO_OBJECT, type_)(ctypes.addressof(managed), byref(out)) == 0
    except BaseException:
        assert not out.value, "out is not NULL after a failure"
        raise
    made = ctypes.cast(out, ctypes.py_object).value
    _decref(made)
    return made


def work_stream(device_type: int, device_id: int, type_=dv.View):
    """Return the handle that current_work_stream tells, None for null."""
    out = c_void_p(99)
    assert entry_of("current_work_stream", type_)(device_type, device_id, byref(out)) == 0
    return out.value


@contextlib.contextmanager
def counted(entry: str):
    """Count the calls of an entry of View's table that go well, and must."""
    api, calls = api_of(dv.View), []
    original = getattr(api, entry)

    def call(*args):
        calls.append(args)
        return TYPES[entry](original)(*args)

    wrapper = TYPES[entry](call)
    setattr(api, entry, address_of(wrapper))
    try:
        yield calls
    finally:
        setattr(api, entry, original)


class Table:
    """A table whose entries answer with one crafted tensor, and count; any of them replaceable.

    Entries are addresses, None for null, or functions. `stream` is the current work stream's
    handle.
    """

    def __init__(self, crafted=None, *, stream=None, version=(1, 3), previous=None, **entries):
        self.crafted = crafted or Crafted()
        self.calls, self.streams_asked = 0, []
        self.stream = stream
        usual = {
            FROM_OBJECT: self._from_object,
            "current_work_stream": self._current_work_stream,
            # What an importer has no business with: it must not be looked at.
            "managed_tensor_allocator": 0xDEAD0,
            TO_OBJECT: 0xDEAD8,
            TENSOR_FROM_OBJECT: 0xDEAE0,
        }
        self._kept = [previous]
        self.api = Api()
        self.api.header.major, self.api.header.minor = version
        if previous is not None:
            self.api.header.previous = ctypes.pointer(previous.api.header)
        for name, value in (usual | entries).items():
            if callable(value):
                function = TYPES[name](value)
                self._kept.append(function)
                value = address_of(function)
            setattr(self.api, name, value)

    def _from_object(self, _object, out):
        self.calls += 1
        out[0] = ctypes.addressof(self.crafted.managed)
        return 0

    def _current_work_stream(self, device_type, device_id, out):
        self.streams_asked.append((device_type, device_id))
        out[0] = self.stream
        return 0

    @property
    def deleted(self) -> int:
        return self.crafted.deleted

    def capsule(self, name: bytes | None = NAME, shift: int = 0):
        text = None if name is None else ctypes.create_string_buffer(name)
        self._kept.append(text)
        return _new_capsule(
            ctypes.addressof(self.api) + shift, ctypes.cast(text, c_char_p) if text else None, None
        )

    def producer(self, attribute=None, **members):
        """Make an object of a new class with the table."""
        return type("Producer", (), {ATTRIBUTE: attribute or self.capsule(), **members})()


# --- Tensors that make no sense: what is done to a good one ---


def spoil(**members):
    def change(crafted):
        for name, value in members.items():
            target = crafted.managed if name in ("major", "flags") else crafted.tensor
            setattr(target, name, value)

    return change


BAD = {
    "major 99": spoil(major=99),
    "major 0": spoil(major=0),
    "ndim -1": spoil(ndim=-1),
    "ndim 65": spoil(ndim=65),
    "shape null": spoil(shape=None),
    "data null": spoil(data=None),
    "byte_offset 2**63": spoil(byte_offset=1 << 63),
    "dtype 99": spoil(dtype=dl.DataType(99, 32, 1)),
    "bits 0": spoil(dtype=dl.DataType(dl.FLOAT, 0, 1)),
    "lanes 0": spoil(dtype=dl.DataType(dl.FLOAT, 32, 0)),
    "device 77": spoil(device=dl.Device(77, 0)),
    "extent -4": lambda crafted: crafted.set_axes((-4, 6), (6, 1)),
    "2**62 items": lambda crafted: crafted.set_axes((1 << 31, 1 << 31), (1, 1)),
    "stride 2**62": lambda crafted: crafted.set_axes((4, 6), (1 << 62, 1)),
    "host memory said to be CUDA's": spoil(device=dl.Device(dl.CUDA, 0)),
    "host memory said to be pinned": spoil(device=dl.Device(dl.PINNED, 0)),
    "CUDA device that is not there": spoil(device=dl.Device(dl.CUDA, 15)),
}
