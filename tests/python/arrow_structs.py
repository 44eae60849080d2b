"""Arrow's C structs by ctypes: producers that say anything, count their releases, and readers."""

from __future__ import annotations

import contextlib
import ctypes
import struct
from collections import Counter


class Schema(ctypes.Structure):
    pass


class Array(ctypes.Structure):
    pass


RELEASE_SCHEMA = ctypes.CFUNCTYPE(None, ctypes.POINTER(Schema))
RELEASE_ARRAY = ctypes.CFUNCTYPE(None, ctypes.POINTER(Array))

Schema._fields_ = (
    ("format", ctypes.c_char_p),
    ("name", ctypes.c_char_p),
    ("metadata", ctypes.c_void_p),
    ("flags", ctypes.c_int64),
    ("n_children", ctypes.c_int64),
    ("children", ctypes.POINTER(ctypes.POINTER(Schema))),
    ("dictionary", ctypes.POINTER(Schema)),
    ("release", RELEASE_SCHEMA),
    ("private_data", ctypes.c_void_p),
)
Array._fields_ = (
    ("length", ctypes.c_int64),
    ("null_count", ctypes.c_int64),
    ("offset", ctypes.c_int64),
    ("n_buffers", ctypes.c_int64),
    ("n_children", ctypes.c_int64),
    ("buffers", ctypes.POINTER(ctypes.c_void_p)),
    ("children", ctypes.POINTER(ctypes.POINTER(Array))),
    ("dictionary", ctypes.POINTER(Array)),
    ("release", RELEASE_ARRAY),
    ("private_data", ctypes.c_void_p),
)


class DeviceArray(ctypes.Structure):
    _fields_ = (
        ("array", Array),
        ("device_id", ctypes.c_int64),
        ("device_type", ctypes.c_int32),
        ("sync_event", ctypes.c_void_p),
        ("reserved", ctypes.c_int64 * 3),
    )


class Stream(ctypes.Structure):
    pass


RELEASE_STREAM = ctypes.CFUNCTYPE(None, ctypes.POINTER(Stream))
GET_SCHEMA = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(Stream), ctypes.POINTER(Schema))
GET_NEXT = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(Stream), ctypes.POINTER(Array))
GET_ERROR = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.POINTER(Stream))

Stream._fields_ = (
    ("get_schema", GET_SCHEMA),
    ("get_next", GET_NEXT),
    ("get_last_error", GET_ERROR),
    ("release", RELEASE_STREAM),
    ("private_data", ctypes.c_void_p),
)


class DeviceStream(ctypes.Structure):
    pass


RELEASE_DEVICE_STREAM = ctypes.CFUNCTYPE(None, ctypes.POINTER(DeviceStream))
GET_DEVICE_SCHEMA = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(DeviceStream), ctypes.POINTER(Schema)
)
GET_DEVICE_NEXT = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(DeviceStream), ctypes.POINTER(DeviceArray)
)
GET_DEVICE_ERROR = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.POINTER(DeviceStream))

DeviceStream._fields_ = (
    ("device_type", ctypes.c_int32),
    ("get_schema", GET_DEVICE_SCHEMA),
    ("get_next", GET_DEVICE_NEXT),
    ("get_last_error", GET_DEVICE_ERROR),
    ("release", RELEASE_DEVICE_STREAM),
    ("private_data", ctypes.c_void_p),
)

# --- Capsules ---

_DESTRUCTOR = ctypes.PYFUNCTYPE(None, ctypes.c_void_p)
_new = ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p)(
    ("PyCapsule_New", ctypes.pythonapi)
)
_pointer = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.py_object, ctypes.c_char_p)(
    ("PyCapsule_GetPointer", ctypes.pythonapi)
)
# Of a capsule that is being destroyed: a new reference to it would destroy it again.
_dying_pointer = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_char_p)(
    ("PyCapsule_GetPointer", ctypes.pythonapi)
)

# Structs and their strings must outlive capsules and views that we do not see.
_alive: list = []


def _destructor(name: bytes, kind, base):
    @_DESTRUCTOR
    def destroy(capsule):
        structure = base(kind.from_address(_dying_pointer(capsule, name)))
        if structure.release:
            structure.release(ctypes.byref(structure))

    _alive.append(destroy)
    return destroy


_DESTROY = {
    b"arrow_schema": _destructor(b"arrow_schema", Schema, lambda s: s),
    b"arrow_array": _destructor(b"arrow_array", Array, lambda a: a),
    b"arrow_device_array": _destructor(b"arrow_device_array", DeviceArray, lambda d: d.array),
    b"arrow_array_stream": _destructor(b"arrow_array_stream", Stream, lambda s: s),
    b"arrow_device_array_stream": _destructor(
        b"arrow_device_array_stream", DeviceStream, lambda s: s
    ),
}


