"""Movements between host and device, and between devices, for bench/device.py."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from itertools import product

import numpy as np
from device_cases import SLICES, Case, Slice, Task, Twin, cube, moved

import devview as dv


@contextmanager
def pinned_limit(nbytes: int) -> Iterator[None]:
    """Bound devview's pinned memory for a while."""
    before = dv.pinned_limit()
    dv.set_pinned_limit(nbytes)
    try:
        yield
    finally:
        dv.set_pinned_limit(before)


LAYOUTS: tuple[tuple[str, int, Slice], ...] = (
    ("dense", 2, lambda t: t),
    *SLICES,
    ("transposed", 2, lambda t: t.transpose(1, 0)),
)


def snapshots(device: str) -> Iterator[Case]:
    """Yield stagings: a host copy for as long as a consumer holds it, and its way back."""
    for name, ndim, take in LAYOUTS:

        def make(nbytes: int, ndim: int, take: Slice) -> Twin:
            return take(Twin.make(cube(nbytes, "f4", ndim), "f4", device, 1))

        def snapshot(nbytes: int, limit: int | None = None, ndim=ndim, take=take) -> Task:
            twin = make(nbytes, ndim, take)

            def run(stream: dv.Stream | None) -> None:
                with pinned_limit(dv.pinned_limit() if limit is None else limit):
                    memoryview(twin.view).release()

            def check() -> None:
                with pinned_limit(dv.pinned_limit() if limit is None else limit):
                    np.testing.assert_array_equal(np.asarray(memoryview(twin.view)), twin.array)

            return Task(
                run, check, twin.nbytes, "to host", "host", {"fetch": twin.view}, twin.array
            )

        def write_back(nbytes: int, ndim=ndim, take=take) -> Task:
            twin = make(nbytes, ndim, take)

            def run(stream: dv.Stream) -> None:
                with twin.view.stage(writable=True, stream=stream):
                    pass
                stream.synchronize()

            def check() -> None:
                with twin.view.stage(writable=True) as items:
                    np.asarray(items)[...] += 1
                twin.array[...] += 1
                twin.check()

            return Task(run, check, 2 * twin.nbytes, "round trip", "host")

        def over_limit(nbytes: int, snapshot=snapshot) -> Task:
            return snapshot(nbytes, limit=max(nbytes // 4, 1 << 18))

        yield Case("staging", f"snapshot, {name}", snapshot)
        yield Case("staging", f"and back, {name}", write_back)
        if name in ("dense", "every other"):
            yield Case("staging", f"over the pinned limit, {name}", over_limit)


# What is taken of host memory with twice the columns, or of as many.
HOSTS: tuple[tuple[str, int, Slice], ...] = (
    ("dense", 1, lambda t: t),
    ("rows", 2, lambda t: t[..., : t.array.shape[-1] // 2]),
    ("strided", 2, lambda t: t[..., ::2]),
)


def host_twin(like: Twin, pinned: bool, columns: int, take: Slice) -> Twin:
    """Return items of the same shape in host memory."""
    *outer, last = like.array.shape
    spare = np.zeros((*outer, columns * last), like.array.dtype)
    view = dv.copy(spare, device="pinned") if pinned else dv.copy(spare)
    return take(Twin(view, spare))


def across(dst: Twin, src: Twin, reference: str) -> Task:
    """Return the task of a copy that is done on return; what crosses the bus is its traffic."""
    task = moved(dst, src, reference)

    def run(stream: dv.Stream) -> None:
        task.run(stream)
        stream.synchronize()

    return Task(run, task.check, dst.nbytes, reference, "host", task.peers)


def crossings(device: str) -> Iterator[Case]:
    """Yield copies into memory that is there already, pinned and pageable, in both directions."""
    layouts = [layout for layout in LAYOUTS if layout[0] in ("dense", "every other", "sub-box")]
    for (host, columns, take_host), (name, ndim, take) in product(HOSTS, layouts):
        for pinned in (True, False):

            def make(
                nbytes: int,
                to_host: bool,
                columns=columns,
                take_host=take_host,
                ndim=ndim,
                take=take,
                pinned=pinned,
            ) -> Task:
                there = take(Twin.make(cube(nbytes, "f4", ndim), "f4", device, 1))
                here = host_twin(there, pinned, columns, take_host)
                return (
                    across(here, there, "to host") if to_host else across(there, here, "to device")
                )

            memory = "pinned" if pinned else "pageable"
            yield Case(memory, f"{name} to {host} host", partial(make, to_host=True))
            yield Case(memory, f"{host} host to {name}", partial(make, to_host=False))


def between(device: str, peer: str) -> Iterator[Case]:
    """Yield copies from one device to another."""
    for name, ndim, take in LAYOUTS:

        def make(nbytes: int, strided: str, ndim=ndim, take=take) -> Task:
            shape = cube(nbytes, "f4", ndim)
            one = take(Twin.make(shape, "f4", peer if strided == "target" else device, 1))
            if strided == "both":
                return moved(take(Twin.make(shape, "f4", peer, 2)), one, "peer", peer)
            home = device if strided == "target" else peer
            other = Twin.make(one.array.shape, "f4", home, 2)
            ends = (one, other) if strided == "target" else (other, one)
            return moved(*ends, "peer", peer)

        for strided in ("source", "target", "both") if name != "dense" else ("both",):
            yield Case(
                "between devices",
                f"{name}, {strided}",
                partial(make, strided=strided),
            )


def transfer_cases(device: str, peer: str | None) -> Iterator[Case]:
    """Yield everything that leaves or reaches a device."""
    yield from snapshots(device)
    yield from crossings(device)
    if peer:
        yield from between(device, peer)
