"""dv.from_dlpack and dv.view of producers: what is kept, what is refused, who is called."""

from __future__ import annotations

import _datetime
import contextlib
import gc
import sys
import threading

import numpy as np
import pytest

import devview as dv
from clients.contract import require
from dlpack_capsules import (
    BFLOAT,
    COMPLEX,
    CPU,
    CUDA,
    FLOAT,
    INT,
    MANAGED,
    METAL,
    PINNED,
    READ_ONLY,
    ROCM,
    SUBBYTE_PADDED,
    UINT,
    Crafted,
    DataType,
    Device,
    Producer,
    name_of,
    rename,
)
from support import (
    CUDA_DEVICES,
    EMULATED,
    REAL,
    TWO_DEVICES,
    WAITS,
    counted_calls,
    delay,
    no_gc,
    run_clean,
)

DEVICE = CUDA_DEVICES[0]
HUGE = 1 << 62
LOWEST = -(1 << 63)

both = pytest.mark.parametrize("legacy", [False, True], ids=["versioned", "legacy"])


def refused(crafted, match, error=dv.ImportRefused):
    """Expect a refusal that leaves the tensor with its capsule, to delete it once."""
    capsule = crafted.capsule()
    with pytest.raises(error, match=match):
        dv.from_dlpack(capsule)
    assert name_of(capsule) == crafted.name.decode()
    assert crafted.deleted == 0
    del capsule
    assert crafted.deleted == 1


# --- What is kept ---


@both
def test_a_capsule_is_taken_without_a_copy(legacy):
    crafted = Crafted(legacy)
    capsule = crafted.capsule()
    with no_gc():
        view = dv.from_dlpack(capsule)
        assert name_of(capsule) == "used_" + crafted.name.decode()
        del capsule
        assert (view.ptr, view.shape, view.strides) == (crafted.tensor.data, (4, 6), (24, 4))
        assert view.format == "f"
        assert view.device == "cpu"
        assert not view.readonly
        assert view.obj is None
        assert view.allocation.nbytes == 96
        view[1, 2] = 77
        assert crafted.array[8] == 77
        part = view[1:]
        view.release()
        assert crafted.deleted == 0
        part.release()
        assert crafted.deleted == 1


@both
def test_view_asks_dlpack_too(legacy):
    crafted = Crafted(legacy)
    with no_gc():
        view = dv.view(Producer(crafted.capsule()))
        assert view.ptr == crafted.tensor.data
        del view
        assert crafted.deleted == 1
        view = dv.view(crafted.capsule())
        assert view.shape == (4, 6)
        del view
        assert crafted.deleted == 2


def test_readonly_is_kept():
    crafted = Crafted()
    crafted.managed.flags = READ_ONLY
    view = dv.from_dlpack(crafted.capsule())
    assert view.readonly
    with pytest.raises(TypeError, match="read-only"):
        view[0, 0] = 1
    producer = Producer(crafted.capsule())
    with pytest.raises(BufferError):
        dv.view(producer, readonly=False)
    assert np.from_dlpack(view).flags.writeable is False


@both
def test_layouts_are_kept_and_normalised(legacy):
    crafted = Crafted(legacy)
    crafted.set_axes((2, 1, 3), (12, LOWEST, -2))
    crafted.tensor.byte_offset = 5 * 4
    view = dv.from_dlpack(crafted.capsule())
    assert view.strides == (48, 12, -8)
    assert view.tolist() == [[[5, 3, 1]], [[17, 15, 13]]]
    crafted.set_axes((2, 3), None)
    assert dv.from_dlpack(crafted.capsule()).strides == (12, 4)


@both
def test_the_metadata_is_copied(legacy):
    crafted = Crafted(legacy)
    view = dv.from_dlpack(crafted.capsule())
    crafted._shape[0] = 1000
    crafted._strides[1] = 1 << 40
    crafted.tensor.ndim = 60
    assert (view.shape, view.strides) == ((4, 6), (24, 4))
    assert view[3, 5] == 23


