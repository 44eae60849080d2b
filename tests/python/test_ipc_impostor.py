"""What an importer does with exporters that end, lie, or are somebody else's."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import struct
import sys
import threading
import time

import numpy as np
import pytest

import devview as dv
from ipc_blocks import CUDA, block, filled, signed
from support import REAL, run_clean

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="missing: abstract sockets (Linux)"
)

PATIENCE = 30


@pytest.fixture
def impostor():
    """Make a handle whose exporter answers what the test says."""
    name = os.urandom(16)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    listener.bind("\0devview-" + name.hex())
    listener.listen()
    handle = signed(b"dv-hand\1" + name + os.urandom(16) + bytes(8))
    yield listener, handle
    listener.close()


ANSWER = b"dv-view\1"


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (b"", "stale"),
        (b"x", "ends early"),
        (b"dv-view\2" + bytes(300), "another version"),
        (ANSWER, "sent no memory|ends early"),
        (ANSWER + bytes(300), "makes no sense"),
        (ANSWER + b"\xff" * 300, "makes no sense"),
        (ANSWER + bytes(range(256)) + bytes(44), "makes no sense"),
    ],
    ids=["closed", "short", "other version", "cut", "zeros", "ones", "numbers"],
)
def test_answers_of_an_impostor_are_refused(impostor, answer, text):
    listener, handle = impostor

    def serve():
        caller, _ = listener.accept()
        with caller, contextlib.suppress(OSError):
            caller.recv(100)
            if answer:
                caller.send(answer)

    thread = threading.Thread(target=serve)
    thread.start()
    with pytest.raises(dv.HandleError, match=text):
        dv.import_handle(handle)
    thread.join(PATIENCE)


def test_exporter_that_ends_between_the_call_and_the_answer_is_told():
    view = filled(np.zeros(4, "u1"))
    handle = view.export_handle()
    server = os.urandom(16)
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(b"\0devview-" + server.hex().encode())
        listener.listen()

        def end():
            # Nobody accepts: what was sent is lost with the listener, as in a fork of the exporter.
            select.select([listener], [], [])
            time.sleep(0.2)
            listener.close()

        thread = threading.Thread(target=end)
        thread.start()
        begin = time.monotonic()
        with pytest.raises(dv.HandleError, match=r"stale.*has ended"):
            dv.import_handle(signed(handle[:8] + server + handle[24:48]))
        assert time.monotonic() - begin < 5
        thread.join()


def described(ndim=1, bus=1, nbytes=64):
    """Make an exporter's answer (cuda/src/ipc/handle.cpp) with what the test wants wrong."""
    format_text = b"B"
    place = struct.pack("<iii", 0, bus, 0)
    body = ANSWER + bytes(16) + struct.pack("<iii", not REAL, 0, 0) + place
    body += struct.pack("<qq", nbytes, 0) + bytes(64)
    body += struct.pack("<q", len(format_text)) + format_text + struct.pack("<i", ndim)
    return body + struct.pack("<q", 1) * (2 * min(max(ndim, 0), 64))


def answer_once(listener, answer, file=None):
    """Answer the next caller."""

    def serve():
        caller, _ = listener.accept()
        with caller, contextlib.suppress(OSError):
            caller.recv(100)
            socket.send_fds(caller, [answer], [file] if file is not None else [])
            caller.recv(100)

    thread = threading.Thread(target=serve)
    thread.start()
    return thread


@pytest.mark.parametrize("ndim", [-1, 65])
def test_impossible_ndim_is_named(impostor, ndim):
    listener, handle = impostor
    thread = answer_once(listener, described(ndim=ndim))
    with pytest.raises(dv.HandleError, match=f"ndim {ndim}, 0 to 64"):
        dv.import_handle(handle)
    thread.join(PATIENCE)


