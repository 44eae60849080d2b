"""dv.from_dlpack and dv.view of DLPack tensors: what of a tensor is kept."""

from __future__ import annotations

import numpy as np
import pytest

import devview as dv
from dlpack_capsules import (
    BFLOAT,
    COMPLEX,
    CPU,
    FLOAT,
    INT,
    METAL,
    READ_ONLY,
    ROCM,
    SUBBYTE_PADDED,
    UINT,
    Crafted,
    DataType,
    Device,
    Producer,
    name_of,
)
from dlpack_imports import LOWEST, both, refused
from support import CUDA_DEVICES, no_gc

DEVICE = CUDA_DEVICES[0]


# --- What is kept ---


@both
def test_a_capsule_is_taken_without_a_copy(legacy):
    crafted = Crafted(legacy)
    capsule = crafted.capsule()
    with no_gc():
        view = dv.from_dlpack(capsule)
        assert name_of(capsule) == "used_" + crafted.name.decode()
        del capsule
        assert (view.ptr, view.shape, view.strides) == (crafted.tensor.data, (4, 6), (24, 4))
        assert view.format == "f"
        assert view.device == "cpu"
        assert not view.readonly
        assert view.obj is None
        assert view.allocation.nbytes == 96
        view[1, 2] = 77
        assert crafted.array[8] == 77
        part = view[1:]
        view.release()
        assert crafted.deleted == 0
        part.release()
        assert crafted.deleted == 1


@both
def test_view_asks_dlpack_too(legacy):
    crafted = Crafted(legacy)
    with no_gc():
        view = dv.view(Producer(crafted.capsule()))
        assert view.ptr == crafted.tensor.data
        del view
        assert crafted.deleted == 1
        view = dv.view(crafted.capsule())
        assert view.shape == (4, 6)
        del view
        assert crafted.deleted == 2


def test_readonly_is_kept():
    crafted = Crafted()
    crafted.managed.flags = READ_ONLY
    view = dv.from_dlpack(crafted.capsule())
    assert view.readonly
    with pytest.raises(TypeError, match="read-only"):
        view[0, 0] = 1
    producer = Producer(crafted.capsule())
    with pytest.raises(BufferError):
        dv.view(producer, readonly=False)
    assert np.from_dlpack(view).flags.writeable is False


@both
def test_layouts_are_kept_and_normalised(legacy):
    crafted = Crafted(legacy)
    crafted.set_axes((2, 1, 3), (12, LOWEST, -2))
    crafted.tensor.byte_offset = 5 * 4
    view = dv.from_dlpack(crafted.capsule())
    assert view.strides == (48, 12, -8)
    assert view.tolist() == [[[5, 3, 1]], [[17, 15, 13]]]
    crafted.set_axes((2, 3), None)
    assert dv.from_dlpack(crafted.capsule()).strides == (12, 4)


@both
def test_the_metadata_is_copied(legacy):
    crafted = Crafted(legacy)
    view = dv.from_dlpack(crafted.capsule())
    crafted._shape[0] = 1000
    crafted._strides[1] = 1 << 40
    crafted.tensor.ndim = 60
    assert (view.shape, view.strides) == ((4, 6), (24, 4))
    assert view[3, 5] == 23


@both
def test_null_deleters_misaligned_data_and_scalars_are_legal(legacy):
    crafted = Crafted(legacy, null_deleter=True)
    dv.from_dlpack(crafted.capsule()).release()
    assert crafted.deleted == 0
    odd = Crafted(legacy)
    odd.set_axes((3,), (1,))
    odd.tensor.data += 1
    assert dv.from_dlpack(odd.capsule()).tolist() == (
        np.frombuffer(odd.array.tobytes()[1:13], "<f4").tolist()
    )
    scalar = Crafted(legacy)
    scalar.set_axes(())
    scalar.tensor.shape = None
    assert dv.from_dlpack(scalar.capsule())[()] == 0.0


@pytest.mark.parametrize("data", [None, 7])
def test_empty_tensors_may_have_any_data(data):
    crafted = Crafted()
    crafted.set_axes((3, 0), (1, 1))
    crafted.tensor.data = data
    assert dv.from_dlpack(crafted.capsule()).tolist() == [[], [], []]


def test_later_minor_versions_and_unknown_flags_are_fine():
    crafted = Crafted()
    crafted.managed.minor = 99
    crafted.managed.flags = 1 << 40
    assert dv.from_dlpack(crafted.capsule()).shape == (4, 6)


def test_the_device_of_host_memory_has_no_number():
    # XLA numbers its CPU devices.
    crafted = Crafted()
    crafted.tensor.device = Device(CPU, 3)
    view = dv.from_dlpack(Producer(crafted.capsule(), (CPU, 3)))
    assert view.device == "cpu"


@pytest.mark.parametrize(
    ("code", "bits", "format"),
    [
        (INT, 8, "b"),
        (UINT, 16, "H"),
        (INT, 64, "q"),
        (FLOAT, 16, "e"),
        (COMPLEX, 64, "Zf"),
        (6, 8, "?"),
        (BFLOAT, 16, "T{H:bfloat16:}"),
        (10, 8, "T{B:float8_e4m3fn:}"),
    ],
)
def test_types_have_their_formats(code, bits, format):
    crafted = Crafted()
    crafted.tensor.dtype = DataType(code, bits, 1)
    crafted.set_axes((5,))
    assert dv.Format(dv.from_dlpack(crafted.capsule())) == dv.Format(format)


