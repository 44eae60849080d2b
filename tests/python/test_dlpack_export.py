"""View.__dlpack__: what the capsule says, who is asked to wait, what is refused."""

from __future__ import annotations

import gc
import threading

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given

import devview as dv
from clients.contract import require
from dlpack_capsules import (
    IS_COPIED,
    READ_ONLY,
    SUBBYTE_PADDED,
    call_deleter,
    name_of,
    read,
    rename,
    shape_of,
    strides_of,
)
from support import (
    CUDA_DEVICES,
    EMULATED,
    WAITS,
    counted_calls,
    delay,
    device_bytes,
    layouts,
    no_gc,
    run_clean,
)

CUDA = CUDA_DEVICES[0]
NEWEST = (1, 3)


def host(shape=(4, 6), format="f"):
    view = dv.empty(shape, format)
    view.cast("B")[:] = bytes(i % 251 for i in range(view.nbytes))
    return view


def tensor(view, **options):
    capsule = view.__dlpack__(**{"max_version": NEWEST, **options})
    return capsule, read(capsule)


# --- What the capsule says ---


@pytest.mark.parametrize(
    "dtype", ["?", "i1", "u1", "i2", "u4", "i8", "f2", "f4", "f8", "c8", "c16"]
)
def test_numpy_reads_every_number(dtype):
    array = np.arange(12).reshape(3, 4).astype(dtype)
    view = dv.view(array)
    back = np.from_dlpack(view)
    assert back.dtype == array.dtype
    assert back.ctypes.data == array.ctypes.data
    np.testing.assert_array_equal(back, array)


@given(layouts(dtypes=("u1", "i4", "f8", "c16"), broadcast=False))
def test_numpy_sees_every_layout(layout):
    array = layout.base()
    view, expected = layout.apply(dv.view(array)), layout.apply(array)
    back = np.from_dlpack(view)
    assert back.shape == expected.shape
    assert back.tobytes() == expected.tobytes()
    if expected.size:
        assert back.ctypes.data == expected.ctypes.data
    capsule, managed = tensor(view)
    for extent, stride, told in zip(
        expected.shape, expected.strides, strides_of(managed.dl_tensor), strict=True
    ):
        assert expected.size == 0 or extent < 2 or told * expected.itemsize == stride
    del capsule


def test_axes_below_two_items_have_a_dense_stride():
    base = np.zeros((3, 8, 4), "i4")
    part = base[:, 3:4, ::2]
    capsule, managed = tensor(dv.view(part))
    assert shape_of(managed.dl_tensor) == (3, 1, 2)
    assert strides_of(managed.dl_tensor) == (32, 2, 2)
    del capsule


def test_mutation_is_seen_on_both_sides():
    view = host()
    array = np.from_dlpack(view)
    array[2, 3] = 77
    assert view[2, 3] == 77
    view[0, 0] = -5
    assert array[0, 0] == -5


@pytest.mark.parametrize(
    ("max_version", "name", "version"),
    [
        (None, "dltensor", None),
        ((0, 8), "dltensor", None),
        ((1, 0), "dltensor_versioned", (1, 0)),
        ((1, 1), "dltensor_versioned", (1, 1)),
        ((1, 99), "dltensor_versioned", (1, 3)),
        ((2, 0), "dltensor_versioned", (1, 3)),
    ],
)
def test_max_version_chooses_the_struct(max_version, name, version):
    capsule = host().__dlpack__(max_version=max_version)
    assert name_of(capsule) == name
    if version:
        assert (read(capsule).major, read(capsule).minor) == version


def test_flags_tell_readonly_copied_and_padded():
    view = host()
    assert read(tensor(view)[0]).flags == 0
    assert tensor(view.toreadonly())[1].flags == READ_ONLY
    assert tensor(view.toreadonly(), copy=True)[1].flags == IS_COPIED
    assert tensor(host(format="T{B:int4:}"))[1].flags == SUBBYTE_PADDED
    assert np.from_dlpack(view.toreadonly()).flags.writeable is False
    assert np.from_dlpack(view).flags.writeable is True


