"""dv.Stream and dv.Event: order under delay, foreign handles, wrong streams, a missing wait."""

from __future__ import annotations

import pytest

import devview as dv
from support import CUDA_DEVICES, EMULATED, counted_calls, delay, no_gc, pattern, run_clean, settle

CUDA = CUDA_DEVICES[0]
DELAY = 3000  # [us] a stream operation; only order is asserted, never a time


class Foreign:
    """A stream object of another library."""

    def __init__(self, stream, as_attribute=False):
        self.held = stream
        if as_attribute:
            self.__cuda_stream__ = (0, stream.handle)

    def __getattr__(self, name):
        if name == "__cuda_stream__":
            return lambda: (0, self.held.handle)
        raise AttributeError(name)


FORMS = {
    "Stream": lambda s: s,
    "handle": lambda s: s.handle,
    "__cuda_stream__()": Foreign,
    "__cuda_stream__": lambda s: Foreign(s, as_attribute=True),
}


def test_stream_attributes():
    s = dv.Stream(CUDA)
    assert s.device == CUDA
    assert s.handle > 2
    assert s.__cuda_stream__() == (0, s.handle)
    assert s == s
    assert s != dv.Stream(CUDA)
    assert s != s.handle
    assert len({s, s}) == 1
    assert CUDA in repr(s)
    assert s.query()
    s.synchronize()
    assert dv.Stream().device == "cuda:0"


@EMULATED
def test_stream_is_destroyed_with_its_last_user():
    with no_gc():
        streams = dv.emulation.ledger()["streams"]
        s = dv.Stream(CUDA)
        assert dv.emulation.ledger()["streams"] == streams + 1
        v = dv.empty(10, device=CUDA, stream=s)
        del s
        assert dv.emulation.ledger()["streams"] == streams + 1
        del v
        settle()
        assert dv.emulation.ledger()["streams"] == streams


@pytest.mark.parametrize("device", ["cpu", "pinned", "managed"])
def test_only_devices_have_streams(device):
    with pytest.raises((dv.DeviceError, ValueError), match=device):
        dv.Stream(device)


@pytest.mark.parametrize("form", FORMS)
def test_streams_are_taken_in_every_form(form):
    stream = dv.Stream(CUDA)
    given = FORMS[form](stream)
    a = pattern((1000,), "i4")
    v = dv.empty(1000, "i", device=CUDA, stream=given)
    v.copy_from(a, stream=given)
    w = v.copy(stream=given)
    x = v.to("cpu", stream=given)
    with v.stage(stream=given) as m:
        assert m.tobytes() == a.tobytes()
    dv.copyto(w, v, stream=given)
    v.fill(3, stream=given)
    assert w.tobytes() == x.tobytes() == a.tobytes()
    assert v.tolist() == [3] * 1000


@pytest.mark.parametrize("handle", [0, 1, 2])
def test_special_handles_are_legacy_and_per_thread(handle):
    v = dv.zeros(100, device=CUDA, stream=handle)
    v.fill(7, stream=handle)
    assert v.tobytes() == b"\7" * 100
    if handle < 2:
        assert v.stream is None or v.stream.handle == 1


WRONG = {
    "text": "stream",
    "float": 1.5,
    "list": [1],
    "negative": -1,
    "too large": 2**64,
    "object": object(),
    "None handle": type("X", (), {"__cuda_stream__": lambda self: (0, None)})(),
    "no tuple": type("X", (), {"__cuda_stream__": lambda self: 5})(),
    "three": type("X", (), {"__cuda_stream__": lambda self: (0, 1, 2)})(),
}


@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize("use", ["empty", "copy", "to", "fill", "stage", "copyto", "view", "event"])
def test_wrong_streams_are_named(use, wrong):
    v = dv.zeros(4, device=CUDA)
    stream = WRONG[wrong]
    call = {
        "empty": lambda: dv.empty(4, device=CUDA, stream=stream),
        "copy": lambda: v.copy(stream=stream),
        "to": lambda: v.to("cpu", stream=stream),
        "fill": lambda: v.fill(1, stream=stream),
        "stage": lambda: v.stage(stream=stream),
        "copyto": lambda: dv.copyto(v, b"abcd", stream=stream),
        "view": lambda: dv.view(v, stream=stream),
        "event": lambda: dv.Event(stream),
    }[use]
    with pytest.raises((TypeError, ValueError), match="stream"):
        call()
    assert v.tobytes() == bytes(4)


def test_stream_object_that_raises_is_passed_on():
    class Raising:
        def __cuda_stream__(self):
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        dv.zeros(4, device=CUDA, stream=Raising())


