"""PNG pictures of 8 bits a channel, not interlaced, read and written with struct and zlib."""

from __future__ import annotations

import struct
import zlib
from itertools import accumulate
from typing import TYPE_CHECKING

from devview.demo.source import FileError, Source, UnsupportedError, picture

if TYPE_CHECKING:
    from collections.abc import Iterator

    from typing_extensions import Buffer

MAGIC = b"\x89PNG\r\n\x1a\n"
MAX_BYTES = 1 << 30

_CHANNELS = {0: 1, 2: 3, 4: 2, 6: 4}  # by colour type: grey, RGB, grey and alpha, RGBA
_COLOUR_TYPES = {channels: colour for colour, channels in _CHANNELS.items()}


def read(data: bytearray) -> Source:
    """Decode the picture."""
    chunks = list(_chunks(data))
    if not chunks or chunks[0][0] != b"IHDR" or len(chunks[0][1]) != 13:
        raise FileError("PNG: does not start with a header")
    header = struct.unpack(">IIBBBBB", chunks[0][1])
    width, height, bits, colour, method, filters, interlaced = header
    if width == 0 or height == 0:
        raise FileError(f"PNG: {width} x {height} pixels")
    if bits != 8 or colour not in _CHANNELS or method or filters or interlaced:
        what = "interlaced" if interlaced else f"{bits} bits, colour type {colour}"
        raise UnsupportedError(f"PNG: {what}: only 8-bit grey or RGB, not interlaced, is read here")
    channels = _CHANNELS[colour]
    line = 1 + width * channels
    if height * line > MAX_BYTES:
        raise FileError(f"PNG: {width} x {height} pixels are more than {MAX_BYTES} bytes")
    packed = b"".join(content for name, content in chunks if name == b"IDAT")
    lines = _inflate(packed, height * line)
    return picture("PNG", _unfilter(lines, height, line, channels), width, height, channels)


def write(lines: Buffer, width: int, height: int, channels: int) -> Iterator[bytes]:
    """Yield a file's parts.

    ``lines`` is a buffer of ``height`` lines, each a filter byte 0 and ``width * channels`` bytes.
    """
    yield MAGIC
    header = struct.pack(">IIBBBBB", width, height, 8, _COLOUR_TYPES[channels], 0, 0, 0)
    for name, content in ((b"IHDR", header), (b"IDAT", zlib.compress(lines)), (b"IEND", b"")):
        check = struct.pack(">I", zlib.crc32(content, zlib.crc32(name)))
        yield struct.pack(">I", len(content)) + name + content + check


def _chunks(data: bytearray) -> Iterator[tuple[bytes, bytes]]:
    at = len(MAGIC)
    name = b""
    while name != b"IEND":
        if at + 12 > len(data):
            raise FileError("PNG: truncated")
        length, name = struct.unpack_from(">I4s", data, at)
        if length > len(data) - at - 12:
            raise FileError("PNG: truncated")
        content = bytes(data[at + 8 : at + 8 + length])
        (check,) = struct.unpack_from(">I", data, at + 8 + length)
        if check != zlib.crc32(content, zlib.crc32(name)):
            raise FileError(f"PNG: chunk {name.decode('latin-1')!r} at byte {at}: wrong checksum")
        yield name, content
        at += 12 + length


def _inflate(packed: bytes, wanted: int) -> bytes:
    try:
        lines = zlib.decompressobj().decompress(packed, wanted + 1)
    except zlib.error as error:
        raise FileError(f"PNG: {error}") from error
    if len(lines) > wanted:
        raise FileError(f"PNG: more than {wanted} bytes of pixels")
    if len(lines) < wanted:
        raise FileError(f"PNG: truncated: {len(lines)} of {wanted} bytes of pixels")
    return lines


def _unfilter(lines: bytes, height: int, line_bytes: int, channels: int) -> bytearray:
    pixels = bytearray()
    above = bytearray(line_bytes - 1)
    for y in range(height):
        at = y * line_bytes
        line = bytearray(lines[at + 1 : at + line_bytes])
        kind = lines[at]
        if kind >= len(_UNDO):
            raise FileError(f"PNG: line {y}: filter {kind}, 0 to 4 exist")
        _UNDO[kind](line, above, channels)
        pixels += line
        above = line
    return pixels


# PNG specification, section 9.2: each byte was stored less a prediction from its neighbours.


def _undo_none(line: bytearray, above: bytearray, channels: int) -> None:
    pass


def _undo_sub(line: bytearray, above: bytearray, channels: int) -> None:
    for c in range(channels):
        line[c::channels] = bytes(total & 255 for total in accumulate(line[c::channels]))


def _undo_up(line: bytearray, above: bytearray, channels: int) -> None:
    line[:] = bytes((a + b) & 255 for a, b in zip(line, above, strict=True))


def _undo_average(line: bytearray, above: bytearray, channels: int) -> None:
    for i in range(channels):
        line[i] = (line[i] + above[i] // 2) & 255
    for i in range(channels, len(line)):
        line[i] = (line[i] + (line[i - channels] + above[i]) // 2) & 255


def _undo_paeth(line: bytearray, above: bytearray, channels: int) -> None:
    for i in range(channels):
        line[i] = (line[i] + above[i]) & 255
    for i in range(channels, len(line)):
        a, b, c = line[i - channels], above[i], above[i - channels]
        to_a, to_b, to_c = abs(b - c), abs(a - c), abs(a + b - c - c)
        nearest = a if to_a <= to_b and to_a <= to_c else b if to_b <= to_c else c
        line[i] = (line[i] + nearest) & 255


_UNDO = (_undo_none, _undo_sub, _undo_up, _undo_average, _undo_paeth)
