"""dv.from_pointer: release exactly once, at the instant the last view goes, with the stream."""

from __future__ import annotations

import ctypes
import gc
import sys
import threading
import weakref

import numpy as np
import pytest

import devview as dv
from support import CUDA_DEVICES, EMULATED, delay, no_gc, pattern

CUDA = CUDA_DEVICES[0]


class Memory:
    """Foreign memory on a device, and the log of its release calls."""

    def __init__(self, device="cpu", nbytes=64):
        self.device = device
        self.nbytes = nbytes
        self.block = dv.zeros(nbytes, device=device)
        self.ptr = self.block.ptr
        self.calls = []

    def release(self, stream):
        self.calls.append(stream)

    def view(self, shape=(16,), format="i", **options):
        options = {"release": self.release, **options}
        return dv.from_pointer(self.ptr, shape, format, device=self.device, **options)


@pytest.fixture(params=["cpu", *CUDA_DEVICES, "pinned", "managed"])
def memory(request):
    made = Memory(request.param)
    yield made
    # pytest holds what a fixture gave until after the ledger was checked.
    made.block = None
    made.calls.clear()


def test_pointer_is_viewed_in_place(memory):
    v = memory.view((4, 4))
    assert v.ptr == memory.ptr
    assert v.device == memory.device
    assert (v.shape, v.strides, v.format) == ((4, 4), (16, 4), "i")
    v[1, 2] = 77
    assert memory.block.cast("i")[6] == 77


def test_release_runs_once_in_the_statement_where_the_last_view_goes(memory):
    with no_gc():
        v = memory.view()
        part, turned = v[2:], v.T
        del v
        assert memory.calls == []
        turned.release()
        assert memory.calls == []
        del part
        assert len(memory.calls) == 1
    gc.collect()
    assert len(memory.calls) == 1


def test_release_runs_once_for_release_then_del(memory):
    v = memory.view()
    v.release()
    assert len(memory.calls) == 1
    v.release()
    del v
    assert len(memory.calls) == 1


def test_release_runs_when_the_last_memoryview_goes(memory):
    with no_gc():
        m = memoryview(memory.view())
        assert memory.calls == []
        m.release()
        assert len(memory.calls) == 1


def test_release_runs_after_a_context_manager(memory):
    with memory.view():
        assert memory.calls == []
    assert len(memory.calls) == 1


def test_release_gets_the_stream_on_devices_and_none_on_the_host(memory):
    memory.view().release()
    (stream,) = memory.calls
    if memory.device == "cpu":
        assert stream is None
    elif memory.device in CUDA_DEVICES:
        assert isinstance(stream, dv.Stream)
        assert stream.device == memory.device
    else:
        assert stream is None or isinstance(stream, dv.Stream)


def test_release_gets_the_stream_that_was_given():
    memory = Memory(CUDA)
    stream = dv.Stream(CUDA)
    memory.view(stream=stream).release()
    assert memory.calls == [stream]


def test_release_on_the_host_gets_none_after_device_copies():
    # The memory was read by a device's stream; the callback is told of no stream, or of one that
    # waits: either way the memory is done with.
    memory = Memory("cpu")
    v = memory.view()
    moved = v.to(CUDA)
    v.release()
    assert len(memory.calls) == 1
    assert moved.tolist() == [0] * 16


@EMULATED
def test_release_stream_waits_for_every_use():
    memory = Memory(CUDA, 4096)
    home, other = dv.Stream(CUDA), dv.Stream(CUDA)
    data = pattern((4096,))
    seen = []

    def release(stream):
        # Ordered after the copy on `other`: what is done on `stream` now comes later.
        seen.append(dv.copy(memory.block, stream=stream).tobytes())

    memory.block = dv.zeros(4096, device=CUDA, stream=home)
    memory.ptr = memory.block.ptr
    with delay(2000):
        v = memory.view((4096,), "B", stream=home, release=release)
        source = dv.copy(data, device=CUDA, stream=other)
        v.copy_from(source, stream=other)
        v.release()
    assert seen == [data.tobytes()]


