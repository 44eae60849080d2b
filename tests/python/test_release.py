"""view.release(), with, del: freed exactly when the last view or export goes, never before."""

from __future__ import annotations

import gc
import threading

import pytest

import devview as dv
from support import CUDA_DEVICES, DEVICES, EMULATED, device_bytes, no_gc, run_clean

CUDA = CUDA_DEVICES[0]
NBYTES = 4096


def live_bytes(device):
    return device_bytes(device)


@pytest.fixture(params=DEVICES)
def device(request):
    return request.param


def test_memory_is_freed_in_the_statement_where_the_view_goes(device):
    with no_gc():
        before = live_bytes(device)
        v = dv.empty(NBYTES, device=device)
        assert live_bytes(device) == before + NBYTES
        del v
        assert live_bytes(device) == before
        v = dv.empty(NBYTES, device=device)
        v.release()
        assert live_bytes(device) == before
        with dv.empty(NBYTES, device=device):
            assert live_bytes(device) == before + NBYTES
        assert live_bytes(device) == before


@pytest.mark.parametrize("last", ["slice", "transpose", "reshape", "cast", "field", "copy of view"])
def test_memory_lives_as_long_as_any_sub_view(device, last):
    with no_gc():
        before = live_bytes(device)
        v = dv.empty(NBYTES // 8, "T{i:a:i:b:}", device=device)
        part = {
            "slice": lambda: v[5:7],
            "transpose": lambda: v.T,
            "reshape": lambda: v.reshape(2, -1),
            "cast": lambda: v.cast("B"),
            "field": lambda: v["b"],
            "copy of view": lambda: dv.view(v),
        }[last]()
        v.release()
        assert live_bytes(device) == before + NBYTES
        smaller = part[:1]
        del part
        assert live_bytes(device) == before + NBYTES
        del smaller
        assert live_bytes(device) == before


@pytest.mark.parametrize("kind", ["memoryview", "staging", "memoryview of staging"])
def test_memory_lives_as_long_as_any_export(device, kind):
    with no_gc():
        before = live_bytes(device)
        v = dv.zeros(NBYTES, device=device)
        if kind == "memoryview":
            export = memoryview(v)
        else:
            export = v.stage()
            if kind == "memoryview of staging":
                export.__enter__()
        del v
        assert live_bytes(device) == before + NBYTES
        del export
        assert live_bytes(device) == before


def test_release_with_a_live_memoryview_is_refused_with_the_count(device):
    v = dv.zeros(NBYTES, device=device)
    first, second = memoryview(v), memoryview(v)
    for count, m in ((2, first), (1, second)):
        with pytest.raises(BufferError, match=rf"\b{count} export"):
            v.release()
        assert not v.released
        assert v.exports == count
        assert v.allocation.exports == count
        assert m.nbytes == NBYTES
        m.release()
    v.release()
    assert v.released


def test_release_with_a_live_staging_is_refused(device):
    v = dv.zeros(NBYTES, device=device)
    s = v.stage()
    with pytest.raises(BufferError, match="1 export"):
        v.release()
    with s as m, pytest.raises(BufferError, match=r"\d exports?"):
        assert m.nbytes == NBYTES
        v.release()
    v.release()
    assert v.released


def test_with_statement_refuses_like_release_does(device):
    m = None
    with pytest.raises(BufferError, match="1 export"), dv.zeros(3, device=device) as v:
        m = memoryview(v)
    assert not v.released
    assert m.tobytes() == bytes(3)
    m.release()
    v.release()


def test_exports_of_sub_views_do_not_block_release(device):
    v = dv.zeros(NBYTES, device=device)
    m = memoryview(v[10:20])
    assert v.exports == 0
    assert v.allocation.exports == 1
    v.release()
    assert m.tobytes() == bytes(10)


def test_release_is_idempotent(device):
    v = dv.zeros(3, device=device)
    for _ in range(3):
        v.release()
    assert v.released
    with pytest.raises(ValueError, match="released"):
        v.__enter__()


USES = {
    **{
        name: (lambda v, name=name: getattr(v, name))
        for name in (
            *("device", "ptr", "format", "itemsize", "shape", "strides", "suboffsets", "ndim"),
            *("nbytes", "readonly", "c_contiguous", "f_contiguous", "contiguous", "obj"),
            *("stream", "allocation", "T"),
        )
    },
    "index": lambda v: v[0],
    "slice": lambda v: v[1:],
    "empty tuple": lambda v: v[()],
    "assign": lambda v: v.__setitem__(0, 1),
    "assign slice": lambda v: v.__setitem__(slice(None), b"abc"),
    "len": len,
    "iter": lambda v: list(iter(v)),
    "in": lambda v: 1 in v,
    "hash": hash,
    "bytes": bytes,
    "memoryview": memoryview,
    "tobytes": lambda v: v.tobytes(),
    "tolist": lambda v: v.tolist(),
    "hex": lambda v: v.hex(),
    "cast": lambda v: v.cast("b"),
    "toreadonly": lambda v: v.toreadonly(),
    "count": lambda v: v.count(0),
    "index method": lambda v: v.index(0),
    "enter": lambda v: v.__enter__(),
    "transpose": lambda v: v.transpose(),
    "transpose axes": lambda v: v.transpose(0),
    "reshape": lambda v: v.reshape(3),
    "broadcast_to": lambda v: v.broadcast_to((2, 3)),
    "squeeze": lambda v: v.squeeze(),
    "to cpu": lambda v: v.to("cpu"),
    "to cuda": lambda v: v.to(CUDA),
    "copy": lambda v: v.copy(),
    "copy_from": lambda v: v.copy_from(b"abc"),
    "copy_to": lambda v: v.copy_to(bytearray(3)),
    "fill": lambda v: v.fill(0),
    "stage": lambda v: v.stage(),
    "dv.view": dv.view,
    "dv.copy": dv.copy,
    "dv.copyto": lambda v: dv.copyto(v, b"abc"),
    "dv.copyto source": lambda v: dv.copyto(bytearray(3), v),
    "dv.empty_like": dv.empty_like,
    "dv.from_buffer": dv.from_buffer,
}


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("where", ["cpu", CUDA])
def test_released_view_refuses_every_use(where, use):
    v = dv.zeros(3, device=where)
    v.release()
    with pytest.raises(ValueError, match="released"):
        USES[use](v)


def test_what_a_released_view_still_says():
    v = dv.zeros(3)
    v.release()
    assert v.released
    assert v.exports == 0
    assert "released" in repr(v)


def test_view_is_freed_while_an_exception_propagates(device):
    before = live_bytes(device)

    def work():
        v = dv.zeros(NBYTES, device=device)
        with v:
            assert live_bytes(device) == before + NBYTES
            raise KeyError("mine")

    with no_gc():
        with pytest.raises(KeyError, match="mine"):
            work()
        assert live_bytes(device) == before


def test_memoryview_released_while_an_exception_propagates(device):
    v = dv.zeros(NBYTES, device=device)
    with pytest.raises(KeyError, match="mine"), memoryview(v):
        raise KeyError("mine")
    assert v.exports == 0
    v.release()


def test_staging_left_by_an_exception_is_given_back(device):
    v = dv.zeros(NBYTES, device=device)
    with pytest.raises(KeyError, match="mine"), v.stage(writable=True) as m:
        m[0] = 1
        raise KeyError("mine")
    assert v.exports == 0
    v.release()


def test_drop_on_another_thread(device):
    with no_gc():
        before = live_bytes(device)
        held = [dv.empty(NBYTES, device=device), memoryview(dv.zeros(NBYTES, device=device))]
        assert live_bytes(device) == before + 2 * NBYTES
        thread = threading.Thread(target=held.clear)
        thread.start()
        thread.join()
        assert live_bytes(device) == before


def test_thread_that_ends_frees_its_views(device):
    before = live_bytes(device)

    def work():
        v = dv.empty(NBYTES, device=device)
        assert live_bytes(device) >= before + NBYTES
        v[0] = 1

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert live_bytes(device) == before


def test_views_are_counted(device):
    v = dv.zeros(NBYTES, device=device)
    block = v.allocation
    assert (block.views, block.exports) == (1, 0)
    parts = [v[i:] for i in range(5)]
    assert block.views == 6
    m = memoryview(parts[0])
    assert block.exports == 1
    del parts
    assert block.views <= 2  # the memoryview holds its view
    m.release()
    v.release()
    assert (block.views, block.exports) == (0, 0)


def test_live_lists_every_allocation(device):
    before = len(dv.live())
    v = dv.zeros(NBYTES, device=device)
    part = v[1:]
    m = memoryview(part)
    (row,) = dv.live()[before:]
    assert row.device == device
    assert row.nbytes == NBYTES
    assert row.ptr == v.ptr
    assert row.views == 2
    assert row.exports == 1
    assert row.owned
    m.release()


def test_trace_tells_where_memory_was_made():
    dv.trace(True)
    try:
        v = dv.zeros(3)
        line = dv.live()[-1].made_at
        w = dv.zeros(4, device=CUDA)
        other = dv.live()[-1].made_at
    finally:
        dv.trace(False)
    assert "test_release.py" in line
    assert "test_release.py" in other
    assert line != other
    x = dv.zeros(3)
    assert dv.live()[-1].made_at is None
    del v, w, x


def test_cycle_that_holds_a_view_is_collected(device):
    class Node:
        pass

    before = live_bytes(device)
    node = Node()
    node.view = dv.zeros(NBYTES, device=device)
    node.part = node.view[1:]
    node.m = memoryview(node.part)
    node.me = node
    del node
    assert live_bytes(device) == before + NBYTES
    gc.collect()
    assert live_bytes(device) == before


def test_memory_info_counts_exports(device):
    before = dv.memory_info(device).exports
    v = dv.zeros(3, device=device)
    held = [memoryview(v) for _ in range(3)]
    assert dv.memory_info(device).exports == before + 3
    held.clear()
    assert dv.memory_info(device).exports == before


@EMULATED
def test_peak_bytes_grow_and_stay(device):
    out = run_clean(
        f"""
        v = dv.empty(1000, device={device!r})
        w = dv.empty(500, device={device!r})
        del v
        w = dv.empty(200, device={device!r})
        print(dv.memory_info({device!r}).peak_bytes, dv.memory_info({device!r}).live_bytes)
        """
    )
    assert out == "1500 200\n"
