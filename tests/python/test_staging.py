"""Device views as buffers: pinned staging copies for every consumer, and the way back."""

from __future__ import annotations

import array
import binascii
import gc
import hashlib
import io
import re
import socket
import struct
import threading

import numpy as np
import pytest
from hypothesis import given

import devview as dv
from support import (
    C_CONTIGUOUS,
    COPIES,
    CUDA_DEVICES,
    DEVICES,
    EMULATED,
    F_CONTIGUOUS,
    FULL,
    SIMPLE,
    WAITS,
    WRITABLE,
    counted_calls,
    get_buffer,
    layouts,
    no_gc,
    pattern,
)

CUDA = CUDA_DEVICES[0]
KEYS = {
    "dense": np.s_[:],
    "rows": np.s_[::2],
    "columns": np.s_[:, 3:11],
    "every second column": np.s_[:, ::2],
    "reversed": np.s_[::-1, ::-1],
}


def pinned_live():
    return dv.memory_info("cpu").pinned_live_bytes


def made(key="dense", dtype="i4"):
    a = pattern((16, 24), dtype)
    return dv.copy(a, device=CUDA)[KEYS[key]], a[KEYS[key]]


# --- Consumers ---


@pytest.mark.parametrize("key", KEYS)
def test_memoryview_of_a_device_view(key):
    v, a = made(key)
    m = memoryview(v)
    assert m.obj is v
    assert m.readonly
    assert m.c_contiguous
    assert (m.shape, m.format, m.itemsize, m.nbytes) == (a.shape, "i", 4, a.nbytes)
    assert m.tobytes() == a.tobytes()
    assert m.tolist() == a.tolist()


@given(layouts(max_ndim=3))
def test_memoryview_of_every_layout(layout):
    base = layout.base()
    v, a = layout.apply(dv.copy(base, device=CUDA)), layout.apply(base)
    with memoryview(v) as m:
        assert m.shape == a.shape
        assert m.tobytes() == a.tobytes()
        assert m.c_contiguous or a.size == 0
    with get_buffer(v, F_CONTIGUOUS) as request:
        assert request.bytes() == a.tobytes("F")


CONSUMERS = {
    "bytes": bytes,
    "bytearray": bytearray,
    "hashlib": lambda v: hashlib.sha256(v).digest(),
    "crc32": lambda v: binascii.crc32(v),
    "b64": binascii.b2a_base64,
    "join": lambda v: b"-".join([v, v]),
    "concatenate": lambda v: b"" + v,
    "BytesIO": lambda v: io.BytesIO(v).getvalue(),
    "struct": lambda v: struct.unpack("4i", bytes(v)[:16]),
    "np.asarray": lambda v: np.asarray(v).tobytes(),
    "np.array": lambda v: np.array(v).tobytes(),
    "re": lambda v: re.search(b"^.", v, re.DOTALL).group(),
    "int": lambda v: int.from_bytes(bytes(v)[:8], "little"),
    "memoryview.cast": lambda v: memoryview(v).cast("B").tobytes(),
}


@pytest.mark.parametrize("consumer", CONSUMERS)
@pytest.mark.parametrize("key", KEYS)
def test_consumers_read_device_views(key, consumer):
    v, a = made(key)
    dense = np.ascontiguousarray(a)
    assert CONSUMERS[consumer](v) == CONSUMERS[consumer](dense.data)
    gc.collect()
    assert v.exports == 0
    assert pinned_live() == 0


def test_file_write_and_readinto(tmp_path):
    v, a = made("rows")
    path = tmp_path / "data"
    with path.open("wb") as file:
        assert file.write(v) == a.nbytes
    assert path.read_bytes() == a.tobytes()
    w, b = made("every second column")
    w.fill(0)
    whole = dv.view(w)
    with path.open("rb", buffering=0) as file:
        assert file.readinto(whole) == min(a.nbytes, b.nbytes)
    assert w.tobytes() == a.tobytes()[: b.nbytes]


def test_readinto_writes_only_the_view():
    base = dv.zeros(100, device=CUDA)
    assert io.BytesIO(b"\xff" * 20).readinto(base[10:50:2]) == 20
    expected = np.zeros(100, "u1")
    expected[10:50:2] = 255
    assert base.tobytes() == expected.tobytes()


