"""Sixteen threads that slice, copy, export and release; the interpreter switches all the time."""

from __future__ import annotations

import gc
import sys
import threading

import numpy as np
import pytest

import devview as dv
from support import CUDA_DEVICES, DEVICES, pattern

CUDA = CUDA_DEVICES[0]
THREADS = 16


@pytest.fixture(autouse=True)
def switching():
    """Switch threads as often as the interpreter can."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


def in_threads(work, count=THREADS):
    """Run `work(i)` in threads that start together; raise what any of them raised."""
    barrier, errors = threading.Barrier(count), []

    def run(i):
        barrier.wait()
        try:
            work(i)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(i,)) for i in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not any(thread.is_alive() for thread in threads), "deadlock"
    for error in errors:
        raise error


@pytest.mark.parametrize("device", DEVICES)
def test_slicing_and_releasing_one_block(device):
    a = pattern((32, 32), "i4")
    v = dv.copy(a, device=device)

    def work(i):
        for n in range(30):
            part = v[i:, n % 7 :: 2]
            turned = part.T[::-1]
            part.release()
            assert turned.shape == a[i:, n % 7 :: 2].T.shape

    in_threads(work)
    assert v.allocation.views == 1
    assert v.tobytes() == a.tobytes()


@pytest.mark.parametrize("device", DEVICES)
def test_reading_one_block(device):
    a = pattern((16, 40), "i4")
    v = dv.copy(a, device=device)

    def work(i):
        for _ in range(4):
            assert v[i].tobytes() == a[i].tobytes()
            with memoryview(v[::-1]) as m:
                assert m.tobytes() == a[::-1].tobytes()
            assert v[i, 3] == a[i, 3]
            assert v.T.copy().tobytes() == a.T.tobytes()

    in_threads(work)
    assert (v.allocation.views, v.allocation.exports) == (1, 0)


@pytest.mark.parametrize("device", DEVICES)
def test_making_moving_and_dropping(device):
    def work(i):
        for n in range(5):
            a = np.full((8, 8), i * 8 + n, "u1")
            v = dv.copy(a, device=device)
            w = v[::2].to(CUDA_DEVICES[i % len(CUDA_DEVICES)], copy=True)
            v.fill(255)
            assert w.tobytes() == a[::2].tobytes()

    in_threads(work)


@pytest.mark.parametrize("device", ["cpu", CUDA])
def test_writing_disjoint_parts(device):
    v = dv.zeros((THREADS, 64), "i", device=device)

    def work(i):
        for n in range(4):
            v[i, ::2].fill(i)
            with v[i, 1 + 2 * n : 2 + 2 * n].stage(writable=True) as m:
                m[0] = -i

    in_threads(work)
    for i, row in enumerate(v.tolist()):
        assert row[::2] == [i] * 32
        assert row[1:8:2] == [-i] * 4


@pytest.mark.parametrize("device", DEVICES)
def test_release_races_with_export_and_slice(device):
    """The view is released, or it has an export; never both, never a crash."""
    for _ in range(10):
        v = dv.zeros(100, device=device)
        outcomes = []

        def work(i, v=v, outcomes=outcomes):
            try:
                if i % 4 == 0:
                    v.release()
                elif i % 4 == 1:
                    assert memoryview(v).tobytes() == bytes(100)
                elif i % 4 == 2:
                    assert v[10:].tobytes() == bytes(90)
                else:
                    assert v.copy().tobytes() == bytes(100)
            except (ValueError, BufferError) as error:
                outcomes.append(type(error))

        in_threads(work)
        assert set(outcomes) <= {ValueError, BufferError}
        assert v.released or BufferError in outcomes
        v.release()
        del v, work


def test_release_callback_runs_once_whoever_comes_last():
    calls = []
    block = dv.zeros(64)
    for _ in range(30):
        v = dv.from_pointer(block.ptr, 64, "B", device="cpu", release=calls.append)
        parts = [v[i:] for i in range(THREADS)]
        v.release()
        assert calls == []
        in_threads(lambda i, parts=parts: parts[i].release(), THREADS)
        assert calls == [None]
        calls.clear()


@pytest.mark.release_errors
def test_release_callbacks_that_raise_in_threads_are_told_once_each(unraisable):
    block = dv.zeros(64)

    def release(stream):
        raise ValueError("mine")

    def work(i):
        for _ in range(5):
            dv.from_pointer(block.ptr, 64, "B", device="cpu", release=release)

    before = dv.release_errors()
    in_threads(work)
    assert dv.release_errors() - before == 5 * THREADS
    assert len(unraisable) == 5 * THREADS


def test_freeing_races_with_viewing():
    for _ in range(20):
        block = dv.Allocation(64, device=CUDA)

        def work(i, block=block):
            try:
                if i % 2:
                    block.free()
                else:
                    assert block.view().nbytes in (64, 128)
                    block.resize(128)
            except (ValueError, BufferError):
                return

        in_threads(work, 8)
        block.free()
        assert block.freed


def test_garbage_collection_in_another_thread():
    stop = threading.Event()

    def collect():
        while not stop.is_set():
            gc.collect()

    collector = threading.Thread(target=collect)
    collector.start()
    try:

        class Node:
            pass

        def work(i):
            for _ in range(10):
                node = Node()
                node.view = dv.zeros(100, device=DEVICES[i % len(DEVICES)])
                node.part = node.view[1:]
                node.m = memoryview(node.part)
                node.me = node

        in_threads(work, 8)
    finally:
        stop.set()
        collector.join()


def test_pinned_limit_holds_under_contention():
    dv.trim()
    dv.set_pinned_limit(100_000)
    v = dv.copy(pattern((60_000,)), device=CUDA)
    expected = v.tobytes()
    worst = []

    def work(i):
        for _ in range(5):
            assert v.tobytes() == expected
            info = dv.memory_info("cpu")
            worst.append(info.pinned_live_bytes + info.pinned_cached_bytes)

    in_threads(work)
    assert max(worst) <= 100_000


def test_overlapping_writable_stagings_have_one_winner():
    v = dv.zeros(100, device=CUDA)
    for _ in range(10):
        won, lost = [], []

        def work(i, won=won, lost=lost):
            try:
                won.append(v[i : i + 50].stage(writable=True))
            except BufferError:
                lost.append(i)

        in_threads(work)
        assert len(won) == 1
        assert len(lost) == THREADS - 1
        won[0].release()


def test_streams_and_events_in_threads():
    def work(i):
        device = CUDA_DEVICES[i % len(CUDA_DEVICES)]
        for _ in range(5):
            stream = dv.Stream(device)
            v = dv.zeros(100, device=device, stream=stream)
            v.fill(i, stream=stream)
            event = stream.record()
            other = dv.Stream(device)
            other.wait(event)
            assert v.copy(stream=other).tobytes() == bytes([i]) * 100

    in_threads(work)
