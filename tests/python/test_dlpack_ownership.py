"""DLPack tensors that are taken: by one consumer, in the order of their work, let go once."""

from __future__ import annotations

import contextlib
import gc
import sys
import threading

import pytest

import devview as dv
from clients.contract import require
from dlpack_capsules import CPU, CUDA, MANAGED, Crafted, Device, Producer, rename
from dlpack_imports import both
from support import CUDA_DEVICES, EMULATED, WAITS, counted_calls, delay, run_clean

DEVICE = CUDA_DEVICES[0]


# --- One consumer ---


@both
def test_a_capsule_is_consumed_once(legacy):
    crafted = Crafted(legacy)
    capsule = crafted.capsule()
    view = dv.from_dlpack(capsule)
    with pytest.raises(BufferError, match="consumed before"):
        dv.from_dlpack(capsule)
    with pytest.raises(BufferError, match="consumed before"):
        dv.from_dlpack(Producer(capsule))
    del capsule
    assert crafted.deleted == 0
    view.release()
    assert crafted.deleted == 1


def test_a_producer_that_re_enters_loses_its_capsule():
    crafted = Crafted()
    taken = []

    def greedy(self):
        capsule = crafted.capsule()
        taken.append(dv.from_dlpack(capsule))
        return capsule

    with pytest.raises(BufferError, match="consumed before"):
        dv.from_dlpack(Producer(greedy))
    assert taken[0].shape == (4, 6)
    taken.clear()
    assert crafted.deleted == 1


def test_a_capsule_that_is_renamed_is_not_ours():
    crafted = Crafted()
    capsule = crafted.capsule()
    rename(capsule, b"used_dltensor_versioned")
    with pytest.raises(BufferError, match="consumed before"):
        dv.from_dlpack(Producer(capsule))
    rename(capsule, crafted.name)
    assert dv.from_dlpack(capsule).shape == (4, 6)
    assert crafted.deleted == 1


def test_sixteen_threads_and_one_capsule():
    crafted = Crafted()
    capsule = crafted.capsule()
    start = threading.Barrier(16)
    won, lost = [], []

    def race():
        start.wait()
        try:
            won.append(dv.from_dlpack(capsule))
        except BufferError:
            lost.append(1)

    threads = [threading.Thread(target=race) for _ in range(16)]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert (len(won), len(lost)) == (1, 15)
    won.clear()
    assert crafted.deleted == 1


