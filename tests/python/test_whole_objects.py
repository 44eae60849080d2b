"""Objects of devview's small types come whole or not at all, however they are asked for."""

import copy
import copyreg
import pickle

import pytest

import devview as dv
from support import CUDA_DEVICES

CUDA = CUDA_DEVICES[0]

HANDLES = {
    "Stream": lambda: dv.Stream(CUDA),
    "Event": lambda: dv.Event(),
    "Staging": lambda: dv.zeros(4, device=CUDA).stage(),
    "_TransferGuard": lambda: dv.transfer_guard("allow"),
    "_Emulation": lambda: dv.emulation,
}


@pytest.mark.parametrize("name", ["Stream", "Event"])
def test_new_alone_makes_a_whole_object(name):
    cls = getattr(dv, name)
    made = cls.__new__(cls)
    made.synchronize()
    assert made.query()
    assert made.device.type == "cuda"


def test_new_alone_makes_a_whole_device():
    assert dv.Device.__new__(dv.Device) == "cpu"
    assert dv.Device.__new__(dv.Device, "cuda:1") == "cuda:1"
    with pytest.raises(dv.DeviceError):
        dv.Device.__new__(dv.Device, "nowhere")


def test_an_init_called_again_changes_nothing():
    stream = dv.Stream(CUDA)
    handle = stream.handle
    stream.__init__("cpu", 5)
    assert stream.handle == handle


@pytest.mark.parametrize("name", ["Staging", "_TransferGuard", "_Emulation"])
def test_types_that_others_make_objects_of(name):
    cls = type(HANDLES[name]())
    for make in (cls, lambda: cls.__new__(cls)):
        with pytest.raises(TypeError, match="cannot create"):
            make()


@pytest.mark.parametrize("name", [*HANDLES, "Device"])
def test_no_way_around_the_constructor(name):
    cls = type(HANDLES[name]()) if name in HANDLES else dv.Device
    with pytest.raises(TypeError, match="not safe"):
        object.__new__(cls)
    with pytest.raises(TypeError):
        copyreg._reconstructor(cls, object, None)
    with pytest.raises(TypeError, match="not an acceptable base type"):
        type("Derived", (cls,), {})


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("name", HANDLES)
def test_handles_are_not_pickled(name, protocol):
    with pytest.raises(TypeError, match=f"cannot pickle '{name}'"):
        pickle.dumps(HANDLES[name](), protocol)


@pytest.mark.parametrize("name", HANDLES)
def test_handles_are_not_copied(name):
    with pytest.raises(TypeError, match=f"cannot pickle '{name}'"):
        copy.copy(HANDLES[name]())


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_devices_are_pickled_by_name(protocol):
    device = dv.Device("cuda:1")
    assert pickle.loads(pickle.dumps(device, protocol)) == device


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: dv.Stream("cpu"),
        lambda: dv.Stream(CUDA, CUDA),
        lambda: dv.Stream(stream=1),
        lambda: dv.Event("x"),
        lambda: dv.Event(1, 2),
        lambda: dv.Device("a", "b"),
        lambda: dv.Device(name="cpu"),
    ],
)
def test_constructors_refuse_wrong_arguments(wrong):
    with pytest.raises((TypeError, dv.DeviceError)):
        wrong()
