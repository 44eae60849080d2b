"""DLPack tensors and capsules that break the rules: each is refused and let go once."""

from __future__ import annotations

import _datetime

import numpy as np
import pytest

import devview as dv
from dlpack_capsules import (
    CPU,
    CUDA,
    FLOAT,
    INT,
    MANAGED,
    PINNED,
    Crafted,
    DataType,
    Device,
    Producer,
)
from dlpack_imports import LOWEST, both, refused
from support import CUDA_DEVICES, EMULATED, TWO_DEVICES, run_clean

DEVICE = CUDA_DEVICES[0]
HUGE = 1 << 62


# --- Tensors ---

WRONG_AXES = [
    ((-4,), (1,), "extent -4"),
    ((0, -1), (1, 1), "extent -1"),
    ((1 << 32, 1 << 32, 16), None, "axis 1: extent"),
    ((HUGE, 8), None, "axis 0: extent"),
    ((0, (1 << 63) - 1), None, "axis 1: extent"),
    ((2,), (HUGE,), "stride"),
    ((2,), (LOWEST,), "stride"),
    ((3,), (1 << 60,), "stride"),
    ((1,) * 65, None, "ndim 65, limit 64"),
]


@both
@pytest.mark.parametrize(("shape", "strides", "match"), WRONG_AXES)
def test_axes_that_make_no_sense(legacy, shape, strides, match):
    crafted = Crafted(legacy)
    crafted.set_axes(shape, strides)
    refused(crafted, match)


WRONG_MEMBERS = {
    "ndim -1": lambda t: setattr(t, "ndim", -1),
    "ndim 2147483647": lambda t: setattr(t, "ndim", 2**31 - 1),
    "shape null": lambda t: setattr(t, "shape", None),
    "data null": lambda t: setattr(t, "data", None),
    "byte_offset 9223372036854775808": lambda t: setattr(t, "byte_offset", 1 << 63),
    "leave the address space": lambda t: setattr(t, "data", (1 << 64) - 8),
    "unknown DLPack type: code 99": lambda t: setattr(t, "dtype", DataType(99, 32, 1)),
    "bits 7": lambda t: setattr(t, "dtype", DataType(INT, 7, 1)),
    "bits 0": lambda t: setattr(t, "dtype", DataType(FLOAT, 0, 1)),
    "bits 128": lambda t: setattr(t, "dtype", DataType(FLOAT, 128, 1)),
    "lanes: 0": lambda t: setattr(t, "dtype", DataType(FLOAT, 32, 0)),
    "lanes: 4": lambda t: setattr(t, "dtype", DataType(FLOAT, 32, 4)),
    "code 3": lambda t: setattr(t, "dtype", DataType(3, 64, 1)),
    "3 lanes of 4 bits": lambda t: setattr(t, "dtype", DataType(INT, 4, 3)),
    "0 lanes of 4 bits": lambda t: setattr(t, "dtype", DataType(INT, 4, 0)),
    "device type 0": lambda t: setattr(t, "device", Device(0, 0)),
    "device type 19": lambda t: setattr(t, "device", Device(19, 0)),
    "device id -1": lambda t: setattr(t, "device", Device(CPU, -1)),
}


@both
@pytest.mark.parametrize("match", WRONG_MEMBERS)
def test_members_that_make_no_sense(legacy, match):
    crafted = Crafted(legacy)
    WRONG_MEMBERS[match](crafted.tensor)
    refused(crafted, match)


@pytest.mark.parametrize("major", [0, 2, 99])
def test_other_major_versions_are_refused_unread(major):
    crafted = Crafted()
    crafted.managed.major = major
    crafted.tensor.shape = None
    refused(crafted, f"version {major}.3")


@EMULATED
@pytest.mark.parametrize("device", [CUDA, PINNED, MANAGED])
def test_host_memory_that_claims_to_be_cudas(device):
    crafted = Crafted()
    crafted.tensor.device = Device(device, 0)
    refused(crafted, "memory that CUDA does not know")


