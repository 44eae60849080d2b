"""Functions bound with devview/pybind11.hpp and CuPy's arrays: arguments, results, threads."""

from __future__ import annotations

import threading

import numpy as np
import pytest

import devview as dv
from extension import built
from gpu_peers import require
from gpu_work import no_gc, slow_fill

cp = require("cupy", "cupy-cuda13x")


@pytest.fixture(scope="module")
def caster(tmp_path_factory):
    return built(tmp_path_factory, "caster")


def refusal(function, *args) -> str:
    with pytest.raises(TypeError) as raised:
        function(*args)
    return str(raised.value)


# --- Arguments ---


def test_an_array_comes_in_where_it_is(caster):
    a = cp.arange(6, dtype="f4").reshape(2, 3)
    v = caster.same(a)
    assert (v.ptr, v.shape, v.format, v.device) == (a.data.ptr, (2, 3), "f", "cuda:0")
    assert caster.address(a) == caster.address(a.T[1:]) - 4 == a.data.ptr
    assert caster.pick(a[0]) == "cuda"
    caster.on_device(a)


def test_a_refusal_tells_the_array_the_wish_and_the_fact(caster):
    a = cp.ones((2, 3), "f4")
    assert refusal(caster.total, a) == (
        "total(): argument 'x' (ndarray): device: memory that the host can follow (cpu, "
        "pinned, managed) wanted, cuda:0 given"
    )
    assert "items: float32 wanted, float64 given" in refusal(caster.address, a.astype("f8"))
    lines = refusal(caster.pick, a).splitlines()
    assert len(lines) == 6
    assert lines[4].endswith("(ndarray): axes: 1 wanted, 2 (shape (2, 3)) given")
    assert caster.refused() == 0


def test_a_copy_to_the_host_has_the_arrays_work_done(caster):
    a = cp.zeros(64, "i4")
    stream = cp.cuda.Stream(non_blocking=True)
    slow_fill(a, 5, stream)
    with stream:
        got = caster.converted(a)
    assert (got.device, got.tolist()) == ("cpu", [float(5 + i) for i in range(64)])


# --- Results ---


def test_return_as_cupy_shares_and_keeps_alive(caster):
    v = dv.view(np.arange(6, dtype="f4").reshape(2, 3), device="cuda:0")
    ptr = v.ptr
    a = caster.cupy(v.T)
    assert (type(a), a.data.ptr, a.shape, a.dtype) == (cp.ndarray, ptr, (3, 2), "f4")
    assert a.device.id == 0
    v.release()
    assert len(dv.live()) == 1
    a += 1
    assert cp.asnumpy(a).tolist() == [[1, 4], [2, 5], [3, 6]]
    with no_gc():
        del a
        assert dv.live() == []


def test_return_as_cupy_gives_an_array_of_cupys_its_own_memory(caster):
    a = cp.arange(4, dtype="i2")
    b = caster.cupy(a[1:])
    b[0] = 70
    assert (b.data.ptr, a.tolist()) == (a.data.ptr + 2, [0, 70, 2, 3])
    del a
    assert b.tolist() == [70, 2, 3]


def test_return_as_cupy_on_another_device(caster, two_devices):
    v = dv.view(np.arange(3, dtype="f4"), device=two_devices[1])
    a = caster.cupy(v)
    assert (a.device.id, a.data.ptr) == (1, v.ptr)
    assert cp.asnumpy(a).tolist() == [0, 1, 2]
    assert cp.cuda.runtime.getDevice() == 0


def test_return_as_cupy_orders_what_was_enqueued(caster):
    stream = dv.Stream("cuda:0")
    v = dv.empty(1 << 16, "i", device="cuda:0")
    work = cp.cuda.Stream.from_external(stream)
    slow_fill(cp.from_dlpack(v), 3, work)
    v.fill(8, stream=stream)
    a = caster.cupy(v)
    assert int(a.sum()) == 8 << 16


def test_return_as_numpy_refuses_cupys_memory(caster):
    with pytest.raises(BufferError, match="return_as<numpy>: the result is on cuda:0"):
        caster.numpy(cp.ones(3))


def test_return_as_cupy_refuses_memory_of_the_host_and_leaks_nothing(caster):
    with pytest.raises((BufferError, TypeError, RuntimeError, ValueError)):
        caster.cupy(np.ones(3))
    assert dv.live() == []


def test_memory_that_a_smart_pointer_owns_is_given_back_on_the_stream(caster):
    memory = cp.arange(8, dtype="f4")
    stream = cp.cuda.Stream(non_blocking=True)
    a = caster.cupy(caster.on_stream(memory.data.ptr, 8, stream.ptr))
    assert (a.data.ptr, float(a.sum())) == (memory.data.ptr, 28.0)
    assert caster.freed() == []
    del a
    assert caster.freed() == [(True, memory.data.ptr)]


# --- Threads ---


def test_threads_pass_arrays_both_ways(caster):
    done = []

    def work(n):
        for _ in range(10):
            a = cp.full((2, n), n, "f4")
            assert caster.address(a) == a.data.ptr
            assert f"(shape (2, {n})) given" in refusal(caster.pick, a)
            b = caster.cupy(a)
            del a
            assert float(b.sum()) == 2 * n * n
            caster.keep(b[0])  # another thread's is dropped
        done.append(n)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(1, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    caster.drop()
    assert sorted(done) == [1, 2, 3, 4]
    assert caster.refused() == 0
