"""devview/pybind11.hpp: views as arguments of C++ functions, and copies where they are allowed."""

from __future__ import annotations

import array
import gc
import sys
import threading

import numpy as np
import pytest

import devview as dv
from caster_calls import Producer, refusal
from extension import built
from support import COPIES, EMULATED, counted_calls

pytestmark = pytest.mark.timeout(600)  # one process compiles, the others wait


class Described:
    def __init__(self, array):
        self.array = array
        self.__array_interface__ = array.__array_interface__


# --- What comes in ---


@pytest.mark.parametrize(
    "make",
    [
        lambda a: a,
        dv.view,
        memoryview,
        Producer,
        Described,
        lambda a: array.array("f", a.ravel().tolist()),
        lambda a: np.asfortranarray(a),
        lambda a: np.repeat(a, 2, axis=1)[:, ::2],
    ],
    ids=["ndarray", "View", "memoryview", "dlpack", "interface", "array", "fortran", "strided"],
)
def test_any_protocol_comes_in_and_shares_its_memory(caster, make):
    a = np.arange(6, dtype="f4").reshape(2, 3)
    given = make(a)
    got = caster.same(given)
    expected = dv.view(given)
    assert type(got) is dv.View
    assert (got.ptr, got.shape, got.strides) == (expected.ptr, expected.shape, expected.strides)
    assert (got.format, got.readonly) == (expected.format, expected.readonly)
    if got.ndim == 2:
        assert caster.total(given) == 15


def test_bytes_and_tvm_tensors_come_in(caster):
    assert caster.same(b"abc").tobytes() == b"abc"
    tvm_ffi = pytest.importorskip("tvm_ffi")
    a = np.ones((2, 2), "f4")
    assert caster.total(tvm_ffi.from_dlpack(a)) == 4


@EMULATED
@pytest.mark.parametrize("device", ["cuda:0", "cuda:1", "pinned", "managed"])
def test_device_arrays_come_in_where_they_are(caster, device):
    v = dv.view(np.ones((2, 3), "f4"), device=device)
    assert caster.device(v) == device

    class Interface:
        @property
        def __cuda_array_interface__(self):
            return v.__cuda_array_interface__

    assert caster.same(Interface()).ptr == v.ptr
    if device in ("cuda:0", "managed"):
        assert caster.address(v) == v.ptr
    else:
        expected = "axes" if device == "cuda:1" else "device: cuda wanted, pinned given"
        assert expected in refusal(caster.address, v[0] if device == "cuda:1" else v)


def test_typed_access_reads_and_writes(caster):
    a = np.arange(6, dtype="f8")
    caster.scale(a[::-2], 10)
    assert a.tolist() == [0, 10, 2, 30, 4, 50]
    records = np.array([(2.5, -1)], [("mass", "f4"), ("charge", "i4")])
    assert caster.mass(records) == 2.5


def test_arguments_of_every_kind_find_their_view(caster):
    x = np.ones(3, "f4")
    assert caster.two(x, n=2, y=x) == 8
    assert caster.rest(1, 2, x=x) == 5
    assert caster.maybe() == caster.maybe(None) == -1
    assert caster.maybe(x) == 3
    assert caster.many([x, b"ab", dv.view(x)]) == 3
    assert caster.Sum().add(np.ones(2), np.ones(2)) == 4


def test_the_argument_is_let_go_after_the_call(caster):
    a = np.ones((2, 3), "f4")
    p = Producer(a)
    before = sys.getrefcount(a)
    caster.total(p)
    caster.total(a)
    refusal(caster.scale, a, 2)
    assert (sys.getrefcount(a), p.calls) == (before + 1, 1)
    data = bytearray(8)
    caster.same(data).release()
    data.append(0)  # no buffer of it is exported


def test_constructors_and_members_take_views(caster):
    a, b = np.ones(3, "f4"), bytearray(2)
    before = sys.getrefcount(a)
    holder = caster.Holder(a)
    assert holder.view.ptr == a.ctypes.data
    assert refusal(caster.Holder, b) == (
        "__init__(): argument 'arg0' (bytearray): items: float32 wanted, uint8 given"
    )
    holder.view = b
    assert (holder.view.shape, sys.getrefcount(a)) == ((2,), before)
    del holder
    b.append(0)  # no buffer of it is exported


def test_docstrings_tell_the_constraints(caster):
    for function, told in (
        (caster.same, "same(x: devview.View) -> devview.View"),
        (caster.total, "total(x: devview.View[float32, (any, any), host])"),
        (caster.scale, "scale(x: devview.View[float64, (any,), host, writable], factor: "),
        (caster.three_by_any, "three_by_any(x: devview.View[int32, (3, any), cpu])"),
        (caster.address, "address(x: devview.View[float32, (any, any), cuda])"),
        (caster.on_cpu, "on_cpu(x: devview.View[Any, ..., cpu]) -> None"),
        (caster.in_c, "in_c(x: devview.View[float32, (any, any), C]) -> None"),
        (caster.in_f, "in_f(x: devview.View[float32, (any, any), F]) -> None"),
        (caster.mass, "mass(x: devview.View[record, (any,), host])"),
        (caster.numpy, "numpy(arg0: devview.View) -> numpy.ndarray"),
    ):
        assert function.__doc__.startswith(told)


