"""Producers of DLPack capsules: what they are asked with, and what they may answer."""

from __future__ import annotations

import pytest

import devview as dv
from dlpack_capsules import CPU, CUDA, Crafted, Device, Producer
from support import CUDA_DEVICES, EMULATED, REAL, TWO_DEVICES, run_clean

DEVICE = CUDA_DEVICES[0]


# --- Streams that are named ---


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


# --- Arguments that are not taken ---


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


def test_none_means_not_offered():
    class Without:
        __dlpack__ = None

    with pytest.raises(dv.ImportRefused, match="__dlpack__: not offered"):
        dv.from_dlpack(Without())
    with pytest.raises(dv.ImportRefused, match="not offered"):
        dv.from_dlpack(5)


# --- Errors ---


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
