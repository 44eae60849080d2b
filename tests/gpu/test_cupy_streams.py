"""Work that is still running on a stream of CuPy's or devview's when memory changes hands."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

import devview as dv
from gpu_peers import require
from gpu_work import LAZY, slow_fill

cp = require("cupy", "cupy-cuda13x")

COUNT = 64
EXPECTED = np.arange(100, 100 + COUNT, dtype="i4")
BYTES = EXPECTED.tobytes()


def by_versioned_capsule(array):
    return dv.from_dlpack(array.__dlpack__(stream=1, max_version=(1, 0)))


WAYS = {
    "view": dv.view,
    "from_dlpack": dv.from_dlpack,
    "legacy capsule": lambda array: dv.from_dlpack(array.__dlpack__(stream=1)),
    "versioned capsule": by_versioned_capsule,
    "from_cuda_array": dv.from_cuda_array,
}
ways = pytest.mark.parametrize("take", WAYS.values(), ids=WAYS.keys())


def copied(view, **options):
    host = dv.empty(COUNT, "i")
    dv.copyto(host, view, **options)
    return host.tobytes()


def staged(view):
    with view.stage() as memory:
        return bytes(memory)


READERS = {
    "bytes": bytes,
    "memoryview": lambda view: memoryview(view).tobytes(),
    "tobytes": lambda view: view.tobytes(),
    "items": lambda view: np.array([view[i] for i in range(COUNT)], "i4").tobytes(),
    "tolist": lambda view: np.array(view.tolist(), "i4").tobytes(),
    "stage": staged,
    "to": lambda view: view.to("cpu").tobytes(),
    "to pinned": lambda view: bytes(view.to("pinned")),
    "copyto": copied,
    "copy on the device": lambda view: view.copy().tobytes(),
    "copy on a stream": lambda view: view.copy(stream=dv.Stream("cuda")).tobytes(),
    "astype": lambda view: np.asarray(view.astype("d")).astype("i4").tobytes(),
    "strided": lambda view: view[::-1].copy()[::-1].tobytes(),
    "np.asarray": lambda view: np.asarray(view).tobytes(),
}
readers = pytest.mark.parametrize("read", READERS.values(), ids=READERS.keys())
STREAMS = {
    "non-blocking": lambda: cp.cuda.Stream(non_blocking=True),
    "blocking": cp.cuda.Stream,
    "legacy": lambda: cp.cuda.Stream.null,
    "per thread": lambda: cp.cuda.Stream.ptds,
}
streams = pytest.mark.parametrize("make", STREAMS.values(), ids=STREAMS.keys())


@pytest.fixture
def array():
    """Return an array of old items, with no work left on it."""
    made = cp.full(COUNT, -1, "i4")
    cp.cuda.runtime.deviceSynchronize()
    return made


# --- From CuPy to devview ---


@readers
@ways
def test_devview_reads_what_a_stream_of_cupys_is_still_writing(take, read, array):
    stream = cp.cuda.Stream(non_blocking=True)
    slow_fill(array, 100, stream)
    with stream:
        view = take(array)
    assert read(view) == BYTES


@streams
@ways
def test_every_kind_of_stream_is_waited_for(take, make, array):
    stream = make()
    slow_fill(array, 100, stream)
    with stream:
        view = take(array)
    assert bytes(view) == BYTES


@pytest.mark.parametrize("take", [dv.view, dv.from_dlpack, dv.from_cuda_array])
@pytest.mark.parametrize("target", ["devview's", "CuPy's", "handle", "null", "ptds"])
def test_the_stream_that_the_view_shall_be_used_on_waits(take, target, array):
    stream = cp.cuda.Stream(non_blocking=True)
    own = dv.Stream("cuda")
    theirs = cp.cuda.Stream(non_blocking=True)
    where = {
        "devview's": own,
        "CuPy's": theirs,
        "handle": theirs.ptr,
        "null": cp.cuda.Stream.null,
        "ptds": cp.cuda.Stream.ptds,
    }[target]
    slow_fill(array, 100, stream)
    with stream:
        view = take(array, stream=where)
    copy = view.copy(stream=where)
    assert copy.tobytes() == BYTES
    assert view.tobytes() == BYTES


def test_hashes_and_comparisons_wait(array):
    stream = cp.cuda.Stream(non_blocking=True)
    slow_fill(array, 100, stream)
    with stream:
        view = dv.view(array)
    assert hashlib.sha256(view).digest() == hashlib.sha256(BYTES).digest()
    slow_fill(array, 200, stream)
    with stream:
        view = dv.view(array)
    assert view == np.arange(200, 200 + COUNT, dtype="i4")


@pytest.mark.skipif(not LAZY, reason="missing: streams that run only when waited for")
def test_without_an_order_the_items_would_be_the_old_ones(array):
    """What the tests above are worth: here the producer is told not to order anything."""
    stream = cp.cuda.Stream(non_blocking=True)
    slow_fill(array, 100, stream)
    with stream:
        view = dv.from_dlpack(array.__dlpack__(stream=-1))
    assert view.tolist() == [-1] * COUNT
    stream.synchronize()
    assert bytes(view) == BYTES


def test_the_wrong_stream_is_the_producers_word(array):
    """CuPy tells its current stream, not the one that was worked on: devview waits for that."""
    stream = cp.cuda.Stream(non_blocking=True)
    slow_fill(array, 100, stream)
    view = dv.view(array)  # outside of `with stream`
    # What users can do about it: tell devview's stream to wait.
    own = dv.Stream("cuda")
    own.wait(stream)
    assert view.copy(stream=own).tobytes() == BYTES


# --- From devview to CuPy ---


def slowly_copied(stream: dv.Stream) -> dv.View:
    """Give a view that `stream` still copies into, from an array that CuPy still writes."""
    theirs = cp.cuda.Stream(non_blocking=True)
    source = cp.full(COUNT, -1, "i4")
    cp.cuda.runtime.deviceSynchronize()
    view = dv.zeros(COUNT, "i", device="cuda", stream=stream)
    slow_fill(source, 100, theirs)
    with theirs:
        dv.copyto(view, dv.view(source, stream=stream), stream=stream)
    return view


TAKERS = {
    "from_dlpack": cp.from_dlpack,
    "asarray": cp.asarray,
    "legacy capsule": lambda view: cp.from_dlpack(
        view.__dlpack__(stream=cp.cuda.get_current_stream().ptr or 1)
    ),
}
takers = pytest.mark.parametrize("take", TAKERS.values(), ids=TAKERS.keys())


@streams
@takers
def test_cupy_reads_what_a_stream_of_devviews_is_still_writing(take, make):
    stream = make()
    view = slowly_copied(dv.Stream("cuda"))
    with stream:
        array = take(view)
        doubled = array * 2
        got = doubled.get(stream=stream)
        stream.synchronize()
    assert (got == 2 * EXPECTED).all()


@takers
def test_cupy_reads_what_the_legacy_stream_is_still_writing(take):
    stream = cp.cuda.Stream(non_blocking=True)
    view = slowly_copied(None)
    with stream:
        got = take(view).get(stream=stream)
        stream.synchronize()
    assert (got == EXPECTED).all()


class Handle:
    """A stream of which nothing but its handle is known."""

    def __init__(self, handle: int):
        self.handle = handle

    def __cuda_stream__(self):
        return (0, self.handle)


def test_the_array_interface_names_a_stream_that_has_waited_for_all_others():
    one, other = dv.Stream("cuda"), dv.Stream("cuda")
    view = slowly_copied(one)
    view[: COUNT // 2].fill(5, stream=other)
    handle = view.__cuda_array_interface__["stream"]
    external = cp.cuda.Stream.from_external(Handle(handle))
    with external:
        memory = cp.cuda.UnownedMemory(view.ptr, view.nbytes, view)
        array = cp.ndarray((COUNT,), "i4", cp.cuda.MemoryPointer(memory, 0))
        got = array.get(stream=external)
        external.synchronize()
    assert (got[COUNT // 2 :] == EXPECTED[COUNT // 2 :]).all()
    assert (got[: COUNT // 2] == 5).all()


def test_a_view_is_a_stream_for_cupy():
    """`__cuda_stream__`: version 0 and the handle of the view's own stream."""
    own = dv.Stream("cuda")
    view = dv.zeros(4, "i", device="cuda", stream=own)
    assert cp.cuda.Stream.from_external(view).ptr == own.handle
    assert cp.cuda.Stream.from_external(own).ptr == own.handle


