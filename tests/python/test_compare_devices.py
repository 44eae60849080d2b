"""== of views on one device: by a kernel, with the host's answers; no items come to the host."""

from __future__ import annotations

import itertools
import random

import numpy as np
import pytest

import devview as dv
from support import CUDA_DEVICES, EMULATED, counted_calls, settle

CUDA = CUDA_DEVICES[0]

NUMBERS = [
    *("?", "b", "B", ">h", "H", "i", ">I", "q", "Q", ">Q", "e", ">e", "f", ">f", "d", ">d"),
    *("Zf", "Zd", ">Zd", "T{H:bfloat16:}", "T{B:float8_e4m3fn:}", "T{B:float8_e8m0fnu:}"),
    *("T{B:float4_e2m1fn:}", "T{B:int4:}", "T{B:uint4:}"),
]
OTHERS = ["g", "P", "c", "3s", "4p", "u", "7t", "T{i:a:i:b:}", "T{b:a:i:b:}", "T{f:a:d:b:}", "(3)h"]
COPIES = ("cudaMemcpyAsync", "cudaMemcpy2DAsync", "cudaMemcpy3DAsync", "cudaMemcpyPeerAsync")


SHAPE = (4, 3)


def block(content: bytes, spec: str):
    """Return a host view of twelve items that begin with these bytes."""
    items = bytearray(content[: 12 * dv.Format(spec).itemsize])
    return dv.view(items).cast(spec, SHAPE)


@pytest.mark.parametrize("spec", [*NUMBERS, *OTHERS])
def test_the_answers_are_the_hosts(spec):
    rng = random.Random(spec)
    for other in [spec, *rng.sample(NUMBERS, 6), *rng.sample(OTHERS, 2)]:
        for _ in range(3):
            a = block(rng.choice([rng.randbytes(512), bytes(512), b"\1" * 512]), spec)
            b = block(rng.choice([rng.randbytes(512), bytes(512), b"\1" * 512]), other)
            if spec == other and rng.random() < 0.5:
                b = block(bytes(a.tobytes()) + bytes(512), other)
            on_host = a == b
            assert (a.to(CUDA) == b.to(CUDA)) is on_host, (spec, other)
            assert (a[::-1, ::2].to(CUDA) != b[::-1, ::2].to(CUDA)) is (
                a[::-1, ::2] != b[::-1, ::2]
            )


SPECIAL = [0.0, -0.0, 1.0, np.nan, np.inf, -np.inf, 2.0**-14, 255.0]


@pytest.mark.parametrize("dtype", ["e", "f", "d", ">f", "Zf"])
def test_nans_and_zeros_as_on_the_host(dtype):
    for x, y in itertools.product(SPECIAL, SPECIAL):
        a = np.ones(33, np.dtype("c8") if dtype == "Zf" else dtype)
        b = a.copy()
        a[29], b[29] = x, y
        v, w = dv.view(a).to(CUDA), dv.view(b).to(CUDA)
        assert (v == w) is (x == y), (dtype, x, y)
        assert (v[1:] == w[1:]) is (x == y), "not aligned to 16 bytes"


def test_integers_beside_floats_are_exact():
    big = dv.view(np.array([2**53 + 1, 2**63 - 1], "q")).to(CUDA)
    assert big != dv.view(np.array([2.0**53, 2.0**63])).to(CUDA)
    assert dv.view(np.array([2**63], "Q")).to(CUDA) == dv.view(np.array([2.0**63])).to(CUDA)
    assert dv.view(np.array([-1], "q")).to(CUDA) != dv.view(np.array([2**64 - 1], "Q")).to(CUDA)
    assert dv.view(np.array([-(2**63)], "q")).to(CUDA) == dv.view(np.array([-(2.0**63)])).to(CUDA)


