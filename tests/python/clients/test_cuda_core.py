"""cuda.core's StridedMemoryView: DLPack, its C exchange API and both array interfaces.

By DLPack it needs no driver, as long as no stream order is asked for: `stream_ptr=-1`. The array
interfaces make it ask the driver what an address is: they are tested where there is a GPU.
"""

from __future__ import annotations

import gc

import numpy as np
import pytest

import devview as dv
from clients.consumer import Consumer, ConsumerContract, Lent
from clients.contract import CUDA, Case, Contract, require
from support import CUDA_DEVICES, REAL, no_gc

require("cuda.bindings", "cuda-bindings")
StridedMemoryView = require("cuda.core.utils", "cuda-core").StridedMemoryView

NO_ORDER = -1
needs_driver = pytest.mark.skipif(not REAL, reason="missing: a CUDA driver, which cuda.core asks")
FORMATS = {
    "f": [1.5, -2.0, 3.25, 0.0, 5.0, -6.5],
    "d": [0.1, 0.0, 1.0, 2.0, 3.0, 4.0],
    "?": [True, False, False, True, True, False],
    "B": [255, 0, 1, 2, 3, 4],
    "h": [-(2**15), 0, 1, 2, 3, 4],
    "i": [-(2**31), 0, 1, 2, 3, 4],
    "q": [2**63 - 1, 0, 1, 2, 3, 4],
    "e": [0.5, 0.0, 1.0, 2.0, 3.0, 4.0],
    "Zd": [0.1 - 2j, 0j, 1j, 2j, 3j, 4j],
}


def by_dlpack(view: dv.View):
    return StridedMemoryView.from_dlpack(view, stream_ptr=NO_ORDER)


def by_any_interface(view: dv.View):
    return StridedMemoryView.from_any_interface(view, stream_ptr=NO_ORDER)


def by_array_interface(view: dv.View):
    return StridedMemoryView.from_array_interface(view)


def by_cuda_array_interface(view: dv.View):
    return StridedMemoryView.from_cuda_array_interface(view, stream_ptr=NO_ORDER)


def items(smv) -> list:
    """Read by the DLPack that it exports; it has no items of its own."""
    return np.from_dlpack(smv).tolist()


def strides_of(smv) -> tuple:
    """Give strides in items; None stands for C order."""
    if smv.strides is not None:
        return smv.strides
    strides = [1]
    for extent in smv.shape[:0:-1]:
        strides.insert(0, strides[0] * extent)
    return tuple(strides)


def write(smv, value) -> None:
    np.from_dlpack(smv)[1, 2] = value


def consumer(name: str, take) -> Consumer:
    return Consumer(
        name=name,
        take=take,
        address=lambda smv: smv.ptr,
        read=items,
        formats=FORMATS,
        write=write,
        readonly="kept",
        is_readonly=lambda smv: smv.readonly,
    )


class TestDlpack(ConsumerContract):
    consumer = consumer("from_dlpack", by_dlpack)


class TestAnyInterface(ConsumerContract):
    consumer = consumer("from_any_interface", by_any_interface)


class HoldsTheView(ConsumerContract):
    """An array interface has no owner: the client keeps the very view that it asked."""

    def test_the_client_holds_the_memory_after_the_view_is_released(self):
        pytest.skip("released views are released for whoever read the interface")

    def test_the_memory_is_given_back_in_the_statement_that_drops_the_array(self):
        lent = Lent()
        with no_gc():
            smv = self.consumer.take(lent.view[...])
            assert lent.exports == 0
            lent.give_up()
            assert lent.released == []
            assert items(smv) == [[0.0] * 3] * 2
            del smv
            assert lent.released == [None]


@needs_driver
class TestArrayInterface(HoldsTheView):
    consumer = consumer("from_array_interface", by_array_interface)


# --- CUDA metadata ---

device_takers = pytest.mark.parametrize(
    "take",
    [
        pytest.param(by_dlpack, id="from_dlpack"),
        pytest.param(by_any_interface, id="from_any_interface"),
        pytest.param(lambda v: StridedMemoryView(v, stream_ptr=NO_ORDER), id="constructor"),
        pytest.param(by_cuda_array_interface, id="CUDA array interface", marks=needs_driver),
    ],
)