@both
def test_null_deleters_misaligned_data_and_scalars_are_legal(legacy):
    crafted = Crafted(legacy, null_deleter=True)
    dv.from_dlpack(crafted.capsule()).release()
    assert crafted.deleted == 0
    odd = Crafted(legacy)
    odd.set_axes((3,), (1,))
    odd.tensor.data += 1
    assert dv.from_dlpack(odd.capsule()).tolist() == (
        np.frombuffer(odd.array.tobytes()[1:13], "<f4").tolist()
    )
    scalar = Crafted(legacy)
    scalar.set_axes(())
    scalar.tensor.shape = None
    assert dv.from_dlpack(scalar.capsule())[()] == 0.0


@pytest.mark.parametrize("data", [None, 7])
def test_empty_tensors_may_have_any_data(data):
    crafted = Crafted()
    crafted.set_axes((3, 0), (1, 1))
    crafted.tensor.data = data
    assert dv.from_dlpack(crafted.capsule()).tolist() == [[], [], []]


@pytest.mark.parametrize(
    ("code", "bits", "format"),
    [
        (INT, 8, "b"),
        (UINT, 16, "H"),
        (INT, 64, "q"),
        (FLOAT, 16, "e"),
        (COMPLEX, 64, "Zf"),
        (6, 8, "?"),
        (BFLOAT, 16, "T{H:bfloat16:}"),
        (10, 8, "T{B:float8_e4m3fn:}"),
    ],
)
def test_types_have_their_formats(code, bits, format):
    crafted = Crafted()
    crafted.tensor.dtype = DataType(code, bits, 1)
    crafted.set_axes((5,))
    assert dv.Format(dv.from_dlpack(crafted.capsule())) == dv.Format(format)


def test_padded_items_under_eight_bits():
    crafted = Crafted()
    crafted.tensor.dtype = DataType(INT, 4, 1)
    crafted.managed.flags = SUBBYTE_PADDED
    crafted.set_axes((4,))
    assert dv.from_dlpack(crafted.capsule()).format == "T{B:int4:}"


@both
@pytest.mark.parametrize(
    ("code", "bits", "lanes", "shape", "format", "wanted"),
    [
        (INT, 4, 1, (3, 5), "T{4t:int4:}", (3, 5)),
        (1, 4, 1, (), "T{4t:uint4:}", ()),
        (17, 4, 2, (3, 5), "T{4t:float4_e2m1fn:}", (3, 10)),
        (17, 4, 4, (), "T{4t:float4_e2m1fn:}", (4,)),
        (15, 6, 1, (7,), "T{6t:float6_e2m3fn:}", (7,)),
        (16, 6, 4, (2, 1), "T{6t:float6_e3m2fn:}", (2, 4)),
        (INT, 4, 2, (0, 9), "T{4t:int4:}", (0, 18)),
    ],
)
def test_items_under_eight_bits_are_packed_without_the_flag(
    legacy, code, bits, lanes, shape, format, wanted
):
    crafted = Crafted(legacy)
    crafted.tensor.dtype = DataType(code, bits, lanes)
    crafted.set_axes(shape)
    v = dv.from_dlpack(crafted.capsule())
    assert (v.format, v.shape, v.ptr) == (format, wanted, crafted.array.ctypes.data)
    assert v.allocation.nbytes == v.nbytes
    bytes_of = v.cast("B", (v.nbytes,))
    assert bytes_of.tobytes() == crafted.array.tobytes()[: v.nbytes]
    v.release()
    bytes_of.release()
    assert crafted.deleted == 1


@both
@pytest.mark.parametrize("shape", [(3, 4), (4, 4)])
def test_packed_items_must_be_dense(legacy, shape):
    crafted = Crafted(legacy)
    crafted.tensor.dtype = DataType(INT, 4, 1)
    crafted.set_axes(shape, (1, 3))
    refused(crafted, "without gaps")
    crafted.set_axes((1, 4), (99, 1))
    crafted.deleted = 0
    assert dv.from_dlpack(crafted.capsule()).strides == (4, 1)


@pytest.mark.parametrize("device", [4, 7, METAL, 9, ROCM, 11, 12, 14, 15, 16, 17, 18])
def test_other_devices_are_kept_and_out_of_reach(device):
    crafted = Crafted()
    crafted.tensor.device = Device(device, 3)
    view = dv.from_dlpack(crafted.capsule())
    assert view.device.dlpack == (device, 3)
    assert view.shape == (4, 6)
    assert view[1:].ptr == crafted.tensor.data + 24
    if device == 11:
        return  # rocm_host: pinned memory, which the host reads
    for use in (lambda: memoryview(view), view.tolist, lambda: view.to("cpu"), lambda: view[0, 0]):
        with pytest.raises((BufferError, ValueError)):
            use()
    again = dv.from_dlpack(view.__dlpack__(max_version=(1, 3)))
    assert again.device.dlpack == (device, 3)
    with pytest.raises(BufferError, match="dl_device"):
        view.__dlpack__(dl_device=(1, 0))


