"""The emulated device: it faults like one, fails when told, and gives everything back."""

from __future__ import annotations

import contextlib
import signal
import sys
from collections import Counter

import numpy as np
import pytest

import devview as dv
from support import (
    CUDA_DEVICES,
    EMULATED,
    MIB,
    SIMPLE,
    WRITABLE,
    counted_calls,
    get_buffer,
    ledger,
    pattern,
    run_clean,
    run_script,
    settle,
)

pytestmark = EMULATED

CUDA = CUDA_DEVICES[0]

# --- A device pointer is none of the host's ---

TOUCHES = {
    "read": "ctypes.string_at(v.ptr, 1)",
    "read the last byte": "ctypes.string_at(v.ptr + v.nbytes - 1, 1)",
    "write": "ctypes.memset(v.ptr, 0, 1)",
    "numpy": "np.ctypeslib.as_array(ctypes.cast(v.ptr, ctypes.POINTER(ctypes.c_char)), (8,))[0]",
    "as host memory": "dv.from_pointer(v.ptr, 8, 'B', device='cpu').tobytes()",
    "freed": "p = v.ptr; v.release(); ctypes.string_at(p, 1)",
}


@pytest.mark.parametrize("touch", TOUCHES)
def test_host_access_to_device_memory_dies(touch):
    outcome = run_script(
        f"""
        import ctypes
        v = dv.zeros(1000, device="cuda")
        assert bytes(v) == bytes(1000)
        print("before", flush=True)
        {TOUCHES[touch]}
        print("after", flush=True)
        """
    )
    assert outcome.out == "before\n"
    assert outcome.code in (-signal.SIGSEGV, -signal.SIGBUS)


def test_host_access_to_pinned_and_managed_memory_lives():
    out = run_clean(
        """
        import ctypes
        for device in ("cpu", "pinned", "managed"):
            v = dv.zeros(1000, device=device)
            ctypes.memset(v.ptr, 7, 10)
            print(ctypes.string_at(v.ptr, 11) == b"\\7" * 10 + b"\\0")
        """
    )
    assert out == "True\n" * 3


# --- One emulator a process ---


@pytest.mark.parametrize(
    "alive",
    ["dv.zeros(10, device='cuda')", "dv.Stream()", "dv.zeros(10, device='pinned')", "dv.Event()"],
)
def test_emulate_again_is_refused_while_something_is_alive(alive):
    out = run_clean(
        f"""
        held = {alive}
        try:
            dv.emulate(devices=1)
        except BufferError as error:
            print("refused", any(c.isdigit() for c in str(error)))
        del held
        dv.emulate(devices=2)
        print(len([d for d in dv.devices() if d.type == "cuda"]))
        """
    )
    assert out == "refused True\n2\n"


def test_emulate_again_starts_anew():
    out = run_clean(
        """
        for n in (1, 4, 2):
            dv.emulate(devices=n, memory=1 << 20)
            v = dv.zeros(1000, device=f"cuda:{n - 1}")
            memoryview(v).release()
            try:
                dv.zeros(1 << 21, device="cuda")
            except dv.OutOfMemory as error:
                print(n, error.limit, v.tobytes() == bytes(1000))
            try:
                dv.zeros(1, device=f"cuda:{n}")
            except dv.DeviceError as error:
                print(error.code)
            del v
        """
    )
    assert out == "".join(f"{n} {MIB} True\n101\n" for n in (1, 4, 2))


def test_emulation_is_chosen_by_the_environment():
    out = run_clean(
        "print([str(d) for d in dv.devices()])",
        emulate=False,
        env={"DEVVIEW_EMULATE_CUDA": "2"},
    )
    assert "cuda:1 (emulated)" in out
    assert "cuda:2" not in out


@pytest.mark.parametrize(
    "options",
    [
        {"devices": 0},
        {"devices": -1},
        {"devices": 17},
        {"devices": 1.5},
        {"memory": 0},
        {"memory": -1},
        {"memory": "1G"},
        {"delay_us": -1},
    ],
    ids=str,
)
def test_emulate_refuses_senseless_options(options):
    out = run_clean(
        f"""
        try:
            dv.emulate(**{options!r})
        except (ValueError, TypeError) as error:
            print("refused", bool(str(error)))
        dv.emulate()
        print(dv.zeros(3, device="cuda").tolist())
        """,
        emulate=False,
    )
    assert out == "refused True\n[0, 0, 0]\n"


def test_emulation_without_an_emulator_says_what_to_call():
    out = run_clean(
        """
        assert not dv.emulation.active
        for use in (lambda: dv.emulation.calls, dv.emulation.ledger, dv.emulation.clear_faults,
                    lambda: dv.emulation.fail("cudaMalloc"), lambda: dv.emulation.set_delay(1)):
            try:
                use()
            except dv.DeviceError as error:
                print("emulate()" in str(error))
        """,
        emulate=False,
    )
    assert out == "True\n" * 5


