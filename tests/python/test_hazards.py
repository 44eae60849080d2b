"""User code and other threads in the middle of an operation: nothing dangles, nothing is lost."""

import collections
import ctypes
import gc
import sys
import threading
import time
import weakref

import numpy as np
import pytest

import devview as dv
from support import TWO_DEVICES, run_clean

CUDA = "cuda:0"


class Counted:
    """An object whose references can be counted."""


def test_staging_is_not_released_under_a_waiting_thread():
    dv.emulation.set_delay(100_000)
    try:
        staging = dv.zeros(1 << 16, device=CUDA).stage()
        waiter = threading.Thread(target=staging.wait)
        waiter.start()
        time.sleep(0.02)
        with pytest.raises(BufferError, match="another thread waits"):
            staging.release()
        waiter.join()
        staging.release()
        assert staging.released
    finally:
        dv.emulation.set_delay(0)


def test_freeing_imported_memory_in_threads_keeps_the_heap_sound():
    def work():
        for _ in range(500):
            view = dv.view(bytearray(8))
            allocation = view.allocation
            view.release()
            allocation.free()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_refused_record_keeps_the_references_it_has():
    old, new = Counted(), Counted()
    array = np.zeros(2, dtype=[("a", "O"), ("b", "i8")])
    array["a"][0] = old
    view = dv.view(array)
    counts = sys.getrefcount(old), sys.getrefcount(new)
    with pytest.raises(TypeError):
        view[0] = (new, "no number")
    assert (sys.getrefcount(old), sys.getrefcount(new)) == counts
    assert array["a"][0] is old
    view[0] = (new, 7)
    assert (sys.getrefcount(old), sys.getrefcount(new)) == (counts[0] - 1, counts[1] + 1)
    assert view[0] == (new, 7)
    view.release()


def test_collection_while_an_allocation_object_is_made():
    class Bomb:
        def __init__(self, action):
            self.me, self.action = self, action

        def __del__(self):
            self.action()

    threshold = gc.get_threshold()
    for attribute in ("release", "allocation"):
        view = dv.empty(64)
        Bomb(
            (lambda v, a: lambda: v.release() if a == "release" else v.allocation)(view, attribute)
        )
        gc.set_threshold(1)
        try:
            view.allocation  # noqa: B018
        except ValueError:
            assert view.released
        finally:
            gc.set_threshold(*threshold)
        gc.collect()
        view.release()
    del view


def test_weakref_callback_does_not_revive_a_dying_allocation():
    saved = []
    view = dv.empty(64)
    part = view.cast("b")  # a slice would keep the Allocation object
    allocation = view.allocation
    reference = weakref.ref(allocation, lambda _: saved.append(part.allocation))
    del view, allocation
    others = [dv.empty(8).allocation for _ in range(3)]
    assert reference() is None
    assert [a.nbytes for a in saved] == [64]
    assert all(saved[0] is not other for other in others)


def test_objects_are_not_read_as_other_items():
    array = np.empty(3, dtype=[("a", "O"), ("b", "l")])
    with pytest.raises(dv.FormatError, match="Python objects"):
        dv.view(array).cast("T{q:a:O:b:}")
    with pytest.raises(dv.FormatError, match="Python objects"):
        dv.from_buffer(np.empty(3, dtype=object), shape=(2,), strides=(4,))


def test_staging_of_host_views_answers_requests_as_the_view_does():
    testbuffer = pytest.importorskip("_testbuffer")
    ndarray = testbuffer.ndarray
    pointers = ndarray(list(range(12)), shape=[3, 4], format="B", flags=testbuffer.ND_PIL)
    view = dv.view(pointers)
    with view.stage() as memory:
        assert memory.tolist() == view.tolist() == pointers.tolist()
    assert view[:, 1].count(5) == 1
    with pytest.raises(dv.LayoutError, match="suboffsets"):
        dv.from_buffer(pointers, shape=(12,))
    staging = dv.view(bytearray(16))[::2].stage()
    with pytest.raises(BufferError, match="C-contiguous"):
        ndarray(staging, getbuf=testbuffer.PyBUF_C_CONTIGUOUS)
    staging.release()


