"""The C exchange API's consumer: crafted tables, each member of which may be wrong."""

from __future__ import annotations

import ctypes
import weakref

import numpy as np
import pytest

import devview as dv
import dlpack_capsules as dl
from dlpack_capsules import Crafted
from exchange_tables import (
    ATTRIBUTE,
    BAD,
    ENTRIES,
    FROM_OBJECT,
    Table,
    address_of,
)
from support import EMULATED, no_gc

REFUSED = "DLPack C exchange API: "


def refused(obj, words: str) -> None:
    """Hold an object with nothing but a table to its refusal."""
    with pytest.raises(dv.ImportRefused, match=f"{REFUSED}.*{words}"):
        dv.view(obj)


# --- What comes in ---


def test_view_of_a_table():
    table = Table()
    v = dv.view(table.producer())
    assert table.calls == 1
    assert v.ptr == table.crafted.array.ctypes.data
    assert (v.shape, v.strides, v.format, str(v.device)) == ((4, 6), (24, 4), "f", "cpu")
    v[0, 0] = 9.0
    assert table.crafted.array[0] == 9.0
    assert table.streams_asked == []  # the host has none
    w = v[1:]
    v.release()
    assert table.deleted == 0
    w.release()
    assert table.deleted == 1


@pytest.mark.parametrize("flags", [0, dl.READ_ONLY, dl.IS_COPIED, dl.READ_ONLY | dl.IS_COPIED])
def test_read_only_is_kept(flags):
    table = Table()
    table.crafted.managed.flags = flags
    v = dv.view(table.producer())
    assert v.readonly == bool(flags & dl.READ_ONLY)


def test_metadata_is_copied():
    table = Table()
    v = dv.view(table.producer())
    table.crafted.tensor.shape[0] = -1
    table.crafted.tensor.strides[0] = 1 << 62
    assert (v.shape, v.strides) == ((4, 6), (24, 4))


def test_the_table_comes_before_all_other_protocols():
    table = Table()
    obj = table.producer(
        __dlpack__=lambda *_, **__: pytest.fail("__dlpack__ called"),
        __array_interface__=property(lambda _: pytest.fail("__array_interface__ read")),
    )
    assert dv.view(obj).ptr == table.crafted.array.ctypes.data


def test_a_subclass_has_its_bases_table():
    table = Table()
    base = type(table.producer())
    assert dv.view(type("Sub", (base,), {})()).shape == (4, 6)
    opted_out = type("OptedOut", (base,), {ATTRIBUTE: None})()
    with pytest.raises(dv.ImportRefused, match=REFUSED + "not offered"):
        dv.view(opted_out)
    assert table.calls == 1


def test_options_of_view():
    table = Table()
    with pytest.raises(BufferError, match="copy=False"):
        dv.view(table.producer(), device="cuda:0", copy=False)
    assert table.deleted == 1
    v = dv.view(table.producer(), device="cuda:0")
    assert v.device == dv.Device("cuda:0")
    assert table.deleted == 2
    assert v.tolist() == table.crafted.array.reshape(4, 6).tolist()
    assert dv.view(table.producer(), readonly=True).readonly


def test_the_producer_is_not_held_by_the_view():
    """The tensor holds what it needs; nothing else is promised for the object."""
    table = Table()
    obj = table.producer()
    gone = weakref.ref(obj)
    with no_gc():
        v = dv.view(obj)
        del obj
        assert gone() is None
        assert v.tolist() == table.crafted.array.reshape(4, 6).tolist()


# --- Where the table is looked for ---


def test_an_attribute_of_the_object_is_no_table():
    obj = type("Instance", (), {})()
    setattr(obj, ATTRIBUTE, Table().capsule())
    refused(obj, "not offered")


class Meta(type):
    """A metaclass that may add the attribute itself."""

    table = None

    def __getattr__(cls, name):
        if name == ATTRIBUTE and Meta.table is not None:
            return Meta.table() if callable(Meta.table) else Meta.table
        raise AttributeError(name)


