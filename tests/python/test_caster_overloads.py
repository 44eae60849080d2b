"""devview/pybind11.hpp: which overload takes a view, and why each did not."""

from __future__ import annotations

import gc
import sys
import weakref

import numpy as np
import pytest

import devview as dv
from caster_calls import Producer, refusal
from support import EMULATED, no_gc

pytestmark = pytest.mark.timeout(600)  # one process compiles, the others wait


def test_of_five_overloads_the_first_that_fits_is_taken(caster):
    a = np.ones(3, "f4")
    assert caster.pick(a) == "float32 writable"
    a.flags.writeable = False
    assert caster.pick(a) == "float32"
    assert caster.pick(np.ones((2, 2))) == "float64"
    assert caster.pick(b"abc") == "bytes"


@EMULATED
def test_an_overload_for_a_device_is_found(caster):
    assert caster.pick(dv.empty(3, "f", device="cuda:0")) == "cuda"


def test_an_overload_that_needs_no_copy_comes_first(caster):
    assert caster.prefer(np.ones(3, "f4")) == "float32"
    assert caster.prefer(np.ones(3, "f8")) == "float64"
    assert caster.prefer(np.ones(3, "i2")) == "float32"
    assert caster.prefer(1.5) == "number"
    assert caster.either(np.ones(3)) == "float64"
    assert caster.either(np.ones(3, "i2")) == "copied"


def test_a_refused_view_does_not_hide_a_later_overload(caster):
    # The first overload takes 1 as it is and refuses the view; the second has to convert it.
    assert caster.late(1, np.ones(2)) == "float"
    assert caster.late(1, np.ones(2, "f4")) == "int"


def test_where_no_overload_fits_each_says_why(caster):
    p = Producer(np.ones(3, "i8"))
    lines = refusal(caster.pick, p).splitlines()
    assert lines[0] == "pick(): no overload takes these arguments:"
    assert len(lines) == 6
    assert lines[1] == (
        "    1. (x: devview.View[float32, (any,), host, writable]) -> str: argument 'x' "
        "(Producer): items: float32 wanted, int64 given"
    )
    assert lines[4].endswith("float32 wanted, int64 given; device: cuda wanted, cpu given")
    assert lines[5].endswith("argument 'x' (Producer): items: uint8 wanted, int64 given")
    assert p.calls == 10  # five overloads without conversions, five with
    gc.collect()  # the exception's traceback
    assert sys.getrefcount(p) == 2


def test_what_one_call_was_refused_for_is_not_told_by_the_next(caster):
    assert caster.pick(b"abc") == "bytes"  # four refusals before it
    lines = refusal(caster.pick, "text").splitlines()
    assert len(lines) == 6
    assert all("(str): view: no protocol of 'str'" in line for line in lines[1:])


def test_noconvert_spares_the_second_round(caster):
    p = Producer(np.ones(3, "i8"))
    assert len(refusal(caster.once, p).splitlines()) == 3
    assert p.calls == 2


def test_what_was_refused_is_forgotten_with_the_call(caster):
    p = Producer(np.ones((2, 2)))
    assert caster.pick(p) == "float64"  # two refusals before it
    assert caster.refused() == 0
    assert p.calls == 3
    gone = weakref.ref(p)
    with no_gc():
        del p
        assert gone() is None
    refusal(caster.pick, np.ones(2, "i8"))
    assert caster.refused() == 0
    # Refused by views, taken by an overload of another kind, which cannot tell us: what is kept
    # holds no memory, and goes with the next call.
    live, text = len(dv.live()), memoryview(b"1234")
    for _ in range(5):
        assert caster.view_or_text("text") == "text"
        assert caster.refused() == 2
        assert "incompatible function arguments" in refusal(caster.view_or_text, text)
        assert len(dv.live()) == live
    assert caster.view_or_text(np.ones(2, "f4")) == "float32"
    assert caster.refused() == 0
    text.release()  # no view of it is left
    assert caster.pick(b"abc") == "bytes"
    assert caster.refused() == 0


def test_a_reason_is_told_as_it_was_found(caster):
    """Words are made at the end: of what was seen, not of what the object is by then."""
    shapes = iter([(1,), (2,), (3,), (4,), (5,)] * 2)

    class Changing:
        def __dlpack__(self, **options):
            return np.ones(next(shapes), "i8").reshape(1, -1).__dlpack__(**options)

    lines = refusal(caster.pick, Changing()).splitlines()[1:]
    for size, line in zip((1, 2, 4, 5), (lines[0], lines[1], lines[3], lines[4]), strict=True):
        assert f"axes: 1 wanted, 2 (shape (1, {size})) given" in line
    assert "int64 given" in lines[2]
    assert "axes" not in lines[2]


def test_a_function_called_by_a_producer_has_its_own_refusals(caster):
    class Calling:
        def __dlpack__(self, **options):
            assert len(refusal(caster.pick, np.ones(1, "i2")).splitlines()) == 6
            assert caster.pick(b"abc") == "bytes"
            return np.ones(3, "i8").__dlpack__(**options)

    assert "items: uint8 wanted, int64 given" in refusal(caster.pick, Calling())
    assert caster.refused() == 0


def test_if_the_last_overload_takes_no_view_pybind11_lists_the_signatures(caster):
    said = refusal(caster.view_or_text, np.ones(2, "i8"))
    assert "1. (arg0: devview.View[float32, (any,), host]) -> str" in said
    assert "Invoked with" in said
