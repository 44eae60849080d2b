"""The benchmark of devices: every result is NumPy's, and no figure comes from an emulated one."""

from __future__ import annotations

import importlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

import devview as dv
import support

BENCH = Path(__file__).parents[2] / "bench"


@pytest.fixture
def bench(monkeypatch):
    """Import the benchmark's modules as the script does."""
    pytest.importorskip("numpy")
    monkeypatch.syspath_prepend(str(BENCH))
    names = ("device_cases", "device_transfers", "device_clock", "device_peers", "device_report")
    modules = {name: importlib.import_module(name) for name in names}
    modules["device"] = importlib.import_module("device")
    yield SimpleNamespace(**modules)
    for name in modules:
        sys.modules.pop(name, None)


def run_main(bench, monkeypatch, *arguments: str) -> None:
    monkeypatch.setattr(sys, "argv", ["device.py", *arguments])
    bench.device.main()


@pytest.mark.parametrize("devices", [1, 2])
def test_every_result_is_numpys_and_nothing_is_timed(bench, devices):
    done = subprocess.run(
        [sys.executable, str(BENCH / "device.py"), "--size", "16K"],
        env={**os.environ, "DEVVIEW_EMULATE_CUDA": str(devices)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "timings mean nothing" in done.stdout
    assert "GB/s" not in done.stdout
    checked, wrong = re.search(r"(\d+) movements .* (\d+) wrong", done.stdout).groups()
    peer = "cuda:1" if devices == 2 else None
    cases = [
        *bench.device_cases.device_cases("cuda:0"),
        *bench.device_transfers.transfer_cases("cuda:0", peer),
    ]
    assert int(checked) == len({str(case) for case in cases}) == len(cases)
    assert wrong == "0"


def test_wrong_result_is_told(bench, monkeypatch, capsys):
    def forgets(dst, src, *rest, **more):
        def check():
            dst.array[...] = src.array
            dst.check()

        return bench.device_cases.Task(lambda stream: None, check, 1)

    monkeypatch.setattr(bench.device_cases, "moved", forgets)
    with pytest.raises(SystemExit, match=r"transpose: 4-byte items, 4096 bytes: .*at \(0, 0\)"):
        run_main(bench, monkeypatch, "--check", "--size", "4K", "--only", "transpose: 4-byte")
    assert "1 movements compared with NumPy, 1 wrong" in capsys.readouterr().out


def test_figures_are_ratios_of_one_run(bench, monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(bench.device, "is_real", lambda device: True)
    monkeypatch.setattr(bench.device_clock, "MEASURED_SECONDS", 0.0001)
    path = tmp_path / "figures.json"
    for only in ("fill", "compare: bytes", "staging: snapshot, rev", "staging: and back, d"):
        run_main(
            bench, monkeypatch, "--size", "4K", "8K", "--rounds", "3", "--only", only,
            "--json", str(path),
        )  # fmt: skip
        rows = json.loads(path.read_text())["results"]
        assert {row["size"] for row in rows} == {4096, 8192}
        for row in rows:
            time = row["times"]["devview"]
            assert 0 < time["low"] <= time["ratio"] <= time["high"]
            assert time["seconds"] > 0 < row["reference_seconds"]
    assert "devview / plain" in capsys.readouterr().out


@pytest.mark.skipif(support.REAL, reason="needs the emulator's log of calls")
def test_reference_is_one_plain_copy(bench):
    """What the ratios are of: a single call of the runtime, of the task's traffic."""
    emulation = dv.emulation
    stream = dv.Stream("cuda:0")
    reference = bench.device_clock.Reference("cuda:0", "cuda:1")
    calls = {
        "memory": ["cudaMemcpyAsync"],
        "peer": ["cudaMemcpyPeerAsync"],
        "to host": ["cudaMemcpyAsync"],
        "to device": ["cudaMemcpyAsync"],
        "round trip": ["cudaMemcpyAsync"] * 2,
    }
    for name, expected in calls.items():
        task = bench.device_cases.Task(lambda stream: None, lambda: None, 1000, name)
        on = dv.Stream("cuda:1") if name == "peer" else stream
        run = reference.run(task)
        run(on)
        on.synchronize()
        emulation.clear()
        run(on)
        on.synchronize()
        assert [call for call in emulation.calls if "Memcpy" in call] == expected, name
        assert "cudaLaunchKernel" not in emulation.calls


@pytest.mark.parametrize(
    ("text", "nbytes"), [("100", 100), ("64K", 65536), ("3m", 3 << 20), ("2G", 2 << 30)]
)
def test_sizes_are_read(bench, text, nbytes):
    assert bench.device.parse_size(text) == nbytes
