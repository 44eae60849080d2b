"""One block of device memory, viewed by two processes."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import devview as dv
from ipc_blocks import block, filled, signed
from support import CUDA_DEVICES, REAL, run_clean

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="missing: abstract sockets (Linux)"
)

CUDA = CUDA_DEVICES[0]
OTHER = CUDA_DEVICES[-1]
START = "" if REAL else "dv.emulate(devices=3)\n"
PATIENCE = 30


class Child:
    """Another Python process that runs what it is told line by line, and answers."""

    LOOP = """
    import sys, threading
    import numpy as np
    import devview as dv
    names = {"dv": dv, "np": np}
    START
    for line in sys.stdin:
        kind, _, text = line.rstrip("\\n").partition(" ")
        try:
            if kind == "do":
                exec(eval(text), names)
                answer = None
            else:
                answer = eval(eval(text), names)
            print("ok", repr(answer), flush=True)
        except Exception as error:
            print("error", repr((type(error).__name__, str(error))), flush=True)
    """

    def __init__(self):
        package = str(Path(dv.__file__).parents[1])
        variables = {k: v for k, v in os.environ.items() if not k.startswith("DEVVIEW_")}
        variables["PYTHONPATH"] = package
        script = textwrap.dedent(self.LOOP).replace("START", START)
        self.process = subprocess.Popen(
            [sys.executable, "-c", script],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=variables,
        )

    def _tell(self, kind, text):
        self.process.stdin.write(f"{kind} {textwrap.dedent(text)!r}\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        answer, _, value = line.rstrip("\n").partition(" ")
        assert answer in {"ok", "error"}, f"the child ended: {line!r}"
        value = eval(value)
        if answer == "error":
            raise ChildError(*value)
        return value

    def do(self, text):
        return self._tell("do", text)

    def get(self, text):
        return self._tell("get", text)

    def kill(self):
        """End as nothing expects it (SIGKILL)."""
        self.process.kill()
        self.process.wait(PATIENCE)
        self.close()

    def close(self):
        with contextlib.suppress(OSError):  # what was not written has nobody to read it
            self.process.stdin.close()
        self.process.stdout.close()

    def end(self):
        """End as a program does; give the exit code."""
        self.process.stdin.close()
        code = self.process.wait(PATIENCE)
        self.close()
        return code


class ChildError(Exception):
    def __init__(self, name, text):
        super().__init__(f"{name}: {text}")
        self.name = name


@pytest.fixture
def child():
    other = Child()
    yield other
    if other.process.poll() is None:
        assert other.end() == 0
    other.close()


@pytest.fixture(autouse=True)
def cleared():
    yield
    gc.collect()


def soon(condition, seconds=PATIENCE):
    """Wait for another process; give what the condition was last."""
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.002)
    return condition()


def live_bytes(device=CUDA):
    return dv.memory_info(device).live_bytes


def server_threads():
    """Count this process' threads that run."""
    return len(list(Path("/proc/self/task").iterdir()))


# --- Data, both ways ---


@pytest.mark.parametrize("device", sorted({CUDA, OTHER}))
def test_two_processes_view_one_block(child, device):
    values = np.arange(60, dtype="<i4").reshape(3, 4, 5)
    view = filled(values, device)
    handle = view.export_handle()
    assert len(handle) == 56
    child.do(f"v = dv.import_handle({handle!r})")
    assert child.get("v.tolist()") == values.tolist()
    assert child.get("(v.format, v.shape, v.readonly, str(v.device).split()[0])") == (
        view.format,
        view.shape,
        False,
        device,
    )
    child.do("v[1, 2, 3] = -7; v.stream.synchronize() if v.stream else None")
    child.do("dv.Stream(v.device).synchronize(); dv.zeros(1, device=v.device).tolist()")
    assert view[1, 2, 3] == -7
    view[0, 0, 0] = 99
    dv.zeros(1, device=device).tolist()
    assert child.get("v[0, 0, 0]") == 99
    child.do("del v")


def test_layout_travels_with_a_view(child):
    values = np.arange(24, dtype="<u2").reshape(4, 6)
    view = filled(values)
    part = view[::-1, 1::2]
    child.do(f"v = dv.import_handle({part.export_handle()!r})")
    assert child.get("v.tolist()") == values[::-1, 1::2].tolist()
    assert child.get("v.strides") == part.strides
    assert child.get("v.allocation.nbytes") == values.nbytes
    child.do("del v")


