"""The C interface of libdevview_core by ctypes alone, from the structures of c_api.h."""

from __future__ import annotations

import ctypes as c
import struct
import threading
from pathlib import Path

import numpy as np
import pytest

import devview as dv

OK, ARGUMENT, VERSION, SIZE, MEMORY, FORMAT = range(6)
KINDS = (
    *("boolean", "integer", "unsigned_integer", "floating", "complex_floating", "character"),
    *("bytes", "pascal", "unicode", "pointer", "function", "object", "bits", "opaque"),
    *("record", "array"),
)


class Node(c.Structure):
    """``devview_format_node``, version 2."""


class Field(c.Structure):
    """``devview_format_field``."""

    _fields_ = (
        ("name", c.c_char_p),
        ("offset", c.c_int64),
        ("format", c.POINTER(Node)),
        ("bit_offset", c.c_int32),
    )


Node._fields_ = (
    ("version", c.c_uint32),
    ("kind", c.c_int32),
    ("byteorder", c.c_int32),
    ("float_kind", c.c_int32),
    ("code", c.c_char),
    ("immortal", c.c_uint8),
    ("bits", c.c_int32),
    ("itemsize", c.c_int64),
    ("alignment", c.c_int64),
    ("ndim", c.c_int32),
    ("field_count", c.c_int32),
    ("shape", c.POINTER(c.c_int64)),
    ("element", c.POINTER(Node)),
    ("fields", c.POINTER(Field)),
    ("text", c.c_char_p),
    ("packed", c.c_uint8),
)


class Error(c.Structure):
    """``devview_error``."""

    _fields_ = (
        ("struct_size", c.c_uint32),
        ("status", c.c_int32),
        ("text", c.c_char_p),
        ("position", c.c_int64),
    )


Handle = c.c_void_p
PROTOTYPES = {
    "devview_format_parse": (c.c_char_p, c.c_int64, c.POINTER(Handle)),
    "devview_format_scalar": (c.c_char, c.POINTER(Handle)),
    "devview_format_from_dlpack": (c.c_uint8, c.c_uint8, c.c_uint16, c.POINTER(Handle)),
    "devview_format_of_node": (c.POINTER(Node), c.POINTER(Handle)),
    "devview_format_retain": (Handle,),
    "devview_format_release": (Handle,),
    "devview_format_describe": (Handle, c.c_uint32, c.POINTER(c.POINTER(Node))),
    "devview_format_str": (Handle, c.c_char_p, c.c_size_t, c.POINTER(c.c_size_t)),
    "devview_format_equal": (Handle, Handle, c.POINTER(c.c_int32)),
    "devview_format_hash": (Handle, c.POINTER(c.c_uint64)),
    "devview_last_error_details": (c.POINTER(Error),),
}


@pytest.fixture(scope="module")
def core():
    """Return the library beside the package, with its prototypes."""
    lib = c.CDLL(str(next(Path(dv.__file__).parent.glob("libdevview_core*"))))
    for name, arguments in PROTOTYPES.items():
        function = getattr(lib, name)
        function.argtypes, function.restype = arguments, c.c_int32
    lib.devview_last_error.restype = c.c_char_p
    lib.devview_c_api_version.restype = c.c_uint32
    return lib


class Parsed:
    """A format's handle, released at the end of a ``with``."""

    def __init__(self, core, text: str | bytes, itemsize: int = -1) -> None:
        self.core, self.handle = core, Handle()
        encoded = text.encode() if isinstance(text, str) else text
        status = core.devview_format_parse(encoded, itemsize, c.byref(self.handle))
        assert status == OK, core.devview_last_error()

    def __enter__(self) -> Node:
        node = c.POINTER(Node)()
        assert self.core.devview_format_describe(self.handle, 1, c.byref(node)) == OK
        assert c.addressof(node.contents)
        return node.contents

    def __exit__(self, *_: object) -> None:
        assert self.core.devview_format_release(self.handle) == OK

    def str(self) -> bytes:
        """Return the canonical spelling, by the two calls that a C program makes."""
        length = c.c_size_t()
        assert self.core.devview_format_str(self.handle, None, 0, c.byref(length)) == OK
        buffer = c.create_string_buffer(length.value + 1)
        assert self.core.devview_format_str(self.handle, buffer, len(buffer), None) == OK
        return buffer.value


