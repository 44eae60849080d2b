"""The same movements by CuPy and PyTorch, on the very memory of devview's views.

An operation is a method that takes the views and returns a function of the stream; it fails, or
returns None, where the library cannot say it: PyTorch has no negative strides, say.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import numpy as np

import devview as dv

Run = Callable[[dv.Stream], object]


class Peer:
    """One library: how it takes a view, and how it moves."""

    def __init__(self, name: str):
        self.library = importlib.import_module(name)
        self.name = name
        self.version = self.library.__version__

    def runs(self, operations: dict[str, Any]) -> Run | None:
        """Return the library's way of the first operation that it knows."""
        for operation, arguments in operations.items():
            make = getattr(self, operation, None)
            if make is None:
                continue
            try:
                return make(*arguments) if isinstance(arguments, tuple) else make(arguments)
            except Exception:  # whatever a library says to what it cannot import
                return None
        return None


class CuPy(Peer):
    """By CUDA array interface and ExternalStream."""

    def __init__(self) -> None:
        super().__init__("cupy")

    def _on(self, stream: dv.Stream) -> Any:
        return self.library.cuda.ExternalStream(stream.handle)

    def move(self, dst: dv.View, src: dv.View) -> Run | None:
        """Copy or convert every item."""
        if not dst.device.host_accessible and not src.device.host_accessible:
            if dst.device != src.device:
                return None
            to, source = self.library.asarray(dst), self.library.asarray(src)

            def run(stream: dv.Stream) -> None:
                with self._on(stream):
                    self.library.copyto(to, source, casting="unsafe")

            return run
        if not (dst.c_contiguous and src.c_contiguous):
            return None
        if dst.device.host_accessible:
            host, device = np.asarray(dst), self.library.asarray(src)
            return lambda stream: device.get(out=host, stream=self._on(stream), blocking=True)
        host, device = np.asarray(src), self.library.asarray(dst)

        def put(stream: dv.Stream) -> None:
            device.set(host, stream=self._on(stream))
            stream.synchronize()

        return put

    def fill(self, dst: dv.View, value: object) -> Run:
        """Write one value to every place."""
        array = self.library.asarray(dst)

        def run(stream: dv.Stream) -> None:
            with self._on(stream):
                array.fill(value)

        return run

    def compare(self, left: dv.View, right: dv.View) -> Run:
        """Tell whether all items are equal."""
        a, b = self.library.asarray(left), self.library.asarray(right)

        def run(stream: dv.Stream) -> bool:
            with self._on(stream):
                return bool((a == b).all())

        return run

    def fetch(self, view: dv.View) -> Run:
        """Return the items in new host memory."""
        array = self.library.asarray(view)
        return lambda stream: array.get(stream=self._on(stream), blocking=True)


class Torch(Peer):
    """By DLPack and ExternalStream."""

    def __init__(self) -> None:
        super().__init__("torch")

    def _on(self, stream: dv.Stream) -> Any:
        cuda = self.library.cuda
        return cuda.stream(cuda.ExternalStream(stream.handle, device=f"cuda:{stream.device.id}"))

    def _tensor(self, view: dv.View) -> Any:
        if view.device.type == "cpu":
            return self.library.from_numpy(np.asarray(view))
        return self.library.from_dlpack(view)

    def move(self, dst: dv.View, src: dv.View) -> Run:
        """Copy or convert every item."""
        to, source = self._tensor(dst), self._tensor(src)
        leaves = dst.device.host_accessible or src.device.host_accessible

        def run(stream: dv.Stream) -> None:
            with self._on(stream):
                to.copy_(source, non_blocking=True)
            if leaves:
                stream.synchronize()

        return run

    def fill(self, dst: dv.View, value: object) -> Run:
        """Write one value to every place."""
        tensor = self._tensor(dst)

        def run(stream: dv.Stream) -> None:
            with self._on(stream):
                tensor.fill_(value)

        return run

    def compare(self, left: dv.View, right: dv.View) -> Run:
        """Tell whether all items are equal."""
        a, b = self._tensor(left), self._tensor(right)

        def run(stream: dv.Stream) -> bool:
            with self._on(stream):
                return self.library.equal(a, b)

        return run

    def fetch(self, view: dv.View) -> Run:
        """Return the items in new host memory."""
        tensor = self._tensor(view)

        def run(stream: dv.Stream) -> object:
            with self._on(stream):
                return tensor.cpu()

        return run


def installed_peers() -> list[Peer]:
    """Return the libraries that are there, and find a device."""
    found: list[Peer] = []
    for kind in (CuPy, Torch):
        try:
            peer = kind()
            usable = peer.library.cuda.is_available()
        except ImportError:
            continue
        if usable:
            found.append(peer)
    return found
