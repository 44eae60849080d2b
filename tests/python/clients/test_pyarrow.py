"""pyarrow: arrays by Arrow's C interfaces and by DLPack, both ways."""

from __future__ import annotations

import gc

import numpy as np
import pytest

import devview as dv
from clients.contract import CUDA, Case, Contract, require
from support import pattern

pa = require("pyarrow", "pyarrow")


def address(array) -> int:
    """Give where the first item is, by pyarrow's own word."""
    width, first = 1, array.offset
    while pa.types.is_fixed_size_list(array.type):
        first = first * array.type.list_size
        array = array.values
        first += array.offset
    storage = array.storage if isinstance(array.type, pa.BaseExtensionType) else array
    width = storage.type.bit_width // 8
    return storage.buffers()[1].address + first * width


def primitive():
    return pa.array([3, 1, 2], pa.int32())


def case(name, make, format, shape, strides, index, value, view=dv.from_arrow):
    read = pa.Array.to_pylist
    return Case(name, make, address, read, format, shape, strides, index, value, None, view)


def lists():
    return pa.FixedSizeListArray.from_arrays(pa.array(np.arange(12.0)), 3)


def text():
    return pa.array([b"abc", b"def"], pa.binary(3))


CASES = [
    case("int32", primitive, "i", (3,), (4,), (1,), 9),
    case("float64", lambda: pa.array([0.5, 1.5]), "d", (2,), (8,), (0,), 2.5),
    case("sliced", lambda: primitive().slice(1), "i", (2,), (4,), (0,), 9),
    case("half", lambda: pa.array(np.arange(3, dtype="e")), "e", (3,), (2,), (1,), 9.0),
    case("fixed-size list", lists, "d", (4, 3), (24, 8), (1, 1), 9.5),
    case("sliced lists", lambda: lists().slice(1, 2), "d", (2, 3), (24, 8), (1, 1), 9.5),
    case("fixed-size binary", text, "3s", (2,), (3,), (0,), b"xyz"),
    case(
        "bool8",
        lambda: pa.ExtensionArray.from_storage(pa.bool8(), pa.array([1, 0, 1], pa.int8())),
        "?", (3,), (1,), (1,), True,
    ),
    case("by DLPack", primitive, "i", (3,), (4,), (1,), 9, dv.view),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=str)
class TestContract(Contract):
    def test_the_client_is_given_back_with_the_last_view(self, case):
        # Arrow and DLPack share the memory, not the Python object that it came from.
        gc.collect()
        obj = case.make()
        buffers = pa.total_allocated_bytes()
        v = case.view(obj)
        content = case.read(obj)
        part = v[...]
        v.release()
        del obj
        assert part.tolist() == content
        part.release()
        del v, part
        assert pa.total_allocated_bytes() <= buffers


def numpy_memory_is_let_go():
    import weakref

    memory = np.arange(1000)
    gone = weakref.ref(memory)
    array = pa.array(memory)
    return array, gone


def test_memory_of_numpy_under_pyarrow_is_let_go_at_once():
    array, gone = numpy_memory_is_let_go()
    v = dv.from_arrow(array)
    del array
    assert gone() is not None
    assert v[-1] == 999
    v.release()
    assert gone() is None


# --- Views into pyarrow ---

FORMATS = {
    "b": pa.int8(), "B": pa.uint8(), "h": pa.int16(), "H": pa.uint16(), "i": pa.int32(),
    "I": pa.uint32(), "q": pa.int64(), "Q": pa.uint64(), "e": pa.float16(), "f": pa.float32(),
    "d": pa.float64(), "5s": pa.binary(5), "?": pa.bool8(),
}  # fmt: skip


@pytest.mark.parametrize("format", FORMATS)
def test_a_view_becomes_an_array_without_a_copy(format):
    v = dv.zeros(4, format)
    array = pa.array(v)
    array.validate(full=True)
    assert array.type == FORMATS[format]
    assert (len(array), array.null_count, address(array)) == (4, 0, v.ptr)
    assert array.to_pylist() == v.tolist()
    back = dv.from_arrow(array)
    assert (back.ptr, back.format) == (v.ptr, format)


def test_more_axes_are_fixed_size_lists():
    v = dv.view(pattern((4, 3, 2), "i2"))
    array = pa.array(v)
    array.validate(full=True)
    assert array.type == pa.list_(pa.list_(pa.int16(), 2), 3)
    assert address(array) == v.ptr
    assert array.to_pylist() == v.tolist()
    assert dv.from_arrow(array.slice(1, 2)).tolist() == v[1:3].tolist()


def test_pyarrow_sees_what_the_view_writes():
    v = dv.zeros(3, "i")
    array = pa.array(v)
    v[1] = 7
    assert array.to_pylist() == [0, 7, 0]


def test_an_array_keeps_the_memory_of_its_view():
    v = dv.zeros((100, 4), "i")
    v.fill(5)
    allocation = v.allocation
    array = pa.array(v)
    part = array.flatten().slice(10, 3)
    v.release()
    del v, array
    assert allocation.exports == 1
    assert part.to_pylist() == [5, 5, 5]
    del part
    assert allocation.exports == 0


