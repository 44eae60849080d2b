"""mpi4py on MPICH: views are sent and received in place; device views by staging, or as they are.

MPI lives in processes of its own: this one is never a rank.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import devview as dv
from clients.contract import require
from support import EMULATED

require("mpi4py", "mpi4py")
pytestmark = EMULATED

# MPICH's wheel puts its launcher beside the interpreter.
LAUNCHER = Path(sys.executable).with_name("mpiexec")
if not LAUNCHER.exists():
    if os.environ.get("CI") or importlib.util.find_spec("mpi4py") is None:
        raise ImportError(f"missing: {LAUNCHER} of the package mpich")
    LAUNCHER = Path(shutil.which("mpiexec") or "/nonexistent")
    if not LAUNCHER.exists():
        pytest.skip("missing: mpich (pip install '.[clients]')", allow_module_level=True)

HEAD = """
import gc, sys
import numpy as np
from mpi4py import MPI
import devview as dv
dv.emulate(devices=2)
comm = MPI.COMM_WORLD
rank, size = comm.rank, comm.size
other = size - 1 - rank
"""
TAIL = """
gc.collect()
assert dv.release_errors() == 0
sys.stdout.write(f"rank {rank} of {size} done\\n")  # in one piece: the ranks share the pipe
"""


def run_ranks(count: int, script: str) -> None:
    """Run a script in that many processes; each must come to its end."""
    package = str(Path(dv.__file__).parents[1])
    variables = {k: v for k, v in os.environ.items() if not k.startswith("DEVVIEW_")}
    old = variables.get("PYTHONPATH")
    variables["PYTHONPATH"] = os.pathsep.join([package, old] if old else [package])
    program = HEAD + textwrap.dedent(script) + TAIL
    done = subprocess.run(
        [str(LAUNCHER), "-n", str(count), sys.executable, "-c", program],
        capture_output=True,
        text=True,
        timeout=60,
        env=variables,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    ends = {f"rank {rank} of {count} done" for rank in range(count)}
    assert set(done.stdout.splitlines()) == ends


# --- Between two ranks ---


def test_host_views_are_exchanged_by_sendrecv():
    run_ranks(
        2,
        """
        sent = dv.view(np.arange(6, dtype="f8") + 100 * rank)
        got = dv.zeros(6, "d")
        comm.Sendrecv(sent, dest=other, recvbuf=got, source=other)
        assert got.tolist() == [100.0 * other + i for i in range(6)], got.tolist()
        sent.release(); got.release()  # nothing is kept
        """,
    )


def test_device_views_are_exchanged_by_sendrecv():
    """As buffers: the sender's is a snapshot, the receiver's is written back."""
    run_ranks(
        2,
        """
        device = f"cuda:{rank}"
        sent = dv.view(np.arange(6, dtype="i4").reshape(2, 3) + 100 * rank).to(device)
        got = dv.zeros((2, 3), "i", device=device)
        comm.Sendrecv(sent, dest=other, recvbuf=got, source=other)
        assert got.tolist() == (np.arange(6).reshape(2, 3) + 100 * other).tolist()
        assert got.exports == sent.exports == 0
        """,
    )


def test_a_part_of_a_view_is_sent_with_its_mpi_type():
    run_ranks(
        2,
        """
        v = dv.view(np.arange(12, dtype="i4").reshape(3, 4) + 100 * rank)
        row = v[1]
        got = dv.zeros(4, "i")
        comm.Sendrecv([row, 4, MPI.INT], dest=other, recvbuf=[got, MPI.INT], source=other)
        assert got.tolist() == [100 * other + i for i in (4, 5, 6, 7)]
        column = MPI.INT.Create_vector(3, 1, 4).Commit()
        got = dv.zeros(3, "i")
        comm.Sendrecv([v, 1, column], dest=other, recvbuf=got, source=other)
        assert got.tolist() == [100 * other + i for i in (0, 4, 8)]
        column.Free()
        """,
    )


def test_a_sum_is_made_into_a_view():
    run_ranks(
        2,
        """
        total = dv.zeros(4, "d")
        comm.Allreduce(dv.view(np.full(4, rank + 1.0)), total)
        assert total.tolist() == [3.0] * 4
        comm.Allreduce(MPI.IN_PLACE, total)
        assert total.tolist() == [6.0] * 4
        """,
    )


def test_the_buffer_is_held_until_the_request_is_done():
    run_ranks(
        2,
        """
        sent, got = dv.view(np.full(4, rank, "i4")), dv.zeros(4, "i")
        requests = [comm.Irecv(got, source=other), comm.Isend(sent, dest=other)]
        try:
            got.release()
        except BufferError:
            pass
        else:
            raise AssertionError("released while MPI writes into it")
        MPI.Request.Waitall(requests)
        assert got.tolist() == [other] * 4
        del requests
        gc.collect()
        got.release(); sent.release()
        """,
    )


def test_read_only_views_are_sent_and_not_received_into():
    run_ranks(
        2,
        """
        got = dv.zeros(3)
        comm.Sendrecv(dv.view(b"abc"), dest=other, recvbuf=got, source=other)
        assert got.tobytes() == b"abc"
        for bad, error in ((dv.view(b"abc"), BufferError), (dv.zeros(6)[::2], BufferError)):
            try:
                comm.Recv(bad, source=other)
            except (BufferError, ValueError, TypeError):
                pass
            else:
                raise AssertionError("received into memory that cannot take it")
        """,
    )


def test_views_are_pickled_by_the_lower_case_methods():
    run_ranks(
        2,
        """
        got = comm.sendrecv(dv.view(b"abc").tobytes(), dest=other, source=other)
        assert got == b"abc"
        """,
    )


# --- MPI.buffer ---


def test_mpi_buffer_of_a_host_view_is_its_memory():
    run_ranks(
        1,
        """
        v = dv.zeros((2, 3), "i")
        b = MPI.buffer(v)
        assert (b.address, b.nbytes, b.readonly) == (v.ptr, 24, False)
        b[0] = 7
        assert v[0, 0] == 7
        v[0, 1] = 9
        assert b[4] == 9
        assert MPI.buffer(v.toreadonly()).readonly
        b.release()
        v.release()
        """,
    )


def test_mpi_buffer_of_a_device_view_is_a_staging_copy():
    run_ranks(
        1,
        """
        d = dv.view(np.arange(6, dtype="i4")).to("cuda:1")
        b = MPI.buffer(d)
        assert b.nbytes == 24
        assert b.address != d.ptr
        assert np.frombuffer(b.tobytes(), "i4").tolist() == list(range(6))
        assert d.exports == 1
        b.release()
        assert d.exports == 0
        """,
    )


def test_mpi_buffer_of_a_device_view_is_its_address_where_copies_are_forbidden():
    """Refused as a buffer, the view is asked for DLPack: what a CUDA-aware MPI has to get."""
    run_ranks(
        1,
        """
        d = dv.view(np.arange(6, dtype="i4")).to("cuda:1")
        with dv.transfer_guard("forbid"):
            b = MPI.buffer(d)
        assert (b.address, b.nbytes, b.readonly) == (d.ptr, 24, False)
        assert "cudaMemcpyAsync" not in dv.emulation.calls[-3:]
        with dv.transfer_guard("forbid"):
            assert MPI.buffer(d.toreadonly()).readonly
            try:
                MPI.buffer(d[::2])
            except BufferError:
                pass
            else:
                raise AssertionError("a strided view was taken as dense")
        b.release()
        """,
    )


def test_mpi_buffer_takes_the_cuda_array_interface_of_a_view():
    run_ranks(
        1,
        """
        class Cuda:
            def __init__(self, view): self.view = view
            @property
            def __cuda_array_interface__(self): return self.view.__cuda_array_interface__
        d = dv.zeros((2, 3), "f", device="cuda:0")
        b = MPI.buffer(Cuda(d))
        assert (b.address, b.nbytes, b.readonly) == (d.ptr, 24, False)
        assert MPI.buffer(Cuda(d.toreadonly())).readonly
        """,
    )


def test_memory_of_mpi_is_viewed():
    run_ranks(
        1,
        """
        memory = MPI.Alloc_mem(24)
        v = dv.from_buffer(memory, format="i", shape=(2, 3))
        assert v.ptr == memory.address
        v.fill(5)
        assert memory.tobytes() == np.full(6, 5, "i4").tobytes()
        memory[0] = 6
        assert v[0, 0] == 6
        v.release()
        del v
        MPI.Free_mem(memory)
        """,
    )


def test_a_shared_window_is_viewed_by_both_ranks():
    run_ranks(
        2,
        """
        window = MPI.Win.Allocate_shared(32 if rank == 0 else 0, 4, comm=comm)
        memory, _ = window.Shared_query(0)
        v = dv.from_buffer(memory, format="i", shape=(2, 4))
        window.Fence()
        v[rank].fill(rank + 1)
        window.Fence()
        assert v.tolist() == [[1] * 4, [2] * 4]
        v.release()
        del v, memory, _
        window.Free()
        """,
    )
