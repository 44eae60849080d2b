"""Bad input: a clear error that names argument, value and limit, and nothing lost."""

from __future__ import annotations

import array

import numpy as np
import pytest

import devview as dv
from support import CUDA_DEVICES, DEVICE_MEMORY, DEVICES, EMULATED, MIB, REAL, run_clean

CUDA = CUDA_DEVICES[0]

# --- The classes ---


@pytest.mark.parametrize(
    ("error", "bases"),
    [
        ("FormatError", (ValueError,)),
        ("LayoutError", (ValueError,)),
        ("DeviceError", (RuntimeError,)),
        ("OutOfMemory", (MemoryError,)),
        ("ImportRefused", (BufferError, ValueError)),
        ("Refused", (BufferError, ValueError)),
    ],
)
def test_errors_are_what_python_code_expects(error, bases):
    kind = getattr(dv, error)
    assert issubclass(kind, (dv.Error,))
    for base in bases:
        assert issubclass(kind, base)
    assert kind.__module__ == "devview"
    assert kind.__doc__


# --- Devices ---

WRONG_NAMES = [
    *("", "gpu", "CUDA", "cuda:", "cuda:x", "cuda:-1", "cuda:0x0", "cuda: 0", " cuda", "cuda:0:1"),
    *("cuda:99999999999999999999", "cpu:0", "cpu:1", "pinned:0", "managed:1", "cuda:1.0", "cuda\0"),
    "gpu" * 10_000,
]


@pytest.mark.parametrize("name", WRONG_NAMES, ids=lambda name: repr(name[:20]))
def test_wrong_device_names_are_refused(name):
    for use in (
        lambda: dv.Device(name),
        lambda: dv.zeros(3, device=name),
        lambda: dv.zeros(3).to(name),
        lambda: dv.view(b"abc", device=name),
        lambda: dv.memory_info(name),
        lambda: dv.Allocation(3, device=name),
        lambda: dv.copy(b"abc", device=name),
    ):
        with pytest.raises(ValueError, match="device"):
            use()


def test_wrong_device_name_is_told_with_what_is_known():
    with pytest.raises(ValueError, match="gpu") as error:
        dv.zeros(3, device="gpu")
    assert "cuda" in str(error.value)
    assert isinstance(error.value, dv.DeviceError)


@pytest.mark.parametrize("device", [3, 1.5, b"cpu", ["cpu"], object()], ids=repr)
def test_devices_of_another_type_are_refused(device):
    with pytest.raises(TypeError, match="device"):
        dv.zeros(3, device=device)


@pytest.mark.parametrize("device", ["rocm:0", "opencl:1", "metal:0"])
def test_devices_of_others_have_names_but_no_memory(device):
    assert dv.Device(device).name == device
    with pytest.raises((dv.DeviceError, ValueError), match=device):
        dv.zeros(3, device=device)
    with pytest.raises((dv.DeviceError, ValueError), match=device):
        dv.zeros(3).to(device)


@pytest.mark.parametrize("use", ["empty", "to", "Stream", "memory_info", "Allocation"])
def test_device_that_is_not_there_is_named(use):
    missing = "cuda:63"
    call = {
        "empty": lambda: dv.empty(3, device=missing),
        "to": lambda: dv.zeros(3).to(missing),
        "Stream": lambda: dv.Stream(missing),
        "memory_info": lambda: dv.memory_info(missing),
        "Allocation": lambda: dv.Allocation(3, device=missing),
    }[use]
    with pytest.raises(dv.DeviceError, match="63") as error:
        call()
    assert error.value.code == 101
    assert error.value.name == "cudaErrorInvalidDevice"


# --- No driver ---

NO_DRIVER = """
v = dv.zeros(3)
assert v.tolist() == [0, 0, 0]
print([d.name for d in dv.devices()])
for use in (lambda: dv.zeros(3, device="cuda"), lambda: v.to("cuda"), lambda: dv.Stream(),
            lambda: dv.Event(), lambda: dv.memory_info("cuda"),
            lambda: dv.zeros(3, device="pinned"),
            lambda: dv.zeros(3, device="managed"), lambda: dv.Allocation(3, device="cuda:1"),
            lambda: dv.view(b"abc", device="cuda"),
            lambda: dv.from_pointer(4096, 3, "B", device="cuda").tobytes()):
    try:
        use()
    except (dv.DeviceError, dv.OutOfMemory) as error:
        assert str(error) and (isinstance(error, dv.OutOfMemory) or error.code), repr(error)
        print(type(error).__name__)
    else:
        print("no error")
print(len(dv.live()), dv.trim(), dv.memory_info("cpu").live_bytes)
assert dv.copy(v).tolist() == [0, 0, 0] and memoryview(v).tobytes() == bytes(3)
"""


