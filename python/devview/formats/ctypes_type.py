"""ctypes types to formats and back. Offsets and sizes are ctypes' own, never computed anew."""

from __future__ import annotations

import sys
import weakref
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

from devview._devview import Format, FormatError
from devview.formats.refusal import cannot, refuse
from devview.formats.spelling import Member, Spelling

# ctypes' letters that are not PEP 3118's: char*, wchar_t*, wchar_t, VARIANT_BOOL.
_LETTERS = {"z": "P", "Z": "P", "v": "h", "F": "Zf", "D": "Zd", "G": "Zg"}
_KNOWN = frozenset("?cfdgPO")
# 'l' has another size under '>' than under '^': integers go by theirs.
_INTEGERS = {1: "b", 2: "h", 4: "i", 8: "q"}


def of_ctypes(cls: Any) -> Format:
    """Return the Format of a ctypes type; FormatError for unions and bit fields."""
    import ctypes

    reader = _Reader(ctypes, cls)
    try:
        reader.write(cls)
        alignment = ctypes.alignment(cls)
    except (AttributeError, TypeError) as error:
        raise FormatError(
            f"format of ctypes type {cls.__name__}: it is incomplete: {error}"
        ) from error
    format = Format(str(reader.spelling))
    # What is packed stays under '^'; all else is spelled as everybody reads it.
    packed = format.base.kind == "record" and alignment == 1
    return format if packed else Format(format.str)


_known: weakref.WeakKeyDictionary[Any, Format] = weakref.WeakKeyDictionary()


def of_exporter(instance: Any) -> Format:
    """Return the format of the items of a ctypes object's buffer; FormatError as `of_ctypes`."""
    import ctypes

    cls = type(instance)
    while issubclass(cls, ctypes.Array):
        cls = cls._type_
    format = _known.get(cls)
    if format is None:
        format = _known[cls] = of_ctypes(cls)
    return format


class _Reader:
    def __init__(self, ctypes: Any, cls: Any):
        self._ctypes = ctypes
        self._source = f"format of ctypes type {cls.__name__}"
        self._open: list[Any] = []  # structures that are being read, outermost first
        self.spelling = Spelling(self._source)

    def write(self, cls: Any) -> None:
        import _ctypes

        if issubclass(cls, self._ctypes.Union):
            self._refuse(
                f"{cls.__name__} is a union: its members share bytes, which PEP 3118 cannot say; "
                "take one of them, or opaque bytes: 'nx' for n bytes"
            )
        if issubclass(cls, self._ctypes.Structure):
            self._write_structure(cls)
        elif issubclass(cls, self._ctypes.Array):
            self._write_array(cls)
        elif issubclass(cls, _ctypes._Pointer):
            self._write_pointer(cls)
        elif issubclass(cls, _ctypes.CFuncPtr):
            self.spelling.scalar("X{}")
        else:
            self._write_simple(cls)

    def _refuse(self, why: str) -> NoReturn:
        refuse(f"{self._source}: {why}")

    def _write_simple(self, cls: Any) -> None:
        code = _LETTERS.get(cls._type_, cls._type_)
        nbytes = self._ctypes.sizeof(cls)
        if code == "u":
            code = "w" if nbytes == 4 else "u"
        elif code in "bhilq":
            code = _INTEGERS[nbytes]
        elif code in "BHILQ":
            code = _INTEGERS[nbytes].upper()
        elif code not in _KNOWN and not code.startswith("Z"):
            self._refuse(f"{cls.__name__} has no PEP 3118 letter")
        self.spelling.scalar(code, swapped=_is_swapped(cls))

    def _write_array(self, cls: Any) -> None:
        extents = []
        while issubclass(cls, self._ctypes.Array):
            extents.append(cls._length_)
            cls = cls._type_
        self.spelling.shape(extents)
        self.write(cls)

    def _write_pointer(self, cls: Any) -> None:
        target = getattr(cls, "_type_", None)
        if target is None or isinstance(target, str):  # POINTER("name"): not told yet
            self.spelling.scalar("P")
            return
        self.spelling.pointer()
        self.spelling.enter()
        if target in self._open:
            self.spelling.scalar("B")  # back to a structure around it: ctypes says bytes, too
        else:
            self.write(target)
        self.spelling.leave()

    def _write_structure(self, cls: Any) -> None:
        self._open.append(cls)
        self.spelling.record(self._members(cls), self._ctypes.sizeof(cls))
        self._open.pop()

    def _members(self, cls: Any) -> Iterator[Member]:
        for part in reversed(cls.__mro__):  # those of the base come first
            for name, kind, *bits in vars(part).get("_fields_", ()):
                if bits:
                    self._refuse(
                        f"{name!r} of {part.__name__} is a bit field, whose place in its "
                        "unit is the compiler's; PEP 3118 cannot say it"
                    )
                place = vars(part)[name]
                yield name, place.offset, self._ctypes.sizeof(kind), self._writer(kind)

    def _writer(self, kind: Any) -> Callable[[Spelling], None]:
        return lambda spelling: self.write(kind)


