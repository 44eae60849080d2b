"""awkward: arrays of NumPy's memory by the buffer protocol, by DLPack and by Arrow."""

from __future__ import annotations

import gc

import numpy as np
import pytest

import devview as dv
from clients.contract import CUDA, Case, Contract, require
from support import pattern

ak = require("awkward", "awkward")


def flat():
    return ak.Array(np.array([3, 1, 2], np.int32))


def regular():
    return ak.Array(np.arange(12.0).reshape(4, 3))


def memory(array) -> np.ndarray:
    """Give the NumPy array under an array of numbers: awkward's own way to it."""
    return ak.to_numpy(array)


def address(array) -> int:
    return memory(array).ctypes.data


def write(index):
    def set_item(array, value):
        memory(array)[index] = value

    return set_item


def case(name, make, format, shape, strides, index, value):
    return Case(
        name, make, address, ak.to_list, format, shape, strides, index, value, write(index),
        lambda array: dv.view(memory(array)),
    )  # fmt: skip


CASES = [
    case("flat", flat, "i", (3,), (4,), (1,), 9),
    case("regular", regular, "d", (4, 3), (24, 8), (1, 1), 9.5),
]


@pytest.mark.parametrize("case", CASES, ids=str)
class TestContract(Contract):
    def test_the_client_is_given_back_with_the_last_view(self, case):
        # The view holds NumPy's array; awkward's own objects are wrappers of it.
        obj = case.make()
        content = case.read(obj)
        v = case.view(obj)
        part = v[...]
        v.release()
        del obj, v
        gc.collect()
        assert part.tolist() == content
        part.release()


def test_awkward_takes_views_by_arrow():
    v = dv.view(pattern(5, "i4"))
    allocation = v.allocation
    array = ak.from_arrow(require("pyarrow", "pyarrow").array(v))
    assert ak.to_list(array) == v.tolist()
    assert address(array) == v.ptr
    v.release()
    assert allocation.exports >= 1
    del array
    gc.collect()
    assert allocation.exports == 0


def test_awkward_takes_views_by_dlpack():
    v = dv.view(pattern((5, 2), "f8"))
    array = ak.from_dlpack(v)
    assert address(array) == v.ptr
    assert np.array_equal(memory(array), np.asarray(v))


def test_awkward_takes_views_as_buffers():
    offsets, content = dv.view(np.array([0, 2, 2, 5])), dv.view(np.arange(5.0))
    form = {
        "class": "ListOffsetArray",
        "offsets": "i64",
        "content": {"class": "NumpyArray", "primitive": "float64", "form_key": "content"},
        "form_key": "list",
    }
    array = ak.from_buffers(form, 3, {"list-offsets": offsets, "content-data": content})
    assert ak.to_list(array) == [[0.0, 1.0], [], [2.0, 3.0, 4.0]]
    content[1] = 9.5
    assert ak.to_list(array)[0] == [0.0, 9.5]


def test_ragged_arrays_are_viewed_part_by_part():
    array = ak.Array([[1.0, 2.0], [], [3.0]])
    form, length, parts = ak.to_buffers(array)
    views = {key: dv.view(part) for key, part in parts.items()}
    assert [v.tolist() for v in views.values()] == [[0, 2, 2, 3], [1.0, 2.0, 3.0]]
    assert ak.to_list(ak.from_buffers(form, length, views)) == ak.to_list(array)


def test_arrays_go_to_a_device_by_arrow():
    arrow = ak.to_arrow(flat(), extensionarray=False)
    v = dv.from_arrow(arrow)
    assert v.tolist() == [3, 1, 2]
    assert v.to(CUDA).tolist() == [3, 1, 2]
