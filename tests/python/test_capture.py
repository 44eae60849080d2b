"""Views on streams that capture a graph: what is captured, what is refused, releases that wait."""

from __future__ import annotations

import threading

import numpy as np
import pytest

import captures
import devview as dv
from captures import capture
from support import CUDA_DEVICES, no_gc, pattern

CUDA = CUDA_DEVICES[0]
REFUSED = 900  # cudaErrorStreamCaptureUnsupported
OUTSIDE = 905  # cudaErrorStreamCaptureIsolation


def new_stream() -> dv.Stream:
    """Make a stream to capture; no fixture, which would keep it for longer than the test."""
    if not captures.supported():
        assert not dv.emulation.active
        pytest.skip("this runtime has no stream capture")
    return dv.Stream(CUDA)


def device_view(array, stream=None) -> dv.View:
    return dv.copy(np.ascontiguousarray(array), device=CUDA, stream=stream)


def test_copies_and_fills_are_replayed():
    stream = new_stream()
    source = pattern((8, 6), "i4")
    src, dst, filled = device_view(source), device_view(source * 0), device_view(source * 0)
    turned = device_view(np.zeros((6, 8), "i4"))
    pinned = dv.copy(source, device="pinned")
    captures.begin(stream)
    dv.copyto(dst, src, stream=stream)
    turned.copy_from(src.T, stream=stream)
    filled[2:4].fill(7, stream=stream)
    dv.copyto(pinned, dst, stream=stream)
    with captures.end(stream) as graph:
        for seed in (3, 4, 5):
            fresh = pattern((8, 6), "i4", seed)
            dv.copyto(src, fresh)
            graph.launch(stream)
            stream.synchronize()
            assert np.array_equal(np.asarray(pinned), fresh)
            assert np.array_equal(np.asarray(dst.to("cpu")), fresh)
            assert np.array_equal(np.asarray(turned.to("cpu")), fresh.T)
    expected = source * 0
    expected[2:4] = 7
    assert np.array_equal(np.asarray(filled.to("cpu")), expected)


REFUSALS = {
    "to('cpu')": lambda v, s: v.to("cpu", stream=s),
    "copy_to": lambda v, s: v.copy_to(np.zeros(v.shape, "i4"), stream=s),
    "copy_from": lambda v, s: v.copy_from(np.zeros(v.shape, "i4"), stream=s),
    "copy": lambda v, s: v.copy(stream=s),
    "stage": lambda v, s: v.stage(stream=s),
    "writable stage": lambda v, s: v.stage(writable=True, stream=s),
    "tolist": lambda v, s: v.tolist(),
    "item": lambda v, s: v[0],
    "empty": lambda v, s: dv.empty(10, device=CUDA, stream=s),
    "synchronize": lambda v, s: s.synchronize(),
    "query": lambda v, s: s.query(),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_what_the_host_waits_for_is_refused_and_the_capture_stays_valid(name):
    stream = new_stream()
    view = device_view(pattern((16,), "i4"), stream)
    stream.synchronize()
    with capture(stream), pytest.raises(dv.DeviceError, match="is capturing") as caught:
        REFUSALS[name](view, stream)
    assert caught.value.code == REFUSED
    assert caught.value.name == "cudaErrorStreamCaptureUnsupported"
    assert view.tolist() == pattern((16,), "i4").tolist()


@pytest.mark.parametrize("request_", [memoryview, bytes, np.asarray])
def test_a_buffer_is_refused_with_the_cause(request_):
    stream = new_stream()
    view = device_view(pattern((16,), "u1"), stream)
    stream.synchronize()
    with capture(stream), pytest.raises(Exception, match="is capturing") as caught:
        request_(view)
    error = caught.value
    assert isinstance(error, dv.DeviceError | BufferError)
    if isinstance(error, BufferError):
        assert isinstance(error.__cause__, dv.DeviceError)
        assert error.__cause__.code == REFUSED
    with memoryview(view) as again:
        assert again.tobytes() == pattern((16,), "u1").tobytes()
    assert view.exports == 0


def test_exports_to_a_consumer_that_captures():
    stream = new_stream()
    view = device_view(pattern((16,), "i4"))
    with capture(stream):
        view.__dlpack__(stream=stream.handle)
        view.__dlpack__(stream=-1)
        view.__dlpack__(stream=stream.handle, max_version=(1, 0))
        assert view.__cuda_array_interface__["data"][0] == view.ptr
    assert view.tolist() == pattern((16,), "i4").tolist()


def test_exports_of_a_view_whose_stream_captures():
    stream = new_stream()
    view = device_view(pattern((16,), "i4"), stream)
    other = dv.Stream(CUDA)
    stream.synchronize()
    with capture(stream):
        view.__dlpack__(stream=stream.handle)
        view.__dlpack__(stream=-1)
        assert view.__cuda_array_interface__["stream"] == stream.handle
        for consumer in (other.handle, 1):
            with pytest.raises((dv.DeviceError, BufferError), match="captur"):
                view.__dlpack__(stream=consumer)
        other.query()  # it did not join
    view.__dlpack__(stream=other.handle)


def test_an_event_of_a_capture_is_not_asked():
    stream = new_stream()
    with capture(stream):
        event = stream.record()
        for ask in (event.query, event.synchronize):
            with pytest.raises(dv.DeviceError, match="captur") as caught:
                ask()
            assert caught.value.name == "cudaErrorCapturedEvent"
        outside = dv.Stream(CUDA)
        with pytest.raises(dv.DeviceError) as caught:
            stream.wait(outside)
        assert caught.value.code == OUTSIDE


def test_a_release_waits_for_the_end_and_gets_its_stream_once():
    stream = new_stream()
    memory = device_view(pattern((16,), "u1"))
    released = []
    with no_gc():
        view = dv.from_pointer(
            memory.ptr, 16, "B", device=CUDA, stream=stream, release=released.append
        )
        view.fill(1, stream=stream)
        stream.synchronize()
        before, errors = dv.memory_info(CUDA), dv.release_errors()
        with capture(stream):
            del view
            assert released == []
            dv.trim()
            assert released == []
        assert released == []
        dv.trim()
        assert [s.handle for s in released] == [stream.handle]
        dv.trim()
        assert len(released) == 1
    assert dv.memory_info(CUDA).live_bytes == before.live_bytes
    assert dv.release_errors() == errors


def test_the_captures_of_other_threads_are_not_disturbed():
    stream = new_stream()
    view = device_view(pattern((1000,), "i4"))
    failures = []

    def work():
        try:
            other = dv.Stream(CUDA)
            assert view.tolist() == pattern((1000,), "i4").tolist()
            with memoryview(view) as m:
                assert m.nbytes == 4000
            view[::2].copy(stream=other).to("cpu", stream=other)
            dv.empty(100, device="pinned")
            dv.empty(100, device="managed")
            other.synchronize()
            assert other.record().query() in (True, False)
            dv.trim()
        except BaseException as error:
            failures.append(error)

    with capture(stream):
        thread = threading.Thread(target=work)
        thread.start()
        thread.join(60)
    assert failures == []
