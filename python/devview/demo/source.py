"""What the demo works on: items in host memory, read from a file or made here."""

from __future__ import annotations

from typing import NamedTuple


class FileError(Exception):
    """A file that cannot be read; one line that says why."""


class UnsupportedError(FileError):
    """A valid file of a kind that this package does not read by itself."""


class Source(NamedTuple):
    """Items that lie densely in ``data`` from byte ``offset`` on."""

    title: str
    data: bytearray
    offset: int
    format: str
    itemsize: int
    shape: tuple[int, ...]
    fortran: bool = False
    descr: object = "|u1"
    picture: bool = True


def picture(
    title: str, data: bytearray, width: int, height: int, channels: int, offset: int = 0
) -> Source:
    """Return a picture of 8-bit items, row by row."""
    shape = (height, width) if channels == 1 else (height, width, channels)
    return Source(title, data, offset, "B", 1, shape)


def generated(width: int = 320, height: int = 200) -> Source:
    """Return the demo's own picture: a colour gradient with a disc, RGB."""
    data = bytearray()
    for y in range(height):
        green = y * 255 // (height - 1)
        for x in range(width):
            disc = (x - width * 5 // 8) ** 2 + (y - height * 2 // 5) ** 2 < (height // 4) ** 2
            data += b"\xfa\xd2\x3c" if disc else bytes((x * 255 // (width - 1), green, 144))
    return picture("a picture made here", data, width, height, 3)