@pytest.mark.release_errors(1)
@pytest.mark.parametrize("error", [ValueError, KeyError, SystemExit])
def test_release_that_raises_is_told_once_and_the_memory_is_let_go(unraisable, memory, error):
    owner = Memory()
    alive = weakref.ref(owner)

    def release(stream):
        raise error("not my day")

    with no_gc():
        v = memory.view(release=release, owner=owner)
        before = dv.memory_info(memory.device)
        del owner
        v.release()
        now = dv.memory_info(memory.device)
        assert alive() is None
    assert now.foreign_blocks == before.foreign_blocks - 1
    assert [told.type for told in unraisable] == [error]
    assert "release" in unraisable[0].object


@pytest.mark.release_errors(1)
def test_release_that_raises_keeps_the_pending_exception(unraisable):
    def release(stream):
        raise ValueError("from the callback")

    def work():
        v = Memory().view(release=release)  # noqa: F841 the exception takes it down
        raise KeyError("pending")

    with pytest.raises(KeyError, match="pending") as caught:
        work()
    del caught
    gc.collect()
    assert len(unraisable) == 1


def test_release_keeps_the_pending_exception():
    memory = Memory()

    def release(stream):
        try:
            raise ValueError("handled inside")
        except ValueError:
            memory.calls.append(stream)

    def work():
        with memory.view(release=release):
            raise KeyError("pending")

    with pytest.raises(KeyError, match="pending"):
        work()
    assert len(memory.calls) == 1


REFUSED = {
    "negative extent": {"shape": (-1,)},
    "shape wraps": {"shape": (2**62, 2**62)},
    "shape is a string": {"shape": "abc"},
    "shape of floats": {"shape": (1.0,)},
    "65 axes": {"shape": (1,) * 65},
    "unknown format": {"format": "!!"},
    "empty item": {"format": "0s"},
    "format is None": {"format": None},
    "unknown device": {"device": "gpu"},
    "device is None": {"device": None},
    "device is an int": {"device": 0},
    "strides of another length": {"strides": (4, 4)},
    "strides wrap": {"strides": (2**62,)},
    "strides of strings": {"strides": ("4",)},
    "nbytes too small": {"nbytes": 63},
    "nbytes negative": {"nbytes": -1},
    "nbytes of float": {"nbytes": 64.0},
    "negative strides leave nbytes": {"strides": (-4,), "nbytes": 64},
    "null pointer": {"ptr": 0},
    "negative pointer": {"ptr": -8},
    "pointer too large": {"ptr": 2**64},
    "pointer wraps": {"ptr": 2**64 - 8},
    "pointer below zero by strides": {"ptr": 8, "strides": (-8,)},
    "pointer of float": {"ptr": 8.0},
    "stream of text": {"stream": "s"},
    "stream too large": {"stream": 2**64},
}


@pytest.mark.parametrize("case", REFUSED)
@pytest.mark.parametrize("device", ["cpu", CUDA])
def test_release_never_runs_if_from_pointer_refuses(device, case):
    memory, owner = Memory(device), object()
    alive = len(dv.live())
    count = sys.getrefcount(owner)
    arguments = {"ptr": memory.ptr, "shape": (16,), "format": "i", "device": device}
    arguments |= {"owner": owner, "release": memory.release, **REFUSED[case]}
    positional = [arguments.pop(name) for name in ("ptr", "shape", "format")]
    callback_count = sys.getrefcount(memory)
    with pytest.raises((ValueError, TypeError)):
        dv.from_pointer(*positional, **arguments)
    gc.collect()
    assert memory.calls == []
    assert sys.getrefcount(owner) == count + 1  # `arguments` holds it
    assert sys.getrefcount(memory) == callback_count
    assert len(dv.live()) == alive


def test_release_must_be_callable():
    memory = Memory()
    with pytest.raises(TypeError, match="release"):
        memory.view(release=3)


def test_objects_off_the_host_are_refused():
    memory = Memory(CUDA)
    with pytest.raises(dv.FormatError, match="objects"):
        memory.view((8,), "O")
    assert memory.calls == []


def test_cycle_of_view_and_callback_is_collected(memory):
    class Node:
        pass

    calls = []

    def make():
        node = Node()

        def release(stream):
            calls.append(node is not None)

        node.view = memory.view(release=release)
        return weakref.ref(node)

    with no_gc():
        alive = make()
        assert alive() is not None
        assert calls == []
        gc.collect()
        assert alive() is None
    assert calls == [True]


def test_cycle_of_view_and_owner_is_collected():
    class Owner:
        pass

    memory = Memory()
    owner = Owner()
    owner.views = [memory.view(owner=owner), memory.view(owner=owner)]
    owner.parts = [owner.views[0][1:], owner.views[1].T]
    alive = weakref.ref(owner)
    del owner
    gc.collect()
    assert alive() is None
    assert len(memory.calls) == 2