@pytest.mark.parametrize("format", ["T{<i:a:<d:b:}", "T{H:bfloat16:}", "e", ">i4", "Zd", "?", "3s"])
def test_formats_travel_with_a_view(child, format):
    memory = block(dv.calcsize(format) * 4)
    view = memory.view(format)
    child.do(f"v = dv.import_handle({view.export_handle()!r})")
    assert child.get("(v.format, v.itemsize, v.shape)") == (
        view.format,
        view.itemsize,
        view.shape,
    )
    child.do("del v")


def test_block_is_bytes_in_the_other_process(child):
    memory = block(1000)
    child.do(f"v = dv.import_handle({memory.export_handle()!r})")
    assert child.get("(v.format, v.shape, v.nbytes)") == ("B", (1000,), 1000)
    child.do("del v")


def test_readonly_is_carried(child):
    view = filled(np.arange(8, dtype="u1"))
    for handle in (view.toreadonly().export_handle(), view.allocation.export_handle(readonly=True)):
        child.do(f"v = dv.import_handle({handle!r})")
        assert child.get("v.readonly") is True
        with pytest.raises(ChildError, match=r"read-only|readonly"):
            child.do("v[0] = 1")
        child.do("del v")


def test_what_was_enqueued_before_the_export_is_seen(child):
    stream = dv.Stream(CUDA)
    memory = block(1 << 20, stream=stream)
    view = memory.view("i")
    if not REAL:
        dv.emulation.set_delay(20_000)
    for value in range(4):
        view.fill(value)
    handle = view.export_handle()
    if not REAL:
        dv.emulation.set_delay(0)
    child.do(f"v = dv.import_handle({handle!r})")
    assert child.get("(v[0], v[-1])") == (3, 3)
    child.do("del v")


# --- Leases ---


def test_exporter_keeps_the_block_until_the_importer_lets_go(child):
    before = live_bytes()
    view = filled(np.arange(16, dtype="u1"))
    memory = view.allocation
    child.do(f"v = dv.import_handle({view.export_handle()!r}); w = v[2:]")
    assert memory.exports == 1
    with pytest.raises(BufferError, match="1 export"):
        memory.free()
    view.release()
    del memory, view
    gc.collect()
    assert live_bytes() == before + 16, "the importer still has it"
    assert child.get("w.tolist()") == list(range(2, 16))
    child.do("del v")
    assert child.get("w[0]") == 2
    assert live_bytes() == before + 16
    child.do("del w")
    assert soon(lambda: live_bytes() == before)


def test_importer_that_is_killed_lets_go(child):
    before = live_bytes()
    view = filled(np.arange(16, dtype="u1"))
    child.do(f"v = dv.import_handle({view.export_handle()!r})")
    view.release()
    del view
    assert live_bytes() == before + 16
    child.kill()
    assert soon(lambda: live_bytes() == before)


def test_importer_that_ends_with_the_view_lets_go(child):
    before = live_bytes()
    view = filled(np.arange(16, dtype="u1"))
    child.do(f"v = dv.import_handle({view.export_handle()!r})")
    view.release()
    del view
    assert child.end() == 0
    assert soon(lambda: live_bytes() == before)


@pytest.mark.parametrize("how", ["kill", "end"])
def test_importer_keeps_the_memory_of_an_exporter_that_is_gone(child, how):
    block(8).free()  # or skip
    child.do(f"""
        a = dv.Allocation(64, device={CUDA!r}, shareable=True).view("B")
        a.fill(7)
    """)
    handle = child.get("a.export_handle()")
    view = dv.import_handle(handle)
    getattr(child, how)()
    assert view.tolist() == [7] * 64
    view[0] = 9
    assert view[0] == 9
    with pytest.raises(dv.HandleError, match="has ended"):
        dv.import_handle(handle)
    view.release()


def test_handle_opened_twice_is_one_import(child):
    view = filled(np.arange(16, dtype="u1"))
    part = view[4:]
    handles = [view.export_handle(), part.export_handle(), view.export_handle()]
    assert handles[0] == handles[2] != handles[1]
    child.do(f"vs = [dv.import_handle(h) for h in {handles!r} * 2]")
    assert child.get("len({v.allocation.ptr for v in vs})") == 1
    assert child.get("[v[0] for v in vs]") == [0, 4, 0, 0, 4, 0]
    assert soon(lambda: view.allocation.exports == 1)
    child.do("del vs[1:]")
    assert view.allocation.exports == 1
    child.do("vs.clear()")
    assert soon(lambda: view.allocation.exports == 0)
    child.do(f"v = dv.import_handle({handles[0]!r})")
    assert child.get("v.tolist()") == list(range(16))
    child.do("del v")


