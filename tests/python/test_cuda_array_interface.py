"""__cuda_array_interface__ both ways: what is told, what is refused, who waits for whom."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest
from hypothesis import given

import devview as dv
from strategies import record_dtypes
from support import (
    CUDA_DEVICES,
    DTYPES,
    EMULATED,
    counted_calls,
    delay,
    layouts,
    no_gc,
    pattern,
    settle,
)

CUDA = CUDA_DEVICES[0]
SHARED = ("pinned", "managed")
DELAY = 3000  # [us] a stream operation; only order is asserted, never a time
COUNT = 1 << 12


class Interface:
    """Something with nothing but the attribute, and what it points to."""

    def __init__(self, interface, memory=None):
        self.__cuda_array_interface__ = interface
        self.memory = memory


def told_by(v, **changes) -> dict:
    interface = {**v.__cuda_array_interface__, **changes}
    return {k: v for k, v in interface.items() if v is not ...}


def offered(v, **changes) -> Interface:
    return Interface(told_by(v, **changes), v)


# --- Export ---


@pytest.mark.parametrize("device", [*CUDA_DEVICES, *SHARED])
@given(layouts(dtypes=(*DTYPES, ">f4", "U3", "?", "e")))
def test_the_dict_is_numpys_and_a_stream(device, layout):
    a = layout.apply(layout.base())
    v = layout.apply(dv.view(layout.base()).copy(device=device))
    told = v.__cuda_array_interface__
    numpys = dv.view(a).__array_interface__
    for key in ("shape", "typestr", "descr", "version"):
        assert told[key] == numpys[key]
    assert told["strides"] == (None if v.c_contiguous else v.strides)
    assert told["data"] == (v.ptr if v.nbytes else 0, v.readonly)
    assert told["stream"] == (1 if v.nbytes else None)
    assert set(told) == {*numpys, "stream"}


@given(record_dtypes(empty=False, titles=False).filter(lambda d: d.itemsize > 0 and d.names))
def test_records_have_a_descr(dtype):
    v = dv.view(pattern((2,), dtype)).to(CUDA)
    told = v.__cuda_array_interface__
    assert told["typestr"] == f"|V{dtype.itemsize}"
    assert np.lib.format.descr_to_dtype(told["descr"]) == dtype
    w = dv.view(Interface(told, v))
    assert dv.Format(w.format) == dv.Format(dtype)
    assert w.tobytes() == v.tobytes()


def test_read_only_and_sub_arrays_are_told():
    v = dv.zeros(3, "(2,2)f", device=CUDA).toreadonly()
    told = v.__cuda_array_interface__
    assert (told["shape"], told["typestr"], told["data"]) == ((3, 2, 2), "<f4", (v.ptr, True))


def test_small_floats_keep_their_name():
    v = dv.zeros(3, dv.Format("bfloat16"), device=CUDA)
    told = v.__cuda_array_interface__
    assert (told["typestr"], told["descr"]) == ("<V2", [("bfloat16", "<u2")])
    assert dv.Format(dv.view(Interface(told, v)).format) == dv.Format("bfloat16")
    # Without the descr nobody can know: opaque bytes, never silently a number.
    del told["descr"]
    assert dv.view(Interface(told, v)).format == "2x"


def test_cpu_views_have_none():
    v = dv.zeros(3)
    assert not hasattr(v, "__cuda_array_interface__")
    assert not hasattr(v, "__cuda_stream__")
    with pytest.raises(AttributeError, match="cpu"):
        _ = v.__cuda_array_interface__


@pytest.mark.parametrize("spec", ["int4", "&i", "5p"])
def test_what_a_typestr_cannot_say_is_no_attribute(spec):
    v = dv.zeros(4, dv.Format(spec), device=CUDA)
    with pytest.raises(AttributeError, match=r"__cuda_array_interface__: .*format"):
        _ = v.__cuda_array_interface__


def test_a_released_view_is_an_error():
    v = dv.zeros(3, device=CUDA)
    v.release()
    with pytest.raises(ValueError, match="released"):
        _ = v.__cuda_array_interface__


# --- Export: the stream ---


def test_the_stream_is_the_views_own_else_the_allocations_else_legacy():
    s, t = dv.Stream(CUDA), dv.Stream(CUDA)
    assert dv.zeros(3, device=CUDA).__cuda_array_interface__["stream"] == 1
    v = dv.empty(3, device=CUDA, stream=s)
    assert v.__cuda_array_interface__["stream"] == s.handle
    assert dv.view(v, stream=t).__cuda_array_interface__["stream"] == t.handle
    # Handles that may be gone by then, or mean another stream on another thread, are not told.
    assert dv.view(v, stream=t.handle).__cuda_array_interface__["stream"] == s.handle
    assert dv.view(v, stream=2).__cuda_array_interface__["stream"] == s.handle


@EMULATED
def test_nothing_is_called_where_all_work_is_on_the_stream():
    s = dv.Stream(CUDA)
    v = dv.zeros(3, device=CUDA, stream=s)
    with counted_calls() as calls:
        for _ in range(3):
            assert v.__cuda_array_interface__["stream"] == s.handle
    assert not calls["cudaEventRecord"]
    assert not calls["cudaStreamWaitEvent"]


@EMULATED
def test_the_stream_waits_for_work_on_all_others():
    home, *others = (dv.Stream(CUDA) for _ in range(4))
    v = dv.zeros((3, COUNT), device=CUDA, stream=home)
    with delay(DELAY):
        for i, s in enumerate(others):
            v[i].fill(i + 1, stream=s)
        with counted_calls() as calls:
            handle = v.__cuda_array_interface__["stream"]
        assert handle == home.handle
        assert calls["cudaStreamWaitEvent"] == 3
        assert not [name for name in calls if name.endswith("Synchronize")]
        # A consumer that knows of the address and the handle alone.
        alone = dv.from_pointer(v.ptr, v.shape, "B", device=CUDA, stream=handle)
        assert [row[0] for row in alone.tolist()] == [1, 2, 3]


@EMULATED
@pytest.mark.parametrize("device", SHARED)
def test_shared_memory_tells_a_stream_that_waits(device):
    s = dv.Stream(CUDA)
    v = dv.zeros(COUNT, device=device)
    source = dv.view(b"\x05" * COUNT).to(CUDA)
    with delay(DELAY):
        dv.copyto(v, source, stream=s)
        assert v.__cuda_array_interface__["stream"] == 1
        alone = dv.from_pointer(v.ptr, COUNT, "B", device=device, owner=v, stream=1)
        assert alone.to(CUDA, copy=True)[-1] == 5
        # What a consumer puts there is waited for before the host reads.
        dv.from_pointer(v.ptr, COUNT, "B", device=device, owner=v).copy_from(
            dv.view(b"\x06" * COUNT).to(CUDA), stream=1
        )
        assert v[-1] == 6


@EMULATED
def test_the_memory_is_freed_after_the_consumers_work():
    home, told = dv.Stream(CUDA), dv.Stream(CUDA)
    v = dv.empty(COUNT, device=CUDA, stream=home)
    w = dv.view(v, stream=told)
    handle = w.__cuda_array_interface__["stream"]
    assert handle == told.handle
    with delay(DELAY):
        alone = dv.from_pointer(v.ptr, COUNT, "B", device=CUDA, stream=handle)
        alone.fill(7, stream=handle)
        alone.release()
        # The emulator fails a device whose work touches freed memory.
        v.release(), w.release()
        told.synchronize()
        home.synchronize()


# --- Import ---


@pytest.mark.parametrize("device", [*CUDA_DEVICES, *SHARED])
@given(layouts(dtypes=(*DTYPES, ">f4", "U3", "?")))
def test_memory_comes_in_without_a_copy(device, layout):
    v = layout.apply(dv.view(layout.base()).copy(device=device))
    w = dv.from_cuda_array(offered(v))
    assert (w.shape, w.readonly) == (v.shape, v.readonly)
    assert dv.Format(w.format) == dv.Format(v.format)
    assert w.tobytes() == v.tobytes()
    if v.nbytes:
        assert (w.ptr, w.device) == (v.ptr, v.device)
    if not v.c_contiguous:
        assert w.strides == v.strides


@pytest.mark.parametrize("device", [*CUDA_DEVICES, *SHARED])
def test_both_see_what_is_written(device):
    v = dv.zeros(4, "i", device=device)
    w = dv.view(offered(v))
    w[1] = 5
    assert v.tolist() == [0, 5, 0, 0]
    v.fill(6)
    assert w.tolist() == [6] * 4


def test_the_object_is_held_until_the_last_view_goes():
    exporter = offered(dv.zeros(4, device=CUDA))
    alive = weakref.ref(exporter)
    v = dv.from_cuda_array(exporter)
    assert v.obj is exporter
    w = v[1:]
    del exporter, v
    gc.collect()
    assert alive() is not None
    with no_gc():
        del w
        assert alive() is None


def test_the_attribute_is_read_once():
    class Counting:
        reads = 0

        @property
        def __cuda_array_interface__(self):
            self.reads += 1
            return v.__cuda_array_interface__

    v = dv.zeros(4, device=CUDA)
    exporter = Counting()
    dv.view(exporter)
    assert exporter.reads == 1


@pytest.mark.parametrize("version", [0, 1, 2, 3])
@pytest.mark.parametrize("strides", [..., None, (4, 1)])
def test_all_versions_are_read(version, strides):
    v = dv.view(bytes(range(12))).cast("B", (3, 4)).to(CUDA)
    w = dv.from_cuda_array(offered(v, version=version, strides=strides, descr=..., stream=...))
    assert w.tolist() == v.tolist()


def test_stream_is_an_entry_of_version_3():
    v = dv.zeros(4, device=CUDA)
    assert dv.from_cuda_array(offered(v, version=2, stream=0)).tolist() == [0] * 4


@pytest.mark.parametrize("device", CUDA_DEVICES)
def test_a_views_own_interface_gives_a_view_that_outlives_its_release(device):
    v = dv.zeros(4, device=device)
    w = dv.from_cuda_array(v)
    assert w.allocation is v.allocation
    v.release()
    assert w.tolist() == [0] * 4
    with pytest.raises(dv.ImportRefused, match="not offered"):
        dv.from_cuda_array(dv.zeros(4))


def test_no_items_need_no_memory():
    told = {"version": 3, "shape": (0, 3), "typestr": "<f4", "data": (0, False)}
    v = dv.from_cuda_array(Interface(told))
    assert (v.shape, v.device, v.ptr, v.tobytes()) == ((0, 3), CUDA, 0, b"")
    # An address that means nothing is as good.
    assert dv.from_cuda_array(Interface({**told, "data": (64, False)})).device == CUDA
    last = dv.zeros(4, device=CUDA_DEVICES[-1])
    assert dv.from_cuda_array(offered(last, shape=(0,), strides=None)).device == last.device


def test_the_interface_comes_before_the_array_interface():
    v = dv.zeros(4, device="pinned")

    class Both(Interface):
        @property
        def __array_interface__(self):
            raise AssertionError("asked, although the other one had answered")

    assert dv.view(Both(told_by(v), v)).device == "pinned"


def test_dv_view_moves_what_comes_in():
    v = dv.view(bytes(range(4))).to(CUDA)
    assert dv.view(offered(v), device="cpu").tolist() == [0, 1, 2, 3]
    with pytest.raises(BufferError):
        dv.view(offered(v), device="cpu", copy=False)


class Broken:
    def __init__(self, error):
        self.error = error

    def __index__(self):
        raise self.error("mine")

    __bool__ = __index__


MALFORMED = {
    **{
        f"{key} {'missing' if value is ... else repr(value)[:40]}": {key: value}
        for key, value in [
            *(("version", value) for value in (..., None, 4, -1, "3", True, 2.0)),
            *(
                ("typestr", value)
                for value in (..., None, 4, b"<f4", "", "<i9", "<f3", "|O", "|V0")
            ),
            *(("shape", value) for value in (..., None, [4], 4, (-1,), (True,), (4.0,), (2**64,))),
            *(("shape", value) for value in ((2**62, 8), (0, 2**62, 2**62), (1,) * 65)),
            *(("strides", value) for value in ((), (4, 4), 4, [4], (4.0,), (True,), (2**62,))),
            *(("data", value) for value in (..., None, 4096, (0, False), (-8, False), "")),
            *(("data", value) for value in ((2**64, False), ("8", False), (8.0, False))),
            *(("data", value) for value in ((True, False), (4096,), (2**64 - 8, False))),
            *(("data", value) for value in (b"0123456789abcdef", bytearray(16))),
            *(("mask", value) for value in (np.zeros(4, "?"), 0, False)),
            *(("stream", value) for value in (0, -1, 2**64, True, 1.0, "1", (0, 1), False)),
            ("shape", (Broken(ValueError),)),
            ("strides", (Broken(TypeError),)),
            ("data", (Broken(BufferError), False)),
            ("data", (4096, Broken(ValueError))),
            ("stream", Broken(ValueError)),
        ]
    },
    "descr bomb": {"typestr": "|V4", "shape": (4,), "descr": [("a", "u1")] * 100_000},
    "descr too large": {"typestr": "|V4", "descr": [("a", "<i8")]},
    "more than the block": {"shape": (1 << 40,)},
    "before the block": {"strides": (-(1 << 40),)},
}


@pytest.mark.parametrize("case", MALFORMED)
def test_malformed_entries_are_refused(case):
    v = dv.zeros(4, "i", device=CUDA)
    exporter = offered(v, **MALFORMED[case])
    alive = len(dv.live())
    with pytest.raises(dv.ImportRefused, match="__cuda_array_interface__"):
        dv.from_cuda_array(exporter)
    assert len(dv.live()) == alive


@pytest.mark.parametrize("told", [None, [], "<f4", {}, 5], ids=repr)
def test_what_is_no_such_dict_is_refused(told):
    with pytest.raises(dv.ImportRefused, match="__cuda_array_interface__"):
        dv.from_cuda_array(Interface(told))


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, ZeroDivisionError])
def test_errors_of_a_producer_are_kept(error):
    v = dv.zeros(4, device=CUDA)
    for changes in ({"shape": (Broken(error),)}, {"data": (v.ptr, Broken(error))}):
        with pytest.raises(error, match="mine"):
            dv.from_cuda_array(offered(v, **changes))


def test_host_memory_is_refused():
    a = np.zeros(4)
    with pytest.raises(ValueError, match="no CUDA device knows"):
        dv.from_cuda_array(Interface(a.__array_interface__, a))


@EMULATED
def test_freed_memory_is_refused():
    v = dv.zeros(4, device=CUDA)
    told = v.__cuda_array_interface__
    v.release()
    with pytest.raises(ValueError, match="no CUDA device knows"):
        dv.from_cuda_array(Interface(told))


@EMULATED
def test_a_failing_look_up_is_told():
    v = dv.zeros(4, device=CUDA)
    exporter = offered(v)
    dv.emulation.fail("cudaPointerGetAttributes", 1, 101)
    with pytest.raises(dv.ImportRefused, match="cudaErrorInvalidDevice"):
        dv.from_cuda_array(exporter)
    assert dv.from_cuda_array(exporter).tolist() == [0] * 4


@pytest.mark.parametrize("arguments", [(), (1, 2)])
def test_wrong_calls(arguments):
    with pytest.raises(TypeError, match="from_cuda_array"):
        dv.from_cuda_array(*arguments)
    with pytest.raises(TypeError, match="strem"):
        dv.from_cuda_array(dv.zeros(1, device=CUDA), strem=1)


# --- Import: the stream ---


class Producer:
    """A library that works on one stream of its own, and frees there when it is let go."""

    def __init__(self, stream):
        self.stream = stream
        self.memory = dv.zeros(COUNT, device=CUDA, stream=stream)
        self.__cuda_array_interface__ = {
            "version": 3,
            "shape": (COUNT,),
            "typestr": "|u1",
            "data": (self.memory.ptr, False),
            "stream": 1 if stream is None else stream.handle,
        }

    def work(self, value):
        self.memory.fill(value)


@EMULATED
@pytest.mark.parametrize("own", [True, False], ids=["a stream", "legacy"])
def test_work_waits_for_the_producers_stream(own):
    producer = Producer(dv.Stream(CUDA) if own else None)
    v = dv.from_cuda_array(producer)
    with delay(DELAY):
        producer.work(5)
        # Also what the producer did after the hand-over is ordered before what is done now.
        assert v.copy(device="cpu", stream=dv.Stream(CUDA))[-1] == 5
        producer.work(6)
        assert v.tolist()[-1] == 6


@EMULATED
def test_the_hand_over_does_not_wait_on_the_host():
    producer = Producer(dv.Stream(CUDA))
    with counted_calls() as calls:
        dv.from_cuda_array(producer, stream=dv.Stream(CUDA))
    assert not [name for name in calls if name.endswith("Synchronize")]


@EMULATED
@pytest.mark.parametrize("importer", [dv.from_cuda_array, dv.view])
def test_a_stream_that_is_asked_for_waits_at_once(importer):
    producer, s = Producer(dv.Stream(CUDA)), dv.Stream(CUDA)
    with delay(DELAY):
        producer.work(5)
        v = importer(producer, stream=s)
        assert v.stream == s
        # A kernel that gets the address and runs on that stream, behind devview's back.
        alone = dv.from_pointer(v.ptr, COUNT, "B", device=CUDA, stream=s)
        assert alone.tolist()[-1] == 5


@EMULATED
def test_the_producers_stream_waits_for_our_work_before_it_is_let_go():
    producer, s = Producer(dv.Stream(CUDA)), dv.Stream(CUDA)
    v = dv.from_cuda_array(producer)
    with delay(DELAY):
        v.fill(7, stream=s)
        # The producer frees on its own stream, and knows nothing of ours: the emulator fails a
        # device whose work touches freed memory.
        v.release()
        del producer
        s.synchronize()


@EMULATED
@pytest.mark.parametrize("worked", [True, False])
def test_a_producer_without_a_stream_is_let_go_of_after_our_work(worked):
    memory, s = dv.zeros(COUNT, device=CUDA), dv.Stream(CUDA)
    assert not any(memory.tolist())  # complete: the offer names no stream to wait for
    v = dv.from_cuda_array(offered(memory, stream=None))
    with delay(DELAY), counted_calls() as calls:
        if worked:
            v.fill(7, stream=s)
        v.release()
        assert s.query()
    assert calls["cudaStreamSynchronize"] == worked


@EMULATED
def test_the_host_waits_for_our_work_where_a_producer_has_destroyed_its_stream():
    memory, theirs, ours = dv.zeros(COUNT, device=CUDA), dv.Stream(CUDA), dv.Stream(CUDA)
    settle()  # `theirs` is not ordered after what made the memory
    v = dv.from_cuda_array(offered(memory, stream=theirs.handle))
    with delay(DELAY):
        v.fill(7, stream=ours)
        del theirs
        with counted_calls() as calls:
            v.release()
        assert calls["cudaStreamSynchronize"] == 1
        assert ours.query()
    assert memory.tolist()[-1] == 7


@EMULATED
@pytest.mark.parametrize("device", SHARED)
def test_the_host_waits_for_the_producers_stream(device):
    s = dv.Stream(CUDA)
    memory = dv.zeros(COUNT, device=device)
    exporter = offered(memory, stream=s.handle)
    v = dv.from_cuda_array(exporter)
    with delay(DELAY):
        memory.copy_from(dv.view(b"\x05" * COUNT).to(CUDA), stream=s)
        assert memoryview(v)[-1] == 5


def test_special_streams_are_accepted():
    v = dv.zeros(4, device=CUDA)
    for handle in (None, 1, 2, np.int64(1)):
        assert dv.from_cuda_array(offered(v, stream=handle)).tolist() == [0] * 4


@pytest.mark.parametrize("device", CUDA_DEVICES[1:])
def test_a_stream_of_another_device_is_refused(device):
    v = dv.zeros(4, device=CUDA)
    with pytest.raises(dv.DeviceError, match=device):
        dv.from_cuda_array(offered(v), stream=dv.Stream(device))


# --- __cuda_stream__ ---


def test_a_view_offers_its_stream():
    s = dv.Stream(CUDA)
    v = dv.zeros(4, device=CUDA, stream=s)
    assert v.__cuda_stream__() == (0, s.handle)
    assert dv.zeros(4, device=CUDA).__cuda_stream__() == (0, 1)
    assert dv.zeros(4, device="pinned").__cuda_stream__() == (0, 1)
    assert dv.empty(4, device=CUDA, stream=v).__cuda_stream__()[0] == 0
    method = v.__cuda_stream__
    v.release()
    with pytest.raises(ValueError, match="released"):
        method()


class Streaming:
    def __init__(self, told):
        self.told = told

    def __cuda_stream__(self):
        if isinstance(self.told, BaseException):
            raise self.told
        return self.told


@pytest.mark.parametrize("told", [(0, 0), (0, 1), (0, 2), (np.int8(0), np.uint64(1))], ids=repr)
def test_special_handles_are_taken(told):
    v = dv.zeros(4, device=CUDA, stream=Streaming(told))
    assert v.tolist() == [0] * 4


def test_an_attribute_that_is_a_tuple_is_taken():
    class Old:
        __cuda_stream__ = (0, 1)

    assert dv.zeros(4, device=CUDA, stream=Old()).stream.handle == 1


@pytest.mark.parametrize(
    ("told", "error"),
    [
        ((1, 1), ValueError),
        ((-1, 1), ValueError),
        ((2**70, 1), ValueError),
        ((0, -1), ValueError),
        ((0, 2**64), ValueError),
        ((0,), TypeError),
        ((0, 1, 2), TypeError),
        ((0, "1"), TypeError),
        ((0, None), TypeError),
        ((0, True), TypeError),
        ((False, 1), TypeError),
        ([0, 1], TypeError),
        (1, TypeError),
        (None, TypeError),
        (ZeroDivisionError("mine"), ZeroDivisionError),
    ],
    ids=repr,
)
def test_malformed_streams_are_refused(told, error):
    with pytest.raises(error):
        dv.empty(4, device=CUDA, stream=Streaming(told))