def test_pyarrow_imports_the_capsules_of_both_methods():
    v = dv.view(pattern(5, "f4"))
    allocation = v.allocation
    for array in (
        pa.Array._import_from_c_capsule(*v.__arrow_c_array__()),
        pa.Array._import_from_c_device_capsule(*v.__arrow_c_device_array__()),
    ):
        assert address(array) == v.ptr
        assert array.device_type == pa.lib.DeviceAllocationType.CPU
        assert np.array_equal(array.to_numpy(), np.asarray(v))
    del array
    assert allocation.exports == 0


def test_a_requested_type_is_answered_with_the_own_one():
    v = dv.zeros(3, "i")
    assert pa.array(v, pa.int32()).type == pa.int32()
    wanted = pa.int64().__arrow_c_schema__()
    assert pa.Array._import_from_c_capsule(*v.__arrow_c_array__(wanted)).type == pa.int32()


def test_device_views_are_refused_without_cuda_and_copied_by_hand():
    d = dv.zeros(4, "i", device=CUDA)
    with pytest.raises((NotImplementedError, pa.ArrowException, BufferError)):
        pa.array(d)
    assert d.allocation.exports == 0
    assert pa.array(d.to("cpu")).to_pylist() == [0, 0, 0, 0]


# --- pyarrow into views ---


def test_a_chunked_array_of_one_chunk_is_viewed():
    chunked = pa.chunked_array([primitive()])
    v = dv.from_arrow(chunked)
    assert (v.ptr, v.tolist()) == (address(chunked.chunk(0)), [3, 1, 2])
    assert dv.view(chunked).ptr == v.ptr


def test_several_chunks_are_refused_until_they_are_combined():
    chunked = pa.chunked_array([primitive(), primitive()])
    with pytest.raises(dv.ImportRefused, match=r"2 chunks.*combine or rechunk"):
        dv.from_arrow(chunked)
    assert dv.from_arrow(chunked.combine_chunks()).tolist() == [3, 1, 2, 3, 1, 2]


def test_uncounted_bitmaps_are_counted():
    array = pa.array([1, None, 3, 4, 5])
    with pytest.raises(dv.ImportRefused, match="null"):
        dv.from_arrow(array)
    assert dv.from_arrow(array.slice(2)).tolist() == [3, 4, 5]


REFUSED = {
    "boolean": lambda: pa.array([True, False]),
    "utf8": lambda: pa.array(["a"]),
    "binary": lambda: pa.array([b"a"]),
    "utf8_view": lambda: pa.array(["a"], pa.string_view()),
    "list": lambda: pa.array([[1], [2, 3]]),
    "struct": lambda: pa.array([{"a": 1}]),
    "map": lambda: pa.array([[("a", 1)]], pa.map_(pa.string(), pa.int32())),
    "date32": lambda: pa.array([1], pa.date32()),
    "time": lambda: pa.array([1], pa.time64("ns")),
    "timestamp": lambda: pa.array([1], pa.timestamp("us", "UTC")),
    "duration": lambda: pa.array([1], pa.duration("s")),
    "interval": lambda: pa.array([(1, 2, 3)], pa.month_day_nano_interval()),
    "decimal": lambda: pa.array([1], pa.decimal128(9, 2)),
    "null": lambda: pa.nulls(3),
    "union": lambda: pa.UnionArray.from_sparse(pa.array([0], pa.int8()), [pa.array([1])]),
    "run_end_encoded": lambda: pa.RunEndEncodedArray.from_arrays([2], [1]),
    "dictionary-encoded": lambda: pa.array(["a", "a"]).dictionary_encode(),
    "'arrow.uuid'": lambda: pa.array([b"0" * 16], pa.uuid()),
    "'arrow.fixed_shape_tensor'": lambda: pa.FixedShapeTensorArray.from_numpy_ndarray(
        np.zeros((2, 3))
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_types_that_would_lose_something_are_refused_by_name(what):
    with pytest.raises(dv.ImportRefused, match=what):
        dv.from_arrow(REFUSED[what]())


def test_a_table_is_refused_and_its_columns_are_viewed():
    table = pa.table({"a": primitive(), "b": primitive()})
    with pytest.raises(dv.ImportRefused, match=r"struct.*take one"):
        dv.from_arrow(table)
    with pytest.raises(dv.ImportRefused, match=r"struct.*take one"):
        dv.from_arrow(table.to_batches()[0])
    assert dv.from_arrow(table["a"]).tolist() == [3, 1, 2]


def test_buffers_of_pyarrow_are_buffers():
    buffer = pa.py_buffer(bytearray(b"abc"))
    v = dv.view(buffer)
    assert (v.ptr, v.format, bytes(v)) == (buffer.address, "b", b"abc")
    assert pa.py_buffer(dv.zeros(5, "i")).size == 20
