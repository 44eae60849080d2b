"""Producers of `__array_interface__` and `__cuda_array_interface__`, and their common faults."""

from __future__ import annotations

import weakref

from .case import ACCEPT, EITHER, RAISE, REFUSE, Expect, Memory, Probe, ProducerError, Release
from .tensor import ITEMS, SHAPE

TOP = 1 << 63
WRAP = 1 << 64
ABSENT = object()
GOOD = {"shape": SHAPE, "items": ITEMS}

# name, why, expected, changes of the good dictionary (callables: of the memory), what must show
Row = tuple[str, str, Expect, dict, dict]


class Holding(Release):
    """The producer itself: an interface has no deleter, so it has to be held by the result."""

    def __init__(self, producer):
        super().__init__()
        weakref.finalize(producer, self._gone)

    def owed(self, refused: bool) -> tuple[int, ...] | None:
        """Count nothing: that it goes in the end is seen for every producer."""
        return None

    def _gone(self) -> None:
        self.taken_back += 1


def producer_of(attribute: str, value):
    """Return an object with that one attribute."""
    return type("Interfacing", (), {attribute: value})()


def probe_of(attribute: str, value, **shown) -> Probe:
    """Return a probe of an object whose attribute is `value` (a property: its answer)."""
    producer = producer_of(attribute, value)
    return Probe(producer, releases=[Holding(producer)], **shown)


def changed(base: dict, changes: dict, memory: Memory) -> dict:
    """Return `base` with entries replaced, or left out where ABSENT."""
    told = base | {
        key: value(memory) if callable(value) else value for key, value in changes.items()
    }
    return {key: value for key, value in told.items() if value is not ABSENT}


def row(name: str, why: str, expect: Expect = REFUSE, shown: dict | None = None, **changes) -> Row:
    """Return one row of a table of cases."""
    return (name, why, expect, changes, shown or {})


class Index:
    """An integer by `__index__` only."""

    def __init__(self, value):
        self.value = value

    def __index__(self):
        return self.value


class Size(int):
    """An int of a class of its own."""


TYPESTRS = (
    row("typestr missing", "required", typestr=ABSENT),
    row("typestr None", "no string", typestr=None),
    row("typestr an int", "no string", typestr=4),
    row("typestr bytes", "no string", EITHER, typestr=b"<f4"),
    row("typestr empty", "nothing said", typestr=""),
    row("typestr '<'", "no kind", typestr="<"),
    row("typestr '<f'", "no size", typestr="<f"),
    row("typestr 'f4'", "no byte order", EITHER, typestr="f4"),
    row("typestr 'x'", "no typestr", typestr="x"),
    row("typestr '<i9'", "no such integer", typestr="<i9"),
    row("typestr '<f3'", "no such float", typestr="<f3"),
    row("typestr '<c3'", "no such complex", typestr="<c3"),
    row("typestr '<z4'", "no such kind", typestr="<z4"),
    row("typestr '<b2'", "bools are bytes", typestr="<b2"),
    row("typestr '#f4'", "no such byte order", typestr="#f4"),
    row("typestr '<f4x'", "text behind", typestr="<f4x"),
    row("typestr '<f4' and NUL", "text behind", typestr="<f4\0"),
    row("typestr '<f 4'", "a space within", typestr="<f 4"),
    row("typestr '<f+4'", "no digits", typestr="<f+4"),
    row("typestr '<f-4'", "a negative size", typestr="<f-4"),
    row("typestr with an Arabic 4", "digits are ASCII", typestr="<f\u0664"),
    row("typestr with a lone surrogate", "no UTF-8", typestr="<\ud800"),
    row("typestr '<f4294967300'", "4 modulo 2**32", typestr="<f4294967300"),
    row("typestr '<f18446744073709551620'", "4 modulo 2**64", typestr="<f18446744073709551620"),
    row("typestr of a million digits", "a long text", typestr="<f" + "4" * 1_000_000),
    row("typestr '|V9223372036854775807'", "an item of all memory", shape=(2,),
        typestr="|V9223372036854775807"),
    row("typestr '|V0'", "items of no size", EITHER, typestr="|V0"),
    row("typestr '<M8[x]'", "no such unit", typestr="<M8[x]"),
)  # fmt: skip

