"""What tests of devview/pybind11.hpp pass, and how they are refused."""

from __future__ import annotations

import pytest


class Producer:
    """A DLPack producer by another name than NumPy's, which counts its calls."""

    def __init__(self, array):
        self.array = array
        self.calls = 0

    def __dlpack__(self, **options):
        self.calls += 1
        return self.array.__dlpack__(**options)

    def __dlpack_device__(self):
        return self.array.__dlpack_device__()


def refusal(function, *args, **options) -> str:
    with pytest.raises(TypeError) as raised:
        function(*args, **options)
    return str(raised.value)
