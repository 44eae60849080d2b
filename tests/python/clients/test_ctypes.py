"""ctypes: scalars, arrays, structures, unions, pointers; C functions in the memory of views."""

from __future__ import annotations

import ctypes
import gc
import sys

import pytest

import devview as dv
from clients.contract import CUDA, Case, Contract


class Point(ctypes.Structure):
    _fields_ = (("x", ctypes.c_uint8), ("y", ctypes.c_int32))


class Packed(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("x", ctypes.c_uint8), ("y", ctypes.c_int32))


class Network(ctypes.BigEndianStructure):
    _fields_ = (("kind", ctypes.c_uint16), ("value", ctypes.c_double))


class Nested(ctypes.Structure):
    _fields_ = (
        ("p", Point),
        ("q", Point * 2),
        ("d", ctypes.c_double),
        ("m", (ctypes.c_short * 3) * 2),
        ("w", ctypes.c_wchar),
        ("flag", ctypes.c_bool),
    )


class Derived(Point):
    _fields_ = (("z", ctypes.c_double),)


class Holder(ctypes.Structure):
    _fields_ = (("kind", ctypes.c_int), ("one", Packed), ("two", Packed * 2))


class Either(ctypes.Union):
    _fields_ = (("i", ctypes.c_int32), ("d", ctypes.c_double))


def plain(obj):
    """Give the values that ctypes itself reads, as numbers, tuples and nested lists."""
    if isinstance(obj, ctypes.Structure):
        return tuple(plain(getattr(obj, name)) for name, *_ in obj._fields_)
    if isinstance(obj, ctypes.Array):
        return [plain(item) for item in obj]
    return getattr(obj, "value", obj)


def plain_members(obj) -> tuple:
    """As `plain`, members of the base classes first."""
    bases = [part for part in reversed(type(obj).__mro__) if "_fields_" in vars(part)]
    return tuple(plain(getattr(obj, name)) for part in bases for name, *_ in part._fields_)


def ctypes_case(name: str, make, index: tuple, value, write, **more) -> Case:
    # From 3.12 on ctypes spells its padding as 'x'; what the letters mean stays the same.
    told = memoryview(make())
    return Case(
        name=name,
        make=make,
        address=ctypes.addressof,
        read=plain,
        index=index,
        value=value,
        write=write,
        **{"format": told.format, "shape": told.shape, "strides": told.strides, **more},
    )


def set_value(obj, value) -> None:
    obj.value = value


def set_third(obj, value) -> None:
    obj[2] = value


def nested() -> Nested:
    rows = ((1, 2, 3), (4, 5, 6))
    return Nested(Point(1, 2), (Point(3, 4), Point(5, 6)), 7.5, rows, "é", True)


NESTED = ((9, -9), [(3, 4), (5, 6)], 1.5, [[6, 5, 4], [3, 2, 1]], "z", False)


def set_nested(obj, value) -> None:
    p, q, obj.d, m, obj.w, obj.flag = value
    obj.p = Point(*p)
    for i, part in enumerate(q):
        obj.q[i] = Point(*part)
    for i, row in enumerate(m):
        obj.m[i][:] = row


PACKED = "T{<B:x:<i:y:}"

CASES = [
    ctypes_case("int", lambda: ctypes.c_int(3), (), -4, set_value),
    ctypes_case("long", lambda: ctypes.c_long(3), (), -(2**63), set_value),
    ctypes_case("size_t", lambda: ctypes.c_size_t(3), (), 2**64 - 1, set_value),
    ctypes_case("long double", lambda: ctypes.c_longdouble(0.5), (), 0.25, set_value),
    ctypes_case("void pointer", lambda: ctypes.c_void_p(8), (), 16, set_value),
    ctypes_case("array", lambda: (ctypes.c_int * 3)(1, 2, 3), (2,), -4, set_third),
    ctypes_case(
        "array of arrays",
        lambda: ((ctypes.c_float * 3) * 2)((1, 2, 3), (4, 5, 6)),
        (1, 2),
        0.5,
        lambda obj, value: obj[1].__setitem__(2, value),
    ),
    ctypes_case(
        "big-endian array",
        lambda: (ctypes.c_int.__ctype_be__ * 3)(1, 2, 3),
        (2,),
        0x01020304,
        set_third,
    ),
    ctypes_case("char array", lambda: ctypes.create_string_buffer(b"abc"), (2,), b"x", set_third),
    ctypes_case(
        "wchar array", lambda: ctypes.create_unicode_buffer("hé\U0001f40d"), (2,), "x", set_third
    ),
    ctypes_case(
        "structures",
        lambda: (Point * 3)((1, 2), (3, 4), (5, 6)),
        (2,),
        (7, -8),
        set_third,
    ),
    ctypes_case(
        "big-endian structure",
        lambda: Network(1, 2.5),
        (),
        (0x0102, -0.5),
        lambda obj, value: Network.__init__(obj, *value),
    ),
    ctypes_case("nested structure", nested, (), NESTED, set_nested),
    ctypes_case(
        "packed structures",
        lambda: (Packed * 3)((1, 2), (3, 4), (5, 6)),
        (2,),
        (7, -8),
        set_third,
        view=lambda obj: dv.from_buffer(obj, format=PACKED),
        format=PACKED,
    ),
]


