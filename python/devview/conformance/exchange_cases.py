"""Crafted tables of DLPack's C exchange API, on types that offer nothing else."""

from __future__ import annotations

import ctypes
import itertools

from . import abi
from .case import ACCEPT, EITHER, RAISE, REFUSE, Case, Expect, Memory, Probe, ProducerError
from .exchange_table import Handed, Table, keep, probe_of
from .tensor import ITEMS, SHAPE, Tensor

FAMILY = "exchange"
GOOD = {"shape": SHAPE, "items": ITEMS}


def _tensor(**told):
    return lambda memory: probe_of(Table(memory, Tensor(**told)))


def _entries(shown: dict | None = None, **entries):
    return lambda memory: probe_of(Table(memory, **entries), **(shown or {}))


def _attribute(value_of):
    """Return a maker of types the attribute of which is `value_of(table)`."""

    def make(memory: Memory) -> Probe:
        table = Table(memory)
        return probe_of(table, attribute=value_of(table))

    return make


def _named(name: bytes | None):
    return _attribute(lambda table: abi.capsule(table.address, name))


def _answer(code: int, fills_out: bool):
    def make(memory: Memory) -> Probe:
        table = Table(memory)
        table.from_object_gives, table.fills_out = code, fills_out
        return probe_of(table)

    return make


def _raising(exception: type[BaseException]):
    """Return a maker of tables whose `from_object` gives -1 with an exception set."""

    def make(memory: Memory) -> Probe:
        class Raising:
            def __bool__(self):
                raise probe.fails(exception("from_object's own"))

        probe = probe_of(Table(memory, from_object=abi.IS_TRUE), kind=Raising)
        return probe

    return make


def nothing_and_no_error(memory: Memory) -> Probe:
    """`from_object` gives 0 and leaves what it should fill."""

    class Falsy:
        def __bool__(self):
            return False

    return probe_of(Table(memory, from_object=abi.IS_TRUE), kind=Falsy)


def on_the_instance(memory: Memory) -> Probe:
    """Offer the table on the instance only."""

    class Bare:
        pass

    table, bare = Table(memory), Bare()
    bare.__dlpack_c_exchange_api__ = abi.capsule(table.address, abi.EXCHANGE)
    return Probe(bare, releases=[Handed(table)])


def raising_metaclass(exception: type[BaseException]):
    """Return a maker of types the attribute of which raises."""

    def make(_memory: Memory) -> Probe:
        class Meta(type):
            @property
            def __dlpack_c_exchange_api__(cls):
                raise probe.fails(exception("the attribute's own"))

        probe = Probe(Meta("Exchanging", (), {})())
        return probe

    return make


def of_a_base_class(memory: Memory) -> Probe:
    """Give an instance of a subclass of the type that the table was made for."""
    probe = probe_of(Table(memory))
    probe.producer = type("Derived", (type(probe.producer),), {})()
    return probe


def newer_alone(version: tuple[int, int]):
    """Return a maker of tables of another major version that work all the same."""
    return lambda memory: probe_of(Table(memory, version=version))


def walk(length: int, *, ends: str):
    """Return a maker of `length` tables of major 99 and what comes behind them."""

    def make(memory: Memory) -> Probe:
        newer = [Table(memory, version=(99, 0)).unusable() for _ in range(min(length, 50))]
        # The rest are headers only: that is all that may be read of them.
        headers = keep((abi.ExchangeAPI * max(1, length - len(newer)))())
        chain = [table.struct for table in newer] + list(headers)[: length - len(newer)]
        for struct in chain[len(newer) :]:
            struct.major = 99
        for struct, previous in itertools.pairwise(chain):
            struct.prev_api = ctypes.addressof(previous)
        if ends == "cycle":
            chain[-1].prev_api = ctypes.addressof(chain[0])
            return probe_of(*newer)
        if ends == "nothing":
            return probe_of(*newer)
        good = Table(memory, **({"from_object": None} if ends == "empty table" else {}))
        chain[-1].prev_api = good.address
        return probe_of(*newer, good, **(GOOD if ends == "good table" else {}))

    return make