@device_takers
@pytest.mark.filterwarnings("ignore:Constructing a StridedMemoryView:DeprecationWarning")
def test_a_device_view_keeps_its_address_layout_and_type(take):
    for format, dtype in (("f", "f4"), ("q", "i8"), ("Zf", "c8"), ("e", "f2"), ("?", "?")):
        d = dv.zeros((4, 6), format, device=CUDA)
        for part in (d, d[1:, ::2], d.T, d[2]):
            smv = take(part)
            assert smv.ptr == part.ptr
            assert smv.shape == part.shape
            assert strides_of(smv) == tuple(s // part.itemsize for s in part.strides)
            assert smv.dtype == np.dtype(dtype)
            assert not smv.readonly
            assert smv.is_device_accessible
            assert smv.exporting_obj is part
            del smv
    gc.collect()
    assert d.allocation.exports == 0


@pytest.mark.parametrize("device", CUDA_DEVICES)
def test_the_number_of_the_device_is_kept(device):
    smv = by_dlpack(dv.zeros(4, device=device))
    assert f"cuda:{smv.device_id}" == device
    assert smv.__dlpack_device__() == (2, smv.device_id)


def test_a_host_view_is_no_device_s():
    smv = by_dlpack(dv.zeros(4))
    assert (smv.device_id, smv.is_device_accessible) == (-1, False)


def test_pinned_memory_is_accessible_by_the_device():
    v = dv.zeros(4, "i", device="pinned")
    smv = by_dlpack(v)
    assert smv.is_device_accessible
    assert (smv.ptr, smv.shape) == (v.ptr, (4,))


@device_takers
@pytest.mark.filterwarnings("ignore:Constructing a StridedMemoryView:DeprecationWarning")
def test_read_only_device_memory_stays_so(take):
    assert take(dv.zeros(4, device=CUDA).toreadonly()).readonly


@device_takers
@pytest.mark.filterwarnings("ignore:Constructing a StridedMemoryView:DeprecationWarning")
def test_a_device_view_is_held_as_long_as_its_strided_view(take):
    lent = Lent((2, 3), "f", CUDA)
    with no_gc():
        smv = take(lent.view[...])
        lent.give_up()
        assert lent.released == []
        assert smv.shape == (2, 3)
        del smv
        assert len(lent.released) == 1


def test_a_host_view_has_no_cuda_array_interface():
    with pytest.raises((AttributeError, BufferError)):
        by_cuda_array_interface(dv.zeros(4))


def test_a_device_view_has_no_array_interface():
    with pytest.raises((AttributeError, BufferError)):
        by_array_interface(dv.zeros(4, device=CUDA))


def test_bfloat16_arrives_and_is_not_handed_on():
    ml_dtypes = require("ml_dtypes", "ml_dtypes")
    smv = by_dlpack(dv.zeros((2, 3), "T{H:bfloat16:}", device=CUDA))
    assert smv.dtype == np.dtype(ml_dtypes.bfloat16)
    with pytest.raises(dv.ImportRefused, match="Unsupported dtype for DLPack export: bfloat16"):
        dv.view(smv)


# --- StridedMemoryViews are viewed ---


def array_case(name: str, array, format: str, view=dv.view) -> Case:
    a = array()

    def write_item(smv, value) -> None:
        smv.exporting_obj[1, 2] = value

    return Case(
        name=name,
        make=lambda: by_dlpack(array()),
        view=view,
        address=lambda smv: smv.ptr,
        read=lambda smv: smv.exporting_obj.tolist(),
        format=format,
        shape=a.shape,
        strides=a.strides,
        index=(1, 2),
        value=-7,
        write=write_item,
    )


def dense():
    return np.arange(6, dtype="f4").reshape(2, 3)


def sliced():
    return np.arange(36, dtype="i2").reshape(4, 9)[::2, ::-3]


CASES = [
    array_case("exchange API", dense, "f"),
    array_case("exchange API, sliced", sliced, "h"),
    array_case("capsule", dense, "f", view=dv.from_dlpack),
]


@pytest.mark.parametrize("case", CASES, ids=str)
class TestStridedMemoryViewIsViewed(Contract):
    pass


def test_read_only_stays_so_on_the_way_back():
    a = np.arange(4)
    a.flags.writeable = False
    v = dv.view(by_dlpack(a))
    assert v.readonly
    assert v.ptr == a.ctypes.data


@device_takers
@pytest.mark.filterwarnings("ignore:Constructing a StridedMemoryView:DeprecationWarning")
def test_a_device_view_comes_back_as_the_same_memory(take):
    d = dv.view(np.arange(6, dtype="f4").reshape(2, 3)).to(CUDA)
    back = dv.view(take(d[:, ::2]))
    assert (back.device, back.ptr, back.strides) == (CUDA, d.ptr, (12, 8))
    assert back.tolist() == [[0.0, 2.0], [3.0, 5.0]]
    back[1, 1] = -5.0
    assert d[1, 2] == -5.0