DESCRS = (
    row("descr no list", "ignored or refused", EITHER, typestr="|V8", shape=(2,), descr=5),
    row("descr smaller than typestr", "the rest may be padding", EITHER, typestr="|V8", shape=(2,),
        descr=[("a", "<f4")]),
    row("descr larger than typestr", "8 bytes told twice", typestr="|V8", shape=(2,),
        descr=[("a", "<f8"), ("b", "<f4")]),
    row("descr members without a type", "('a',)", typestr="|V8", shape=(2,),
        descr=[("a",), ("b",)]),
    row("descr members no tuples", "names only", typestr="|V8", shape=(2,), descr=["a", "b"]),
    row("descr names no strings", "5 and 6", typestr="|V8", shape=(2,),
        descr=[(5, "<f4"), (6, "<f4")]),
    row("descr names the same", "which one?", EITHER, typestr="|V8", shape=(2,),
        descr=[("a", "<f4"), ("a", "<f4")]),
    row("descr member typestr '<f3'", "no such float", typestr="|V8", shape=(2,),
        descr=[("a", "<f3"), ("b", "|V5")]),
    row("descr extent -1", "a negative sub-array", typestr="|V8", shape=(2,),
        descr=[("a", "<f4", (-1,)), ("b", "|V12")]),
    row("descr extent 2**62", "its bytes wrap to 0", typestr="|V8", shape=(2,),
        descr=[("a", "<f4", (1 << 62,)), ("b", "<f8")]),
    row("descr extents 2**32 by 2**32", "their product wraps", typestr="|V8", shape=(2,),
        descr=[("a", "<f4", (1 << 32, 1 << 32)), ("b", "<f8")]),
    row("descr of 10000 levels", "a bomb", typestr="|V8", shape=(2,), descr=lambda _: deep(10_000)),
    row("descr within itself", "no end", typestr="|V8", shape=(2,), descr=lambda _: circle()),
    row("descr of 200000 members", "800000 bytes in 8", typestr="|V8", shape=(2,),
        descr=[("", "<f4")] * 200_000),
    row("descr beside '<f4'", "a scalar needs none", EITHER, descr=[("", "<i4")]),
)  # fmt: skip

DATA = (
    row("data str", "an address as text, as in 2005", data=lambda m: (hex(m.host), False)),
    row("data float", "no address", data=lambda m: (float(m.host), False)),
    row("data None in the tuple", "no address", data=(None, False)),
    row("data -1", "no address", data=(-1, False)),
    row("data 2**64", "no address", data=(WRAP, False)),
    row("data 2**200", "no address", data=(1 << 200, False)),
    row("data (flag, address)", "the two exchanged", data=lambda m: (False, m.host)),
    row("data without flag", "a tuple of one", data=lambda m: (m.host,)),
    row("data of three", "a tuple of three", data=lambda m: (m.host, False, 24)),
    row("data an int", "no tuple", data=lambda m: m.host),
    row("data a str", "no tuple", data="ab"),
    row("data NULL, 24 bytes", "memory at address 0", data=(0, False)),
    row("data at 2**64 - 8", "ends past the address space", data=(WRAP - 8, False)),
    row("size 0, data NULL", "as the standard wants it", ACCEPT, {"shape": (0, 3)},
        shape=(0, 3), data=(0, False)),
)  # fmt: skip

