"""All cases by family; the first of each is a good one, which tells whether it is spoken."""

from __future__ import annotations

from . import (
    array_interface_cases,
    buffer,
    buffer_cases,
    capsule_cases,
    cuda_array_cases,
    dlpack_cases,
    exchange_cases,
    format_cases,
    interface,
)
from .case import ACCEPT, Case, Memory, Probe
from .tensor import ITEMS, SHAPE, Tensor

FAMILIES = {
    "dlpack": "__dlpack__, capsules of DLPack 1",
    "dlpack-legacy": "__dlpack__, capsules without a version",
    "exchange": "DLPack's C exchange API",
    "cuda-array": "__cuda_array_interface__",
    "array-interface": "__array_interface__",
    "buffer": "the buffer protocol",
}
SHOWN = {"shape": SHAPE, "items": ITEMS}


def _good(family: str, make) -> Case:
    return Case("good", family, "2 x 3 float32", ACCEPT, make)


def _cuda_array(memory: Memory) -> Probe:
    return interface.probe_of(
        cuda_array_cases.ATTRIBUTE, cuda_array_cases.good(memory), shape=SHAPE
    )


GOOD = {
    "dlpack": lambda memory: dlpack_cases.probe_of(Tensor(), memory, **SHOWN),
    "dlpack-legacy": lambda memory: dlpack_cases.probe_of(Tensor(versioned=False), memory, **SHOWN),
    "exchange": lambda memory: exchange_cases.probe_of(exchange_cases.Table(memory), **SHOWN),
    "cuda-array": _cuda_array,
    "array-interface": lambda memory: interface.probe_of(
        array_interface_cases.ATTRIBUTE, array_interface_cases.good(memory), **SHOWN
    ),
    "buffer": lambda memory: buffer.probe_of(buffer.Filled(), memory, **SHOWN),
}


def good(family: str) -> Case:
    """Return the good case of a family."""
    return _good(family, GOOD[family])


def cases() -> list[Case]:
    """Return every case; names are unique within a family."""
    crafted = [
        case
        for module in (
            dlpack_cases,
            capsule_cases,
            exchange_cases,
            cuda_array_cases,
            array_interface_cases,
            buffer_cases,
            format_cases,
        )
        for case in module.cases()
    ]
    return [
        case
        for family in FAMILIES
        for case in (
            good(family),
            *(case for case in crafted if case.family == family),
        )
    ]