@pytest.mark.parametrize("name", ["int4", "uint4", "float4_e2m1fn", "float6_e2m3fn"])
@pytest.mark.parametrize("options", [{}, {"max_version": (1, 0)}, {"max_version": NEWEST}])
def test_packed_items_leave_without_the_flag(name, options):
    source = dv.zeros((3, 5), dv.Format(name, packed=True))
    source[1, 3] = 1
    capsule, managed = tensor(source, **options) if options else (source.__dlpack__(), None)
    if managed is not None:
        told = managed.dl_tensor
        assert managed.flags == 0
        assert (told.dtype.code, told.dtype.bits, told.dtype.lanes) == dv.Format(name).to_dlpack()
        assert (told.shape[:2], told.strides[:2]) == ([3, 5], [5, 1])
        assert told.data == source.ptr
    back = dv.from_dlpack(capsule)
    assert (back.format, back.shape, back.ptr) == (source.format, (3, 5), source.ptr)
    assert back == source
    copied, managed = tensor(source, copy=True)
    assert managed.flags == IS_COPIED
    assert dv.from_dlpack(copied) == source


def test_legacy_capsules_cannot_say_readonly_or_padded():
    with pytest.raises(BufferError, match=r"read-only.*max_version"):
        host().toreadonly().__dlpack__()
    with pytest.raises(BufferError, match="int4"):
        host(format="T{B:int4:}").__dlpack__()
    with pytest.raises(BufferError, match=r"int4.*1, 1"):
        host(format="T{B:int4:}").__dlpack__(max_version=(1, 0))
    assert name_of(host().toreadonly().__dlpack__(copy=True)) == "dltensor"


@pytest.mark.parametrize(
    ("dtype", "code", "bits"),
    [
        (ml_dtypes.bfloat16, 4, 16),
        (ml_dtypes.float8_e4m3fn, 10, 8),
        (ml_dtypes.float8_e5m2, 12, 8),
        (ml_dtypes.float4_e2m1fn, 17, 4),
        (ml_dtypes.uint4, 1, 4),
    ],
)
def test_small_floats_have_their_codes(dtype, code, bits):
    capsule, managed = tensor(dv.empty(5, dv.Format(dtype)))
    told = managed.dl_tensor.dtype
    assert (told.code, told.bits, told.lanes) == (code, bits, 1)
    del capsule


@pytest.mark.parametrize(
    "format",
    ["T{i:a:f:b:}", "(3)f", ">i", "!d", "g", "Zg", "4s", "2w", "c", "P", "&i", "4x", ">Zf"],
)
@pytest.mark.parametrize("options", [{}, {"max_version": NEWEST}, {"copy": True}])
def test_formats_without_a_name_are_refused_by_name(format, options):
    view = dv.empty(3, format)
    with pytest.raises(BufferError) as refusal:
        view.__dlpack__(**options)
    assert format in str(refusal.value)
    assert view.allocation.exports == 0


def test_strides_that_are_no_items_are_refused_unless_copied():
    records = np.zeros(4, [("a", "i4"), ("b", "i2")])
    records["a"] = [1, 2, 3, 4]
    member = dv.view(records)["a"]
    with pytest.raises(BufferError, match="stride 6 bytes, no multiple of the itemsize 4"):
        member.__dlpack__(max_version=NEWEST)
    np.testing.assert_array_equal(np.from_dlpack(member, copy=True), [1, 2, 3, 4])


def test_an_empty_view_has_no_data():
    capsule, managed = tensor(dv.empty((3, 0, 2), "d"))
    assert managed.dl_tensor.data is None
    assert np.from_dlpack(dv.empty((3, 0, 2), "d")).shape == (3, 0, 2)
    del capsule


def test_a_scalar_and_many_axes():
    scalar = dv.view(np.array(7.5))
    assert np.from_dlpack(scalar)[()] == 7.5
    many = host((2,) + (1,) * 63)
    capsule, managed = tensor(many)
    assert shape_of(managed.dl_tensor) == many.shape
    del capsule


# --- Who holds what ---


def test_the_capsule_holds_the_memory_and_not_the_view():
    view = host()
    allocation = view.allocation
    capsule = view.__dlpack__(max_version=NEWEST)
    assert allocation.exports == 1
    assert view.exports == 0
    view.release()
    with pytest.raises(BufferError, match="1 export"):
        allocation.free()
    del capsule
    assert allocation.exports == 0
    allocation.free()


def test_the_memory_goes_with_the_last_consumer_in_that_statement():
    released = []
    memory = bytearray(24)
    array = np.frombuffer(memory, "f4")
    view = dv.from_pointer(
        array.ctypes.data, 6, "f", device="cpu", owner=memory, release=released.append
    )
    with no_gc():
        consumer = np.from_dlpack(view)
        view.release()
        part = consumer[2:]
        del consumer
        assert released == []
        del part
        assert released == [None]