# --- The call log and the ledger ---


def test_calls_are_logged_in_order():
    with counted_calls() as counts:
        v = dv.zeros(10, device=CUDA)
        v.to("cpu")
    calls = dv.emulation.calls
    assert counts["cudaMallocAsync"] == 1
    assert counts["cudaMemsetAsync"] == 1
    last = len(calls) - calls[::-1].index("cudaMallocAsync")
    assert "cudaMemsetAsync" in calls[last:]
    assert dv.emulation.count("cudaMallocAsync") == Counter(calls)["cudaMallocAsync"]
    dv.emulation.clear()
    assert dv.emulation.calls == []
    assert dv.emulation.count("cudaMallocAsync") == 0


def test_ledger_counts_device_memory():
    before = dv.emulation.ledger()
    v = dv.empty(1000, device=CUDA)
    now = dv.emulation.ledger()
    assert now["device_blocks"] == before["device_blocks"] + 1
    assert now["device_bytes"] >= before["device_bytes"] + 1000
    v.release()
    settle()
    assert dv.emulation.ledger()["device_bytes"] == before["device_bytes"]


@pytest.mark.parametrize("name", ["cudaNothing", "", "malloc"])
def test_fail_names_an_unknown_call(name):
    with pytest.raises((dv.DeviceError, ValueError), match="no such call"):
        dv.emulation.fail(name)


def test_fail_fails_the_nth_call_once():
    dv.emulation.fail("cudaMallocAsync", 3, 999)
    held = [dv.empty(1, device=CUDA), dv.empty(1, device=CUDA)]
    with pytest.raises(dv.DeviceError) as error:
        dv.empty(1, device=CUDA)
    assert error.value.code == 999
    assert error.value.name == "cudaErrorUnknown"
    assert "999" in str(error.value)
    held.append(dv.empty(1, device=CUDA))


# --- Faults at every call of every operation ---


def array_of():
    return pattern((12, 10), "i4")


def make_view():
    return dv.copy(array_of(), device=CUDA)


def memoryview_of(key):
    def run(v):
        assert memoryview(v[key]).tobytes() == array_of()[key].tobytes()

    return run


def stage(v):
    w = v.copy()
    with w[::2].stage(writable=True) as m:
        m[0, 0] = 1
    assert w[0, 0] == 1


def writable_buffer(v):
    w = v.copy()
    with get_buffer(w, SIMPLE | WRITABLE):
        pass
    assert w.tobytes() == array_of().tobytes()


def pinned(v):
    w = dv.empty((12, 10), "i", device="pinned")
    w.copy_from(v)
    assert w.tobytes() == array_of().tobytes()


def managed(v):
    w = dv.zeros((12, 10), "i", device="managed")
    w.copy_from(v.T.copy().T)
    assert w.tobytes() == array_of().tobytes()


def resize(v):
    block = dv.Allocation(100, device=CUDA)
    block.view().fill(3)
    block.resize(200)
    assert block.view()[:100].tobytes() == b"\3" * 100


def streams(v):
    first, second = dv.Stream(CUDA), dv.Stream(CUDA)
    w = v.copy().copy(stream=first)  # a block keeps the streams that it was used on
    second.wait(first)
    x = w.T.copy(stream=second)
    dv.Event(second).synchronize()
    first.synchronize()
    assert x.tobytes() == array_of().T.tobytes()


def equality(v):
    assert v == array_of()
    assert v[3, 4] == array_of()[3, 4]


def assign(v):
    w = dv.zeros((12, 10), "i", device=CUDA)
    w[...] = array_of()
    w[::2] = w[1::2]
    w.T[:5].fill(9)
    w[0, 0] = 4
    assert w[0, 0] == 4


def foreign(v):
    calls = []
    w = dv.from_pointer(v.ptr, (12, 10), "i", device=CUDA, owner=v, release=calls.append)
    try:
        got = w.T.tobytes()  # no assert: pytest would keep w.T in a variable
    finally:
        w.release()
        assert len(calls) == 1
    assert got == array_of().T.tobytes()


OPERATIONS = {
    "zeros": lambda v: dv.zeros(100, device=CUDA).tobytes(),
    "to device": lambda v: make_view(),
    "to cpu": lambda v: v[:, ::-1].to("cpu"),
    "to another device": lambda v: v[1:].to(CUDA_DEVICES[-1], copy=True).tobytes(),
    "copy strided": lambda v: v[:, ::2].copy().tobytes(),
    "overlap": lambda v: dv.copyto(v.copy()[1:], v[:-1]),
    "memoryview": memoryview_of(np.s_[:]),
    "memoryview strided": memoryview_of(np.s_[::2, ::-1]),
    "memoryview columns": memoryview_of(np.s_[:, 2:5]),
    "stage": stage,
    "writable buffer": writable_buffer,
    "pinned": pinned,
    "managed": managed,
    "resize": resize,
    "streams": streams,
    "equality": equality,
    "assign": assign,
    "foreign": foreign,
}