@pytest.mark.skipif(len(CUDA_DEVICES) < 2, reason="needs two CUDA devices")
@pytest.mark.parametrize("use", ["empty", "copy", "fill", "stage", "copyto", "to cpu"])
def test_stream_of_another_device_is_refused(use):
    other = dv.Stream("cuda:1")
    v = dv.zeros(4, device="cuda:0")
    call = {
        "empty": lambda: dv.empty(4, device="cuda:0", stream=other),
        "copy": lambda: v.copy(stream=other),
        "fill": lambda: v.fill(1, stream=other),
        "stage": lambda: v.stage(stream=other),
        "copyto": lambda: dv.copyto(v, b"abcd", stream=other),
        "to cpu": lambda: v.to("cpu", stream=other),
    }[use]
    with pytest.raises((dv.DeviceError, ValueError), match="cuda:1") as error:
        call()
    assert "cuda:0" in str(error.value)
    assert v.tobytes() == bytes(4)


# --- Order under delay: correct data, whoever wrote it ---


@EMULATED
def test_work_is_ordered_across_streams():
    a = pattern((64, 64), "i4")
    first, second = dv.Stream(CUDA), dv.Stream(CUDA)
    with delay(DELAY):
        v = dv.empty((64, 64), "i", device=CUDA, stream=first)
        v.copy_from(dv.copy(a, device=CUDA, stream=second), stream=first)
        w = v.T.copy(stream=second)
        v.fill(0, stream=first)
        assert w.tobytes() == a.T.tobytes()
        assert not any(v.tobytes())


@EMULATED
def test_work_is_ordered_across_devices():
    if len(CUDA_DEVICES) < 2:
        pytest.skip("missing: a second CUDA device")
    a = pattern((1000,), "i4")
    with delay(DELAY):
        v = dv.copy(a, device="cuda:0", stream=dv.Stream("cuda:0"))
        w = v.to("cuda:1", stream=dv.Stream("cuda:1"))
        v.fill(0, stream=dv.Stream("cuda:0"))
        x = w[::-1].to("cuda:0")
        w.fill(1, stream=dv.Stream("cuda:1"))
        assert x.tobytes() == a[::-1].tobytes()


@EMULATED
@pytest.mark.parametrize("device", ["pinned", "managed"])
def test_host_reads_of_pinned_and_managed_memory_wait(device):
    a = pattern((1000,), "i4")
    with delay(DELAY):
        source = dv.copy(a, device=CUDA, stream=dv.Stream(CUDA))
        v = dv.zeros(1000, "i", device=device)
        v.copy_from(source, stream=dv.Stream(CUDA))
        assert memoryview(v).tobytes() == a.tobytes()
        w = dv.zeros(1000, "i", device=device)
        w.copy_from(source, stream=dv.Stream(CUDA))
        assert w[999] == a[999]
        w.copy_from(source[::-1], stream=dv.Stream(CUDA))
        assert w.tolist() == a[::-1].tolist()
        w.copy_from(source, stream=dv.Stream(CUDA))
        assert w == a
        w.copy_from(source, stream=dv.Stream(CUDA))
        w[0] = 5
        assert w.tobytes() == a.tobytes().replace(a[:1].tobytes(), b"\5\0\0\0", 1)


@EMULATED
def test_freed_memory_is_not_reused_before_its_last_use():
    a = pattern((10_000,))
    with delay(DELAY):
        results = []
        for _ in range(4):
            v = dv.copy(a, device=CUDA, stream=dv.Stream(CUDA))
            results.append(v.copy(stream=dv.Stream(CUDA)))
            del v  # its bytes are still being read
            junk = dv.empty(10_000, device=CUDA, stream=dv.Stream(CUDA))
            junk.fill(255)
            del junk
        assert [r.tobytes() == a.tobytes() for r in results] == [True] * 4


@EMULATED
def test_write_back_is_ordered_before_later_reads():
    with delay(DELAY):
        v = dv.zeros(1000, device=CUDA, stream=dv.Stream(CUDA))
        with v.stage(writable=True, stream=dv.Stream(CUDA)) as m:
            m[:] = b"\1" * 1000
        assert v.copy(stream=dv.Stream(CUDA)).tobytes() == b"\1" * 1000


@EMULATED
def test_pageable_sources_may_change_after_the_call():
    data = bytearray(b"\1" * 10_000)
    with delay(DELAY):
        v = dv.copy(data, device=CUDA, stream=dv.Stream(CUDA))
        data[:] = bytes(10_000)
        assert v.tobytes() == b"\1" * 10_000


@EMULATED
def test_foreign_handles_may_be_destroyed_after_the_call():
    a = pattern((1000,), "i4")
    with delay(DELAY):
        stream = dv.Stream(CUDA)
        v = dv.empty(1000, "i", device=CUDA, stream=stream.handle)
        v.copy_from(dv.copy(a, device=CUDA), stream=stream.handle)
        stream.synchronize()
        del stream
        again = dv.Stream(CUDA)  # may well get the same handle
        w = v.copy(stream=again)
        assert w.tobytes() == a.tobytes()


