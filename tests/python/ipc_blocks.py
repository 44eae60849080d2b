"""Shareable blocks, and handles that look like devview's."""

from __future__ import annotations

import numpy as np
import pytest

import devview as dv
from support import CUDA_DEVICES

CUDA = CUDA_DEVICES[0]


def block(nbytes=4096, device=CUDA, **options):
    """Make a shareable block; skip, by name, where the driver cannot share."""
    try:
        return dv.Allocation(nbytes, device=device, shareable=True, **options)
    except dv.DeviceError as error:
        if error.code != 801:
            raise
        pytest.skip(f"missing: a CUDA runtime that shares memory ({error.name})")


def filled(values, device=CUDA, **options):
    """Make a shareable block with the items of a NumPy array; give its view."""
    values = np.ascontiguousarray(values)
    memory = block(values.nbytes, device, **options)
    view = memory.view(values.dtype.str, values.shape)
    dv.copyto(view, values)
    return view


def signed(body: bytes) -> bytes:
    """Give 48 bytes the check sum of a handle (FNV-1a, 64 bits)."""
    total = 14695981039346656037
    for byte in body:
        total = ((total ^ byte) * 1099511628211) % 2**64
    return body + total.to_bytes(8, "little")
