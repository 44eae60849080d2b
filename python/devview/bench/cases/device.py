"""Movements on a device, by its own events, beside one plain copy of the same traffic.

`bench/device.py` of the repository has all movements, each compared with NumPy's; these are those
that a reader asks for first. On an emulated device the times are the emulator's.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from devview.bench.case import Case, Side

PLACE = "cuda"
BYTES, QUICK_BYTES = 1 << 26, 1 << 16
DEVICE = "CUDA device"
OURS = Side("devview", "copyto(dst, src, stream=stream)", "ours", DEVICE)
PLAIN = Side("plain copy", "copyto(plain_dst, plain_src, stream=stream)", "limit", DEVICE)

PEERS = (
    Side("CuPy", "with cupy_stream: cupy_copyto(cupy_dst, cupy_src)", library="CuPy"),
    Side("PyTorch", "with torch_stream(): torch_dst.copy_(torch_src)", library="PyTorch"),
)

TAKES = {
    "dense": lambda v: v,
    "transposed": lambda v: v.T,
    "every other column": lambda v: v[:, ::2],
    "reversed": lambda v: v[::-1, ::-1],
}


def ends(to: str, source: str, nbytes: int) -> tuple[Any, Any]:
    """Return dense bytes at two places."""
    import devview as dv

    return dv.zeros(nbytes, device=to), dv.zeros(nbytes, device=source)


def cupy_names(dst: Any, src: Any, stream: Any) -> dict[str, Any]:
    """Return CuPy's arrays of the very memory of the views."""
    import cupy

    return {
        "cupy_stream": cupy.cuda.ExternalStream(stream.handle),
        "cupy_copyto": cupy.copyto,
        "cupy_dst": cupy.asarray(dst),
        "cupy_src": cupy.asarray(src),
    }


def torch_names(dst: Any, src: Any, stream: Any) -> dict[str, Any]:
    """Return PyTorch's tensors of the very memory of the views, which has no negative strides."""
    import torch

    outside = torch.cuda.ExternalStream(stream.handle, device=f"cuda:{stream.device.id}")
    return {
        "torch_stream": lambda: torch.cuda.stream(outside),
        "torch_dst": torch.from_dlpack(dst),
        "torch_src": torch.from_dlpack(src),
    }


def peer_names(dst: Any, src: Any, stream: Any) -> dict[str, Any]:
    """Return what the peers' statements speak of; `absent` names those that cannot take part."""
    scope: dict[str, Any] = {"absent": set()}
    for label, names in (("CuPy", cupy_names), ("PyTorch", torch_names)):
        try:
            scope |= names(dst, src, stream)
        except Exception:  # whatever a library says where it is not, or to what it cannot import
            scope["absent"].add(label)
    return scope


def make(quick: bool, take: str, to: str, source: str) -> dict[str, Any]:
    """Return a copy's two ends on their devices, and those of a plain copy of the same traffic."""
    import numpy as np

    import devview as dv

    side = int(((QUICK_BYTES if quick else BYTES) // 4) ** 0.5)
    twin = np.arange(side * side, dtype="f4").reshape(side, side)
    src = TAKES[take](dv.copy(twin, device=source))
    dst = dv.empty(src.shape, "f", device=to)
    plain_dst, plain_src = ends(to, source, src.nbytes)
    stream = dv.Stream(PLACE)
    expected = np.ascontiguousarray(TAKES[take](twin)).tobytes()

    def check() -> bool:
        stream.synchronize()
        return dst.tobytes() == expected

    scope = {"copyto": dv.copyto, "dst": dst, "src": src, "stream": stream, "check": check}
    if to == source:
        scope |= peer_names(dv.empty(src.shape, "f", device=to), src, stream)
    return scope | {"plain_dst": plain_dst, "plain_src": plain_src, "nbytes": src.nbytes}


CASES = tuple(
    Case(
        "device",
        f"{what}, {take}",
        (OURS, *(PEERS if to == source else ()), PLAIN),
        partial(make, take=take, to=to, source=source),
        clock="device",
    )
    for what, to, source, takes in (
        ("within", PLACE, PLACE, TAKES),
        ("to pinned", "pinned", PLACE, ("dense", "transposed", "every other column")),
        ("from pinned", PLACE, "pinned", ("dense", "transposed", "every other column")),
    )
    for take in takes
)
