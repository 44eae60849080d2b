"""Memory of both: released at the moment, seen in both pools; CuPy on devview's memory."""

from __future__ import annotations

import numpy as np
import pytest

import devview as dv
from gpu_peers import require
from gpu_work import no_gc, slow_fill

cp = require("cupy", "cupy-cuda13x")

MIB = 1 << 20


@pytest.fixture
def pool():
    """Make CuPy allocate from a pool of its own."""
    made = cp.cuda.MemoryPool()
    with cp.cuda.using_allocator(made.malloc):
        yield made


@pytest.fixture
def served():
    """Make CuPy allocate from devview."""
    with cp.cuda.using_allocator(dv.allocator("cuda")):
        yield


def live_bytes(device="cuda:0") -> int:
    return dv.memory_info(device).live_bytes


# --- Released at the moment ---


@pytest.mark.parametrize("take", [dv.view, dv.from_dlpack, dv.from_cuda_array])
@pytest.mark.parametrize("drop", ["del", "release", "with"])
def test_cupys_pool_drops_in_the_statement_that_drops_the_last_view(pool, take, drop):
    with no_gc():
        view = take(cp.zeros(MIB, "u1"))
        parts = [view[i:] for i in range(3)]
        assert pool.used_bytes() == MIB
        assert bytes(view[:4]) == bytes(4)
        parts.clear()
        assert pool.used_bytes() == MIB
        if drop == "del":
            del view
        elif drop == "release":
            view.release()
        else:
            with view:
                assert pool.used_bytes() == MIB
        assert pool.used_bytes() == 0


def test_it_drops_when_the_last_memoryview_goes(pool):
    with no_gc():
        memory = memoryview(dv.view(cp.zeros(MIB, "u1")))
        assert pool.used_bytes() == MIB
        part = memory[:8]
        memory.release()
        assert pool.used_bytes() == MIB
        part.release()
        del memory, part
        assert pool.used_bytes() == 0


def test_it_drops_when_a_refused_import_ends(pool):
    with no_gc():
        array = cp.zeros(4, "c16")
        with pytest.raises(BufferError):
            dv.view(array, device="cpu", copy=False)
        with pytest.raises(TypeError, match="stream"):
            dv.view(array, stream=object)
        with pytest.raises(BufferError, match="copy=False"):
            dv.from_dlpack(array.__dlpack__(), device="cpu", copy=False)
        del array
        assert pool.used_bytes() == 0


def test_devviews_ledger_tells_foreign_memory(pool):
    array = cp.zeros(1000, "f4")
    before = dv.memory_info("cuda")
    view = dv.view(array)
    now = dv.memory_info("cuda")
    assert now.foreign_bytes == before.foreign_bytes + 4000
    assert now.foreign_blocks == before.foreign_blocks + 1
    assert now.live_bytes == before.live_bytes
    assert [row.owned for row in dv.live() if row.ptr == view.ptr] == [False]
    view.release()
    assert dv.memory_info("cuda").foreign_bytes == before.foreign_bytes


def test_a_round_of_views_and_arrays_leaves_nothing(pool):
    """View of array of view of array: the chain goes with its last link."""
    with no_gc():
        array = cp.arange(1000, dtype="i4")
        for _ in range(5):
            array = cp.from_dlpack(dv.view(array))
            array = cp.asarray(dv.view(array))
        assert pool.used_bytes() > 0
        assert int(array.sum()) == 499500
        del array
        assert pool.used_bytes() == 0


# --- dv.allocator ---


def test_cupys_arrays_are_devviews_blocks(served):
    before = live_bytes()
    with no_gc():
        array = cp.arange(1000, dtype="f8")
        assert live_bytes() == before + 8000
        (row,) = [row for row in dv.live() if row.ptr == array.data.ptr]
        assert (row.device, row.nbytes, row.owned) == ("cuda:0", 8000, True)
        assert float(array.sum()) == 499500
        part = array[10:]
        del array
        assert live_bytes() == before + 8000
        del part
        assert live_bytes() == before


