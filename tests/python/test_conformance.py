"""The malformed matrix: devview passes it, and what is wrong with other importers is found."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from devview.conformance import matrix
from devview.conformance.__main__ import EMULATED, main
from devview.conformance.case import ACCEPT, RAISE, REFUSE, Memory
from devview.conformance.judge import ACCEPTED, CRASHED, KINDS, LOST, REFUSED, RELEASED
from devview.conformance.run import chosen, run, totals
from devview.conformance.supervise import Supervisor
from devview.conformance.target import TargetError, load

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def importers_in_workers(monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    path = [str(Path(__file__).parent), *filter(None, sys.path)]
    monkeypatch.setenv("PYTHONPATH", ":".join(path))


def faults(importer, only, family="dlpack", **options):
    """Return the kinds of faults of the one case that `only` names."""
    cases = [case for case in chosen([family]) if case.name == only]
    assert len(cases) == 1
    (result,) = run(f"importers:{importer}", cases, **options)
    assert not result.unspoken, result.unspoken
    (verdict,) = result.verdicts
    return {kind for kind, _ in verdict.faults}, verdict


# --- The matrix itself ---


def test_there_are_more_than_200_cases_and_no_two_are_one():
    cases = matrix.cases()
    assert len({(case.family, case.name) for case in cases}) == len(cases)
    malformed = Counter(case.family for case in cases if case.expect in (REFUSE, RAISE))
    assert set(malformed) == set(matrix.FAMILIES)
    # What two families share word by word is one case for this count.
    assert len({case.name for case in cases if case.expect in (REFUSE, RAISE)}) > 200


@pytest.mark.parametrize("family", matrix.FAMILIES)
def test_each_family_has_legal_oddities_too(family):
    expected = Counter(case.expect for case in matrix.cases() if case.family == family)
    assert expected[ACCEPT] >= 3
    assert expected[REFUSE] >= 20


def test_every_producer_can_be_made_and_dropped_unused():
    memory = Memory(lambda nbytes: (1 << 40, None))
    for case in matrix.cases():
        probe = case.make(memory)
        assert probe.producer is not None, case.name
        probe.producer = None
        assert [fault for release in probe.releases for fault in release.faults(True)] == []


# --- devview ---


@pytest.mark.parametrize("family", matrix.FAMILIES)
def test_devview_passes(family):
    (result,) = run("devview:view", chosen([family]), EMULATED, seconds=60)
    assert result.unspoken == ""
    assert result.left_out == 0
    assert [(v.name, v.faults) for v in result.failed] == []
    assert len(result.verdicts) == sum(case.family == family for case in matrix.cases())


# --- Oracles: what is legal is accepted, counts are right ---


def test_a_strict_importer_in_python_passes():
    results = run("importers:strict", chosen(["dlpack", "dlpack-legacy"]), seconds=60)
    assert [(v.family, v.name, v.faults) for r in results for v in r.failed] == []
    assert totals(results)["cases"] > 150


def test_memoryview_takes_every_legal_buffer_and_gives_each_back():
    (result,) = run("builtins:memoryview", chosen(["buffer"]), seconds=60)
    assert not result.unspoken
    assert result.count(REFUSED) == result.count(RELEASED) == result.count(LOST) == 0
    assert result.count(ACCEPTED) > 40  # it reads no format
    refused = {verdict.name for verdict in result.verdicts if verdict.outcome == "refused"}
    # Released with an exception pending, which no callback of ours may lose.
    assert "ndim 65" in refused


def test_numpy_takes_every_legal_array_interface():
    if tuple(map(int, np.__version__.split(".")[:2])) < (2, 4):
        pytest.skip("NumPy before 2.4 refuses no items at NULL, and crashes without a shape")
    target = "devview.conformance.peers:numpy_asarray"
    (result,) = run(target, chosen(["array-interface"]), seconds=60)
    assert not result.unspoken
    assert result.count(REFUSED) == result.count(RELEASED) == result.count(CRASHED) == 0


# --- What the harness finds ---


@pytest.mark.parametrize(
    ("importer", "case", "kinds"),
    [
        ("crashing", "ndim -1", {CRASHED}),
        ("exiting", "ndim -1", {CRASHED}),
        ("believing", "extent -1", {ACCEPTED}),
        ("late", "extent -1", {ACCEPTED}),
        ("leaking", "extent -1", {RELEASED}),
        ("deleting_once", "extent -1", set()),
        ("deleting_twice", "extent -1", {RELEASED}),
        ("keeping_the_name", "is-copied", {RELEASED}),
        ("early", "read-only", {RELEASED}),
        ("writable", "read-only", {ACCEPTED}),
        ("losing", "__dlpack__ raises KeyError", {LOST}),
        ("losing", "__dlpack__ raises its own exception", {LOST}),
        ("losing", "__dlpack__ raises BufferError", set()),
        ("following", "shape overwritten afterwards", {ACCEPTED}),
        ("printing", "ndim -1", set()),
        ("strict", "deleter NULL", set()),
    ],
)
def test_each_defect_is_found(importer, case, kinds):
    assert faults(importer, case)[0] == kinds


def test_a_late_error_is_told_as_one():
    _, verdict = faults("late", "extent -1")
    assert verdict.faults == [(ACCEPTED, "late: strides: ValueError: an extent is negative")]


def test_a_hang_is_ended():
    found, verdict = faults("hanging", "ndim -1", seconds=3)
    assert found == {CRASHED}
    assert verdict.outcome == "hung"


def test_cases_after_a_crash_go_on_in_a_new_process():
    cases = [case for case in chosen(["dlpack"]) if case.name.startswith("ndim -")]
    with Supervisor("importers:crashing") as supervisor:
        verdicts = list(supervisor.run([*cases, matrix.good("dlpack"), cases[0]]))
    assert [verdict.outcome for verdict in verdicts] == [
        *("crashed", "refused", "accepted", "crashed")
    ]
    assert "SIGSEGV" in verdicts[0].note


@pytest.mark.parametrize("importer", ["hoarding", "hoarding_arrays"])
def test_a_producer_that_is_kept_is_found(importer):
    family = "array-interface" if importer == "hoarding_arrays" else "dlpack"
    with Supervisor(f"importers:{importer}") as supervisor:
        assert supervisor.ask(matrix.good(family)).faults == [(RELEASED, "the producer is kept")]


# --- The command ---


def command(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "devview.conformance", *arguments],
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_command_tells_failures_and_fails(tmp_path):
    file = tmp_path / "told.json"
    result = command(
        "importers:believing", "--only", "extent -1", "--family", "dlpack", "--json", str(file)
    )
    assert result.returncode == 1, result.stderr
    assert "dlpack: extent -1: wrongly accepted: accepted" in result.stdout
    told = json.loads(file.read_text(encoding="utf-8"))
    assert told["totals"]["cases"] == len(told["families"][0]["verdicts"]) == 2
    assert {kind: told["totals"][kind] for kind in KINDS} == {
        **dict.fromkeys(KINDS, 0),
        ACCEPTED: 2,
    }


def test_the_command_succeeds_where_nothing_failed(capsys):
    assert main(["importers:strict", "--family", "dlpack-legacy", "--verbose"]) == 0
    told = capsys.readouterr().out
    assert "dlpack-legacy: ndim -1: refused (BufferError: ndim)" in told
    assert "FAILED" not in told


def test_protocols_that_are_not_spoken_are_told(capsys):
    assert main(["importers:strict", "--only", "ndim 65"]) == 0
    told = capsys.readouterr().out
    assert "buffer: not spoken (BufferError: __dlpack__ is not offered)" in told


def test_an_importer_that_speaks_nothing_is_a_usage_error(capsys):
    assert main(["importers:nothing", "--only", "ndim 65"]) == 2
    assert "views none" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("target", "why"),
    [
        ("importers", "not MODULE:FUNCTION"),
        ("importers:", "not MODULE:FUNCTION"),
        ("no_such_module:view", "cannot be imported"),
        ("importers:no_such_function", "has no"),
        ("importers:not_callable", "cannot be called"),
    ],
)
def test_a_wrong_target_is_a_usage_error(target, why, capsys):
    assert main([target, "--only", "ndim 65"]) == 2
    assert why in capsys.readouterr().err


def test_no_target_and_no_case_are_usage_errors():
    for arguments in ([], ["devview:view", "--only", "no such case"]):
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        assert ended.value.code == 2


def test_targets_may_be_methods():
    import pathlib

    assert load("pathlib:Path.cwd") == pathlib.Path.cwd
    with pytest.raises(TargetError):
        load("pathlib:Path.nowhere")


def test_the_list_shows_every_case(capsys):
    assert main(["--list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(matrix.cases())
    assert "dlpack: ndim -1 (a negative number of axes): must be refused" in lines


def test_the_pages_tell_the_number_of_cases():
    for page in ("README.md", "docs/conformance.md"):
        text = (ROOT / page).read_text(encoding="utf-8")
        assert f"{len(matrix.cases())} cases" in text, page