def asked_again_inside(memory: Memory) -> Probe:
    """`from_object` has the same importer view another object of the type."""
    table = Table(memory)
    probe = probe_of(table, **GOOD)
    plain = table.give
    held = []

    def drive(importer):
        def nested(one, out):
            if not held:
                held.append(None)
                held[0] = importer(type(probe.producer)())
            return plain(one, out)

        callback = keep(abi.FromObject(nested))
        table.struct.from_object = ctypes.cast(callback, ctypes.c_void_p)
        try:
            return importer(probe.producer)
        finally:
            held.clear()

    probe.drive = drive
    return probe


def attribute_goes_meanwhile(memory: Memory) -> Probe:
    """`from_object` deletes the attribute of its type."""
    table = Table(memory)
    probe = probe_of(table, **GOOD)
    plain, kind = table.give, type(probe.producer)

    def deleting(one, out):
        if "__dlpack_c_exchange_api__" in vars(kind):
            del kind.__dlpack_c_exchange_api__
        return plain(one, out)

    callback = keep(abi.FromObject(deleting))
    table.struct.from_object = ctypes.cast(callback, ctypes.c_void_p)
    return probe


def stream_fails(memory: Memory) -> Probe:
    """Memory of a device, and `current_work_stream` gives -1."""
    table = Table(memory, Tensor(device=(abi.CUDA, 0)))
    table.stream_gives = -1
    return probe_of(table)


def stream_missing(memory: Memory) -> Probe:
    """Memory of a device, and `current_work_stream` is NULL."""
    return probe_of(Table(memory, Tensor(device=(abi.CUDA, 0)), current_work_stream=None))