def test_many_importers_of_one_block():
    view = filled(np.arange(16, dtype="u1"))
    children = [Child() for _ in range(3)]
    try:
        for number, other in enumerate(children):
            other.do(f"v = dv.import_handle({view.export_handle()!r})")
            assert view.allocation.exports == number + 1
        children[0].kill()
        assert soon(lambda: view.allocation.exports == 2)
        assert children[1].get("v[3]") == 3
    finally:
        for other in children[1:]:
            other.do("del v")
            assert other.end() == 0
    assert soon(lambda: view.allocation.exports == 0)


# --- Handles that are refused ---


def test_handle_of_memory_that_is_gone_is_stale(child):
    first, second = filled(np.zeros(4, "u1")), filled(np.zeros(4, "u1"))
    handle = first.export_handle()
    second.export_handle()
    first.release()
    del first
    with pytest.raises(ChildError, match="stale") as error:
        child.do(f"dv.import_handle({handle!r})")
    assert error.value.name == "HandleError"
    second.release()
    del second
    with pytest.raises(ChildError, match="stale"):
        child.do(f"dv.import_handle({handle!r})")


def test_handle_of_a_resized_block_is_stale(child):
    memory = block(64)
    keeper = block(64)
    keeper.export_handle()
    handle = memory.export_handle()
    memory.resize(128)
    with pytest.raises(ChildError, match="stale"):
        child.do(f"dv.import_handle({handle!r})")
    child.do(f"v = dv.import_handle({memory.export_handle()!r})")
    assert child.get("v.nbytes") == 128
    child.do("del v")


def test_handle_of_this_process_is_refused():
    view = filled(np.zeros(4, "u1"))
    with pytest.raises(dv.HandleError, match="this process"):
        dv.import_handle(view.export_handle())


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda h: b"", "0 bytes"),
        (lambda h: h[:-1], "55 bytes"),
        (lambda h: h + b"\0", "57 bytes"),
        (lambda h: bytes(56), "no handle"),
        (lambda h: h[:7] + b"\2" + h[8:], "version 2"),
        (lambda h: h[:20] + bytes([h[20] ^ 1]) + h[21:], "changed"),
        (lambda h: h[:30] + bytes([h[30] ^ 1]) + h[31:], "changed"),
        (lambda h: h[:-1] + bytes([h[-1] ^ 1]), "changed"),
    ],
)
def test_changed_handles_are_refused(change, text):
    handle = filled(np.zeros(4, "u1")).export_handle()
    with pytest.raises(dv.HandleError, match=text):
        dv.import_handle(change(handle))


def test_forged_token_is_stale(child):
    view = filled(np.zeros(4, "u1"))
    handle = view.export_handle()
    assert signed(handle[:48]) == handle
    forged = signed(handle[:24] + bytes(16) + handle[40:48])
    with pytest.raises(ChildError, match="stale"):
        child.do(f"dv.import_handle({forged!r})")
    assert view.allocation.exports == 0


@given(st.binary(max_size=100) | st.binary(min_size=56, max_size=56))
@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_random_bytes_are_no_handle(data):
    with pytest.raises(dv.HandleError):
        dv.import_handle(data)


@given(st.binary(min_size=40, max_size=40))
@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_forged_handles_reach_nobody(data):
    with pytest.raises(dv.HandleError):
        dv.import_handle(signed(b"dv-hand\1" + data[:36] + bytes(4)))


@pytest.mark.parametrize("value", [None, 3, "handle", object()], ids=repr)
def test_handles_are_bytes(value):
    with pytest.raises(TypeError):
        dv.import_handle(value)


def test_handles_are_any_buffer(child):
    view = filled(np.arange(4, dtype="u1"))
    child.do(f"v = dv.import_handle(memoryview(bytearray({view.export_handle()!r})))")
    assert child.get("v.tolist()") == [0, 1, 2, 3]
    child.do("del v")