def test_chain_of_views_of_memoryviews_is_dropped_without_recursion():
    run_clean(
        """
        v = dv.view(bytearray(1))
        for _ in range(100_000):
            v = dv.view(memoryview(v))
        del v
        """
    )


@pytest.mark.parametrize(
    "call",
    [
        lambda v: v.transpose(foo=(0, 1)),
        lambda v: v.transpose(0, 1, axes=None),
        lambda v: v.reshape(bogus=(3, 2)),
        lambda v: v.reshape(3, 2, order="F"),
        lambda v: v.to(None),
    ],
    ids=["transpose name", "transpose both", "reshape name", "reshape order", "to None"],
)
def test_arguments_that_do_not_exist_are_refused(call):
    with pytest.raises(TypeError):
        call(dv.view(bytearray(6)).reshape(2, 3))


def test_views_in_a_cycle_serve_the_last_words_of_their_users():
    words = []

    class User:
        def __init__(self, view):
            self.me, self.view = self, view

        def __del__(self):
            words.append(self.view[0])

    User(dv.view(bytearray(b"\x07")))
    gc.collect()
    assert words == [7]


@TWO_DEVICES
def test_stream_of_another_device_is_refused_and_host_memory_has_none():
    stream = dv.Stream("cuda:0")
    with pytest.raises(dv.DeviceError, match=r"cuda:0.*cuda:1"):
        dv.from_pointer(4096, 1, "B", device="cuda:1", stream=stream)
    with pytest.raises(dv.DeviceError):
        dv.from_pointer(4096, 1, "B", device="cuda:99")
    streams, cell = [], bytearray(1)
    address = dv.view(cell).ptr
    dv.from_pointer(address, 1, "B", device="cpu", stream=stream, release=streams.append).release()
    assert streams == [None]


def test_hash_of_a_view_of_changing_memory_is_refused():
    with pytest.raises(TypeError):
        hash(dv.view(bytearray(b"a")).toreadonly())


def test_trace_tells_where_every_allocation_was_made():
    dv.trace(True)
    try:
        block = dv.Allocation(8)
        views = [dv.view(bytearray(1)), dv.empty(1), dv.zeros(1).copy()]
        rows = dv.live()[-4:]
        assert all("test_hazards.py:" in row.made_at for row in rows)
        block.free()
        del views
    finally:
        dv.trace(False)


@pytest.fixture
def first_read(monkeypatch):
    """Run code inside the first reading of a record's format, where its named tuple is made."""

    def install(action):
        def namedtuple(*args, **kwargs):
            monkeypatch.undo()
            action()
            return collections.namedtuple(*args, **kwargs)

        monkeypatch.setattr(collections, "namedtuple", namedtuple)

    return install


@pytest.mark.parametrize(
    "read",
    [lambda v: v[0], lambda v: v[0, 0], lambda v: next(iter(v))],
    ids=["item", "tuple", "iterator"],
)
def test_a_record_is_whole_though_its_reading_releases_the_view(first_read, read, request):
    cells = (ctypes.c_int * 2)(1, 2)
    name = request.node.callspec.id  # a format that was never read
    shape = (1, 1) if name == "tuple" else (1,)
    v = dv.from_pointer(
        ctypes.addressof(cells),
        shape,
        f"T{{i:a_{name}:i:b:}}",
        device="cpu",
        owner=cells,
        release=lambda stream: ctypes.memset(cells, 0xFF, 8),
    )
    first_read(v.release)
    assert read(v) == (1, 2)
    assert v.released
    assert list(cells) == [-1, -1]


def test_an_iterator_over_device_memory_may_be_advanced_while_it_reads(first_read):
    host = dv.zeros(64, "T{q:number:100000s:text_of_an_iterator:}")
    for i in range(64):
        host["number"][i] = i
    device = host.to(CUDA)
    items = iter(device)
    inner = []
    first_read(lambda: inner.extend(next(items).number for _ in range(40)))
    assert next(items).number == 0
    assert inner == list(range(1, 41))
    assert next(items).number == 41


def test_an_iterator_may_be_exhausted_while_it_reads(first_read):
    items = iter(dv.zeros(1, "T{i:exhausted:}"))
    first_read(lambda: list(items))
    assert next(items) == (0,)
    assert list(items) == []