def test_readinto_of_a_short_file_keeps_the_rest():
    v = dv.copy(b"abcdef", device=CUDA)
    assert io.BytesIO(b"XY").readinto(v) == 2
    assert v.tobytes() == b"XYcdef"


def test_sockets_send_and_receive_device_views():
    left, right = socket.socketpair()
    with left, right:
        v = dv.copy(b"some bytes", device=CUDA)
        assert left.send(v[5:]) == 5
        w = dv.zeros(5, device=CUDA)
        assert right.recv_into(w) == 5
        assert w.tobytes() == b"bytes"
        left.sendall(v)
        left.sendmsg([v, v[::2]])
        got = right.recv(100)
    assert got == b"some bytes" * 2 + b"some bytes"[::2]


def test_numpy_holds_the_staging_copy():
    v, a = made("columns")
    x = np.asarray(v)
    assert not x.flags.writeable
    assert v.exports == 1
    assert (x == a).all()
    del x
    assert v.exports == 0


def test_frombuffer_reads_a_snapshot():
    # NumPy asks through a memoryview, which never asks for writing: see readinto for those who do.
    v = dv.copy(array.array("i", range(8)), device=CUDA)
    x = np.frombuffer(v, "i4")
    assert x.tolist() == list(range(8))
    assert not x.flags.writeable
    assert v.exports == 1
    del x
    assert v.exports == 0


def test_struct_pack_into_writes_back():
    v = dv.zeros(8, device=CUDA)
    struct.pack_into("<I", v, 2, 0x01020304)
    assert v.tobytes() == b"\0\0\4\3\2\1\0\0"


def test_snapshot_does_not_change():
    v = dv.zeros(8, device=CUDA)
    m = memoryview(v)
    v.fill(1)
    assert m.tobytes() == bytes(8)
    assert bytes(v) == b"\1" * 8


@pytest.mark.parametrize("flags", [SIMPLE, C_CONTIGUOUS, F_CONTIGUOUS, FULL & ~WRITABLE], ids=hex)
def test_read_only_requests_write_nothing_back(flags):
    v = dv.zeros((2, 3), device=CUDA)
    request = get_buffer(v, flags)
    v.fill(1)
    request.release()
    assert v.tobytes() == b"\1" * 6


@pytest.mark.parametrize("flags", [SIMPLE, C_CONTIGUOUS, F_CONTIGUOUS, FULL], ids=hex)
def test_writable_requests_write_back_in_their_order(flags):
    import ctypes

    base = pattern((4, 6), "u2")
    v = dv.copy(base, device=CUDA)
    part, a = v[::2, ::-3], base[::2, ::-3]
    with get_buffer(part, flags | WRITABLE) as request:
        assert not request.answer()["readonly"]
        new = np.arange(a.size, dtype="u2")
        ctypes.memmove(request.raw.buf, new.ctypes.data, new.nbytes)
    base[::2, ::-3] = new.reshape(a.shape, order="F" if flags == F_CONTIGUOUS else "C")
    assert v.tobytes() == base.tobytes()


def test_f_contiguous_consumers_get_fortran_order():
    v, a = made("rows")
    with get_buffer(v, F_CONTIGUOUS) as request:
        got = request.answer()
        assert got["strides"] == (4, 4 * a.shape[0])
        assert request.bytes() == a.tobytes("F")


# --- stage ---


@pytest.mark.parametrize("device", DEVICES)
def test_stage_gives_a_memoryview_and_takes_it_back(device):
    v = dv.copy(pattern((4, 5), "i4"), device=device)
    s = v.stage()
    assert v.exports == 1
    assert s.pinned in (True, False)
    assert not s.writable
    assert s.nbytes == 80
    s.wait()
    assert s.ready()
    with s as m:
        assert isinstance(m, memoryview)
        assert m.readonly
        assert m.tobytes() == v.tobytes()
    assert v.exports == 0
    assert s.released
    s.release()
    with pytest.raises(ValueError, match="released"):
        m.tobytes()
    with pytest.raises(ValueError, match="released"):
        s.wait()
    with pytest.raises(ValueError, match="released"):
        s.__enter__()


