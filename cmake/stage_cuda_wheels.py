"""Lay the CUDA toolkit of the PyPI wheels out as CMake expects it: `stage_cuda_wheels.py DEST`.

The wheels share one folder, `nvidia/cu13`, in site-packages. DEST gets hard links to its files (or
copies), `lib64`, and the unversioned library names. A DEST of the same versions is left as it is,
so that objects compiled earlier stay up to date.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from importlib import metadata
from pathlib import Path

PACKAGES = (
    "nvidia-cuda-nvcc",
    "nvidia-nvvm",
    "nvidia-cuda-crt",
    "nvidia-cuda-runtime",
    "nvidia-cuda-cccl",
)
STAMP = "devview-versions.txt"


def versions() -> dict[str, str]:
    """Return the version of every wheel; exit, naming those that are not installed."""
    found, missing = {}, []
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            missing.append(name)
    if missing:
        sys.exit(f"not installed: {', '.join(missing)}")
    return found


def toolkit_folder() -> Path:
    """Return the folder in which the wheels have put nvcc; exit if there is none."""
    spec = importlib.util.find_spec("nvidia")
    for root in (spec.submodule_search_locations or []) if spec else []:
        for folder in sorted(Path(root).glob("cu[0-9]*"), reverse=True):
            if any((folder / "bin" / name).exists() for name in ("nvcc", "nvcc.exe")):
                return folder
    sys.exit("nvcc is in none of the nvidia packages' folders")


def link_or_copy(source: str, target: str) -> str:
    """Hard-link where the file system can: the toolkit is 350 MB."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
    return target


def stage(source: Path, target: Path) -> None:
    """Fill `target` from `source`, and add the names that a toolkit has and the wheels lack."""
    shutil.rmtree(target, ignore_errors=True)
    # No __pycache__ and the like: nothing there belongs to the toolkit.
    shutil.copytree(source, target, copy_function=link_or_copy, symlinks=False)
    for tool in (target / "bin").iterdir():
        if tool.is_file():
            tool.chmod(tool.stat().st_mode | 0o111)
    libraries = target / "lib"
    if os.name != "posix" or not libraries.is_dir():
        return
    for library in libraries.glob("*.so.*"):
        plain = libraries / (library.name.split(".so.")[0] + ".so")
        if not plain.exists():
            plain.symlink_to(library.name)
    if not (target / "lib64").exists():
        (target / "lib64").symlink_to("lib")


def main() -> None:
    """Stage the toolkit unless the same one is there."""
    target = Path(sys.argv[1])
    stamp = target / STAMP
    text = "".join(f"{name} {version}\n" for name, version in versions().items())
    if stamp.exists() and stamp.read_text() == text:
        print("staged before")
        return
    stage(toolkit_folder(), target)
    stamp.write_text(text)
    print("staged, nvcc", text.split()[1])


if __name__ == "__main__":
    main()
