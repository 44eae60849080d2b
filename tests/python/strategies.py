"""Random formats as their owners make them: NumPy dtypes, ctypes types, struct strings.

Every strategy draws things that the owner itself accepted, so that the owner is the oracle.
"""

from __future__ import annotations

import ctypes
import string
import sys

import numpy as np
from hypothesis import strategies as st

NUMBERS = tuple("?bhilqBHILQefdgFDG")
SMALL = (
    *("bfloat16", "float8_e3m4", "float8_e4m3", "float8_e4m3b11fnuz", "float8_e4m3fn"),
    *("float8_e4m3fnuz", "float8_e5m2", "float8_e5m2fnuz", "float8_e8m0fnu", "float6_e2m3fn"),
    *("float6_e3m2fn", "float4_e2m1fn", "int4", "uint4"),
)

# Cheap to draw: random text is a strategy of its own, in `any_names`.
names = st.builds("{}{}".format, st.sampled_from(string.ascii_lowercase), st.integers(0, 99))
any_names = st.one_of(
    st.text(string.ascii_lowercase + "_", min_size=1, max_size=3),
    st.text(st.characters(exclude_characters=":\0", exclude_categories=["Cs"]), min_size=1),
    # A record of one such member is that small type, by decision.
).filter(lambda name: name not in SMALL)
extents = st.lists(st.integers(0, 3), min_size=1, max_size=3).map(tuple)


# --- NumPy ---


def ordered(dtype: np.dtype) -> st.SearchStrategy:
    return st.sampled_from((dtype, dtype.newbyteorder(">"), dtype.newbyteorder("<")))


@st.composite
def scalar_dtypes(draw, *, objects=False, small=False, empty=True):
    """Draw dtypes without parts: numbers of both byte orders, strings, bytes, void."""
    kinds = ["number"] * 4 + ["S", "U", "V"] + ["O"] * objects + ["small"] * small
    kind = draw(st.sampled_from(kinds))
    if kind == "number":
        return draw(ordered(np.dtype(draw(st.sampled_from(NUMBERS)))))
    if kind == "small":
        import ml_dtypes

        return draw(ordered(np.dtype(getattr(ml_dtypes, draw(st.sampled_from(SMALL))))))
    if kind == "O":
        return np.dtype("O")
    count = draw(st.integers(0 if empty else 1, 5))
    return draw(ordered(np.dtype(f"{kind}{count}")))


@st.composite
def record_dtypes(draw, depth=3, *, max_fields=4, titles=True, gaps=True, **scalars):
    """Draw records: aligned or not, with offsets and sizes of their own, titles, sub-arrays."""
    count = draw(st.integers(0, max_fields))
    labels = draw(st.lists(names, min_size=count, max_size=count, unique=True))
    members = [draw(member_dtypes(depth - 1, titles=titles, gaps=gaps, **scalars)) for _ in labels]
    aligned = draw(st.booleans())
    parts = {"names": labels, "formats": members}
    if titles and draw(st.integers(0, 5)) == 0:
        parts["titles"] = [f"title {i}" for i in range(count)]
    natural = np.dtype(parts, align=aligned)
    if not gaps or draw(st.booleans()):
        return natural
    # More room before members and behind the last one, in steps that alignment allows.
    step = natural.alignment if aligned else 1
    shift = 0
    offsets = []
    for name in labels:
        shift += step * draw(st.integers(0, 2))
        offsets.append(natural.fields[name][1] + shift)
    parts["offsets"] = offsets
    parts["itemsize"] = natural.itemsize + shift + step * draw(st.integers(0, 2))
    return np.dtype(parts, align=aligned)


def member_dtypes(depth, **options):
    """Draw what may be a field: a scalar, a record, a sub-array of either."""
    own = {key: options[key] for key in ("objects", "small", "empty") if key in options}
    element = scalar_dtypes(**own)
    if depth > 0:
        element = st.one_of(element, element, record_dtypes(depth, **options))
    # NumPy has no sub-arrays of a string without characters.
    solid = element.filter(lambda dtype: dtype.itemsize > 0 or dtype.names is not None)
    sub_array = st.builds(lambda dtype, shape: np.dtype((dtype, shape)), solid, extents)
    return st.one_of(element, element, sub_array)


def dtypes(depth=3, **options):
    """Draw any dtype that PEP 3118 can say."""
    return member_dtypes(depth, **options)


