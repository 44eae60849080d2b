"""The array interface's typestr and descr from formats; the way back is native code."""

from __future__ import annotations

import sys
from typing import Any

from devview._devview import Format
from devview.formats.refusal import cannot

_MARKS = {"little": "<", "big": ">"}
_LETTERS = {
    "boolean": "b",
    "integer": "i",
    "unsigned_integer": "u",
    "floating": "f",
    "complex_floating": "c",
    "character": "S",
    "bytes": "S",
    "opaque": "V",
}


def to_typestr(format: Format) -> str:
    """Return "<f4" and its like; FormatError where a typestr would lose what the items are."""
    kind = format.kind
    if kind == "object":
        return "|O"
    if kind == "unicode" and format.code == "w":
        return f"{_MARKS[format.byteorder or sys.byteorder]}U{format.itemsize // 4}"
    if kind == "record":
        cannot("to_typestr", format, "a record is '|V' and a descr; see to_descr()")
    if kind == "array":
        cannot("to_typestr", format, "a sub-array's extents belong to the shape, or into a descr")
    letter = _LETTERS.get(kind)
    if letter is None or (format.code is None and kind != "opaque"):
        cannot("to_typestr", format, f"there is no typestr for {format.name or kind}")
    return f"{_MARKS.get(format.byteorder or '', '|')}{letter}{format.itemsize}"


def to_descr(format: Format) -> list[Any]:
    """Return a list of (name, typestr or list[, shape]); padding is ('', '|Vn').

    bfloat16 and the 8-bit floats are records of one unsigned member with their name, as in their
    PEP 3118 spelling: ``T{H:bfloat16:}``.
    """
    from devview.formats.numpy_dtype import field_names

    if _is_small(format):
        mark = _MARKS.get(format.byteorder or "", "|")
        return [(format.name, f"{mark}u{format.itemsize}")]
    if format.kind != "record":
        return [("", *_type_and_shape(format))]
    descr: list[Any] = []
    end = 0
    for i, (name, field) in enumerate(zip(field_names(format), format.fields, strict=True)):
        _pad(descr, field.offset - end)
        member = format[i]
        descr.append((name, *_type_and_shape(member)))
        end = field.offset + member.itemsize
    _pad(descr, format.itemsize - end)
    return descr


def _is_small(format: Format) -> bool:
    """Tell the floats without a letter, whole bytes each."""
    small = format.kind == "floating" and format.code is None
    return small and format.bits == 8 * format.itemsize


def _pad(descr: list[Any], nbytes: int) -> None:
    if nbytes > 0:
        descr.append(("", f"|V{nbytes}"))


def _type_and_shape(format: Format) -> tuple[Any, ...]:
    element = format.base
    nested = element.kind == "record" or _is_small(element)
    type_ = to_descr(element) if nested else to_typestr(element)
    return (type_, format.shape) if format.shape else (type_,)