@pytest.mark.parametrize("device", ["cpu", CUDA, "pinned", "managed"])
def test_memory_that_is_not_shareable_is_refused(device):
    with pytest.raises(BufferError, match="not made shareable"):
        dv.zeros(4, device=device).export_handle()
    with pytest.raises(BufferError, match="not made shareable"):
        dv.Allocation(4, device=device).export_handle()


@pytest.mark.parametrize("device", ["cpu", "pinned", "managed"])
def test_only_device_memory_is_shareable(device):
    with pytest.raises(dv.DeviceError, match="cuda devices"):
        dv.Allocation(4, device=device, shareable=True)


def test_released_view_has_no_handle():
    view = filled(np.zeros(4, "u1"))
    view.release()
    with pytest.raises(ValueError, match="released"):
        view.export_handle()


def test_emulated_memory_needs_an_emulated_importer():
    if REAL:
        pytest.skip("missing: the emulator (DEVVIEW_TEST_REAL is set)")
    view = filled(np.zeros(4, "u1"))
    out = run_clean(
        f"""
        try:
            dv.import_handle({view.export_handle()!r})
        except (dv.HandleError, dv.DeviceError) as error:
            print(type(error).__name__)
        """,
        emulate=False,
    )
    assert out.split() in (["HandleError"], ["DeviceError"])


# --- Callers that keep to no rule ---


def address_of(handle: bytes) -> str:
    return "\0devview-" + handle[8:24].hex()


def call(handle: bytes) -> socket.socket:
    caller = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    caller.settimeout(PATIENCE)
    caller.connect(address_of(handle))
    return caller


def test_garbage_ends_a_connection_and_nothing_else(child):
    view = filled(np.arange(4, dtype="u1"))
    handle = view.export_handle()
    for garbage in (b"x", bytes(24), b"dv-open\1" + bytes(15), b"dv-open\1" + bytes(200)):
        with call(handle) as caller:
            caller.send(garbage)
            assert caller.recv(100) == b""
    with call(handle) as caller:
        caller.send(b"dv-open\1" + bytes(16))
        assert caller.recv(100) == b"dv-gone\1"
        assert caller.recv(100) == b""
    silent = [call(handle) for _ in range(100)]
    child.do(f"v = dv.import_handle({handle!r})")
    assert view.allocation.exports == 1
    for caller in silent:
        caller.close()
    child.do("del v")
    assert soon(lambda: view.allocation.exports == 0)


def test_lease_outlives_garbage():
    view = filled(np.arange(4, dtype="u1"))
    handle = view.export_handle()
    with call(handle) as caller:
        caller.send(b"dv-open\1" + handle[24:40])
        assert caller.recv(4096).startswith(b"dv-view\1")
        assert view.allocation.exports == 1
        for _ in range(5):
            caller.send(b"dv-open\1" + handle[24:40])
        time.sleep(0.05)
        assert view.allocation.exports == 1
    assert soon(lambda: view.allocation.exports == 0)


# --- Threads, forks, exits ---


def test_thread_ends_with_the_last_exported_block():
    block(8).free()
    time.sleep(0.05)
    gc.collect()
    before = server_threads()
    view, other = filled(np.zeros(4, "u1")), filled(np.zeros(4, "u1"))
    started = server_threads() - before
    view.export_handle()
    other.export_handle()
    assert soon(lambda: server_threads() == before + started + 1)
    view.release()
    del view
    time.sleep(0.02)
    assert server_threads() == before + started + 1
    other.release()
    del other
    assert soon(lambda: server_threads() <= before + started)


def test_exit_with_exports_is_clean():
    block(8).free()
    out = run_clean(
        f"""
        a = dv.Allocation(64, device={CUDA!r}, shareable=True).view("B")
        print(len(a.export_handle()))
        """,
        emulate=not REAL,
    )
    assert out.split() == ["56"]