def test_a_renamed_capsule_owns_nothing():
    view = host()
    capsule, managed = tensor(view)
    rename(capsule, b"used_dltensor_versioned")
    deleter = managed
    del capsule
    assert view.allocation.exports == 1
    call_deleter(deleter)
    assert view.allocation.exports == 0


@pytest.mark.parametrize("device", ["cpu", CUDA, "pinned"])
def test_deleters_run_on_any_thread_without_the_gil(device):
    view = dv.zeros(1000, "f", device=device)
    capsule, managed = tensor(view)
    rename(capsule, b"used_dltensor_versioned")
    view.release()
    worker = threading.Thread(target=call_deleter, args=(managed,))
    worker.start()
    worker.join()
    assert dv.memory_info(device).exports == 0


def test_a_pending_exception_survives_the_destructor():
    view = host()

    def fail():
        capsule = view.__dlpack__()
        raise KeyError(name_of(capsule))

    with pytest.raises(KeyError, match="dltensor"):
        fail()
    gc.collect()
    assert view.allocation.exports == 0


def test_a_released_view_is_a_value_error():
    view = host()
    view.release()
    with pytest.raises(ValueError, match="released"):
        view.__dlpack__()
    with pytest.raises(ValueError, match="released"):
        view.__dlpack_device__()


# --- Arguments ---


def test_devices_have_dlpacks_numbers():
    assert host().__dlpack_device__() == (1, 0)
    assert dv.empty(1, device="pinned").__dlpack_device__() == (3, 0)
    assert dv.empty(1, device="managed").__dlpack_device__() == (13, 0)
    for device in CUDA_DEVICES:
        view = dv.empty(1, device=device)
        assert view.__dlpack_device__() == (2, int(device[5:]))
        capsule, managed = tensor(view)
        assert (managed.dl_tensor.device.type, managed.dl_tensor.device.id) == (2, int(device[5:]))
        assert managed.dl_tensor.data == view.ptr
        del capsule


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"max_version": 1}, TypeError),
        ({"max_version": "1.0"}, TypeError),
        ({"max_version": (1,)}, TypeError),
        ({"max_version": (1, 0, 0)}, TypeError),
        ({"max_version": (1, "0")}, TypeError),
        ({"max_version": (1.0, 0)}, TypeError),
        ({"max_version": (-1, 0)}, ValueError),
        ({"max_version": (1, -2)}, ValueError),
        ({"max_version": (1 << 70, 0)}, ValueError),
        ({"dl_device": "cpu"}, TypeError),
        ({"dl_device": 1}, TypeError),
        ({"dl_device": (1,)}, TypeError),
        ({"dl_device": (1, None)}, TypeError),
        ({"dl_device": (1, -1)}, ValueError),
        ({"dl_device": (1 << 40, 0)}, ValueError),
        ({"dl_device": (99, 0)}, BufferError),
        ({"dl_device": (8, 0)}, BufferError),
        ({"dl_device": (1, 5)}, BufferError),
        ({"dl_device": (3, 0)}, BufferError),
        ({"dl_device": (2, 77)}, BufferError),
        ({"stream": "1"}, TypeError),
        ({"stream": 1.0}, TypeError),
        ({"stream": -2}, ValueError),
        ({"stream": 1 << 70}, ValueError),
        ({"unknown": 1}, TypeError),
    ],
    ids=str,
)
def test_malformed_arguments_are_refused(options, error):
    view = host()
    with pytest.raises(error, match=next(iter(options))):
        view.__dlpack__(**options)
    assert view.allocation.exports == 0


def test_arguments_are_by_keyword_only():
    with pytest.raises(TypeError, match="positional"):
        host().__dlpack__(None)


@pytest.mark.parametrize("stream", [None, -1, 1, 2, 12345])
def test_host_memory_has_no_streams(stream):
    assert name_of(host().__dlpack__(stream=stream)) == "dltensor"


def test_an_index_that_releases_the_view_is_noticed():
    view = host()

    class Sly:
        def __index__(self):
            view.release()
            return 1

    with pytest.raises(ValueError, match="released"):
        view.__dlpack__(max_version=(Sly(), 0))


# --- dl_device and copy ---


def test_copy_true_is_a_copy_and_says_so():
    view = host()
    capsule, managed = tensor(view, copy=True)
    assert managed.flags == IS_COPIED
    assert managed.dl_tensor.data != view.ptr
    assert view.allocation.exports == 0
    copied = np.from_dlpack(view, copy=True)
    copied[0, 0] = 99
    assert view[0, 0] != 99
    del capsule


