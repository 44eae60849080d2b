"""A table of DLPack's C exchange API in which each entry can be made wrong, and its types."""

from __future__ import annotations

import ctypes

from . import abi
from .case import Memory, Probe, Release
from .tensor import Managed, Tensor

_kept: list[object] = []  # tables live as long as the process, says the standard


class Given:
    """What a consumer made of a tensor through `to_object`, which took the tensor over."""

    def __init__(self, address: int):
        self._struct = abi.ManagedTensorVersioned.from_address(address)
        tensor = self._struct.tensor
        self.ndim = tensor.ndim
        self.shape = tuple((ctypes.c_int64 * max(0, tensor.ndim)).from_address(tensor.shape or 1))

    def __del__(self):
        if self._struct.deleter:
            abi.Deleter(self._struct.deleter)(ctypes.addressof(self._struct))


def keep(thing):
    """Keep `thing`, which C code points to, for good; returns it."""
    _kept.append(thing)
    return thing


class Table:
    """A DLPackExchangeAPI; `told` is the tensor that `from_object` gives anew each time.

    `entries` replace functions by other addresses (None: NULL).
    """

    def __init__(self, memory: Memory, told: Tensor | None = None, version=(1, 3), **entries):
        self.memory, self.tensor = memory, told or Tensor()
        self.handed: list[Managed] = []
        self.faults: list[str] = []
        self.from_object_gives = 0
        self.fills_out = True
        self.stream_gives = 0
        self._callbacks = {
            "allocator": abi.Allocator(lambda *_: -1),
            "from_object": abi.FromObject(self.give),
            "to_object": abi.ToObject(self._to_object),
            "tensor_from_object": abi.TensorFromObject(self._tensor_from_object),
            "current_work_stream": abi.WorkStream(self._current_work_stream),
        }
        self.struct = abi.ExchangeAPI()
        self.struct.major, self.struct.minor = version
        for name, callback in self._callbacks.items():
            address = entries.get(name, ctypes.cast(callback, ctypes.c_void_p).value)
            setattr(self.struct, name, address)
        _kept.append(self)

    @property
    def address(self) -> int:
        """Where the table lies."""
        return ctypes.addressof(self.struct)

    def before(self, previous: Table) -> Table:
        """Make `previous` the older table; returns this one."""
        self.struct.prev_api = previous.address
        return self

    def unusable(self) -> Table:
        """Note every call of this table as a fault: its version is not the consumer's."""
        self.from_object_gives = -1
        self.faults = []
        self.forbidden = f"a function of a table of version {self.struct.major} was called"
        return self

    forbidden = ""

    def give(self, _object, out) -> int:
        """Be `managed_tensor_from_py_object_no_sync`: a new tensor each time."""
        abi.pending_exception()
        if self.forbidden:
            self.faults.append(self.forbidden)
        if self.fills_out:
            managed = Managed(self.tensor, self.memory)
            managed.given = int(self.from_object_gives >= 0)  # after a failure it stays here
            self.handed.append(managed)
            out[0] = managed.address
        else:
            out[0] = None
        return self.from_object_gives

    def _to_object(self, address, out) -> int:
        given = Given(address)
        abi.new_reference(id(given))
        out[0] = id(given)
        return 0

    def _tensor_from_object(self, _object, out) -> int:
        managed = Managed(self.tensor, self.memory)  # borrowed: nobody deletes it
        ctypes.pointer(out.contents)[0] = managed.tensor
        return 0

    def _current_work_stream(self, _type, _id, out) -> int:
        out[0] = None
        return self.stream_gives


class Handed(Release):
    """All tensors that a table gave, as one thing to count."""

    def __init__(self, *tables: Table):
        super().__init__()
        self.tables = tables

    def faults(self, refused: bool) -> list[str]:
        """Return what is wrong with any of them."""
        return [
            fault
            for table in self.tables
            for managed in table.handed
            for fault in managed.faults(refused)
        ]

    @property
    def early(self) -> bool:
        """Whether the tensor last given went while the result was alive."""
        handed = [managed for table in self.tables for managed in table.handed]
        return bool(handed) and handed[-1].taken_back > 0


def probe_of(table: Table, *older: Table, attribute=..., kind=None, **shown) -> Probe:
    """Return a probe whose type offers `table` (or `attribute` in its place)."""
    if attribute is ...:
        attribute = abi.capsule(table.address, abi.EXCHANGE)
    members = {"__dlpack_c_exchange_api__": attribute}
    producer = type("Exchanging", (kind or object,), members)()
    tables = (table, *older)

    def unmask() -> list[str]:
        return [fault for one in tables for fault in one.faults]

    return Probe(producer, releases=[Handed(*tables)], unmask=unmask, **shown)