def test_cupys_streams_are_streams_for_devview():
    theirs = cp.cuda.Stream(non_blocking=True)
    for stream in theirs, theirs.ptr, cp.cuda.Stream.from_external(Handle(theirs.ptr)):
        view = dv.zeros(COUNT, "i", device="cuda", stream=stream)
        view.fill(3, stream=stream)
        assert view.copy(stream=stream).tolist() == [3] * COUNT
        dv.copyto(view, np.arange(COUNT, dtype="i4"), stream=stream)
        with view.stage(stream=stream) as memory:
            assert memory.tolist() == list(range(COUNT))
        theirs.synchronize()
        view.release()


def test_cupy_works_on_a_stream_of_devviews():
    own = dv.Stream("cuda")
    view = dv.zeros(COUNT, "i", device="cuda", stream=own)
    array = cp.asarray(view)
    slow_fill(array, 100, cp.cuda.Stream.from_external(own))
    assert view.copy(stream=own).tobytes() == BYTES
    assert bytes(view) == BYTES  # the view's own stream: nothing else has to be told


def test_events_are_no_streams():
    """CuPy's events have no protocol: what waits for them is the stream that they are given to."""
    stream = cp.cuda.Stream(non_blocking=True)
    event = stream.record()
    own = dv.Stream("cuda")
    with pytest.raises(TypeError):
        own.wait(event)
    with pytest.raises(TypeError):
        dv.zeros(4, device="cuda", stream=event)
    cp.cuda.Stream.from_external(own).wait_event(event)
    own.synchronize()


