"""Random structures of CPython's test exporter through every set of request flags.

The exporter is `_testbuffer.ndarray`, its structures come from test_buffer's own generators. A View
of it must answer every request as `memoryview` does, or refuse it as `memoryview` does.
"""

from __future__ import annotations

import contextlib
import random
import struct

import pytest

import cpython_suites
import devview as dv
from support import CUDA_DEVICES, EMULATED, FLAG_SETS, FULL, answer, get_buffer

cpython_suites.require()

import _testbuffer as tb  # noqa: E402

GENERATORS = cpython_suites.load("test_buffer")
CUDA = CUDA_DEVICES[0]
ROUNDS = range(12)
PER_ROUND = 40

# The names that CPython gives to sets: ndarray asks with them, and shows what came.
NAMED_SETS = sorted(
    {getattr(tb, name) for name in dir(tb) if name.startswith("PyBUF_")}
    - {tb.PyBUF_READ, tb.PyBUF_WRITE, getattr(tb, "PyBUF_MAX_NDIM", tb.PyBUF_READ)}
)
ORDERS = ("C", "F", "A")


@pytest.fixture
def rng():
    """Give the generators their numbers: the same in every run."""
    state = random.getstate()
    yield random
    random.setstate(state)


def structure(rng):
    """Make an exporter: dense, Fortran, strided or with suboffsets; 0-d, empty, read-only."""
    if rng.randrange(3):
        fmt, items, _ = GENERATORS.randitems(40)
    else:
        fmt, items, _ = GENERATORS.struct_items(40, "ndarray")
    size = struct.calcsize(fmt)
    writable = rng.choice((0, tb.ND_WRITABLE))
    kind = rng.choice(("c", "fortran", "pil", "strided", "strided", "0-d", "empty"))
    if kind == "strided":
        memlen, _, _, shape, strides, offset = random_strides(size)
        items = (items * (memlen // size // 40 + 1))[: memlen // size]
        if not shape:
            items = items[0]
        return tb.ndarray(
            items, shape=shape, strides=strides, offset=offset, format=fmt, flags=writable
        )
    if kind == "0-d":
        return tb.ndarray(items[0], shape=[], format=fmt, flags=writable)
    shape = [rng.randrange(1, 5) for _ in range(rng.randrange(1, 5))]
    if kind == "empty":
        shape[rng.randrange(len(shape))] = 0
    count = max(1, GENERATORS.prod(shape))
    items = (items * (count // 40 + 1))[:count]
    if kind == "empty":
        flags = rng.choice((0, tb.ND_FORTRAN))
    else:
        flags = {"c": 0, "fortran": tb.ND_FORTRAN, "pil": tb.ND_PIL}[kind]
    return tb.ndarray(items, shape=shape, format=fmt, flags=flags | writable)


def random_strides(size):
    """Draw from test_buffer's generator, which draws far apart at times, until it is small."""
    while True:
        drawn = GENERATORS.rand_structure(size, True, maxdim=4, maxshape=5)
        if drawn[0] <= 4000 * size:
            return drawn


def random_slices(rng, shape):
    return tuple(
        slice(rng.randrange(-n - 1, n + 1), rng.randrange(-n - 1, n + 1), rng.choice((1, 2, -1)))
        for n in shape
    )


def structures(rng, seed):
    rng.seed(f"flags {seed}")
    return [structure(rng) for _ in range(PER_ROUND)]


def assert_same_answers(v, m):
    for flags in FLAG_SETS:
        assert answer(v, flags) == answer(m, flags), f"flags {flags:#x} of {v}"
    assert v.exports == 0
    assert v.allocation.exports == 0


@pytest.mark.parametrize("seed", ROUNDS)
def test_every_flag_set_is_answered_as_by_memoryview(rng, seed):
    for nd in structures(rng, seed):
        assert_same_answers(dv.view(nd), memoryview(nd))


@pytest.mark.parametrize("seed", ROUNDS)
def test_every_flag_set_is_answered_as_by_the_exporter(rng, seed):
    for nd in structures(rng, seed):
        v = dv.view(nd)
        if nd.ndim == 1 and nd.nbytes == 0 and nd.strides != (nd.itemsize,):
            continue  # dense for the exporter, not for memoryview
        for flags in FLAG_SETS:
            assert answer(v, flags) == answer(nd, flags), f"flags {flags:#x} of {v}"


@pytest.mark.parametrize("seed", ROUNDS)
def test_slices_of_every_structure_are_answered_alike(rng, seed):
    # memoryview slices one axis only: the exporter's own slices are the oracle, suboffsets too.
    for nd in structures(rng, seed):
        if nd.ndim == 0:
            continue
        key = random_slices(rng, nd.shape)
        v, m = dv.view(nd)[key], memoryview(nd[key])
        for flags in FLAG_SETS:
            mine, theirs = answer(v, flags), answer(m, flags)
            if v.nbytes == 0 and "BufferError" not in (mine, theirs):
                mine.pop("buf")  # an empty View never points past its memory
                theirs.pop("buf")
                # and its suboffsets, which nobody follows, stay where they were
                mine.pop("suboffsets")
                theirs.pop("suboffsets")
            assert mine == theirs, f"flags {flags:#x} of {v}"


def told(exporter, flags):
    try:
        nd = tb.ndarray(exporter, getbuf=flags)
    except BufferError:
        return "BufferError"
    names = ("format", "itemsize", "ndim", "shape", "strides", "suboffsets", "nbytes", "readonly")
    fields = {name: getattr(nd, name) for name in names}
    return fields | {"bytes": nd.tobytes(), "flags": nd.flags}


@pytest.mark.parametrize("seed", ROUNDS)
def test_the_test_exporter_reads_a_view_as_it_reads_memoryview(rng, seed):
    for nd in structures(rng, seed):
        v, m = dv.view(nd), memoryview(nd)
        for flags in NAMED_SETS:
            for bits in (0, tb.PyBUF_WRITABLE, tb.PyBUF_FORMAT):
                assert told(v, flags | bits) == told(m, flags | bits), f"{flags | bits:#x} of {v}"


def outcome(call):
    try:
        result = call()
    except (BufferError, ValueError, TypeError, NotImplementedError) as error:
        return type(error)
    return bytes(result) if isinstance(result, memoryview | bytes | bytearray) else result


@pytest.mark.parametrize("seed", ROUNDS)
def test_contiguous_copies_are_those_of_memoryview(rng, seed):
    for nd in structures(rng, seed):
        v, m = dv.view(nd), memoryview(nd)
        for order in ORDERS:
            assert tb.is_contiguous(v, order) == tb.is_contiguous(m, order)
            for flags in (tb.PyBUF_FULL_RO, tb.PyBUF_FULL, tb.PyBUF_STRIDED_RO):
                assert outcome(lambda: tb.py_buffer_to_contiguous(v, order, flags)) == outcome(
                    lambda: tb.py_buffer_to_contiguous(m, order, flags)
                )
            for access in (tb.PyBUF_READ, tb.PyBUF_WRITE):
                assert outcome(lambda: tb.get_contiguous(v, access, order)) == outcome(
                    lambda: tb.get_contiguous(m, access, order)
                )
        assert outcome(lambda: tb.cmp_contig(v, nd)) == outcome(lambda: tb.cmp_contig(m, nd))


def test_structures_are_of_every_kind(rng):
    # What the tests above compare: refusals and answers, with and without suboffsets.
    made = [nd for seed in ROUNDS for nd in structures(rng, seed)]
    assert any(nd.suboffsets for nd in made)
    assert {nd.ndim for nd in made} >= {0, 1, 2, 3, 4}
    assert {nd.readonly for nd in made} == {True, False}
    assert any(nd.nbytes == 0 for nd in made)
    assert any(nd.f_contiguous and not nd.c_contiguous for nd in made)
    assert any(not nd.contiguous and not nd.suboffsets for nd in made)
    for nd in made[:40]:
        answers = [answer(dv.view(nd), flags) == "BufferError" for flags in FLAG_SETS]
        assert any(answers)
        assert not all(answers)


@pytest.mark.parametrize("seed", range(20))
def test_several_exports_live_at_once(rng, seed):
    rng.seed(f"exports {seed}")
    v = dv.view(structure(rng))
    block = v.allocation
    live = []
    for _ in range(60):
        if live and rng.randrange(3) == 0:
            live.pop(rng.randrange(len(live))).release()
        else:
            with contextlib.suppress(BufferError):  # support sees to its obj being NULL
                live.append(get_buffer(v, rng.choice(FLAG_SETS)))
        assert v.exports == len(live)
        assert block.exports == len(live)
        if live:
            with pytest.raises(BufferError, match=f"{len(live)} export"):
                v.release()
    rng.shuffle(live)
    while live:
        live.pop().release()
        assert v.exports == len(live)
    v.release()
    assert v.released


def refusal(exporter, flags):
    try:
        get_buffer(exporter, flags).release()
    except BufferError as error:
        return error
    return None


@EMULATED
@pytest.mark.parametrize(
    "call", ["cudaMemcpyAsync", "cudaHostAlloc", "cudaEventRecord", "cudaEventSynchronize"]
)
@pytest.mark.parametrize("flags", [FULL, FULL & ~1], ids=["writable", "read-only"])
def test_a_staging_that_fails_half_way_is_no_export(call, flags):
    v = dv.copy(bytes(range(64)), device=CUDA)
    dv.trim()
    with get_buffer(v, flags & ~1) as living:
        assert v.exports == 1
        before = len(dv.emulation.calls)
        dv.emulation.fail(call, 1, 1)
        error = refusal(v, flags)
        if error is not None:
            assert isinstance(error.__cause__, dv.DeviceError | dv.OutOfMemory)
        else:
            # No pinned memory: the staging is pageable. Other calls it may not have made at all.
            assert call == "cudaHostAlloc" or call not in dv.emulation.calls[before:]
        dv.emulation.clear_faults()
        assert v.exports == 1
        assert v.allocation.exports == 1
        assert living.bytes() == bytes(range(64))
    assert v.exports == 0
    assert v.tobytes() == bytes(range(64))
