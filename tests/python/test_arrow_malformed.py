"""Arrow structs that make no sense: each is refused by name and released exactly once."""

from __future__ import annotations

import ctypes
import gc
import struct

import pytest

import devview as dv
from arrow_structs import Answer, Host, OnDevice, Producer, extension, named_capsule


def test_what_offers_nothing_of_arrow_is_refused():
    with pytest.raises(dv.ImportRefused, match="'int' can be used: Arrow: not offered"):
        dv.from_arrow(3)
    with pytest.raises(TypeError):
        dv.from_arrow()


@pytest.mark.parametrize("error", [KeyError("mine"), MemoryError("mine"), KeyboardInterrupt()])
def test_an_exception_of_the_producer_is_kept(error):
    with pytest.raises(type(error)) as caught:
        dv.from_arrow(Answer(error))
    assert caught.value is error


def test_a_refusal_of_the_producer_is_told():
    with pytest.raises(dv.ImportRefused, match="Arrow: not today"):
        dv.from_arrow(Answer(BufferError("not today")))


def test_an_array_is_consumed_once():
    producer = Producer()
    capsules = producer.capsules()
    v = dv.from_arrow(Answer(capsules))
    with pytest.raises(dv.ImportRefused, match="array was released, or taken over"):
        dv.from_arrow(Answer(capsules))
    v.release()
    del capsules
    gc.collect()
    assert producer.released == {"schema": 1, "array": 1}


def pair_of(first, second):
    return lambda: (first(), second())


def schema_capsule():
    return Producer().capsules()[0]


def array_capsule():
    return Producer().capsules()[1]


ANSWERS = {
    "nothing": lambda: None,
    "a number": lambda: 1,
    "an empty tuple": lambda: (),
    "one capsule": lambda: (schema_capsule(),),
    "a list": lambda: list(Producer().capsules()),
    "three": lambda: (*Producer().capsules(), None),
    "a schema alone": schema_capsule,
    "twice the schema": pair_of(schema_capsule, schema_capsule),
    "the wrong way round": pair_of(array_capsule, schema_capsule),
    "addresses": lambda: (1, 2),
    "none of both": lambda: (None, None),
    "a schema of another name": pair_of(
        lambda: named_capsule(Producer().schema, b"arrowschema"), array_capsule
    ),
    "an array of another name": pair_of(
        schema_capsule, lambda: named_capsule(Producer().array, b"arrow_arrays")
    ),
    "a capsule without a name": pair_of(
        schema_capsule, lambda: named_capsule(Producer().array, None)
    ),
}


@pytest.mark.parametrize("what", ANSWERS)
@pytest.mark.parametrize("method", ["__arrow_c_array__", "__arrow_c_device_array__"])
def test_an_answer_that_is_no_pair_of_capsules_is_refused(what, method):
    with pytest.raises(dv.ImportRefused, match=r"expected a (tuple of two )?capsule"):
        dv.from_arrow(Answer(ANSWERS[what](), method))


def member(name, value, part=0, which=1):
    return lambda producer: setattr(producer.parts[part][which], name, value)


def schema_member(name, value, part=0):
    return member(name, value, part, 0)


def both(*changes):
    def change(producer):
        for each in changes:
            each(producer)

    return change


def no_release(part, which):
    return lambda p: setattr(p.parts[part][which], "release", type(p.parts[part][which].release)())


def null_buffer(producer):
    producer.parts[-1][1].buffers[1] = None


def high_buffer(producer):
    producer.parts[-1][1].buffers[1] = 2**64 - 8


def no_child(which):
    return lambda producer: setattr(
        producer.parts[0][which], "children", type(producer.parts[0][which].children)()
    )


def null_child(which):
    def change(producer):
        producer.parts[0][which].children[0] = type(producer.parts[0][which].children[0])()

    return change


def dictionary(which):
    def change(producer):
        structure = producer.parts[0][which]
        structure.dictionary = ctypes.pointer(structure)

    return change


def deep(count):
    """Give a schema and an array that are their own child."""

    def change(producer):
        schema, array = producer.parts[0]
        schema.format = b"+w:1"
        schema.children[0] = ctypes.pointer(schema)
        array.children[0] = ctypes.pointer(array)
        array.length = count

    return change


