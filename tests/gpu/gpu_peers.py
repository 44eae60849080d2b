"""The libraries beside devview: imported, or skipped by name."""

from __future__ import annotations

import importlib
import warnings

import pytest

# What each says of the stand-in's old linker at its first kernel, or of a context made by another.
NOISE = "ignore::UserWarning"


def require(module: str, package: str):
    """Import a library, or skip the whole test module by the library's name."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return importlib.import_module(module)
    except ImportError as error:
        pytest.skip(f"missing: {package} ({error})", allow_module_level=True)


def cupy_base(cp, array, device: str = "cuda:0"):
    """Copy a NumPy array to a device as CuPy's, in its own order of axes."""
    with cp.cuda.Device(int(device.partition(":")[2])):
        return cp.asarray(array, order="A")