def test_child_of_a_fork_holds_no_lease_and_serves_nobody(child):
    before = live_bytes()
    view = filled(np.arange(16, dtype="u1"))
    handle = view.export_handle()
    # The importer forks: its child sleeps on with copies of all descriptors.
    child.do(f"v = dv.import_handle({handle!r})")
    child.do("""
        import os, time, warnings
        warnings.simplefilter("ignore")
        pid = os.fork()
        if pid == 0:
            time.sleep(20)
            os._exit(0)
    """)
    view.release()
    del view
    child.do("del v")
    assert soon(lambda: live_bytes() == before, 10), "the fork's child keeps the lease"
    child.do("os.kill(pid, 9); os.waitpid(pid, 0)")
    # The exporter forks, and is gone: nobody may wait for an answer that its child cannot give.
    child.do(f"a = dv.Allocation(64, device={CUDA!r}, shareable=True)")
    handle = child.get("a.export_handle()")
    child.do("""
        pid = os.fork()
        if pid == 0:
            time.sleep(20)
            os._exit(0)
    """)
    forked = child.get("pid")
    child.kill()
    begin = time.monotonic()
    with pytest.raises(dv.HandleError, match="has ended"):
        dv.import_handle(handle)
    assert time.monotonic() - begin < 5
    os.kill(forked, signal.SIGKILL)


def test_threads_import_and_drop_at_once(child):
    view = filled(np.arange(16, dtype="u1"))
    handle = view.export_handle()
    child.do(f"""
        import threading
        wrong = []
        def work():
            for _ in range(20):
                v = dv.import_handle({handle!r})
                if v[5] != 5:
                    wrong.append(v.tolist())
                v.release()
        threads = [threading.Thread(target=work) for _ in range(4)]
        for t in threads: t.start()
        for t in threads: t.join()
    """)
    assert child.get("wrong") == []
    assert soon(lambda: view.allocation.exports == 0)


@pytest.mark.skipif(REAL, reason="needs the emulated device (DEVVIEW_TEST_REAL is set)")
@pytest.mark.parametrize(
    "name",
    [
        "cudaMemPoolCreate",
        "cudaMallocFromPoolAsync",
        "cudaDeviceGetAttribute",
        "cudaMemPoolExportToShareableHandle",
        "cudaMemPoolExportPointer",
    ],
)
def test_failed_calls_of_the_exporter_leave_nothing(name):
    before = live_bytes(), dv.emulation.ledger()["pools"]
    dv.emulation.fail(name, 1, 999)
    with pytest.raises(dv.DeviceError) as error:
        filled(np.zeros(4, "u1")).export_handle()
    assert error.value.code == 999
    dv.emulation.clear_faults()
    gc.collect()
    assert soon(lambda: (live_bytes(), dv.emulation.ledger()["pools"]) == before)
    assert len(filled(np.zeros(4, "u1")).export_handle()) == 56


@pytest.mark.skipif(REAL, reason="needs the emulated device (DEVVIEW_TEST_REAL is set)")
@pytest.mark.parametrize(
    "name",
    [
        "cudaMemPoolImportFromShareableHandle",
        "cudaMemPoolImportPointer",
        "cudaPointerGetAttributes",
        "cudaDeviceGetAttribute",
        "cudaEventRecord",
    ],
)
def test_failed_calls_of_the_importer_leave_nothing(child, name):
    view = filled(np.arange(4, dtype="u1"))
    handle = view.export_handle()
    child.do(f"dv.emulation.fail({name!r}, 1, 999)")
    with contextlib.suppress(ChildError):
        child.do(f"dv.import_handle({handle!r})")
    child.do("dv.emulation.clear_faults()")
    assert soon(lambda: view.allocation.exports == 0)
    assert child.get("(len(dv.live()), dv.emulation.ledger()['pools'])") == (0, 0)
    child.do(f"v = dv.import_handle({handle!r})")
    assert child.get("v.tolist()") == [0, 1, 2, 3]
    child.do("del v")


@pytest.mark.skipif(REAL, reason="needs the emulated device (DEVVIEW_TEST_REAL is set)")
def test_failed_calls_of_the_importers_release_still_end_the_lease(child):
    for name in ("cudaLaunchHostFunc", "cudaMemPoolDestroy"):
        view = filled(np.arange(4, dtype="u1"))
        child.do(f"v = dv.import_handle({view.export_handle()!r})")
        child.do(f"dv.emulation.fail({name!r}, 1, 999); del v")
        assert soon(lambda v=view: v.allocation.exports == 0), name
    assert child.get("dv.release_errors()") == 0, "each is tried again"


def test_no_python_object_is_read_from_a_handle():
    class Evil:
        def __reduce__(self):
            return ctypes.string_at, (0,)

    import pickle

    with pytest.raises(dv.HandleError):
        dv.import_handle(pickle.dumps(Evil()))