SHAPES = (
    row("shape missing", "required", shape=ABSENT),
    row("shape None", "no tuple", shape=None),
    row("shape an int", "no tuple", shape=6),
    row("shape a str", "no tuple", shape="23"),
    row("shape a dict", "no tuple", shape={2: 3}),
    row("shape a list", "no tuple, but a sequence", EITHER, GOOD, shape=[2, 3]),
    row("extent -3", "negative", shape=(2, -3)),
    row("two negative extents", "their product is positive", shape=(-2, -3)),
    row("extents floats", "no integers", shape=(2.0, 3.0)),
    row("extents strings", "no integers", shape=("2", "3")),
    row("extent None", "no integer", shape=(2, None)),
    row("extents bools", "Python's bools are integers", EITHER, shape=(True, True)),
    row("extents of a subclass of int", "integers", ACCEPT, GOOD, shape=(Size(2), Size(3))),
    row("extents by __index__", "integers, as NumPy's are", EITHER, GOOD,
        shape=(Index(2), Index(3))),
    row("extent by __index__, 10**30", "no int64", shape=(Index(10**30), 3)),
    row("extent by __index__, a str", "no integer", shape=(Index("2"), 3)),
    row("extent 2**63", "no int64", shape=(TOP,)),
    row("extent 2**64 + 2", "2 modulo 2**64", shape=(WRAP + 2, 3)),
    row("product wraps to 0", "2**32 * 2**32", shape=(1 << 32, 1 << 32)),
    row("bytes wrap to 4", "2**62 + 1 items of 4 bytes", shape=((1 << 62) + 1,)),
    row("bytes are 2**63", "more than an object can have", shape=(1 << 61,)),
    row("extent 0 beside -1", "size 0 does not excuse it", shape=(0, -1)),
    row("extent 0 beside 2**63 - 1", "size 0, each an int64", EITHER, shape=(0, TOP - 1)),
    row("65 axes", "more than most libraries have", EITHER, shape=(1,) * 65),
    row("100000 axes", "more than any library has", EITHER, shape=(1,) * 100_000),
    row("no axes", "one item", ACCEPT, {"shape": (), "items": 0.0}, shape=()),
)  # fmt: skip

STRIDES = (
    row("strides None", "C-contiguous", ACCEPT, GOOD, strides=None),
    row("strides missing one", "one for each axis", strides=(12,)),
    row("strides one too many", "one for each axis", strides=(12, 4, 4)),
    row("strides empty", "one for each axis", strides=()),
    row("strides an int", "no tuple", strides=4),
    row("strides floats", "no integers", strides=(12.0, 4.0)),
    row("strides strings", "no integers", strides=("12", "4")),
    row("stride None", "no integer", strides=(None, 4)),
    row("stride 2**63", "no int64", strides=(TOP, 4)),
    row("stride 2**63 - 1", "past the address space", shape=(4, 3), strides=(TOP - 1, 4)),
    row("stride INT64_MIN", "before the address space", strides=(-TOP, 4)),
    row("stride -2**62", "before the address space", strides=(-(1 << 62), 4)),
    row("strides that add up past int64", "three times 2**62 bytes", shape=(2, 2, 2),
        strides=(1 << 62, 1 << 62, 1 << 62)),
    row("strides 0", "a broadcast item", ACCEPT, {"shape": SHAPE, "items": [[0.0] * 3] * 2},
        strides=(0, 0)),
    row("transposed", "Fortran order", ACCEPT,
        {"shape": SHAPE, "items": [[0.0, 2.0, 4.0], [1.0, 3.0, 5.0]]}, strides=(4, 8)),
    row("negative strides", "from the last item back", ACCEPT,
        {"shape": SHAPE, "items": [[5.0, 4.0, 3.0], [2.0, 1.0, 0.0]]}, strides=(-12, -4),
        data=lambda m: (m.host + 20, False)),
    row("strides of 13 bytes", "no multiple of the item", EITHER, strides=(13, 4)),
)  # fmt: skip

OTHERS = (
    row("version missing", "required", version=ABSENT),
    row("version None", "no integer", version=None),
    row("version '3'", "no integer", version="3"),
    row("version 99", "a later one", EITHER, version=99),
    row("mask an object", "a view cannot keep it", mask=Index(1)),
    row("mask True", "a view cannot keep it", mask=True),
    row("mask None", "as if absent", ACCEPT, GOOD, mask=None),
    row("an unknown key", "may come with a later version", ACCEPT, GOOD, surprise=1),
    row("read-only", "the flag must be kept", ACCEPT, {"shape": SHAPE, "readonly": True},
        data=lambda m: (m.host, True)),
)  # fmt: skip

GROUPS = (TYPESTRS, DESCRS, DATA, SHAPES, STRIDES, OTHERS)


def deep(levels: int) -> list:
    """Return a descr of records in records."""
    told: object = "<f4"
    for _ in range(levels):
        told = [("a", told)]
    return told


def circle() -> list:
    """Return a descr that is a member of itself."""
    told: list = []
    told.append(("a", told))
    return told


