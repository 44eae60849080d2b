"""Arrow C data as views: types, offsets, bitmaps, streams; released exactly once."""

from __future__ import annotations

import ctypes
import gc

import numpy as np
import pytest

import devview as dv
from arrow_structs import (
    Answer,
    Chunks,
    Host,
    OnDevice,
    Producer,
    device_array_in,
    extension,
    metadata_of,
    named_capsule,
)
from support import pattern

KINDS = {
    b"c": ctypes.c_int8, b"C": ctypes.c_uint8, b"s": ctypes.c_int16, b"S": ctypes.c_uint16,
    b"i": ctypes.c_int32, b"I": ctypes.c_uint32, b"l": ctypes.c_int64, b"L": ctypes.c_uint64,
    b"f": ctypes.c_float, b"g": ctypes.c_double,
}  # fmt: skip


@pytest.mark.parametrize("format", KINDS)
def test_each_format_has_its_number(format):
    producer = Producer(format, (1, 2, 3), kind=KINDS[format])
    v = dv.from_arrow(Host(producer))
    assert (v.ptr, v.shape, v.readonly, v.device) == (producer.address, (3,), True, "cpu")
    assert np.dtype(v.format) == np.dtype(KINDS[format])
    assert v.itemsize == ctypes.sizeof(KINDS[format])
    assert v.tolist() == [1, 2, 3]
    producer.memory[1] = 7
    assert v.tolist() == [1, 7, 3]


def test_half_and_bytes_and_booleans():
    half = Producer(b"e", (0x3C00, 0xC000), kind=ctypes.c_uint16)
    v = dv.from_arrow(Host(half))
    assert (v.format, v.tolist()) == ("e", [1.0, -2.0])
    text = Producer(b"w:3", (tuple(b"abc"), tuple(b"def")), kind=ctypes.c_uint8 * 3)
    v = dv.from_arrow(Host(text))
    assert (v.format, v.shape, v.tolist()) == ("3s", (2,), [b"abc", b"def"])
    truth = Producer(b"c", (0, 1, 2), kind=ctypes.c_int8, metadata=extension("arrow.bool8"))
    v = dv.from_arrow(Host(truth))
    assert (v.format, v.tolist()) == ("?", [False, True, True])


def test_other_metadata_is_left_alone():
    other = metadata_of(PARQUET__field_id="1", comment="x" * 1000)
    assert dv.from_arrow(Host(Producer(metadata=other))).format == "i"
    unnamed = metadata_of(ARROW__extension__name="")
    assert dv.from_arrow(Host(Producer(metadata=unnamed))).format == "i"


def test_an_offset_is_added():
    def cut(producer):
        producer.array.offset, producer.array.length = 1, 2

    producer = Producer(change=cut)
    v = dv.from_arrow(Host(producer))
    assert (v.ptr, v.tolist()) == (producer.address + 4, [11, 12])


def test_offsets_of_lists_and_of_children_are_added():
    def cut(producer):
        (_, outer), (_, middle), (_, leaf) = producer.parts
        outer.offset, outer.length = 1, 2  # of lists of 2 lists of 3 items
        middle.offset, middle.length = 1, 6
        leaf.offset, leaf.length = 2, 40

    values = tuple(range(42))
    producer = Producer(values=values, lists=(2, 3), change=cut)
    v = dv.from_arrow(Host(producer))
    first = 2 + 3 * (1 + 2 * 1)
    expected = np.array(values[first : first + 12]).reshape(2, 2, 3)
    assert (v.shape, v.strides) == ((2, 2, 3), (24, 12, 4))
    assert v.ptr == producer.address + 4 * first
    assert v.tolist() == expected.tolist()


