"""The libraries beside devview: imported, or skipped by name."""

from __future__ import annotations

import importlib
import os
import warnings

import pytest


def require(module: str, package: str):
    """Import a library; outside CI a missing one is skipped by name, in CI it fails.

    CI names in DEVVIEW_TEST_WITHOUT what it leaves out on purpose.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return importlib.import_module(module)
    except ImportError as error:
        if os.environ.get("CI") and package not in os.environ.get("DEVVIEW_TEST_WITHOUT", ""):
            raise
        pytest.skip(f"missing: {package} ({error})", allow_module_level=True)


def cupy_base(cp, array, device: str = "cuda:0"):
    """Copy a NumPy array to a device as CuPy's, in its own order of axes."""
    with cp.cuda.Device(int(device.partition(":")[2])):
        return cp.asarray(array, order="A")
