"""Formats for the struct module; the way back is the PEP 3118 parser, which reads them all."""

from __future__ import annotations

import sys

from devview._devview import Format
from devview.formats.refusal import cannot

_INTEGERS = {1: "b", 2: "h", 4: "i", 8: "q"}
_PLAIN = {"boolean": "?", "character": "c", "pointer": "P", "opaque": "x"}
_COUNTED = {"bytes": "s", "pascal": "p", "opaque": "x"}


def to_struct(format: Format) -> str:
    """Return a string that struct packs into the same bytes; FormatError if it has none."""
    if format.kind == "record":
        return _record(format)
    if format.kind != "array":
        return _prefix(format, [(0, format)]) + _code(format, format)
    if format.ndim != 1:
        cannot("to_struct", format, "struct has counts, not extents")
    if format.base.kind in _COUNTED:
        cannot("to_struct", format, "struct's count before 's', 'p' and 'x' is a size")
    prefix = _prefix(format, [(0, format.base)])
    return f"{prefix}{format.shape[0]}{_code(format, format.base)}"


def _record(format: Format) -> str:
    """Spell a record out under one prefix, with what alignment does not give as 'x'."""
    members = [(field.offset, format[i]) for i, field in enumerate(format.fields)]
    for _, member in members:
        if member.kind in ("record", "array"):
            cannot("to_struct", format, f"struct has no {member.kind} inside an item")
        if member.kind == "opaque":
            cannot("to_struct", format, "struct gives no value for 'x'")
    text = prefix = _prefix(format, members)
    end = 0
    for offset, member in members:
        gap = offset - end
        if prefix or gap >= member.alignment:
            text += _padding(gap)
        text += _code(format, member)
        end = offset + member.itemsize
    return text + _padding(format.itemsize - end)


def _padding(nbytes: int) -> str:
    return "" if nbytes == 0 else "x" if nbytes == 1 else f"{nbytes}x"


def _prefix(format: Format, members: list[tuple[int, Format]]) -> str:
    """Return the prefix: none if C's alignment gives the offsets, else the byte order."""
    orders = {member.byteorder for _, member in members} - {None}
    if len(orders) > 1:
        cannot("to_struct", format, "struct has one byte order for all members")
    order = orders.pop() if orders else sys.byteorder
    aligned = all(offset % member.alignment == 0 for offset, member in members)
    if aligned and order == sys.byteorder:
        return ""
    if any(member.kind == "pointer" for _, member in members):
        cannot("to_struct", format, "struct has addresses in native order and alignment only")
    return "<" if order == "little" else ">"


def _code(format: Format, scalar: Format) -> str:
    kind, nbytes = scalar.kind, scalar.itemsize
    if kind in _COUNTED:
        return _COUNTED[kind] if nbytes == 1 else f"{nbytes}{_COUNTED[kind]}"
    if kind == "integer" and scalar.code is not None:
        return _INTEGERS[nbytes]
    if kind == "unsigned_integer" and scalar.code is not None:
        return _INTEGERS[nbytes].upper()
    if kind == "floating" and scalar.code is not None and scalar.code in "efd":
        return scalar.code
    if kind == "pointer" and scalar.code != "P":
        cannot("to_struct", format, "struct has no typed pointers")
    if kind not in _PLAIN:
        cannot("to_struct", format, f"struct has no code for {scalar.name or kind}")
    return _PLAIN[kind]
