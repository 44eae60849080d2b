"""Conversion by value: devview's astype beside NumPy's, in one process and one run.

    python bench/convert.py [--rounds N] [--only TEXT] [--items N] [--json FILE]

Timed as bench/handover.py does: both sides in turn, the ratio is the median of the rounds' ratios.
Below 1 devview is faster. The values are in the range of every type, so that no side saturates.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
from handover import Case, machine, run_case, show

import devview as dv

ROUNDS = 51
ITEMS = 1 << 18
# dtypes of NumPy and the format of the target.
PAIRS = (
    ("f4", "f8", "d"),
    ("f8", "f4", "f"),
    ("i4", "f4", "f"),
    ("u1", "f4", "f"),
    ("i8", "f8", "d"),
    ("f8", "i4", "i"),
    ("f4", "u1", "B"),
    ("i4", "i1", "b"),
    ("f4", "?", "?"),
    ("f8", "c16", "Zd"),
    ("f2", "f4", "f"),
    ("f4", "f2", "e"),
    (">f4", "f4", "f"),
    ("f4", ">i2", ">h"),
)


def cases(items: int) -> tuple[list[Case], dict[str, object]]:
    """Return the comparisons, and what their statements speak of."""
    values = np.random.default_rng(1).uniform(0, 100, items)
    scope: dict[str, object] = {}
    found = []
    for source, target, format in PAIRS:
        name = source.replace(">", "swapped_")
        scope[f"a_{name}"] = array = values.astype(source)
        scope[f"v_{name}"] = dv.view(array)
        ours, peer = f"v_{name}.astype('{format}')", f"a_{name}.astype('{target}')"
        found.append(Case("dense", ours, peer))
    square = values[: int(items**0.5) ** 2].reshape(int(items**0.5), -1)
    for what, array in (
        ("transposed", square.T),
        ("every other", square[:, ::2]),
        ("three of four", values[: items // 4 * 4].reshape(-1, 4)[:, :3]),
    ):
        name = what.replace(" ", "_")
        scope[f"a_{name}"], scope[f"v_{name}"] = array, dv.view(array)
        peer = f"a_{name}.astype('f4', order='C')"
        found.append(Case("f8 to f4", f"v_{name}.astype('f')", peer))
    return found, scope


def main() -> None:
    """Run the comparisons and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--rounds", type=int, default=ROUNDS, metavar="N", help=f"default: {ROUNDS}"
    )
    parser.add_argument("--only", default="", metavar="TEXT", help="cases whose text holds TEXT")
    parser.add_argument("--items", type=int, default=ITEMS, metavar="N", help=f"default: {ITEMS}")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to FILE")
    options = parser.parse_args()
    if options.rounds < 1 or options.items < 16:
        parser.error("--rounds: at least 1, --items: at least 16")

    about = {**machine(), "items": options.items}
    print(", ".join(f"{name} {value}" for name, value in about.items()))
    found, scope = cases(options.items)
    results = []
    for case in found:
        if options.only in " ".join(case[:3]):
            results.append(run_case(case, scope, options.rounds))
            show(results[-1])
    if options.json:
        content = {"about": about, "results": [result._asdict() for result in results]}
        options.json.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