def test_no_driver_is_a_clear_error_and_the_host_still_works():
    if REAL:
        pytest.skip("missing: a machine without a driver (DEVVIEW_TEST_RUNTIME=real)")
    lines = run_clean(NO_DRIVER, emulate=False).splitlines()
    if lines[0] != "['cpu']":
        pytest.skip("missing: a machine without a CUDA device")
    assert lines[1:11] == ["DeviceError"] * 10
    assert lines[11] == "1 0 3"


def test_import_loads_no_driver_and_starts_no_threads():
    out = run_clean(
        """
        maps = open("/proc/self/maps").read()
        print("libcuda.so" in maps, threading.active_count(), len(os.listdir("/proc/self/task")))
        """,
        emulate=False,
    )
    # NumPy's own threads are not counted against devview: the script's head imports it.
    assert out.startswith("False 1 ")


# --- Shapes, strides, formats ---

WRONG_SHAPES = {
    "negative": ((-1,), "-1"),
    "negative in the middle": ((2, -3, 4), "-3"),
    "too large": ((2**63,), "64 bits"),
    "wraps": ((2**32, 2**32), "extent"),
    "wraps to zero": ((2**62, 4), "extent"),
    "zero beside huge": ((0, 2**62, 2**62), "extent"),
    "65 axes": ((1,) * 65, "64"),
    "a million axes": ((1,) * 1_000_000, "64"),
}


@pytest.mark.parametrize("case", WRONG_SHAPES)
@pytest.mark.parametrize("make", [dv.empty, dv.zeros], ids=lambda f: f.__name__)
@pytest.mark.parametrize("device", ["cpu", CUDA])
def test_wrong_shapes_are_refused_with_the_value(device, make, case):
    shape, words = WRONG_SHAPES[case]
    with pytest.raises(dv.LayoutError, match=words):
        make(shape, "i", device=device)


@pytest.mark.parametrize("shape", ["3", 1.5, (1.5,), ("3",), None, [None], {1}.add], ids=repr)
def test_shapes_of_another_type_are_refused(shape):
    with pytest.raises(TypeError):
        dv.empty(shape)


def test_errors_while_reading_a_shape_are_passed_on():
    class Bad:
        def __index__(self):
            raise ZeroDivisionError

    def generate():
        yield 1
        raise KeyError("mine")

    with pytest.raises(ZeroDivisionError):
        dv.empty(Bad())
    with pytest.raises(ZeroDivisionError):
        dv.empty((1, Bad()))
    with pytest.raises(KeyError, match="mine"):
        dv.empty(generate())


@pytest.mark.parametrize(
    ("format", "position"),
    [
        ("j", 0),
        ("3", 1),
        ("i??$", None),
        ("T{i", None),
        ("(2,i", None),
        ("i:name", None),
        ("T}", None),
    ],
)
@pytest.mark.parametrize("make", [dv.empty, dv.zeros], ids=lambda f: f.__name__)
def test_wrong_formats_are_refused_with_the_position(make, format, position):
    with pytest.raises(dv.FormatError) as error:
        make(3, format)
    assert isinstance(error.value.position, int)
    assert 0 <= error.value.position <= len(format)
    if position is not None:
        assert error.value.position == position


@pytest.mark.parametrize("format", ["", "0s", "0i", "T{}", "(0)i"])
def test_items_of_no_bytes_are_refused(format):
    with pytest.raises(dv.FormatError):
        dv.empty(3, format)


@pytest.mark.parametrize("format", [None, 3, {"i": 4}, dict], ids=repr)
def test_formats_of_another_type_are_refused(format):
    with pytest.raises(TypeError, match="format"):
        dv.empty(3, format)


@pytest.mark.parametrize(
    "format", ["T{" * 200_000, "(" * 100_000, "9" * 1000 + "i", "i" * 100_000 + "$"]
)
def test_hostile_formats_are_refused(format):
    with pytest.raises(dv.FormatError):
        dv.empty(3, format)


# --- Out of memory ---


@EMULATED
@pytest.mark.parametrize("device", CUDA_DEVICES)
def test_out_of_device_memory_has_figures_and_the_next_smaller_request_works(device):
    held = dv.empty(100 * MIB, device=device)
    with pytest.raises(dv.OutOfMemory) as error:
        dv.empty(DEVICE_MEMORY - 100 * MIB + 1, device=device)
    assert isinstance(error.value, MemoryError)
    assert error.value.requested == DEVICE_MEMORY - 100 * MIB + 1
    assert error.value.used == 100 * MIB
    assert error.value.limit == DEVICE_MEMORY
    for figure in (error.value.requested, error.value.used, error.value.limit, device):
        assert str(figure) in str(error.value)
    more = dv.empty(DEVICE_MEMORY - 100 * MIB, device=device)
    assert dv.memory_info(device).live_bytes == DEVICE_MEMORY
    del held, more
    assert dv.empty(DEVICE_MEMORY, device=device).nbytes == DEVICE_MEMORY


