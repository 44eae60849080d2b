"""dv.Exporter: the three designs, every spelling, every set of flags."""

from __future__ import annotations

import numpy as np
import pytest

import devview as dv
from exporters import SPELLINGS, Kept, WithoutFlags
from support import FLAG_SETS, FULL, FULL_RO, SIMPLE, WRITABLE, answer, get_buffer, pattern


@pytest.mark.parametrize("cls", SPELLINGS)
def test_consumers_see_the_memory_and_the_exporter(cls):
    x = cls()
    with memoryview(x) as m:
        assert m.obj is x
        assert bytes(m) == b"abcdef"
        m[0] = ord("z")
        with pytest.raises(BufferError):
            x.data.append(0)  # the memory is held
    assert x.data == b"zbcdef"
    x.made.release()  # what the test itself kept
    x.data.append(0)
    assert bytes(x) == b"zbcdef\0"
    assert np.frombuffer(x, "u1").tolist() == list(b"zbcdef\0")
    assert bytearray(b"-").join([x, x]) == b"zbcdef\0-zbcdef\0"


@pytest.mark.parametrize("cls", SPELLINGS)
def test_release_method_gets_the_very_object_once(cls):
    x = cls()
    m = memoryview(x)
    made = x.made
    x.made = None
    assert x.returned == []
    m.release()
    assert len(x.returned) == 1
    assert x.returned[0] is made
    m.release()
    del m
    assert len(x.returned) == 1


@pytest.mark.parametrize("cls", SPELLINGS)
def test_flags_are_those_of_the_consumer(cls):
    x = cls()
    for flags in (SIMPLE, WRITABLE, FULL, FULL_RO):
        get_buffer(x, flags).release()
    expected = [()] * 4 if cls is WithoutFlags else [(SIMPLE,), (WRITABLE,), (FULL,), (FULL_RO,)]
    assert x.given == expected
    assert len(x.returned) == 4


@pytest.mark.parametrize("cls", SPELLINGS)
def test_dv_view_goes_through_the_class(cls):
    x = cls()
    v = dv.view(x)
    assert (v.obj, v.tobytes(), len(x.given)) == (x, b"abcdef", 1)
    w = v[2:]
    v.release()
    assert x.returned == []
    w.release()
    assert x.returned == [x.made]
    with dv.from_buffer(x, format="H") as v:
        assert v.shape == (3,)


@pytest.mark.parametrize("cls", SPELLINGS)
def test_a_changing_answer_does_not_confuse_the_releases(cls):
    x = cls(b"one")
    first = memoryview(x)
    made_first = x.made
    x.data = bytearray(b"second")
    second = memoryview(x)
    made_second = x.made
    x.data = bytearray(b"third")
    assert (bytes(first), bytes(second), bytes(x)) == (b"one", b"second", b"third")
    del x.returned[:]
    second.release()
    assert x.returned[0] is made_second
    first.release()
    assert x.returned[1] is made_first


def test_delegate_answers_in_its_own_name():
    class D(dv.Exporter, owner="delegate"):
        def __init__(self, target):
            self.target = target

        def __buffer__(self, flags):
            return self.target

        def __release_buffer__(self, buffer):
            raise AssertionError("design 1 has no release")

    data = bytearray(b"abc")
    array = dv.view(pattern((3, 4), "i4"))[::2]
    for target, owner in [(data, data), (array, array), (memoryview(data), data)]:
        x = D(target)
        assert memoryview(x).obj is owner
        for flags in FLAG_SETS:
            assert answer(x, flags) == answer(target, flags), f"flags {flags:#x}"
    part = memoryview(data)[1:]
    m = memoryview(D(part))
    assert (m.obj, bytes(m)) == (part, b"bc")
    m = memoryview(D(data))  # the exporter is gone, its delegate is not
    assert bytes(m) == b"abc"
    with pytest.raises(TypeError, match="bytes-like"):
        memoryview(D(7))
    assert dv.view(D(data)).obj is data


def test_owner_is_inherited_and_may_be_changed_back():
    class D(Kept, dv.Exporter, owner="delegate"):
        def __buffer__(self):
            return memoryview(self.data)

    class Below(D):
        pass

    class Back(D, owner="self"):
        pass

    x = Below()
    assert memoryview(x).obj is x.data
    x = Back()
    assert memoryview(x).obj is x
    with pytest.raises(ValueError, match="owner 'me', expected 'self' or 'delegate'"):

        class Wrong(dv.Exporter, owner="me"):
            pass


LAYOUTS = {
    "c": lambda: pattern((3, 4), "i4"),
    "f": lambda: np.asfortranarray(pattern((3, 4), "i4")),
    "strided": lambda: pattern((4, 6), "i4")[::2, 1::3],
    "0-d": lambda: np.array(7, "i4"),
    "empty": lambda: pattern((2, 0, 3), "i4"),
    "read-only": lambda: np.frombuffer(bytes(24), "i4").reshape(2, 3),
}


@pytest.mark.parametrize("wrapped", [memoryview, dv.view])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_flag_set_is_answered_as_memoryview_does(layout, wrapped):
    array = LAYOUTS[layout]()

    class X(dv.Exporter):
        releases = 0
        asked = 0

        def __buffer__(self, flags):
            self.asked += 1
            return wrapped(array)

        def __release_buffer__(self, buffer):
            self.releases += 1

    x, oracle = X(), memoryview(array)
    for flags in FLAG_SETS:
        assert answer(x, flags) == answer(oracle, flags), f"flags {flags:#x}"
    # What was obtained for a refused request was given back too.
    assert x.releases == x.asked == len(FLAG_SETS)