def pairs(*numbers):
    return struct.pack(f"={len(numbers)}i", *numbers) + bytes(64)


LIST = {"values": tuple(range(12)), "lists": (3,)}

# Members, what becomes of them, and the sentence that names them.
MALFORMED = {
    "length -1": ({}, member("length", -1), r"array\.length is -1"),
    "length INT64_MIN": ({}, member("length", -(2**63)), r"array\.length is -9223372036854775808"),
    "offset -1": ({}, member("offset", -1), r"array\.offset is -1"),
    "offset and length beyond int64": (
        {}, member("offset", 2**63 - 1), r"offset 9223372036854775807 and length 4",
    ),
    "bytes beyond int64": ({}, member("offset", 2**62), "bytes are more than int64"),
    "length beyond int64 bytes": ({}, member("length", 2**61), "bytes|int64"),
    "null_count -2": ({}, member("null_count", -2), r"null_count is -2"),
    "null_count beyond the length": ({}, member("null_count", 5), "null_count is 5, the length 4"),
    "nulls": ({}, lambda p: p.bitmap(0b1101, null_count=1), "null_count is 1.*fill them"),
    "nulls without a bitmap": ({}, member("null_count", 1), "null_count is 1"),
    "nulls uncounted": ({}, lambda p: p.bitmap(0b1101), "nulls among 4 items"),
    "n_buffers 0": ({}, member("n_buffers", 0), "n_buffers is 0, the type has 2"),
    "n_buffers 1": ({}, member("n_buffers", 1), "n_buffers is 1, the type has 2"),
    "n_buffers 3": ({}, member("n_buffers", 3), "n_buffers is 3, the type has 2"),
    "n_buffers -1": ({}, member("n_buffers", -1), "n_buffers is -1"),
    "buffers NULL": ({}, lambda p: setattr(p.array, "buffers", type(p.array.buffers)()),
                     r"array\.buffers is NULL"),
    "no items": ({}, null_buffer, r"buffers\[1\] is NULL, the length 4"),
    "items beyond the address space": ({}, high_buffer, "leave the address space"),
    "n_children 1": ({}, member("n_children", 1), "n_children is 1, the type has 0"),
    "n_children -1": ({}, member("n_children", -1), "n_children is -1, the type has 0"),
    "dictionary of the array": ({}, dictionary(1), r"array\.dictionary"),
    "array released": ({}, no_release(0, 1), "array was released"),
    "schema released": ({}, no_release(0, 0), "schema was released"),
    "schema's n_children 1": ({}, schema_member("n_children", 1), "schema.n_children.* is 1"),
    "schema's n_children -1": ({}, schema_member("n_children", -1), "schema.n_children.* is -1"),
    "schema's n_children 2^62": ({}, schema_member("n_children", 2**62), "schema.n_children"),
    "dictionary": ({}, dictionary(0), "dictionary-encoded; decode"),
    "format NULL": ({}, schema_member("format", None), "schema.format is NULL"),
    "format empty": ({}, schema_member("format", b""), "format '' is none"),
    "format unknown": ({}, schema_member("format", b"q"), "format 'q' is none"),
    "format repeated": ({}, schema_member("format", b"ii"), "format 'ii' is none"),
    "format of bytes": ({}, schema_member("format", b"\xff\n"), r"format '\\xff\\x0a' is none"),
    "format too long": ({}, schema_member("format", b"i" * 4096), "more than 255 bytes"),
    "time zone too long": ({}, schema_member("format", b"tss:" + b"Z" * 300), "255 bytes"),
    "w without a size": ({}, schema_member("format", b"w:"), "'w:': the size is no number"),
    "w of size 0": ({}, schema_member("format", b"w:0"), "'w:0': the size is no number from 1"),
    "w of size -1": ({}, schema_member("format", b"w:-1"), "'w:-1': the size is no number"),
    "w of size 2^31": ({}, schema_member("format", b"w:2147483648"), "the size is no number"),
    "w of size 10^30": ({}, schema_member("format", b"w:1" + b"0" * 30), "the size is no number"),
    "w with more": ({}, schema_member("format", b"w:4x"), "'w:4x': the size is no number"),
    "w with a sign": ({}, schema_member("format", b"w:+4"), "the size is no number"),
    "w with a space": ({}, schema_member("format", b"w: 4"), "the size is no number"),
    "w beyond int64": (
        {}, both(schema_member("format", b"w:2147483647"), member("length", 2**33)), "int64",
    ),
    "list without a size": (LIST, schema_member("format", b"+w:"), "the size is no number"),
    "list of size -3": (LIST, schema_member("format", b"+w:-3"), "the size is no number"),
    "list of size 10^30": (LIST, schema_member("format", b"+w:1" + b"0" * 30), "no number"),
    "list longer than its child": (LIST, member("length", 5), "length is 12, .* 5 times 3"),
    "list offset beyond its child": (LIST, member("offset", 1), "children.*length is 12"),
    "list beyond int64": (LIST, member("length", 2**62), "children.*length is 12"),
    "list with two buffers": (LIST, member("n_buffers", 2), "n_buffers is 2, the type has 1"),
    "list without children": (LIST, member("n_children", 0), "n_children is 0, the type has 1"),
    "list of two children": (LIST, member("n_children", 2), "n_children is 2, the type has 1"),
    "list with children NULL": (LIST, no_child(1), "children is NULL"),
    "list with a child NULL": (LIST, null_child(1), "children is NULL"),
    "list with a released child": (LIST, no_release(1, 1), r"children\[0\] was released"),
    "list's schema without children": (
        LIST, schema_member("n_children", 0), "schema.n_children.* is 0",
    ),
    "list's schema with children NULL": (LIST, no_child(0), "schema.children.* is NULL"),
    "list's schema with a child NULL": (LIST, null_child(0), "schema.children.* is NULL"),
    "list's schema with a released child": (
        LIST, no_release(1, 0), r"schema.children\[0\].*released",
    ),
    "child's length -1": (LIST, member("length", -1, 1), r"children\[0\]\.length is -1"),
    "child's offset -1": (LIST, member("offset", -1, 1), r"children\[0\]\.offset is -1"),
    "child's offset 2^63-1": (LIST, member("offset", 2**63 - 1, 1), "more than int64"),
    "child's bytes beyond int64": (LIST, member("offset", 2**62, 1), "more than int64"),
    "child's null_count -2": (LIST, member("null_count", -2, 1), r"\[0\]\.null_count is -2"),
    "child's n_buffers 1": (LIST, member("n_buffers", 1, 1), r"children\[0\]\.n_buffers is 1"),
    "child's items NULL": (LIST, null_buffer, r"children\[0\]\.buffers\[1\] is NULL"),
    "child's format unknown": (LIST, schema_member("format", b"?", 1), "format '\\?' is none"),
    "child of variable size": (LIST, schema_member("format", b"u", 1), "type utf8"),
    "child's dictionary": (LIST, lambda p: setattr(p.parts[1][0], "dictionary",
                                                   ctypes.pointer(p.parts[1][0])),
                           "dictionary-encoded"),
    "nulls among lists": (LIST, lambda p: p.bitmap(0b0111), "nulls among 4 items"),
    "nulls in a list": (LIST, lambda p: p.bitmap(2**12 - 2, part=1), "nulls among 12 items"),
    "nulls in a list, counted": (
        LIST, lambda p: p.bitmap(2**12 - 2, part=1, null_count=1), "nulls among 12 items",
    ),
    "nulls in a list without a bitmap": (LIST, member("null_count", 1, 1), "null_count is 1"),
    "lists without end": (LIST, deep(1), "more than 64 axes"),
    "empty lists without end": (LIST, deep(0), "more than 64 axes"),
    "extension type": ({"metadata": extension("arrow.uuid")}, None, "'arrow.uuid' .*storage"),
    "extension of a list": (
        LIST, lambda p: setattr(p.parts[0][0], "metadata", TENSOR), "fixed_shape_tensor.*storage",
    ),
    "bool8 of another storage": ({"metadata": extension("arrow.bool8")}, None, "bool8.*format 'i'"),
    "metadata of -1 pairs": ({"metadata": pairs(-1)}, None, "metadata: pairs: -1"),
    "metadata of 2^31-1 pairs": ({"metadata": pairs(2**31 - 1)}, None, "metadata: pairs: 2147"),
    "metadata with a key of -1": ({"metadata": pairs(1, -1)}, None, "metadata: a key: -1"),
    "metadata with a key of 2^31-1": ({"metadata": pairs(1, 2**31 - 1)}, None, "a key: 2147483647"),
    "metadata with a value of -5": ({"metadata": pairs(1, 0, -5)}, None, "metadata: a value: -5"),
}  # fmt: skip

