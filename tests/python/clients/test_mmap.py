"""mmap and shared memory: mapped files, shared between processes, closed when nobody views them."""

from __future__ import annotations

import ctypes
import mmap
import subprocess
import sys
from multiprocessing import shared_memory

import pytest

import devview as dv
from clients.contract import CUDA, Case, Contract

CONTENT = bytes(range(1, 9))


def anonymous(access: int = mmap.ACCESS_WRITE) -> mmap.mmap:
    m = mmap.mmap(-1, len(CONTENT))
    m[:] = CONTENT
    return m


def mapped_file(tmp, access: int) -> mmap.mmap:
    path = tmp / "content"
    path.write_bytes(CONTENT)
    with path.open("r+b") as file:
        return mmap.mmap(file.fileno(), 0, access=access)


def set_byte(m, value) -> None:
    m[3] = value


def written_address(m) -> int:
    return ctypes.addressof(ctypes.c_char.from_buffer(m))


CASES = [
    Case(
        name="anonymous",
        make=anonymous,
        address=written_address,
        read=lambda m: list(m[:]),
        format="B",
        shape=(8,),
        strides=(1,),
        index=(3,),
        value=200,
        write=set_byte,
    ),
    Case(
        name="words",
        make=anonymous,
        view=lambda m: dv.from_buffer(m, format=">H", shape=(2, 2)),
        address=written_address,
        read=lambda m: [[256 * m[i] + m[i + 1] for i in row] for row in ((0, 2), (4, 6))],
        format=">H",
        shape=(2, 2),
        strides=(4, 2),
        index=(1, 0),
        value=0x0102,
        write=lambda m, value: m.__setitem__(slice(4, 6), value.to_bytes(2, "big")),
    ),
]


@pytest.mark.parametrize("case", CASES, ids=str)
class TestMmap(Contract):
    pass


def test_a_file_is_edited_through_the_view_of_its_mapping(tmp_path):
    m = mapped_file(tmp_path, mmap.ACCESS_WRITE)
    v = dv.view(m)
    v[2:4] = b"OK"
    m.flush()
    assert (tmp_path / "content").read_bytes() == b"\x01\x02OK\x05\x06\x07\x08"
    v.copy_from(v.to(CUDA)[::-1])
    m.flush()
    assert (tmp_path / "content").read_bytes() == b"\x08\x07\x06\x05KO\x02\x01"
    v.release()
    m.close()


def test_a_read_only_mapping_stays_so(tmp_path):
    m = mapped_file(tmp_path, mmap.ACCESS_READ)
    v = dv.view(m)
    assert v.readonly
    assert v.tobytes() == CONTENT
    with pytest.raises(TypeError, match="read-only"):
        v[0] = 1
    with pytest.raises(BufferError):
        dv.view(m, readonly=False)
    assert v.to(CUDA).tobytes() == CONTENT
    v.release()
    m.close()


def test_a_private_mapping_keeps_its_changes_from_the_file(tmp_path):
    m = mapped_file(tmp_path, mmap.ACCESS_COPY)
    v = dv.view(m)
    v[0] = 99
    assert m[0] == 99
    assert (tmp_path / "content").read_bytes() == CONTENT
    v.release()
    m.close()


def test_a_mapping_closes_and_resizes_once_its_views_are_gone():
    m = anonymous()
    v = dv.view(m)
    part = v[2:]
    v.release()
    with pytest.raises(BufferError, match="exported pointers"):
        m.close()
    with pytest.raises(BufferError, match="resize"):
        m.resize(4096)
    assert part[0] == CONTENT[2]  # a refused close leaves it open
    part.release()
    m.resize(4096)
    assert (m[:8], len(m)) == (CONTENT, 4096)
    m.close()
    with pytest.raises(ValueError, match="closed"):
        dv.view(m)


def test_a_mapping_is_written_from_a_device_view():
    m = anonymous()
    d = dv.view(b"devview!").to(CUDA)
    assert m.write(d) == 8
    assert m[:] == b"devview!"
    m[:] = memoryview(d[::-1])
    assert m[:] == b"!weivved"
    assert m.find(memoryview(d[4:5]), 0) == 3
    m.close()


# --- Shared memory ---


@pytest.fixture
def block():
    block = shared_memory.SharedMemory(create=True, size=16)
    yield block
    block.close()
    block.unlink()


def test_shared_memory_is_viewed_and_closed_once_its_views_are_gone(block):
    v = dv.view(block.buf)
    assert v.ptr == written_address(block.buf)
    assert v.nbytes == block.size
    v[3] = 77
    assert block.buf[3] == 77
    block.buf[4] = 88
    assert v[4] == 88
    with pytest.raises(BufferError):
        block.close()
    v.release()
    block.close()


def test_shared_memory_is_edited_by_another_process(block):
    v = dv.from_buffer(block.buf, format="i", shape=(4,))
    v[:] = dv.view((ctypes.c_int * 4)(1, 2, 3, 4)).to(CUDA)
    # Not attached to the tracker of that process, which would unlink the block at its end.
    script = """
import mmap, sys
with open("/dev/shm" + sys.argv[1], "r+b") as file, mmap.mmap(file.fileno(), 16) as m:
    assert m[:] == b"".join(i.to_bytes(4, sys.byteorder) for i in (1, 2, 3, 4))
    m[0] = 100
"""
    name = "/" + block.name.lstrip("/")
    subprocess.run([sys.executable, "-c", script, name], check=True)
    assert v.tolist() == [100, 2, 3, 4]
    assert v.to(CUDA).tolist() == [100, 2, 3, 4]
    v.release()