@pytest.mark.parametrize("dtype", ["B", "i", "d"])
def test_every_item_counts_in_any_layout(dtype):
    a = np.arange(24).astype(dtype).reshape(2, 3, 4)
    v = dv.view(a).to(CUDA)
    layouts = {
        "C": lambda x: x,
        "T": lambda x: x.T,
        "reversed": lambda x: x[::-1, :, ::-1],
        "steps": lambda x: x[:, ::2, 1::2],
    }
    for take in layouts.values():
        for index in np.ndindex(take(a).shape):
            changed = a.copy()
            take(changed)[index] += 1
            w = dv.view(changed).to(CUDA)
            assert take(v) != take(w), index
            assert take(v) == take(dv.view(a).to(CUDA))
            # The same items in another layout.
            assert take(v) == dv.view(np.ascontiguousarray(take(a))).to(CUDA)


def test_what_one_side_repeats_is_compared_with_all_of_the_other():
    row = dv.view(np.arange(5, dtype="i")).to(CUDA)
    repeated = row.broadcast_to((3, 5))
    assert repeated.strides == (0, 4)
    for line in range(3):
        a = np.tile(np.arange(5, dtype="i"), (3, 1))
        same = dv.view(a).to(CUDA)
        assert repeated == same
        assert same == repeated
        a[line, 2] += 1
        assert repeated != dv.view(a).to(CUDA), line
        assert dv.view(a).to(CUDA) != repeated, line


@EMULATED
@pytest.mark.parametrize("dtype", ["B", "i", "f", "d", "S7"])
def test_one_launch_and_four_bytes_back(dtype):
    a = np.arange(30000).astype(dtype)
    v, w = dv.view(a).to(CUDA), dv.view(a).to(CUDA)
    dv.trim()
    staged = dv.memory_info("cpu").pinned_live_bytes
    with dv.transfer_guard("forbid"), counted_calls() as calls:
        assert v == w
        assert (v != w) is False
    assert calls["cudaLaunchKernel"] == 2
    assert sum(calls[name] for name in COPIES) == 2  # the flags
    assert calls["cudaHostAlloc"] == 0
    assert calls["cudaDeviceSynchronize"] == 0
    assert dv.memory_info("cpu").pinned_live_bytes == staged


@EMULATED
def test_formats_that_only_the_host_knows_go_there():
    text = np.array(["a", "bc"], "U2")
    v, w = dv.view(text).to(CUDA), dv.view(text).to(CUDA)
    with counted_calls() as calls:
        assert v == w
    assert calls["cudaMemcpyAsync"] == 2
    with dv.transfer_guard("forbid"), pytest.raises(BufferError, match="forbid"):
        v == w  # noqa: B015


@EMULATED
def test_views_of_two_devices_meet_on_the_host():
    a = np.arange(5.0)
    with counted_calls() as calls:
        assert dv.view(a).to(CUDA) == dv.view(a).to(CUDA_DEVICES[1])
    assert calls["cudaLaunchKernel"] == 0


def test_it_waits_for_what_was_done_to_both():
    a = np.zeros(1000, "f")
    v, w = dv.view(a).to(CUDA), dv.view(a).to(CUDA)
    streams = [dv.Stream(CUDA), dv.Stream(CUDA)]
    for value in range(1, 4):
        v.fill(value, stream=streams[0])
        assert v != w
        w.fill(value, stream=streams[1])
        assert v == w


@EMULATED
@pytest.mark.parametrize(
    "call", ["cudaLaunchKernel", "cudaMallocAsync", "cudaMemsetAsync", "cudaMemcpyAsync"]
)
def test_a_failure_is_told_and_leaves_nothing(call):
    a = np.arange(8.0)
    v, w = dv.view(a).to(CUDA), dv.view(a).to(CUDA)
    assert v == w
    settle()
    before = dv.emulation.ledger()
    dv.emulation.fail(call, 1, 1)
    try:
        with pytest.raises(dv.DeviceError, match="cudaErrorInvalidValue"):
            v == w  # noqa: B015
    finally:
        dv.emulation.clear_faults()
    settle()  # the flag's memory is given back in its stream's order
    assert dv.emulation.ledger() == before
    assert v == w
