"""What goes wrong in the methods of a dv.Exporter, and what consumers do to its buffers."""

from __future__ import annotations

import pickle
import sys

import pytest

import devview as dv
from exporters import Counting as X
from support import SIMPLE, get_buffer


@pytest.mark.parametrize(
    "error", [KeyError("mine"), BufferError("mine"), KeyboardInterrupt("mine")]
)
def test_exception_of_the_getter_passes(error):
    class Raises(dv.Exporter):
        def __buffer__(self, flags):
            raise error

        def __release_buffer__(self, buffer):
            raise AssertionError("nothing was obtained")

    with pytest.raises(type(error), match="mine"):
        get_buffer(Raises(), SIMPLE)
    with pytest.raises(dv.ImportRefused if type(error) is BufferError else type(error)) as caught:
        dv.view(Raises())
    assert "mine" in str(caught.value)


@pytest.mark.release_errors(3)
def test_exception_of_the_release_is_told_once(unraisable):
    class Raises(X):
        def __release_buffer__(self, buffer):
            raise KeyError("mine")

        def __repr__(self):
            return "<a Raises>"

    x = Raises()
    memoryview(x).release()
    del x.data[:]  # the memory was let go all the same
    dv.view(x).release()
    v = memoryview(x)
    del v
    assert [(told.type, told.message, told.object) for told in unraisable] == [
        (KeyError, "'mine'", "<a Raises>")
    ] * 3


@pytest.mark.release_errors(1)
def test_release_method_of_a_wrong_arity(unraisable):
    class Wrong(X):
        def __release_buffer__(self):
            raise AssertionError

    memoryview(Wrong()).release()
    assert unraisable[0].type is TypeError


def test_pending_exception_survives_the_release():
    seen = []

    class Looks(X):
        def __release_buffer__(self, buffer):
            seen.append(sys.exc_info()[0])
            try:
                raise KeyError
            except KeyError:
                pass

    full = bytearray(8)
    with memoryview(full), pytest.raises(BufferError, match="re-size"):
        full.extend(Looks())  # fails while it holds a buffer of the exporter
    assert len(seen) == 1


def test_instance_without_init():
    x = X.__new__(X)
    with pytest.raises(AttributeError, match="data"):
        memoryview(x)
    x.data = bytearray(b"late")
    x.released = 0
    assert bytes(x) == b"late"


def test_recursion_is_an_error():
    class Self(dv.Exporter):
        def __buffer__(self, flags):
            return memoryview(self)

    class Pair(dv.Exporter):
        def __getbuffer__(self, flags):
            return memoryview(self.other)

    with pytest.raises(RecursionError):
        memoryview(Self())
    a, b = Pair(), Pair()
    a.other, b.other = b, a
    with pytest.raises(RecursionError):
        memoryview(a)


def test_release_that_exports_again():
    class Again(X):
        def __release_buffer__(self, buffer):
            self.released += 1
            if self.released < 5:
                memoryview(self).release()

    x = Again()
    memoryview(x).release()
    assert x.released == 5


def test_method_that_changes_the_class_under_itself():
    class Changes(X):
        def __buffer__(self, flags):
            Changes.__release_buffer__ = lambda self, buffer: self.log.append(bytes(buffer))
            del Changes.__buffer__
            return memoryview(b"mine")

    x = Changes()
    x.log = []
    memoryview(x).release()
    assert x.log == [b"mine"]
    assert bytes(x) == b"abcdef"


def test_release_method_that_keeps_and_releases_the_memoryview():
    class Keeps(X):
        def __release_buffer__(self, buffer):
            self.kept = buffer

    x = Keeps()
    memoryview(x).release()
    assert x.kept.tobytes() == b"abcdef"  # as CPython: the class's own affair
    with pytest.raises(BufferError):
        x.data.append(1)
    x.kept.release()
    x.data.append(1)


def test_py_buffer_released_twice_counts_once():
    x = X()
    request = get_buffer(x, SIMPLE)
    request.release()
    request.released = False
    request.release()
    assert x.released == 1


def test_forged_py_buffer_is_left_alone():
    # bf_releasebuffer must not look behind an `internal` that it did not set.
    x = X()
    request = get_buffer(x, SIMPLE)
    real = request.raw.internal
    request.raw.internal = 0x1
    request.release()
    assert x.released == 0
    again = get_buffer(x, SIMPLE)
    mine, again.raw.internal = again.raw.internal, real
    again.release()
    assert x.released == 1
    assert mine != real
    last = get_buffer(x, SIMPLE)
    last.raw.internal = mine
    last.release()
    assert x.released == 2
    forgotten = get_buffer(x, SIMPLE)
    forgotten.release()


def test_pickling():
    x = X()
    copy = pickle.loads(pickle.dumps(x))
    assert bytes(copy) == b"abcdef"
    x.export = memoryview(x)
    with pytest.raises(TypeError, match="pickle"):
        pickle.dumps(x)
    x.export.release()
    out = []
    pickle.dumps(pickle.PickleBuffer(x), protocol=5, buffer_callback=out.append)
    assert bytes(out[0]) == b"abcdef"
    out[0].release()
