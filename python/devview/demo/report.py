"""What the demo prints: each step with what moved, the runtime calls it made, and what is alive."""

from __future__ import annotations

import sys
import textwrap
from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING

import devview as dv

if TYPE_CHECKING:
    from collections.abc import Iterator

WIDTH = 96


def size(nbytes: int) -> str:
    """Return a number of bytes, exact."""
    return f"{nbytes:,} B"


class Report:
    """Numbered steps on standard output; ASCII, so that it can be piped anywhere."""

    def __init__(self) -> None:
        self._steps = 0

    @contextmanager
    def step(self, title: str, *code: str) -> Iterator[None]:
        """Print a heading, what the body prints, the calls that it made and what is alive then."""
        self._steps += 1
        print(f"\n{self._steps}. {title}")
        for line in code:
            print(f"   >>> {line}")
        if dv.emulation.active:
            dv.emulation.clear()
        yield
        self.row("calls", calls_text())
        self.row("alive", alive_text())

    def row(self, name: str, text: str) -> None:
        """Print one fact under its name."""
        lines = textwrap.wrap(text, WIDTH - 11, break_long_words=False, break_on_hyphens=False)
        for i, line in enumerate(lines or [""]):
            print(f"   {name if i == 0 else '':<7} {line}")

    def view(self, name: str, view: dv.View) -> None:
        """Print where a view lies and how."""
        self.row(name, f"{view.device}, format {view.format!r}, shape {view.shape}")
        order = "dense" if view.c_contiguous else "not dense"
        self.row("", f"strides {view.strides}, {order}, {size(view.nbytes)}")

    def flush(self) -> None:
        """Let what was printed so far come before an error message."""
        sys.stdout.flush()


def calls_text() -> str:
    """Return the emulated runtime's calls since the step began, counted."""
    if not dv.emulation.active:
        return "not logged: this is a GPU"
    counted = Counter(dv.emulation.calls)
    # Looking at devices and addresses moves nothing.
    questions = sum(counted.pop(name) for name in [*counted] if name.startswith(_QUESTIONS))
    told = [name if times == 1 else f"{name} x{times}" for name, times in counted.items()]
    if questions:
        told.append(f"{questions} queries")
    return ", ".join(told) or "none"


_QUESTIONS = (
    "cudaGetDevice",
    "cudaSetDevice",
    "cudaGetLastError",
    "cudaPeekAtLastError",
    "cudaDeviceGet",
    "cudaPointerGetAttributes",
    "cudaMemGetInfo",
    "cudaMemPoolGet",
    "cudaEventQuery",
    "cudaStreamQuery",
    "cudaStreamGet",
    "cudaStreamIsCapturing",
)


def alive_text() -> str:
    """Return the living blocks by device, and the pinned memory of staging copies."""
    told = []
    rows = dv.live()
    for device in dict.fromkeys(row.device for row in rows):
        mine = [row for row in rows if row.device == device]
        imported = "" if all(row.owned for row in mine) else " (imported)"
        blocks = "1 block" if len(mine) == 1 else f"{len(mine)} blocks"
        nbytes = sum(row.nbytes for row in mine)
        told.append(f"{device.name}: {size(nbytes)} in {blocks}{imported}")
    pinned = dv.memory_info("pinned")
    if pinned.pinned_live_bytes or pinned.pinned_cached_bytes:
        live, cached = size(pinned.pinned_live_bytes), size(pinned.pinned_cached_bytes)
        told.append(f"pinned: {live} in use, {cached} kept for reuse")
    return "; ".join(told) or "nothing"