def test_padded_items_under_eight_bits():
    crafted = Crafted()
    crafted.tensor.dtype = DataType(INT, 4, 1)
    crafted.managed.flags = SUBBYTE_PADDED
    crafted.set_axes((4,))
    assert dv.from_dlpack(crafted.capsule()).format == "T{B:int4:}"


@both
@pytest.mark.parametrize(
    ("code", "bits", "lanes", "shape", "format", "wanted"),
    [
        (INT, 4, 1, (3, 5), "T{4t:int4:}", (3, 5)),
        (1, 4, 1, (), "T{4t:uint4:}", ()),
        (17, 4, 2, (3, 5), "T{4t:float4_e2m1fn:}", (3, 10)),
        (17, 4, 4, (), "T{4t:float4_e2m1fn:}", (4,)),
        (15, 6, 1, (7,), "T{6t:float6_e2m3fn:}", (7,)),
        (16, 6, 4, (2, 1), "T{6t:float6_e3m2fn:}", (2, 4)),
        (INT, 4, 2, (0, 9), "T{4t:int4:}", (0, 18)),
    ],
)
def test_items_under_eight_bits_are_packed_without_the_flag(
    legacy, code, bits, lanes, shape, format, wanted
):
    crafted = Crafted(legacy)
    crafted.tensor.dtype = DataType(code, bits, lanes)
    crafted.set_axes(shape)
    v = dv.from_dlpack(crafted.capsule())
    assert (v.format, v.shape, v.ptr) == (format, wanted, crafted.array.ctypes.data)
    assert v.allocation.nbytes == v.nbytes
    bytes_of = v.cast("B", (v.nbytes,))
    assert bytes_of.tobytes() == crafted.array.tobytes()[: v.nbytes]
    v.release()
    bytes_of.release()
    assert crafted.deleted == 1


@both
@pytest.mark.parametrize("shape", [(3, 4), (4, 4)])
def test_packed_items_must_be_dense(legacy, shape):
    crafted = Crafted(legacy)
    crafted.tensor.dtype = DataType(INT, 4, 1)
    crafted.set_axes(shape, (1, 3))
    refused(crafted, "without gaps")
    crafted.set_axes((1, 4), (99, 1))
    crafted.deleted = 0
    assert dv.from_dlpack(crafted.capsule()).strides == (4, 1)


@pytest.mark.parametrize("device", [4, 7, METAL, 9, ROCM, 11, 12, 14, 15, 16, 17, 18])
def test_other_devices_are_kept_and_out_of_reach(device):
    crafted = Crafted()
    crafted.tensor.device = Device(device, 3)
    view = dv.from_dlpack(crafted.capsule())
    assert view.device.dlpack == (device, 3)
    assert view.shape == (4, 6)
    assert view[1:].ptr == crafted.tensor.data + 24
    if device == 11:
        return  # rocm_host: pinned memory, which the host reads
    for use in (lambda: memoryview(view), view.tolist, lambda: view.to("cpu"), lambda: view[0, 0]):
        with pytest.raises((BufferError, ValueError)):
            use()
    again = dv.from_dlpack(view.__dlpack__(max_version=(1, 3)))
    assert again.device.dlpack == (device, 3)
    with pytest.raises(BufferError, match="dl_device"):
        view.__dlpack__(dl_device=(1, 0))


# --- device, copy ---


def test_device_and_copy():
    array = np.arange(6, dtype="i4")
    view = dv.from_dlpack(array, copy=False)
    assert view.ptr == array.ctypes.data
    copied = dv.from_dlpack(array, copy=True)
    assert copied.ptr != array.ctypes.data
    assert copied.tolist() == array.tolist()
    moved = dv.from_dlpack(array, device=DEVICE)
    assert moved.device == DEVICE
    assert dv.from_dlpack(moved, device="cpu").tolist() == array.tolist()
    for error in (BufferError, ValueError):
        with pytest.raises(error, match="copy=False"):
            dv.from_dlpack(array, device=DEVICE, copy=False)
        with pytest.raises(error, match="copy=False"):
            dv.view(array, device=DEVICE, copy=False)


def test_numpy_producers():
    array = np.arange(24, dtype="f8").reshape(2, 3, 4)[:, ::-1, ::2]
    view = dv.from_dlpack(array)
    assert (view.ptr, view.strides) == (array.ctypes.data, array.strides)
    view[0, 0, 0] = 99
    assert array[0, 0, 0] == 99
    array.flags.writeable = False
    assert dv.from_dlpack(array).readonly
    with pytest.raises(dv.ImportRefused):
        dv.from_dlpack(np.array(["a"]))
    with pytest.raises(dv.ImportRefused):
        dv.from_dlpack(np.zeros(3, ">i4"))


def test_memory_out_of_reach_is_asked_for_on_the_host():
    on_host, on_metal = Crafted(), Crafted()
    on_metal.tensor.device = Device(METAL, 0)

    asked = []

    class Metal:
        def __dlpack__(self, *, stream=None, max_version=None, dl_device=None, copy=None):
            asked.append(dl_device)
            return (on_host if dl_device == (1, 0) else on_metal).capsule()

        def __dlpack_device__(self):
            return (METAL, 0)

    assert dv.from_dlpack(Metal()).device == "metal:0"
    assert dv.from_dlpack(Metal(), device="cpu").tolist() == on_host.array.reshape(4, 6).tolist()
    assert asked == [None, (1, 0)]
    with pytest.raises(dv.Refused, match="copy=False"):
        dv.from_dlpack(Metal(), device="cpu", copy=False)