@EMULATED
def test_threads_race_for_a_device_capsule_while_the_driver_is_asked():
    for _ in range(20):
        block = dv.zeros(24, "f", device=DEVICE)
        crafted = Crafted()
        crafted.tensor.data, crafted.tensor.device = block.ptr, Device(CUDA, 0)
        capsule = crafted.capsule()
        start = threading.Barrier(4)
        won = []

        def race(start=start, won=won, capsule=capsule):
            start.wait()
            with contextlib.suppress(BufferError):
                won.append(dv.from_dlpack(capsule))

        threads = [threading.Thread(target=race) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(won) == 1
        won.clear()
        assert crafted.deleted == 1


# --- The order of work ---


@EMULATED
@pytest.mark.parametrize("take", [dv.view, dv.from_dlpack])
def test_managed_memory_is_ready_on_the_legacy_stream(take):
    """Its producer is passed no stream, which means that one; the host reads in place."""
    source = dv.zeros(24, "f", device=DEVICE)
    block = dv.zeros(24, "f", device="managed")
    with delay(20_000):
        source.fill(7)
        # Work that devview's view of the block knows nothing of, as a producer's.
        theirs = dv.from_pointer(block.ptr, 24, "f", device="managed")
        dv.copyto(theirs, source)
        crafted = Crafted()
        crafted.tensor.data, crafted.tensor.device = block.ptr, Device(MANAGED, 0)
        view = take(Producer(crafted.capsule(), (MANAGED, 0)))
        assert memoryview(view).tolist() == [[7.0] * 6] * 4
        view.release()
        theirs.release()


@EMULATED
def test_the_producers_work_comes_first():
    producer = dv.Stream(DEVICE)
    source = dv.zeros(1000, "i", device=DEVICE)
    with delay(20_000):
        source.fill(42, stream=producer)
        consumer = dv.Stream(DEVICE)
        view = dv.from_dlpack(source, stream=consumer)
        with counted_calls() as calls:
            target = view.copy(stream=consumer)
        assert sum(calls[name] for name in WAITS) == 0
        consumer.synchronize()
        assert set(target.tolist()) == {42}


@EMULATED
def test_the_deleter_comes_after_devviews_work_and_does_not_wait_for_others():
    block = dv.zeros(24, "f", device=DEVICE)
    seen = []
    work = dv.Stream(DEVICE)

    def make():
        crafted = Crafted(on_delete=lambda: seen.append(work.query()))
        crafted.tensor.data, crafted.tensor.device = block.ptr, Device(CUDA, 0)
        return crafted, dv.from_dlpack(crafted.capsule())

    crafted, view = make()
    with delay(20_000):
        view.fill(3, stream=work)
        view.release()
        assert (crafted.deleted, seen) == (1, [True])
        crafted, view = make()
        block.fill(4, stream=work)
        with counted_calls() as calls:
            view.release()
        assert (crafted.deleted, len(seen)) == (1, 2)
        assert sum(calls[name] for name in WAITS) == 0


# --- The end of a view ---


@pytest.mark.parametrize("device", [CPU, CUDA])
def test_the_last_view_may_go_on_another_thread(device):
    if device == CUDA and not CUDA_DEVICES:
        pytest.skip("missing: a CUDA device")
    block = dv.zeros(24, "f", device=DEVICE)
    crafted = Crafted()
    if device == CUDA:
        crafted.tensor.data, crafted.tensor.device = block.ptr, Device(CUDA, 0)
    views = [dv.from_dlpack(crafted.capsule())]
    thread = threading.Thread(target=views.clear)
    thread.start()
    thread.join()
    assert crafted.deleted == 1


def test_a_deleter_may_use_devview():
    crafted = Crafted()
    other = [dv.from_dlpack(Crafted().capsule())]
    crafted.on_delete = other.clear
    view = dv.from_dlpack(crafted.capsule())
    view.release()
    assert other == []


def test_a_pending_exception_survives_a_deleter():
    crafted = Crafted(on_delete=lambda: [].append(1))
    with pytest.raises(KeyError):
        [dv.from_dlpack(crafted.capsule())][{}["missing"]]
    gc.collect()
    assert crafted.deleted == 1


EXITS = {
    "numpy": "held = dv.from_dlpack(np.arange(5))",
    "numpy in a cycle": "held = [dv.from_dlpack(np.arange(5))]; held.append(held)",
    "a chain": "held = np.from_dlpack(dv.from_dlpack(np.arange(5)))",
    "both sides": "a = np.arange(5); held = (dv.from_dlpack(a), a.__dlpack__(), "
    "dv.view(a).__dlpack__())",
    "tvm_ffi": "import tvm_ffi; held = dv.from_dlpack(tvm_ffi.from_dlpack(np.arange(5.0)))",
    "to tvm_ffi": "import tvm_ffi; held = tvm_ffi.from_dlpack(dv.zeros(5, 'f'))",
    "device": "held = dv.from_dlpack(dv.zeros(5, device='cuda').__dlpack__())",
}


@pytest.mark.parametrize("what", EXITS)
@pytest.mark.parametrize("where", ["module", "sys", "thread"])
def test_interpreter_exit_is_silent(what, where):
    keep = {
        "module": "",
        "sys": "\nsys.held = held; del held",
        "thread": "\nlocal = threading.local(); local.held = held; del held",
    }[where]
    if "tvm_ffi" in what:
        require("tvm_ffi", "apache-tvm-ffi")
    run_clean(f"{EXITS[what]}{keep}\n")


AFTER_THE_END = """
sys.path.insert(0, os.environ["TESTS"])
import ctypes
from dlpack_capsules import Crafted, read, rename
crafted = Crafted()
view = dv.from_dlpack(crafted.capsule())
capsule = view.__dlpack__(max_version=(1, 3))
managed = read(capsule)
rename(capsule, b"used_dltensor_versioned")
# glibc calls deleter(tensor) from exit(), when the interpreter has ended.
at_exit = ctypes.CDLL(None)["__cxa_atexit"]
at_exit.argtypes = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p)
assert at_exit(managed.deleter, ctypes.addressof(managed), None) == 0
ctypes.pythonapi.Py_IncRef(ctypes.py_object(crafted))  # the tensor's own memory stays
"""


def test_a_deleter_of_python_is_not_called_after_the_end():
    run_clean(AFTER_THE_END, env={"TESTS": __file__.rpartition("/")[0]})
