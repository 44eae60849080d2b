"""Formats read anew, and met again while another holder keeps them."""

from __future__ import annotations

import struct
from functools import partial
from typing import Any

from devview.bench.case import Case, Side
from devview.bench.cases.handover import BARE

# struct knows no records.
TEXTS = (
    ("id", "struct.Struct", "Struct(text)"),
    ("<3h2xq", "struct.Struct", "Struct(text)"),
    ("T{i:a:d:b:}", "NumPy's reader", "numpy_format(text)"),
    ("T{B:r:B:g:B:b:B:a:}", "NumPy's reader", "numpy_format(text)"),
    ("T{i:id:(2)T{d:x:d:y:}:points:}", "NumPy's reader", "numpy_format(text)"),
)


def make(quick: bool, text: str, again: bool) -> dict[str, Any]:
    """Return the readers, and a holder of the format if it is to be met again."""
    from numpy._core._internal import _dtype_from_pep3118

    import devview as dv

    scope = {"Format": dv.Format, "Struct": struct.Struct, "numpy_format": _dtype_from_pep3118}
    return scope | {"text": text, "kept": dv.Format(text) if again else None}


CASES = tuple(
    Case(
        "format",
        f"{text} {'again' if again else 'anew'}",
        (
            Side("devview", "Format(text)", "ours"),
            Side(label, code),
            Side(BARE, "callable(text)", "limit"),
        ),
        partial(make, text=text, again=again),
    )
    for text, label, code in TEXTS
    for again in (False, True)
)
