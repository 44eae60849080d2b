"""devview/pybind11.hpp: views as arguments of C++ functions, and what refusals say."""

from __future__ import annotations

import array
import gc
import sys
import threading
import weakref

import numpy as np
import pytest

import devview as dv
from extension import built
from support import COPIES, EMULATED, counted_calls, no_gc

pytestmark = pytest.mark.timeout(600)  # one process compiles, the others wait


@pytest.fixture(scope="module")
def caster(tmp_path_factory):
    return built(tmp_path_factory, "caster")


class Producer:
    """A DLPack producer by another name than NumPy's, which counts its calls."""

    def __init__(self, array):
        self.array = array
        self.calls = 0

    def __dlpack__(self, **options):
        self.calls += 1
        return self.array.__dlpack__(**options)

    def __dlpack_device__(self):
        return self.array.__dlpack_device__()


class Described:
    def __init__(self, array):
        self.array = array
        self.__array_interface__ = array.__array_interface__


def refusal(function, *args, **options) -> str:
    with pytest.raises(TypeError) as raised:
        function(*args, **options)
    return str(raised.value)


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


# --- What does not fit ---


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


# --- Overloads ---


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


def test_reason_is_of_this_call(caster):
    a = np.zeros((2, 2), "f4")
    assert "axes: 1 wanted" in refusal(caster.view_or_number, a)
    assert caster.view_or_number(3) == 1
    said = refusal(caster.many_rows, 5)
    assert said == "many_rows(): argument 'all' (int): not as the signature says"
    assert "axes: 1 wanted" in refusal(caster.many_rows, [a[0], a])


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