# --- What is refused ---

WRONG_AXES = [
    ((-4,), (1,), "extent -4"),
    ((0, -1), (1, 1), "extent -1"),
    ((1 << 32, 1 << 32, 16), None, "axis 1: extent"),
    ((HUGE, 8), None, "axis 0: extent"),
    ((0, (1 << 63) - 1), None, "axis 1: extent"),
    ((2,), (HUGE,), "stride"),
    ((2,), (LOWEST,), "stride"),
    ((3,), (1 << 60,), "stride"),
    ((1,) * 65, None, "ndim 65, limit 64"),
]


@both
@pytest.mark.parametrize(("shape", "strides", "match"), WRONG_AXES)
def test_axes_that_make_no_sense(legacy, shape, strides, match):
    crafted = Crafted(legacy)
    crafted.set_axes(shape, strides)
    refused(crafted, match)


WRONG_MEMBERS = {
    "ndim -1": lambda t: setattr(t, "ndim", -1),
    "ndim 2147483647": lambda t: setattr(t, "ndim", 2**31 - 1),
    "shape null": lambda t: setattr(t, "shape", None),
    "data null": lambda t: setattr(t, "data", None),
    "byte_offset 9223372036854775808": lambda t: setattr(t, "byte_offset", 1 << 63),
    "leave the address space": lambda t: setattr(t, "data", (1 << 64) - 8),
    "unknown DLPack type: code 99": lambda t: setattr(t, "dtype", DataType(99, 32, 1)),
    "bits 7": lambda t: setattr(t, "dtype", DataType(INT, 7, 1)),
    "bits 0": lambda t: setattr(t, "dtype", DataType(FLOAT, 0, 1)),
    "bits 128": lambda t: setattr(t, "dtype", DataType(FLOAT, 128, 1)),
    "lanes: 0": lambda t: setattr(t, "dtype", DataType(FLOAT, 32, 0)),
    "lanes: 4": lambda t: setattr(t, "dtype", DataType(FLOAT, 32, 4)),
    "code 3": lambda t: setattr(t, "dtype", DataType(3, 64, 1)),
    "3 lanes of 4 bits": lambda t: setattr(t, "dtype", DataType(INT, 4, 3)),
    "0 lanes of 4 bits": lambda t: setattr(t, "dtype", DataType(INT, 4, 0)),
    "device type 0": lambda t: setattr(t, "device", Device(0, 0)),
    "device type 19": lambda t: setattr(t, "device", Device(19, 0)),
    "device id -1": lambda t: setattr(t, "device", Device(CPU, -1)),
}


@both
@pytest.mark.parametrize("match", WRONG_MEMBERS)
def test_members_that_make_no_sense(legacy, match):
    crafted = Crafted(legacy)
    WRONG_MEMBERS[match](crafted.tensor)
    refused(crafted, match)


@pytest.mark.parametrize("major", [0, 2, 99])
def test_other_major_versions_are_refused_unread(major):
    crafted = Crafted()
    crafted.managed.major = major
    crafted.tensor.shape = None
    refused(crafted, f"version {major}.3")


def test_later_minor_versions_and_unknown_flags_are_fine():
    crafted = Crafted()
    crafted.managed.minor = 99
    crafted.managed.flags = 1 << 40
    assert dv.from_dlpack(crafted.capsule()).shape == (4, 6)


@EMULATED
@pytest.mark.parametrize("device", [CUDA, PINNED, MANAGED])
def test_host_memory_that_claims_to_be_cudas(device):
    crafted = Crafted()
    crafted.tensor.device = Device(device, 0)
    refused(crafted, "memory that CUDA does not know")


