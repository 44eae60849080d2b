"""Items of devview beside memoryview and NumPy: access, iteration, tolist, ==, in one run.

    python bench/items.py [--rounds N] [--only TEXT] [--json FILE]

Timed as bench/handover.py does it: both sides in turn, the ratio is the median of the rounds'
ratios. Below 1 devview is faster.
"""

from __future__ import annotations

import argparse
import array
import json
from pathlib import Path

import numpy as np
from handover import ROUNDS, Case, machine, run_case, show

import devview as dv

CODES = "Bildf"
ACCESS = [
    Case(what, f"{ours.replace('v', 'v' + code)}", f"{ours.replace('v', 'm' + code)}")
    for code in CODES
    for what, ours in (
        (f"get {code}", "v[3]"),
        (f"get {code}", "v[-1]"),
        (f"set {code}", f"v[3] = x{code}"),
    )
]
CASES = (
    *ACCESS,
    Case("get at two indices", "v2[3, 4]", "m2[3, 4]"),
    Case("set at two indices", "v2[3, 4] = xd", "m2[3, 4] = xd"),
    *(
        Case(f"iterate {t}", f"sum(1 for _ in v_{t})", f"sum(1 for _ in m_{t})")
        for t in ("f8", "u1")
    ),
    *(
        Case(f"tolist {t}{what}", f"v_{t}{key}.tolist()", f"a_{t}{key}.tolist()")
        for t in ("f8", "i4", "u1", "f2", "be")
        for what, key in (("", ""), (" strided", "[::2]"), (" 2-d", ".reshape(1000, 100)"))
    ),
    Case("tolist of records", "v_rec.tolist()", "a_rec.tolist()"),
    Case("tolist of nested records", "v_nest.tolist()", "a_nest.tolist()"),
    *(
        Case(
            f"== {t}{what}", f"V_{t}{key} == W_{t}{key}", f"np.array_equal(A_{t}{key}, B_{t}{key})"
        )
        for t in ("f8", "f4", "i4", "u1", "f2", "bool")
        for what, key in (("", ""), (" strided", "[::2]"))
    ),
    Case("== 2-d transposed", "V_2d.T == W_2d.T", "np.array_equal(A_2d.T, B_2d.T)"),
    Case("== i4 and f8", "V_i4 == V_f8", "np.array_equal(A_i4, A_f8)"),
    Case("== i8 and f8", "V_i8 == V_f8", "np.array_equal(A_i8, A_f8)"),
    Case("== big-endian and f8", "V_be == V_f8", "np.array_equal(A_be, A_f8)"),
    Case("== records", "v_rec == w_rec", "(a_rec == b_rec).all()"),
    *(Case(f"== {t}, memoryview", f"v_{t} == w_{t}", f"m_{t} == n_{t}") for t in ("f8", "u1")),
)
DTYPES = {
    **{name: name for name in ("f8", "f4", "f2", "i4", "i8", "u1")},
    "be": ">f8",
    "bool": "?",
    "2d": "f8",
    "rec": [("a", "i4"), ("b", "f8")],
    "nest": [("a", "i4"), ("b", "u1", (3,)), ("c", [("x", "i2"), ("y", "f4")])],
}


def names() -> dict[str, object]:
    """Return what the statements of CASES speak of: views v, w, arrays a, b, memoryviews m, n."""
    scope: dict[str, object] = {"np": np, "v2": None}
    for code in CODES:
        items = array.array(code, [1] * 10)
        scope[f"v{code}"], scope[f"m{code}"] = dv.view(items), memoryview(items)
        scope[f"x{code}"] = 5.0 if code in "df" else 5
    square = np.ones((10, 10))
    scope["v2"], scope["m2"] = dv.view(square), memoryview(square)
    for name, dtype in DTYPES.items():
        for letters, size in (("vwabmn", 100_000), ("VWABMN", 1_000_000)):
            a = np.ones(size, dtype)
            if name == "2d":
                a = a.reshape(-1, 1000)
            b = a.copy()
            views = (dv.view(a), dv.view(b), a, b, memoryview(a), memoryview(b))
            scope |= {f"{letter}_{name}": view for letter, view in zip(letters, views, strict=True)}
    return scope


def main() -> None:
    """Run the comparisons and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--rounds", type=int, default=ROUNDS, metavar="N", help=f"default: {ROUNDS}"
    )
    parser.add_argument("--only", default="", metavar="TEXT", help="cases whose text holds TEXT")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to FILE")
    options = parser.parse_args()
    if options.rounds < 1:
        parser.error("--rounds: at least 1")

    about = machine()
    print(", ".join(f"{name} {value}" for name, value in about.items()))
    print(f"{'operation':<42} {'devview':>8}  {'peer':<24} {'':>8} {'ratio':>6}  10 % to 90 %")
    scope = names()
    results = []
    for case in CASES:
        if options.only in " ".join(case):
            results.append(run_case(case, scope, options.rounds))
            show(results[-1])
    if options.json:
        content = {"about": about, "results": [result._asdict() for result in results]}
        options.json.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
