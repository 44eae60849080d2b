"""dv.transfer_guard: implicit device to host copies allowed, warned of or refused, per context."""

from __future__ import annotations

import asyncio
import contextvars
import hashlib
import threading
import warnings

import numpy as np
import pytest

import devview as dv
from support import CUDA_DEVICES

CUDA = CUDA_DEVICES[0]

IMPLICIT = {
    "memoryview": memoryview,
    "bytes": bytes,
    "tobytes": lambda v: v.tobytes(),
    "tolist": lambda v: v.tolist(),
    "hex": lambda v: v.hex(),
    "hashlib": hashlib.sha256,
    "np.array": np.array,
    "index": lambda v: v[0],
    "iterate": list,
    "in": lambda v: 1 in v,
    "==": lambda v: v == b"abc",
    "!=": lambda v: v != dv.zeros(3),
    "count": lambda v: v.count(0),
    "index method": lambda v: v.index(0),
}

EXPLICIT = {
    "to": lambda v: v.to("cpu"),
    "to device": lambda v: v.to(CUDA_DEVICES[-1], copy=True),
    "copy": lambda v: v.copy(device="cpu"),
    "dv.copy": lambda v: dv.copy(v, device="cpu"),
    "copyto": lambda v: dv.copyto(bytearray(3), v),
    "copy_to": lambda v: v.copy_to(bytearray(3)),
    "copy_from": lambda v: v.copy_from(b"abc"),
    "slice assignment": lambda v: v.__setitem__(slice(None), b"abc"),
    "item assignment": lambda v: v.__setitem__(0, 1),
    "fill": lambda v: v.fill(1),
    "slice": lambda v: v[1:],
    "attributes": lambda v: (v.shape, v.T, repr(v)),
    "== on the device": lambda v: v == v.copy(),
    "view to host": lambda v: dv.view(v, device="cpu"),
}


def stage(v):
    with v.stage(writable=True) as m:
        m[0] = 1


EXPLICIT["stage"] = stage


@pytest.mark.parametrize("use", IMPLICIT)
def test_forbid_refuses_implicit_copies_with_a_reason(use):
    v = dv.zeros(3, device=CUDA)
    with dv.transfer_guard("forbid"):
        with pytest.raises(BufferError, match=r"(?s)forbid") as error:
            IMPLICIT[use](v)
        assert " bytes from " in str(error.value)
        assert CUDA in str(error.value)
    assert v.exports == 0
    IMPLICIT[use](v)


@pytest.mark.parametrize("use", IMPLICIT)
def test_warn_warns_and_copies(use):
    v = dv.zeros(3, device=CUDA)
    with dv.transfer_guard("warn"), pytest.warns(RuntimeWarning, match="implicit copy"):
        IMPLICIT[use](v)
    assert v.exports == 0


@pytest.mark.parametrize("use", IMPLICIT)
def test_warning_made_an_error_leaves_nothing(use):
    v = dv.zeros(3, device=CUDA)
    with dv.transfer_guard("warn"), warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(RuntimeWarning, match="implicit copy"):
            IMPLICIT[use](v)
    assert v.exports == 0


@pytest.mark.parametrize("use", EXPLICIT)
def test_explicit_transfers_pass(use):
    v = dv.zeros(3, device=CUDA)
    with dv.transfer_guard("forbid"):
        EXPLICIT[use](v)


@pytest.mark.parametrize("device", ["cpu", "pinned", "managed"])
def test_host_memory_is_not_guarded(device):
    v = dv.zeros(3, device=device)
    with dv.transfer_guard("forbid"):
        for use in IMPLICIT.values():
            use(v)


def test_guards_nest_and_restore():
    v = dv.zeros(3, device=CUDA)
    with dv.transfer_guard("forbid"):
        with dv.transfer_guard("allow"):
            assert bytes(v) == bytes(3)
            with dv.transfer_guard("forbid"), pytest.raises(BufferError):
                bytes(v)
            assert bytes(v) == bytes(3)
        with pytest.raises(BufferError):
            bytes(v)
    assert bytes(v) == bytes(3)


def test_guard_is_restored_after_an_exception():
    v = dv.zeros(3, device=CUDA)
    with pytest.raises(KeyError), dv.transfer_guard("forbid"):
        raise KeyError
    assert bytes(v) == bytes(3)


def test_guard_holds_from_the_call_on():
    v = dv.zeros(3, device=CUDA)

    def work():
        dv.transfer_guard("forbid")
        with pytest.raises(BufferError):
            bytes(v)

    contextvars.copy_context().run(work)
    assert bytes(v) == bytes(3)


def test_guard_belongs_to_the_context_not_to_the_process():
    v = dv.zeros(3, device=CUDA)
    got = []
    with dv.transfer_guard("forbid"):
        thread = threading.Thread(target=lambda: got.append(bytes(v)))
        thread.start()
        thread.join()
    assert got == [bytes(3)]


def test_guard_in_tasks():
    v = dv.zeros(3, device=CUDA)

    async def guarded():
        with dv.transfer_guard("forbid"):
            await asyncio.sleep(0)
            with pytest.raises(BufferError):
                bytes(v)
            await asyncio.sleep(0)

    async def free():
        for _ in range(4):
            assert bytes(v) == bytes(3)
            await asyncio.sleep(0)

    async def main():
        await asyncio.gather(guarded(), free(), guarded(), free())

    asyncio.run(main())


@pytest.mark.parametrize("mode", ["", "Allow", "deny", None, 3], ids=repr)
def test_unknown_modes_are_refused(mode):
    with pytest.raises((ValueError, TypeError)):
        dv.transfer_guard(mode)
    assert bytes(dv.zeros(3, device=CUDA)) == bytes(3)


def test_unknown_mode_is_named_with_what_is_known():
    with pytest.raises(ValueError, match="deny") as error:
        dv.transfer_guard("deny")
    for mode in ("allow", "warn", "forbid"):
        assert mode in str(error.value)


def test_hash_is_an_implicit_copy():
    v = dv.zeros(3, device=CUDA).toreadonly()
    with dv.transfer_guard("forbid"), pytest.raises(BufferError):
        hash(v)
    assert hash(v) == hash(bytes(3))