def test_copy_false_shares_and_the_own_device_may_be_named():
    view = host()
    for options in ({"copy": False}, {"dl_device": (1, 0)}, {"copy": False, "dl_device": (1, 0)}):
        capsule, managed = tensor(view, **options)
        assert managed.dl_tensor.data == view.ptr
        assert managed.flags == 0
        del capsule


def test_device_memory_is_copied_to_the_host_when_asked():
    array = np.arange(24, dtype="f4").reshape(4, 6)
    view = dv.view(array[:, ::-2]).to(CUDA)
    capsule, managed = tensor(view, dl_device=(1, 0))
    assert managed.flags == IS_COPIED
    assert managed.dl_tensor.device.type == 1
    del capsule
    np.testing.assert_array_equal(np.from_dlpack(view, device="cpu"), array[:, ::-2])
    np.testing.assert_array_equal(np.from_dlpack(view.toreadonly(), device="cpu"), array[:, ::-2])
    assert np.from_dlpack(view.toreadonly(), device="cpu").flags.writeable


def test_copy_false_is_refused_where_a_copy_is_needed():
    view = dv.zeros(4, "f", device=CUDA)
    for error in (BufferError, ValueError, dv.Refused):
        with pytest.raises(error, match="copy=False"):
            view.__dlpack__(dl_device=(1, 0), copy=False)
    with pytest.raises(ValueError, match="copy=False"):
        np.from_dlpack(view, device="cpu", copy=False)


def test_a_stream_for_the_host_is_refused():
    view = dv.zeros(4, "f", device=CUDA)
    with pytest.raises(dv.Refused, match="stream must be None"):
        view.__dlpack__(dl_device=(1, 0), stream=1)
    assert tensor(view, dl_device=(1, 0), stream=-1)[1].flags == IS_COPIED


@pytest.mark.parametrize("source", ["cpu", "pinned", "managed", *CUDA_DEVICES])
def test_copies_go_to_a_device(source):
    view = dv.view(np.arange(100, dtype="i4")).to(source)
    for device in CUDA_DEVICES:
        number = int(device[5:])
        taken = dv.from_dlpack(view.__dlpack__(dl_device=(2, number), max_version=NEWEST))
        assert taken.device == device
        assert taken.tolist() == list(range(100))
        assert (taken.ptr == view.ptr) == (device == source)


@EMULATED
@pytest.mark.parametrize("device", ["pinned", "managed"])
def test_the_host_reaches_pinned_and_managed_memory_where_it_is(device):
    view = dv.zeros(1000, "i", device=device)
    with delay(20_000):
        view.copy_from(dv.empty(1000, "i", device=CUDA).fill(7))
        array = np.from_dlpack(view, device="cpu")
        assert array.tolist() == [7] * 1000
    assert array.ctypes.data == view.ptr
    capsule, managed = tensor(view, dl_device=(1, 0))
    assert managed.dl_tensor.device.type == 1
    assert managed.flags == 0
    del capsule
    assert np.from_dlpack(view).ctypes.data == view.ptr  # NumPy takes the tags 3 and 13 as well


# --- Streams ---


@pytest.mark.parametrize("stream", [0, False])
def test_stream_zero_is_refused(stream):
    view = dv.zeros(4, "f", device=CUDA)
    for error in (BufferError, ValueError):
        with pytest.raises(error, match="stream 0"):
            view.__dlpack__(stream=stream)


@EMULATED
def test_the_consumers_stream_waits_and_the_host_does_not():
    busy = dv.Stream(CUDA)
    consumer = dv.Stream(CUDA)
    view = dv.zeros(1000, "i", device=CUDA)
    target = dv.zeros(1000, "i", device=CUDA)
    consumer.synchronize()
    with delay(20_000):
        view.fill(42, stream=busy)
        with counted_calls() as calls:
            capsule = view.__dlpack__(stream=consumer.handle, max_version=NEWEST)
        assert sum(calls[name] for name in WAITS) == 0
        assert calls["cudaStreamWaitEvent"] >= 1
        # What a consumer would do: work on its own stream alone.
        managed = read(capsule)
        alias = dv.from_pointer(
            managed.dl_tensor.data, 1000, "i", device=CUDA, stream=consumer, owner=capsule
        )
        target.copy_from(alias, stream=consumer)
        consumer.synchronize()
    assert set(target.tolist()) == {42}
    del alias, managed, capsule


