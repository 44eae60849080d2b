"""One piece of memory through CuPy, numba-cuda, cuda.core and devview in one process."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import devview as dv
from gpu_peers import require
from gpu_work import no_gc, slow_fill

cp = require("cupy", "cupy-cuda13x")
require("numba", "numba-cuda")
cuda = require("numba.cuda", "numba-cuda")
StridedMemoryView = require("cuda.core.utils", "cuda-core").StridedMemoryView

pytestmark = pytest.mark.filterwarnings("ignore")
COUNT = 64
EXPECTED = np.arange(COUNT, dtype="i4")

# From a view to a library and back: each step holds the one before.
STEPS = {
    "CuPy by DLPack": lambda view: dv.view(cp.from_dlpack(view)),
    "CuPy by its interface": lambda view: dv.view(cp.asarray(view)),
    "numba": lambda view: dv.view(cuda.as_cuda_array(view)),
    "cuda.core": lambda view: dv.view(StridedMemoryView.from_dlpack(view, stream_ptr=1)),
    "cuda.core by the interface": lambda view: dv.view(
        StridedMemoryView.from_cuda_array_interface(view, stream_ptr=1)
    ),
}


@pytest.mark.parametrize("order", [*itertools.permutations(STEPS, 3)], ids=", ".join)
def test_a_round_keeps_address_items_and_owner(order):
    with no_gc():
        before = dv.memory_info("cuda").live_bytes
        view = dv.copy(EXPECTED, device="cuda")
        address = view.ptr
        for name in order:
            view = STEPS[name](view)
        assert (view.device, view.ptr, view.shape, view.format) == ("cuda:0", address, (64,), "i")
        view[::2].fill(7)
        assert dv.memory_info("cuda").live_bytes == before + EXPECTED.nbytes
        expected = EXPECTED.copy()
        expected[::2] = 7
        assert view.tolist() == expected.tolist()
        view.release()
        assert dv.memory_info("cuda").live_bytes == before


def test_each_adds_to_what_the_others_are_still_writing():
    """A non-blocking stream of each library; every hand-over orders them."""

    @cuda.jit
    def add(items, value):
        i = cuda.grid(1)
        if i < items.shape[0]:
            items[i] += value

    cupys, numbas, own = cp.cuda.Stream(non_blocking=True), cuda.stream(), dv.Stream("cuda")
    array = cp.zeros(COUNT, "i4")
    cp.cuda.runtime.deviceSynchronize()
    slow_fill(array, 1000, cupys)
    with cupys:
        view = dv.view(array, stream=own)
    target = view.copy(stream=own)
    theirs = cuda.as_cuda_array(target)
    add[2, 32, numbas](theirs, 100)
    own.wait(int(numbas.handle))
    again = target.copy(stream=own)
    with cupys:
        last = cp.from_dlpack(again)
        last += 10
        got = last.get(stream=cupys)
        cupys.synchronize()
    assert got.tolist() == (EXPECTED + 1110).tolist()