def test_a_metaclass_may_offer_the_table(monkeypatch):
    class Producer(metaclass=Meta):
        pass

    refused(Producer(), "not offered")
    table = Table()
    monkeypatch.setattr(Meta, "table", table.capsule())
    assert dv.view(Producer()).shape == (4, 6)
    monkeypatch.setattr(Meta, "table", lambda: 1 // 0)
    with pytest.raises(ZeroDivisionError):
        dv.view(Producer())
    assert table.deleted == 1


def test_a_metaclass_may_have_the_attribute():
    """An attribute of the class is found first, as for any other name."""
    table, other = Table(), Table()
    meta = type("Meta", (type,), {ATTRIBUTE: table.capsule()})
    assert dv.view(meta("Producer", (), {})()).shape == (4, 6)
    dv.view(meta("Producer", (), {ATTRIBUTE: other.capsule()})())
    assert (table.calls, other.calls) == (1, 1)


class Descriptor:
    def __init__(self, result):
        self.result = result

    def __get__(self, instance, owner):
        assert instance is None, "asked of the type"
        return self.result()


def raising(error):
    def run(*_):
        raise error

    return run


def test_a_descriptor_may_offer_the_table():
    table = Table()
    assert dv.view(table.producer(Descriptor(table.capsule))).shape == (4, 6)
    refused(table.producer(Descriptor(raising(AttributeError("gone")))), "not offered")
    refused(table.producer(Descriptor(raising(TypeError("no types today")))), "no types today")
    with pytest.raises(KeyError, match="kept"):
        dv.view(table.producer(Descriptor(raising(KeyError("kept")))))
    assert table.calls == 1


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (lambda table: ctypes.addressof(table.api), "an int"),
        (lambda table: True, "an int"),
        (lambda table: "dlpack_exchange_api", "expected a capsule, got 'str'"),
        (lambda table: table.capsule(b"dltensor"), "name is 'dltensor', expected"),
        (lambda table: table.capsule(b"dlpack_exchange_api\n"), r"'dlpack_exchange_api\?'"),
        (lambda table: table.capsule(b"\xff\x01" * 500), "name is '"),
        (lambda table: table.capsule(b""), "name is ''"),
        (lambda table: table.capsule(None), "name is null"),
        (lambda table: table.capsule(shift=4), "no multiple of 8"),
    ],
)
def test_values_that_are_no_table(value, words):
    table = Table()
    refused(table.producer(value(table)), words)
    assert table.calls == 0


# --- Versions ---


@pytest.mark.parametrize("minor", [0, 3, 99])
def test_any_minor_version_is_understood(minor):
    assert dv.view(Table(version=(1, minor)).producer()).shape == (4, 6)


@pytest.mark.parametrize("version", [(99, 0), (2, 3), (0, 8)])
def test_other_major_versions_are_not(version):
    table = Table(version=version, **dict.fromkeys(ENTRIES, 0xDEAD0))
    refused(table.producer(), f"version {version[0]}.{version[1]} ")


def test_an_older_table_is_found():
    oldest = Table()
    middle = Table(version=(2, 0), previous=oldest, **dict.fromkeys(ENTRIES, 0xDEAD0))
    newest = Table(version=(3, 0), previous=middle, **dict.fromkeys(ENTRIES, 0xDEAD0))
    v = dv.view(newest.producer())
    assert oldest.calls == 1
    v.release()
    assert oldest.deleted == 1


def test_the_newest_table_that_is_understood_is_used():
    older = Table(version=(1, 2))
    newer = Table(previous=older)
    dv.view(newer.producer())
    assert (newer.calls, older.calls) == (1, 0)


@pytest.mark.parametrize("length", [1, 2, 3])
def test_a_ring_of_tables_ends(length):
    ring = [Table(version=(99, i)) for i in range(length)]
    for i, table in enumerate(ring):
        table.api.header.previous = ctypes.pointer(ring[(i + 1) % length].api.header)
    refused(ring[0].producer(), "version 99.0 and no older table")


# --- Entries ---


@pytest.mark.parametrize("null", ENTRIES)
def test_null_entries(null):
    table = Table(**{null: None})
    if null == FROM_OBJECT:
        refused(table.producer(), f"{FROM_OBJECT} is null")
    else:  # not needed for host memory
        assert dv.view(table.producer()).shape == (4, 6)
        assert table.deleted == 1


C_SIZE = address_of(ctypes.pythonapi.PyObject_Size)  # -1, with what __len__ raises
C_BAD_ARGUMENT = address_of(ctypes.pythonapi.PyErr_BadArgument)  # 0, with a TypeError


@pytest.mark.parametrize("error", [KeyError("x"), ZeroDivisionError("y"), KeyboardInterrupt("z")])
def test_exceptions_of_the_table_are_kept(error):
    obj = Table(**{FROM_OBJECT: C_SIZE}).producer(__len__=raising(error))
    with pytest.raises(type(error)) as caught:
        dv.view(obj)
    assert caught.value is error


@pytest.mark.parametrize("error", [BufferError, ValueError, TypeError])
def test_refusals_of_the_table_are_told(error):
    refused(
        Table(**{FROM_OBJECT: C_SIZE}).producer(__len__=raising(error("not today"))), "not today"
    )


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        (lambda _object, _out: -1, "returned -1 and set no exception"),
        (lambda _object, _out: 7, "returned 7 and set no exception"),
        (lambda _object, _out: 0, "returned 0 and no tensor"),
        pytest.param(C_BAD_ARGUMENT, "bad argument", id="bad argument"),
    ],
)
def test_entries_that_give_nothing(entry, words):
    refused(Table(**{FROM_OBJECT: entry}).producer(), words)


def test_a_tensor_beside_a_failure_is_not_ours():
    crafted = Crafted()

    def fail(_object, out):
        out[0] = ctypes.addressof(crafted.managed)
        return -1

    refused(Table(crafted, **{FROM_OBJECT: fail}).producer(), "returned -1")
    assert crafted.deleted == 0


