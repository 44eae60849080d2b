"""The harness' parts: turns, spreads, promises, comparison of files, processes that die."""

from __future__ import annotations

import signal
import sys
from dataclasses import replace

import pytest

from clients.contract import require

require("pyperf", "pyperf")
require("numpy", "numpy")

from devview.__main__ import parser  # noqa: E402
from devview.bench import clock, command, compare, record, report, runner, worker  # noqa: E402
from devview.bench.case import Aggregate, Case, Promise, Side  # noqa: E402
from devview.bench.cases import all_cases  # noqa: E402
from devview.bench.clock import Pace, Samples, in_turn, loop_length, rounds_of  # noqa: E402

SIDES = (Side("devview", "a", "ours"), Side("peer", "b"), Side("memcpy", "c", "limit"))
CASE = Case("group", "case", SIDES, lambda quick: {}, (Promise("peer", at_most=0.7),))


def result_of(case=CASE, quick=False, **values):
    """Return what a file would hold of a case with these rounds, by side."""
    samples = {label: Samples(1, [], list(taken)) for label, taken in values.items()}
    benchmarks: dict = {}
    record.merge(benchmarks, record.dump_case(case, samples, {"devview_version": "0"}, quick))
    (found,) = record.results(benchmarks.values())
    return found


def write(path, **values):
    """Write a file of one case."""
    samples = {label: Samples(1, [], list(taken)) for label, taken in values.items()}
    text = record.dump_case(CASE, samples, {"devview_version": "0"}, False)
    path.write_text(text)
    return path


def steady(value: float, noise: float = 0.001) -> list[float]:
    """Return rounds about a value."""
    return [value * (1 + noise * k) for k in (-2, -1, 0, 1, 2)]


class TestClock:
    def test_sides_take_turns_and_each_begins_once(self):
        order = []

        def side(name):
            def loop(number):
                order.append(name)
                return number * 1e-3

            return loop

        samples = in_turn({name: side(name) for name in "abc"}, Pace(rounds=4, least=4))
        turns = order[-12:]
        assert ["".join(turns[k : k + 3]) for k in range(0, 12, 3)] == ["abc", "bca", "cab", "abc"]
        assert {len(taken.values) for taken in samples.values()} == {4}
        assert {len(taken.warmups) for taken in samples.values()} == {1}

    def test_values_are_of_one_call(self):
        samples = in_turn({"a": lambda number: number * 2e-6}, Pace(rounds=3))
        assert samples["a"].values == pytest.approx([2e-6] * 3)
        assert samples["a"].loops == pytest.approx(150, abs=1)

    def test_an_interrupted_call_makes_no_loop_of_single_calls(self):
        taken = iter([1.0])
        assert loop_length(lambda number: next(taken, number * 1e-6), 0.0003) == 300

    def test_long_cases_get_fewer_rounds_but_not_too_few(self):
        pace = Pace(rounds=100, case_seconds=2.0, least=7)
        assert rounds_of(pace, 0.001) == 100
        assert rounds_of(pace, 0.1) == 20
        assert rounds_of(pace, 10.0) == 7
        assert rounds_of(replace(pace, rounds=3), 10.0) == 3

    def test_a_clock_that_stands_still_gives_no_zero(self):
        samples = in_turn({"a": lambda number: 0.0 if number < 5 else 1.0}, Pace(rounds=2))
        assert all(value > 0 for value in samples["a"].values)

    def test_device_clock_reads_events(self):
        class Event:
            def __init__(self, at):
                self.at = at

            def synchronize(self):
                waited.append(self.at)

            def elapsed(self, other):
                return other.at - self.at

        waited, times = [], iter([10.0, 13.0])
        stream = type("S", (), {"record": lambda self: Event(next(times))})()
        loop = clock.statement_loop(
            "ran.append(1)", {"stream": stream, "ran": (ran := [])}, "device"
        )
        assert loop(4) == pytest.approx(3e-3)
        assert len(ran) == 4
        assert waited == [13.0]