def capsule_of(structure, name: bytes):
    """Give a capsule whose destructor releases the struct unless it was moved away."""
    _alive.append(structure)
    destroy = ctypes.cast(_DESTROY[name], ctypes.c_void_p)
    return _new(ctypes.addressof(structure), name, destroy)


def named_capsule(structure, name: bytes):
    """Give a capsule that does nothing at its end."""
    _alive.append((structure, name))
    return _new(ctypes.addressof(structure), name, None)


def _struct_in(capsule, kind, name: bytes):
    structure = kind.from_address(_pointer(capsule, name))
    structure.capsule = capsule  # the struct is the capsule's
    return structure


def schema_in(capsule) -> Schema:
    return _struct_in(capsule, Schema, b"arrow_schema")


def array_in(capsule) -> Array:
    return _struct_in(capsule, Array, b"arrow_array")


def device_array_in(capsule) -> DeviceArray:
    return _struct_in(capsule, DeviceArray, b"arrow_device_array")


def moved(structure):
    """Give a copy, and mark the source released, as a consumer does that takes it over."""
    copy = type(structure).from_buffer_copy(structure)
    base = structure.array if isinstance(structure, DeviceArray) else structure
    base.release = type(base.release)()
    return copy


def release(structure) -> None:
    base = structure.array if isinstance(structure, DeviceArray) else structure
    base.release(ctypes.byref(base))
    assert not base.release


# --- Making structs ---


def metadata_of(**pairs: str) -> bytes:
    """Encode metadata; `__` in a key stands for a colon."""
    encoded = struct.pack("=i", len(pairs))
    for key, value in pairs.items():
        for text in (key.replace("__", ":").encode(), value.encode()):
            encoded += struct.pack("=i", len(text)) + text
    return encoded


def extension(name: str) -> bytes:
    return metadata_of(ARROW__extension__name=name, ARROW__extension__metadata="")


def pointers(kind, structures):
    """Give a C array of pointers to structs."""
    return (ctypes.POINTER(kind) * len(structures))(*map(ctypes.pointer, structures))


class Producer:
    """One array of `values`, with any member changed, that counts its releases by name.

    `lists` are sizes of fixed-size lists around the items, outermost first. `change(schema, array)`
    is called on the finished structs; `parts` gives those of each level.
    """

    def __init__(
        self,
        format: bytes = b"i",
        values=(10, 11, 12, 13),
        *,
        kind=ctypes.c_int32,
        lists: tuple = (),
        metadata: bytes | None = None,
        address: int | None = None,
        change=None,
    ):
        self.released: Counter = Counter()
        self.memory = (kind * len(values))(*values)
        self.kept: list = [self.memory]
        self.parts: list = []
        self.address = ctypes.addressof(self.memory) if address is None else address
        length = len(values)
        schema, array = self._leaf(format, metadata, length)
        self.parts.append((schema, array))
        for size in reversed(lists):
            length //= size
            schema, array = self._list(size, length, schema, array)
            self.parts.append((schema, array))
        self.parts.reverse()
        schema.release = self._release_schema = RELEASE_SCHEMA(self._counted("schema"))
        array.release = self._release_array = RELEASE_ARRAY(self._counted("array"))
        self.schema, self.array = schema, array
        self.device: dict = {}
        _alive.append(self)
        if change is not None:
            change(self)

    def _counted(self, name):
        def release(pointer):
            self.released[name] += 1
            pointer.contents.release = type(pointer.contents.release)()

        return release

    def _never(self, name):
        def release(pointer):
            self.released[f"{name} of a child, by the consumer"] += 1

        return release

    def _leaf(self, format, metadata, length):
        schema = Schema(format=format, name=b"", flags=2)
        if metadata is not None:
            self.kept.append(ctypes.create_string_buffer(metadata, len(metadata)))
            schema.metadata = ctypes.addressof(self.kept[-1])
        buffers = (ctypes.c_void_p * 2)(None, self.address)
        array = Array(length=length, n_buffers=2, buffers=buffers)
        self.kept += [schema, array, buffers, format]
        return schema, array

    def _list(self, size, length, schema, array):
        schema.release = RELEASE_SCHEMA(self._never("schema"))
        array.release = RELEASE_ARRAY(self._never("array"))
        outer = Schema(format=b"+w:%d" % size, name=b"", n_children=1)
        outer.children = pointers(Schema, [schema])
        buffers = (ctypes.c_void_p * 1)(None)
        around = Array(length=length, n_buffers=1, buffers=buffers, n_children=1)
        around.children = pointers(Array, [array])
        self.kept += [schema, array, buffers, outer, around]
        return outer, around

    def bitmap(self, bits: int, part: int = 0, null_count: int = -1) -> None:
        """Give a level a validity bitmap, lowest bit first."""
        data = ctypes.create_string_buffer(bits.to_bytes(64, "little"), 64)
        self.kept.append(data)
        array = self.parts[part][1]
        array.buffers[0] = ctypes.addressof(data)
        array.null_count = null_count

    def capsules(self):
        if not self.device:
            return (
                capsule_of(self.schema, b"arrow_schema"),
                capsule_of(self.array, b"arrow_array"),
            )
        array = DeviceArray(array=self.array, **self.device)
        return (
            capsule_of(self.schema, b"arrow_schema"),
            capsule_of(array, b"arrow_device_array"),
        )


