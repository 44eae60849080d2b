"""``python -m devview bench``: every command on tiny runs. What the figures are is not asserted."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys

import pytest

from clients.contract import require

pyperf = require("pyperf", "pyperf")
require("rich", "rich")
require("matplotlib", "matplotlib")
require("numpy", "numpy")

from devview.bench import command, peers, record  # noqa: E402
from devview.bench.cases import all_cases  # noqa: E402
from devview.bench.peers import Peer  # noqa: E402

TINY = ("--quick", "--rounds", "2", "--processes", "1")
BYTES = "hand-over/view of a bytearray"


def bench(*arguments, code=0, **environment):
    """Run the command; return its output and its errors."""
    done = subprocess.run(
        [sys.executable, "-m", "devview", "bench", *map(str, arguments)],
        env={**os.environ, "DEVVIEW_EMULATE_CUDA": "", "COLUMNS": "200", **environment},
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout, done.stderr


def main(*arguments) -> int:
    """Run the command in this process."""
    from devview.__main__ import parser

    return command.main(parser().parse_args(["bench", *map(str, arguments)]))


@pytest.fixture(scope="module")
def figures(tmp_path_factory):
    """One tiny run of two cases, in two processes, and everything that it writes."""
    folder = tmp_path_factory.mktemp("bench")
    told, _ = bench(
        *TINY[:3], "--processes", "2", "--filter", BYTES, "--filter", "growth/axes 2: view",
        "--json", folder / "out.json", "--markdown", folder / "out.md",
        "--plot", folder / "out.png",
    )  # fmt: skip
    return folder, told


def test_table_tells_times_ratio_and_limit(figures):
    _, told = figures
    (line,) = (line for line in told.splitlines() if "view of a bytearray" in line)
    cells = [cell.strip() for cell in line.strip("│┃| ").split("│")]
    assert cells[0] == "view of a bytearray"
    assert cells[1].endswith(" ns")
    assert cells[2] == "memoryview"
    assert "bare call" in cells[5]


def test_file_is_pyperfs_and_its_ratios_are_those_of_the_rounds(figures):
    folder, _ = figures
    suite = pyperf.BenchmarkSuite.load(str(folder / "out.json"))
    assert f"{BYTES}: devview" in suite.get_benchmark_names()
    ours, theirs = (suite.get_benchmark(f"{BYTES}: {name}") for name in ("devview", "memoryview"))
    assert ours.get_nrun() == 2
    assert len(ours.get_values()) == 4
    results = record.results(record.load(folder / "out.json"))
    (result,) = (result for result in results if result.full_name == BYTES)
    pairs = zip(ours.get_values(), theirs.get_values(), strict=True)
    ratios = sorted(a / b for a, b in pairs)
    spread = result.ratio("memoryview")
    assert spread.median == pytest.approx((ratios[1] + ratios[2]) / 2)
    assert (spread.low, spread.high) == (ratios[0], ratios[-1])


def test_file_tells_what_the_figures_depend_on(figures):
    folder, _ = figures
    told = record.load(folder / "out.json")[0].get_metadata()
    import numpy

    assert told["version_numpy"] == numpy.__version__
    assert told["devview_threads"] == "1"
    assert told["python_version"].startswith(".".join(map(str, sys.version_info[:3])))
    assert told["devview_code"] == "view(b)"


def test_pyperf_compares_the_files(figures):
    folder, _ = figures
    path = str(folder / "out.json")
    done = subprocess.run(
        [sys.executable, "-m", "pyperf", "compare_to", path, path],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "not significant" in done.stdout


def test_markdown_is_a_table(figures):
    folder, _ = figures
    head, rule, *lines = (folder / "out.md").read_text().splitlines()
    assert head.startswith("| case | devview | beside |")
    assert {line.count(" | ") for line in (head, rule, *lines)} == {6}
    assert any(line.startswith(f"| {BYTES.replace('/', ': ')} | ") for line in lines)


def test_plots_are_pictures(figures):
    folder, _ = figures
    for name in ("out.png", "out-growth.png"):
        content = (folder / name).read_bytes()
        assert content[:8] == b"\x89PNG\r\n\x1a\n"
        assert len(content) > 10_000


def test_figures_are_shown_again(figures, tmp_path):
    folder, told = figures
    again, _ = bench(
        "show", folder / "out.json", "--plot", tmp_path / "a.svg", "--markdown", tmp_path / "a.md"
    )
    assert again == told
    assert (tmp_path / "a.md").read_text() == (folder / "out.md").read_text()
    picture = (tmp_path / "a.svg").read_text()
    assert "<svg" in picture
    assert (tmp_path / "a-growth.svg").exists()


@pytest.mark.parametrize("group", list(dict.fromkeys(case.group for case in all_cases())))
@pytest.mark.timeout(600)
def test_every_case_of_a_quick_run_is_measured(group, tmp_path):
    """With an emulated device; what needs a library that is not here is left out and told."""
    path = tmp_path / "out.json"
    expected = [case for case in all_cases() if case.quick and case.group == group]
    missing = peers.missing()
    missing.pop("CUDA device", None)
    able = {c.full_name for c in expected if not {c.sides[0].library, c.needs} & set(missing)}
    out = bench(
        "--quick", "--rounds", "1", "--filter", f"{group}/", "--json", path,
        code=0 if able else 1, DEVVIEW_EMULATE_CUDA="1",
    )  # fmt: skip
    if able:
        found = record.results(record.load(path))
        assert {result.full_name for result in found} == able
    for name in {c.sides[0].library for c in expected} & set(missing):
        assert f"missing: {name}: " in out[1]


def test_times_of_an_emulated_device_are_the_emulators():
    told, _ = bench(*TINY, "--filter", "device/within, dense", DEVVIEW_EMULATE_CUDA="1")
    assert "device: emulated: the times are the emulator's" in told


def test_without_a_device_its_cases_are_missing():
    _, errors = bench(*TINY, "--filter", "device/", code=1, CUDA_VISIBLE_DEVICES="")
    assert "missing: CUDA device: needs a CUDA device" in errors
    assert "no case was measured" in errors


def test_list_names_cases_promises_and_peers():
    told, _ = bench("--list", "--filter", "hand-over", "--filter", "argument")
    lines = told.splitlines()
    place = lines.index("hand-over/memoryview of a view")
    assert "memoryview(ndarray): at most 0.8" in lines[place + 1]
    assert any(line.startswith("here: NumPy ") for line in lines)
    if importlib.util.find_spec("nanobind_peer") is None:
        assert any(line.startswith("missing: nanobind: its module is built by") for line in lines)


def test_promised_are_those_with_a_bound():
    told, _ = bench("--list", "--promised", "--filter", "hand-over")
    names = [line for line in told.splitlines() if line.startswith("hand-over/")]
    promised = [c.full_name for c in all_cases() if c.group == "hand-over" and c.promises]
    assert set(names) <= set(promised)
    assert "hand-over/view of an ndarray" in names
    assert "hand-over/view of a bytearray" not in names


def test_list_needs_nothing_that_is_not_installed(monkeypatch, capsys):
    monkeypatch.setattr(command, "NEEDED", {"no_such_module": "nothing"})
    assert main("--list", "--filter", BYTES) == 0
    assert BYTES in capsys.readouterr().out


@pytest.mark.parametrize(
    ("absent", "arguments"),
    [
        ("pyperf", ()),
        ("rich", ("compare", "a.json", "b.json")),
        ("matplotlib", ("show", "a.json", "--plot", "a.png")),
    ],
)
def test_missing_extra_is_named(absent, arguments, monkeypatch, capsys):
    real = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == absent else real(name)
    )
    assert main(*arguments) == 1
    errors = capsys.readouterr().err
    assert f"needs {absent} (" in errors
    assert "pip install 'devview[bench]'" in errors


def test_missing_peer_is_told_with_its_reason(monkeypatch):
    nobody = {
        "Nobody": Peer("Nobody", "no_such_module", "nobody's-package"),
        "Folder": Peer("Folder", "no.such.module", "x", build="is built elsewhere"),
        "Device": Peer("Device", "json", "x", device=True),
    }
    monkeypatch.setattr(peers, "PEERS", nobody)
    monkeypatch.setattr(peers, "has_devices", lambda: False)
    assert peers.missing() == {
        "Nobody": "not installed (pip install nobody's-package)",
        "Folder": "is built elsewhere",
        "Device": "needs a CUDA device",
    }
    assert peers.installed() == {}


@pytest.mark.parametrize(
    "arguments",
    [("--rounds", "0"), ("--affinity", "x"), ("--threads", "-1"), ("compare", "one.json")],
)
def test_wrong_option_is_a_usage_error(arguments):
    _, errors = bench(*arguments, code=2)
    assert "usage: " in errors


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"benchmarks": 3}', "\0"])
def test_file_that_is_not_pyperfs_is_refused(content, tmp_path):
    path = tmp_path / "odd.json"
    path.write_text(content)
    _, errors = bench("show", path, code=1)
    assert errors.startswith(f"python -m devview bench: {path}: not a file of pyperf's")


def test_file_that_is_not_there_is_told(tmp_path):
    _, errors = bench("compare", tmp_path / "a.json", tmp_path / "b.json", code=1)
    assert str(tmp_path / "a.json") in errors


GOOGLE = {
    "context": {},
    "benchmarks": [
        {
            "name": name, "run_type": kind, "iterations": 10, "real_time": time,
            "cpu_time": 1.0, "time_unit": unit, **more,
        }
        for name, kind, time, unit, more in (
            ("transpose/manual_time", "iteration", 30.0, "us", {"vs_memcpy": 1.5}),
            ("transpose/manual_time", "iteration", 40.0, "us", {"vs_memcpy": 2.0}),
            ("transpose/manual_time_mean", "aggregate", 35.0, "us", {"vs_memcpy": 2.0}),
            ("plan", "iteration", 7.0, "ns", {}),
            ("broken", "iteration", 0.0, "ns", {"error_occurred": True}),
        )
    ],
}  # fmt: skip


@pytest.fixture
def program(tmp_path):
    """Return a program that answers as Google Benchmark's do."""

    def write(name: str, answer: str):
        path = tmp_path / name
        path.write_text(f"#!{sys.executable}\nprint('''{answer}''')\n")
        path.chmod(0o755)
        return path

    return write


