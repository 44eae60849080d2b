"""CuPy's arrays where consumers of host memory are: buffers, hashes, files, sockets, pickles."""

from __future__ import annotations

import contextlib
import hashlib
import io
import mmap
import pickle
import socket
import struct
import threading
import zlib

import numpy as np
import pytest

import devview as dv
from gpu_peers import require
from gpu_work import no_gc

cp = require("cupy", "cupy-cuda13x")

HOST = np.arange(24, dtype="f4").reshape(4, 6)


@pytest.fixture(params=["dense", "transposed", "sliced"])
def pair(request):
    """Return an array of CuPy and NumPy's with the same items."""
    array = cp.asarray(HOST)
    if request.param == "dense":
        return array, HOST
    if request.param == "transposed":
        return array.T, HOST.T
    return array[::-1, 1::2], HOST[::-1, 1::2]


def test_cupy_itself_is_no_buffer(pair):
    """What devview is for: on a GPU, CuPy's arrays cannot be read as buffers."""
    with pytest.raises(TypeError):
        memoryview(pair[0])


def test_readers(pair, tmp_path):
    array, host = pair
    view = dv.view(array)
    content = host.tobytes()
    assert bytes(view) == memoryview(view).tobytes() == content
    assert memoryview(view).shape == host.shape
    assert memoryview(view).format == "f"
    assert hashlib.sha256(view).hexdigest() == hashlib.sha256(content).hexdigest()
    assert zlib.crc32(view) == zlib.crc32(content)
    assert zlib.decompress(zlib.compress(view)) == content
    assert (np.asarray(view) == host).all()
    assert np.asarray(view).shape == host.shape
    assert struct.unpack_from("f", view, 4) == (host.ravel()[1],)
    assert b"".join([view, view]) == 2 * content
    path = tmp_path / "items"
    with path.open("wb") as file:
        assert file.write(view) == len(content)
        file.writelines([view])
    assert path.read_bytes() == 2 * content
    # A copy, because CuPy holds the last host array that it was given until it is given another.
    assert (cp.asarray(np.array(view)) == array).all()


def test_readinto_writes_cupys_memory(pair, tmp_path):
    array, host = pair
    path = tmp_path / "items"
    path.write_bytes((host + 100).tobytes())
    with path.open("rb") as file:
        assert file.readinto(dv.view(array)) == host.nbytes
    assert (array.get() == host + 100).all()


def test_other_writers(pair):
    array, host = pair
    view = dv.view(array)
    struct.pack_into("f", view, 0, -5.0)
    assert array.ravel()[0] == -5
    assert io.BytesIO((host * 2).tobytes()).readinto(view) == host.nbytes
    assert (array.get() == host * 2).all()
    with view.stage(writable=True) as memory:
        np.asarray(memory)[...] = host + 1
    assert (array.get() == host + 1).all()
    view.copy_from(host)
    assert (array.get() == host).all()


def test_a_writable_memoryview_is_written_back_when_it_lets_go(pair):
    array, host = pair
    with dv.view(array).stage(writable=True) as memory:
        memory[1, 2] = -3.5
        assert array[1, 2] == host[1, 2]  # not yet
    assert array[1, 2] == -3.5


def test_sockets():
    array, back = cp.arange(5000, dtype="i4"), cp.zeros(5000, "i4")
    here, there = socket.socketpair()
    with contextlib.closing(here), contextlib.closing(there):
        sender = threading.Thread(target=here.sendall, args=(dv.view(array),))
        sender.start()
        received = there.recv_into(dv.view(back), flags=socket.MSG_WAITALL)
        sender.join()
    assert received == array.nbytes
    assert (back == array).all()


def test_mapped_files(tmp_path):
    path = tmp_path / "mapped"
    path.write_bytes(HOST.tobytes())
    array = cp.zeros((4, 6), "f4")
    with (
        path.open("r+b") as file,
        mmap.mmap(file.fileno(), 0) as mapped,
        dv.view(mapped) as view,
        view.cast("f", (4, 6)) as items,
    ):
        dv.copyto(dv.view(array), items)
        assert (array.get() == HOST).all()
        array *= 2
        dv.copyto(items, dv.view(array))
    assert path.read_bytes() == (HOST * 2).tobytes()


def test_copyto_both_ways(pair):
    array, host = pair
    target = np.zeros(host.shape, host.dtype)
    dv.copyto(target, array)
    assert (target == host).all()
    dv.copyto(array, target[::-1] * 3)
    assert (array.get() == host[::-1] * 3).all()
    dv.copyto(array, cp.ones_like(array))
    assert (array.get() == 1).all()
    wide = cp.zeros(array.shape, "f8")
    dv.copyto(wide, dv.view(array))
    assert (wide.get() == 1).all()


def test_pickle_5(pair):
    array, host = pair
    buffers = []
    data = pickle.dumps(dv.view(array), protocol=5, buffer_callback=buffers.append)
    assert len(buffers) == 1
    assert len(data) < 1000
    again = pickle.loads(data, buffers=buffers)
    assert again.tolist() == host.tolist()
    raw = [bytes(buffer.raw()) for buffer in buffers]
    assert pickle.loads(data, buffers=raw).tolist() == host.tolist()
    again = pickle.loads(pickle.dumps(dv.view(array), protocol=5))
    assert again.tolist() == host.tolist()
    buffers.clear()


def test_the_guard_forbids_what_is_implicit():
    array = cp.zeros(8, "f4")
    view = dv.view(array)
    with dv.transfer_guard("forbid"):
        for implicit in (
            lambda: memoryview(view),
            lambda: bytes(view),
            lambda: hashlib.sha256(view),
            lambda: view[0],
            lambda: view == np.zeros(8, "f4"),
            lambda: np.asarray(view),
        ):
            with pytest.raises(
                (BufferError, ValueError, TypeError, RuntimeError), match="implicit"
            ):
                implicit()
        assert view == dv.view(cp.zeros(8, "f4"))  # on the device: no item travels
        assert view.to("cpu").tolist() == [0.0] * 8
        with view.stage() as memory:
            assert memory.tolist() == [0.0] * 8
        assert cp.asarray(view).data.ptr == array.data.ptr
        assert cp.from_dlpack(view).data.ptr == array.data.ptr
    assert view.allocation.exports == 0


def test_staging_memory_is_given_back_at_once():
    array = cp.zeros(100_000, "u1")
    view = dv.view(array)
    with no_gc():
        before = dv.memory_info("pinned").pinned_live_bytes
        memory = memoryview(view)
        assert dv.memory_info("pinned").pinned_live_bytes >= before + 100_000
        with pytest.raises(BufferError, match="1 export"):
            view.release()
        memory.release()
        assert dv.memory_info("pinned").pinned_live_bytes == before
        view.release()


def test_overlapping_writers_are_refused():
    array = cp.zeros((4, 4), "i4")
    one, other = dv.view(array), dv.view(array)
    # Two imports of one array are two allocations to devview; slices of one view are one.
    with one[:3].stage(writable=True), pytest.raises(BufferError):
        one[2:].stage(writable=True)
    with one[:2].stage(writable=True) as upper, one[2:].stage(writable=True) as lower:
        upper[0, 0], lower[0, 0] = 1, 2
    assert array[:, 0].tolist() == [1, 0, 2, 0]
    other.release()
