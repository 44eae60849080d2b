"""devview/pybind11.hpp: arguments that do not fit, and what the refusals say."""

from __future__ import annotations

import numpy as np
import pytest

import devview as dv
from caster_calls import Producer, refusal
from support import EMULATED

pytestmark = pytest.mark.timeout(600)  # one process compiles, the others wait


@pytest.mark.parametrize(
    ("function", "value", "said"),
    [
        ("total", np.ones((2, 3)), "items: float32 wanted, float64 given"),
        ("total", np.ones((2, 3), ">f4"), "items: float32 wanted, big-endian float32 given"),
        ("total", np.ones((2, 3), "c8"), "items: float32 wanted, complex64 given"),
        ("total", np.ones((2, 3), "?"), "items: float32 wanted, bool given"),
        ("total", np.ones((2, 3), "S2"), "items: float32 wanted, '2s' given"),
        ("total", np.ones(3, "f4"), "axes: 2 wanted, 1 (shape (3,)) given"),
        ("three_by_any", np.ones((2, 3), "i4"), "shape: (3, any) wanted, (2, 3) given"),
        ("address", np.ones((2, 3), "f4"), "device: cuda wanted, cpu given"),
        (
            "in_c",
            np.ones((2, 3), "f4").T,
            "order: C-contiguous wanted, strides (4, 12) of shape (3, 2) given",
        ),
        (
            "in_f",
            np.ones((2, 3), "f4"),
            "order: Fortran-contiguous wanted, strides (12, 4) of shape (2, 3) given",
        ),
        (
            "total",
            np.zeros(25, "u1")[1:].view("f4").reshape(2, 3),
            "alignment: multiples of 4 bytes wanted, data 1 bytes behind one given",
        ),
        (
            "total",
            np.ndarray((2, 2), "f4", np.zeros(64, "u1"), 0, (6, 4)),
            "alignment: multiples of 4 bytes wanted, strides (6, 4) of shape (2, 2) given",
        ),
    ],
)
def test_a_broken_constraint_names_the_argument_the_wish_and_the_fact(
    caster, function, value, said
):
    assert refusal(getattr(caster, function), value) == (
        f"{function}(): argument 'x' (numpy.ndarray): {said}"
    )


def test_read_only_memory_is_refused_where_it_would_be_written(caster):
    assert refusal(caster.scale, bytes(8), 1) == (
        "scale(): argument 'x' (bytes): items: float64 wanted, uint8 given; "
        "access: writable wanted, read-only given"
    )
    a = np.ones(2)
    a.flags.writeable = False
    assert refusal(caster.scale, Producer(a), 1).endswith(
        "argument 'x' (Producer): access: writable wanted, read-only given"
    )


@EMULATED
def test_a_device_is_refused_where_the_host_reads(caster):
    v = dv.empty((2, 3), "f", device="cuda:1")
    assert refusal(caster.total, v) == (
        "total(): argument 'x' (devview.View): device: memory that the host can follow "
        "(cpu, pinned, managed) wanted, cuda:1 given"
    )
    assert "device: cpu wanted, pinned given" in refusal(caster.on_cpu, v.to("pinned"))


@EMULATED
def test_what_a_kernel_can_follow_and_what_lies_in_cuda_memory(caster):
    for device, kernel, own in (
        ("cuda:1", True, True),
        ("managed", True, True),
        ("pinned", True, False),
        ("cpu", False, False),
    ):
        v = dv.empty((2, 3), "f", device=device)
        if kernel:
            caster.on_device(v)
        else:
            assert refusal(caster.on_device, v).endswith(
                "device: memory that kernels can follow (cuda, pinned, managed) wanted, cpu given"
            )
        if own:
            assert caster.address(v) == v.ptr
        else:
            assert refusal(caster.address, v).endswith(f"device: cuda wanted, {device} given")
    assert "x: devview.View[Any, ..., device]" in caster.on_device.__doc__
    moved = caster.converted_to_device(np.ones(3, "f4"))
    assert (moved.device, moved.tolist()) == ("cuda:0", [1, 1, 1])
    pinned = dv.view(np.ones(3, "f4"), device="pinned")
    assert caster.converted_to_device(pinned).ptr == pinned.ptr


def test_suboffsets_are_refused(caster):
    _testbuffer = pytest.importorskip("_testbuffer")
    pointers = _testbuffer.ndarray(
        [1.0] * 6, shape=[2, 3], format="f", flags=_testbuffer.ND_PIL | _testbuffer.ND_WRITABLE
    )
    assert "suboffsets: none wanted, some given" in refusal(caster.total, pointers)


def test_the_argument_is_named_as_in_the_signature(caster):
    x, wrong = np.ones(3, "f4"), np.ones(3)
    for call, name in (
        (lambda: caster.unnamed(1, wrong), "arg1"),
        (lambda: caster.two(wrong, n=1, y=x), "x"),
        (lambda: caster.two(x, n=1, y=wrong), "y"),
        (lambda: caster.two(y=x, x=wrong, n=1), "x"),
        (lambda: caster.rest(1, 2, 3, x=wrong), "x"),
        (lambda: caster.maybe(wrong), "x"),
        (lambda: caster.Sum().add(wrong, x), "y"),
        (lambda: caster.Sum().add(x, wrong), "x"),
    ):
        assert f"(): argument '{name}' (numpy.ndarray): " in refusal(call)


def test_other_objects_are_refused_with_what_each_protocol_said(caster):
    said = refusal(caster.total, 7)
    assert said.startswith("total(): argument 'x' (int): view: no protocol of 'int' can be used: ")
    assert "buffer protocol: not offered" in said
    released = dv.view(b"abc")
    released.release()
    assert "argument 'x' (devview.View): operation forbidden" in refusal(caster.total, released)


def test_an_argument_of_another_kind_is_pybind11s_to_refuse(caster):
    assert "incompatible function arguments" in refusal(caster.scale, np.ones(2), "two")


def test_a_producers_own_error_ends_the_call(caster):
    class Broken:
        def __dlpack__(self, **options):
            raise RuntimeError("the device is on fire")

    with pytest.raises(RuntimeError, match="on fire"):
        caster.total(Broken())
    with pytest.raises(RuntimeError, match="on fire"):
        caster.pick(Broken())


def test_reason_is_of_this_call(caster):
    a = np.zeros((2, 2), "f4")
    assert "axes: 1 wanted" in refusal(caster.view_or_number, a)
    assert caster.view_or_number(3) == 1
    said = refusal(caster.many_rows, 5)
    assert said == "many_rows(): argument 'all' (int): not as the signature says"
    assert "axes: 1 wanted" in refusal(caster.many_rows, [a[0], a])
