"""Plain records that the native part hands out."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from devview import Device, Format


class MemoryInfo(NamedTuple):
    """Bytes and blocks of one device; see ``devview.memory_info``."""

    live_bytes: int
    peak_bytes: int
    blocks: int
    foreign_bytes: int
    foreign_blocks: int
    exports: int
    pinned_live_bytes: int
    pinned_cached_bytes: int
    pinned_peak_bytes: int
    limit_bytes: int


class LiveAllocation(NamedTuple):
    """One living allocation; see ``devview.live``."""

    device: Device
    nbytes: int
    views: int
    exports: int
    ptr: int
    owned: bool
    made_at: str | None


class Field(NamedTuple):
    """A member of a record; see ``devview.Format.fields``."""

    name: str
    offset: int
    format: Format
    shape: tuple[int, ...]