class TestWorker:
    def test_results_that_differ_are_not_timed(self):
        case = replace(CASE, make=lambda quick: {"a": 1, "b": 2, "c": 3, "check": lambda: False})
        with pytest.raises(ValueError, match="group/case: the sides' results differ"):
            worker.measure(case, Pace(), True, set())

    def test_a_side_without_its_library_is_left_out(self):
        sides = (*SIDES, Side("other", "missing_name", library="Other"))
        case = replace(CASE, sides=sides, make=lambda quick: {"a": 1, "b": 2, "c": 3})
        assert set(worker.measure(case, Pace(rounds=1), True, set())) == {
            "devview",
            "peer",
            "memcpy",
        }

    def test_an_exception_is_told_in_the_cases_place(self):
        told = []
        job = {
            "affinity": [],
            "modules": [],
            "libraries": [],
            "pace": {},
            "quick": True,
            "facts": {},
            "processor": False,
        }
        worker.serve(
            job | {"cases": ["no such case", "hand-over/view of a bytearray"]}, told.append
        )
        starts = [line["start"] for line in told[::2]]
        assert starts == ["no such case", "hand-over/view of a bytearray"]
        assert told[1]["error"].startswith("KeyError")
        assert "suite" in told[3]


DYING = """#!{python}
import json, os, signal, sys
cases = json.load(sys.stdin)["cases"]
for name in cases:
    print(json.dumps({{"start": name}}), flush=True)
    if name.endswith("1"):
        os.kill(os.getpid(), signal.{signal})
    print(json.dumps({{"case": name, "error": "measured"}}), flush=True)
"""


class TestRunner:
    @pytest.fixture
    def cases(self):
        return [replace(CASE, name=f"case {k}") for k in range(3)]

    def become(self, monkeypatch, tmp_path, script):
        path = tmp_path / "worker"
        path.write_text(script)
        path.chmod(0o755)
        monkeypatch.setattr(sys, "executable", str(path))

    def test_a_case_that_ends_its_process_ends_no_other(self, cases, monkeypatch, tmp_path):
        script = DYING.format(python=sys.executable, signal="SIGKILL")
        self.become(monkeypatch, tmp_path, script)
        events = []
        found = runner.run(
            cases,
            runner.Plan(Pace(), processes=2),
            lambda what, case: events.append((what, case.name)),
        )
        assert found.failed == {
            "group/case 0": "measured",
            "group/case 1": "its process was ended by SIGKILL",
            "group/case 2": "measured",
        }
        assert events.count(("done", "case 1")) == 1  # what failed is not tried again

    def test_a_worker_that_cannot_start_is_an_error(self, cases, monkeypatch, tmp_path):
        self.become(monkeypatch, tmp_path, "#!/bin/sh\nexit 3\n")
        with pytest.raises(RuntimeError, match="status 3"):
            runner.run(cases, runner.Plan(Pace()), lambda what, case: None)

    def test_endings_are_named(self):
        assert runner.ending(-signal.SIGSEGV) == "its process was ended by SIGSEGV"
        assert runner.ending(1) == "its process ended with status 1"

    def test_what_misses_is_measured_again_as_often_as_it_says(self, cases, monkeypatch):
        late = replace(CASE, name="late", rechecks=3)
        figures = iter([steady(1.0), steady(1.0), steady(0.5), steady(0.1)])
        asked = []

        def measured(chosen, plan, progress):
            for case in chosen:
                asked.append(case.name)
                ours = next(figures) if case is late else steady(9.0)
                samples = {"devview": Samples(1, [], ours), "peer": Samples(1, [], steady(1.0))}
                yield case, record.dump_case(case, samples, {}, False), ""

        monkeypatch.setattr(runner, "measured", measured)
        found = runner.run([CASE, late], runner.Plan(Pace(), processes=1), lambda *event: None)
        assert asked == [
            "case",
            "late",
            "late",
            "late",
        ]  # until it is kept; never what does not ask
        by_name = {result.name: result for result in record.results(found.benchmarks.values())}
        assert by_name["late"].ratio("peer").median == pytest.approx(0.5)


