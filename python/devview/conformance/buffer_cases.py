"""Malformed, and odd but legal, Py_buffers: from a C type, and from memoryviews without owner."""

from __future__ import annotations

from . import abi
from .buffer import Exporting, Filled, Struct, changed_after, memoryview_of, probe_of
from .case import ACCEPT, EITHER, RAISE, REFUSE, Case, Expect, Memory, Probe, ProducerError
from .tensor import ITEMS, SHAPE

FAMILY = "buffer"
TOP = 1 << 63
WRAP = 1 << 64
GOOD = {"shape": SHAPE, "items": ITEMS}

Row = tuple[str, str, Expect, dict, dict]


def row(name: str, why: str, expect: Expect = REFUSE, shown: dict | None = None, **told) -> Row:
    """Return one row of a table of cases."""
    return (name, why, expect, told, shown or {})


AXES = (
    row("ndim -1", "a negative number of axes", ndim=-1),
    row("ndim -2147483648", "the least int", ndim=-(1 << 31)),
    row("ndim 65", "PyBUF_MAX_NDIM is 64", shape=(1,) * 65, strides=(4,) * 65),
    row("ndim 64", "the most", ACCEPT, {"shape": (1,) * 64}, shape=(1,) * 64, strides=(4,) * 64),
    row("ndim 1000000", "a million axes, each there", shape=(1,) * 1_000_000,
        strides=(4,) * 1_000_000),
    row("ndim 2147483647", "the largest int", ndim=(1 << 31) - 1),
    row("shape NULL, ndim 2", "no extents to read", shape=None, ndim=2, len=24),
    row("shape and strides NULL, ndim 2", "neither array", shape=None, strides=None, ndim=2,
        len=24),
    row("shape NULL, ndim 2, itemsize 0", "a division by zero on the way", shape=None,
        strides=None, ndim=2, len=24, itemsize=0),
    row("shape and strides NULL, ndim 1", "as a simple buffer", EITHER, shape=None, strides=None,
        ndim=1, len=24),
    row("strides NULL", "though they were asked for", EITHER, GOOD, strides=None),
    row("no axes", "one item", ACCEPT, {"shape": (), "items": 0.0}, shape=(), strides=None),
    row("no axes, arrays NULL", "one item", ACCEPT, {"shape": (), "items": 0.0}, shape=None,
        strides=None, len=4),
)  # fmt: skip

EXTENTS = (
    row("extent -3", "negative", shape=(2, -3), len=24),
    row("two negative extents", "their product is positive", shape=(-2, -3), len=24),
    row("extent 0 beside -1", "size 0 does not excuse it", shape=(0, -1), len=0),
    row("product wraps to 0", "2**32 * 2**32", shape=(1 << 32, 1 << 32), len=0),
    row("bytes wrap to 4", "2**62 + 1 items of 4 bytes", shape=((1 << 62) + 1,), strides=(4,),
        len=4),
    row("bytes are 2**63", "more than an object can have", shape=(1 << 61,), strides=(4,),
        len=TOP - 1),
    row("size 0, buf NULL", "nothing to point at", ACCEPT, {"shape": (0, 3)}, shape=(0, 3), buf=0),
)  # fmt: skip

LENGTHS = (
    row("len too large", "25 bytes, 24 told by the shape", len=25),
    row("len much too large", "a simple consumer reads it", len=1 << 40),
    row("len too small", "23 bytes, 24 told by the shape", len=23),
    row("len 0", "24 told by the shape", len=0),
    row("len -1", "negative", len=-1),
    row("len INT64_MIN", "its negation wraps", len=-TOP),
    row("itemsize 0", "items of no size", itemsize=0, len=24),
    row("itemsize 0, len 0", "items of no size", itemsize=0),
    row("itemsize -1", "negative", itemsize=-1, len=24),
    row("itemsize -4", "negative", itemsize=-4, len=-24),
    row("itemsize 8, format 'f'", "4 by the format", itemsize=8),
    row("itemsize 1, format 'f'", "4 by the format", itemsize=1),
    row("itemsize 2**62", "its product wraps to 0", itemsize=1 << 62, shape=(4,), strides=(4,),
        len=0),
)  # fmt: skip

STRIDES = (
    row("stride 2**62", "past the address space", shape=(4, 3), strides=(1 << 62, 4)),
    row("stride INT64_MIN", "before the address space", strides=(-TOP, 4)),
    row("stride -2**62", "before the address space", strides=(-(1 << 62), 4)),
    row("strides that add up past int64", "three times 2**62 bytes", shape=(2, 2, 2),
        strides=(1 << 62, 1 << 62, 1 << 62)),
    row("strides 0", "a broadcast item", ACCEPT, {"shape": SHAPE, "items": [[0.0] * 3] * 2},
        strides=(0, 0)),
    row("transposed", "Fortran order", ACCEPT,
        {"shape": SHAPE, "items": [[0.0, 2.0, 4.0], [1.0, 3.0, 5.0]]}, strides=(4, 8)),
    row("buf NULL", "24 bytes at address 0", buf=0),
    row("buf at 2**64 - 8", "ends past the address space", buf=WRAP - 8),
    row("suboffsets all negative", "then it must be NULL", EITHER, GOOD, suboffsets=(-1, -1)),
    row("suboffset 0 of no axis", "nothing to follow", EITHER, shape=(), strides=None,
        suboffsets=(0,)),
)  # fmt: skip