def without_titles(dtype: np.dtype) -> np.dtype:
    """Return the same dtype without titles, at any depth."""
    if dtype.subdtype is not None:
        base, shape = dtype.subdtype
        return np.dtype((without_titles(base), shape))
    if dtype.names is None:
        return dtype
    fields = [dtype.fields[name] for name in dtype.names]
    return np.dtype(
        {
            "names": list(dtype.names),
            "formats": [without_titles(field[0]) for field in fields],
            "offsets": [field[1] for field in fields],
            "itemsize": dtype.itemsize,
        }
    )


# --- ctypes ---

SIMPLE = (
    *(ctypes.c_bool, ctypes.c_char, ctypes.c_wchar, ctypes.c_byte, ctypes.c_ubyte),
    *(ctypes.c_short, ctypes.c_ushort, ctypes.c_int, ctypes.c_uint, ctypes.c_long, ctypes.c_ulong),
    *(ctypes.c_longlong, ctypes.c_ulonglong, ctypes.c_size_t, ctypes.c_float, ctypes.c_double),
    ctypes.c_longdouble,
)
POINTERS = (ctypes.c_void_p, ctypes.c_char_p, ctypes.c_wchar_p, ctypes.CFUNCTYPE(ctypes.c_int))
SWAPPABLE = tuple(kind for kind in SIMPLE if hasattr(kind, "__ctype_be__"))
SWAPPED = ctypes.BigEndianStructure if sys.byteorder == "little" else ctypes.LittleEndianStructure
SAME_ORDER = (
    ctypes.LittleEndianStructure if sys.byteorder == "little" else ctypes.BigEndianStructure
)

LABELS = ("a", "b2", "ccc", "Value", "x_y", "z")


@st.composite
def structures(draw, depth=3, *, base=None, pointers=True, packs=True, max_fields=4):
    """Draw ctypes Structures: native or swapped, packed, nested, with arrays, bases, pointers."""
    base = base or draw(st.sampled_from((ctypes.Structure, ctypes.Structure, SWAPPED, SAME_ORDER)))
    labels = LABELS[: draw(st.integers(1, max_fields))]
    options = {"pointers": pointers, "packs": packs, "max_fields": max_fields}
    fields = [(label, draw(members(depth - 1, base=base, **options))) for label in labels]
    body = {"_fields_": fields}
    if packs and draw(st.integers(0, 3)) == 0:
        body["_pack_"] = draw(st.sampled_from((1, 2, 4, 8)))
        body["_layout_"] = "ms"
    parent = type("S", (base,), body)
    if draw(st.integers(0, 7)) == 0:
        kind = draw(members(depth - 1, base=base, **options))
        return type("Derived", (parent,), {"_fields_": [("own_member", kind)]})
    return parent


@st.composite
def members(draw, depth, *, base, pointers, **options):
    """Draw what may be a member of a Structure of this base."""
    plain = SIMPLE + POINTERS * pointers if base is ctypes.Structure else SWAPPABLE
    kind = draw(st.sampled_from(plain))
    if depth > 0 and draw(st.integers(0, 2)) == 0:
        kind = draw(structures(depth, base=base, pointers=pointers, **options))
    if pointers and base is ctypes.Structure and draw(st.integers(0, 9)) == 0:
        kind = ctypes.POINTER(kind)
    for extent in draw(st.one_of(st.just(()), st.just(()), extents)):
        kind = kind * extent
    return kind


def ctypes_types(depth=3, **options):
    """Draw ctypes types that PEP 3118 can say: scalars, structures, arrays of both."""
    whole = {"pointers": True, "packs": True, "max_fields": 4, **options}
    return st.one_of(structures(depth, **options), members(depth, base=ctypes.Structure, **whole))


# --- struct ---


@st.composite
def struct_formats(draw, *, codes="?cbBhHiIlLqQefdspx", native="nNP", max_items=6):
    """Draw format strings that the struct module reads."""
    prefix = draw(st.sampled_from(("", "@", "=", "<", ">", "!")))
    letters = codes + (native if prefix in ("", "@") else "")
    items = draw(st.lists(st.sampled_from(letters), max_size=max_items))
    text = prefix
    for code in items:
        count = draw(st.one_of(st.none(), st.integers(0, 12)))
        text += draw(st.sampled_from(("", "", " "))) + ("" if count is None else str(count)) + code
    return text
