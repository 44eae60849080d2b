"""Classes that change while their buffers are out, and delegates that lead back to themselves."""

from __future__ import annotations

import pytest

import devview as dv


def exporter_of(memory, released, *bases):
    class X(dv.Exporter, *bases):
        def __buffer__(self, flags):
            return memoryview(memory)

        def __release_buffer__(self, buffer):
            released.append(buffer.nbytes)

    return X


def delete_getter(x):
    del type(x).__buffer__


def forbid_getter(x):
    type(x).__buffer__ = None


def change_class(x):
    class Empty(dv.Exporter):
        pass

    x.__class__ = Empty


@pytest.mark.parametrize("change", [delete_getter, forbid_getter, change_class])
def test_a_buffer_that_is_out_comes_back_after_the_class_lost_its_getter(change):
    memory = bytearray(b"abc")
    x = exporter_of(memory, [])()
    m = memoryview(x)
    change(x)
    with pytest.raises(TypeError):
        memoryview(x)
    assert bytes(m) == b"abc"
    m.release()
    memory.append(0)  # nothing holds it any more


@pytest.mark.parametrize("names", [["__buffer__"], ["__buffer__", "__release_buffer__"]])
def test_the_buffer_of_a_c_base_is_not_confused_with_one_that_is_out(names):
    memory, released = bytearray(b"ours"), []
    cls = exporter_of(memory, released, bytearray)
    x = cls(b"its own")
    m = memoryview(x)
    for name in names:
        delattr(cls, name)
    own = memoryview(x)
    assert (bytes(m), bytes(own)) == (b"ours", b"its own")
    m.release()
    memory.append(0)
    with pytest.raises(BufferError):
        x.extend(b"more")  # `own` still views it
    assert bytes(own) == b"its own"
    own.release()
    x.extend(b"more")
    assert bytes(x) == b"its ownmore"


def test_release_methods_along_the_bases_run_once_over_a_c_base():
    released = []

    class A(dv.Exporter, bytearray):
        def __release_buffer__(self, buffer):
            released.append("A")

    class B(A):
        def __release_buffer__(self, buffer):
            released.append("B")

    x = B(b"abc")
    with memoryview(x) as m:
        assert bytes(m) == b"abc"
    assert released == ["B"]
    x.append(0)


def test_a_delegate_that_leads_back_to_its_exporter_is_a_recursion_error():
    class Self(dv.Exporter, owner="delegate"):
        def __buffer__(self, flags):
            return self

    with pytest.raises(RecursionError):
        memoryview(Self())


def test_values_without_a_text_are_refused_as_others():
    class Silent(int):
        def __repr__(self):
            raise RuntimeError("no text")

    v = dv.zeros(1, "i")
    for value in (10**5000, Silent(10**10)):
        with pytest.raises(ValueError, match="format 'i'"):
            v[0] = value
    assert v[0] == 0