def test_cpp_programs_stand_in_the_same_report(program, tmp_path):
    folder = program("copy_bench", json.dumps(GOOGLE)).parent
    path = tmp_path / "out.json"
    bench(*TINY, "--filter", "C++", "--cpp", folder, "--json", path)
    results = {result.full_name: result for result in record.results(record.load(path))}
    assert set(results) == {"C++ copy_bench/transpose", "C++ copy_bench/plan"}
    found = results["C++ copy_bench/transpose"]
    assert found.ours.values == pytest.approx((30e-6, 40e-6))
    assert found.timings["memcpy"].values == pytest.approx((20e-6, 20e-6))
    assert found.ratio("memcpy").median == pytest.approx(1.75)


def test_cpp_program_without_figures_is_told(program):
    path = program("odd_bench", "hello")
    _, errors = bench(*TINY, "--filter", "C++", "--cpp", path, code=1)
    assert f"{path}: no figures of Google Benchmark's: hello" in errors


def test_cpp_path_that_is_not_there_is_told(tmp_path):
    _, errors = bench(*TINY, "--filter", "C++", "--cpp", tmp_path / "gone", code=1)
    assert "neither a program nor a folder" in errors
    _, errors = bench(*TINY, "--filter", "C++", "--cpp", tmp_path, code=1)
    assert "no program named *_bench" in errors
