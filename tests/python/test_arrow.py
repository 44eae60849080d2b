"""Views as Arrow C data: what is told, who holds the memory, what is refused."""

from __future__ import annotations

import ctypes
import gc
import inspect
import threading
from pathlib import Path

import numpy as np
import pytest

import devview as dv
from arrow_structs import array_in, device_array_in, extension, moved, release, schema_in
from clients.contract import require
from support import pattern, run_clean

# Arrow's format of each native format, and back; long long and long are one type.
TYPES = {
    "b": b"c", "B": b"C", "h": b"s", "H": b"S", "i": b"i", "I": b"I", "l": b"l", "L": b"L",
    "q": b"l", "Q": b"L", "n": b"l", "N": b"L", "e": b"e", "f": b"f", "d": b"g",
}  # fmt: skip


class Struct:
    """What the two capsules of a view say."""

    def __init__(self, view, **arguments):
        self.capsules = view.__arrow_c_array__(**arguments)
        self.schema, self.array = schema_in(self.capsules[0]), array_in(self.capsules[1])


@pytest.mark.parametrize("format", TYPES)
def test_each_number_has_its_format(format):
    v = dv.zeros(5, format)
    told = Struct(v)
    assert told.schema.format == TYPES[format]
    assert (told.schema.n_children, told.schema.flags) == (0, 2)
    assert (told.schema.metadata, bool(told.schema.dictionary)) == (None, False)
    array = told.array
    assert (array.length, array.null_count, array.offset) == (5, 0, 0)
    assert (array.n_buffers, array.n_children, bool(array.dictionary)) == (2, 0, False)
    assert (array.buffers[0], array.buffers[1]) == (None, v.ptr)


@pytest.mark.parametrize(("format", "told"), [("5s", b"w:5"), ("s", b"w:1"), ("c", b"w:1")])
def test_bytes_are_fixed_size_binary(format, told):
    assert Struct(dv.zeros(3, format)).schema.format == told


def test_booleans_are_the_extension_type_of_one_byte_each():
    schema = Struct(dv.zeros(3, "?")).schema
    assert schema.format == b"c"
    wanted = extension("arrow.bool8")
    assert ctypes.string_at(schema.metadata, len(wanted)) == wanted


def test_further_axes_are_fixed_size_lists():
    v = dv.view(pattern((5, 2, 3), "f8"))
    told = Struct(v)
    sizes, formats = [], []
    schema, array = told.schema, told.array
    while True:
        formats.append(schema.format)
        sizes.append((array.length, array.n_buffers, array.offset, array.null_count))
        if not schema.n_children:
            break
        assert array.buffers[0] is None
        schema, array = schema.children[0][0], array.children[0][0]
        assert (schema.name, schema.flags) == (b"item", 2)
    assert formats == [b"+w:2", b"+w:3", b"g"]
    assert sizes == [(5, 1, 0, 0), (10, 1, 0, 0), (30, 2, 0, 0)]
    assert array.buffers[1] == v.ptr


def test_a_part_of_a_view_begins_where_it_begins():
    v = dv.view(pattern(20, "i4"))
    array = Struct(v[5:9]).array
    assert (array.buffers[1], array.offset, array.length) == (v.ptr + 20, 0, 4)


@pytest.mark.parametrize("shape", [(0,), (0, 3), (3, 0), (2, 0, 4)])
def test_empty_views_are_empty_arrays(shape):
    v = dv.zeros(shape, "i")
    told = Struct(v)
    assert told.array.length == shape[0]
    back = dv.from_arrow(v)
    assert (back.shape, back.format) == (shape, "i")


