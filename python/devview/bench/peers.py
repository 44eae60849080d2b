"""The libraries that devview is timed beside, and which of them are here."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from importlib import metadata


@dataclass(frozen=True)
class Peer:
    """A library: the module that is imported, the package that has it, and what else it needs."""

    name: str
    module: str
    package: str
    device: bool = False
    build: str = ""

    @property
    def version(self) -> str:
        """The installed version, or nothing; the module is not imported for it."""
        try:
            found = importlib.util.find_spec(self.module)
        except (ImportError, ValueError):
            return ""
        if found is None or found.origin is None:  # a folder of that name is no package
            return ""
        for package in self.package.split():
            try:
                return metadata.version(package)
            except metadata.PackageNotFoundError:
                continue
        return "of this folder" if self.build else "of unknown version"

    def missing(self, devices: bool) -> str:
        """Tell why the library cannot take part, or nothing."""
        if not self.version:
            return self.build or f"not installed (pip install {self.package.split()[0]})"
        return "needs a CUDA device" if self.device and not devices else ""


_BUILT = "its module is built by `python bench/binders.py`, and found by --modules"
PEERS = {
    peer.name: peer
    for peer in (
        Peer("NumPy", "numpy", "numpy"),
        Peer("tvm-ffi", "tvm_ffi", "apache-tvm-ffi"),
        Peer("cuda.core", "cuda.core", "cuda-core"),
        Peer("nanobind", "nanobind_peer", "nanobind", build=_BUILT),
        Peer("pybind11", "pybind11_peer", "pybind11", build=_BUILT),
        Peer("devview caster", "devview_caster", "devview", build=_BUILT),
        Peer("JAX", "jax", "jax"),
        Peer("PyTorch", "torch", "torch"),
        Peer("CuPy", "cupy", "cupy-cuda13x cupy-cuda12x cupy", device=True),
        Peer("CUDA device", "devview", "devview", device=True),
    )
}


def has_devices() -> bool:
    """Tell whether there is a CUDA device, an emulated one included."""
    import devview as dv

    return any(device.type == "cuda" for device in dv.devices())


def installed() -> dict[str, str]:
    """Return the versions of the peers that can take part, by name."""
    devices = has_devices()
    return {name: peer.version for name, peer in PEERS.items() if not peer.missing(devices)}


def missing() -> dict[str, str]:
    """Return why the other peers cannot take part, by name."""
    devices = has_devices()
    told = {name: peer.missing(devices) for name, peer in PEERS.items()}
    return {name: why for name, why in told.items() if why}