def dtype_of(node: Node) -> np.dtype:
    """Return NumPy's dtype for a descriptor, from its numbers alone."""
    assert node.version == 2
    kind = KINDS[node.kind]
    if kind == "record":
        fields = [node.fields[i] for i in range(node.field_count)]
        return np.dtype(
            {
                "names": [field.name.decode() for field in fields],
                "offsets": [field.offset for field in fields],
                "formats": [dtype_of(field.format.contents) for field in fields],
                "itemsize": node.itemsize,
            }
        )
    if kind == "array":
        shape = tuple(node.shape[axis] for axis in range(node.ndim))
        return np.dtype((dtype_of(node.element.contents), shape))
    letter = {"boolean": "b", "integer": "i", "unsigned_integer": "u", "floating": "f"}
    letter |= {"complex_floating": "c", "bytes": "S", "character": "S", "opaque": "V"}
    order = "=<>"[node.byteorder]
    return np.dtype(f"{order}{letter[kind]}{node.itemsize}")


def text_of(dtype: np.dtype) -> str:
    """Return the format that NumPy exports a dtype with."""
    return memoryview(np.zeros((), dtype)).format


DTYPES = [
    *(np.dtype(code) for code in "?bBhHiIlLqQefdgFDG"),
    *(np.dtype(text) for text in (">i4", ">f8", "<u2", ">c16", "S5", "(2,3)i4")),
    np.dtype([("a", "i4"), ("b", "f8")]),
    np.dtype([("a", "i4"), ("b", "f8")], align=True),
    np.dtype([("a", "u1"), ("b", [("c", ">i2"), ("d", "f4", (2, 2))], (3,))], align=True),
    np.dtype({"names": ["x", "y"], "formats": ["i2", "f8"], "offsets": [6, 16], "itemsize": 32}),
]


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_descriptor_says_what_numpy_says(core, dtype):
    text = "(2,3)i" if dtype.subdtype else text_of(dtype)
    with Parsed(core, text, dtype.itemsize) as node:
        assert dtype_of(node) == dtype
        assert node.text == text.encode()
        assert node.itemsize == dtype.itemsize


@pytest.mark.parametrize("code", "?bBhHiIlLqQnNefdP")
def test_scalars_have_the_sizes_of_struct(core, code):
    handle, node = Handle(), c.POINTER(Node)()
    assert core.devview_format_scalar(code.encode(), c.byref(handle)) == OK
    assert core.devview_format_describe(handle, 1, c.byref(node)) == OK
    assert node.contents.itemsize == struct.calcsize(code)
    assert node.contents.alignment == struct.calcsize(f"b{code}") - struct.calcsize(code)
    assert node.contents.code == code.encode()
    assert node.contents.immortal == 1
    assert core.devview_format_release(handle) == OK


def test_canonical_text_equality_and_hash(core):
    spellings = ("T{i:a:d:b:}", "T{<i:a:4x<d:b:}", " T{ i:a: xxxx d:b: } ")
    formats = [Parsed(core, spelling) for spelling in spellings]
    equal, hashes = c.c_int32(), set()
    for parsed in formats:
        assert parsed.str() == b"T{i:a:d:b:}"
        status = core.devview_format_equal(parsed.handle, formats[0].handle, c.byref(equal))
        assert (status, equal.value) == (OK, 1)
        value = c.c_uint64()
        assert core.devview_format_hash(parsed.handle, c.byref(value)) == OK
        hashes.add(value.value)
    assert len(hashes) == 1
    other = Parsed(core, "T{i:a:d:c:}")
    assert core.devview_format_equal(other.handle, formats[0].handle, c.byref(equal)) == OK
    assert equal.value == 0
    for parsed in (*formats, other):
        assert core.devview_format_release(parsed.handle) == OK


def test_equal_spellings_share_one_descriptor(core):
    with Parsed(core, "T{i:shared:}") as first, Parsed(core, b"T{i:shared:}") as second:
        assert c.addressof(first) == c.addressof(second)


