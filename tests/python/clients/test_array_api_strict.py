"""array-api-strict: the letter of the standard, its devices included."""

from __future__ import annotations

import gc
import sys

import numpy as np
import pytest

import devview as dv
from clients.consumer import Consumer, ConsumerContract
from clients.contract import CUDA, Case, Contract, require

xp = require("array_api_strict", "array-api-strict")

# Its devices are names: in DLPack all of them are the host.
DEVICES = [str(d).partition("('")[2].rstrip("')") for d in xp.__array_namespace_info__().devices()]
FORMATS = {
    "f": [1.5, -2.0, 3.25, 0.0, 5.0, -6.5],
    "d": [0.1, 0.0, 1.0, 2.0, 3.0, 4.0],
    "?": [True, False, False, True, True, False],
    "b": [-128, 0, 1, 2, 3, 127],
    "H": [2**16 - 1, 0, 1, 2, 3, 4],
    "i": [-(2**31), 0, 1, 2, 3, 4],
    "Q": [2**64 - 1, 0, 1, 2, 3, 4],
    "Zf": [1 - 2j, 0j, 1j, 2j, 3j, 4j],
}


def set_item(array, value) -> None:
    array[1, 2] = value


def ndarray_of(array) -> np.ndarray:
    return array._array  # an ndarray, around which the standard's methods are put


class TestStrictTakesViews(ConsumerContract):
    consumer = Consumer(
        name="array_api_strict.from_dlpack",
        take=xp.from_dlpack,
        address=lambda a: ndarray_of(a).ctypes.data,
        read=lambda a: ndarray_of(a).tolist(),
        formats=FORMATS,
        write=set_item,
        readonly="kept",
        is_readonly=lambda a: not ndarray_of(a).flags.writeable,
    )


def test_there_is_more_than_one_device():
    assert DEVICES[:3] == ["CPU_DEVICE", "device1", "device2"]


@pytest.mark.parametrize("name", DEVICES[:3])
def test_a_view_is_taken_to_each_device(name):
    v = dv.zeros((2, 3), "f")
    array = xp.from_dlpack(v, device=xp.Device(name), copy=False)
    assert array.device == xp.Device(name)
    assert ndarray_of(array).ctypes.data == v.ptr
    array[1, 2] = 5.0
    assert v[1, 2] == 5.0


@pytest.mark.parametrize("name", DEVICES)
def test_an_array_of_each_device_is_a_host_view(name):
    array = xp.asarray([1, 2, 3], dtype=xp.int32, device=xp.Device(name))
    # From 3.12 on an array has a buffer; one that is not on the CPU raises a RuntimeError there,
    # which ends dv.view's import.
    refused = sys.version_info >= (3, 12) and name != "CPU_DEVICE"
    for view in (dv.from_dlpack,) if refused else (dv.view, dv.from_dlpack):
        v = view(array)
        assert (v.device, v.format, v.shape) == ("cpu", "i", (3,))
        assert v.ptr == ndarray_of(array).ctypes.data
        v[0] = 7
        assert int(array[0]) == 7
        array[0] = 1
        assert v[0] == 1


def test_copy_is_answered_as_the_standard_has_it():
    v = dv.zeros(4, "f")
    array = xp.from_dlpack(v, copy=True)
    v.fill(1.0)
    assert ndarray_of(array).tolist() == [0.0] * 4
    array[0] = 2.0  # a copy belongs to who asked for it
    assert v.tolist() == [1.0] * 4
    assert ndarray_of(xp.from_dlpack(v, copy=False)).ctypes.data == v.ptr


def test_a_device_view_is_refused():
    """It asks for no device of DLPack's, and cannot hold one."""
    d = dv.zeros(4, "f", device=CUDA)
    with pytest.raises((BufferError, RuntimeError, ValueError)):
        xp.from_dlpack(d)
    gc.collect()
    assert d.allocation.exports == 0


def strict_case(name: str, make, format: str, **more) -> Case:
    a = make()
    return Case(
        name=name,
        make=make,
        address=lambda array: ndarray_of(array).ctypes.data,
        read=lambda array: ndarray_of(array).tolist(),
        format=format,
        shape=a.shape,
        strides=ndarray_of(a).strides,
        index=(1, 2),
        value=-7,
        write=set_item,
        **more,
    )


def table():
    return xp.reshape(xp.arange(6, dtype=xp.float32), (2, 3))


CASES = [
    strict_case("dense", table, "f"),
    strict_case("from_dlpack", table, "f", view=dv.from_dlpack),
    strict_case("turned", lambda: xp.reshape(xp.arange(6, dtype=xp.int16), (3, 2)).T, "h"),
]


@pytest.mark.parametrize("case", CASES, ids=str)
class TestStrictIsViewed(Contract):
    def test_the_client_is_given_back_with_the_last_view(self, case):
        """Its export holds the ndarray in it, not the array around that."""
        array = case.make()
        held = ndarray_of(array)
        before = gc.get_referrers(held)
        v = case.view(array)
        part = v[...]
        v.release()
        del v, array
        assert part.tolist() == held.tolist()
        del part, before


def test_an_older_standard_is_refused_with_the_producer_s_reason():
    """Set to 2022.12 its __dlpack__ answers max_version by ValueError, as NumPy finds too."""
    with xp.ArrayAPIStrictFlags(api_version="2022.12"):
        array = table()
        with pytest.raises(dv.ImportRefused, match=r"2023\.12"):
            dv.from_dlpack(array)
        with pytest.raises(ValueError, match=r"2023\.12"):
            np.from_dlpack(array)
        assert dv.from_dlpack(array.__dlpack__()).ptr == ndarray_of(array).ctypes.data


def test_the_standard_s_functions_run_on_a_view():
    v = dv.view(np.arange(6, dtype="f4").reshape(2, 3))
    assert float(xp.sum(xp.from_dlpack(v))) == 15.0
    total = xp.add(xp.from_dlpack(v), xp.from_dlpack(v))
    assert dv.view(total).tolist() == (2 * np.asarray(v)).tolist()