@EMULATED
@TWO_DEVICES
def test_device_memory_that_claims_to_be_elsewhere():
    block = dv.zeros(24, "f", device="cuda:1")
    for tag, match in (
        (Device(CUDA, 0), "memory of cuda:1, said to be on cuda:0"),
        (Device(PINNED, 0), "device memory, said to be on pinned"),
        (Device(CUDA, 77), "no such device"),
        (Device(CUDA, 2**31 - 1), "no such device"),
    ):
        crafted = Crafted()
        crafted.tensor.data = block.ptr
        crafted.tensor.device = tag
        refused(crafted, match)
    crafted = Crafted()
    crafted.tensor.data = block.ptr
    crafted.tensor.device = Device(CUDA, 1)
    crafted.set_axes((1 << 30,))
    refused(crafted, "said to be on cuda:1")  # its last byte


@EMULATED
def test_a_failing_pointer_query_refuses_and_leaves_no_error_behind():
    block = dv.zeros(24, "f", device=DEVICE)
    for code, match in ((1, "CUDA does not know"), (700, "cudaErrorIllegalAddress")):
        crafted = Crafted()
        crafted.tensor.data, crafted.tensor.device = block.ptr, Device(CUDA, 0)
        dv.emulation.fail("cudaPointerGetAttributes", 1, code)
        refused(crafted, match)
    assert dv.from_dlpack(crafted.capsule()).device == DEVICE


def test_without_a_driver_device_memory_is_refused():
    run_clean(
        """
        sys.path.insert(0, os.environ["TESTS"])
        from dlpack_capsules import Crafted, Device
        for kind in (2, 3, 13):
            crafted = Crafted()
            crafted.tensor.device = Device(kind, 0)
            capsule = crafted.capsule()
            try:
                dv.from_dlpack(capsule)
            except dv.ImportRefused as error:
                assert "CUDA" in str(error), error
            else:
                raise AssertionError(kind)
            del capsule
            assert crafted.deleted == 1
        """,
        emulate=False,
        env={"TESTS": __file__.rpartition("/")[0], "CUDA_VISIBLE_DEVICES": ""},
    )


# --- Capsules and producers that break the rules ---


@both
def test_a_capsule_is_consumed_once(legacy):
    crafted = Crafted(legacy)
    capsule = crafted.capsule()
    view = dv.from_dlpack(capsule)
    with pytest.raises(BufferError, match="consumed before"):
        dv.from_dlpack(capsule)
    with pytest.raises(BufferError, match="consumed before"):
        dv.from_dlpack(Producer(capsule))
    del capsule
    assert crafted.deleted == 0
    view.release()
    assert crafted.deleted == 1


@pytest.mark.parametrize("name", [b"other", b"", b"dltensor_versioned2", b"\xff\x01" * 300])
def test_wrong_names_are_refused(name):
    crafted = Crafted()
    capsule = crafted.capsule(name)
    with pytest.raises(BufferError, match="capsule named"):
        dv.from_dlpack(capsule)
    assert crafted.deleted == 0


def test_another_capsule_is_refused():
    with pytest.raises(BufferError, match="capsule named 'datetime"):
        dv.from_dlpack(_datetime.datetime_CAPI)


@pytest.mark.parametrize("result", [None, 5, "dltensor", object(), np.zeros(3)], ids=repr)
def test_what_is_no_capsule_is_refused(result):
    with pytest.raises(BufferError, match="expected a capsule"):
        dv.from_dlpack(Producer(result))


@pytest.mark.parametrize("device", [None, 5, (1,), (1, 0, 0), ("cpu", 0), (1.0, 0), (99, 0)])
def test_a_malformed_device_is_refused_and_the_capsule_untouched(device):
    crafted = Crafted()
    producer = Producer(crafted.capsule(), device)
    with pytest.raises(dv.ImportRefused):
        dv.from_dlpack(producer)
    assert producer.calls == []
    del producer
    assert crafted.deleted == 1


@EMULATED
def test_the_capsule_has_to_be_where_the_producer_said():
    crafted = Crafted()
    producer = Producer(crafted.capsule(), (CUDA, 0))
    with pytest.raises(BufferError, match="on cpu, __dlpack_device__ said cuda:0"):
        dv.from_dlpack(producer)
    del producer
    assert crafted.deleted == 1


def test_the_device_of_host_memory_has_no_number():
    # XLA numbers its CPU devices.
    crafted = Crafted()
    crafted.tensor.device = Device(CPU, 3)
    view = dv.from_dlpack(Producer(crafted.capsule(), (CPU, 3)))
    assert view.device == "cpu"