@pytest.mark.parametrize("case", CASES, ids=str)
class TestCtypes(Contract):
    pass


def test_what_ctypes_says_of_a_packed_structure_is_replaced_by_a_given_format():
    p = Packed(1, 2)
    v = dv.from_buffer(p, format=PACKED, shape=())
    assert (v.ptr, v.itemsize, v[()]) == (ctypes.addressof(p), 5, (1, 2))
    v[()] = (200, -3)
    assert (p.x, p.y) == (200, -3)
    if sys.version_info < (3, 12):
        # 'B' of five bytes: no reader of PEP 3118 can know what is meant.
        assert (memoryview(p).format, memoryview(p).itemsize) == ("B", 5)


@pytest.mark.parametrize(
    ("make", "value"),
    [
        (lambda: Packed(1, 2), (200, -3)),
        (lambda: Derived(1, 2, 3.5), (200, -3, 0.25)),
        (lambda: Holder(1, Packed(2, 3), ((4, 5), (6, 7))), (9, (8, 7), [(6, 5), (4, 3)])),
    ],
    ids=["packed", "derived", "holds packed ones"],
)
def test_structures_that_ctypes_misspells_are_read_by_their_types(make, value):
    """'B' for what is packed (before 3.12), and members of a base class left out (always)."""
    s = make()
    v = dv.view(s)
    assert (v.ptr, v.itemsize) == (ctypes.addressof(s), ctypes.sizeof(s))
    assert v[()] == plain_members(s)
    v[()] = value
    assert plain_members(s) == value
    assert v.to(CUDA)[()] == value
    many = (type(s) * 2)(s, s)
    assert dv.view(many).tolist() == [value, value]


def test_a_union_in_a_structure_is_refused_by_its_name():
    class Tagged(ctypes.Structure):
        _fields_ = (("kind", ctypes.c_int), ("value", Either))

    t = Tagged(1, Either(d=1.5))
    with pytest.raises(dv.ImportRefused, match="Either is a union"):
        dv.view(t)
    v = dv.from_buffer(t, format="T{i:kind:4xd:value:}", shape=())
    assert v[()] == (1, 1.5)
    v[()] = (2, -2.5)
    assert (t.kind, t.value.d) == (2, -2.5)


def test_a_union_is_viewed_as_the_member_that_is_meant():
    u = Either(d=1.5)
    assert (memoryview(u).format, memoryview(u).itemsize) == ("B", 8)
    with pytest.raises(dv.ImportRefused, match="Either is a union"):
        dv.view(u)
    v = dv.from_buffer(u, format="d", shape=())
    assert (v.ptr, v[()]) == (ctypes.addressof(u), 1.5)
    v[()] = -2.0
    assert u.d == -2.0
    u.i = 77
    assert dv.from_buffer(u, format="i")[0] == 77


def test_bit_fields_are_viewed_as_the_word_that_holds_them():
    class Flags(ctypes.Structure):
        _fields_ = (("low", ctypes.c_uint32, 3), ("high", ctypes.c_uint32, 5))

    f = Flags(5, 17)
    assert memoryview(f).itemsize == 4
    with pytest.raises(dv.ImportRefused, match="bit field"):
        dv.view(f)  # its format names two whole words
    v = dv.from_buffer(f, format="I", shape=())
    assert v[()] == 5 | 17 << 3
    v[()] = 2 | 9 << 3
    assert (f.low, f.high) == (2, 9)


