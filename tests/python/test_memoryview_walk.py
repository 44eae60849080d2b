"""View and memoryview side by side through random chains of operations: the same, step by step.

Where memoryview raises NotImplementedError, or refuses a cast that View is there for, View may
answer; everything else must have the same result, or an error that is memoryview's class.
"""

from __future__ import annotations

import random
import struct

import pytest

import devview as dv

WALKS = range(150)
STEPS = 60
FORMATS = "?cbBhHiIlLqQnNfd"
BYTES = "Bbc"
MEMORY = bytes(random.Random(3118).randbytes(96))
VALUES = (
    *(0, 1, -1, 127, 255, 256, -129, 2**31, 2**63, 2**64, -(2**63) - 1, True, 1.5, -0.0, 1e300),
    *(float("inf"), b"a", b"\xff", b"ab", b"", bytearray(b"a"), "a", None, (1,), [1], 1j, 10**400),
)


class Pair:
    """The same bytes twice, and a View and a memoryview that walk over them."""

    def __init__(self, rng):
        self.rng = rng
        data = bytearray(MEMORY)
        self.memories = (data, bytearray(MEMORY))
        readonly = rng.randrange(4) == 0
        v, m = (bytes(x) if readonly else x for x in self.memories)
        self.v, self.m = dv.view(v), memoryview(m)
        self.all = [(self.v, self.m)]

    def index(self, n):
        return self.rng.randrange(-n - 2, n + 2)

    def slice(self, n, steps=(None, 1, 1, 2, 3, -1, -2, 0)):
        bounds = [None if self.rng.randrange(3) == 0 else self.index(n) for _ in range(2)]
        return slice(*bounds, self.rng.choice(steps))

    def key(self):
        if self.rng.randrange(3) == 0:
            return self.slice(self.m.shape[0] if self.m.ndim else 1)
        indices = tuple(self.index(n) for n in self.m.shape)
        if self.rng.randrange(5) == 0:
            return self.rng.choice((1.5, {}, (0.5,), 2**64, -(2**64), (0,) * 5))
        return indices[0] if len(indices) == 1 and self.rng.randrange(2) else indices


def same_value(mine, theirs) -> bool:
    if isinstance(theirs, memoryview):
        return isinstance(mine, dv.View) and state(mine) == state(theirs)
    # repr: NaN is NaN, and True is not 1
    return type(mine) is type(theirs) and repr(mine) == repr(theirs)


def state(x) -> tuple:
    """Return everything that can be read; of a released one the error's class."""
    try:
        attributes = (x.format, x.itemsize, x.ndim, x.shape, x.strides, x.suboffsets, x.nbytes)
        dense = () if x.nbytes == 0 else (x.c_contiguous, x.f_contiguous, x.contiguous)
        return (*attributes, x.readonly, *dense, repr(x.tolist()), x.tobytes(), x.tobytes("F"))
    except ValueError as error:
        return (type(error),)


def attempt(call, x):
    try:
        return call(x), None
    except Exception as error:
        return None, error


def lifts_a_limit(m, arguments) -> bool:
    """Return whether memoryview refuses this cast for what View is there for."""
    formats = (m.format[-1], arguments[0][-1])
    dense = m.c_contiguous and 0 not in m.shape
    between = all(code not in BYTES for code in formats)
    return between or not dense or (m.ndim != 1 and len(arguments) > 1)


def side(both, x):
    return both[0 if isinstance(x, dv.View) else 1]


