"""The report on the kernels' machine code: what it sees in kernels made for it, and in ours."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "cuda" / "kernels" / "report.py"

spec = importlib.util.spec_from_file_location("kernel_report", SCRIPT)
report = importlib.util.module_from_spec(spec)
sys.modules[spec.name] = report
spec.loader.exec_module(report)

GOOD = """
struct alignas(16) Unit16 { unsigned long long low, high; };
__global__ void copies(Unit16* to, const Unit16* from) { to[threadIdx.x] = from[threadIdx.x]; }
__global__ void plain(int* to) { to[threadIdx.x] = 1; }
"""

# 128 values that live across a barrier, in the 64 registers that 1024 threads leave each other.
SPILLS = """
__global__ void __launch_bounds__(1024) too_much(float* data) {
    float sums[128];
#pragma unroll
    for (int k = 0; k < 128; ++k) sums[k] = data[k * 1024 + threadIdx.x];
    __syncthreads();
#pragma unroll
    for (int k = 0; k < 128; ++k)
        data[(127 - k) * 1024 + threadIdx.x] = sums[k] * sums[(k * 7) % 128];
}
"""

# An index that only the run knows keeps the array in memory: no spill, but a stack frame.
STACK = """
__global__ void indexed(int* data, int at) {
    int table[32];
    for (int k = 0; k < 32; ++k) table[k] = data[k];
    table[at] = 7;
    for (int k = 0; k < 32; ++k) data[k] = table[(k * at) % 32];
}
"""

NARROW = """
struct Unit16 { unsigned a, b, c, d; };  // not aligned: four accesses
__global__ void copies(Unit16* to, const Unit16* from) { to[threadIdx.x] = from[threadIdx.x]; }
"""


@pytest.fixture(scope="module", autouse=True)
def tools():
    for name in ("nvcc", "cuobjdump"):
        try:
            report.find_tool(name)
        except report.ToolError as error:
            pytest.skip(f"missing: {error}")


def reported(tmp_path, source: str, *options: str):
    """Return the exit code and the kernels of a file with this source."""
    file = tmp_path / "kernels.cu"
    file.write_text(source, encoding="utf-8")
    return reported_of(file, *options)


def reported_of(file: Path, *options: str):
    done = subprocess.run(
        [sys.executable, SCRIPT, "--json", *options, file],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout, done.stderr
    return done.returncode, {kernel["name"]: kernel for kernel in json.loads(done.stdout)}


def kernel_named(kernels, part: str):
    return next(kernel for name, kernel in kernels.items() if part in name)


def test_good_kernels_pass(tmp_path):
    code, kernels = reported(tmp_path, GOOD, "--arch", "80")
    assert code == 0
    assert len(kernels) == 2
    copies = kernel_named(kernels, "copies")
    assert (copies["arch"], copies["loads"], copies["stores"]) == ("sm_80", 1, 1)
    plain = kernel_named(kernels, "plain")
    assert (plain["loads"], plain["stores"], plain["spilled"], plain["local"]) == (0, 0, 0, 0)
    assert 0 < plain["registers"] <= 16
    assert plain["code"] % 16 == 0
    assert plain["code"] > 0


def test_a_spill_fails(tmp_path):
    code, kernels = reported(tmp_path, SPILLS, "--arch", "75")
    assert code == 1
    spilled = kernel_named(kernels, "too_much")
    assert spilled["spilled"] > 0
    assert spilled["local"] > 0
    assert any("spills" in fault for fault in spilled["faults"])


def test_a_stack_frame_fails(tmp_path):
    code, kernels = reported(tmp_path, STACK, "--arch", "90")
    assert code == 1
    indexed = kernel_named(kernels, "indexed")
    assert indexed["stack"] >= 128
    assert indexed["local"] > 0
    assert indexed["spilled"] == 0


def test_a_wide_kernel_with_narrow_accesses_fails(tmp_path):
    code, kernels = reported(tmp_path, NARROW, "--arch", "90")
    assert code == 1
    assert kernel_named(kernels, "copies")["faults"] == ["no 128-bit load", "no 128-bit store"]


@pytest.mark.parametrize("form", ["machine code", "PTX"])
def test_an_object_is_read_as_its_source(tmp_path, form):
    (tmp_path / "spills.cu").write_text(SPILLS, encoding="utf-8")
    code = "sm_90" if form == "machine code" else "compute_75"
    library = tmp_path / "spills.o"
    report.run(
        report.find_tool("nvcc"),
        *("-gencode", f"arch=compute_{code.split('_')[1]},code={code}"),
        *("-c", tmp_path / "spills.cu", "-o", library),
    )
    code, kernels = reported_of(library, "--arch", "90")
    assert code == 1
    kernel = kernel_named(kernels, "too_much")
    assert kernel["arch"] == "sm_90"
    assert kernel["local"] > 0


def test_what_holds_no_kernels_is_an_error(tmp_path):
    file = tmp_path / "empty.o"
    file.write_bytes(b"nothing")
    done = subprocess.run(
        [sys.executable, SCRIPT, file], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "holds no kernels" in done.stderr


def test_a_table_of_them_all(tmp_path):
    pytest.importorskip("rich")
    (tmp_path / "good.cu").write_text(GOOD, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, SCRIPT, "--arch", "75,90", tmp_path / "good.cu"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("copies") == done.stdout.count("plain") == 2
    assert "sm_75: 2 kernels" in done.stdout
    assert "sm_90: 2 kernels" in done.stdout


# Half a minute each: the fewest and the most registers that a thread may have.
@pytest.mark.timeout(600)
@pytest.mark.parametrize("arch", ["75", "120"])
def test_our_kernels(arch):
    files = sorted((ROOT / "cuda" / "kernels").glob("*.cu"))
    done = subprocess.run(
        [sys.executable, SCRIPT, "--json", "--arch", arch, *files],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr
    kernels = json.loads(done.stdout)
    assert len(kernels) > 50
    assert len({kernel["name"] for kernel in kernels}) == len(kernels)
    assert max(kernel["registers"] for kernel in kernels) <= 80