# --- Giving back while work is running ---


@pytest.mark.parametrize("take", [dv.view, dv.from_dlpack, dv.from_cuda_array])
def test_cupys_memory_goes_back_after_what_devview_still_reads(take):
    """CuPy's pool gives the block out again at once: its stream must wait for our copy first."""
    pool = cp.cuda.MemoryPool()
    theirs, slow = cp.cuda.Stream(non_blocking=True), cp.cuda.Stream(non_blocking=True)
    own = dv.Stream("cuda")
    other = cp.zeros(COUNT, "i4")
    cp.cuda.runtime.deviceSynchronize()
    with cp.cuda.using_allocator(pool.malloc), theirs:
        array = cp.full(COUNT, 7, "i4")
        address = array.data.ptr
        view = take(array)
        slow_fill(other, 0, slow)
        own.wait(slow)
        kept = view.copy(stream=own)
        del array, view
        assert pool.used_bytes() == 0
        again = cp.full(COUNT, 9, "i4")
        assert again.data.ptr == address
        theirs.synchronize()
    assert kept.tolist() == [7] * COUNT
    del again


def test_devviews_memory_goes_back_after_what_cupy_still_reads():
    """CuPy's default stream counts as a user of the memory; nobody has to wait for it."""
    view = dv.copy(EXPECTED, device="cuda")
    slow = cp.zeros(COUNT, "i4")
    slow_fill(slow, 0, cp.cuda.Stream.null)
    array = cp.from_dlpack(view)
    total = array + slow
    view.release()
    del array
    again = dv.empty(COUNT, "i", device="cuda", stream=dv.Stream("cuda"))
    again.fill(0)
    assert (total.get() == EXPECTED + np.arange(COUNT)).all()


def test_a_stream_of_cupys_is_told_to_devview_before_the_memory_goes_back():
    """An int handle is not kept: `Stream.wait` is how the free learns of work on it."""
    own = dv.Stream("cuda")
    view = dv.copy(EXPECTED, device="cuda", stream=own)
    theirs = cp.cuda.Stream(non_blocking=True)
    slow = cp.zeros(COUNT, "i4")
    cp.cuda.runtime.deviceSynchronize()
    with theirs:
        array = cp.from_dlpack(view)
        slow_fill(slow, 0, theirs)
        total = array + slow
    own.wait(theirs)
    del array
    view.release()
    theirs.synchronize()
    assert (total.get() == EXPECTED + np.arange(COUNT)).all()