@EMULATED
@pytest.mark.parametrize("use", ["zeros", "copy", "to", "view", "Allocation", "empty_like"])
def test_out_of_memory_loses_nothing(use):
    held = dv.empty(DEVICE_MEMORY - MIB, device=CUDA)
    source = np.zeros(2 * MIB, "u1")
    call = {
        "zeros": lambda: dv.zeros(2 * MIB, device=CUDA),
        "copy": lambda: dv.copy(source, device=CUDA),
        "to": lambda: dv.view(source).to(CUDA),
        "view": lambda: dv.view(source, device=CUDA),
        "Allocation": lambda: dv.Allocation(2 * MIB, device=CUDA),
        "empty_like": lambda: dv.empty_like(source, device=CUDA),
    }[use]
    alive = len(dv.live())
    for _ in range(3):
        with pytest.raises(dv.OutOfMemory):
            call()
    assert len(dv.live()) == alive
    small = dv.zeros(MIB, device=CUDA)
    assert small[-1] == 0
    del held


@EMULATED
def test_memory_freed_on_another_stream_is_found_again():
    for _ in range(4):
        v = dv.empty(DEVICE_MEMORY - MIB, device=CUDA, stream=dv.Stream(CUDA))
        v[:10].fill(1, stream=dv.Stream(CUDA))
        del v


@EMULATED
def test_staging_without_room_to_pack_is_refused_and_loses_nothing():
    # What the kernel packs into does not fit beside the view.
    v = dv.empty(DEVICE_MEMORY - MIB, device=CUDA)
    v[::2].fill(3)
    with pytest.raises(BufferError) as error:
        memoryview(v[::2])
    assert isinstance(error.value.__cause__, dv.OutOfMemory)
    del error
    assert v.exports == 0
    with memoryview(v[:1000:2]) as m:
        assert m.tobytes() == b"\3" * 500


@pytest.mark.parametrize("nbytes", [2**62, 2**50])
def test_host_memory_beyond_all_bounds(nbytes):
    alive = len(dv.live())
    with pytest.raises(MemoryError):
        dv.empty(nbytes)
    assert len(dv.live()) == alive


@pytest.mark.parametrize("device", [d for d in DEVICES if d != "cpu"])
def test_sizes_beyond_all_bounds_are_out_of_memory_everywhere(device):
    for nbytes in (2**62, 2**63 - 1):
        with pytest.raises(dv.OutOfMemory) as error:
            dv.empty(nbytes, device=device)
        assert error.value.requested == nbytes
    assert dv.zeros(10, device=device).tolist() == [0] * 10


# --- Read-only ---

WRITES = {
    "item": (lambda v: v.__setitem__(0, 1), TypeError),
    "slice": (lambda v: v.__setitem__(slice(None), b"abc"), TypeError),
    "fill": (lambda v: v.fill(1), TypeError),
    "copy_from": (lambda v: v.copy_from(b"abc"), BufferError),
    "copyto": (lambda v: dv.copyto(v, b"abc"), BufferError),
    "stage": (lambda v: v.stage(writable=True), BufferError),
    "copy_to": (lambda v: dv.view(b"xyz").copy_to(v), BufferError),
}


@pytest.mark.parametrize("write", WRITES)
@pytest.mark.parametrize("device", DEVICES)
def test_read_only_memory_asked_for_writing(device, write):
    use, error = WRITES[write]
    v = dv.copy(b"abc", device=device).toreadonly()
    for w in (v, v[:], v.T, v.cast("b").cast("B"), dv.view(v)):
        with pytest.raises(error, match="read-only"):
            use(w)
    assert v.tobytes() == b"abc"


# --- The next call after an error works ---


@pytest.mark.parametrize("device", DEVICES)
def test_views_are_usable_after_every_refusal(device):
    v = dv.copy(array.array("i", range(6)), device=device)
    for refused in (
        lambda: v[9],
        lambda: v["x"],
        lambda: v.reshape(4),
        lambda: v.cast("3s", (5,)),
        lambda: v.to("nowhere"),
        lambda: v.copy_from(b"abc"),
        lambda: v.__setitem__(0, "text"),
        lambda: v.fill(None),
        lambda: v.index(99),
        lambda: v.tobytes("X"),
    ):
        with pytest.raises((ValueError, TypeError, IndexError)):
            refused()
    assert v.tolist() == list(range(6))
    assert v.exports == 0
    assert v.allocation.views == 1
