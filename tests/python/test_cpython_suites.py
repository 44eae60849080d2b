"""CPython's test_memoryview and test_buffer pass with View standing in for memoryview."""

from __future__ import annotations

import builtins

import pytest

import cpython_suites

cpython_suites.require()

LOADED = {suite: cpython_suites.load(suite) for suite in cpython_suites.SUITES}
CASES = {
    f"{suite}.{name}": case
    for suite, module in LOADED.items()
    for name, case in cpython_suites.cases(module).items()
}
DEVIATIONS = [d for suite in cpython_suites.SUITES for d in cpython_suites.deviations_of(suite)]


@pytest.mark.parametrize("case", CASES)
def test_cpython_case(case):
    result = cpython_suites.run(CASES[case])
    assert result.testsRun == 1 or result.skipped  # 3.12.1 does not count what it skips
    assert not cpython_suites.problems(result), cpython_suites.problems(result)
    for _, reason in result.skipped:
        pytest.skip(f"CPython leaves it out: {reason}")


@pytest.mark.parametrize("deviation", DEVIATIONS, ids=lambda d: f"{d.function}: {d.expects}")
def test_every_deviation_is_needed(deviation):
    # As CPython wrote this one statement, everything else adapted: the case must fail.
    others = [d for d in cpython_suites.deviations_of(deviation.suite) if d != deviation]
    module = cpython_suites.load(deviation.suite, others)
    result = cpython_suites.run(cpython_suites.cases(module)[deviation.shown_by])
    assert cpython_suites.problems(result)


@pytest.mark.parametrize("suite", cpython_suites.SUITES)
def test_the_suites_pass_with_memoryview_itself(suite):
    # The oracle holds in this environment, and the loader adds nothing to it.
    module = cpython_suites.load(suite, (), standing_in=builtins.memoryview)
    for name, case in cpython_suites.cases(module).items():
        result = cpython_suites.run(case)
        assert not cpython_suites.problems(result), f"{name}: {cpython_suites.problems(result)}"


def test_the_suites_are_whole():
    # As many cases as CPython 3.10 has, and they reach View.
    assert len(CASES) >= 214
    assert all(module.memoryview.__name__ == "View" for module in LOADED.values())
