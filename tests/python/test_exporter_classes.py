"""Which method of a dv.Exporter class serves: arity, subclasses, later assignments."""

from __future__ import annotations

import abc
import collections.abc
import functools
import sys
import typing

import numpy as np
import pytest

import devview as dv
from exporters import SPELLINGS, Kept, Of2012, Pep688
from support import SIMPLE, get_buffer

# --- Which method serves ---


def test_without_methods_there_is_no_buffer():
    class Empty(dv.Exporter):
        pass

    class Denied(Pep688):
        __buffer__ = None

    for x in (dv.Exporter(), Empty(), Denied()):
        with pytest.raises(TypeError, match="a bytes-like object is required"):
            memoryview(x)
        with pytest.raises(TypeError, match="cannot convert"):
            bytes(x)
        with pytest.raises(dv.ImportRefused, match="buffer protocol: not offered"):
            dv.view(x)
        assert np.asarray(x).dtype == object
        if sys.version_info >= (3, 12):
            assert not isinstance(x, collections.abc.Buffer)
    assert not hasattr(Empty(), "__buffer__")


@pytest.mark.skipif(sys.version_info < (3, 12), reason="missing: collections.abc.Buffer")
@pytest.mark.parametrize("cls", SPELLINGS)
def test_exporters_are_collections_abc_buffers(cls):
    assert isinstance(cls(), collections.abc.Buffer)

    class Both(cls, collections.abc.Buffer):
        pass

    if "__buffer__" in dir(cls):
        x = Both()
        assert memoryview(x).obj is x


@pytest.mark.parametrize("wrong", [42, b"bytes", bytearray(3), None, "text", [1]], ids=repr)
def test_wrong_return_types(wrong):
    class A(dv.Exporter):
        def __buffer__(self, flags):
            return wrong

        def __release_buffer__(self, buffer):
            raise AssertionError("there is nothing to release")

    class B(dv.Exporter):
        def __getbuffer__(self, flags):
            return wrong

    for x, name in ((A(), "__buffer__"), (B(), "__getbuffer__")):
        with pytest.raises(TypeError, match=f"{name} returned a non-memoryview object"):
            get_buffer(x, SIMPLE)
        with pytest.raises(dv.ImportRefused, match="non-memoryview"):
            dv.view(x)


def test_released_memoryview_as_the_answer():
    class X(dv.Exporter):
        returned = 0

        def __buffer__(self):
            with memoryview(b"gone") as m:
                return m

        def __release_buffer__(self, buffer):
            self.returned += 1

    x = X()
    with pytest.raises(ValueError, match="released"):
        get_buffer(x, SIMPLE)
    assert x.returned == 1


def decorated(function):
    @functools.wraps(function)
    def inner(*args, **keywords):
        return function(*args, **keywords)

    return inner


class Callable:
    def __init__(self, function):
        self.function = function

    def __call__(self, *args):
        return self.function(*args)


data = bytearray(b"data")
ARITIES = {
    "self": lambda self: memoryview(data),
    "self, flags": lambda self, flags: memoryview(data),
    "self, flags, /": lambda self, flags, /: memoryview(data),
    "default": lambda self, flags=None: memoryview(data)[: 4 if flags is not None else 0],
    "*args": lambda *args: memoryview(data)[: 4 if len(args) == 2 else 0],
    "keyword only": lambda self, *, more=1: memoryview(data),
    "decorated self": decorated(lambda self: memoryview(data)),
    "decorated self, flags": decorated(lambda self, flags: memoryview(data)),
    "twice decorated": decorated(decorated(lambda self: memoryview(data))),
    "static": staticmethod(lambda flags: memoryview(data)),
    "static without": staticmethod(lambda: memoryview(data)),
    "class": classmethod(lambda cls, flags: memoryview(data)),
    "class without": classmethod(lambda cls: memoryview(data)),
    "partial method": functools.partialmethod(lambda self, a, flags: memoryview(data), 1),
    "partial": staticmethod(functools.partial(lambda a, flags: memoryview(data), 1)),
    "bound method": Callable(lambda flags: memoryview(data)).__call__,
    "callable": Callable(lambda flags: memoryview(data)),
    "builtin": memoryview(data).__getitem__,
    "property": property(lambda self: lambda: memoryview(data)),
}


