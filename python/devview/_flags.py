"""Request flags of the buffer protocol; a module of its own since enum is slow to import."""

from __future__ import annotations

from enum import IntFlag

from devview._devview import _buffer_flags

_FLAGS = _buffer_flags()


class BufferFlags(IntFlag):
    """What a consumer asks of a buffer (PEP 3118): ``inspect.BufferFlags``, on every Python."""

    SIMPLE = _FLAGS["SIMPLE"]
    WRITABLE = _FLAGS["WRITABLE"]
    FORMAT = _FLAGS["FORMAT"]
    ND = _FLAGS["ND"]
    STRIDES = _FLAGS["STRIDES"]
    C_CONTIGUOUS = _FLAGS["C_CONTIGUOUS"]
    F_CONTIGUOUS = _FLAGS["F_CONTIGUOUS"]
    ANY_CONTIGUOUS = _FLAGS["ANY_CONTIGUOUS"]
    INDIRECT = _FLAGS["INDIRECT"]
    CONTIG = _FLAGS["CONTIG"]
    CONTIG_RO = _FLAGS["CONTIG_RO"]
    STRIDED = _FLAGS["STRIDED"]
    STRIDED_RO = _FLAGS["STRIDED_RO"]
    RECORDS = _FLAGS["RECORDS"]
    RECORDS_RO = _FLAGS["RECORDS_RO"]
    FULL = _FLAGS["FULL"]
    FULL_RO = _FLAGS["FULL_RO"]
    READ = _FLAGS["READ"]
    WRITE = _FLAGS["WRITE"]
