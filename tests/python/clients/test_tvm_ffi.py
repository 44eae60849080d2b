"""apache-tvm-ffi: tensors by the C exchange API and by capsules, host and CUDA, both ways."""

from __future__ import annotations

import gc

import numpy as np
import pytest

import devview as dv
from clients.consumer import Consumer, ConsumerContract, Lent, filled, nested
from clients.contract import CUDA, Case, Contract, require
from support import no_gc

tvm_ffi = require("tvm_ffi", "apache-tvm-ffi")

FORMATS = {
    "f": [1.5, -2.0, 3.25, 0.0, 5.0, -6.5],
    "d": [0.1, 0.0, 1.0, 2.0, 3.0, 4.0],
    "?": [True, False, False, True, True, False],
    "B": [255, 0, 1, 2, 3, 4],
    "h": [-(2**15), 0, 1, 2, 3, 4],
    "i": [-(2**31), 0, 1, 2, 3, 4],
    "q": [2**63 - 1, 0, 1, 2, 3, 4],
    "e": [0.5, 0.0, 1.0, 2.0, 3.0, 4.0],
}
CUDA_DEVICE_TYPE = 2


class Capsules:
    """What has no exchange table: `__dlpack__` and `__dlpack_device__` of a view."""

    def __init__(self, view: dv.View):
        self.view = view

    def __dlpack__(self, **options):
        return self.view.__dlpack__(**options)

    def __dlpack_device__(self):
        return self.view.__dlpack_device__()


def items(tensor) -> list:
    """Read a tensor: it has no items of its own, NumPy looks at its address."""
    return np.from_dlpack(tensor).tolist()


def by_function(view: dv.View):
    """Hand a view to an FFI function as its argument, and keep the tensor that arrives."""
    arrived = []
    tvm_ffi.convert_func(arrived.append)(view)
    return arrived.pop()


def by_legacy_capsule(view: dv.View):
    return tvm_ffi.from_dlpack(view.__dlpack__())


def by_versioned_capsule(view: dv.View):
    return tvm_ffi.from_dlpack(view.__dlpack__(max_version=(1, 3)))


def consumer(name: str, take, readonly: str) -> Consumer:
    return Consumer(
        name=name,
        take=take,
        address=lambda tensor: tensor.data_ptr(),
        read=items,
        formats=FORMATS,
        write=None,
        readonly=readonly,
    )


class TestExchangeApi(ConsumerContract):
    # tensors have no read-only flag, and tvm-ffi does not look at DLPack's
    consumer = consumer("exchange API", tvm_ffi.from_dlpack, "lost")


class TestFunctionArgument(ConsumerContract):
    consumer = consumer("function argument", by_function, "lost")


class TestObjectWithCapsules(ConsumerContract):
    consumer = consumer("__dlpack__()", lambda v: tvm_ffi.from_dlpack(Capsules(v)), "refused")


class TestLegacyCapsule(ConsumerContract):
    consumer = consumer("legacy capsule", by_legacy_capsule, "refused")


class TestVersionedCapsule(ConsumerContract):
    consumer = consumer("versioned capsule", by_versioned_capsule, "lost")


TAKERS = {
    "exchange API": tvm_ffi.from_dlpack,
    "function argument": by_function,
    "__dlpack__()": lambda v: tvm_ffi.from_dlpack(Capsules(v)),
    "legacy capsule": by_legacy_capsule,
    "versioned capsule": by_versioned_capsule,
}
takers = pytest.mark.parametrize("take", TAKERS.values(), ids=list(TAKERS))


# --- Tensors of views: what they say ---


