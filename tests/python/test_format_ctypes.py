"""ctypes types to formats and back; offsets, sizes and alignments are ctypes' own."""

from __future__ import annotations

import ctypes
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

import devview as dv
from strategies import SWAPPED, ctypes_types, structures

LITTLE = sys.byteorder == "little"


def fields_of(cls):
    """Give (name, type, offset) of all members, those of base classes first."""
    for part in reversed(cls.__mro__):
        for name, kind in vars(part).get("_fields_", ()):
            yield name, kind, vars(part)[name].offset


def assert_lies_as(format: dv.Format, cls) -> None:
    assert format.itemsize == ctypes.sizeof(cls)
    if issubclass(cls, ctypes.Array):
        extents = []
        while issubclass(cls, ctypes.Array):
            extents.append(cls._length_)
            cls = cls._type_
        assert format.shape == tuple(extents)
        assert_lies_as(format.base, cls)
    elif issubclass(cls, ctypes.Structure):
        expected = [*fields_of(cls)]
        told = [(field.name, field.offset) for field in format.fields]
        assert told == [(name, offset) for name, _, offset in expected]
        for i, (_, kind, _) in enumerate(expected):
            assert_lies_as(format[i], kind)
    elif issubclass(cls, ctypes._Pointer):
        assert format.kind == "pointer"
        assert_lies_as(format.target, cls._type_)


@given(ctypes_types())
def test_offsets_and_sizes_are_ctypes(cls):
    format = dv.Format(cls)
    assert_lies_as(format, cls)
    assert dv.Format(format.str) == format


@given(structures(base=ctypes.Structure, packs=False))
def test_alignment_is_ctypes(cls):
    assert dv.Format(cls).alignment == ctypes.alignment(cls)


@given(ctypes_types())
def test_view_of_an_instance_has_the_format_of_its_type(cls):
    element = cls
    while issubclass(element, ctypes.Array):
        element = element._type_
    if ctypes.sizeof(element) == 0 or issubclass(element, ctypes._Pointer):
        return  # a pointer made before its structure was complete says '&B' for ever
    with dv.view(cls()) as v:
        assert dv.Format(v) == dv.Format(element)


@given(ctypes_types(), st.randoms())
def test_format_to_ctypes_has_the_same_members(cls, random):
    made = dv.Format(cls).to_ctypes()
    assert ctypes.sizeof(made) == ctypes.sizeof(cls)
    if not issubclass(cls, ctypes.Structure):
        return
    data = bytes(random.randrange(1, 128) for _ in range(ctypes.sizeof(cls)))
    ours, theirs = made.from_buffer_copy(data), cls.from_buffer_copy(data)
    for name, kind, offset in fields_of(cls):
        assert getattr(made, name).offset == offset
        if issubclass(kind, ctypes._SimpleCData) and kind._type_ in "cbBhHiIlLqQ":
            assert getattr(ours, name) == getattr(theirs, name)


@given(structures(pointers=False))
def test_packed_and_natural_structures_come_back(cls):
    format = dv.Format(cls)
    made = format.to_ctypes()
    again = dv.Format(made)
    assert "_pad" in again.str or again == format


# --- By example ---


class Pair(ctypes.Structure):
    _fields_ = (("a", ctypes.c_int), ("b", ctypes.c_double))


class Node(ctypes.Structure):
    pass


Node._fields_ = [("value", ctypes.c_int), ("next", ctypes.POINTER(Node))]


class Inner(ctypes.Structure):
    _fields_ = (("x", ctypes.c_short),)


class Outer(ctypes.Structure):
    _anonymous_ = ("inner",)
    _fields_ = (("flag", ctypes.c_bool), ("inner", Inner), ("names", ctypes.c_char * 5))


class Derived(Outer):
    _fields_ = (("more", ctypes.c_double),)


class Swapped(SWAPPED):
    _fields_ = (("a", ctypes.c_int), ("b", ctypes.c_byte), ("c", ctypes.c_short * 2))


class Packed(ctypes.Structure):
    _pack_ = 1
    _layout_ = "ms"
    _fields_ = (("a", ctypes.c_byte), ("b", ctypes.c_double))


class Mine(ctypes.c_int):
    pass


class Empty(ctypes.Structure):
    _fields_ = ()


def swapped(cls):
    return cls.__ctype_be__ if LITTLE else cls.__ctype_le__


EXAMPLES = {
    "Pair": (Pair, "T{i:a:d:b:}"),
    "array of Pair": (Pair * 2 * 3, "(3,2)T{i:a:d:b:}"),
    "Node": (Node, "T{i:value:&B:next:}"),
    "pointer to Node": (ctypes.POINTER(Node), "&T{i:value:&B:next:}"),
    "Outer": (Outer, "T{?:flag:T{h:x:}:inner:(5)c:names:}"),
    "Derived": (Derived, "T{?:flag:T{h:x:}:inner:(5)c:names:x5xd:more:}"),
    "Packed": (Packed, "^T{b:a:d:b:}"),
    "Mine": (Mine, "i"),
    "swapped subclass": (type("Sub", (swapped(ctypes.c_int),), {}), ">i" if LITTLE else "<i"),
    "Empty": (Empty, "T{}"),
    "void*": (ctypes.c_void_p, "P"),
    "char*": (ctypes.c_char_p, "P"),
    "wchar_t*": (ctypes.c_wchar_p, "P"),
    "int**": (ctypes.POINTER(ctypes.POINTER(ctypes.c_int)), "&&i"),
    "function": (ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int), "X{}"),
    "object": (ctypes.py_object, "O"),
    "wchar_t": (ctypes.c_wchar, "w" if ctypes.sizeof(ctypes.c_wchar) == 4 else "u"),
    "chars": (ctypes.c_char * 5, "(5)c"),
    "long double": (ctypes.c_longdouble, "g"),
    "size_t": (ctypes.c_size_t, "N"),
}


