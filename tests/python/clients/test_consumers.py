"""The standard library with views: it reads them, writes into them, sends and stores them."""

from __future__ import annotations

import gc
import hashlib
import io
import os
import socket
import sqlite3
import struct
import tempfile
import zlib
from array import array

import pytest

import devview as dv
from clients.contract import CUDA

CONTENT = bytes(range(100, 164))


PLACES = ("cpu", CUDA, "managed")
reads = pytest.mark.parametrize("place", PLACES)
writes = pytest.mark.parametrize("where", PLACES)


def make_source(place: str) -> dv.View:
    """Give 64 bytes to be read."""
    return dv.view(CONTENT).to(place)


def make_target(where: str) -> dv.View:
    """Give 64 bytes to be written, all zero."""
    return dv.zeros((64,), device=where)


# --- Readers ---

READERS = {
    "bytes": bytes,
    "bytearray": bytearray,
    "bytes.join": lambda v: b"".join([v, v]),
    "bytes +": lambda v: b"head" + v,
    "int.from_bytes": lambda v: int.from_bytes(v, "little"),
    "hashlib": lambda v: hashlib.sha256(v).hexdigest(),
    "zlib.crc32": zlib.crc32,
    "zlib.compress": zlib.compress,
    "struct.unpack": lambda v: struct.unpack("<16i", v),
    "struct.unpack_from": lambda v: struct.unpack_from("<id", v, 4),
    "struct.iter_unpack": lambda v: list(struct.iter_unpack("<hh", v)),
    "str": lambda v: str(v, "latin-1"),
    "array.frombytes": lambda v: (a := array("h"), a.frombytes(v), a.tolist())[-1],
    "BytesIO.write": lambda v: (f := io.BytesIO(), f.write(v), f.getvalue())[1:],
}


@pytest.mark.parametrize("name", READERS)
@reads
def test_readers_read_what_a_view_holds(place, name):
    source = make_source(place)
    read = READERS[name]
    assert read(source) == read(CONTENT)
    assert source.exports == 0


@pytest.mark.parametrize("name", READERS)
def test_readers_read_what_a_backwards_view_stages(name):
    """A host view is exported with the strides that it has; a staging copy is dense."""
    read = READERS[name]
    assert read(dv.view(CONTENT).to(CUDA)[::-1]) == read(CONTENT[::-1])


# --- Writers ---


@writes
def test_pack_into_writes_a_view(where):
    target = make_target(where)
    struct.pack_into("<iid", target, 8, 1, -2, 3.5)
    assert bytes(target) == bytes(8) + struct.pack("<iid", 1, -2, 3.5) + bytes(40)
    assert struct.unpack_from("<iid", target, 8) == (1, -2, 3.5)


@reads
@writes
def test_files_are_written_from_and_read_into_views(place, where):
    source = make_source(place)
    target = make_target(where)
    with tempfile.TemporaryFile() as file:
        file.writelines([source, b"--", source])
        file.seek(0)
        assert file.readinto(target) == 64
        assert file.read(2) == b"--"
        assert file.readinto(target[:8]) == 8
    assert bytes(target) == CONTENT
    assert io.BytesIO(CONTENT[::-1]).readinto(target) == 64
    assert bytes(target) == CONTENT[::-1]


@reads
@writes
def test_raw_descriptors_gather_and_scatter_views(place, where):
    source = make_source(place)
    target = make_target(where)
    with tempfile.TemporaryFile(buffering=0) as file:
        assert os.writev(file.fileno(), [source, source]) == 128
        other = dv.zeros((64,), device=CUDA)
        assert os.preadv(file.fileno(), [target, other], 0) == 128
    assert bytes(target) == bytes(other) == CONTENT


@reads
@writes
def test_sockets_send_and_receive_views(place, where):
    source = make_source(place)
    target = make_target(where)
    left, right = socket.socketpair()
    with left, right:
        assert left.sendmsg([source, b"--"]) == 66
        assert right.recv_into(target) == 64
        assert right.recv(8) == b"--"
        assert bytes(target) == CONTENT
        left.sendall(source[32:].copy())
        assert right.recvmsg_into([target])[0] == 32
    assert bytes(target) == CONTENT[32:] + CONTENT[32:]


def test_writers_refuse_views_that_are_read_only():
    for v in (dv.view(CONTENT), dv.view(CONTENT).to(CUDA).toreadonly()):
        with pytest.raises((TypeError, BufferError)):
            io.BytesIO(CONTENT).readinto(v)
        with pytest.raises((TypeError, BufferError)):
            struct.pack_into("<i", v, 0, 1)
        assert bytes(v) == CONTENT


@writes
def test_a_reader_that_fails_leaves_nothing_behind(where):
    target = make_target(where)

    class Broken(io.RawIOBase):
        def readable(self):
            return True

        def readinto(self, buffer):
            buffer[:4] = b"half"
            raise OSError("the line is cut")

    with pytest.raises(OSError, match="the line is cut"):
        io.BufferedReader(Broken()).readinto(target)
    gc.collect()
    assert target.exports == 0
    target.release()


# --- Databases ---


@reads
def test_a_database_stores_views(place):
    source = make_source(place)
    with sqlite3.connect(":memory:") as db:
        db.execute("create table t(x blob)")
        db.execute("insert into t values(?)", (source,))
        (stored,) = db.execute("select x from t").fetchone()
    db.close()
    assert stored == CONTENT


@pytest.mark.skipif(
    not hasattr(sqlite3.Connection, "blobopen"), reason="missing: sqlite3.Blob (Python 3.11)"
)
@reads
def test_a_blob_is_written_from_a_view(place):
    source = make_source(place)
    db = sqlite3.connect(":memory:")
    db.execute("create table t(x blob)")
    db.execute("insert into t values(zeroblob(64))")
    with db.blobopen("t", "x", 1) as blob:
        blob.write(source)
        blob[32:] = source[:32].copy()
        with pytest.raises(dv.ImportRefused, match="not offered"):
            dv.view(blob)  # its bytes are read by copies only
    (stored,) = db.execute("select x from t").fetchone()
    db.close()
    assert stored == CONTENT[:32] + CONTENT[:32]


# --- bytearray and BytesIO: what they refuse while they are viewed ---


def test_a_bytearray_grows_again_once_its_views_are_gone():
    data = bytearray(CONTENT)
    v = dv.view(data)
    for change in (
        lambda: data.append(0),
        lambda: data.extend(b"--"),
        lambda: data.clear(),
        lambda: data.__delitem__(slice(0, 1)),
        lambda: data.__iadd__(b"-"),
    ):
        with pytest.raises(BufferError, match="re-sized"):
            change()
    data[0] = 7
    assert v[0] == 7
    v.release()
    data.append(0)
    assert len(data) == 65
