"""Where conversions run, what travels, and what happens when a launch fails."""

from __future__ import annotations

import numpy as np
import pytest

import devview as dv
from support import CUDA_DEVICES, EMULATED, TWO_DEVICES, counted_calls

CUDA = CUDA_DEVICES[0]


@EMULATED
def test_numbers_convert_in_one_launch_where_they_lie():
    v = dv.view(np.arange(12.0).reshape(3, 4)).to(CUDA)
    with counted_calls() as calls:
        made = v.T.astype("f")
    assert calls["cudaLaunchKernel"] == 1
    assert not any(calls[name] for name in ("cudaMemcpyAsync", "cudaStreamSynchronize"))
    assert made.tolist() == np.arange(12.0).reshape(3, 4).T.tolist()


@EMULATED
@pytest.mark.parametrize(("source", "target"), [("B", "d"), ("d", "f"), ("f", "f")])
@TWO_DEVICES
def test_the_narrower_items_travel(source, target):
    a = np.arange(200).astype(source)
    narrow_first = a.itemsize < np.dtype(target).itemsize
    for home, where in (("pinned", CUDA), (CUDA, "pinned"), (CUDA, CUDA_DEVICES[1])):
        v, made = dv.view(a).to(home), dv.empty(200, target, device=where)
        with counted_calls() as calls:
            dv.copyto(made, v)
        # The kernel runs on the side of the wider items, unless that is the host.
        wider_side = where if narrow_first else home
        assert calls["cudaLaunchKernel"] == (wider_side.startswith("cuda") and source != target)
        assert made.tolist() == a.tolist()


@EMULATED
def test_a_failing_launch_leaks_nothing():
    v = dv.view(np.arange(8.0)).to(CUDA)
    dv.emulation.fail("cudaLaunchKernel", 1, 719)
    with pytest.raises(dv.DeviceError):
        v.astype("f")
    dv.emulation.clear_faults()
    dv.emulation.clear_sticky()
    assert v.astype("f").tolist() == v.tolist()


def test_streams_order_conversions():
    stream = dv.Stream(CUDA)
    v = dv.view(np.arange(1000.0)).to(CUDA, stream=stream)
    made = v.astype("i", stream=stream)
    target = dv.empty(1000, "d", device="pinned")
    dv.copyto(target, made, stream=stream)
    stream.synchronize()
    assert target.tolist() == list(range(1000))


@EMULATED
@TWO_DEVICES
def test_a_stream_of_another_device_is_refused():
    v = dv.view(np.arange(8.0)).to(CUDA)
    with pytest.raises(dv.DeviceError):
        v.astype("f", stream=dv.Stream(CUDA_DEVICES[1]))