@EMULATED
@pytest.mark.parametrize("stream", [None, 1, 2])
def test_default_streams_wait(stream):
    busy = dv.Stream(CUDA)
    view = dv.zeros(1000, "i", device=CUDA)
    with delay(5_000):
        view.fill(1, stream=busy)
        with counted_calls() as calls:
            capsule = view.__dlpack__(stream=stream)
        assert calls["cudaStreamWaitEvent"] >= 1
        assert sum(calls[name] for name in WAITS) == 0
    del capsule


@EMULATED
def test_minus_one_orders_nothing():
    view = dv.zeros(1000, "i", device=CUDA)
    view.fill(1, stream=dv.Stream(CUDA))
    with counted_calls() as calls:
        capsule = view.__dlpack__(stream=-1)
    assert not calls
    del capsule


def test_stream_objects_are_taken():
    view = dv.zeros(10, "i", device=CUDA)
    stream = dv.Stream(CUDA)

    class Offers:
        def __cuda_stream__(self):
            return (0, stream.handle)

    for value in (stream, Offers(), stream.handle):
        assert name_of(view.__dlpack__(stream=value)) == "dltensor"
    if len(CUDA_DEVICES) > 1:
        with pytest.raises(dv.DeviceError, match="stream"):
            view.__dlpack__(stream=dv.Stream(CUDA_DEVICES[1]))


@EMULATED
def test_memory_is_freed_after_the_consumers_legacy_stream():
    view = dv.zeros(1000, "i", device=CUDA, stream=dv.Stream(CUDA))
    capsule = view.__dlpack__(stream=1)
    view.release()
    before = device_bytes(CUDA)
    with counted_calls() as calls:
        del capsule
    assert device_bytes(CUDA) == before - 4000
    assert calls["cudaStreamWaitEvent"] == 1  # the free waits for the legacy stream
    assert sum(calls[name] for name in WAITS) == 0


# --- The end of the interpreter ---

EXITS = {
    "unconsumed capsules": "held = [v.__dlpack__(), v.__dlpack__(max_version=(1, 3))]",
    "a consumer": "held = np.from_dlpack(v)",
    "a consumer in a cycle": "held = [np.from_dlpack(v)]; held.append(held)",
    "a device capsule": "held = v.to('cuda').__dlpack__(max_version=(1, 3))",
    "a consumer of our own": "held = dv.from_dlpack(v.to('cuda').__dlpack__())",
    "memory of Python": "held = np.from_dlpack(dv.view(bytearray(8)))",
    "a daemon thread": (
        "a = np.from_dlpack(v)\n"
        "def work():\n"
        "    while True:\n"
        "        np.from_dlpack(v)\n"
        "held = threading.Thread(target=work, daemon=True)\n"
        "held.start()"
    ),
}


@pytest.mark.parametrize("what", EXITS)
@pytest.mark.parametrize("where", ["module", "sys", "thread"])
def test_interpreter_exit_is_silent(what, where):
    keep = {
        "module": "",
        "sys": "\nsys.held = held; del held, v",
        "thread": "\nlocal = threading.local(); local.held = held; del held",
    }[where]
    run_clean(f"v = dv.zeros(100, 'f')\n{EXITS[what]}{keep}\n")


# --- Consumers that call in their own way ---


def test_tvm_ffi_takes_our_legacy_capsules():
    tvm_ffi = require("tvm_ffi", "apache-tvm-ffi")
    for device in ("cpu", *CUDA_DEVICES):
        view = dv.zeros((3, 8), "i", device=device)[:, ::2]
        theirs = tvm_ffi.from_dlpack(dv.from_dlpack(view.__dlpack__()))
        assert (theirs.shape, tuple(theirs.strides)) == ((3, 4), (8, 2))
        back = dv.from_dlpack(theirs)
        assert (back.ptr, back.strides, back.device) == (view.ptr, view.strides, view.device)
        assert view.allocation.exports == 1
        view.release()
        del theirs
        assert dv.memory_info(device).exports > 0
        del back
        gc.collect()
        assert dv.memory_info(device).exports == 0


def test_jax_shares_host_memory():
    jax = require("jax", "jax")
    view = dv.zeros((4, 4), "f")
    view[1, 2] = 5
    theirs = jax.dlpack.from_dlpack(view)
    assert theirs.unsafe_buffer_pointer() == view.ptr
    assert theirs.tolist() == view.tolist()
    back = dv.from_dlpack(theirs)
    assert back.ptr == view.ptr