@EMULATED
@TWO_DEVICES
def test_device_memory_that_claims_to_be_elsewhere():
    block = dv.zeros(24, "f", device="cuda:1")
    for tag, match in (
        (Device(CUDA, 0), "memory of cuda:1, said to be on cuda:0"),
        (Device(PINNED, 0), "device memory, said to be on pinned"),
        (Device(CUDA, 77), "no such device"),
        (Device(CUDA, 2**31 - 1), "no such device"),
    ):
        crafted = Crafted()
        crafted.tensor.data = block.ptr
        crafted.tensor.device = tag
        refused(crafted, match)
    crafted = Crafted()
    crafted.tensor.data = block.ptr
    crafted.tensor.device = Device(CUDA, 1)
    crafted.set_axes((1 << 30,))
    refused(crafted, "said to be on cuda:1")  # its last byte


@EMULATED
def test_a_failing_pointer_query_refuses_and_leaves_no_error_behind():
    block = dv.zeros(24, "f", device=DEVICE)
    for code, match in ((1, "CUDA does not know"), (700, "cudaErrorIllegalAddress")):
        crafted = Crafted()
        crafted.tensor.data, crafted.tensor.device = block.ptr, Device(CUDA, 0)
        dv.emulation.fail("cudaPointerGetAttributes", 1, code)
        refused(crafted, match)
    assert dv.from_dlpack(crafted.capsule()).device == DEVICE


def test_without_a_driver_device_memory_is_refused():
    run_clean(
        """
        sys.path.insert(0, os.environ["TESTS"])
        from dlpack_capsules import Crafted, Device
        for kind in (2, 3, 13):
            crafted = Crafted()
            crafted.tensor.device = Device(kind, 0)
            capsule = crafted.capsule()
            try:
                dv.from_dlpack(capsule)
            except dv.ImportRefused as error:
                assert "CUDA" in str(error), error
            else:
                raise AssertionError(kind)
            del capsule
            assert crafted.deleted == 1
        """,
        emulate=False,
        env={"TESTS": __file__.rpartition("/")[0], "CUDA_VISIBLE_DEVICES": ""},
    )


# --- Capsules ---


@pytest.mark.parametrize("name", [b"other", b"", b"dltensor_versioned2", b"\xff\x01" * 300])
def test_wrong_names_are_refused(name):
    crafted = Crafted()
    capsule = crafted.capsule(name)
    with pytest.raises(BufferError, match="capsule named"):
        dv.from_dlpack(capsule)
    assert crafted.deleted == 0


def test_another_capsule_is_refused():
    with pytest.raises(BufferError, match="capsule named 'datetime"):
        dv.from_dlpack(_datetime.datetime_CAPI)


@pytest.mark.parametrize("result", [None, 5, "dltensor", object(), np.zeros(3)], ids=repr)
def test_what_is_no_capsule_is_refused(result):
    with pytest.raises(BufferError, match="expected a capsule"):
        dv.from_dlpack(Producer(result))


@pytest.mark.parametrize("device", [None, 5, (1,), (1, 0, 0), ("cpu", 0), (1.0, 0), (99, 0)])
def test_a_malformed_device_is_refused_and_the_capsule_untouched(device):
    crafted = Crafted()
    producer = Producer(crafted.capsule(), device)
    with pytest.raises(dv.ImportRefused):
        dv.from_dlpack(producer)
    assert producer.calls == []
    del producer
    assert crafted.deleted == 1


@EMULATED
def test_the_capsule_has_to_be_where_the_producer_said():
    crafted = Crafted()
    producer = Producer(crafted.capsule(), (CUDA, 0))
    with pytest.raises(BufferError, match="on cpu, __dlpack_device__ said cuda:0"):
        dv.from_dlpack(producer)
    del producer
    assert crafted.deleted == 1
