"""Malformed, and odd but legal, dictionaries of `__cuda_array_interface__`."""

from __future__ import annotations

from .case import ACCEPT, EITHER, REFUSE, Case, Memory, Probe
from .interface import ABSENT, GROUPS, Row, changed, objects, probe_of, row
from .tensor import SHAPE

FAMILY = "cuda-array"
ATTRIBUTE = "__cuda_array_interface__"
SHOWN = {"shape": SHAPE}

# This protocol has no buffer in place of the address, references mean nothing on a device, and a
# stream says when the items are there: 0 is not allowed, for it could be either default stream.
OWN = (
    row("data missing", "required", data=ABSENT),
    row("data None", "required", data=None),
    row("typestr '|O8'", "references of Python in a device's memory", typestr="|O8"),
    row("typestr '>f4'", "big-endian", EITHER, typestr=">f4"),
    row("a record", "typestr |V8 and its descr", EITHER, typestr="|V8", shape=(2,),
        descr=[("a", "<f4"), ("b", "<i4")]),
    row("version 0", "the first", EITHER, version=0),
    row("version -1", "none", EITHER, version=-1),
    row("stream None", "nothing to wait for", ACCEPT, SHOWN, stream=None),
    row("stream 1", "the legacy default stream", ACCEPT, SHOWN, stream=1),
    row("stream 2", "the per-thread default stream", ACCEPT, SHOWN, stream=2),
    row("stream 0", "disallowed: ambiguous", stream=0),
    row("stream -1", "no handle", stream=-1),
    row("stream 2**64", "no handle", stream=1 << 64),
    row("stream '1'", "no integer", stream="1"),
    row("stream 1.0", "no integer", stream=1.0),
    row("stream an object", "no integer", stream=object()),
)  # fmt: skip


def good(memory: Memory) -> dict:
    """Return the dictionary of 2 x 3 float32."""
    return {"version": 3, "shape": SHAPE, "typestr": "<f4", "data": (memory.cuda, False)}


class Elsewhere:
    """A Memory whose host memory is the device's: rows name `host` for the address."""

    def __init__(self, memory: Memory):
        self.host = memory.cuda


def _case(row: Row) -> Case:
    name, why, expect, changes, shown = row
    seen = {key: value for key, value in shown.items() if key != "items"}

    def make(memory: Memory) -> Probe:
        return probe_of(ATTRIBUTE, changed(good(memory), changes, Elsewhere(memory)), **seen)

    return Case(name, FAMILY, why, expect, make)


def memory_of_the_host(memory: Memory) -> Probe:
    """Return a dictionary whose pointer no device can read."""
    return probe_of(ATTRIBUTE, good(memory) | {"data": (memory.host, False)})


def cases() -> list[Case]:
    """Return the cases of `__cuda_array_interface__`."""
    rows = [row for group in (*GROUPS, OWN) for row in group]
    return [
        *(_case(row) for row in rows),
        Case("data of the host", FAMILY, "no device can read it", REFUSE, memory_of_the_host),
        *(Case(name, FAMILY, why, expect, make)
          for name, why, expect, make in objects(ATTRIBUTE, good)),
    ]  # fmt: skip