OWNERS = (
    row("obj NULL", "nobody to tell of the release", EITHER, obj=None),
    row("obj another object", "that one owns it", ACCEPT, GOOD, obj=b"owner"),
    row("read-only", "the flag must be kept", ACCEPT, {"shape": SHAPE, "readonly": True},
        readonly=1),
)  # fmt: skip

# Of memoryviews: what CPython lets through, so that it reaches the importer.
UNOWNED = (
    row("memoryview, itemsize 8, format 'f'", "4 by the format", itemsize=8, shape=(3,),
        strides=(8,)),
    row("memoryview, itemsize 1, format 'd'", "8 by the format", itemsize=1, format=b"d",
        shape=(24,), strides=(1,)),
    row("memoryview, len 2**40", "24 bytes by the shape", len=1 << 40),
    row("memoryview, stride INT64_MIN", "before the address space", strides=(-TOP, 4)),
    row("memoryview, stride -2**62", "before the address space", strides=(-(1 << 62), 4)),
    row("memoryview, extents -2 and -3", "their product is positive", shape=(-2, -3)),
    row("memoryview, format 'T{f'", "never closed", format=b"T{f"),
    row("memoryview, good", "nobody owns it", ACCEPT, GOOD),
    row("memoryview, read-only", "the flag must be kept", ACCEPT,
        {"shape": SHAPE, "readonly": True}, readonly=1),
)  # fmt: skip

GROUPS = (AXES, EXTENTS, LENGTHS, STRIDES, OWNERS)


def _raising(exception: type[BaseException]):
    """Return a maker of types whose bf_getbuffer gives -1 with an exception set."""

    def make(memory: Memory) -> Probe:
        exporting = Exporting(Filled(), memory)

        def __bool__(self):  # noqa: N807 - what PyObject_IsTrue asks
            raise probe.fails(exception("bf_getbuffer's own"))

        kind = type("Raising", (exporting.new_type(abi.IS_TRUE),), {"__bool__": __bool__})
        probe = Probe(kind(), releases=[exporting])
        return probe

    return make


def _answer(code: int, fills: bool):
    def make(memory: Memory) -> Probe:
        exporting = Exporting(Filled(), memory)
        exporting.code, exporting.fills = code, fills
        return Probe(exporting.new_type()(), releases=[exporting])

    return make


def _overwrite_shape(struct: Struct) -> None:
    struct.shape[:] = [1 << 40, -5]


def _overwrite_strides(struct: Struct) -> None:
    struct.strides[:] = [1 << 60, 1 << 60]


BEHAVIOUR = (
    ("getbuffer raises KeyError", "kept as it is", RAISE, _raising(KeyError)),
    ("getbuffer raises RuntimeError", "kept as it is", RAISE, _raising(RuntimeError)),
    ("getbuffer raises its own exception", "kept as it is", RAISE, _raising(ProducerError)),
    ("getbuffer raises BufferError", "a refusal", RAISE, _raising(BufferError)),
    ("getbuffer raises TypeError", "a refusal", RAISE, _raising(TypeError)),
    ("getbuffer gives -1, no exception", "must become one", REFUSE, _answer(-1, False)),
    ("getbuffer gives -1, filled", "nothing may be used or released", REFUSE, _answer(-1, True)),
    ("getbuffer gives 0, fills nothing", "obj NULL, the rest as it was", REFUSE,
     _answer(0, False)),
    ("shape overwritten afterwards", "read once", ACCEPT,
     lambda memory: changed_after(_overwrite_shape, memory, **GOOD)),
    ("strides overwritten afterwards", "read once", ACCEPT,
     lambda memory: changed_after(_overwrite_strides, memory, **GOOD)),
)  # fmt: skip


def case_of(row: Row, maker=probe_of) -> Case:
    """Return the case of one row of a table."""
    name, why, expect, told, shown = row

    def make(memory: Memory) -> Probe:
        return maker(Filled(**told), memory, **shown)

    return Case(name, FAMILY, why, expect, make)


def cases() -> list[Case]:
    """Return the cases of Py_buffers but for their format strings."""
    return [
        *(case_of(row) for group in GROUPS for row in group),
        *(case_of(row, memoryview_of) for row in UNOWNED),
        *(Case(name, FAMILY, why, expect, make) for name, why, expect, make in BEHAVIOUR),
    ]