def step(pair):
    """Draw one operation: its name, a call that takes either view, the arguments of a cast."""
    rng, m = pair.rng, pair.m
    what = rng.choice(
        (
            *("get", "get", "slice", "slice", "set", "set", "assign", "cast", "cast", "cast"),
            *("shaped", "readonly", "bytes", "list", "hex", "equal", "hash", "len", "contains"),
            *("iterate", "reversed", "with", "copy", "item attributes", "delete"),
        )
    )
    if what == "get":
        key = pair.key()
        return what, lambda x: x[key], None
    if what == "slice":
        key = pair.slice(m.shape[0] if m.ndim else 1)
        return what, lambda x: x[key], None
    if what == "set":
        key, value = pair.key(), rng.choice(VALUES)
        if isinstance(key, slice) and key.step == 0:
            value = b""  # two things wrong at once: which is told first is nobody's rule
        return what, lambda x: x.__setitem__(key, value), None
    if what == "assign":
        steps = (None, 1, 1, 2, -1, -2)
        key, size = pair.slice(m.shape[0] if m.ndim else 1, steps), rng.randrange(0, 9)
        value = rng.choice((bytes(size), bytearray(range(size)), 5, "text", None, [1]))
        if rng.randrange(2):
            other = rng.choice(pair.all)
            return what, lambda x: x.__setitem__(key, side(other, x)), None
        return what, lambda x: x.__setitem__(key, value), None
    if what in ("cast", "shaped"):
        code = rng.choice(("", "", "@")) + rng.choice(FORMATS + BYTES * 4)
        arguments = (code,)
        if what == "shaped":
            arguments = (code, shape_for(rng, m.nbytes // struct.calcsize(code)))
        return what, lambda x: x.cast(*arguments), arguments
    return what, simple_step(rng, what, pair), None


def shape_for(rng, count):
    if rng.randrange(6) == 0:
        return rng.choice(([-1], [2**64], [0], ["x"], [1] * 65, [count, 2], [1.0]))
    shape = []
    while count > 1 and len(shape) < 3 and rng.randrange(3):
        factor = rng.choice([k for k in range(1, count + 1) if count % k == 0])
        shape.append(factor)
        count //= factor
    return [*shape, count]


def simple_step(rng, what, pair):
    other = rng.choice(pair.all)
    value = rng.choice(VALUES)
    order = rng.choice((None, "C", "F", "A", "X", 1))
    return {
        "readonly": lambda x: x.toreadonly(),
        "bytes": lambda x: x.tobytes(order),
        "list": lambda x: x.tolist(),
        "hex": lambda x: x.hex(":", 2) if order else x.hex(),
        "equal": lambda x: x == side(other, x),
        "hash": hash,
        "len": len,
        "contains": lambda x: value in x,
        "iterate": list,
        "reversed": lambda x: list(reversed(x)),
        "with": lambda x: (x.__enter__() is x, x.__exit__(None, None, None)),
        "copy": lambda x: type(x)(x),
        "item attributes": lambda x: (x.obj is not None, x.nbytes, x.ndim),
        "delete": lambda x: x.__delitem__(0),
    }[what]


def released_step(rng):
    name = rng.choice(("tobytes", "tolist", "toreadonly", "__enter__", "__len__", "hex", "release"))
    return f"{name} of a released view", lambda x: getattr(x, name)(), False


@pytest.mark.parametrize("seed", WALKS)
def test_walks_are_memoryviews(seed):
    pair = Pair(random.Random(seed))
    for _ in range(STEPS):
        pair.v, pair.m = pair.rng.choice(pair.all[-8:])
        if pair.v.released:
            told, call, lifted = released_step(pair.rng)
        else:
            what, call, arguments = step(pair)
            told = f"{what} of {state(pair.m)}"
            lifted = arguments is not None and lifts_a_limit(pair.m, arguments)
        (mine, my_error), (theirs, their_error) = (attempt(call, x) for x in (pair.v, pair.m))
        if isinstance(their_error, NotImplementedError) or (lifted and their_error):
            continue
        if their_error is not None or my_error is not None:
            assert isinstance(my_error, type(their_error)), f"{told}: {my_error!r} {their_error!r}"
            continue
        assert same_value(mine, theirs), f"{told}: {mine!r} {theirs!r}"
        assert pair.memories[0] == pair.memories[1], told
        if isinstance(theirs, memoryview):
            pair.all.append((mine, theirs))
    for v, m in pair.all:
        assert state(v) == state(m)
        v.release()
        m.release()
        assert state(v) == state(m)