@pytest.mark.parametrize("name", ["__buffer__", "__getbuffer__"])
@pytest.mark.parametrize("arity", ARITIES)
def test_arity_is_found_for_any_callable(arity, name):
    cls = type(dv.Exporter)("X", (dv.Exporter,), {name: ARITIES[arity]})
    if arity == "builtin":
        with pytest.raises((TypeError, IndexError)):  # it was called, with the flags
            memoryview(cls())
        return
    assert bytes(cls()) == b"data"


def test_type_error_inside_the_method_is_its_own():
    calls = []

    class X(dv.Exporter):
        def __buffer__(self, flags):
            calls.append(flags)
            raise TypeError("__buffer__() takes 1 positional argument but 2 were given")

    class Y(dv.Exporter):
        def __buffer__(self):
            calls.append(None)
            raise TypeError("__buffer__() missing 1 required positional argument: 'flags'")

    for x in (X(), Y()):
        with pytest.raises(TypeError, match=r"__buffer__\(\)"):
            get_buffer(x, SIMPLE)
    assert calls == [0, None]


def test_nearer_class_decides_between_the_spellings():
    class Old(Of2012):
        pass

    class New(Old):
        def __buffer__(self):
            return memoryview(b"new")

    class OldAgain(New):
        def __getbuffer__(self, flags):
            return memoryview(b"old again")

    assert bytes(New()) == b"new"
    assert bytes(OldAgain()) == b"old again"


# --- Subclasses ---


def test_super_reaches_the_parent_on_every_python():
    class Part(Pep688):
        def __buffer__(self, flags):
            return super().__buffer__(flags)[1:3]

        def __release_buffer__(self, buffer):
            super().__release_buffer__(buffer)
            self.last = bytes(buffer)

    x = Part()
    with memoryview(x) as m:
        assert bytes(m) == b"bc"
        assert m.obj is x
    assert x.last == b"bc"
    assert len(x.returned) == 1


def test_super_at_the_top():
    class X(Kept, dv.Exporter):
        def __buffer__(self, flags):
            return self.give(flags)

        def __release_buffer__(self, buffer):
            super().__release_buffer__(buffer)
            with pytest.raises(ValueError, match="released"):
                bytes(buffer)
            with pytest.raises(ValueError, match="already been released"):
                super().__release_buffer__(buffer)
            with pytest.raises(TypeError, match="expected a memoryview"):
                super().__release_buffer__(b"abc")
            self.returned.append(buffer)

    x = X()
    memoryview(x).release()
    assert len(x.returned) == 1

    class Lost(dv.Exporter):
        def __buffer__(self, flags):
            return super().__buffer__(flags)

    with pytest.raises(AttributeError, match="__buffer__"):
        memoryview(Lost())


def test_over_a_c_exporter():
    class Below(dv.Exporter, bytearray):
        released = 0

        def __buffer__(self, flags):
            return super().__buffer__(flags)

        def __release_buffer__(self, buffer):
            self.released += 1
            super().__release_buffer__(buffer)
            with pytest.raises(ValueError, match="released"):
                buffer.tobytes()

    class Plain(dv.Exporter, bytearray):
        pass

    class First(bytearray, dv.Exporter):
        pass

    class Below2012(dv.Exporter, bytearray):
        released = 0

        def __getbuffer__(self, flags):
            return super().__getbuffer__(flags)

        def __releasebuffer__(self, buffer):
            self.released += 1
            super().__releasebuffer__(buffer)

    for cls in (Below, Below2012):
        x = cls(b"hello")
        m = memoryview(x)
        assert bytes(m) == b"hello"
        assert m.obj is x
        with pytest.raises(BufferError):
            x.append(1)
        m.release()
        x.append(1)
        assert x.released == 1
    for cls in (Plain, First):
        x = cls(b"hello")
        with memoryview(x) as m:
            assert m.obj is x
            with pytest.raises(BufferError):
                x.append(1)
        x.append(1)


def test_release_method_alone_over_a_c_exporter():
    class X(dv.Exporter, bytearray):
        def __release_buffer__(self, buffer):
            self.last = buffer
            self.seen = buffer.tobytes()
            super().__release_buffer__(buffer)

    x = X(b"hello")
    with memoryview(x), pytest.raises(BufferError):
        x.clear()
    assert x.seen == b"hello"
    x.clear()
    with pytest.raises(ValueError, match="released"):
        x.last.tobytes()


