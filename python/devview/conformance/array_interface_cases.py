"""Malformed, and odd but legal, dictionaries of `__array_interface__`."""

from __future__ import annotations

from .case import ACCEPT, EITHER, Case, Expect, Memory, Probe
from .interface import ABSENT, GOOD, GROUPS, Row, changed, objects, probe_of, row
from .tensor import SHAPE

FAMILY = "array-interface"
ATTRIBUTE = "__array_interface__"

# Where the two standards differ: without `data` the object's buffer is meant, `offset` goes with
# that one; NumPy's own object arrays are '|O8', and big-endian items are common.
OWN = (
    row("data missing", "the buffer of the object, which has none", data=ABSENT),
    row("data None", "the buffer of the object, which has none", data=None),
    row("data bytes", "a buffer instead of an address", EITHER, data=bytes(24)),
    row("offset beside an address", "an offset belongs to a buffer", EITHER, offset=8),
    row("typestr '|O8'", "references in memory of floats", EITHER, typestr="|O8"),
    row("typestr '>f4'", "big-endian", ACCEPT, {"shape": SHAPE}, typestr=">f4"),
    row("a record", "typestr |V8 and its descr", ACCEPT, {"shape": (2,)}, typestr="|V8",
        shape=(2,), descr=[("a", "<f4"), ("b", "<i4")]),
    row("a record with padding", "a member without name", ACCEPT, {"shape": (2,)}, typestr="|V8",
        shape=(2,), descr=[("a", "<f4"), ("", "|V4")]),
    row("strides absent", "C-contiguous", ACCEPT, GOOD),
)  # fmt: skip


def good(memory: Memory) -> dict:
    """Return the dictionary of 2 x 3 float32."""
    return {"version": 3, "shape": SHAPE, "typestr": "<f4", "data": (memory.host, False)}


def _case(row: Row) -> Case:
    name, why, expect, changes, shown = row

    def make(memory: Memory) -> Probe:
        return probe_of(ATTRIBUTE, changed(good(memory), changes, memory), **shown)

    return Case(name, FAMILY, why, expect, make)


def _object_case(name: str, why: str, expect: Expect, make) -> Case:
    return Case(name, FAMILY, why, expect, make)


def cases() -> list[Case]:
    """Return the cases of `__array_interface__`."""
    rows = [row for group in (*GROUPS, OWN) for row in group]
    return [
        *(_case(row) for row in rows),
        *(_object_case(*told) for told in objects(ATTRIBUTE, good)),
    ]
