"""The life of dv.Exporter's buffers: many at once, cycles, threads, leaks, the process's end."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import itertools
import sys
import threading
import tracemalloc
import weakref

import pytest

import devview as dv
from exporters import Counting as X
from support import FULL_RO, get_buffer, no_gc, run_clean


def test_many_exports_at_once():
    x = X()
    exports = [memoryview(x) for _ in range(5000)]
    assert all(m.obj is x for m in exports)
    for m in exports[::2]:
        m.release()
    assert x.released == 2500
    gc.collect()
    del exports, m
    assert x.released == 5000
    x.data.append(1)


def test_export_outlives_the_name_and_the_class():
    class Short(X):
        pass

    with no_gc():
        x = Short()
        alive = weakref.ref(x)
        m = memoryview(x)
        del x
        assert alive() is m.obj
        assert bytes(m) == b"abcdef"
        m.release()
        assert alive() is None
    kind = weakref.ref(Short)
    m = memoryview(Short())
    del Short
    gc.collect()
    assert kind() is not None
    m.release()
    gc.collect()
    assert kind() is None


def cyclic(made):
    """Give weak references to a cycle that is garbage when this returns."""
    x = made()
    x.export = memoryview(x)
    return weakref.ref(x)


LOG: list[bytes] = []


class Logs(X):
    log = LOG

    def __release_buffer__(self, buffer):
        # Garbage that is cleared has no attributes any more: it must be told before.
        self.log.append(bytes(self.data))
        buffer.release()


def test_exporter_that_holds_its_own_export_is_collected():
    Logs.log.clear()
    alive = cyclic(Logs)
    gc.collect()
    assert alive() is None
    assert Logs.log == [b"abcdef"]


def test_cycle_through_what_the_method_returned_is_collected():
    class Inner(X):
        pass

    class Outer(dv.Exporter):
        def __init__(self):
            self.inner = Inner()
            self.inner.outer = self

        def __buffer__(self, flags):
            return memoryview(self.inner)

    alive = cyclic(Outer)
    gc.collect()
    assert alive() is None


def test_cycle_through_a_view_is_collected():
    def made():
        x = X()
        x.view = dv.view(x)
        return x

    x = made()
    alive = weakref.ref(x)
    del x
    gc.collect()
    assert alive() is None


def test_living_consumer_keeps_the_cycle():
    Logs.log.clear()
    x = Logs()
    x.me = x
    request = get_buffer(x, FULL_RO)  # a reference that the collector cannot see
    alive = weakref.ref(x)
    del x
    gc.collect()
    assert alive() is not None
    assert Logs.log == []
    request.release()
    gc.collect()
    assert alive() is None
    assert Logs.log == [b"abcdef"]


def test_resurrected_exporter_is_whole():
    kept = []

    class Back(X):
        def __del__(self):
            kept.append(self)

    x = Back()
    x.export = memoryview(x)
    del x
    gc.collect()
    (x,) = kept
    assert bytes(x.export) == b"abcdef"
    assert bytes(x) == b"abcdef"
    before = x.released
    x.export.release()
    assert x.released == before + 1
    x.data.append(0)


def test_garbage_told_early_still_has_its_memory():
    seen = []

    class Late:
        def __del__(self):
            seen.append(bytes(self.export))

    Logs.log.clear()
    x, late = Logs(), Late()
    x.export = memoryview(x)
    x.late, late.export, late.x = late, x.export, x
    del x, late
    gc.collect()
    assert seen == [b"abcdef"]
    assert Logs.log == [b"abcdef"]


def test_release_from_another_thread():
    x = X()
    m = memoryview(x)
    told = []

    class Tells(X):
        def __release_buffer__(self, buffer):
            told.append(threading.get_ident())

    n = memoryview(Tells())
    thread = threading.Thread(target=lambda: (m.release(), n.release()))
    thread.start()
    thread.join()
    assert x.released == 1
    assert told == [thread.ident]


def test_shared_exporter_under_thread_switches():
    x = X(bytes(range(64)))
    lock = threading.Lock()
    counts = [0, 0]

    class Counted(X):
        def __buffer__(self, flags):
            with lock:
                counts[0] += 1
            return memoryview(self.data)

        def __release_buffer__(self, buffer):
            with lock:
                counts[1] += 1

    x = Counted(bytes(range(64)))
    expected = bytes(x)
    wrong = []

    def work():
        for i in range(300):
            m = memoryview(x)
            v = dv.view(x)
            if bytes(m[i % 64 :]) != expected[i % 64 :] or v.tobytes() != expected:
                wrong.append(i)
            m.release()

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert not wrong
    assert counts[0] == counts[1] == 1 + 8 * 300 * 2
    x.data.append(0)


def refused(x):
    with contextlib.suppress(BufferError):
        get_buffer(x, 0x4)  # FORMAT without ND


@pytest.mark.parametrize(
    "use",
    [
        lambda x: memoryview(x).release(),
        lambda x: dv.view(x).release(),
        lambda x: dv.get_buffer(x, 0).release(),
        lambda x: bytes(x),
        refused,
        lambda x: type("Y", (X,), {}),
    ],
    ids=["memoryview", "view", "get_buffer", "bytes", "refused", "class"],
)
def test_nothing_leaks(use):
    x = X()

    def loop(count):
        for _ in range(count):
            use(x)
        gc.collect()

    loop(200)
    references = sys.getrefcount(x)
    tracemalloc.start()
    try:
        traced = []
        for _ in range(4):
            loop(300)
            traced.append(tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()
    assert sys.getrefcount(x) == references
    grown = [after - before for before, after in itertools.pairwise(traced)]
    assert min(grown) < 300, f"{grown} bytes in 300 rounds each"


EXIT = """
class X(dv.Exporter):
    def __init__(self): self.data = bytearray(b'abc'); self.log = []
    def __buffer__(self, flags): return memoryview(self.data)
    def __release_buffer__(self, buffer): self.log.append(len(self.data))
"""


@pytest.mark.parametrize(
    "live",
    [
        "x = X(); m = memoryview(x)",
        "x = X(); v = dv.view(x); w = v[1:]",
        "x = X(); x.m = memoryview(x)",
        "m = memoryview(X()); sys.modules['y'] = type('M', (), {'m': memoryview(X())})()",
        "import builtins; builtins.m = memoryview(X()); a = np.frombuffer(X(), 'u1')",
        "g = dv.get_buffer(X(), 0); d = dv.view(X(), device='cuda')",
    ],
)
def test_interpreter_ends_cleanly_with_live_exports(live):
    assert run_clean(f"{EXIT}\n{live}\nprint('end')") == "end\n"


def test_getbuffer_slot_refuses_null():
    get = ctypes.pythonapi.PyObject_GetBuffer
    before = get.argtypes
    get.argtypes = (ctypes.py_object, ctypes.c_void_p, ctypes.c_int)
    try:
        with pytest.raises(BufferError, match="NULL"):
            get(X(), None, 0)
    finally:
        get.argtypes = before