@pytest.mark.parametrize("slots", [(), ("data", "made", "given"), ("__weakref__",), ("__dict__",)])
def test_slots_and_other_bases(slots):
    def method(self, flags):
        return memoryview(b"slots")

    cls = type(dv.Exporter)("X", (dv.Exporter,), {"__slots__": slots, "__buffer__": method})
    assert bytes(cls()) == b"slots"
    assert hasattr(cls(), "__dict__") == ("__dict__" in slots)
    for other in (int, tuple, list, dict, str, Exception, np.ndarray):
        both = type(dv.Exporter)("Y", (dv.Exporter, other), {"__buffer__": method})
        x = both((1,)) if other is np.ndarray else both()
        assert memoryview(x).tobytes() == b"slots", other


def test_mixes_with_abstract_and_generic_classes():
    item = typing.TypeVar("item")

    class Rows(Pep688, collections.abc.Sequence, typing.Generic[item]):
        def __len__(self):
            return len(self.data)

        def __getitem__(self, index):
            return self.data[index]

    class Unfinished(dv.Exporter):
        @abc.abstractmethod
        def __buffer__(self, flags): ...

    x = Rows()
    assert memoryview(x).obj is x
    assert list(reversed(x)) == list(b"fedcba")
    with pytest.raises(TypeError, match="abstract"):
        Unfinished()


def test_combines_with_another_metaclass():
    class Other(type):
        def __call__(cls):
            x = super().__call__()
            x.by = "other"
            return x

    class Meta(type(dv.Exporter), Other):
        pass

    class X(Pep688, metaclass=Meta):
        pass

    x = X()
    assert x.by == "other"
    assert memoryview(x).obj is x
    X.__buffer__ = lambda self: memoryview(b"late")
    assert memoryview(x).obj is x


# --- Later assignments ---


def test_methods_assigned_later_serve_every_subclass_and_instance():
    class Base(dv.Exporter):
        pass

    class Below(Base):
        pass

    x = Below()
    log = []
    with pytest.raises(TypeError, match="bytes-like"):
        memoryview(x)
    Base.__buffer__ = lambda self: memoryview(b"one")
    assert memoryview(x).obj is x
    Below.__buffer__ = lambda self, flags: memoryview(b"two")
    Below.__release_buffer__ = lambda self, buffer: log.append(bytes(buffer))
    with memoryview(x) as m:
        assert (m.obj, bytes(m)) == (x, b"two")
    assert log == [b"two"]
    Below.__buffer__ = None
    with pytest.raises(TypeError, match="bytes-like"):
        memoryview(x)
    del Below.__buffer__
    with memoryview(x) as m:
        assert (m.obj, bytes(m)) == (x, b"one")
    assert log == [b"two", b"one"]
    del Base.__buffer__
    Base.__getbuffer__ = lambda self, flags: memoryview(b"three")
    assert (memoryview(x).obj, bytes(x)) == (x, b"three")
    del Base.__getbuffer__
    with pytest.raises(TypeError, match="bytes-like"):
        memoryview(x)


def test_bases_assigned_later():
    class X(Kept, dv.Exporter):
        pass

    class Y(X):
        pass

    y = Y()
    Y.__bases__ = (Pep688,)
    assert memoryview(y).obj is y
    Y.__bases__ = (X,)
    with pytest.raises(TypeError, match="bytes-like"):
        memoryview(y)


def test_class_of_an_instance_may_change():
    x = Pep688()
    m = memoryview(x)
    made = x.made
    x.__class__ = Of2012
    assert memoryview(x).obj is x
    assert len(x.returned) == 1
    m.release()  # the new class has no such release method
    assert len(x.returned) == 1
    assert made.tobytes() == b"abcdef"


@pytest.mark.skipif(sys.version_info < (3, 12), reason="missing: PEP 688 in the interpreter (3.12)")
def test_native_pep_688_classes_work_through_dv_view():
    class Native(Kept):
        def __buffer__(self, flags):
            return self.give(flags)

        def __release_buffer__(self, buffer):
            self.returned.append(buffer)

    x = Native()
    v = dv.view(x)
    assert v.tobytes() == b"abcdef"
    assert not x.returned
    v[0] = 1
    assert x.data[0] == 1
    v.release()
    assert x.returned == [x.made]
    assert dv.get_buffer(x, dv.BufferFlags.FULL_RO).tobytes() == b"\1bcdef"

    class Mixed(Native, dv.Exporter):  # a native class below dv.Exporter is one of ours
        pass

    x = Mixed()
    assert memoryview(x).obj is x