MISSING_WAIT = """
a = np.arange(1000, dtype="i4")
first, second = dv.Stream("cuda:0"), dv.Stream("cuda:0")
v = dv.zeros(1000, "i", device="cuda:0")
w = dv.zeros(1000, "i", device="cuda:0")
first.synchronize(); second.synchronize(); v.tobytes(); w.tobytes()
source = dv.copy(a, device="cuda:0"); source.tobytes()
# The same memory under two allocations: devview cannot know that one's use is the other's.
alias = dv.from_pointer(v.ptr, 1000, "i", device="cuda:0", owner=v, stream=second)
dv.emulation.set_delay(10_000)
for _ in range(8):
    v.fill(0, stream=first)
v.copy_from(source, stream=first)
{wait}
w.copy_from(alias, stream=second)
print(w.tobytes() == a.tobytes())
"""


@EMULATED
def test_missing_wait_shows_as_wrong_data():
    # Without the wait the second stream reads while the first is still filling with zeros.
    assert run_clean(MISSING_WAIT.format(wait="second.wait(first)")) == "True\n"
    assert run_clean(MISSING_WAIT.format(wait="second.wait(first.record())")) == "True\n"
    assert run_clean(MISSING_WAIT.format(wait="")) == "False\n"


@EMULATED
def test_streams_used_once_are_not_kept_for_ever():
    v = dv.zeros(10, device=CUDA)
    streams = dv.emulation.ledger()["streams"]
    for _ in range(200):
        v.copy(stream=dv.Stream(CUDA)).tobytes()
    settle()
    assert dv.emulation.ledger()["streams"] < streams + 100


# --- Events ---


@EMULATED
def test_event_is_done_when_the_work_before_it_is():
    stream = dv.Stream(CUDA)
    v = dv.zeros(10, device=CUDA, stream=stream)
    stream.synchronize()
    with delay(50_000):
        v.fill(1, stream=stream)
        event = stream.record()
        assert not event.query()
        assert not stream.query()
        event.synchronize()
        assert event.query()
    stream.synchronize()
    assert stream.query()


def test_event_measures_time():
    stream = dv.Stream(CUDA)
    v = dv.zeros(1 << 16, device=CUDA, stream=stream)
    start = stream.record()
    for _ in range(20):
        v.fill(1, stream=stream)
    stop = dv.Event(stream)
    stop.synchronize()
    assert start.elapsed(stop) >= 0
    assert start.device == CUDA
    with pytest.raises(TypeError):
        start.elapsed(3)


def test_event_of_the_default_stream():
    event = dv.Event()
    event.synchronize()
    assert event.query()
    assert event.device == "cuda:0"


@EMULATED
def test_stream_waits_for_events_and_streams_without_the_host():
    first, second = dv.Stream(CUDA), dv.Stream(CUDA)
    with counted_calls() as calls:
        second.wait(first)
        second.wait(first.record())
        second.wait(first.handle)
    assert calls["cudaStreamWaitEvent"] == 3
    assert not calls["cudaStreamSynchronize"] + calls["cudaEventSynchronize"]
    with pytest.raises(TypeError, match="stream"):
        second.wait("first")


@pytest.mark.skipif(len(CUDA_DEVICES) < 2, reason="needs two CUDA devices")
def test_stream_waits_for_a_stream_of_another_device():
    first, second = dv.Stream("cuda:0"), dv.Stream("cuda:1")
    second.wait(first)
    second.wait(dv.Event(first))
    second.synchronize()


def test_view_carries_the_stream_it_was_given():
    stream = dv.Stream(CUDA)
    v = dv.view(dv.zeros(10, device=CUDA), stream=stream)
    assert v.stream == stream
    assert v[1:].stream == stream
    assert v.T.stream == stream
    assert dv.zeros(3).stream is None


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("shared", ["pinned", "managed"])
@pytest.mark.parametrize("device", CUDA_DEVICES)
def test_copies_of_shared_memory_take_streams_of_the_device(device, shared, form):
    s = dv.Stream(device)
    stream = FORMS[form](s)
    v = dv.view(bytes(range(64))).to(device)
    w = v.to(shared, stream=stream)
    assert w.tolist() == v.tolist()
    dv.empty(64, device=shared).copy_from(v, stream=stream)
    v.copy_to(w, stream=stream)
    dv.copyto(w, v, stream=stream)
    dv.copyto(v, w, stream=stream)
    assert dv.copy(v, device=shared, stream=stream).tolist() == v.tolist()
