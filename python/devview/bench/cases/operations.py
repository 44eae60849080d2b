"""What is done with views that are there: slices, attributes, casts."""

from __future__ import annotations

from devview.bench.case import Case, Promise, Side
from devview.bench.cases.handover import BARE, host

ATTRIBUTES = ("shape", "strides", "ndim", "itemsize", "nbytes")


def attribute(name: str) -> Case:
    """Return the case of reading one attribute."""
    return Case(
        "view",
        f"read {name}",
        (
            Side("devview", f"v2.{name}", "ours"),
            Side("ndarray", f"a.{name}"),
            Side("memoryview", f"m2.{name}"),
            # A C getter that answers with its own object.
            Side("int.real", "n.real", "limit"),
        ),
        lambda quick: host(quick) | {"n": 7},
        (Promise("ndarray", at_most=1.1),),
    )


def operation(name: str, ours: str, *peers: Side, promise: Promise | None = None) -> Case:
    """Return the case of a statement on the view `v2` of the array `a`, or `v` of the bytes `b`."""
    sides = (Side("devview", ours, "ours"), *peers, Side(BARE, "callable(v2)", "limit"))
    return Case("view", name, sides, host, (promise,) if promise else ())


CASES = (
    operation(
        "slice of two axes",
        "v2[1:, ::2]",
        Side("ndarray", "a[1:, ::2]"),
        promise=Promise("ndarray", at_most=0.85),
    ),
    operation(
        "slice of one axis",
        "v[1:100]",
        Side("memoryview", "m[1:100]"),
    ),
    operation("transpose", "v2.T", Side("ndarray", "a.T")),
    operation("cast to bytes", "v2.cast('B')", Side("memoryview", "m2.cast('B')")),
    operation("reshape", "v2.reshape(50, 200)", Side("ndarray", "a.reshape(50, 200)")),
    *(attribute(name) for name in ATTRIBUTES),
)