def test_cycle_through_a_memoryview_is_collected():
    class Owner:
        pass

    memory = Memory()
    owner = Owner()
    owner.mv = memoryview(memory.view(owner=owner))
    alive = weakref.ref(owner)
    del owner
    gc.collect()
    assert alive() is None
    assert len(memory.calls) == 1


def test_owner_is_kept_alive_until_the_last_view_goes():
    class Owner:
        pass

    memory, owner = Memory(), Owner()
    alive = weakref.ref(owner)
    with no_gc():
        v = memory.view(owner=owner, release=None)
        assert v.obj is owner
        assert v.allocation.owner is owner
        del owner
        part = v[1:]
        del v
        assert alive() is not None
        del part
        assert alive() is None


def test_owner_lives_while_release_runs():
    class Owner:
        pass

    memory, owner, seen = Memory(), Owner(), []
    alive = weakref.ref(owner)
    v = memory.view(owner=owner, release=lambda stream: seen.append(alive() is not None))
    del owner
    v.release()
    assert seen == [True]
    assert alive() is None


def test_release_may_use_devview_and_drop_others():
    outer, inner = Memory(), Memory()
    held = [inner.view()]

    def release(stream):
        held.clear()
        assert dv.zeros(10).tobytes() == bytes(10)
        outer.calls.append(len(inner.calls))

    outer.view(release=release).release()
    assert outer.calls == [1]


def test_release_may_close_the_same_view_again():
    memory = Memory()

    def release(stream):
        memory.calls.append(v.released)
        v.release()
        with pytest.raises(ValueError, match="released"):
            v.tolist()

    v = memory.view(release=release)
    v.release()
    assert memory.calls == [True]


def test_release_runs_in_the_thread_that_drops():
    memory, threads = Memory(), []
    views = [memory.view(release=lambda stream: threads.append(threading.get_ident()))]
    thread = threading.Thread(target=views.clear)
    thread.start()
    thread.join()
    assert threads == [thread.ident]


def test_nbytes_makes_the_block_larger_than_the_view():
    memory = Memory()
    v = memory.view((4,), nbytes=64)
    assert v.allocation.nbytes == 64
    assert v.nbytes == 16
    assert memory.view((4,)).allocation.nbytes == 16


def test_strides_may_overlap_and_run_backwards():
    memory = Memory(nbytes=64)
    memory.block.cast("i")[:] = np.arange(16, dtype="i4")
    last = dv.from_pointer(memory.ptr + 60, (16,), "i", device="cpu", strides=(-4,), owner=memory)
    assert last.tolist() == list(range(15, -1, -1))
    window = dv.from_pointer(memory.ptr, (4, 4), "i", device="cpu", strides=(4, 4), owner=memory)
    assert window.tolist() == [[i + j for j in range(4)] for i in range(4)]


def test_readonly_pointer_is_not_written():
    memory = Memory()
    v = memory.view(readonly=True)
    assert v.readonly
    with pytest.raises(TypeError, match="read-only"):
        v[0] = 1
    assert not dv.from_pointer(memory.ptr, 4, "B", device="cpu").readonly


def test_empty_view_may_point_nowhere():
    calls = []
    v = dv.from_pointer(0, (0, 3), "i", device="cpu", release=calls.append)
    assert v.tobytes() == b""
    del v
    assert calls == [None]


def test_pointer_memory_is_not_resized_and_is_freed_by_its_release():
    memory = Memory()
    v = memory.view()
    block = v.allocation
    with pytest.raises(BufferError, match="1 view"):
        block.free()
    v.release()
    assert memory.calls == []  # the Allocation object still holds it
    with pytest.raises(BufferError):
        block.resize(128)
    block.free()
    assert len(memory.calls) == 1
    block.free()
    del block
    assert len(memory.calls) == 1


def test_ctypes_memory_is_written_in_place():
    data = (ctypes.c_int * 4)()
    v = dv.from_pointer(ctypes.addressof(data), 4, "i", device="cpu", owner=data)
    v[2] = 9
    assert list(data) == [0, 0, 9, 0]


def test_many_views_release_once_each():
    memory = Memory()
    for _ in range(1000):
        memory.view()
    assert len(memory.calls) == 1000
