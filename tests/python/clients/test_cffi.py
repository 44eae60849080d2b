"""cffi: C arrays and structures by ffi.buffer, and C functions that are handed views."""

from __future__ import annotations

import pytest

import devview as dv
from clients.contract import CUDA, Case, Contract, require

cffi = require("cffi", "cffi")

ffi = cffi.FFI()
ffi.cdef(
    """
    struct point { char tag; int x; double m[2][2]; };
    struct packet { unsigned char kind; unsigned short size; };
    void qsort(void *base, size_t count, size_t size, int (*compare)(const void *, const void *));
    void *memchr(const void *block, int byte, size_t count);
    """
)
LIBC = ffi.dlopen(None)
POINT = "T{c:tag:i:x:(2,2)d:m:}"


def int_array():
    return ffi.new("int[2][3]", [[1, 2, 3], [4, 5, 6]])


def points():
    return ffi.new(
        "struct point[2]",
        [(b"a", 1, [[1.0, 2.0], [3.0, 4.0]]), (b"b", 2, [[5.0, 6.0], [7.0, 8.0]])],
    )


def read_point(p) -> tuple:
    return (p.tag, p.x, [[float(x) for x in row] for row in p.m])


def set_int(obj, value) -> None:
    obj[1][2] = value


def set_point(obj, value) -> None:
    obj[1].tag, obj[1].x, obj[1].m = value


def set_byte(obj, value) -> None:
    ffi.cast("unsigned char *", obj)[5] = value


def address(obj) -> int:
    return int(ffi.cast("uintptr_t", obj))


CASES = [
    Case(
        name="buffer of bytes",
        make=int_array,
        view=lambda obj: dv.view(ffi.buffer(obj)),
        address=address,
        read=lambda obj: list(ffi.unpack(ffi.cast("unsigned char *", obj), 24)),
        format="B",
        shape=(24,),
        strides=(1,),
        index=(5,),
        value=0x80,
        write=set_byte,
    ),
    Case(
        name="array of arrays",
        make=int_array,
        view=lambda obj: dv.from_buffer(ffi.buffer(obj), format="i", shape=(2, 3)),
        address=address,
        read=lambda obj: [ffi.unpack(row, 3) for row in obj],
        format="i",
        shape=(2, 3),
        strides=(12, 4),
        index=(1, 2),
        value=-7,
        write=set_int,
    ),
    Case(
        name="structures",
        make=points,
        view=lambda obj: dv.from_buffer(ffi.buffer(obj), format=POINT),
        address=address,
        read=lambda obj: [read_point(p) for p in obj],
        format=POINT,
        shape=(2,),
        strides=(ffi.sizeof("struct point"),),
        index=(1,),
        value=(b"z", -9, [[0.5, 0.25], [0.0, -1.0]]),
        write=set_point,
    ),
]


@pytest.mark.parametrize("case", CASES, ids=str)
class TestCffi(Contract):
    pass


def test_c_data_itself_is_no_exporter():
    with pytest.raises(dv.ImportRefused, match="buffer protocol: not offered"):
        dv.view(int_array())


def test_cffi_works_in_the_memory_of_a_host_view():
    v = dv.empty((4,), "i")
    v[:] = dv.view(ffi.buffer(ffi.new("int[4]", [4, -1, 3, 2]))).cast("i")
    data = ffi.from_buffer("int[]", v, require_writable=True)
    assert address(data) == v.ptr
    assert len(data) == 4
    with pytest.raises(BufferError, match="1 export"):
        v.release()
    compare = ffi.callback(
        "int(const void *, const void *)",
        lambda a, b: ffi.cast("int *", a)[0] - ffi.cast("int *", b)[0],
    )
    LIBC.qsort(data, 4, 4, compare)
    assert v.tolist() == [-1, 2, 3, 4]
    ffi.release(data)
    v.release()


def test_cffi_refuses_to_write_what_is_read_only():
    v = dv.view(b"abc")
    with pytest.raises(BufferError, match="not writable"):
        ffi.from_buffer(v, require_writable=True)
    data = ffi.from_buffer(v)
    found = LIBC.memchr(data, ord("c"), 3)
    assert address(found) - v.ptr == 2


def test_cffi_reads_and_writes_a_device_view():
    d = dv.view(ffi.buffer(int_array())).cast("i").to(CUDA)
    data = ffi.from_buffer("int[]", d)
    assert ffi.unpack(data, 6) == [1, 2, 3, 4, 5, 6]
    ffi.release(data)
    data = ffi.from_buffer("int[]", d, require_writable=True)
    data[0] = 100
    ffi.release(data)  # written back
    assert d.tolist() == [100, 2, 3, 4, 5, 6]
    # memmove reads any buffer.
    target = ffi.new("int[6]")
    ffi.memmove(target, d, 24)
    assert ffi.unpack(target, 6) == [100, 2, 3, 4, 5, 6]
    ffi.memmove(d, ffi.new("int[6]", [6, 5, 4, 3, 2, 1]), 24)
    assert d.tolist() == [6, 5, 4, 3, 2, 1]


def test_a_packed_structure_is_a_format_without_alignment():
    packed = cffi.FFI()
    packed.cdef("struct packet { unsigned char kind; unsigned short size; };", packed=True)
    obj = packed.new("struct packet[2]", [(1, 2), (3, 4)])
    v = dv.from_buffer(packed.buffer(obj), format="T{<B:kind:H:size:}")
    assert v.itemsize == packed.sizeof("struct packet") == 3
    assert v.tolist() == [(1, 2), (3, 4)]
    v[0] = (9, 0xFFFF)
    assert (obj[0].kind, obj[0].size) == (9, 0xFFFF)