class TestPromises:
    @pytest.mark.parametrize(
        ("promise", "kept", "broken", "bound"),
        [
            (Promise("x", at_most=0.7), 0.7, 0.71, 0.7),
            (Promise("x", at_least=0.8), 1.25, 1.26, 1.25),
            (Promise("x", at_least=20), 0.05, 0.051, 0.05),
        ],
    )
    def test_bounds(self, promise, kept, broken, bound):
        assert promise.met(kept)
        assert not promise.met(broken)
        assert promise.bound == pytest.approx(bound)

    def test_median_decides(self):
        assert result_of(devview=[0.6, 0.6, 9.0], peer=[1, 1, 1]).missed() == []
        assert result_of(devview=[0.8, 0.8, 0.1], peer=[1, 1, 1]).missed() == list(CASE.promises)

    def test_promise_to_a_peer_that_is_missing_is_not_broken(self):
        assert result_of(devview=[5.0], memcpy=[1.0]).missed() == []

    def test_quick_runs_of_scaled_cases_promise_nothing(self):
        case = replace(CASE, scaled=True)
        assert result_of(case, quick=True, devview=[9.0], peer=[1.0]).missed() == []
        assert result_of(case, quick=False, devview=[9.0], peer=[1.0]).missed() != []

    def test_groups_keep_theirs_by_the_worst_and_by_the_mean(self):
        plain = replace(CASE, promises=())
        results = [
            result_of(replace(plain, name=str(k)), devview=[ours], peer=[1.0], memcpy=[1.0])
            for k, ours in enumerate((0.5, 1.0, 2.0))
        ]
        worst = Aggregate("group", "worst", "worst", Promise("peer", at_least=0.5))
        mean = Aggregate("group", "mean", "mean", Promise("memcpy", at_least=1.0))
        assert report.missed(results, [worst, mean]) == []
        worst, mean = (
            replace(worst, promise=Promise("peer", at_least=0.51)),
            replace(mean, promise=Promise("memcpy", at_least=1.01)),
        )
        assert report.missed(results, [worst, mean]) == [
            "group, worst to peer: 0.50, promised speed at least 0.51",
            "group, mean to memcpy: 1.00, promised speed at least 1.01",
        ]

    def test_every_promise_is_to_a_side_of_its_case(self):
        for case in all_cases():
            labels = {side.label for side in case.sides if side.role in ("peer", "limit")}
            assert {promise.to for promise in case.promises} <= labels
            assert sum(side.role == "ours" for side in case.sides) == 1
        assert len({case.full_name for case in all_cases()}) == len(all_cases())

    def test_status_tells_of_a_missed_promise(self, tmp_path):
        def show(path, *options):
            arguments = parser().parse_args(["bench", "show", str(path), *options])
            return command.main(arguments)

        kept = write(tmp_path / "kept.json", devview=[0.5], peer=[1.0])
        missed = write(tmp_path / "missed.json", devview=[0.9], peer=[1.0])
        assert show(kept, "--check") == 0
        assert show(missed) == 0
        assert show(missed, "--check") == 1


OLD = {"devview": steady(100e-9), "peer": steady(200e-9), "memcpy": steady(50e-9)}


