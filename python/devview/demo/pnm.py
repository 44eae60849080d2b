"""Binary PGM and PPM pictures of 8 bits (P5, P6): only the header has to be read."""

from __future__ import annotations

import re

from devview.demo.source import FileError, Source, UnsupportedError, picture

MAGIC = (b"P5", b"P6")

# White space and comments, each up to its line's end, stand between the numbers.
_GAP = rb"(?:\s|#[^\n\r]*[\n\r])+"
_HEADER = re.compile(
    rb"P([56])" + _GAP + rb"(\d{1,9})" + _GAP + rb"(\d{1,9})" + _GAP + rb"(\d{1,5})\s"
)


def read(data: bytearray) -> Source:
    """Find width, height and channels in the header."""
    # The pattern is let loose on a header's worth of bytes only: it must not crawl over pixels.
    header = _HEADER.match(bytes(data[:4096]))
    if header is None:
        raise FileError("PNM: no header with width, height and largest value")
    kind, width, height, largest = (int(number) for number in header.groups())
    if width == 0 or height == 0:
        raise FileError(f"PNM: {width} x {height} pixels")
    if largest != 255:
        raise UnsupportedError(f"PNM: largest value {largest}, only 255 is read here")
    channels = 1 if kind == 5 else 3
    wanted, there = width * height * channels, len(data) - header.end()
    if there < wanted:
        raise FileError(f"PNM: truncated: {there} of {wanted} bytes of pixels")
    return picture("PGM" if kind == 5 else "PPM", data, width, height, channels, header.end())