def test_arithmetic_and_temporaries(served):
    before = live_bytes()
    x = cp.linspace(0, 1, 10_001)
    y = cp.sin(x) ** 2 + cp.cos(x) ** 2
    assert abs(y.get() - 1).max() < 1e-12
    assert cp.concatenate([x, y])[cp.asarray([0, -1])].tolist() == [0.0, pytest.approx(1.0)]
    assert int((x > 0.5).sum()) == 5000
    del x, y
    assert live_bytes() == before


def test_views_of_arrays_on_devviews_memory(served):
    """Devview's memory, by way of CuPy, back in devview: the same address, freed once."""
    before = live_bytes()
    with no_gc():
        view = dv.view(cp.arange(100, dtype="i4"))
        assert view.tolist() == list(range(100))
        assert live_bytes() == before + 400
        view.release()
        assert live_bytes() == before


def test_a_pool_of_cupys_in_front(pool):
    before = live_bytes()
    front = cp.cuda.MemoryPool(dv.allocator("cuda"))
    with cp.cuda.using_allocator(front.malloc):
        array = cp.zeros(1000, "u1")
        held = live_bytes() - before
        assert held >= 1000
        del array
        assert live_bytes() == before + held  # the pool keeps it
        front.free_all_blocks()
        assert live_bytes() == before


def test_arrays_on_streams_are_freed_in_the_streams_order(served):
    """The next array may have the same address: its items must be those of the right one."""
    before = live_bytes()
    for value in range(5):
        stream = cp.cuda.Stream(non_blocking=True)
        with stream:
            array = cp.empty(256, "i4")
            slow_fill(array, value, stream)
            doubled = array * 2
            del array
            other = cp.full(256, -1, "i4")
        assert doubled.get(stream=stream)[0] == 2 * value or stream.synchronize() is None
        assert doubled.get()[:2].tolist() == [2 * value, 2 * value + 2]
        del other, doubled, stream
    cp.cuda.runtime.deviceSynchronize()
    assert live_bytes() == before


def test_another_stream_than_the_arrays_own_frees_nothing_too_early(served):
    """The block is freed on the stream that it was made on: CuPy's rule for its own pool."""
    stream = cp.cuda.Stream(non_blocking=True)
    with stream:
        array = cp.arange(64, dtype="i4")
        total = array + 1
    stream.synchronize()
    assert (total.get() == np.arange(1, 65)).all()


def test_no_memory_for_nothing(served):
    before = live_bytes()
    array = cp.empty((0, 5))
    assert array.data.ptr == 0
    assert live_bytes() == before
    assert dv.view(array).shape == (0, 5)


def test_out_of_memory_is_cupys_to_catch(served):
    with pytest.raises(MemoryError) as refusal:
        cp.empty(1 << 45, "u1")
    assert isinstance(refusal.value, dv.OutOfMemory)
    assert refusal.value.requested == 1 << 45
    assert cp.zeros(4).tolist() == [0.0] * 4


def test_cupys_own_way_to_plug_allocators_in():
    """PythonFunctionAllocator takes (size, device) and (address, device)."""
    blocks: dict[int, dv.Allocation] = {}

    def malloc(size: int, device: int) -> int:
        block = dv.Allocation(size, device=f"cuda:{device}")
        blocks[block.ptr] = block
        return block.ptr

    def free(address: int, device: int) -> None:
        blocks.pop(address).free()

    plugged = cp.cuda.PythonFunctionAllocator(malloc, free)
    with no_gc(), cp.cuda.using_allocator(plugged.malloc):
        before = live_bytes()
        array = cp.arange(100, dtype="i4")
        assert live_bytes() == before + 400
        assert int(array.sum()) == 4950
        del array
        assert live_bytes() == before
    assert blocks == {}


def test_threads_allocate_at_once(served):
    import threading

    failed = []

    def work(seed: int) -> None:
        try:
            with cp.cuda.using_allocator(dv.allocator("cuda")), cp.cuda.Stream(non_blocking=True):
                for i in range(10):
                    array = cp.full(seed * 100 + i + 1, i, "i4")
                    assert int(array.max()) == i
        except BaseException as error:
            failed.append(error)

    before = live_bytes()
    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert live_bytes() == before
