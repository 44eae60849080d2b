"""How long hostile formats of up to 1 MiB take to read.

    python bench/format_hostile.py [--rounds N] [--only TEXT] [--json FILE] [--check]

Families are read at five sizes: the table has the processor time of the largest, scaled to 1 MB,
and the growth exponent (least squares of log time over log length; 1 is linear, and what is refused
at its first bytes is near 0). Small formats are cases of `python -m devview bench`.
"""

from __future__ import annotations

import argparse
import json
import math
import platform
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import devview as dv

SIZES = tuple(1 << power for power in range(16, 21))  # bytes; the last is the longest that is read
MILLISECONDS = 50.0  # for 1 MB
EXPONENT = 1.1
ROUNDS = 9


class Family(NamedTuple):
    """One way to be hostile: a text of at most `size` bytes."""

    what: str
    text: Callable[[int], str]


class Growth(NamedTuple):
    """What a family costs: processor time [ms] of 1 MB, and how it grows."""

    what: str
    milliseconds: float
    exponent: float
    seconds: tuple[float, ...]
    outcome: str


def repeat(piece: str, head: str = "", tail: str = "") -> Callable[[int], str]:
    """Return what makes `head`, then `piece` as often as there is room, then `tail`."""
    ends, length = len(head) + len(tail), len(piece.encode())
    return lambda size: head + piece * ((size - ends) // length) + tail


def names(length: int, head: str = "T{", tail: str = "}") -> Callable[[int], str]:
    """Return what makes a record of bytes with names of that length, all different."""

    def text(size: int) -> str:
        count = (size - len(head) - len(tail)) // (length + 3)
        return head + "".join(f"B:{i:0{length}x}:" for i in range(count)) + tail

    return text


FAMILIES = (
    Family("open records", repeat("T{")),
    Family("closed records", lambda size: "T{" * (size // 3) + "}" * (size // 3)),
    Family("empty records", repeat("T{}")),
    Family("records of one", repeat("T{h}")),
    Family("closing braces", repeat("}")),
    Family("open shapes", repeat("(1,")),
    Family("axes", repeat("1,", "(", "1)B")),
    Family("sub-arrays", repeat("(2)i")),
    Family("sub-arrays of nothing", repeat("0(2)i")),
    Family("open functions", repeat("X{")),
    Family("functions", repeat("X{}")),
    Family("one function", repeat("é", "X{", "}")),
    Family("pointers", repeat("&")),
    Family("pointers to pointers", repeat("&&&&i")),
    Family("digits", repeat("9", tail="B")),
    Family("zeros", repeat("0", tail="B")),
    Family("count of 10^22", repeat("i", "1" + "0" * 22)),
    Family("colons", repeat(":")),
    Family("empty names", repeat("B::")),
    Family("one name", repeat("n", "B:", ":")),
    Family("a name without an end", repeat("n", "B:")),
    Family("names of 6", names(6)),
    Family("names of 14", names(14)),
    Family("names of 14, 63 deep", names(14, "T{" * 63, "}" * 63)),
    Family("names of 300", names(300)),
    Family("names of 1000", names(1000)),
    Family("names, not ASCII", lambda size: names(7)(size // 2).replace("B:0", "B:é")),
    Family("the same name", repeat("B:name:", "T{", "}")),
    Family("padding", repeat("x")),
    Family("padding and spaces", repeat("x ")),
    Family("counted padding", repeat("1x")),
    Family("nothing", repeat("0i")),
    Family("members", repeat("i")),
    Family("members, both orders", repeat("<i>i")),
    Family("strings", repeat("1s")),
    Family("bits", repeat("3t")),
    Family("complex", repeat("Zd")),
    Family("spaces", repeat(" ")),
    Family("spaces before a name", repeat(" ", "B", ":a:")),
    Family("prefixes", repeat("<>")),
    Family("NUL at the end", repeat(" ", tail="\0")),
    Family("a bad code at the end", repeat("B:", tail="y")),
)


def read_once(text: str) -> str:
    """Read a format and let it go; return how that ended."""
    try:
        dv.Format(text)
    except dv.FormatError as error:
        return str(error)
    return "read"


def processor_seconds(text: str, rounds: int) -> float:
    """Return the least time of this thread: other load on the machine counts least."""
    times = []
    for _ in range(rounds):
        before = time.thread_time()
        read_once(text)
        times.append(time.thread_time() - before)
    return min(times)


def grow(family: Family, rounds: int) -> Growth:
    """Measure a family at all sizes."""
    texts = [family.text(size) for size in SIZES]
    assert all(len(text.encode()) <= size for text, size in zip(texts, SIZES, strict=True))
    seconds = [max(processor_seconds(text, rounds), 1e-9) for text in texts]
    lengths = [math.log(len(text.encode())) for text in texts]
    slope = statistics.linear_regression(lengths, [math.log(value) for value in seconds]).slope
    megabytes = len(texts[-1].encode()) / 1e6
    return Growth(
        family.what, seconds[-1] * 1e3 / megabytes, slope, tuple(seconds), read_once(texts[-1])
    )


def show_growth(growth: Growth) -> None:
    """Print one row of the table of families."""
    print(
        f"{growth.what:<24} {growth.milliseconds:>8.3f} ms/MB {growth.exponent:>6.2f}  "
        f"{growth.outcome[:76]}",
        flush=True,
    )


def main() -> None:
    """Measure the families and print their table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--rounds", type=int, default=ROUNDS, metavar="N", help=f"default: {ROUNDS}"
    )
    parser.add_argument("--only", default="", metavar="TEXT", help="families whose name holds TEXT")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to FILE")
    parser.add_argument(
        "--check",
        action="store_true",
        help=f"fail over {MILLISECONDS:.0f} ms/MB, or an exponent over {EXPONENT}",
    )
    options = parser.parse_args()
    if options.rounds < 1:
        parser.error("--rounds: at least 1")

    about = {
        "devview": dv.__version__,
        "python": platform.python_version(),
        "machine": platform.machine(),
    }
    print(", ".join(f"{name} {value}" for name, value in about.items()))
    print(f"{'family':<24} {'at 1 MiB':>14} {'growth':>6}  outcome")
    growths = []
    for family in FAMILIES:
        if options.only in family.what:
            growths.append(grow(family, options.rounds))
            show_growth(growths[-1])
    if options.json:
        content = {
            "about": about,
            "sizes": SIZES,
            "hostile": [growth._asdict() for growth in growths],
        }
        options.json.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    slow = [g.what for g in growths if g.milliseconds > MILLISECONDS or g.exponent > EXPONENT]
    if options.check and slow:
        sys.exit(f"too slow: {', '.join(slow)}")


if __name__ == "__main__":
    main()
