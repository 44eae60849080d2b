"""Arrow C device data: what is pending goes out as sync_event, and is waited for coming in."""

from __future__ import annotations

import ctypes
import time

import pytest

import devview as dv
from arrow_structs import (
    Answer,
    Chunks,
    DeviceChunks,
    Host,
    OnDevice,
    Producer,
    device_array_in,
    moved,
    release,
    schema_in,
)
from support import CUDA_DEVICES, EMULATED, WAITS, counted_calls, delay, device_bytes, settle

CUDA = CUDA_DEVICES[0]
TYPES = {"cuda": 2, "pinned": 3, "managed": 13}


def exported(view):
    return device_array_in(view.__arrow_c_device_array__()[1])


def on_device(block, *, lists=(), change=None, **place):
    """Offer int32 items at the address of a device view."""
    producer = Producer(
        values=range(block.nbytes // 4), lists=lists, address=block.ptr, change=change
    )
    return producer, OnDevice(producer, **{"device_type": 2, "device_id": block.device.id, **place})


@pytest.mark.parametrize("device", [*CUDA_DEVICES, "pinned", "managed"])
def test_a_view_tells_its_device(device):
    v = dv.zeros((4, 3), "i", device=device)
    settle()
    capsules = v.__arrow_c_device_array__()
    array = device_array_in(capsules[1])
    assert array.device_type == TYPES[str(device).partition(":")[0]]
    assert array.device_id == (int(device[5:]) if device.startswith("cuda") else 0)
    assert list(array.reserved) == [0, 0, 0]
    assert schema_in(capsules[0]).format == b"+w:3"
    assert array.array.children[0][0].buffers[1] == v.ptr


@EMULATED
def test_nothing_is_waited_for_where_nothing_is_pending():
    v = dv.zeros(10, "i", device=CUDA)
    settle()
    pair = v.__arrow_c_device_array__()
    assert device_array_in(pair[1]).sync_event is None


@EMULATED
def test_what_is_pending_is_an_event():
    with delay(20_000):
        v = dv.zeros(10, "i", device=CUDA)
        with counted_calls() as calls:
            pair = v.__arrow_c_device_array__()
        array = device_array_in(pair[1])
        assert array.sync_event
        assert ctypes.c_void_p.from_address(array.sync_event).value  # a cudaEvent_t
        assert calls["cudaEventRecord"] >= 1
        assert not any(calls[name] for name in WAITS)


@EMULATED
def test_the_event_comes_after_every_stream_that_used_the_memory():
    one, two = dv.Stream(CUDA), dv.Stream(CUDA)
    v = dv.empty(1000, "i", device=CUDA, stream=one)
    v.fill(1, stream=one)
    settle()
    with delay(30_000):
        v.fill(2, stream=two)
        pair = v.__arrow_c_device_array__()
        assert not two.query()
        array = device_array_in(pair[1])
        assert array.sync_event
        w = dv.from_arrow(Answer(pair, "__arrow_c_device_array__"), stream=dv.Stream(CUDA))
        assert w.stream != two
        assert w[:3].tolist() == [2, 2, 2]


@EMULATED
def test_the_event_lives_as_long_as_the_array():
    with delay(5_000):
        v = dv.zeros(10, "i", device=CUDA)
        array = moved(exported(v))
        handle = ctypes.c_void_p.from_address(array.sync_event).value
        # Events come from a pool: this one is not handed out again while the array lives.
        others = [moved(exported(v)) for _ in range(20)]
        handles = [ctypes.c_void_p.from_address(o.sync_event).value for o in others]
        assert handle not in handles
        for other in (array, *others):
            release(other)
    assert v.allocation.exports == 0


@EMULATED
def test_failed_recording_leaves_nothing_behind():
    with delay(20_000):
        v = dv.zeros(10, "i", device=CUDA)
        dv.emulation.fail("cudaEventRecord", 1, 700)
        with pytest.raises(dv.DeviceError, match="event record"):
            v.__arrow_c_device_array__()
    dv.emulation.clear_faults()
    dv.emulation.clear_sticky()
    assert v.allocation.exports == 0


def test_device_memory_is_no_plain_array():
    v = dv.zeros(10, device=CUDA)
    with pytest.raises(BufferError, match=f"on {CUDA}.*__arrow_c_device_array__"):
        v.__arrow_c_array__()
    assert v.allocation.exports == 0


@EMULATED
@pytest.mark.parametrize("device", ["pinned", "managed"])
def test_a_plain_array_of_memory_that_a_device_works_on_is_ready(device):
    v = dv.empty(1000, "i", device=device)
    source = dv.zeros(1000, "i", device=CUDA)
    with delay(20_000):
        source.fill(7)
        dv.copyto(v, source)
        pair = v.__arrow_c_array__()
        assert ctypes.c_int32.from_address(v.ptr).value == 7
    del pair


def test_memory_is_given_back_by_the_array():
    before = device_bytes()
    v = dv.zeros(1000, "i", device=CUDA)
    array = moved(exported(v))
    v.release()
    assert device_bytes() == before + 4000
    release(array)
    assert device_bytes() == before


# --- Import ---


def test_a_device_view_goes_out_and_comes_back():
    v = dv.zeros((4, 3), "i", device=CUDA)
    v.fill(5)
    back = dv.from_arrow(v)
    assert (back.device, back.ptr, back.shape, back.readonly) == (CUDA, v.ptr, (4, 3), True)
    assert back.tolist() == [[5] * 3] * 4
    v.fill(6)
    del v
    assert back.tolist() == [[6] * 3] * 4
    assert dv.view(back, device="cpu").tolist() == [[6] * 3] * 4


@EMULATED
def test_our_stream_waits_for_the_event_and_the_host_does_not():
    mine = dv.Stream(CUDA)
    v = dv.zeros(1000, "i", device=CUDA)
    settle()
    with delay(30_000):
        v.fill(3)
        pair = v.__arrow_c_device_array__()
        assert device_array_in(pair[1]).sync_event
        with counted_calls() as calls:
            w = dv.from_arrow(Answer(pair, "__arrow_c_device_array__"), stream=mine)
        assert calls["cudaStreamWaitEvent"] == 1
        assert not any(calls[name] for name in WAITS)
        assert w.stream == mine
        assert w.tolist() == [3] * 1000


@EMULATED
def test_without_an_event_nothing_is_waited_for():
    block = dv.zeros(10, "i", device=CUDA)
    settle()
    _, offer = on_device(block)
    with counted_calls() as calls:
        v = dv.from_arrow(offer)
    assert calls["cudaStreamWaitEvent"] == 0
    assert v.tolist() == [0] * 10


@EMULATED
@pytest.mark.parametrize("device", ["pinned", "managed"])
def test_the_host_waits_for_memory_that_it_reads_in_place(device):
    v = dv.empty(1000, "i", device=device)
    source = dv.zeros(1000, "i", device=CUDA)
    with delay(20_000):
        source.fill(7)
        dv.copyto(v, source)
        pair = v.__arrow_c_device_array__()
        assert device_array_in(pair[1]).sync_event
        with counted_calls() as calls:
            w = dv.from_arrow(Answer(pair, "__arrow_c_device_array__"))
        assert calls["cudaEventSynchronize"] == 1
        assert ctypes.c_int32.from_address(w.ptr).value == 7
    assert w.device == device


@EMULATED
def test_the_array_is_released_after_our_work_on_it():
    block = dv.zeros(1000, "i", device=CUDA)
    settle()
    producer, offer = on_device(block)
    mine = dv.Stream(CUDA)
    v = dv.from_arrow(offer)
    with delay(20_000):
        copy = v.to(CUDA, stream=mine, copy=True)
        begin = time.monotonic()
        v.release()
        assert producer.released["array"] == 1
        assert mine.query()  # Arrow's release has no stream: nothing may run any more
        assert time.monotonic() - begin > 0.01
    del copy


def test_an_imported_array_is_released_once():
    block = dv.zeros(12, "i", device=CUDA)
    producer, offer = on_device(block, lists=(3,))
    v = dv.from_arrow(offer)
    part = v[1:]
    v.release()
    assert producer.released == {"schema": 1}
    part.release()
    assert producer.released == {"schema": 1, "array": 1}


@pytest.mark.parametrize("device", [CUDA_DEVICES[-1], "pinned", "managed"])
def test_each_kind_of_memory_is_taken_for_what_it_is(device):
    block = dv.zeros(10, "i", device=device)
    _, offer = on_device(block, device_type=TYPES[device.partition(":")[0]])
    v = dv.from_arrow(offer)
    assert (v.device, v.ptr) == (device, block.ptr)
    assert v.tolist() == [0] * 10


WRONG = [
    # what the producer says, where the memory is, what is told
    ({"device_type": 2, "device_id": 0}, "cpu", "does not know.*, said to be on cuda:0"),
    ({"device_type": 3}, "cpu", "does not know.*, said to be on pinned"),
    ({"device_type": 13}, "cpu", "does not know.*, said to be on managed"),
    ({"device_type": 2, "device_id": 0}, "pinned", "pinned host memory, said to be on cuda:0"),
    ({"device_type": 3}, "cuda:0", "device memory, said to be on pinned"),
    ({"device_type": 3}, "managed", "managed memory, said to be on pinned"),
    ({"device_type": 13}, "cuda:0", "device memory, said to be on managed"),
]
if len(CUDA_DEVICES) > 1:
    WRONG.append(({"device_type": 2, "device_id": 1}, "cuda:0", "of cuda:0, said to be on cuda:1"))


@pytest.mark.parametrize(("place", "device", "match"), WRONG)
def test_memory_that_is_elsewhere_is_refused(place, device, match):
    block = dv.zeros(10, "i", device=device)
    producer, offer = on_device(block, **{"device_id": 0, **place})
    with pytest.raises(dv.ImportRefused, match=match):
        dv.from_arrow(offer)
    assert producer.released == {"schema": 1, "array": 1}


def test_empty_arrays_have_no_address_to_ask_about():
    producer = Producer(values=(), change=lambda p: p.array.buffers.__setitem__(1, None))
    v = dv.from_arrow(OnDevice(producer, device_type=2, device_id=0))
    assert (v.device, v.shape) == ("cuda:0", (0,))


def test_nulls_on_a_device_cannot_be_counted():
    block = dv.zeros(4, "i", device=CUDA)

    def uncounted(producer):
        producer.bitmap(0b1111)

    producer, offer = on_device(block, change=uncounted)
    with pytest.raises(dv.ImportRefused, match=r"null_count is not told.*cuda:0"):
        dv.from_arrow(offer)
    assert producer.released == {"schema": 1, "array": 1}
    _, offer = on_device(block, change=lambda p: p.bitmap(0, null_count=0))
    assert dv.from_arrow(offer).shape == (4,)
    pinned = dv.zeros(4, "i", device="pinned")
    _, offer = on_device(pinned, change=uncounted, device_type=3)
    assert dv.from_arrow(offer).shape == (4,)


@EMULATED
@pytest.mark.parametrize("call", ["cudaPointerGetAttributes", "cudaStreamWaitEvent"])
def test_a_failed_call_refuses_and_releases_once(call):
    v = dv.zeros(10, "i", device=CUDA)
    settle()
    with delay(10_000):
        v.fill(1)
        pair = v.__arrow_c_device_array__()
        assert v.allocation.exports == 1
        dv.emulation.fail(call, 1, 2)
        with pytest.raises(dv.ImportRefused, match="cudaErrorMemoryAllocation"):
            dv.from_arrow(Answer(pair, "__arrow_c_device_array__"), stream=dv.Stream(CUDA))
        dv.emulation.clear_faults()
    assert v.allocation.exports == 0  # it was taken over, and given back
    del pair
    assert v.allocation.exports == 0


def test_a_stream_of_another_device_is_refused():
    if len(CUDA_DEVICES) < 2:
        pytest.skip("missing: a second CUDA device")
    v = dv.zeros(10, "i", device=CUDA)
    with pytest.raises(dv.ImportRefused, match="stream of cuda:1"):
        dv.from_arrow(v, stream=dv.Stream("cuda:1"))
    assert v.allocation.exports == 0


def test_a_stream_that_uses_up_the_array_meanwhile():
    producer = Producer()
    pair = OnDevice(producer, device_type=10, device_id=0).__arrow_c_device_array__()

    class Thief:
        def __cuda_stream__(self):
            release(moved(device_array_in(pair[1])))
            return (0, 1)

    with pytest.raises(dv.ImportRefused, match="array was released, or taken over"):
        dv.from_arrow(Answer(pair, "__arrow_c_device_array__"), stream=Thief())
    assert producer.released["array"] == 1


def test_a_stream_of_one_device_chunk_is_viewed():
    block = dv.zeros(8, "i", device=CUDA)
    producer, _ = on_device(block)
    chunks = DeviceChunks(Producer(), [producer], 2)
    v = dv.from_arrow(chunks)
    assert (v.device, v.ptr, v.shape) == (CUDA, block.ptr, (8,))
    assert (chunks.released, chunks.asked) == (1, 2)
    v.release()
    assert producer.released == {"array": 1}


def test_several_device_chunks_are_refused():
    block = dv.zeros(8, "i", device=CUDA)
    parts = [on_device(block)[0] for _ in range(3)]
    chunks = DeviceChunks(Producer(), parts, 2)
    with pytest.raises(dv.ImportRefused, match="3 chunks"):
        dv.from_arrow(chunks)
    assert chunks.released == 1
    assert all(part.released == {"array": 1} for part in parts)


def test_streams_are_of_no_matter_to_host_memory():
    v = dv.from_arrow(Host(Producer()), stream=dv.Stream(CUDA))
    assert v.stream is None
    v = dv.from_arrow(Chunks(Producer(), [Producer()]), stream=1)
    assert v.device == "cpu"
