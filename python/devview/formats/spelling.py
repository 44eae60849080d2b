"""Spells out foreign records as PEP 3118 text: unaligned, every gap written as padding bytes."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence

from devview.formats.refusal import refuse

_SWAPPED = ">" if sys.byteorder == "little" else "<"
_MAX_DEPTH = 64
_MAX_MEMBERS = 1 << 16

# A member: name, offset [bytes], size [bytes], and what writes its type.
Member = tuple[str, int, int, Callable[["Spelling"], None]]


class Spelling:
    """Text under construction. The prefixes in use (``^ < >``) never align anything."""

    def __init__(self, source: str):
        self._source = source
        self._parts: list[str] = []
        self._order = ""
        self._depth = 0
        self._members = 0

    def __str__(self) -> str:
        return "".join(self._parts)

    def scalar(self, code: str, *, swapped: bool = False) -> None:
        """Write a code with its count; ``swapped``: not in the order of this machine."""
        self._use_order(_SWAPPED if swapped else "^")
        self._parts.append(code)

    def small(self, name: str, nbytes: int, *, swapped: bool = False) -> None:
        """Write a float or integer that has no letter."""
        self._use_order("^")
        self._parts.append("T{")
        self.scalar("H" if nbytes == 2 else "B", swapped=swapped)
        self._parts.append(f":{name}:}}")

    def shape(self, extents: Sequence[int]) -> None:
        """Write the extents of a sub-array, if any; its element comes next."""
        if extents:
            self._parts.append(f"({','.join(map(str, extents))})")

    def pointer(self) -> None:
        """Write the mark of a pointer; what it points to comes next."""
        self._parts.append("&")

    def record(self, members: Iterable[Member], itemsize: int) -> None:
        """Write a record; FormatError where members overlap or run backwards."""
        self.enter()
        self._use_order("^")
        self._parts.append("T{")
        end = 0
        for name, offset, nbytes, write in members:
            self._count_member()
            self._gap(offset, end, name)
            write(self)
            self._name(name)
            end = offset + nbytes
        self._gap(itemsize, end, "")
        self._parts.append("}")
        self.leave()

    def enter(self) -> None:
        """Go one level down; FormatError behind the deepest that a format may have."""
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            refuse(f"{self._source}: nested deeper than {_MAX_DEPTH}")

    def leave(self) -> None:
        """Come back from ``enter``."""
        self._depth -= 1

    def _use_order(self, order: str) -> None:
        if order != self._order:
            self._parts.append(order)
            self._order = order

    def _count_member(self) -> None:
        # A type that holds one type twice, that one the next: small to say, huge to spell out.
        self._members += 1
        if self._members > _MAX_MEMBERS:
            refuse(f"{self._source}: more than {_MAX_MEMBERS} members")

    def _gap(self, offset: int, end: int, name: str) -> None:
        if offset < end:
            what = f"field {name!r} at byte {offset}" if name else f"itemsize {offset}"
            refuse(
                f"{self._source}: {what} lies before byte {end}, where the field before it ends; "
                "PEP 3118 has members one after another"
            )
        if offset > end:
            self._parts.append("x" if offset - end == 1 else f"{offset - end}x")

    def _name(self, name: str) -> None:
        for mark in (":", "\0"):
            if mark in name:
                refuse(f"{self._source}: field name {name!r} holds {mark!r}")
        self._parts.append(f":{name}:")