ROWS: tuple[tuple[str, str, Expect, object], ...] = (
    ("tensor_from_object NULL", "the one entry that may be", ACCEPT,
     _entries(GOOD, tensor_from_object=None)),
    ("from_object NULL", "nothing can be had", REFUSE, _entries(from_object=None)),
    ("allocator NULL", "not needed for an import", EITHER, _entries(allocator=None)),
    ("to_object NULL", "not needed for an import", EITHER, _entries(to_object=None)),
    ("current_work_stream NULL", "not needed for the host", EITHER,
     _entries(current_work_stream=None)),
    ("all entries NULL", "a table of nothing", REFUSE,
     _entries(allocator=None, from_object=None, to_object=None, tensor_from_object=None,
              current_work_stream=None)),
    ("capsule of another name", "no exchange table", REFUSE, _named(b"dlpack_exchange")),
    ("capsule without a name", "no exchange table", REFUSE, _named(None)),
    ("capsule of a tensor", "no exchange table", REFUSE, _named(abi.VERSIONED)),
    ("attribute None", "the usual way to take it away", REFUSE, _attribute(lambda _: None)),
    ("attribute 0", "a null pointer as an older spelling", REFUSE, _attribute(lambda _: 0)),
    ("attribute -1", "no address", REFUSE, _attribute(lambda _: -1)),
    ("attribute 2**70", "no address", REFUSE, _attribute(lambda _: 1 << 70)),
    ("attribute str", "no capsule", REFUSE, _attribute(lambda _: "dlpack_exchange_api")),
    ("attribute the address", "an older spelling", EITHER, _attribute(lambda table: table.address)),
    ("attribute a function", "that would return the capsule", REFUSE,
     _attribute(lambda table: staticmethod(lambda: abi.capsule(table.address, abi.EXCHANGE)))),
    ("attribute a property", "the type gives the property itself", REFUSE,
     _attribute(lambda table: property(lambda _: abi.capsule(table.address, abi.EXCHANGE)))),
    ("attribute on the instance", "the table belongs to the type", EITHER, on_the_instance),
    ("attribute of a base class", "its functions want the exact type", EITHER, of_a_base_class),
    ("attribute raises KeyError", "kept as it is", RAISE, raising_metaclass(KeyError)),
    ("attribute raises its own exception", "kept as it is", RAISE,
     raising_metaclass(ProducerError)),
    ("attribute raises AttributeError", "not offered", REFUSE, raising_metaclass(AttributeError)),
    ("table of major 0", "before the first", REFUSE, newer_alone((0, 9))),
    ("table of major 2", "another layout", REFUSE, newer_alone((2, 0))),
    ("table of major 99", "another layout", REFUSE, newer_alone((99, 0))),
    ("table of minor 99", "newer, compatible", ACCEPT,
     lambda memory: probe_of(Table(memory, version=(1, 99)), **GOOD)),
    ("prev_api, once", "the older table is the right one", ACCEPT, walk(1, ends="good table")),
    ("prev_api, three times", "the oldest is the right one", ACCEPT, walk(3, ends="good table")),
    ("prev_api, 1000 times", "a long walk", EITHER, walk(1000, ends="good table")),
    ("prev_api to nothing", "none fits", REFUSE, walk(2, ends="nothing")),
    ("prev_api to itself", "a walk without end", REFUSE, walk(1, ends="cycle")),
    ("prev_api in a cycle of three", "a walk without end", REFUSE, walk(3, ends="cycle")),
    ("prev_api to a table of NULLs", "the older table gives nothing", REFUSE,
     walk(1, ends="empty table")),
    ("from_object gives -1, no exception", "must become one", REFUSE, _answer(-1, False)),
    ("from_object fills, then gives -1", "a failure keeps the tensor", REFUSE, _answer(-1, True)),
    ("from_object gives 0 and NULL", "no tensor, no error", REFUSE, _answer(0, False)),
    ("from_object gives 0, fills nothing", "no tensor, no error", REFUSE, nothing_and_no_error),
    ("from_object gives 1", "neither success nor failure", EITHER, _answer(1, False)),
    ("from_object raises KeyError", "kept as it is", RAISE, _raising(KeyError)),
    ("from_object raises RuntimeError", "kept as it is", RAISE, _raising(RuntimeError)),
    ("from_object raises its own exception", "kept as it is", RAISE, _raising(ProducerError)),
    ("from_object raises BufferError", "a refusal", RAISE, _raising(BufferError)),
    ("from_object imports, too", "re-entrant", ACCEPT, asked_again_inside),
    ("from_object deletes the attribute", "the table stays", ACCEPT, attribute_goes_meanwhile),
    ("tensor of ndim -1", "owned by the importer when refused", REFUSE, _tensor(ndim=-1)),
    ("tensor without shape", "owned by the importer when refused", REFUSE,
     _tensor(shape=None, strides=(1, 1), ndim=2)),
    ("tensor of a negative extent", "owned by the importer when refused", REFUSE,
     _tensor(shape=(2, -3), strides=(3, 1))),
    ("tensor whose bytes wrap", "owned by the importer when refused", REFUSE,
     _tensor(shape=((1 << 62) + 1,))),
    ("tensor of stride 2**62", "owned by the importer when refused", REFUSE,
     _tensor(strides=(1 << 62, 1))),
    ("tensor at NULL", "owned by the importer when refused", REFUSE, _tensor(data=0)),
    ("tensor whose offset wraps", "owned by the importer when refused", REFUSE,
     _tensor(byte_offset=-256)),
    ("tensor of code 99", "owned by the importer when refused", REFUSE, _tensor(dtype=(99, 32, 1))),
    ("tensor of lanes 0", "owned by the importer when refused", REFUSE,
     _tensor(dtype=(abi.FLOAT, 32, 0))),
    ("tensor of device type 99", "owned by the importer when refused", REFUSE,
     _tensor(device=(99, 0))),
    ("tensor of cuda at the host", "owned by the importer when refused", REFUSE,
     _tensor(device=(abi.CUDA, 0), host_pointer=True)),
    ("tensor of major 99", "owned by the importer when refused", REFUSE, _tensor(version=(99, 0))),
    ("tensor without deleter", "nothing to be called", ACCEPT,
     lambda memory: probe_of(Table(memory, Tensor(deleter=False)), **GOOD)),
    ("tensor read-only", "the flag must be kept", ACCEPT,
     lambda memory: probe_of(Table(memory, Tensor(flags=abi.READ_ONLY)), shape=SHAPE,
                             readonly=True)),
)  # fmt: skip

DEVICE_ROWS = (
    ("current_work_stream fails", "for memory of a device", EITHER, stream_fails),
    ("current_work_stream NULL, cuda", "for memory of a device", EITHER, stream_missing),
)


def cases() -> list[Case]:
    """Return the cases of exchange tables."""
    return [
        *(Case(name, FAMILY, why, expect, make) for name, why, expect, make in ROWS),
        *(Case(name, FAMILY, why, expect, make, True) for name, why, expect, make in DEVICE_ROWS),
    ]
