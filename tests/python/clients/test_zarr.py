"""zarr and numcodecs: arrays of views, stores that hold views, codecs that read and write them."""

from __future__ import annotations

import numpy as np
import pytest

import devview as dv
from clients.contract import CUDA, require

zarr = require("zarr", "zarr")
numcodecs = require("numcodecs", "numcodecs")

V3 = int(zarr.__version__.partition(".")[0]) >= 3
needs_v3 = pytest.mark.skipif(not V3, reason="missing: zarr 3, which needs Python 3.11")
PLACES = ("cpu", "pinned", "managed", CUDA)
places = pytest.mark.parametrize("place", PLACES)
CONTENT = bytes(range(96))


def source(place: str) -> dv.View:
    return dv.view(np.arange(24, dtype="f4").reshape(4, 6)).to(place)


def plain_array(store):
    """Give an array without a codec: a chunk in the store is its items as they are."""
    if V3:
        return zarr.create_array(
            store=store,
            shape=(4, 6),
            chunks=(2, 6),
            dtype="f4",
            compressors=None,
            filters=None,
        )
    return zarr.create((4, 6), chunks=(2, 6), dtype="f4", store=store, compressor=None)


# --- Arrays of views ---


@places
def test_an_array_is_set_to_a_view(place):
    v = source(place)
    z = plain_array({})
    z[:] = np.asarray(
        v
    )  # a view has a shape and no dtype, which zarr takes for an array of its kind
    assert z[:].tolist() == v.tolist()
    z[1, ::2] = np.asarray(v[2, ::-2])
    assert z[1].tolist() == [17.0, 7.0, 15.0, 9.0, 13.0, 11.0]
    v.release()


@places
def test_a_view_is_read_from_an_array(place):
    z = plain_array({})
    z[:] = np.asarray(source("cpu"))
    v = dv.zeros((4, 6), "f", device=place)
    v.copy_from(z[:])
    assert v.tolist() == z[:].tolist()


@needs_v3
def test_a_selection_is_read_into_the_memory_of_a_view():
    from zarr.core.buffer.cpu import NDBuffer

    z = plain_array({})
    z[:] = np.asarray(source("cpu"))
    v = dv.zeros((2, 3), "f")
    out = NDBuffer.from_ndarray_like(np.asarray(v))
    assert out.as_numpy_array().ctypes.data == v.ptr
    z.get_basic_selection((slice(1, 3), slice(0, 6, 2)), out=out)
    assert v.tolist() == [[6.0, 8.0, 10.0], [12.0, 14.0, 16.0]]
    assert out.as_numpy_array().tolist() == v.tolist()


# --- Stores ---


def chunk_key(row: int) -> str:
    return f"c/{row}/0" if V3 else f"{row}.0"


@needs_v3
def test_a_chunk_in_a_store_is_viewed_and_edited_in_place():
    store = {}
    z = plain_array(store)
    z[:] = np.asarray(source("cpu"))
    buffer = z.store._store_dict[chunk_key(1)].as_numpy_array()
    v = dv.view(buffer).cast("f", (2, 6))
    assert v.ptr == buffer.ctypes.data
    assert v.tolist() == z[2:].tolist()
    v[1, 5] = -1.0
    assert z[3, 5] == -1.0
    d = v.to(CUDA)
    d.fill(2.0)
    d.copy_to(v)
    assert z[2:].tolist() == [[2.0] * 6] * 2


@needs_v3
def test_a_chunk_is_the_memory_of_a_view():
    from zarr.core.buffer.cpu import Buffer

    v = source("cpu")
    rows = [Buffer.from_bytes(v[i : i + 2]) for i in (0, 2)]
    assert [b.as_numpy_array().ctypes.data for b in rows] == [v[0].ptr, v[2].ptr]
    z = plain_array({})
    for i, buffer in enumerate(rows):
        z.store._store_dict[chunk_key(i)] = buffer
    assert z[:].tolist() == v.tolist()
    v[1, 1] = -1.0
    assert z[1, 1] == -1.0


@pytest.mark.skipif(V3, reason="zarr 3 keeps its own buffers in stores, see above")
def test_a_store_that_is_a_dict_holds_views():
    v = source("cpu")
    store = {}
    z = plain_array(store)
    for i in (0, 1):
        store[chunk_key(i)] = v[2 * i : 2 * i + 2]
    assert z[:].tolist() == v.tolist()
    v[1, 1] = -1.0
    assert z[1, 1] == -1.0


def test_a_view_is_refused_by_nothing_but_its_type():
    with pytest.raises(dv.ImportRefused, match="not offered"):
        dv.view(plain_array({}))


# --- numcodecs ---

CODECS = {
    "zlib": numcodecs.Zlib,
    "gzip": numcodecs.GZip,
    "bz2": numcodecs.BZ2,
    "blosc": numcodecs.Blosc,
    "lz4": numcodecs.LZ4,
    "zstd": numcodecs.Zstd,
}


@places
@pytest.mark.parametrize("name", CODECS)
def test_a_codec_reads_a_view_and_writes_into_one(name, place):
    codec = CODECS[name]()
    v = dv.view(CONTENT).to(place) if place != "cpu" else dv.view(CONTENT)
    encoded = codec.encode(np.asarray(v))
    assert codec.decode(encoded) is not None
    target = dv.zeros(len(CONTENT), device=place)
    if place == CUDA:
        with target.stage(writable=True) as staged:
            codec.decode(encoded, out=np.asarray(staged))
    else:
        codec.decode(encoded, out=np.asarray(target))
    assert target.tobytes() == CONTENT


@places
def test_a_codec_takes_the_view_itself(place):
    v = dv.view(CONTENT).to(place)
    encoded = numcodecs.Zlib().encode(v)
    target = dv.zeros(len(CONTENT))
    numcodecs.Zlib().decode(encoded, out=target)
    assert target.tobytes() == CONTENT
    v.release()
    target.release()


def test_what_a_codec_made_is_viewed_without_a_copy():
    encoded = numcodecs.Zstd().encode(CONTENT)
    v = dv.view(encoded)
    assert v.tobytes() == bytes(encoded)
    assert numcodecs.Zstd().decode(v.to(CUDA).to("cpu")) == CONTENT