# --- Copies, where the function allows them ---


def test_converted_copies_only_what_does_not_fit(caster):
    a = np.arange(3, dtype="f4")
    assert caster.converted(a).ptr == a.ctypes.data
    for other in (a.astype("f8"), a.astype("i2"), np.repeat(a, 2)[::2], a.astype(">f4")):
        got = caster.converted(other)
        assert got.ptr != other.ctypes.data
        assert (got.tolist(), got.format, got.c_contiguous) == ([0, 1, 2], "f", True)
        assert "wanted" in refusal(caster.unconverted, other)
    assert caster.unconverted(a).ptr == a.ctypes.data


def test_converted_refuses_what_a_copy_does_not_help(caster):
    said = refusal(caster.converted, np.ones((2, 2)))
    assert said.endswith("axes: 1 wanted, 2 (shape (2, 2)) given")
    said = refusal(caster.converted, np.ones(2, "c16"))
    assert "argument 'x' (numpy.ndarray): conversion: " in said


def test_converted_keeps_any_format_and_takes_fortran_order(caster):
    a = np.arange(6, dtype="i2").reshape(2, 3)
    got = caster.converted_f(a)
    assert (got.format, got.strides, got.tolist()) == ("h", (2, 4), a.tolist())


@EMULATED
def test_converted_brings_a_device_to_the_host(caster):
    v = dv.view(np.arange(3, dtype="f4"), device="cuda:1")
    got = caster.converted(v)
    assert (str(got.device), got.tolist()) == ("cpu", [0, 1, 2])


@EMULATED
def test_converted_copies_nothing_that_it_would_refuse(caster):
    v = dv.zeros((2, 2), "d", device="cuda:1")
    with counted_calls() as calls:
        assert "axes: 1 wanted, 2" in refusal(caster.converted, v)
    assert not [call for call in calls if call in COPIES or call == "cudaLaunchKernel"]


@EMULATED
def test_converted_is_an_implicit_transfer(caster):
    v = dv.view(np.arange(3, dtype="f4"), device="cuda:1")
    with dv.transfer_guard("forbid"):
        said = refusal(caster.converted, v)
        assert caster.converted(v.to("cpu")).tolist() == [0, 1, 2]
    assert "argument 'x' (devview.View): conversion of an argument: implicit copy of 12" in said
    assert caster.converted(v).tolist() == [0, 1, 2]


# --- Threads ---


def test_threads_call_at_once_and_each_is_told_its_own(caster):
    before = len(dv.live())
    wrong = []

    def work(n):
        a = np.full(n, n, "f4")
        p, matrix = Producer(a), np.ones((n, n))
        for _ in range(100):
            ok = (
                caster.unlocked(a) == caster.unlocked(p) == n * n
                and caster.pick(p) == "float32 writable"
                and caster.pick(matrix) == "float64"
                and caster.converted(np.full(n, n, "i2")).tolist() == [n] * n
                and f"1 wanted, 2 (shape ({n}, {n})) given" in refusal(caster.unlocked, matrix)
                and f"shape ({n}, 1, {n})" in refusal(caster.pick, np.ones((n, 1, n)))
                and caster.refused() == 0
            )
            if not ok:
                wrong.append(n)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(2, 10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    gc.collect()
    assert len(dv.live()) == before


@EMULATED
def test_threads_pass_memory_of_a_device(caster):
    before = len(dv.live())
    done = []

    def work(n):
        device = f"cuda:{n % 2}"
        for _ in range(20):
            v = dv.zeros((2, n), "f", device=device)
            got = caster.same(v)
            assert caster.address(got) == v.ptr
            assert f"{device} given" in refusal(caster.unlocked, v[0])
            w = caster.converted(v[0])
            caster.keep(got)  # another thread's may be dropped
            del v, got
            assert w.tolist() == [0] * n
        done.append(n)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(1, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(done) == [1, 2, 3, 4]
    caster.drop()
    gc.collect()
    assert len(dv.live()) == before


# --- Compiled as C++17 ---


def test_as_cpp17_pybind11_lists_the_signatures(tmp_path_factory):
    plain = built(tmp_path_factory, "caster_plain", standard=17)
    assert plain.total(np.ones(3, "f4")) == 3
    assert plain.pick(np.ones(3)) == "float64"
    assert plain.vector().tolist() == [1, 2]
    p = Producer(np.ones(3))
    said = refusal(plain.total, p)
    assert "1. (x: devview.View[float32, (any,), host]) -> float" in said
    assert p.calls == 1
