"""Staging under a pinned limit: in chunks, overlapped, right to the byte, never above the limit."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

import devview as dv
from support import CUDA_DEVICES, EMULATED, MIB, counted_calls, pattern, run_clean

CUDA = CUDA_DEVICES[0]

BIG = """
GIB, MIB = 1 << 30, 1 << 20
dv.emulate(devices=1, memory=2 * GIB)
dv.set_pinned_limit(64 * MIB)
v = dv.empty(GIB // 8, "Q", device="cuda")
part = GIB // 16
rows = part // 8
for i in range(16):
    numbers = np.arange(i * rows, (i + 1) * rows, dtype="u8")
    v[i * rows : (i + 1) * rows] = numbers * 0x9E3779B97F4A7C15
assert dv.memory_info().pinned_peak_bytes <= 64 * MIB
with v.stage() as m, dv.view(m) as w:
    assert m.nbytes == GIB
    for i in range(16):
        numbers = np.arange(i * rows, (i + 1) * rows, dtype="u8")
        assert (np.asarray(w[i * rows : (i + 1) * rows]) == numbers * 0x9E3779B97F4A7C15).all()
    w.release()
staging = v.stage()
print(staging.pinned)
staging.release()
info = dv.memory_info()
print(0 < info.pinned_peak_bytes <= 64 * MIB, info.pinned_live_bytes)
assert info.pinned_live_bytes + info.pinned_cached_bytes <= 64 * MIB
v.release()
print(dv.live())
"""


@EMULATED
@pytest.mark.slow
def test_one_gigabyte_under_64_mib():
    out = run_clean(BIG, emulate=False, timeout=110)
    assert out.split("\n")[:3] == ["False", "True 0", "[]"]


SMALL = """
MIB = 1 << 20
dv.emulate(devices=1)
assert dv.pinned_limit() == 2 * MIB
a = np.frombuffer(np.random.default_rng(1).bytes(24 * MIB), "u4").reshape(1024, -1)
v = dv.copy(a, device="cuda")
for key in (np.s_[:], np.s_[::2], np.s_[:, 5:-3], np.s_[::-1, ::3]):
    for x, y in ((v[key], a[key]), (v[key].T, a[key].T)):
        with x.stage() as m:
            assert m.tobytes() == y.tobytes()
        staging = x.stage()
        assert staging.pinned == (x.nbytes <= 2 * MIB)
        staging.release()
        assert bytes(x) == y.tobytes()
b = a.copy()
with v[::2, 1:].stage(writable=True) as m:
    new = np.asarray(m)
    new += 1
    del new
b[::2, 1:] += 1
assert v.tobytes() == b.tobytes()
out = np.empty_like(b)
dv.copyto(out.T, v.T)
assert (out == b).all()
v[::-1] = b
assert v.tobytes() == b[::-1].tobytes()
info = dv.memory_info()
print(info.pinned_peak_bytes <= 2 * MIB, info.pinned_live_bytes)
"""


@EMULATED
def test_small_limit_by_the_environment():
    out = run_clean(SMALL, emulate=False, env={"DEVVIEW_PINNED_LIMIT": str(2 * MIB)})
    assert out == "True 0\n"


@EMULATED
def test_chunked_copies_overlap_and_use_more_than_one_chunk():
    dv.trim()
    dv.set_pinned_limit(MIB)
    v = dv.zeros(8 * MIB, device=CUDA)
    with counted_calls() as calls:
        s = v.stage()
    assert not s.pinned
    assert s.ready()  # complete on construction
    assert calls["cudaMemcpyAsync"] >= 8
    assert calls["cudaHostAlloc"] >= 2
    assert dv.memory_info().pinned_live_bytes == 0
    s.release()


@pytest.mark.parametrize("limit", [0, 1, 1000, 4096, 100_000])
@pytest.mark.parametrize("key", [np.s_[:], np.s_[::3, ::-2]], ids=["dense", "strided"])
def test_tiny_limits_still_work(limit, key):
    a = pattern((300, 400), "u2")
    v = dv.copy(a, device=CUDA)
    dv.trim()
    dv.set_pinned_limit(limit)
    b = a.copy()
    assert v[key].tobytes() == a[key].tobytes()
    with v[key].stage(writable=True) as m:
        x = np.asarray(m)
        x ^= 0xFFFF
        del x
    b[key] ^= 0xFFFF
    assert v.tobytes() == b.tobytes()
    assert dv.copy(b[key], device=CUDA).to("cpu").tobytes() == b[key].tobytes()
    info = dv.memory_info("cpu")
    assert info.pinned_live_bytes + info.pinned_cached_bytes <= limit


def test_pinned_memory_over_the_limit_is_refused_with_figures():
    dv.trim()
    dv.set_pinned_limit(10_000)
    held = dv.empty(6000, device="pinned")
    with pytest.raises(dv.OutOfMemory) as error:
        dv.empty(4001, device="pinned")
    assert (error.value.requested, error.value.used, error.value.limit) == (4001, 6000, 10_000)
    assert isinstance(error.value, MemoryError)
    for figure in ("4001", "6000", "10000"):
        assert figure in str(error.value)
    more = dv.empty(4000, device="pinned")
    assert dv.memory_info("pinned").pinned_live_bytes == 10_000
    del held, more
    assert dv.empty(10_000, device="pinned").nbytes == 10_000


def test_cached_memory_makes_room():
    dv.trim()
    dv.set_pinned_limit(10_000)
    dv.empty(6000, device="pinned").release()
    assert dv.memory_info().pinned_cached_bytes == 6000
    v = dv.empty(9000, device="pinned")
    assert dv.memory_info().pinned_live_bytes == 9000
    assert dv.memory_info().pinned_cached_bytes <= 1000
    v.release()


def test_limit_is_exact():
    dv.trim()
    dv.set_pinned_limit(12_345)
    assert dv.pinned_limit() == 12_345
    assert dv.memory_info("pinned").limit_bytes == 12_345
    v = dv.zeros(12_345, device=CUDA)
    s = v.stage()
    assert s.pinned
    assert dv.memory_info().pinned_live_bytes == 12_345
    s.release()
    dv.set_pinned_limit(12_344)
    assert dv.memory_info().pinned_cached_bytes == 0  # what is cached above it is freed at once
    s = v.stage()
    assert not s.pinned
    s.release()


def test_memoryview_over_the_limit_is_right():
    dv.trim()
    dv.set_pinned_limit(50_000)
    a = pattern((1_000_000,))
    v = dv.copy(a, device=CUDA)
    assert hashlib.sha256(v).digest() == hashlib.sha256(a).digest()
    assert hashlib.sha256(v[::-3]).digest() == hashlib.sha256(a[::-3].copy()).digest()
    peak = dv.memory_info().pinned_live_bytes
    assert peak == 0


@pytest.mark.parametrize("limit", [-1, 2**64, "1", 1.5, None], ids=repr)
def test_wrong_limits_are_refused(limit):
    before = dv.pinned_limit()
    with pytest.raises((ValueError, TypeError)):
        dv.set_pinned_limit(limit)
    assert dv.pinned_limit() == before


@EMULATED
@pytest.mark.parametrize("text", ["", "many", "-1", "12x", "99999999999999999999999"])
def test_senseless_environment_gives_the_default(text):
    out = run_clean(
        "print(dv.pinned_limit() == os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') // 4)",
        env={"DEVVIEW_PINNED_LIMIT": text},
    )
    assert out == "True\n"