class Liar(dict):
    """A dict whose methods tell something else than what it holds."""

    def __getitem__(self, key):
        return {"shape": (1 << 40, 1 << 40), "typestr": "<f8"}.get(key, super().__getitem__(key))

    def get(self, key, default=None):
        """Tell the larger shape here, too."""
        return self[key]


class Raising(dict):
    """A dict that raises KeyError for what it holds."""

    def __getitem__(self, key):
        raise KeyError(key)

    def get(self, key, default=None):
        """Raise, too."""
        raise KeyError(key)


def objects(attribute: str, good) -> list[tuple[str, str, Expect, object]]:
    """Return the cases of the attribute itself; `good(memory)` is a good dictionary."""

    def answer(value_of, **shown):
        return lambda memory: probe_of(attribute, value_of(memory), **shown)

    def raising(exception: type[BaseException]):
        def make(_memory: Memory) -> Probe:
            def told(_self):
                raise probe.fails(exception("the attribute's own"))

            probe = probe_of(attribute, property(told))
            return probe

        return make

    def raising_index(memory: Memory) -> Probe:
        class RaisingIndex:
            def __index__(self):
                raise probe.fails(ProducerError("__index__"))

        probe = probe_of(attribute, good(memory) | {"shape": (RaisingIndex(), 3)})
        return probe

    def raising_flag(memory: Memory) -> Probe:
        class RaisingFlag:
            def __bool__(self):
                raise probe.fails(ProducerError("__bool__"))

        told = good(memory)
        probe = probe_of(attribute, told | {"data": (told["data"][0], RaisingFlag())})
        return probe

    def emptied(memory: Memory) -> Probe:
        told = good(memory)

        class Emptying:
            def __index__(self):
                told.clear()
                return 2

        told["shape"] = (Emptying(), 3)
        return probe_of(attribute, told)

    def by_getattr(memory: Memory) -> Probe:
        class Asking:
            def __getattr__(self, name):
                if name == attribute:
                    raise probe.fails(ProducerError(name))
                raise AttributeError(name)

        producer = Asking()
        probe = Probe(producer, releases=[Holding(producer)])
        return probe

    def anew_each_time(memory: Memory) -> Probe:
        calls = []

        def told(_self):
            calls.append(None)
            return good(memory) | ({"shape": (1 << 40, 1 << 40)} if len(calls) > 1 else {})

        return probe_of(attribute, property(told))

    return [
        ("it is None", "no dictionary", REFUSE, answer(lambda _: None)),
        ("it is a list", "no dictionary", REFUSE, answer(lambda m: list(good(m).items()))),
        ("it is a str", "no dictionary", REFUSE, answer(lambda m: str(good(m)))),
        ("it is a function", "an attribute, no method", REFUSE,
         answer(lambda m: staticmethod(lambda: good(m)))),
        ("it is empty", "everything is missing", REFUSE, answer(lambda _: {})),
        ("it is a dict that lies", "each key read once, or the dict itself", EITHER,
         answer(lambda m: Liar(good(m)))),
        ("it is a dict that raises", "or the dict itself is read", EITHER,
         answer(lambda m: Raising(good(m)))),
        ("it changes with each reading", "good the first time only", EITHER, anew_each_time),
        ("a property gives it", "the usual way", ACCEPT,
         answer(lambda m: property(lambda _: good(m)), shape=SHAPE)),
        ("it raises KeyError", "kept as it is", RAISE, raising(KeyError)),
        ("it raises RuntimeError", "kept as it is", RAISE, raising(RuntimeError)),
        ("it raises its own exception", "kept as it is", RAISE, raising(ProducerError)),
        ("it raises ValueError", "a refusal", RAISE, raising(ValueError)),
        ("it raises AttributeError", "not offered", REFUSE, raising(AttributeError)),
        ("__getattr__ raises its own", "kept as it is", RAISE, by_getattr),
        ("an extent's __index__ raises", "kept as it is", RAISE, raising_index),
        ("an extent's __index__ empties it", "no entry is borrowed meanwhile", EITHER, emptied),
        ("the flag's __bool__ raises", "kept as it is", RAISE, raising_flag),
    ]  # fmt: skip