def test_device_that_this_process_does_not_see_is_named(impostor):
    block(8).free()
    listener, handle = impostor
    read, write = os.pipe()
    thread = answer_once(listener, described(bus=77), read)
    with pytest.raises(dv.HandleError, match="PCI bus 77, which this process does not see"):
        dv.import_handle(handle)
    thread.join(PATIENCE)
    os.close(read)
    os.close(write)


@pytest.mark.skipif(os.geteuid() != 0, reason="missing: the right to be another user")
def test_exporter_of_another_user_is_refused():
    out = run_clean(
        """
        import os, signal, socket, struct, time
        name, (read, write) = os.urandom(16), os.pipe()
        pid = os.fork()
        if pid == 0:  # a listener has the identity of who called listen()
            os.setuid(65534)
            listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            listener.bind(b"\\0devview-" + name.hex().encode())
            listener.listen()
            os.write(write, b"!")
            time.sleep(30)
            os._exit(0)
        assert os.read(read, 1) == b"!"
        body = b"dv-hand\\1" + name + bytes(16) + struct.pack("<ii", 4321, 0)
        total = 14695981039346656037
        for byte in body:
            total = ((total ^ byte) * 1099511628211) % 2**64
        try:
            dv.import_handle(body + total.to_bytes(8, "little"))
        except dv.HandleError as error:
            print(error)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        """,
        emulate=not REAL,
    )
    assert "process 4321, is of another user" in out


def test_signals_do_not_end_the_wait(impostor):
    listener, handle = impostor
    seen = []

    def serve():
        caller, _ = listener.accept()
        with caller:
            caller.recv(100)
            time.sleep(0.3)
            caller.send(b"x")

    thread = threading.Thread(target=serve)
    old = signal.signal(signal.SIGALRM, lambda *_: seen.append(1))
    signal.setitimer(signal.ITIMER_REAL, 0.05, 0.05)
    try:
        thread.start()
        with pytest.raises(dv.HandleError, match="ends early"):
            dv.import_handle(handle)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, old)
    thread.join(PATIENCE)
    assert seen


def test_format_that_is_too_long_to_tell_is_refused():
    names = "".join(f"B:field{k:04}:" for k in range(2000))
    memory = block(2000)
    view = memory.view("T{" + names + "}", 1)
    with pytest.raises(BufferError, match=r"export_handle: format 'T\{B:field0000:.*at most"):
        view.export_handle()
    assert memory.exports == 0


def test_no_descriptor_is_left():
    block(8).free()
    out = run_clean(
        f"""
        import resource, os
        v = dv.Allocation(64, device={CUDA!r}, shareable=True).view("B")
        files, limit = [], resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (200, limit[1]))
        try:
            while True:
                files.append(os.dup(0))
        except OSError:
            pass
        while True:  # one more descriptor each time
            try:
                print(len(v.export_handle()))
                break
            except (dv.HandleError, dv.DeviceError) as error:
                print(error)
            os.close(files.pop())
        resource.setrlimit(resource.RLIMIT_NOFILE, limit)
        """,
        emulate=not REAL,
    )
    told = out.splitlines()
    assert told[0].startswith("export pool: cudaErrorOperatingSystem")
    assert told[1:] == [
        "share memory: socket: Too many open files",
        "export_handle: no descriptor is left",
        "56",
    ]


def test_child_of_a_fork_ends_normally_and_its_parent_goes_on_serving():
    block(8).free()
    out = run_clean(
        f"""
        import os, socket, warnings
        warnings.simplefilter("ignore")
        v = dv.Allocation(64, device={CUDA!r}, shareable=True).view("B")
        handle = v.export_handle()
        pid = os.fork()
        if pid == 0:
            raise SystemExit(7)
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
        caller = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        caller.settimeout(10)
        caller.connect(b"\\0devview-" + handle[8:24].hex().encode())
        caller.send(b"dv-open\\1" + handle[24:40])
        print(caller.recv(10000)[:7])
        """,
        emulate=not REAL,
    )
    assert out.split() == ["7", "b'dv-view'"]