_tensor = ctypes.create_string_buffer(extension("arrow.fixed_shape_tensor"))
TENSOR = ctypes.addressof(_tensor)


@pytest.mark.parametrize("offer", [Host, OnDevice])
@pytest.mark.parametrize("what", MALFORMED)
def test_a_malformed_array_is_refused_and_released_once(what, offer):
    options, change, match = MALFORMED[what]
    producer = Producer(**options, change=change)
    gone = {
        "array released": {"schema": 1},
        "schema released": {"array": 1},
    }.get(what, {"schema": 1, "array": 1})
    with pytest.raises(dv.ImportRefused, match=match):
        dv.from_arrow(offer(producer))
    gc.collect()
    assert producer.released == gone
    with pytest.raises(dv.ImportRefused, match="Arrow: "):
        dv.view(offer(Producer(**options, change=change)))


NAMES = {
    b"n": "null", b"b": "boolean", b"z": "binary", b"Z": "large_binary", b"vz": "binary_view",
    b"u": "utf8", b"U": "large_utf8", b"vu": "utf8_view", b"d:5,2": "decimal",
    b"d:5,2,256": "decimal", b"tdD": "date32", b"tdm": "date64", b"tts": "time", b"ttm": "time",
    b"ttu": "time", b"ttn": "time", b"tss:": "timestamp", b"tsm:UTC": "timestamp",
    b"tsu:Europe/Berlin": "timestamp", b"tsn:": "timestamp", b"tDs": "duration",
    b"tDn": "duration", b"tiM": "interval", b"tiD": "interval", b"tin": "interval",
    b"+l": "list", b"+L": "large_list", b"+vl": "list_view", b"+vL": "large_list_view",
    b"+s": "struct", b"+m": "map", b"+ud:4,5": "union", b"+us:4,5": "union",
    b"+r": "run_end_encoded",
}  # fmt: skip


