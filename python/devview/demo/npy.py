"""NumPy's .npy files without NumPy: the header, and its descr as a PEP 3118 format."""

from __future__ import annotations

import ast
import math
import re
import struct
import warnings
from reprlib import repr as brief
from typing import Any

from devview.demo.source import FileError, Source

MAGIC = b"\x93NUMPY"
MAX_HEADER = 10_000  # as NumPy's own reader; a longer one is a fault or an attack on the parser
MAX_ITEMSIZE = 1 << 31
MAX_NDIM = 64

_TYPE = re.compile(r"([<>|=]?)([a-zA-Z])(\d{1,18})")
_NUMBERS = {
    "b1": "?",
    **{f"i{size}": code for size, code in zip((1, 2, 4, 8), "bhiq", strict=True)},
    **{f"u{size}": code for size, code in zip((1, 2, 4, 8), "BHIQ", strict=True)},
    **{f"f{size}": code for size, code in zip((2, 4, 8, 16), "efdg", strict=True)},
    **{f"c{size}": code for size, code in zip((8, 16, 32), ("Zf", "Zd", "Zg"), strict=True)},
}


def read(data: bytearray) -> Source:
    """Find format, shape and order in the header; a 0-d array counts as one of one item."""
    header, offset = _header(data)
    descr, shape, fortran = header["descr"], header["shape"], header["fortran_order"]
    spec, itemsize = _format_of(descr)
    if not 0 < itemsize <= MAX_ITEMSIZE:
        raise FileError(f"npy: descr {brief(descr)}: items of 0 or of too many bytes")
    wanted, there = math.prod(shape) * itemsize, len(data) - offset
    if there < wanted:
        raise FileError(f"npy: truncated: {there} of {wanted} bytes of items")
    return Source("npy", data, offset, spec, itemsize, shape or (1,), fortran, descr, picture=False)


def write_header(descr: object, shape: tuple[int, ...]) -> bytes:
    """Return what comes before the items of a C-ordered array."""
    text = repr({"descr": descr, "fortran_order": False, "shape": shape})
    try:
        version, encoded = 1, text.encode("latin-1")
    except UnicodeEncodeError:
        version, encoded = 3, text.encode("utf-8")
    prefix = struct.Struct("<H" if version == 1 else "<I")
    before = len(MAGIC) + 2 + prefix.size
    encoded += b" " * (-(before + len(encoded) + 1) % 64) + b"\n"
    return MAGIC + bytes((version, 0)) + prefix.pack(len(encoded)) + encoded


def _header(data: bytearray) -> tuple[dict[str, Any], int]:
    version = data[6] if len(data) > 6 else 0
    if version not in (1, 2, 3):
        raise FileError(f"npy: version {version}, 1 to 3 exist")
    prefix = struct.Struct("<H" if version == 1 else "<I")
    start = len(MAGIC) + 2 + prefix.size
    if len(data) < start:
        raise FileError("npy: truncated header")
    (length,) = prefix.unpack_from(data, start - prefix.size)
    if length > MAX_HEADER:
        raise FileError(f"npy: header of {length} bytes, limit {MAX_HEADER}")
    if len(data) < start + length:
        raise FileError("npy: truncated header")
    try:
        text = data[start : start + length].decode("utf-8" if version == 3 else "latin-1")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the parser's, about odd escapes
            header = ast.literal_eval(text.strip())
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError) as error:
        raise FileError("npy: the header is no Python literal") from error
    return _checked(header), start + length


def _checked(header: object) -> dict[str, Any]:
    if not isinstance(header, dict) or header.keys() != {"descr", "fortran_order", "shape"}:
        raise FileError("npy: the header is no dict of descr, fortran_order and shape")
    shape = header["shape"]
    if not _are_extents(shape):
        raise FileError(f"npy: shape {brief(shape)} is no tuple of extents")
    if type(header["fortran_order"]) is not bool:
        raise FileError("npy: fortran_order is no bool")
    return header


def _are_extents(shape: object) -> bool:
    return (
        isinstance(shape, tuple)
        and len(shape) <= MAX_NDIM
        and all(type(extent) is int and 0 <= extent < 1 << 63 for extent in shape)
    )


def _format_of(descr: object) -> tuple[str, int]:
    """Return the format of a typestr or a list of fields, and its itemsize."""
    if isinstance(descr, str):
        return _scalar(descr)
    if not isinstance(descr, list) or not descr:
        raise FileError(f"npy: descr {brief(descr)} is neither a type nor a list of fields")
    members = [_member(field) for field in descr]
    # '^': no padding but what descr spells out as members without a name.
    return "T{^" + "".join(text for text, _ in members) + "}", sum(size for _, size in members)


def _member(field: object) -> tuple[str, int]:
    if not isinstance(field, tuple) or len(field) not in (2, 3):
        raise FileError(f"npy: field {brief(field)} is no tuple of name, type and shape")
    name = field[0][1] if isinstance(field[0], tuple) and len(field[0]) == 2 else field[0]
    if not isinstance(name, str) or ":" in name:
        raise FileError(f"npy: field name {brief(name)} cannot be said in a format")
    text, size = _format_of(field[1])
    if len(field) == 3:
        extents = field[2] if isinstance(field[2], tuple) else (field[2],)
        if not extents or not _are_extents(extents):
            raise FileError(f"npy: field {brief(name)}: shape {brief(extents)}")
        text = "({}){}".format(",".join(map(str, extents)), text)
        size *= math.prod(extents)
    return f"{text}:{name}:" if name else text, size


def _scalar(typestr: str) -> tuple[str, int]:
    match = _TYPE.fullmatch(typestr)
    if typestr.strip("|<>=") == "O":
        raise FileError("npy: holds pickled Python objects, which are not loaded")
    if match is None:
        raise FileError(f"npy: type {brief(typestr)} has no PEP 3118 format")
    order, kind, size = match[1].strip("|"), match[2], int(match[3])
    if kind + match[3] in _NUMBERS:
        return order + _NUMBERS[kind + match[3]], size
    if kind == "S":
        return f"{size}s", size
    if kind == "U":
        return f"{order}{size}w", 4 * size
    if kind == "V":
        return f"{size}x", size
    raise FileError(f"npy: type {brief(typestr)} has no PEP 3118 format")