class TestCompare:
    def run(self, tmp_path, capsys, fail_over=None, **new):
        code = compare.main(
            write(tmp_path / "old.json", **OLD),
            write(tmp_path / "new.json", **(OLD | new)),
            fail_over,
        )
        return code, capsys.readouterr().out

    def test_planted_slow_down_is_found(self, tmp_path, capsys):
        code, told = self.run(tmp_path, capsys, devview=steady(150e-9))
        assert code == 0
        assert told.splitlines()[0] == (
            "slower: group/case: 100 ns -> 150 ns, x 1.50, "
            "in ratio to peer x 1.50, memcpy x 1.50 (noise x 1.02)"
        )
        assert told.splitlines()[-1] == "1 slower, 0 faster, 0 alike, of 1 in both files"

    @pytest.mark.parametrize(("factor", "code"), [(1.1, 1), (1.49, 1), (1.6, 0)])
    def test_status_by_factor(self, factor, code, tmp_path, capsys):
        assert self.run(tmp_path, capsys, factor, devview=steady(150e-9))[0] == code

    def test_speed_up_is_told_and_no_failure(self, tmp_path, capsys):
        code, told = self.run(tmp_path, capsys, 1.1, devview=steady(50e-9))
        assert code == 0
        assert told.startswith("faster: group/case: 100 ns -> 50 ns, x 0.50")

    def test_slower_machine_is_no_slow_down(self, tmp_path, capsys):
        slower = {label: [2 * value for value in taken] for label, taken in OLD.items()}
        code, told = self.run(tmp_path, capsys, 1.1, **slower)
        assert (code, told) == (0, "0 slower, 0 faster, 1 alike, of 1 in both files\n")

    def test_faster_peer_is_no_slow_down(self, tmp_path, capsys):
        code, told = self.run(tmp_path, capsys, 1.1, peer=steady(20e-9))
        assert (code, told) == (0, "0 slower, 0 faster, 1 alike, of 1 in both files\n")

    def test_sides_that_disagree_are_no_slow_down(self, tmp_path, capsys):
        new = {"devview": steady(150e-9), "peer": steady(400e-9)}
        code, told = self.run(tmp_path, capsys, 1.1, **new)
        assert (code, told) == (0, "0 slower, 0 faster, 1 alike, of 1 in both files\n")

    def test_change_within_the_noise_is_none(self, tmp_path, capsys):
        code, told = self.run(tmp_path, capsys, 1.1, devview=steady(115e-9, noise=0.2))
        assert code == 0
        assert told.startswith("0 slower")

    def test_what_processes_differ_by_is_noise(self, tmp_path, capsys):
        def write_runs(path, ours):
            benchmarks: dict = {}
            for value in ours:
                samples = {"devview": Samples(1, [], steady(value))}
                record.merge(benchmarks, record.dump_case(CASE, samples, {}, False))
            record.save(path, benchmarks.values())
            return path

        old = write_runs(tmp_path / "old.json", [90e-9, 100e-9, 140e-9])
        new = write_runs(tmp_path / "new.json", [110e-9, 115e-9, 120e-9])
        assert compare.main(old, new, 1.1) == 0
        assert capsys.readouterr().out.startswith("0 slower")
        assert compare.main(old, write_runs(tmp_path / "new.json", [190e-9] * 3), 1.1) == 1

    def test_cases_of_one_file_are_named(self, tmp_path, capsys):
        other = replace(CASE, name="other")
        samples = {"devview": Samples(1, [], [1.0])}
        (tmp_path / "new.json").write_text(record.dump_case(other, samples, {}, False))
        old = write(tmp_path / "old.json", **OLD)
        assert compare.main(old, tmp_path / "new.json", 1.1) == 0
        told = capsys.readouterr().out
        assert "only in the old file: group/case (" in told
        assert "only in the new file: group/other (" in told

    def test_quick_and_whole_runs_are_not_compared(self, tmp_path, capsys):
        samples = {"devview": Samples(1, [], [1.0])}
        (tmp_path / "new.json").write_text(record.dump_case(CASE, samples, {}, True))
        assert compare.main(write(tmp_path / "old.json", **OLD), tmp_path / "new.json", 1.1) == 0
        told = capsys.readouterr().out
        assert "only in the new file: group/case (quick 1, " in told
        assert "of 0 in both files" in told


class TestRatios:
    def test_net_ratio_leaves_out_each_sides_empty_call(self):
        sides = (
            Side("devview", "a", "ours"),
            Side("peer", "b"),
            Side("devview, empty", "c", "base", of="devview"),
            Side("peer, empty", "d", "base", of="peer"),
        )
        case = replace(CASE, sides=sides, promises=())
        values = {"devview": [5.0], "peer": [4.0], "devview, empty": [3.0], "peer, empty": [3.0]}
        found = result_of(case, **values)
        assert found.ratio("peer").median == 1.25
        assert found.net_ratio("peer").median == 2.0
        assert result_of(devview=[5.0], peer=[4.0]).net_ratio("peer") is None

    def test_spread(self):
        spread = record.Spread.of(range(1, 102))
        assert (spread.median, spread.low, spread.high, spread.deviation) == (51, 11, 91, 25)