@pytest.mark.parametrize("error", [BufferError, ValueError, TypeError])
def test_a_producers_refusal_is_told(error):
    def refuse(_):
        raise error("not today")

    with pytest.raises(dv.ImportRefused, match="not today"):
        dv.from_dlpack(Producer(refuse))


@pytest.mark.parametrize("error", [KeyError, RuntimeError, KeyboardInterrupt, MemoryError])
def test_any_other_exception_of_a_producer_is_kept(error):
    raised = error("not today")

    def fail(_):
        raise raised

    for take in (dv.from_dlpack, dv.view):
        with pytest.raises(error) as caught:
            take(Producer(fail))
        assert caught.value is raised


def test_a_producer_that_re_enters_loses_its_capsule():
    crafted = Crafted()
    taken = []

    def greedy(self):
        capsule = crafted.capsule()
        taken.append(dv.from_dlpack(capsule))
        return capsule

    with pytest.raises(BufferError, match="consumed before"):
        dv.from_dlpack(Producer(greedy))
    assert taken[0].shape == (4, 6)
    taken.clear()
    assert crafted.deleted == 1


def test_a_capsule_that_is_renamed_is_not_ours():
    crafted = Crafted()
    capsule = crafted.capsule()
    rename(capsule, b"used_dltensor_versioned")
    with pytest.raises(BufferError, match="consumed before"):
        dv.from_dlpack(Producer(capsule))
    rename(capsule, crafted.name)
    assert dv.from_dlpack(capsule).shape == (4, 6)
    assert crafted.deleted == 1


def test_none_means_not_offered():
    class Without:
        __dlpack__ = None

    with pytest.raises(dv.ImportRefused, match="__dlpack__: not offered"):
        dv.from_dlpack(Without())
    with pytest.raises(dv.ImportRefused, match="not offered"):
        dv.from_dlpack(5)


def test_sixteen_threads_and_one_capsule():
    crafted = Crafted()
    capsule = crafted.capsule()
    start = threading.Barrier(16)
    won, lost = [], []

    def race():
        start.wait()
        try:
            won.append(dv.from_dlpack(capsule))
        except BufferError:
            lost.append(1)

    threads = [threading.Thread(target=race) for _ in range(16)]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert (len(won), len(lost)) == (1, 15)
    won.clear()
    assert crafted.deleted == 1


