"""array.array: every typecode."""

from __future__ import annotations

import array
import sys
import warnings

import pytest

import devview as dv
from clients.contract import CUDA, Case, Contract


def make_array(typecode: str, values) -> array.array:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # 'u', from Python 3.13 on
        return array.array(typecode, values)


def set_item(obj, value) -> None:
    obj[1] = value


def array_case(typecode: str, values, value, format: str | None = None) -> Case:
    itemsize = make_array(typecode, values).itemsize
    return Case(
        name=typecode,
        make=lambda: make_array(typecode, values),
        address=lambda a: a.buffer_info()[0],
        read=lambda a: a.tolist(),
        format=format or typecode,
        shape=(len(values),),
        strides=(itemsize,),
        index=(1,),
        value=value,
        write=set_item,
    )


CASES = [
    *(array_case(code, [0, 1, 2], 100) for code in "bBhHiIlLqQ"),
    *(array_case(code, [0.5, -1.25, 3.0], 0.125) for code in "fd"),
    # The typecode says 'u', the format 'w': four bytes each, as PEP 3118 spells it.
    array_case("u", "héj", "x", format="w"),
]
if sys.version_info >= (3, 13):
    CASES.append(array_case("w", "hé\U0001f40d", "x"))


@pytest.mark.parametrize("case", CASES, ids=str)
class TestArray(Contract):
    pass


def test_an_array_grows_again_once_its_views_are_gone():
    a = array.array("i", [1, 2, 3])
    v = dv.view(a)
    part = v[1:]
    for grow in (
        lambda: a.append(4),
        lambda: a.extend([4]),
        lambda: a.frombytes(bytes(4)),
        lambda: a.pop(),
        lambda: a.__iadd__(array.array("i", [4])),
    ):
        with pytest.raises(BufferError):
            grow()
    v.release()
    with pytest.raises(BufferError):
        a.append(4)
    part.release()
    a.append(4)
    assert a.tolist() == [1, 2, 3, 4]


def test_an_array_is_filled_from_a_device_view():
    d = dv.view(array.array("d", [1.0, 2.5, -3.0])).to(CUDA)
    a = array.array("d")
    with pytest.raises(TypeError, match="bytes-like"):
        a.frombytes(d)  # items of more than a byte it takes from nobody, arrays included
    with pytest.raises(TypeError, match="bytes-like"):
        a.frombytes(a)
    a.frombytes(d.cast("B"))
    assert a.tolist() == [1.0, 2.5, -3.0]
    a[1:2] = array.array("d", d)  # by iteration
    assert a.tolist() == [1.0, 1.0, 2.5, -3.0, -3.0]


def test_an_array_is_sorted_through_its_view():
    a = array.array("h", [5, -2, 9, 0])
    v = dv.view(a)
    v[:] = dv.view(array.array("h", sorted(v)))
    assert a.tolist() == [-2, 0, 5, 9]
    v[:] = v.copy()[::-1]
    assert a.tolist() == [9, 5, 0, -2]