def test_bitmaps_without_nulls():
    counted = Producer(change=lambda p: p.bitmap(0, null_count=0))
    assert dv.from_arrow(Host(counted)).shape == (4,)
    uncounted = Producer(change=lambda p: p.bitmap(0b1111))
    assert dv.from_arrow(Host(uncounted)).shape == (4,)
    absent = Producer(change=lambda p: setattr(p.array, "null_count", -1))
    assert dv.from_arrow(Host(absent)).shape == (4,)


@pytest.mark.parametrize("length", [1, 7, 8, 9, 63, 100])
@pytest.mark.parametrize("offset", [0, 1, 7, 8, 13])
def test_a_bitmap_is_read_for_the_items_of_the_view_alone(offset, length):
    bits = ((1 << length) - 1) << offset

    def cut(producer):
        producer.array.offset, producer.array.length = offset, length

    def whole(producer):
        cut(producer)
        producer.bitmap(bits)

    assert dv.from_arrow(Host(Producer(values=range(120), change=whole))).shape == (length,)
    for missing in {offset, offset + length // 2, offset + length - 1}:

        def holed(producer, missing=missing):
            cut(producer)
            producer.bitmap(bits & ~(1 << missing) | ((1 << offset) - 1))

        with pytest.raises(dv.ImportRefused, match=f"nulls among {length} items"):
            dv.from_arrow(Host(Producer(values=range(120), change=holed)))


def test_nulls_of_a_child_outside_the_view_do_not_matter():
    def cut(producer):
        producer.array.offset, producer.array.length = 1, 1
        producer.bitmap(0b11110111, part=1, null_count=1)

    producer = Producer(values=range(8), lists=(4,), change=cut)
    assert dv.from_arrow(Host(producer)).tolist() == [[4, 5, 6, 7]]


def test_empty_arrays_may_have_no_buffer():
    def empty(producer):
        producer.array.length = 0
        producer.array.buffers[1] = None

    v = dv.from_arrow(Host(Producer(change=empty)))
    assert (v.shape, v.nbytes, v.tolist()) == ((0,), 0, [])
    v = dv.from_arrow(Host(Producer(lists=(2,), change=lambda p: setattr(p.array, "length", 0))))
    assert v.shape == (0, 2)


def test_an_array_is_released_with_its_last_view():
    producer = Producer()
    v = dv.from_arrow(Host(producer))
    assert producer.released == {"schema": 1}
    part = v[1:]
    v.release()
    assert producer.released == {"schema": 1}
    part.release()
    assert producer.released == {"schema": 1, "array": 1}


def test_a_list_is_released_by_its_outermost_array_alone():
    producer = Producer(values=range(12), lists=(2, 3))
    v = dv.from_arrow(Host(producer))
    v.release()
    assert producer.released == {"schema": 1, "array": 1}


def test_a_pending_exception_survives_a_release():
    producer = Producer()

    def raising():
        v = dv.from_arrow(Host(producer))
        raise KeyError(v.shape)

    with pytest.raises(KeyError, match="4"):
        raising()
    gc.collect()
    assert producer.released["array"] == 1


def test_a_view_of_arrow_memory_stays_read_only():
    producer = Producer()
    v = dv.from_arrow(Host(producer))
    with pytest.raises(TypeError, match="read-only"):
        v[0] = 1
    with pytest.raises(BufferError, match="read-only"):
        dv.view(Host(Producer()), readonly=False)
    assert memoryview(v).readonly
    assert list(producer.memory) == [10, 11, 12, 13]


def test_the_device_method_is_asked_first():
    class Both(OnDevice, Host):
        pass

    producer = Producer()
    v = dv.from_arrow(Both(producer, device_id=0))
    assert (v.ptr, v.device) == (producer.address, "cpu")


def test_a_view_goes_out_and_comes_back():
    v = dv.view(pattern((3, 4), "u2"))
    back = dv.from_arrow(v)
    assert (back.ptr, back.shape, back.format, back.readonly) == (v.ptr, (3, 4), v.format, True)
    allocation = v.allocation
    v.release()
    back.release()
    assert allocation.exports == 0


def test_view_asks_arrow_last():
    producer = Producer()
    v = dv.view(Host(producer))
    assert v.ptr == producer.address

    class WithBuffer(dv.Exporter):
        def __buffer__(self, flags):
            return memoryview(b"buffer")

        def __arrow_c_array__(self, requested_schema=None):
            raise AssertionError("the buffer protocol serves")

    assert bytes(dv.view(WithBuffer())) == b"buffer"


# --- Streams ---


def test_a_stream_of_one_chunk_is_viewed():
    schema, chunk = Producer(), Producer()
    chunks = Chunks(schema, [chunk])
    v = dv.from_arrow(chunks)
    assert (v.ptr, v.tolist()) == (chunk.address, [10, 11, 12, 13])
    assert (chunks.released, chunks.asked) == (1, 2)
    assert schema.released == {"schema": 1}
    assert not chunk.released
    v.release()
    assert chunk.released == {"array": 1}


@pytest.mark.parametrize(("count", "told"), [(0, "0 chunks"), (2, "2 chunks"), (7, "7 chunks")])
def test_a_stream_of_another_number_of_chunks_is_refused(count, told):
    schema, parts = Producer(), [Producer() for _ in range(count)]
    chunks = Chunks(schema, parts)
    with pytest.raises(dv.ImportRefused, match=f"arrow: {told}, .*exactly 1.*rechunk"):
        dv.from_arrow(chunks)
    assert chunks.released == 1
    assert all(part.released == {"array": 1} for part in parts)


def test_an_endless_stream_is_not_read_to_its_end():
    chunks = Chunks(Producer(), iter(Producer, None))
    with pytest.raises(dv.ImportRefused, match="more than 64 chunks"):
        dv.from_arrow(chunks)
    assert (chunks.released, chunks.asked) == (1, 65)


@pytest.mark.parametrize(("fail", "code"), [("get_schema", 5), ("get_next", 22)])
@pytest.mark.parametrize(("error", "told"), [(b"disk on fire", ": disk on fire"), (None, "")])
def test_an_error_of_a_stream_is_told(fail, code, error, told):
    chunks = Chunks(Producer(), [Producer()], fail=fail, error=error)
    with pytest.raises(dv.ImportRefused, match=f"{fail} failed: error {code}{told}$"):
        dv.from_arrow(chunks)
    assert chunks.released == 1


@pytest.mark.parametrize("missing", ["get_schema", "get_next", "get_last_error", "release"])
def test_a_stream_without_a_callback_is_refused(missing):
    chunks = Chunks(Producer(), [Producer()])
    structure = chunks.structure()
    setattr(structure, missing, type(getattr(structure, missing))())
    answer = Answer(named_capsule(structure, b"arrow_array_stream"), "__arrow_c_stream__")
    with pytest.raises(dv.ImportRefused, match=r"released|is NULL"):
        dv.from_arrow(answer)
    assert (chunks.released, chunks.asked) == (0, 0)


def test_a_stream_is_consumed_once():
    chunks = Chunks(Producer(), [Producer()])
    capsule = chunks.__arrow_c_stream__()
    v = dv.from_arrow(Answer(capsule, "__arrow_c_stream__"))
    with pytest.raises(dv.ImportRefused, match="stream was released, or taken over"):
        dv.from_arrow(Answer(capsule, "__arrow_c_stream__"))
    assert chunks.released == 1
    v.release()


def test_memory_of_other_devices_is_kept_as_it_is():
    producer = Producer()
    v = dv.from_arrow(OnDevice(producer, device_type=10, device_id=3))
    assert (v.device, v.ptr, v.shape) == ("rocm:3", producer.address, (4,))
    back = device_array_in(v.__arrow_c_device_array__()[1])
    assert (back.device_type, back.device_id) == (10, 3)
    v.release()
    assert not producer.released["array"]
    del back
    assert producer.released["array"] == 1
