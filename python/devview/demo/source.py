"""What the demo works on: a file's items in host memory, found out by the file's first bytes."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from pathlib import Path


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


def load(path: Path) -> Source:
    """Read a picture or a .npy file; raises FileError."""
    from devview.demo import npy, png, pnm

    data = _read(path)
    try:
        for magic, read in ((npy.MAGIC, npy.read), (png.MAGIC, png.read), (pnm.MAGIC, pnm.read)):
            if data.startswith(magic):
                return read(data)
        raise UnsupportedError("neither a picture nor a .npy file that is known here")
    except UnsupportedError as reason:
        return _read_with_pillow(path, reason)


def _read(path: Path) -> bytearray:
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise FileError("not a regular file")
        data = bytearray(status.st_size)
        with path.open("rb") as file:
            count = file.readinto(data)
    except OSError as error:
        raise FileError(error.strerror or str(error)) from error
    except MemoryError as error:
        raise FileError(f"{status.st_size} bytes do not fit into memory") from error
    del data[count:]
    return data


def _read_with_pillow(path: Path, reason: UnsupportedError) -> Source:
    try:
        from PIL import Image
    except ImportError:
        raise FileError(f"{reason}; with Pillow installed more formats are read") from None
    try:
        with Image.open(path) as image:
            kind = image.format
            mode = image.mode if image.mode in ("L", "RGB", "RGBA") else "RGB"
            pixels = image.convert(mode)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise FileError(str(error)) from error
    return picture(f"{kind} through Pillow", bytearray(pixels.tobytes()), *pixels.size, len(mode))


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
