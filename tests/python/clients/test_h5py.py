"""h5py: datasets of views, chunks read into and written from views, files mapped as views."""

from __future__ import annotations

import mmap

import numpy as np
import pytest

import devview as dv
from clients.contract import CUDA, require

h5py = require("h5py", "h5py")

PLACES = ("cpu", "pinned", "managed", CUDA)
places = pytest.mark.parametrize("place", PLACES)


@pytest.fixture
def file():
    with h5py.File("in memory", "w", driver="core", backing_store=False) as f:
        yield f


def source(place: str, dtype="f4") -> dv.View:
    return dv.view(np.arange(24, dtype=dtype).reshape(4, 6)).to(place)


# --- Views are written ---


@places
def test_a_dataset_is_made_of_a_view(file, place):
    v = source(place)
    dataset = file.create_dataset("d", data=v)
    assert dataset.dtype == np.dtype("f4")
    assert dataset[:].tolist() == v.tolist()
    v.release()  # nothing is kept


@places
def test_a_part_of_a_dataset_is_set_to_a_part_of_a_view(file, place):
    v = source(place, "i2")
    dataset = file.create_dataset("d", (4, 3), "i2")
    dataset[1:3] = v[:2, ::2]
    assert dataset[:].tolist() == [[0, 0, 0], [0, 2, 4], [6, 8, 10], [0, 0, 0]]
    v.release()


def test_write_direct_reads_the_view_where_it_is(file):
    """It takes arrays of NumPy only: one over the view."""
    v = source("cpu")
    array = np.asarray(v)
    assert array.ctypes.data == v.ptr
    dataset = file.create_dataset("d", (4, 6), "f4")
    v[1, 2] = -1.0
    dataset.write_direct(array)
    assert dataset[1, 2] == -1.0
    assert dataset[:].tolist() == v.tolist()


def test_read_direct_writes_into_the_view(file):
    file["d"] = np.arange(24, dtype="i4").reshape(4, 6)
    v = dv.zeros((4, 6), "i")
    file["d"].read_direct(np.asarray(v))
    assert v.tolist() == file["d"][:].tolist()
    file["d"].read_direct(np.asarray(v), np.s_[:2, :2], np.s_[2:, 4:])
    assert v[2:, 4:].tolist() == [[0, 1], [6, 7]]


def test_read_direct_into_the_staging_of_a_device_view(file):
    file["d"] = np.arange(24, dtype="i4").reshape(4, 6)
    d = dv.zeros((4, 6), "i", device=CUDA)
    with d.stage(writable=True) as staged:
        file["d"].read_direct(np.asarray(staged))
    assert d.tolist() == file["d"][:].tolist()


def test_read_only_memory_is_not_read_into(file):
    file["d"] = np.arange(4, dtype="i4")
    v = dv.zeros(4, "i")
    with pytest.raises(TypeError, match="writable"):
        file["d"].read_direct(np.asarray(v.toreadonly()))
    assert v.tolist() == [0] * 4


# --- Chunks, as they are in the file ---


@places
def test_a_chunk_is_written_from_a_view_and_read_into_one(file, place):
    dataset = file.create_dataset("d", (4, 6), "f4", chunks=(2, 6))
    v = source(place)
    dataset.id.write_direct_chunk((2, 0), v[1:3])
    assert dataset[2:].tolist() == v[1:3].tolist()
    target = dv.zeros(48, device=place)
    mask, memory = dataset.id.read_direct_chunk((2, 0), out=target)
    assert mask == 0
    assert target.exports == 1
    memory.release()  # what a device view stages is written back here
    assert target.cast("f", (2, 6)).tolist() == v[1:3].tolist()
    v.release()
    target.release()


def test_a_chunk_is_not_read_into_memory_that_is_read_only_or_too_small(file):
    dataset = file.create_dataset("d", (4, 6), "f4", chunks=(2, 6))
    dataset[...] = 1.0
    for target in (dv.zeros(48).toreadonly(), dv.zeros(47)):
        with pytest.raises((ValueError, BufferError, TypeError)):
            dataset.id.read_direct_chunk((0, 0), out=target)
        assert set(target.tobytes()) == {0}


# --- Types ---


@pytest.mark.parametrize(
    "dtype",
    ["i1", "u2", ">i4", "f2", "f8", "c8", "?", "S3", [("a", "i4"), ("b", "f8", (2,))]],
    ids=str,
)
def test_types_survive_the_file_by_views(file, dtype):
    a = np.frombuffer(bytes(3 * np.dtype(dtype).itemsize), dtype).copy()
    a[1] = np.ones(1, dtype)[0]
    v = dv.view(a)
    dataset = file.create_dataset("d", data=np.asarray(v))
    assert dataset.dtype == a.dtype
    back = np.zeros(3, dtype)
    dataset.read_direct(np.asarray(dv.view(back)))
    assert back.tobytes() == a.tobytes()


# --- Datasets are viewed ---


def test_a_dataset_exports_nothing(file):
    file["d"] = np.arange(4)
    with pytest.raises(dv.ImportRefused, match="not offered"):
        dv.view(file["d"])


def test_a_dataset_that_is_one_piece_is_viewed_in_its_mapped_file(tmp_path):
    path = tmp_path / "data.h5"
    with h5py.File(path, "w") as f:
        f["d"] = np.arange(6, dtype="<f8").reshape(2, 3)
        offset, shape = f["d"].id.get_offset(), f["d"].shape
    with path.open("r+b") as f:
        mapped = mmap.mmap(f.fileno(), 0)
    v = dv.from_buffer(dv.view(mapped)[offset : offset + 48], format="<d", shape=shape)
    assert v.ptr == dv.view(mapped).ptr + offset
    assert v.tolist() == [[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]]
    v[1, 2] = -1.0
    with pytest.raises(BufferError):
        mapped.close()
    v.release()
    mapped.flush()
    mapped.close()
    with h5py.File(path, "r+") as f:
        assert f["d"][1, 2] == -1.0


def test_a_file_is_opened_from_the_bytes_in_a_view(tmp_path):
    path = tmp_path / "data.h5"
    with h5py.File(path, "w") as f:
        f["d"] = [1, 2, 3]
    d = dv.view(path.read_bytes()).to(CUDA)
    opened = h5py.h5f.open_file_image(bytes(d))
    with h5py.File(opened) as f:
        assert f["d"][:].tolist() == [1, 2, 3]
