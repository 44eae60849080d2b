"""What figures depend on beside the code: versions, processor, caches, devices."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import devview as dv
from devview import _devview
from devview.bench import peers

CACHES = Path("/sys/devices/system/cpu/cpu0/cache")


def caches() -> dict[str, str]:
    """Return the sizes of the first processor's data caches, where Linux tells them."""
    told = {}
    for folder in sorted(CACHES.glob("index*")):
        try:
            level, kind, size = (
                (folder / name).read_text(encoding="ascii").strip()
                for name in ("level", "type", "size")
            )
        except OSError:
            continue
        if kind != "Instruction":
            told[f"cache_l{level}"] = size
    return told


def commit() -> str:
    """Return the commit of the sources that this package lies in, or nothing."""
    here = Path(__file__).resolve()
    root = next((folder for folder in here.parents if (folder / ".git").exists()), None)
    if root is None or not (root / "python" / "devview").is_dir():
        return ""
    command = ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return ""
    return done.stdout.strip()


def device() -> str:
    """Return the first device's name; of an emulated one, that times are the emulator's."""
    info = _devview.runtime_info()
    # A stand-in for the driver says so in the device's name.
    if info["emulated"] or any("emu" in name.lower() for name in info["devices"]):
        return "emulated: the times are the emulator's, no GPU is used"
    return ", ".join(info["devices"])


def facts(threads: int) -> dict[str, str]:
    """Return everything, as metadata of pyperf's; empty facts are left out."""
    found = {
        "devview_version": dv.__version__,
        "devview_commit": commit(),
        "devview_device": device(),
        "devview_threads": str(threads),
        "devview_processors": str(os.cpu_count()),
        **caches(),
        **{
            f"version_{name.lower().replace(' ', '_')}": version
            for name, version in peers.installed().items()
            if name not in ("CUDA device", "devview caster")
        },
    }
    return {name: value for name, value in found.items() if value}