REFUSALS = (dv.DeviceError, dv.OutOfMemory, BufferError)


def sites(operation, v):
    """Give (call, n) for the runtime calls of one run, cold."""
    dv.trim()
    settle()
    with counted_calls() as calls:
        operation(v)
    settle()
    # Many calls of one name differ little: the first ones and the last.
    return [
        (name, n)
        for name, count in sorted(calls.items())
        for n in sorted({*range(1, min(count, 4) + 1), count})
    ]


@pytest.mark.release_errors
@pytest.mark.parametrize("error", [2, 999], ids=["out of memory", "unknown"])
@pytest.mark.parametrize("name", OPERATIONS)
def test_every_runtime_call_may_fail(name, error):
    operation = OPERATIONS[name]
    v = make_view()
    operation(v)
    before = ledger()
    refused = 0
    for call, n in sites(operation, v):
        dv.trim()
        dv.emulation.fail(call, n, error)
        try:
            operation(v)
        except REFUSALS as raised:
            refused += 1
            told = str(raised)
        else:
            told = "nothing was refused"
        dv.emulation.clear_faults()
        assert told, (call, n)
        assert ledger() == before, (call, n)
        assert v.exports == 0, (call, n)
        # The next call works, and the source is as it was.
        operation(v)
        assert v.tobytes() == array_of().tobytes(), (call, n)
    assert refused > 0


@pytest.mark.release_errors
@pytest.mark.parametrize("kind", ["kernel", "copy", "memset"])
@pytest.mark.parametrize("name", OPERATIONS)
def test_asynchronous_failures_end_and_leave_nothing(name, kind):
    operation = OPERATIONS[name]
    v = make_view()
    operation(v)
    before = ledger()
    for n in (1, 2):
        dv.emulation.fail(kind, n, 700)
        with contextlib.suppress(*REFUSALS):
            operation(v)
        dv.emulation.clear_faults()
        settle()
        dv.emulation.clear_sticky()
        assert ledger() == before
        assert v.exports == 0
        operation(v)


def test_sticky_errors_stay_until_they_are_cleared():
    v = dv.zeros(10, device=CUDA)
    settle()
    dv.emulation.fail("memset", 1, 700)
    # Told by the call itself, if the stream was quick, else by the next one.
    with pytest.raises((dv.DeviceError, BufferError), match=r"700|IllegalAddress"):
        dv.zeros(10, device=CUDA).tobytes()
    for _ in range(2):
        with pytest.raises((dv.DeviceError, BufferError), match=r"700|IllegalAddress"):
            v.tobytes()
    dv.emulation.clear_sticky()
    assert v.tobytes() == bytes(10)


def test_memoryview_that_fails_keeps_the_cause():
    v = make_view()
    dv.trim()
    dv.emulation.fail("cudaMemcpyAsync", 1, 999)
    with pytest.raises(BufferError, match="999") as error:
        memoryview(v)
    assert isinstance(error.value.__cause__, dv.DeviceError)
    assert error.value.__cause__.code == 999
    assert v.exports == 0


@pytest.mark.release_errors(1)
def test_write_back_that_fails_is_told_once_and_gives_everything_back(unraisable):
    v = make_view()
    request = get_buffer(v, SIMPLE | WRITABLE)
    settle()
    dv.emulation.fail("cudaMemcpyAsync", 1, 999)
    request.release()
    assert v.exports == 0
    assert dv.memory_info().pinned_live_bytes == 0
    assert len(unraisable) == 1
    assert "999" in unraisable[0].message
    # The claim is gone as well.
    v.stage(writable=True).release()


def test_write_back_of_a_staging_that_fails_raises():
    v = make_view()
    s = v.stage(writable=True)
    s.__enter__()
    dv.emulation.fail("cudaMemcpyAsync", 1, 999)
    with pytest.raises(dv.DeviceError, match="999"):
        s.release()
    assert s.released
    assert v.exports == 0
    assert dv.memory_info().pinned_live_bytes == 0
    v.stage(writable=True).release()


@pytest.mark.release_errors
def test_free_that_fails_does_not_raise():
    v = dv.zeros(10, device=CUDA)
    settle()
    dv.emulation.fail("cudaFreeAsync", 1, 999)
    v.release()
    assert v.released
    assert dv.memory_info(CUDA).live_bytes == 0


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="missing: /proc")
@pytest.mark.parametrize(("memory", "wanted"), [("None", "[0, 0]"), ("30 << 30", "OutOfMemory")])
def test_address_space_that_is_limited_is_enough(memory, wanted):
    out = run_clean(
        f"""
        import resource
        used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + (40 << 30),) * 2)
        dv.emulate(memory={memory})
        try:
            print(dv.zeros(2, device="cuda").tolist())
        except dv.OutOfMemory as error:
            print(type(error).__name__)
        """
    )
    assert out.strip() == wanted
