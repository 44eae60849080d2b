"""Hostile format strings in Py_buffers: they are C strings, and nothing bounds them."""

from __future__ import annotations

from .buffer_cases import GOOD, case_of, row
from .case import ACCEPT, EITHER, Case
from .tensor import SHAPE

ROWS = (
    row("format empty", "no item in 4 bytes", format=b""),
    row("format NULL", "bytes, but the items have 4", EITHER, format=None),
    row("format NULL, bytes", "bytes", ACCEPT, {"shape": (24,)}, format=None, itemsize=1,
        shape=(24,), strides=(1,)),
    row("format '<f'", "little-endian", ACCEPT, GOOD, format=b"<f"),
    row("format '>f'", "big-endian", ACCEPT, {"shape": SHAPE}, format=b">f"),
    row("format 'T{f:x:}'", "a record", ACCEPT, {"shape": SHAPE}, format=b"T{f:x:}"),
    row("format 'y'", "no such type", format=b"y"),
    row("format '!'", "a byte order of nothing", format=b"!"),
    row("format 'Z'", "complex of nothing", format=b"Z"),
    row("format 'Zi'", "complex of integers", format=b"Zi"),
    row("format '&'", "a pointer to nothing", format=b"&"),
    row("format 'T{'", "never closed", format=b"T{"),
    row("format 'T{f'", "never closed", format=b"T{f"),
    row("format 'T{f}}'", "closed twice", format=b"T{f}}"),
    row("format '}'", "never opened", format=b"}"),
    row("format 'T'", "a record without braces", format=b"T"),
    row("format 'T{}'", "padding only: NumPy's record without members", EITHER, format=b"T{}"),
    row("format 'T{T{}}'", "padding only, one level deeper", EITHER, format=b"T{T{}}"),
    row("format '0f'", "no item in 4 bytes", format=b"0f"),
    row("format '0s'", "no byte in 4 bytes", format=b"0s"),
    row("format '('", "a shape never closed", format=b"("),
    row("format '(2'", "a shape never closed", format=b"(2"),
    row("format '(1)'", "a shape of nothing", format=b"(1)"),
    row("format '()f'", "a shape of no extents", EITHER, format=b"()f"),
    row("format '(-1)f'", "a negative extent", format=b"(-1)f"),
    row("format '(1,,1)f'", "an extent missing", format=b"(1,,1)f"),
    row("format '(1 1)f'", "a comma missing", format=b"(1 1)f"),
    row("format '(4294967297)f'", "1 modulo 2**32", format=b"(4294967297)f"),
    row("format '(18446744073709551617)f'", "1 modulo 2**64", format=b"(18446744073709551617)f"),
    row("format '(4294967296,4294967296)f'", "a product of 0 modulo 2**64",
        format=b"(4294967296,4294967296)f"),
    row("format '-1f'", "a negative count", format=b"-1f"),
    row("format '4294967297f'", "1 modulo 2**32", format=b"4294967297f"),
    row("format '18446744073709551617f'", "1 modulo 2**64", format=b"18446744073709551617f"),
    row("format of count 10**22", "no int64", format=b"1" + b"0" * 22 + b"f"),
    row("format of 100000 digits", "a long count", format=b"1" * 100_000 + b"f"),
    row("format '4'", "a count of nothing", format=b"4"),
    row("format 'ff'", "8 bytes, 4 told", format=b"ff"),
    row("format 'f:'", "a name never closed", format=b"f:"),
    row("format 'f:a'", "a name never closed", format=b"f:a"),
    row("format ':a:f'", "a name of nothing", format=b":a:f"),
    row("format 'f:a:b'", "text behind the name", format=b"f:a:b"),
    row("format of a name of 1 MB", "within the time", EITHER, format=b"T{f:" + b"a" * 10**6
        + b":}"),
    row("format of a name that is no UTF-8", "it becomes a str", EITHER, format=b"T{f:\xff\xfe:}"),
    row("format of one name twice", "which one?", EITHER, format=b"T{h:a:h:a:}"),
    row("format byte 0x80", "no ASCII", format=b"\x80"),
    row("format 'X{'", "a function never closed", format=b"X{"),
    row("format 'O'", "references, from a foreign exporter", EITHER, format=b"O", itemsize=8,
        shape=(3,), strides=(8,)),
    row("format of 200000 open records", "deep and never closed", format=b"T{" * 200_000),
    row("format of 100000 records in records", "deep", EITHER, format=b"T{" * 100_000 + b"f"
        + b"}" * 100_000),
    row("format of 100000 open brackets", "deep and never closed", format=b"(" * 100_000),
    row("format of 100000 pointers", "deep", EITHER, format=b"&" * 100_000 + b"f", itemsize=8,
        shape=(3,), strides=(8,)),
    row("format of 1000000 byte orders", "the last one counts", EITHER, format=b"@" * 10**6 + b"f"),
    row("format of 4000 members", "within the time", EITHER, {"shape": (1,)}, format=b"B" * 4000,
        itemsize=4000, shape=(1,), strides=(4000,)),
)  # fmt: skip


def cases() -> list[Case]:
    """Return the cases of format strings."""
    return [case_of(row) for row in ROWS]
