"""The examples of docs/examples, built from the installed package alone, outside the repository."""

from __future__ import annotations

import shutil
import sys
import zipfile

import numpy as np
import pytest

import devview as dv
from built_once import built_once
from clients.contract import require
from outsiders import EXAMPLES, cmake_build, compiler, folder, run, tool
from support import CUDA_DEVICES

pytestmark = [pytest.mark.native, pytest.mark.timeout(600)]

HOST_PROGRAM = """\
made: cpu format f shape 3 4, strides 16 4
sliced: cpu format f shape 2 3, strides 8 16, 2 views of one block
copied: cuda:0 format f shape 2 3, strides 12 4
released: the vector
back: cpu format f shape 2 3, strides 12 4, item [1, 2] is 10
alive on the device: 0 bytes
"""


def test_host_program(tmp_path):
    cmake_dir = folder("--cmake-dir")
    source = shutil.copytree(EXAMPLES / "host_program", tmp_path / "source")
    build = tmp_path / "build"
    cmake_build(source, build, f"-Ddevview_DIR={cmake_dir}", f"-DCMAKE_CXX_COMPILER={compiler()}")
    assert run(build / "host_program") == HOST_PROGRAM


def build_numeric(work):
    source = shutil.copytree(EXAMPLES / "numeric", work / "source")
    # The packages that it is built with are installed here; devview is found by its entry point.
    run(
        *(sys.executable, "-m", "pip", "wheel", "--no-build-isolation", "--no-deps", "--no-index"),
        *("-w", work, source),
        environment={"PIP_DISABLE_PIP_VERSION_CHECK": "1"},
    )
    (wheel,) = work.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(work / "site")


@pytest.fixture(scope="module")
def numeric(tmp_path_factory):
    """Build the extension module as pip does, and import it from its wheel."""
    folder("--cmake-dir")
    compiler()
    tool("cmake")
    require("pybind11", "pybind11")
    require("scikit_build_core", "scikit-build-core")
    work = built_once(tmp_path_factory, "numeric", build_numeric)
    sys.path.insert(0, str(work / "site"))
    try:
        import numeric

        yield numeric
    finally:
        sys.path.remove(str(work / "site"))


def ramp(count, step=1):
    """Whole numbers: every sum of them is exact."""
    return np.arange(0, count * step, step, dtype=np.float32)


def smoothed(x):
    expected = x.copy()
    expected[1:-1] = (x[:-2] + x[1:-1] + x[2:]) / np.float32(3)
    return expected


def on_host(view):
    return np.from_dlpack(view, device="cpu")


def numpy_array(values):
    return values


def jax_array(values):
    return require("jax", "jax").numpy.asarray(values)


def tvm_tensor(values):
    return require("tvm_ffi", "apache-tvm-ffi").from_dlpack(values)


def device_view(values):
    return dv.copy(values, device=CUDA_DEVICES[-1])


def pinned_view(values):
    return dv.copy(values, device="pinned")


def managed_view(values):
    return dv.copy(values, device="managed")


MAKERS = [numpy_array, jax_array, tvm_tensor, device_view, pinned_view, managed_view]


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize("count", [0, 1, 5, 10_000])
def test_reduce(numeric, make, count):
    values = ramp(count)
    total = numeric.reduce(make(values))
    assert total.device == dv.view(make(values)).device
    assert (total.format, total.shape) == ("d", ())
    assert total.tolist() == float(values.sum(dtype=np.float64))


@pytest.mark.parametrize("make", MAKERS)
def test_stencil(numeric, make):
    values = ramp(1000) ** 2
    out = numeric.stencil(make(values))
    assert out.device == dv.view(make(values)).device
    np.testing.assert_array_equal(np.array(out.tolist(), dtype=np.float32), smoothed(values))


@pytest.mark.parametrize("make", [make for make in MAKERS if make is not jax_array])
def test_saxpy_in_place(numeric, make):
    x, y = make(ramp(1000)), make(ramp(1000, 3).copy())
    numeric.saxpy(2, x, y)
    assert dv.view(y).tolist() == (5 * ramp(1000)).tolist()


def test_saxpy_of_two_libraries(numeric):
    y = ramp(100, 3)
    numeric.saxpy(2, jax_array(ramp(100)), y)
    assert y.tolist() == (5 * ramp(100)).tolist()


def test_strided_views_of_a_device(numeric):
    values = ramp(1001)
    device = device_view(values)
    assert numeric.reduce(device[::-2]).tolist() == float(values[::-2].sum())
    odd = device[1::2]
    numeric.saxpy(1, device[:-1:2], odd)
    expected = values.copy()
    expected[1::2] += expected[:-1:2]
    np.testing.assert_array_equal(on_host(device), expected)


def test_work_waits_for_other_streams(numeric):
    source, target = device_view(ramp(50)), dv.zeros(50, "f", device=CUDA_DEVICES[-1])
    dv.emulation.set_delay(20_000)
    dv.copyto(target, source, stream=dv.Stream(CUDA_DEVICES[-1]))
    np.testing.assert_array_equal(on_host(numeric.stencil(target)), smoothed(ramp(50)))


def test_other_streams_wait_for_work(numeric):
    x, y = (
        dv.copy(ramp(50, step), device=CUDA_DEVICES[-1], stream=dv.Stream(CUDA_DEVICES[-1]))
        for step in (1, 3)
    )
    dv.emulation.set_delay(20_000)
    numeric.saxpy(2, x, y)  # on x's stream
    x.release()  # given back after the work on it
    np.testing.assert_array_equal(on_host(y), 5 * ramp(50))


def test_views_of_two_devices_are_refused(numeric):
    with pytest.raises(BufferError, match=r"saxpy: x is on cuda:\d, y on cpu"):
        numeric.saxpy(1, device_view(ramp(4)), ramp(4))


def test_shapes_that_differ_are_refused(numeric):
    with pytest.raises(dv.LayoutError, match="saxpy: x has 4 items, y 5"):
        numeric.saxpy(1, ramp(4), ramp(5))


def test_read_only_result_is_refused(numeric):
    y = ramp(4)
    y.flags.writeable = False
    with pytest.raises(TypeError, match="y"):
        numeric.saxpy(1, ramp(4), y)


@pytest.mark.parametrize(
    "x", [ramp(4).astype("f8"), ramp(4).reshape(2, 2), "text"], ids=["doubles", "2-d", "str"]
)
def test_other_items_and_ranks_are_refused(numeric, x):
    with pytest.raises(TypeError, match=r"reduce\(\)"):
        numeric.reduce(x)


def test_signature_tells_what_is_taken(numeric):
    assert "float32" in numeric.reduce.__doc__


def test_kernels_are_compiled_where_there_is_a_compiler(numeric):
    assert numeric.compiled_for_gpu() is (shutil.which("nvcc") is not None)
