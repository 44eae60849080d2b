"""``python -m devview info``: devices, runtime, protocols and pools of this process."""

from __future__ import annotations

import sys

import devview as dv
from devview import _devview


def main() -> int:
    """Print what this installation and this machine have; works without a driver."""
    python = ".".join(str(part) for part in sys.version_info[:3])
    print(f"devview    {dv.__version__}, Python {python}")
    print(f"runtime    {_runtime()}")
    print(f"devices    {', '.join(str(device) for device in dv.devices())}")
    _protocols()
    _memory()
    return 0


def _version(number: int) -> str:
    """Return CUDA's 13020 as 13.2."""
    return f"{number // 1000}.{number % 1000 // 10}"


def _runtime() -> str:
    told = _devview.runtime_info()
    if told["emulated"]:
        return "CUDA, emulated in this process: no GPU is used"
    if not told["runtime_version"]:
        return "none: devview was built without CUDA; devview.emulate() emulates a device"
    runtime = f"CUDA {_version(told['runtime_version'])}, part of devview"
    if not told["driver_version"]:
        return f"{runtime}; no driver on this machine; devview.emulate() emulates a device"
    driver = f"{runtime}; the driver knows CUDA {_version(told['driver_version'])}"
    names = ", ".join(told["devices"])
    return f"{driver}; {names or 'no GPU to be seen; devview.emulate() emulates a device'}"


def _protocols() -> None:
    """Print the protocols that this version has, by what the module and View offer."""
    members = vars(dv.View)
    table = (
        ("buffer protocol", True, True),
        ("__array_interface__", True, "__array_interface__" in members),
        ("__dlpack__", hasattr(dv, "from_dlpack"), "__dlpack__" in members),
        ("__cuda_array_interface__", *2 * ("__cuda_array_interface__" in members,)),
        ("__arrow_c_device_array__", *2 * ("__arrow_c_device_array__" in members,)),
        ("pickle 5 out of band", *2 * ("__reduce_ex__" in members,)),
    )
    print("protocols")
    for name, taken, given in table:
        ways = [way for way, has in (("import", taken), ("export", given)) if has]
        if ways:
            print(f"           {name:<26} {' and '.join(ways)}")


def _memory() -> None:
    print("memory     live          peak        limit   [bytes]")
    for device in dv.devices():
        told = dv.memory_info(device)
        limit = f"{told.limit_bytes:>12,}" if told.limit_bytes else f"{'none':>12}"
        print(f"           {told.live_bytes:<10,} {told.peak_bytes:>10,} {limit}   {device}")
    told = dv.memory_info("pinned")
    print(
        f"pinned     {told.pinned_live_bytes:,} in use, {told.pinned_cached_bytes:,} kept for "
        f"reuse, limit {dv.pinned_limit():,} (DEVVIEW_PINNED_LIMIT)"
    )