REFUSED_VIEWS = {
    "no axis": (lambda: dv.zeros((), "i"), r"shape \(\).*one axis"),
    "a step": (lambda: dv.zeros(10, "i")[::2], r"strides \(8,\)"),
    "backwards": (lambda: dv.zeros(10, "i")[::-1], r"strides \(-4,\)"),
    "repeated": (lambda: dv.zeros(1, "i").broadcast_to((4,)), r"strides \(0,\)"),
    "Fortran order": (lambda: dv.zeros((2, 3), "i", order="F"), r"strides \(4, 8\)"),
    "rows apart": (lambda: dv.zeros((4, 6), "i")[:, :3], r"strides \(24, 4\)"),
    "record": (lambda: dv.zeros(3, "T{i:a:d:b:}"), r"format 'T\{i:a:d:b:\}'"),
    "sub-array": (lambda: dv.zeros(3, "(2)i"), r"format '\(2\)i'"),
    "complex": (lambda: dv.zeros(3, "Zd"), "format 'Zd'.*no such type"),
    "long double": (lambda: dv.zeros(3, "g"), "format 'g'.*no such type"),
    "other byte order": (lambda: dv.zeros(3, ">i"), "format '>i'.*byte order"),
    "text": (lambda: dv.zeros(3, "4w"), "format '4w'.*no such type"),
    "pascal": (lambda: dv.zeros(3, "4p"), "format '4p'.*no such type"),
    "pointer": (lambda: dv.zeros(3, "P"), "format 'P'.*no such type"),
    "opaque": (lambda: dv.zeros(3, "4x"), "format '4x'.*no such type"),
    "bfloat16": (lambda: dv.zeros(3, "T{H:bfloat16:}"), "bfloat16.*no such type"),
    "objects": (lambda: dv.view(np.array([object()])), "format 'O'.*no such type"),
}


@pytest.mark.parametrize("method", ["__arrow_c_array__", "__arrow_c_device_array__"])
@pytest.mark.parametrize("what", REFUSED_VIEWS)
def test_what_arrow_cannot_say_is_refused(what, method):
    make, match = REFUSED_VIEWS[what]
    v = make()
    with pytest.raises(BufferError, match=match):
        getattr(v, method)()
    assert v.allocation.exports == 0
    v.release()


def test_a_released_view_is_a_value_error():
    v = dv.zeros(3)
    v.release()
    for method in (v.__arrow_c_array__, v.__arrow_c_device_array__):
        with pytest.raises(ValueError, match="released"):
            method()


def test_an_array_of_a_view_that_may_be_written_shows_the_writes():
    v = dv.view(bytearray(4))
    array = Struct(v).array
    v[1] = 9
    assert ctypes.string_at(array.buffers[1], 4) == b"\0\x09\0\0"


# --- What holds the memory, and how long ---


def test_an_array_holds_the_allocation_and_not_the_view():
    v = dv.zeros(3)
    allocation = v.allocation
    pair = v.__arrow_c_array__()
    assert (allocation.exports, v.exports) == (1, 0)
    v.release()
    assert (allocation.exports, allocation.views) == (1, 0)
    with pytest.raises(BufferError, match="1 export"):
        allocation.free()
    del pair
    assert allocation.exports == 0
    allocation.free()


def test_the_memory_goes_with_the_last_array():
    calls = []
    block = dv.zeros(16)
    v = dv.from_pointer(block.ptr, 16, "B", device="cpu", release=calls.append)
    one, two = v.__arrow_c_array__(), v.__arrow_c_device_array__()
    v.release()
    assert calls == []
    del one
    assert calls == []
    taken = moved(device_array_in(two[1]))
    del two
    assert calls == []
    release(taken)
    assert calls == [None]


def test_a_capsule_that_was_taken_over_releases_nothing():
    v = dv.zeros(3)
    allocation = v.allocation
    told = Struct(v)
    schema, array = moved(told.schema), moved(told.array)
    del told
    gc.collect()
    assert allocation.exports == 1
    assert (schema.format, array.length) == (b"C", 3)
    release(schema)
    release(array)
    assert allocation.exports == 0


def test_a_child_that_is_moved_out_keeps_the_memory_when_its_parent_goes():
    v = dv.view(pattern((4, 3), "i2"))
    expected = v.tobytes()
    allocation = v.allocation
    told = Struct(v)
    schema, array = moved(told.schema), moved(told.array)
    child, child_schema = moved(array.children[0][0]), moved(schema.children[0][0])
    release(array)
    release(schema)
    v.release()
    del v
    assert allocation.exports == 1
    assert (child_schema.format, child.length) == (b"s", 12)
    assert ctypes.string_at(child.buffers[1], 24) == expected
    release(child_schema)
    release(child)
    assert allocation.exports == 0


def test_a_parent_releases_the_children_that_stayed():
    v = dv.zeros((2, 3, 4), "i")
    allocation = v.allocation
    array = moved(Struct(v).array)
    inner = moved(array.children[0][0].children[0][0])
    middle = array.children[0][0]
    assert middle.release
    release(array)
    assert allocation.exports == 1
    release(inner)
    assert allocation.exports == 0