class Host:
    """What offers a Producer by `__arrow_c_array__`."""

    def __init__(self, producer: Producer):
        self.producer = producer

    def __arrow_c_array__(self, requested_schema=None):
        return self.producer.capsules()


class OnDevice:
    """What offers a Producer by `__arrow_c_device_array__`, on the device of `place`."""

    def __init__(self, producer: Producer, **place):
        self.producer = producer
        producer.device = {"device_type": 1, "device_id": -1, **place}

    def __arrow_c_device_array__(self, requested_schema=None, **kwargs):
        return self.producer.capsules()


class Answer:
    """What answers a method of the interface with `value`, or raises it."""

    def __init__(self, value, method: str = "__arrow_c_array__"):
        self.value = value
        setattr(self, method, self.answer)

    def answer(self, requested_schema=None, **kwargs):
        if isinstance(self.value, BaseException):
            raise self.value
        return self.value


class Chunks:
    """An Arrow stream of producers; `fail` names a callback that returns an error."""

    def __init__(self, schema: Producer, chunks, *, fail: str = "", error: bytes | None = b"no"):
        self.released = 0
        self.asked = 0
        self.schema, self.chunks, self.fail = schema, iter(chunks), fail
        self.error = ctypes.c_char_p(error)
        self.device_type = 0
        _alive.append(self)

    def _get_schema(self, _, out):
        if self.fail == "get_schema":
            return 5
        ctypes.memmove(out, ctypes.byref(self.schema.schema), ctypes.sizeof(Schema))
        return 0

    def _get_next(self, _, out):
        self.asked += 1
        if self.fail == "get_next":
            return 22
        chunk = next(self.chunks, None)
        device = self.device_type != 0
        if chunk is None:
            ctypes.memset(out, 0, ctypes.sizeof(DeviceArray if device else Array))
            return 0
        structure = DeviceArray(array=chunk.array, **chunk.device) if device else chunk.array
        ctypes.memmove(out, ctypes.byref(structure), ctypes.sizeof(structure))
        return 0

    def _get_error(self, _):
        return ctypes.cast(self.error, ctypes.c_void_p).value

    def _release(self, pointer):
        self.released += 1
        pointer.contents.release = type(pointer.contents.release)()

    def structure(self):
        if self.device_type:
            return DeviceStream(
                self.device_type,
                GET_DEVICE_SCHEMA(self._get_schema),
                GET_DEVICE_NEXT(self._get_next),
                GET_DEVICE_ERROR(self._get_error),
                RELEASE_DEVICE_STREAM(self._release),
            )
        return Stream(
            GET_SCHEMA(self._get_schema),
            GET_NEXT(self._get_next),
            GET_ERROR(self._get_error),
            RELEASE_STREAM(self._release),
        )

    def __arrow_c_stream__(self, requested_schema=None):
        return capsule_of(self.structure(), b"arrow_array_stream")


class DeviceChunks(Chunks):
    """The same by `__arrow_c_device_stream__`."""

    __arrow_c_stream__ = property(lambda self: self.missing)  # raises AttributeError

    def __init__(self, schema, chunks, device_type: int, **options):
        super().__init__(schema, chunks, **options)
        self.device_type = device_type

    def __arrow_c_device_stream__(self, requested_schema=None, **kwargs):
        return capsule_of(self.structure(), b"arrow_device_array_stream")


@contextlib.contextmanager
def forgotten():
    """Let go of what the block made, at its end: nothing of it is used any more."""
    count = len(_alive)
    yield
    del _alive[count:]