@pytest.mark.parametrize(
    ("text", "itemsize", "position"),
    [
        (b"T{iy}", -1, 3),
        (b"T{" * 200_000, -1, 128),
        (b"1" * 23 + b"i", -1, 0),
        (b"i:\xff:", -1, 2),
        (b"i", 8, 1),
        (b"i", -7, 1),
    ],
)
def test_bad_format_gives_status_text_and_position(core, text, itemsize, position):
    handle, error = Handle(), Error(c.sizeof(Error))
    assert core.devview_format_parse(text, itemsize, c.byref(handle)) == FORMAT
    assert not handle.value
    assert core.devview_last_error_details(c.byref(error)) == OK
    assert (error.status, error.position) == (FORMAT, position)
    assert error.text == core.devview_last_error()


def test_errors_are_of_the_thread(core):
    handle = Handle()
    assert core.devview_format_parse(b"y", -1, c.byref(handle)) == FORMAT
    mine = core.devview_last_error()
    seen = []

    def other() -> None:
        seen.append(core.devview_last_error())
        core.devview_format_retain(None)
        seen.append(core.devview_last_error())

    thread = threading.Thread(target=other)
    thread.start()
    thread.join()
    assert seen == [b"", b"devview_format_retain: format: null"]
    assert core.devview_last_error() == mine


def test_handles_from_many_threads(core):
    handle = Handle()
    assert core.devview_format_parse(b"T{i:many:}", -1, c.byref(handle)) == OK

    def work() -> None:
        for _ in range(2000):
            assert core.devview_format_retain(handle) == OK
            assert core.devview_format_release(handle) == OK

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    node = c.POINTER(Node)()
    assert core.devview_format_describe(handle, 1, c.byref(node)) == OK
    assert node.contents.fields[0].name == b"many"
    assert core.devview_format_release(handle) == OK


def test_packed_items_are_told_from_version_2_on(core):
    handle, node = Handle(), c.POINTER(Node)()
    assert core.devview_format_parse(b"T{6t:float6_e2m3fn:}", -1, c.byref(handle)) == OK
    assert core.devview_format_describe(handle, 1, c.byref(node)) == VERSION
    assert b"packed" in core.devview_last_error()
    assert core.devview_format_describe(handle, 2, c.byref(node)) == OK
    found = node.contents
    assert (found.packed, found.bits, found.itemsize, found.float_kind) == (1, 6, 1, 15)
    assert core.devview_format_release(handle) == OK
    with Parsed(core, "T{B:float6_e2m3fn:}") as padded:
        assert (padded.packed, padded.bits, padded.itemsize) == (0, 6, 1)


def test_version(core):
    assert core.devview_c_api_version() == 2


# --- The capsule of dv.Format ---

capsule_pointer = c.PYFUNCTYPE(c.c_void_p, c.py_object, c.c_char_p)(
    ("PyCapsule_GetPointer", c.pythonapi)
)


def capsule_node(capsule: object) -> Node:
    """Return the descriptor that a capsule holds."""
    return Node.from_address(capsule_pointer(capsule, b"devview_format"))


@pytest.mark.parametrize("dtype", [dtype for dtype in DTYPES if not dtype.subdtype], ids=str)
def test_capsule_holds_the_descriptor(dtype):
    spec = dv.Format(dtype)
    capsule = spec.__devview_format__()
    node = capsule_node(capsule)
    assert dtype_of(node) == dtype
    assert node.itemsize == spec.itemsize == dtype.itemsize


def test_capsule_keeps_the_descriptor_and_gives_a_handle(core):
    spec = dv.Format("T{i:kept:(2,3)d:by_the_capsule:}")
    capsule = spec.__devview_format__()
    with pytest.raises(ValueError, match="PyCapsule"):
        capsule_pointer(capsule, b"another_name")
    node, handle = capsule_node(capsule), Handle()
    del spec
    assert node.fields[1].name == b"by_the_capsule"
    assert core.devview_format_of_node(c.byref(node), c.byref(handle)) == OK
    del capsule
    assert [node.fields[1].format.contents.shape[i] for i in range(2)] == [2, 3]
    assert core.devview_format_release(handle) == OK