@pytest.mark.parametrize("case", BAD)
def test_bad_tensors_are_refused_and_deleted_once(case):
    table = Table()
    BAD[case](table.crafted)
    refused(table.producer(), "")
    assert (table.calls, table.deleted) == (1, 1)


def test_bad_tensor_with_a_null_deleter():
    table = Table(Crafted(null_deleter=True))
    table.crafted.tensor.ndim = -1
    refused(table.producer(), "ndim -1")


def test_the_next_protocol_is_asked_after_a_refusal():
    a = np.arange(3.0)
    table = Table()
    table.crafted.tensor.ndim = -1
    obj = table.producer(__array_interface__=property(lambda _: a.__array_interface__))
    assert dv.view(obj).ptr == a.ctypes.data
    assert table.deleted == 1


# --- CUDA memory and its stream ---


def device_table(v: dv.View, **entries) -> Table:
    """Make a table for a tensor of the memory of a view."""
    crafted = Crafted()
    crafted.tensor.data = v.ptr
    crafted.tensor.device = dl.Device(*v.device.dlpack)
    return Table(crafted, **entries)


@EMULATED
@pytest.mark.parametrize("handle", [None, 1])
def test_the_legacy_stream(handle):
    v = dv.zeros((4, 6), "f", device="cuda:1")
    table = device_table(v, stream=handle)
    w = dv.view(table.producer())
    assert table.streams_asked == [(dl.CUDA, 1)]
    assert (w.ptr, w.device, w.stream.handle) == (v.ptr, v.device, 1)
    w.release()
    assert table.deleted == 1


@EMULATED
def test_the_producers_stream_is_the_views():
    v = dv.zeros((4, 6), "f", device="cuda:1")
    stream = dv.Stream("cuda:1")
    table = device_table(v, stream=stream.handle)
    dv.emulation.set_delay(20_000)
    dv.copyto(v, dv.view(np.full((4, 6), 7, "f4")).to("cuda:1"), stream=stream)
    w = dv.view(table.producer())
    assert w.stream.handle == stream.handle
    assert w.to("cpu", stream=dv.Stream("cuda:1")).tolist() == [[7.0] * 6] * 4


@EMULATED
def test_the_callers_stream_waits_for_the_producers():
    v = dv.zeros((4, 6), "f", device="cuda:1")
    producer, caller = dv.Stream("cuda:1"), dv.Stream("cuda:1")
    table = device_table(v, stream=producer.handle)
    dv.emulation.clear()
    w = dv.view(table.producer(), stream=caller)
    calls = list(dv.emulation.calls)
    assert calls.count("cudaStreamWaitEvent") == 1
    assert not any("Synchronize" in call for call in calls)
    assert w.stream == caller
    with pytest.raises(dv.ImportRefused, match="a stream of cuda:0, work on cuda:1"):
        dv.view(table.producer(), stream=dv.Stream("cuda:0"))
    dv.emulation.fail("cudaStreamWaitEvent", 1, 719)
    with pytest.raises(dv.DeviceError, match="719"):
        dv.view(table.producer(), stream=caller)
    dv.emulation.clear_sticky()
    assert table.deleted == 2
    w.release()
    assert table.deleted == 3


@EMULATED
@pytest.mark.parametrize(
    ("entry", "words"),
    [
        (None, "current_work_stream is null, for memory on cuda:1"),
        (lambda *_: -1, "current_work_stream returned -1 and set no exception"),
        pytest.param(C_BAD_ARGUMENT, "bad argument", id="bad argument"),
    ],
)
def test_streams_that_are_not_told(entry, words):
    v = dv.zeros((4, 6), "f", device="cuda:1")
    table = device_table(v, current_work_stream=entry)
    refused(table.producer(), words)
    assert table.deleted == 1


@EMULATED
@pytest.mark.parametrize("device", ["pinned", "managed"])
def test_pinned_and_managed_memory_needs_no_stream(device):
    """PyTorch tells null for its pinned memory."""
    v = dv.zeros((4, 6), "f", device=device)
    table = device_table(v, stream=None)
    w = dv.view(table.producer())
    assert (w.device, w.tolist()) == (v.device, [[0.0] * 6] * 4)
    w.release()
    stream = dv.Stream("cuda:0")
    dv.emulation.set_delay(20_000)
    dv.copyto(v, dv.view(np.full((4, 6), 7, "f4")).to("cuda:0"), stream=stream)
    told = device_table(v, stream=stream.handle)
    assert dv.view(told.producer()).tolist() == [[7.0] * 6] * 4


@EMULATED
def test_memory_of_another_device_than_told():
    v = dv.zeros((4, 6), "f", device="cuda:1")
    table = device_table(v)
    table.crafted.tensor.device.id = 2
    refused(table.producer(), "cuda:1.*cuda:2")
    assert (table.deleted, table.streams_asked) == (1, [])