@pytest.mark.parametrize("format", NAMES)
def test_a_type_that_would_lose_something_is_refused_by_name(format):
    producer = Producer(change=schema_member("format", format))
    with pytest.raises(dv.ImportRefused, match=f"type {NAMES[format]} "):
        dv.from_arrow(Host(producer))
    assert producer.released == {"schema": 1, "array": 1}


PLACES = {
    "type 0": ({"device_type": 0}, "device_type is 0"),
    "type 5": ({"device_type": 5}, "device_type is 5"),
    "type 19": ({"device_type": 19}, "device_type is 19"),
    "type -1": ({"device_type": -1}, "device_type is -1"),
    "CUDA device -1": ({"device_type": 2, "device_id": -1}, "device_id is -1"),
    "CUDA device 2^31": ({"device_type": 2, "device_id": 2**31}, "device_id is 2147483648"),
    "CUDA device 77": ({"device_type": 2, "device_id": 77}, "cudaErrorInvalidDevice|device 77"),
    "event of the host": ({"sync_event": 8}, "sync_event of cpu"),
    "event of ROCm": ({"device_type": 10, "device_id": 0, "sync_event": 8}, "sync_event of rocm"),
}


@pytest.mark.parametrize("what", PLACES)
def test_a_device_that_makes_no_sense_is_refused(what):
    place, match = PLACES[what]
    producer = Producer()
    with pytest.raises(dv.ImportRefused, match=match):
        dv.from_arrow(OnDevice(producer, **place))
    assert producer.released == {"schema": 1, "array": 1}