@pytest.mark.parametrize("device", DEVICES)
def test_writable_stage_is_written_back(device):
    base = pattern((6, 8), "i4")
    v = dv.copy(base, device=device)
    part = v[::2, 1::3]
    with part.stage(writable=True) as m:
        assert not m.readonly
        assert m.shape == part.shape
        m[0, 0] = 5
        m[2, 1] = -5
    base[::2, 1::3][0, 0] = 5
    base[::2, 1::3][2, 1] = -5
    assert v.tobytes() == base.tobytes()


def test_writable_stage_is_written_back_on_release_and_del():
    v = dv.zeros(4, device=CUDA)
    s = v.stage(writable=True)
    s.__enter__()[0] = 1
    s.release()
    assert v.tolist() == [1, 0, 0, 0]
    s = v.stage(writable=True)
    s.__enter__()[1] = 2
    del s
    gc.collect()
    assert v.tolist() == [1, 2, 0, 0]


def test_writable_stage_is_written_back_after_an_exception_too():
    v = dv.zeros(4, device=CUDA)
    with pytest.raises(KeyError), v.stage(writable=True) as m:
        m[0] = 1
        raise KeyError
    assert v.tolist() == [1, 0, 0, 0]


def test_stage_that_is_never_entered_is_given_back():
    v = dv.zeros(1000, device=CUDA)
    with no_gc():
        s = v.stage()
        assert pinned_live() == 1000
        del s
        assert pinned_live() == 0
        assert v.exports == 0
    s = v.stage(writable=True)
    s.release()
    assert v.tobytes() == bytes(1000)


def test_stage_is_refused_release_while_its_memory_is_viewed():
    v = dv.zeros(8, device=CUDA)
    s = v.stage()
    m = s.__enter__()
    x = np.asarray(m)
    with pytest.raises(BufferError):
        s.release()
    assert x.tolist() == [0] * 8
    assert not s.released
    del x
    s.release()
    assert v.exports == 0


def test_stage_of_read_only_memory_is_not_writable():
    for device in DEVICES:
        v = dv.zeros(3, device=device).toreadonly()
        with pytest.raises(BufferError, match="read-only"):
            v.stage(writable=True)
        assert v.exports == 0
        with v.stage() as m:
            assert m.tobytes() == bytes(3)


def test_stage_of_nothing():
    v = dv.zeros((3, 0), device=CUDA)
    with v.stage(writable=True) as m:
        assert m.shape == (3, 0)
        assert m.nbytes == 0
    with dv.zeros((), "i", device=CUDA).stage(writable=True) as m:
        assert m.shape == ()
        m[()] = 3


def test_stage_copies_on_the_stream_that_is_given():
    stream = dv.Stream(CUDA)
    v = dv.zeros(1000, device=CUDA)
    v.fill(3, stream=stream)
    with v.stage(stream=stream) as m:
        assert m.tobytes() == b"\3" * 1000
    with v.stage() as m:
        assert m.tobytes() == b"\3" * 1000


@EMULATED
def test_stage_starts_the_copy_and_does_not_wait():
    v = dv.zeros(1000, device=CUDA)
    dv.emulation.set_delay(50_000)
    with counted_calls() as calls:
        s = v.stage()
        ready = s.ready()
    assert not any(calls[name] for name in WAITS)
    assert not ready
    s.wait()
    assert s.ready()
    s.release()


def test_stage_keyword_arguments_only():
    v = dv.zeros(3, device=CUDA)
    with pytest.raises(TypeError):
        v.stage(True)
    with pytest.raises(TypeError, match="colour"):
        v.stage(colour=1)


# --- Overlap ---


@pytest.mark.parametrize("second", ["stage", "buffer"])
@pytest.mark.parametrize("first", ["stage", "buffer"])
def test_overlapping_writable_stagings_are_refused(first, second):
    base = dv.zeros(100, device=CUDA)

    def take(kind, view):
        if kind == "stage":
            return view.stage(writable=True)
        return get_buffer(view, SIMPLE | WRITABLE)

    held = take(first, base[10:50])
    for key in (np.s_[:], np.s_[49:60], np.s_[0:11], np.s_[20:30], np.s_[11:50:2], np.s_[60:5:-3]):
        with pytest.raises(BufferError, match=r"overlap|writable"):
            take(second, base[key])
    others = [take(second, base[50:]), take(second, base[:10])]
    assert base.allocation.views >= 1
    held.release()
    for other in others:
        other.release()
    take(second, base).release()
    assert base.allocation.exports == 0


