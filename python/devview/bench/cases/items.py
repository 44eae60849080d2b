"""Items one by one and all at once: get, set, iterate, tolist, ==."""

from __future__ import annotations

import array
from functools import partial
from typing import Any

from devview.bench.case import Case, Side
from devview.bench.cases.handover import BARE

CODES = "Bildf"
DTYPES: dict[str, Any] = {
    **{name: name for name in ("f8", "f4", "f2", "i4", "i8", "u1")},
    "be": ">f8",
    "bool": "?",
    "rec": [("a", "i4"), ("b", "f8")],
    "nest": [("a", "i4"), ("b", "u1", (3,)), ("c", [("x", "i2"), ("y", "f4")])],
}


def few(quick: bool, code: str) -> dict[str, Any]:
    """Return ten items of one code, and a value."""
    import devview as dv

    items = array.array(code, [1] * 10)
    value = 5.0 if code in "df" else 5
    return {"v": dv.view(items), "m": memoryview(items), "x": value}


def square(quick: bool) -> dict[str, Any]:
    """Return doubles of two axes."""
    import numpy as np

    import devview as dv

    a = np.ones((10, 10))
    return {"v": dv.view(a), "m": memoryview(a), "a": a, "x": 5.0}


def many(quick: bool, names: str, large: bool, key: str = "") -> dict[str, Any]:
    """Return pairs of equal arrays a, b, of their views v, w and of their memoryviews m, n."""
    import numpy as np

    import devview as dv

    size = (1_000_000 if large else 100_000) // (100 if quick else 1)
    scope: dict[str, Any] = {"np": np}
    for suffix, name in zip(("", "2"), names.split(), strict=False):
        a = np.ones(size, DTYPES[name])
        b = a.copy()
        for letter, obj in zip(
            "abvwmn", (a, b, dv.view(a), dv.view(b), a.data, b.data), strict=True
        ):
            scope[letter + suffix] = eval(f"x{key}", {"x": obj}) if letter in "abvw" else obj
    scope["nbytes"] = scope["a"].nbytes
    return scope


def get_and_set() -> list[Case]:
    """Return reads and writes of one item, of every code."""
    return [
        Case(
            "items",
            f"{what} '{code}'",
            (
                Side("devview", statement, "ours"),
                Side("memoryview", statement.replace("v", "m")),
                Side(BARE, "callable(x)", "limit"),
            ),
            partial(few, code=code),
        )
        for what, statement in (("get", "v[3]"), ("set", "v[3] = x"))
        for code in CODES
    ]


def at_two() -> list[Case]:
    """Return a read and a write at two indices."""
    return [
        Case(
            "items",
            f"{what} at two indices",
            (
                Side("devview", statement, "ours"),
                Side("memoryview", statement.replace("v", "m")),
                Side("ndarray", statement.replace("v", "a")),
                Side(BARE, "callable(x)", "limit"),
            ),
            square,
        )
        for what, statement in (("get", "v[3, 4]"), ("set", "v[3, 4] = x"))
    ]


def listed() -> list[Case]:
    """Return iterations and tolist; the limit is a list of as many references."""
    cases = [
        Case(
            "items",
            f"iterate {name}",
            (
                Side("devview", "for _ in v: pass", "ours"),
                Side("memoryview", "for _ in m: pass"),
                Side("list", "for _ in made: pass", "limit"),
            ),
            lambda quick, name=name: (scope := many(quick, name, False))
            | {"made": [1.0] * len(scope["a"])},
        )
        for name in ("f8", "u1")
    ]
    for name in ("f8", "i4", "u1", "f2", "be", "rec", "nest"):
        for what, key in (("", ""), (" strided", "[::2]")):
            if key and name in ("rec", "nest"):
                continue
            cases.append(
                Case(
                    "items",
                    f"tolist {name}{what}",
                    (
                        Side("devview", "v.tolist()", "ours"),
                        Side("ndarray", "a.tolist()"),
                        Side("list of references", "made.copy()", "limit"),
                    ),
                    lambda quick, name=name, key=key: (scope := many(quick, name, False, key))
                    | {"made": [1.0] * len(scope["a"])},
                )
            )
    return cases


def equal() -> list[Case]:
    """Return comparisons of a million items; the limit compares as many bytes."""
    cases = []
    pairs = [(name, "") for name in ("f8", "f4", "i4", "u1", "f2", "bool")]
    pairs += [("f8", "[::2]"), ("u1", "[::2]"), ("i4 f8", ""), ("i8 f8", ""), ("be f8", "")]
    for names, key in pairs:
        mixed = " " in names
        left, right = ("", "2") if mixed else ("", "")
        other = "w2" if mixed else "w"
        cases.append(
            Case(
                "items",
                f"== {names.replace(' ', ' and ')}{' strided' if key else ''}",
                (
                    Side("devview", f"v{left} == {other}", "ours"),
                    Side("np.array_equal", f"np.array_equal(a{left}, b{right})"),
                    Side("bytes ==", "raw == same", "limit"),
                ),
                partial(with_bytes, names=names, key=key),
            )
        )
    return cases


def with_bytes(quick: bool, names: str, key: str) -> dict[str, Any]:
    """Return what `many` does, and two equal bytes objects as long as the items."""
    scope = many(quick, names, True, key)
    raw = scope["a"].tobytes()
    return scope | {"raw": raw, "same": bytes(bytearray(raw))}


CASES = (*get_and_set(), *at_two(), *listed(), *equal())
