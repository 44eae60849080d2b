"""polars: Series by Arrow streams, both ways."""

from __future__ import annotations

import gc

import pytest

import devview as dv
from clients.contract import CUDA, Case, Contract, require
from support import pattern

pl = require("polars", "polars")


def address(series) -> int:
    """Give where the first item is, by polars' own word: it would raise if it had to copy."""
    return series.to_numpy(allow_copy=False).ctypes.data


def case(name, make, format, shape, strides, index, value):
    return Case(
        name, make, address, pl.Series.to_list, format, shape, strides, index, value, None,
        dv.from_arrow,
    )  # fmt: skip


def integers():
    return pl.Series([3, 1, 2], dtype=pl.Int32)


CASES = [
    case("Int32", integers, "i", (3,), (4,), (1,), 9),
    case("Float64", lambda: pl.Series([0.5, 1.5]), "d", (2,), (8,), (0,), 2.5),
    case("sliced", lambda: integers()[1:], "i", (2,), (4,), (0,), 9),
]


@pytest.mark.parametrize("case", CASES, ids=str)
class TestContract(Contract):
    def test_the_client_is_given_back_with_the_last_view(self, case):
        # Arrow shares the memory, not the Python object that it came from.
        obj = case.make()
        content = case.read(obj)
        v = case.view(obj)
        part = v[...]
        v.release()
        del obj, v
        gc.collect()
        others = [case.make() for _ in range(10)]
        assert part.tolist() == content
        part.release()
        del others


FORMATS = {
    "b": pl.Int8, "B": pl.UInt8, "h": pl.Int16, "H": pl.UInt16, "i": pl.Int32, "I": pl.UInt32,
    "q": pl.Int64, "Q": pl.UInt64, "f": pl.Float32, "d": pl.Float64,
}  # fmt: skip


@pytest.mark.parametrize("format", FORMATS)
def test_a_view_becomes_a_series_without_a_copy(format):
    v = dv.zeros(5, format)
    v[2] = 3
    allocation = v.allocation
    series = pl.Series(v)
    assert series.dtype == FORMATS[format]
    assert address(series) == v.ptr
    assert series.to_list() == v.tolist()
    v.release()
    assert allocation.exports == 1
    assert series[2] == 3
    del series
    gc.collect()
    assert allocation.exports == 0


def test_from_arrow_takes_views():
    v = dv.view(pattern(5, "i4"))
    series = pl.from_arrow(v)
    assert address(series) == v.ptr
    assert series.to_list() == v.tolist()


def test_a_view_of_two_axes_is_a_series_of_arrays():
    v = dv.view(pattern((3, 2), "i4"))
    series = pl.Series(v)
    assert series.dtype == pl.Array(pl.Int32, 2)
    assert series.to_list() == v.tolist()
    back = dv.from_arrow(series)
    assert (back.shape, back.tolist()) == ((3, 2), v.tolist())


def test_a_series_of_several_chunks_is_refused_until_it_is_rechunked():
    series = integers()
    series = series.append(integers())
    assert series.n_chunks() == 2
    with pytest.raises(dv.ImportRefused, match=r"2 chunks.*rechunk"):
        dv.from_arrow(series)
    assert dv.from_arrow(series.rechunk()).tolist() == [3, 1, 2, 3, 1, 2]


REFUSED = {
    "null": lambda: pl.Series([1, None]),
    "utf8_view": lambda: pl.Series(["a", "b"]),
    "boolean": lambda: pl.Series([True]),
    "date32": lambda: pl.Series([1]).cast(pl.Date),
    "timestamp": lambda: pl.Series([1]).cast(pl.Datetime("us")),
    "dictionary": lambda: pl.Series(["a"], dtype=pl.Categorical),
    "large_list": lambda: pl.Series([[1], [2, 3]]),
    "struct": lambda: pl.Series([{"a": 1}]),
}


@pytest.mark.parametrize("what", REFUSED)
def test_types_that_would_lose_something_are_refused_by_name(what):
    with pytest.raises(dv.ImportRefused, match=what):
        dv.from_arrow(REFUSED[what]())


def test_a_column_of_a_frame_is_viewed():
    frame = pl.DataFrame({"a": integers(), "b": integers()})
    with pytest.raises(dv.ImportRefused, match=r"struct.*take one"):
        dv.from_arrow(frame)
    assert dv.from_arrow(frame["a"]).tolist() == [3, 1, 2]


def test_dv_view_takes_a_series_by_arrow():
    series = integers()
    assert dv.view(series).ptr == address(series)


def test_device_views_come_by_a_copy():
    d = dv.zeros(4, "i", device=CUDA)
    assert pl.Series(d.to("cpu")).to_list() == [0, 0, 0, 0]
