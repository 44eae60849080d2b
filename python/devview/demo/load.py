"""Reading a file: its first bytes tell which reader it needs."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING

from devview.demo import npy, png, pnm
from devview.demo.source import FileError, Source, UnsupportedError, picture

if TYPE_CHECKING:
    from pathlib import Path


def load(path: Path) -> Source:
    """Read a picture or a .npy file; raises FileError."""
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