@pytest.mark.parametrize("name", EXAMPLES)
def test_types_by_example(name):
    cls, spec = EXAMPLES[name]
    assert dv.Format(cls) == dv.Format(spec)


def test_swapped_structure():
    format = dv.Format(Swapped)
    assert format["a"].byteorder == ("big" if LITTLE else "little")
    assert format["b"].byteorder is None
    assert format["c"] == dv.Format("(2)>h" if LITTLE else "(2)<h")


def test_mutual_recursion_ends():
    class A(ctypes.Structure):
        pass

    class B(ctypes.Structure):
        _fields_ = (("a", ctypes.POINTER(A)),)

    A._fields_ = [("b", ctypes.POINTER(B)), ("again", B * 2)]
    assert dv.Format(A) == dv.Format("T{&T{&B:a:}:b:(2)T{&B:a:}:again:}")


# --- What is refused ---


class Union(ctypes.Union):
    _fields_ = (("i", ctypes.c_int), ("f", ctypes.c_float))


class HoldsUnion(ctypes.Structure):
    _fields_ = (("u", Union),)


class Bits(ctypes.Structure):
    _fields_ = (("a", ctypes.c_int, 3), ("b", ctypes.c_int, 5))


class Twice(Pair):
    _fields_ = (("a", ctypes.c_int),)


class Colon(ctypes.Structure):
    _fields_ = (("a:b", ctypes.c_int),)


@pytest.mark.parametrize(
    ("cls", "why"),
    [
        (Union, "'nx'"),
        (HoldsUnion, "union"),
        (Union * 3, "union"),
        (Bits, "bit field"),
        (Twice, "second member"),
        (Colon, "':'"),
        (ctypes.Structure, "incomplete"),
        (ctypes.Array, "incomplete"),
        (ctypes._SimpleCData, "incomplete"),
        (ctypes.Union, "union"),
    ],
)
def test_refused_types(cls, why):
    with pytest.raises(dv.FormatError, match=why):
        dv.Format(cls)


def test_a_pointer_to_nothing_yet():
    class LaterPointer(ctypes._Pointer):
        pass

    assert dv.Format(LaterPointer) == dv.Format("P")
    assert dv.Format(ctypes.POINTER(None)) == dv.Format("P")


def test_long_chains_of_pointers():
    cls = ctypes.c_int
    for _ in range(100):
        cls = ctypes.POINTER(cls)
    with pytest.raises(dv.FormatError, match="nested deeper"):
        dv.Format(cls)


def test_structures_that_point_to_one_another_widely():
    pointer = ctypes.POINTER(ctypes.c_int)
    for i in range(20):
        cls = type(f"S{i}", (ctypes.Structure,), {})
        before, pointer = pointer, ctypes.POINTER(cls)  # made first: ctypes spells targets out, too
        cls._fields_ = [("a", before), ("b", before)]
    with pytest.raises(dv.FormatError, match="more than 65536"):
        dv.Format(cls)


@pytest.mark.parametrize(
    ("spec", "why"),
    [
        ("e", "float16"),
        ("Zd", "complex"),
        ("bfloat16", "bfloat16"),
        ("int4", "int4"),
        ("3t", "bit fields"),
        ("5p", "length byte"),
        ("3u", "wchar_t"),
        (">3w" if LITTLE else "<3w", "native order"),
        (">g" if LITTLE else "<g", "native order"),
        ("X{i->i}", "signature"),
        ("T{i:_fields_:}", "to itself"),
    ],
)
def test_to_ctypes_refuses_what_ctypes_cannot_say(spec, why):
    with pytest.raises(dv.FormatError, match=why):
        dv.Format(spec).to_ctypes()


def test_gaps_become_members():
    made = dv.Format("^T{i:a:3xb:b:4xi:_pad1:2x}").to_ctypes()
    assert (made.a.offset, made.b.offset, made._pad1.offset) == (0, 7, 12)
    assert ctypes.sizeof(made) == 18


@pytest.mark.parametrize(
    ("spec", "cls"),
    [
        ("i", ctypes.c_int),
        ("Q", ctypes.c_uint64),
        ("d", ctypes.c_double),
        ("5s", ctypes.c_char * 5),
        ("4x", ctypes.c_ubyte * 4),
        ("(2,3)h", ctypes.c_short * 3 * 2),
        ("P", ctypes.c_void_p),
        ("&d", ctypes.POINTER(ctypes.c_double)),
        ("O", ctypes.py_object),
        ("?", ctypes.c_bool),
        ("X{}", ctypes.CFUNCTYPE(None)),
    ],
)
def test_to_ctypes_by_example(spec, cls):
    assert dv.Format(spec).to_ctypes() is cls


def test_view_of_what_ctypes_does_not_say():
    derived = Derived(flag=True, more=2.5)
    with dv.view(derived) as v:  # its buffer says 'T{<d:more:}'
        assert v[()][0] is True
        assert v["more"][()] == 2.5
    for cls in (Union, Bits):
        with pytest.raises(dv.ImportRefused, match="PEP 3118 cannot say"):
            dv.view(cls())


def test_records_edit_memory_through_ctypes():
    format = dv.Format("T{b:a:d:b:(2)>h:c:}" if LITTLE else "T{b:a:d:b:(2)<h:c:}")
    with dv.zeros(2, format) as v:
        items = (format.to_ctypes() * 2).from_buffer(v)
        items[1].b = 2.5
        items[1].c[1] = -3
        assert v[1] == (0, 2.5, [0, -3])
        del items