@EMULATED
def test_threads_race_for_a_device_capsule_while_the_driver_is_asked():
    for _ in range(20):
        block = dv.zeros(24, "f", device=DEVICE)
        crafted = Crafted()
        crafted.tensor.data, crafted.tensor.device = block.ptr, Device(CUDA, 0)
        capsule = crafted.capsule()
        start = threading.Barrier(4)
        won = []

        def race(start=start, won=won, capsule=capsule):
            start.wait()
            with contextlib.suppress(BufferError):
                won.append(dv.from_dlpack(capsule))

        threads = [threading.Thread(target=race) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(won) == 1
        won.clear()
        assert crafted.deleted == 1


# --- The call ---


def test_the_host_is_asked_without_a_stream():
    producer = Producer(Crafted().capsule())
    dv.from_dlpack(producer, stream=dv.Stream() if CUDA_DEVICES else None)
    assert producer.calls == [{"max_version": (1, 3)}]


ASKED_AT_ONCE = """
sys.path.insert(0, os.environ["TESTS"])
from dlpack_capsules import CPU, CUDA, Crafted, Device
class Torch:
    # Its default stream is "no order".
    def __init__(self, kind):
        self.kind, self.streams, self.made = kind, [], []
    def __dlpack__(self, *, stream=-1, max_version=None):
        self.streams.append(stream)
        crafted = Crafted()
        if self.kind == CUDA:
            if not self.made:
                dv.emulate(devices=1)
                self.block = dv.zeros(24, "f", device="cuda:0")
            crafted.tensor.data, crafted.tensor.device = self.block.ptr, Device(CUDA, 0)
        self.made.append(crafted)
        return crafted.capsule()
    def __dlpack_device__(self):
        return (self.kind, 0)
    if not TELLS:
        __dlpack_device__ = None
for take in TAKE:
    host = Torch(CPU)
    take(host)
    assert host.streams == [-1], host.streams
device = Torch(CUDA)
view = TAKE[0](device)
assert (view.device, view.ptr) == (dv.Device("cuda:0"), device.block.ptr), view
assert device.streams == [-1, 1 if TELLS else None], device.streams
assert [made.deleted for made in device.made] == [1, 0]
view.release()
assert [made.deleted for made in device.made] == [1, 1]
for take in TAKE:
    host = Torch(CPU)
    take(host)
    assert host.streams == [None], host.streams
"""


@pytest.mark.skipif(REAL, reason="the emulator is chosen in the middle")
@pytest.mark.parametrize("tells", [True, False], ids=["tells its device", "does not"])
@pytest.mark.parametrize("take", ["[dv.view, dv.View]", "[lambda x: dv.view(x, readonly=False)]"])
def test_a_stream_is_named_to_all_producers_once_cuda_is_in_use(take, tells):
    """Before that a host's producer is spared the keyword, and a device's asked a second time."""
    run_clean(
        f"TAKE, TELLS = {take}, {tells}\n{ASKED_AT_ONCE}",
        emulate=False,
        env={"TESTS": __file__.rpartition("/")[0]},
    )


@EMULATED
@TWO_DEVICES
def test_a_device_is_asked_with_the_consumers_stream():
    stream = dv.Stream(DEVICE)
    for given, passed in ((None, 1), (stream, stream.handle), (stream.handle, stream.handle)):
        block = dv.zeros(24, "f", device=DEVICE)
        crafted = Crafted()
        crafted.tensor.data, crafted.tensor.device = block.ptr, Device(CUDA, 0)
        producer = Producer(crafted.capsule(), (CUDA, 0))
        view = dv.from_dlpack(producer, stream=given)
        assert producer.calls == [{"max_version": (1, 3), "stream": passed}]
        assert view.stream.handle == passed
        view.release()
        assert crafted.deleted == 1
    with pytest.raises(dv.ImportRefused, match="stream"):
        dv.from_dlpack(Producer(None, (CUDA, 0)), stream=dv.Stream("cuda:1"))


@EMULATED
@TWO_DEVICES
@pytest.mark.parametrize("take", [dv.view, dv.from_dlpack])
@pytest.mark.parametrize("other", ["orders", "refuses"])
def test_a_device_is_asked_while_it_is_current(take, other):
    """CuPy orders a stream of the current device; PyTorch refuses where it is not the memory's."""
    block = dv.zeros(24, "f", device="cuda:1")
    current = []

    def capsule(_producer):
        current.append(dv._devview._current_device())
        if other == "refuses" and current[-1] != 1:
            raise BufferError("the tensor is on another device than the current one")
        crafted = Crafted()
        crafted.tensor.data, crafted.tensor.device = block.ptr, Device(CUDA, 1)
        made.append(crafted)
        return crafted.capsule()

    made = []
    view = take(Producer(capsule, (CUDA, 1)))
    assert (view.device, view.ptr) == ("cuda:1", block.ptr)
    assert current[-1] == 1
    assert dv._devview._current_device() == 0
    view.release()
    assert [crafted.deleted for crafted in made] == [1] * len(made)


@EMULATED
@pytest.mark.parametrize("take", [dv.view, dv.from_dlpack])
def test_managed_memory_is_ready_on_the_legacy_stream(take):
    """Its producer is passed no stream, which means that one; the host reads in place."""
    source = dv.zeros(24, "f", device=DEVICE)
    block = dv.zeros(24, "f", device="managed")
    with delay(20_000):
        source.fill(7)
        # Work that devview's view of the block knows nothing of, as a producer's.
        theirs = dv.from_pointer(block.ptr, 24, "f", device="managed")
        dv.copyto(theirs, source)
        crafted = Crafted()
        crafted.tensor.data, crafted.tensor.device = block.ptr, Device(MANAGED, 0)
        view = take(Producer(crafted.capsule(), (MANAGED, 0)))
        assert memoryview(view).tolist() == [[7.0] * 6] * 4
        view.release()
        theirs.release()


class Old:
    """A producer of 2021."""

    def __init__(self, crafted, device):
        self.crafted, self.device, self.streams = crafted, device, []

    def __dlpack__(self, stream=None):
        self.streams.append(stream)
        return self.crafted.capsule()

    def __dlpack_device__(self):
        return self.device


@EMULATED
def test_producers_that_know_only_a_stream():
    old = Old(Crafted(legacy=True), (CPU, 0))
    assert dv.view(old).shape == (4, 6)
    assert old.streams == [None]
    block = dv.zeros(24, "f", device=DEVICE)
    crafted = Crafted(legacy=True)
    crafted.tensor.data, crafted.tensor.device = block.ptr, Device(CUDA, 0)
    old = Old(crafted, (CUDA, 0))
    assert dv.view(old).device == DEVICE
    assert old.streams == [1]


def test_a_producer_without_arguments_and_device():
    crafted = Crafted(legacy=True)

    class Bare:
        def __dlpack__(self):
            return crafted.capsule()

    class Wrapper:
        def __init__(self, inner):
            self.inner = inner

        def __dlpack__(self, *args, **keywords):
            return self.inner.__dlpack__(*args, **keywords)

    assert dv.from_dlpack(Bare()).shape == (4, 6)
    assert dv.from_dlpack(Wrapper(Bare())).shape == (4, 6)
    assert crafted.deleted == 2


def test_a_type_error_of_the_body_is_not_retried():
    calls = []

    class Broken:
        def __dlpack__(self, *, stream=None, max_version=None):
            calls.append(max_version)
            return len(5)

    with pytest.raises(dv.ImportRefused, match="has no len"):
        dv.from_dlpack(Broken())
    assert calls == [(1, 3)]


def test_a_type_error_without_words_is_kept():
    class MuteError(TypeError):
        def __str__(self):
            raise KeyError

    def fail(_):
        raise MuteError

    with pytest.raises((MuteError, KeyError)):
        dv.from_dlpack(Producer(fail))


def test_memory_out_of_reach_is_asked_for_on_the_host():
    on_host, on_metal = Crafted(), Crafted()
    on_metal.tensor.device = Device(METAL, 0)

    asked = []

    class Metal:
        def __dlpack__(self, *, stream=None, max_version=None, dl_device=None, copy=None):
            asked.append(dl_device)
            return (on_host if dl_device == (1, 0) else on_metal).capsule()

        def __dlpack_device__(self):
            return (METAL, 0)

    assert dv.from_dlpack(Metal()).device == "metal:0"
    assert dv.from_dlpack(Metal(), device="cpu").tolist() == on_host.array.reshape(4, 6).tolist()
    assert asked == [None, (1, 0)]
    with pytest.raises(dv.Refused, match="copy=False"):
        dv.from_dlpack(Metal(), device="cpu", copy=False)


# --- device, copy ---


def test_device_and_copy():
    array = np.arange(6, dtype="i4")
    view = dv.from_dlpack(array, copy=False)
    assert view.ptr == array.ctypes.data
    copied = dv.from_dlpack(array, copy=True)
    assert copied.ptr != array.ctypes.data
    assert copied.tolist() == array.tolist()
    moved = dv.from_dlpack(array, device=DEVICE)
    assert moved.device == DEVICE
    assert dv.from_dlpack(moved, device="cpu").tolist() == array.tolist()
    for error in (BufferError, ValueError):
        with pytest.raises(error, match="copy=False"):
            dv.from_dlpack(array, device=DEVICE, copy=False)
        with pytest.raises(error, match="copy=False"):
            dv.view(array, device=DEVICE, copy=False)


def test_numpy_producers():
    array = np.arange(24, dtype="f8").reshape(2, 3, 4)[:, ::-1, ::2]
    view = dv.from_dlpack(array)
    assert (view.ptr, view.strides) == (array.ctypes.data, array.strides)
    view[0, 0, 0] = 99
    assert array[0, 0, 0] == 99
    array.flags.writeable = False
    assert dv.from_dlpack(array).readonly
    with pytest.raises(dv.ImportRefused):
        dv.from_dlpack(np.array(["a"]))
    with pytest.raises(dv.ImportRefused):
        dv.from_dlpack(np.zeros(3, ">i4"))


# --- Streams and the end of a view ---


@EMULATED
def test_the_producers_work_comes_first():
    producer = dv.Stream(DEVICE)
    source = dv.zeros(1000, "i", device=DEVICE)
    with delay(20_000):
        source.fill(42, stream=producer)
        consumer = dv.Stream(DEVICE)
        view = dv.from_dlpack(source, stream=consumer)
        with counted_calls() as calls:
            target = view.copy(stream=consumer)
        assert sum(calls[name] for name in WAITS) == 0
        consumer.synchronize()
        assert set(target.tolist()) == {42}


@EMULATED
def test_the_deleter_comes_after_devviews_work_and_does_not_wait_for_others():
    block = dv.zeros(24, "f", device=DEVICE)
    seen = []
    work = dv.Stream(DEVICE)

    def make():
        crafted = Crafted(on_delete=lambda: seen.append(work.query()))
        crafted.tensor.data, crafted.tensor.device = block.ptr, Device(CUDA, 0)
        return crafted, dv.from_dlpack(crafted.capsule())

    crafted, view = make()
    with delay(20_000):
        view.fill(3, stream=work)
        view.release()
        assert (crafted.deleted, seen) == (1, [True])
        crafted, view = make()
        block.fill(4, stream=work)
        with counted_calls() as calls:
            view.release()
        assert (crafted.deleted, len(seen)) == (1, 2)
        assert sum(calls[name] for name in WAITS) == 0


@pytest.mark.parametrize("device", [CPU, CUDA])
def test_the_last_view_may_go_on_another_thread(device):
    if device == CUDA and not CUDA_DEVICES:
        pytest.skip("missing: a CUDA device")
    block = dv.zeros(24, "f", device=DEVICE)
    crafted = Crafted()
    if device == CUDA:
        crafted.tensor.data, crafted.tensor.device = block.ptr, Device(CUDA, 0)
    views = [dv.from_dlpack(crafted.capsule())]
    thread = threading.Thread(target=views.clear)
    thread.start()
    thread.join()
    assert crafted.deleted == 1


def test_a_deleter_may_use_devview():
    crafted = Crafted()
    other = [dv.from_dlpack(Crafted().capsule())]
    crafted.on_delete = other.clear
    view = dv.from_dlpack(crafted.capsule())
    view.release()
    assert other == []


def test_a_pending_exception_survives_a_deleter():
    crafted = Crafted(on_delete=lambda: [].append(1))
    with pytest.raises(KeyError):
        [dv.from_dlpack(crafted.capsule())][{}["missing"]]
    gc.collect()
    assert crafted.deleted == 1


EXITS = {
    "numpy": "held = dv.from_dlpack(np.arange(5))",
    "numpy in a cycle": "held = [dv.from_dlpack(np.arange(5))]; held.append(held)",
    "a chain": "held = np.from_dlpack(dv.from_dlpack(np.arange(5)))",
    "both sides": "a = np.arange(5); held = (dv.from_dlpack(a), a.__dlpack__(), "
    "dv.view(a).__dlpack__())",
    "tvm_ffi": "import tvm_ffi; held = dv.from_dlpack(tvm_ffi.from_dlpack(np.arange(5.0)))",
    "to tvm_ffi": "import tvm_ffi; held = tvm_ffi.from_dlpack(dv.zeros(5, 'f'))",
    "device": "held = dv.from_dlpack(dv.zeros(5, device='cuda').__dlpack__())",
}


@pytest.mark.parametrize("what", EXITS)
@pytest.mark.parametrize("where", ["module", "sys", "thread"])
def test_interpreter_exit_is_silent(what, where):
    keep = {
        "module": "",
        "sys": "\nsys.held = held; del held",
        "thread": "\nlocal = threading.local(); local.held = held; del held",
    }[where]
    if "tvm_ffi" in what:
        require("tvm_ffi", "apache-tvm-ffi")
    run_clean(f"{EXITS[what]}{keep}\n")


AFTER_THE_END = """
sys.path.insert(0, os.environ["TESTS"])
import ctypes
from dlpack_capsules import Crafted, read, rename
crafted = Crafted()
view = dv.from_dlpack(crafted.capsule())
capsule = view.__dlpack__(max_version=(1, 3))
managed = read(capsule)
rename(capsule, b"used_dltensor_versioned")
# glibc calls deleter(tensor) from exit(), when the interpreter has ended.
at_exit = ctypes.CDLL(None)["__cxa_atexit"]
at_exit.argtypes = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p)
assert at_exit(managed.deleter, ctypes.addressof(managed), None) == 0
ctypes.pythonapi.Py_IncRef(ctypes.py_object(crafted))  # the tensor's own memory stays
"""


def test_a_deleter_of_python_is_not_called_after_the_end():
    run_clean(AFTER_THE_END, env={"TESTS": __file__.rpartition("/")[0]})