def test_interleaved_writable_slices_count_as_overlapping():
    base = dv.zeros(100, device=CUDA)
    with base[::2].stage(writable=True), pytest.raises(BufferError):
        base[1::2].stage(writable=True)
    base[1::2].stage(writable=True).release()


def test_read_only_exports_may_live_beside_a_writable_staging():
    base = dv.zeros(100, device=CUDA)
    with base.stage(writable=True) as m:
        before = memoryview(base[::2])
        with base.stage() as snapshot:
            assert snapshot.tobytes() == bytes(100)
        m[0] = 1
        assert before[0] == 0
        before.release()
    assert base[0] == 1


def test_writable_stagings_of_two_blocks_may_live_together():
    a, b = dv.zeros(10, device=CUDA), dv.zeros(10, device=CUDA)
    with a.stage(writable=True) as m, b.stage(writable=True) as n:
        m[0], n[0] = 1, 2
    assert (a[0], b[0]) == (1, 2)


# --- What it costs ---


@EMULATED
@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("dtype", ["u1", "i4", "c16", "V12"])
def test_memoryview_of_a_strided_view_costs_one_pack_and_one_copy(key, dtype):
    v, a = made(key, dtype)
    dv.trim()
    before = pinned_live()
    with counted_calls() as calls:
        m = memoryview(v)
        taken = pinned_live() - before
    assert m.tobytes() == a.tobytes()
    copies = sum(calls[name] for name in COPIES)
    pitched = calls["cudaMemcpy2DAsync"] + calls["cudaMemcpy3DAsync"]
    kernels = calls["cudaLaunchKernel"]
    assert kernels + pitched <= 1
    assert copies == 1, calls  # device to host; a pitched copy is it
    assert taken == a.nbytes
    assert calls["cudaHostAlloc"] <= 1
    assert calls["cudaEventSynchronize"] <= 1
    assert calls["cudaStreamSynchronize"] == calls["cudaDeviceSynchronize"] == 0
    assert calls["cudaMallocAsync"] == kernels  # what the kernel packs into
    with counted_calls() as calls:
        m.release()
    assert not any(calls[name] for name in (*COPIES, *WAITS, "cudaLaunchKernel"))
    assert pinned_live() == before


@EMULATED
def test_second_memoryview_takes_the_cached_pinned_block():
    v, _ = made()
    memoryview(v).release()
    with counted_calls() as calls:
        memoryview(v).release()
    assert calls["cudaHostAlloc"] == 0
    assert calls["cudaFreeHost"] == 0
    info = dv.memory_info("cpu")
    assert info.pinned_live_bytes == 0
    assert info.pinned_cached_bytes >= v.nbytes
    assert dv.trim() >= v.nbytes
    assert dv.memory_info("cpu").pinned_cached_bytes == 0


@EMULATED
def test_write_back_does_not_wait():
    v, _ = made("rows")
    s = v.stage(writable=True)
    s.__enter__()
    with counted_calls() as calls:
        s.release()
    assert not any(calls[name] for name in WAITS)
    assert sum(calls[name] for name in COPIES) == 1


@EMULATED
def test_slicing_makes_no_runtime_calls():
    v, _ = made()
    with counted_calls() as calls:
        parts = [v[1:], v[::-1], v.T, v.reshape(-1), v[None], v[3], v.cast("B"), v[..., 1:2]]
        del parts
    assert not calls


@EMULATED
@pytest.mark.parametrize("device", ["pinned", "managed"])
def test_pinned_and_managed_views_are_exported_where_they_are(device):
    v = dv.zeros((4, 6), "i", device=device)[::2]
    before = pinned_live()
    with counted_calls() as calls:
        m = memoryview(v)
    with get_buffer(v, FULL & ~WRITABLE) as request:
        assert request.raw.buf == v.ptr
        assert request.answer()["strides"] == v.strides
    assert not any(calls[name] for name in (*COPIES, "cudaLaunchKernel", "cudaHostAlloc"))
    assert pinned_live() == before
    assert not m.readonly
    m[0, 0] = 5
    assert v[0, 0] == 5


def test_memoryviews_in_many_threads():
    v, a = made("rows")
    wrong = []

    def work():
        for _ in range(20):
            with memoryview(v) as m:
                if m.tobytes() != a.tobytes():
                    wrong.append(1)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert v.exports == 0