def test_an_array_may_be_released_on_any_thread():
    v = dv.zeros(3)
    allocation = v.allocation
    arrays = [moved(Struct(v).array) for _ in range(8)]
    v.release()
    threads = [threading.Thread(target=release, args=(array,)) for array in arrays]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert allocation.exports == 0


# --- The arguments of the methods ---


def test_a_requested_schema_is_best_effort():
    v = dv.zeros(3, "i")
    wanted = dv.zeros(1, "d").__arrow_c_array__()[0]
    assert Struct(v, requested_schema=wanted).schema.format == b"i"
    assert schema_in(wanted).format == b"g"  # still the caller's
    assert schema_in(wanted).release
    told = Struct(dv.zeros((3, 2), "i"), requested_schema=dv.zeros((1, 2)).__arrow_c_array__()[0])
    assert told.schema.format == b"+w:2"


def test_a_requested_schema_of_other_data_is_an_error():
    v = dv.zeros(3, "i")
    wanted = dv.zeros((1, 2), "i").__arrow_c_array__()[0]
    with pytest.raises(BufferError, match=r"requested_schema has 1 children, the view 0"):
        v.__arrow_c_array__(wanted)
    release(schema_in(wanted))
    with pytest.raises(BufferError, match="requested_schema was released"):
        v.__arrow_c_array__(wanted)
    for other in (1, "i", v.__arrow_c_array__()[1]):
        with pytest.raises(TypeError, match="expected a capsule 'arrow_schema'"):
            v.__arrow_c_array__(other)
    del other
    assert v.allocation.exports == 0


def test_keywords_of_the_device_method():
    v = dv.zeros(3)
    v.__arrow_c_device_array__(None, future=None, requested=None)
    v.__arrow_c_device_array__(requested_schema=None)
    with pytest.raises(NotImplementedError, match="future"):
        v.__arrow_c_device_array__(future=1)
    with pytest.raises(TypeError, match="positional"):
        v.__arrow_c_device_array__(None, None)
    with pytest.raises(TypeError, match="twice"):
        v.__arrow_c_device_array__(None, requested_schema=None)
    with pytest.raises(TypeError, match="future"):
        v.__arrow_c_array__(future=None)
    names = list(inspect.signature(v.__arrow_c_device_array__).parameters)
    assert names == ["requested_schema", "kwargs"]


def test_the_host_is_device_minus_one():
    v = dv.zeros(3)
    capsules = v.__arrow_c_device_array__()
    array = device_array_in(capsules[1])
    assert (array.device_type, array.device_id, array.sync_event) == (1, -1, None)
    assert list(array.reserved) == [0, 0, 0]
    assert array.array.buffers[1] == v.ptr


# --- The end ---


def test_the_interpreter_ends_cleanly_with_arrays_on_both_sides():
    require("pyarrow", "pyarrow")
    script = """
    import pyarrow as pa
    v = dv.zeros((10, 3), "i")
    kept = [v.__arrow_c_array__(), v.__arrow_c_device_array__()]
    array = pa.array(v)
    w = dv.from_arrow(pa.array(np.arange(5)))
    x = dv.from_arrow(v)
    d = dv.zeros(10, device="cuda")
    kept.append(d.__arrow_c_device_array__())
    y = dv.from_arrow(d)
    sys.modules["kept"] = (v, w, x, d, y, array, kept)
    print("end")
    """
    assert run_clean(script) == "end\n"


OFFERS = ["Host(producer)", "OnDevice(producer)", "Chunks(schema, [producer])"]


@pytest.mark.parametrize("offer", OFFERS)
def test_an_array_that_may_need_the_interpreter_is_not_released_after_its_end(offer):
    script = f"""
    sys.path.insert(0, {str(Path(__file__).parent)!r})
    from arrow_structs import Chunks, Host, OnDevice, Producer

    class Loud(dict):
        def __missing__(self, name):
            return 0
        def __setitem__(self, name, value, write=os.write):
            write(1, name.encode() + b" released, ")

    schema, producer = Producer(), Producer()
    schema.released, producer.released = dict(schema=0), Loud()
    v = dv.from_arrow({offer})
    w = dv.from_arrow(Host(Producer()))
    w.release()
    print("end", flush=True)
    """
    assert run_clean(script).removeprefix("schema released, ") == "end\n"
