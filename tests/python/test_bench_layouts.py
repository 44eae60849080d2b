"""What copies are timed beside: the traffic of a layout, and the seeded random layouts."""

from __future__ import annotations

import math
import statistics

import numpy as np
import pytest

from devview.bench.cases import AGGREGATES, layouts, memory


class TestTraffic:
    @pytest.mark.parametrize(
        "take",
        [
            lambda a: a,
            lambda a: a.T,
            lambda a: a[:, ::2],
            lambda a: a[::-1, ::-3],
            lambda a: a[::5, 3:90:40],
            lambda a: a[:0],
            lambda a: np.broadcast_to(a[:1, :1], (9, 9)),
        ],
    )
    def test_lines_are_those_of_every_byte(self, take):
        a = take(np.zeros((40, 100), "f8"))
        touched = {
            (address + byte) // memory.LINE
            for index in np.ndindex(a.shape)
            for address in [
                a.ctypes.data + sum(i * s for i, s in zip(index, a.strides, strict=True))
            ]
            for byte in range(a.itemsize)
        }
        assert memory.lines_touched(a) == len(touched)

    def test_every_other_column_reads_every_line(self):
        whole = np.zeros((64, 1024), "f4")
        src = whole[:, ::2]
        lines = -(-whole.nbytes // memory.LINE)
        expected = (lines * memory.LINE + src.nbytes) // 2
        assert memory.traffic(np.empty(src.shape, "f4"), src) == pytest.approx(expected, abs=64)


PLANS = [layouts.plan(index) for index in range(layouts.COUNT)]


class TestLayouts:
    def test_they_are_the_same_everywhere(self):
        assert PLANS[0] == layouts.plan(0)
        assert layouts.plan(2) == layouts.Plan(
            "u1", (79, 80, 126), (-1, 1, 1), (1, 0, 2), (0, 1, 2), None
        )

    def test_all_kinds_occur(self):
        assert {len(plan.shape) for plan in PLANS} == {1, 2, 3, 4, 5, 6}
        assert {plan.dtype for plan in PLANS} == set(layouts.DTYPES)
        assert {step for plan in PLANS for step in plan.steps} == set(layouts.STEPS)
        assert any(plan.source != tuple(sorted(plan.source)) for plan in PLANS)
        assert any(plan.target != tuple(sorted(plan.target)) for plan in PLANS)
        assert 10 < sum(plan.repeated is not None for plan in PLANS) < 50

    def test_sizes_are_bounded_and_spread(self):
        taken = [plan.nbytes for plan in PLANS]
        steps = [math.prod(abs(step) for step in plan.steps) for plan in PLANS]
        whole = [size * by for size, by in zip(taken, steps, strict=True)]
        assert max(whole) <= layouts.MEMORY
        assert max(taken) <= layouts.LARGEST
        assert min(taken) > layouts.SMALLEST / 4
        middle = statistics.median(math.log2(size) for size in taken)
        assert middle == pytest.approx(math.log2(layouts.SMALLEST * layouts.LARGEST) / 2, abs=1)

    def test_promises_of_the_group(self):
        assert {str(a.promise) for a in AGGREGATES} == {"speed at least 0.95", "speed at least 0.8"}