@takers
def test_a_tensor_says_what_the_view_says(take):
    v = dv.zeros((2, 3, 4), "h")[:, ::-1, ::2]
    tensor = take(v)
    assert tensor.data_ptr() == v.ptr
    assert tensor.shape == v.shape
    assert tensor.strides == tuple(s // 2 for s in v.strides)
    assert str(tensor.dtype) == "int16"
    assert str(tensor.device) == "cpu:0"


@pytest.mark.parametrize(
    ("format", "name"),
    [
        ("T{H:bfloat16:}", "bfloat16"),
        ("T{B:float8_e4m3fn:}", "float8_e4m3fn"),
        ("T{B:float8_e5m2:}", "float8_e5m2"),
        ("T{B:float8_e8m0fnu:}", "float8_e8m0fnu"),
    ],
)
def test_small_floats_keep_their_type(format, name):
    v = dv.zeros((2, 3), format)
    v[1, 2] = 2.0
    tensor = tvm_ffi.from_dlpack(v)
    assert str(tensor.dtype) == name
    back = dv.view(tensor)
    assert (back.format, back.ptr, back[1, 2]) == (v.format, v.ptr, 2.0)


@takers
def test_records_are_refused(take):
    v = dv.zeros(2, "T{i:a:d:b:}")
    with pytest.raises(BufferError, match=r"T\{i:a:d:b:\}"):
        take(v)
    assert v.allocation.exports == 0


def test_alignment_and_density_are_checked_by_the_client():
    v = dv.zeros(64, "f")
    assert tvm_ffi.from_dlpack(v, require_alignment=256).data_ptr() == v.ptr
    with pytest.raises((ValueError, BufferError, RuntimeError)):
        tvm_ffi.from_dlpack(v[1:], require_alignment=256)
    with pytest.raises((ValueError, BufferError, RuntimeError)):
        tvm_ffi.from_dlpack(v[::2], require_contiguous=True)
    gc.collect()
    assert v.allocation.exports == 0


# --- CUDA metadata ---


@takers
def test_a_device_view_keeps_its_device_and_address(take):
    for device in (CUDA, "cuda:0"):
        lent = Lent((2, 3), "f", device)
        with no_gc():
            tensor = take(lent.view)
            assert tensor.data_ptr() == lent.view.ptr
            assert tensor.__dlpack_device__() == (CUDA_DEVICE_TYPE, int(device[-1]))
            assert str(tensor.device) == device
            assert (tensor.shape, tensor.strides) == ((2, 3), (3, 1))
            lent.give_up()
            assert lent.released == []
            del tensor
            assert len(lent.released) == 1


@takers
def test_a_device_tensor_comes_back_as_the_same_memory(take):
    d = dv.view(np.arange(6, dtype="f4").reshape(2, 3)).to(CUDA)
    back = dv.view(take(d[:, ::2]))
    assert (back.device, back.ptr, back.strides) == (CUDA, d.ptr, (12, 8))
    assert back.tolist() == [[0.0, 2.0], [3.0, 5.0]]
    back[1, 1] = -5.0
    assert d[1, 2] == -5.0


def test_pinned_and_managed_views_keep_their_device_type():
    for device, code in (("pinned", 3), ("managed", 13)):
        v = dv.zeros((2, 3), device=device)
        tensor = tvm_ffi.from_dlpack(v)
        assert tensor.__dlpack_device__() == (code, 0)
        back = dv.view(tensor)
        assert (back.device, back.ptr) == (v.device, v.ptr)


# --- Functions: the argument goes in, a View comes out ---


def test_a_function_that_returns_its_argument_gives_a_view_back():
    """A result that is a tensor becomes what the arguments were, by their own exchange table."""
    echo = tvm_ffi.convert_func(lambda x: x)
    for device in ("cpu", CUDA):
        lent = Lent((2, 3), "i", device)
        with no_gc():
            back = echo(lent.view)
            assert type(back) is dv.View
            assert (back.ptr, back.device) == (lent.view.ptr, lent.view.device)
            assert (back.format, back.shape, back.strides) == ("i", (2, 3), (12, 4))
            back.fill(3)
            assert lent.view.tolist() == [[3] * 3] * 2
            lent.give_up()
            assert lent.released == []
            del back
            assert len(lent.released) == 1


def test_a_callback_gets_its_tensors_as_views():
    seen = []

    def callback(x):
        assert type(x) is dv.View
        seen.append((x.device, x.ptr, x.format, x.tolist()))
        x.fill(9.0)

    v = dv.view(np.arange(4, dtype="f4"))
    tvm_ffi.convert_func(callback, tensor_cls=dv.View)(v)
    assert seen == [("cpu", v.ptr, "f", [0.0, 1.0, 2.0, 3.0])]
    assert v.tolist() == [9.0] * 4


def test_what_a_function_raises_arrives_and_nothing_is_kept():
    lent = Lent()

    def callback(x):
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        tvm_ffi.convert_func(callback)(lent.view)
    gc.collect()
    assert lent.exports == 0


def test_a_function_runs_on_the_stream_of_its_device_arguments():
    """tvm-ffi asks the exchange table for the current work stream and sets its own to it."""
    d = dv.zeros(4, device=CUDA)
    seen = []
    device = tvm_ffi.device("cuda", 0)
    tvm_ffi.convert_func(lambda x: seen.append(tvm_ffi.get_raw_stream(device)))(d)
    assert len(seen) == 1
    assert isinstance(seen[0], int)


def test_many_arguments_of_many_devices():
    views = [dv.zeros(i + 1, device=device) for i, device in enumerate(("cpu", CUDA, "pinned"))]
    got = []
    tvm_ffi.convert_func(lambda *xs: got.extend((x.data_ptr(), x.shape) for x in xs))(*views)
    assert got == [(v.ptr, v.shape) for v in views]
    assert [v.allocation.exports for v in views] == [0, 0, 0]


# --- Tensors are viewed ---


def tensor_case(name: str, array, view=dv.view, wrap=None, **more) -> Case:
    def make():
        tensor = tvm_ffi.from_dlpack(array())
        return wrap(tensor) if wrap else tensor

    tensor_of = lambda obj: obj.tensor_seen if wrap else obj  # noqa: E731
    a = array()

    def write(obj, value) -> None:
        np.from_dlpack(tensor_of(obj))[1, 2] = value

    return Case(
        name=name,
        make=make,
        view=view,
        address=lambda obj: tensor_of(obj).data_ptr(),
        read=lambda obj: items(tensor_of(obj)),
        format=more.pop("format"),
        shape=a.shape,
        strides=a.strides,
        index=(1, 2),
        value=-7,
        write=write,
    )


def wrapped(tensor):
    """Give a producer whose type has the exchange table."""
    wrapper = tvm_ffi.core.DLTensorTestWrapper(tensor)
    wrapper.tensor_seen = tensor
    return wrapper


def table(n: int, dtype: str):
    return lambda: np.arange(n * 3, dtype=dtype).reshape(n, 3)


CASES = [
    tensor_case("__dlpack__", table(2, "f4"), format="f"),
    tensor_case("sliced", lambda: np.zeros((4, 9), "i2")[::2, ::-3], format="h"),
    tensor_case("from_dlpack", table(3, "i4"), view=dv.from_dlpack, format="i"),
    tensor_case("exchange API", table(2, "f4"), wrap=wrapped, format="f"),
    tensor_case("exchange API, from_dlpack", table(2, "f8"), dv.from_dlpack, wrapped, format="d"),
]


@pytest.mark.parametrize("case", CASES, ids=str)
class TestTensorIsViewed(Contract):
    def test_the_client_is_given_back_with_the_last_view(self, case):
        """A tensor's export holds what is in it, not the Python object around it."""
        array = np.arange(6, dtype="f4").reshape(2, 3)
        lent = Lent()
        tensor = tvm_ffi.from_dlpack(lent.view)
        with no_gc():
            v = case.view(wrapped(tensor) if "exchange" in case.name else tensor)
            lent.give_up()
            part = v[...]
            del tensor
            v.release()
            del v
            assert lent.released == []
            part.release()
            del part
            assert lent.released == [None]
        del array


def test_a_view_of_a_tensor_of_a_view_has_the_values():
    values = FORMATS["f"]
    lent = filled(TestExchangeApi.consumer, "f")
    v = dv.view(tvm_ffi.from_dlpack(dv.view(tvm_ffi.from_dlpack(lent.view))))
    assert v.ptr == lent.view.ptr
    assert v.tolist() == nested(values)


def test_a_wrapped_device_tensor_is_viewed_on_its_device():
    d = dv.zeros((2, 3), "f", device=CUDA)
    v = dv.view(wrapped(tvm_ffi.from_dlpack(d)))
    assert (v.device, v.ptr) == (CUDA, d.ptr)
    v.fill(4.0)
    assert d.tolist() == [[4.0] * 3] * 2