def test_pointers_move_as_the_addresses_that_they_are():
    target = ctypes.c_int(5)
    pointers = (ctypes.POINTER(ctypes.c_int) * 2)(ctypes.pointer(target))
    v = dv.view(pointers)
    assert v.format == "&<i"
    back = v.to(CUDA).to("cpu")
    assert back.tobytes() == bytes(pointers)
    assert ctypes.cast(int.from_bytes(back.tobytes()[:8], sys.byteorder), type(pointers[0]))[0] == 5


def test_python_objects_do_not_move():
    v = dv.view(ctypes.py_object("text"))
    assert v[()] == "text"
    with pytest.raises(dv.FormatError, match="Python objects"):
        v.to(CUDA)


def test_a_resized_array_is_viewed_by_its_address():
    a = (ctypes.c_int * 4)(1, 2, 3, 4)
    ctypes.resize(a, 64)
    # 64 bytes in a shape of 4 items: which of the two holds, ctypes does not say.
    with pytest.raises(dv.LayoutError, match="len 64, shape and itemsize give 16"):
        dv.from_buffer(a)
    v = dv.from_pointer(
        ctypes.addressof(a), (16,), "i", device="cpu", nbytes=ctypes.sizeof(a), owner=a
    )
    v[15] = 77
    larger = (ctypes.c_int * 16).from_address(ctypes.addressof(a))
    assert list(larger) == [1, 2, 3, 4, *11 * [0], 77]


# --- ctypes in the memory of views ---


def test_from_buffer_works_in_the_memory_of_a_host_view():
    v = dv.zeros((3,), "T{B:x:i:y:}")
    points = (Point * 3).from_buffer(v)
    assert ctypes.addressof(points) == v.ptr
    points[1] = Point(7, -8)
    assert v[1] == (7, -8)
    v[2] = (1, 2)
    assert (points[2].x, points[2].y) == (1, 2)
    with pytest.raises(BufferError, match="1 export"):
        v.release()
    del points
    gc.collect()  # ctypes keeps what it was given in a cycle
    v.release()


def test_from_buffer_refuses_what_is_read_only_and_what_is_too_small():
    with pytest.raises(TypeError, match="not writable"):
        Point.from_buffer(dv.zeros((8,)).toreadonly())
    with pytest.raises(ValueError, match="at least 8 bytes"):
        Point.from_buffer(dv.zeros((7,)))
    with pytest.raises((TypeError, BufferError), match="contiguous"):
        Point.from_buffer(dv.zeros((16,))[::2])


def test_ctypes_reads_a_device_view_and_writes_it_in_a_staging():
    d = dv.view((Point * 2)((1, 2), (3, 4))).to(CUDA)
    copy = (Point * 2).from_buffer_copy(d)
    assert plain(copy) == [(1, 2), (3, 4)]
    # from_buffer asks for a memoryview first, which a device view gives to be read only.
    with pytest.raises(TypeError, match="not writable"):
        (Point * 2).from_buffer(d)
    with d.stage(writable=True) as staged:
        points = (Point * 2).from_buffer(staged)
        points[1] = Point(30, 40)
        del points
        gc.collect()
    assert d.tolist() == [(1, 2), (30, 40)]


def test_functions_of_c_work_in_the_memory_of_a_view():
    libc = ctypes.CDLL(None)
    v = dv.empty((4,), "i")
    compare = ctypes.CFUNCTYPE(ctypes.c_int, *2 * [ctypes.POINTER(ctypes.c_int)])
    v[:] = dv.view((ctypes.c_int * 4)(4, -1, 3, 2))
    libc.qsort.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_size_t, compare)
    libc.qsort.restype = None
    libc.qsort(v.ptr, len(v), v.itemsize, compare(lambda a, b: a[0] - b[0]))
    assert v.tolist() == [-1, 2, 3, 4]
    target = (ctypes.c_int * 4)()
    ctypes.memmove(target, v.ptr, v.nbytes)
    assert list(target) == [-1, 2, 3, 4]
    ctypes.memmove(v.ptr, (ctypes.c_int * 4)(5, 6, 7, 8), v.nbytes)
    assert v.tolist() == [5, 6, 7, 8]
    staged = v.to(CUDA).stage()
    with staged as m:
        ctypes.memmove(target, (ctypes.c_int * 4).from_buffer_copy(m), 16)
    assert list(target) == [5, 6, 7, 8]