def _is_swapped(cls: Any) -> bool:
    """Tell the types that have the other byte order, their subclasses among them."""
    other = "__ctype_be__" if sys.byteorder == "little" else "__ctype_le__"
    return any(vars(part).get(other) is part for part in cls.__mro__)


def to_ctypes(format: Format) -> Any:
    """Return a ctypes type of the same bytes; FormatError where ctypes has none."""
    import ctypes

    kind = format.kind
    if kind == "array":
        made = to_ctypes(format.base)
        for extent in reversed(format.shape):
            made = _array(format, made, extent)
        return made
    if kind == "record":
        return _structure(ctypes, format)
    if kind == "pointer":
        target = format.target
        return ctypes.c_void_p if target is None else ctypes.POINTER(to_ctypes(target))
    if kind == "function" and format.str == "X{}":
        return ctypes.CFUNCTYPE(None)
    return _simple(ctypes, format)


def _array(format: Format, element: Any, extent: int) -> Any:
    try:
        return element * extent
    except (OverflowError, ValueError) as error:
        cannot("to_ctypes", format, f"ctypes: {error}")


_WHY_NOT = {
    "complex_floating": "ctypes has no complex numbers",
    "pascal": "ctypes has no strings with a length byte",
    "unicode": "ctypes has wchar_t alone, in native order",
    "function": "ctypes needs a signature of its own",
    "bits": "the place of ctypes' bit fields is the compiler's",
}


def _simple(ctypes: Any, format: Format) -> Any:
    kind, nbytes = format.kind, format.itemsize
    wide = ctypes.sizeof(ctypes.c_wchar)
    if kind == "boolean":
        made = ctypes.c_bool
    elif kind in ("integer", "unsigned_integer") and format.code is not None:
        made = getattr(ctypes, f"c_{format.name}")
    elif kind == "floating" and format.code is not None and format.code in "fdg":
        made = {"f": ctypes.c_float, "d": ctypes.c_double, "g": ctypes.c_longdouble}[format.code]
    elif kind == "character":
        made = ctypes.c_char
    elif kind == "object":
        made = ctypes.py_object
    elif kind == "bytes":
        made = _array(format, ctypes.c_char, nbytes)
    elif kind == "opaque":
        made = _array(format, ctypes.c_ubyte, nbytes)
    elif kind == "unicode" and wide == (4 if format.code == "w" else 2):
        made = ctypes.c_wchar if nbytes == wide else _array(format, ctypes.c_wchar, nbytes // wide)
    else:
        why = _WHY_NOT.get(kind) or f"ctypes has no {format.name}"
        cannot("to_ctypes", format, why)
    return _ordered(format, made)


def _ordered(format: Format, made: Any) -> Any:
    """Return the type in the byte order of the format."""
    if format.byteorder in (None, sys.byteorder):
        return made
    ordered = getattr(made, "__ctype_be__" if format.byteorder == "big" else "__ctype_le__", None)
    if ordered is None:
        cannot("to_ctypes", format, f"ctypes has {made.__name__} in native order only")
    return ordered


def _structure(ctypes: Any, format: Format) -> Any:
    """Return a Structure with each member where the format has it."""
    from devview.formats.numpy_dtype import field_names

    names = field_names(format)
    for name in names:
        if name.startswith("_") and name.endswith("_"):
            cannot("to_ctypes", format, f"ctypes keeps names like {name!r} to itself")
    members = [(name, to_ctypes(format[i])) for i, name in enumerate(names)]
    offsets = [field.offset for field in format.fields]
    for pack in (None, 1):
        made = _new_structure(ctypes, members, pack)
        placed = [getattr(made, name).offset for name in names]
        if placed == offsets and ctypes.sizeof(made) == format.itemsize:
            return made
    return _padded_structure(ctypes, format, members)


def _new_structure(ctypes: Any, members: list[tuple[str, Any]], pack: int | None) -> Any:
    body: dict[str, Any] = {"__module__": __name__}
    if pack is not None:
        body["_pack_"] = pack
        body["_layout_"] = "ms"  # the one layout that newer Pythons pack
    body["_fields_"] = members
    return type("Record", (ctypes.Structure,), body)


def _padded_structure(ctypes: Any, format: Format, members: list[tuple[str, Any]]) -> Any:
    """Return a packed Structure whose gaps are members of their own, ``_pad0`` and so on."""
    taken = {name for name, _ in members}
    filled: list[tuple[str, Any]] = []
    end = 0

    def fill(offset: int) -> None:
        if offset > end:
            name = f"_pad{len(filled)}"
            while name in taken:
                name += "x"
            taken.add(name)
            filled.append((name, _array(format, ctypes.c_ubyte, offset - end)))

    for member, field in zip(members, format.fields, strict=True):
        fill(field.offset)
        filled.append(member)
        end = field.offset + ctypes.sizeof(member[1])
    fill(format.itemsize)
    return _new_structure(ctypes, filled, 1)
