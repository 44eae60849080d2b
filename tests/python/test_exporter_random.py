"""dv.Exporter under random use: exporters of exporters, cycles, releases that do as they please."""

from __future__ import annotations

import contextlib
import gc
import random
import typing
import weakref

import pytest

import devview as dv

REFUSALS = (ValueError, BufferError, RecursionError)


class Wild(dv.Exporter):
    """Its methods change their instance, collect garbage, keep or release what they are given."""

    draw = random.Random(0)
    calls: typing.ClassVar = {"asked": [], "returned": []}

    def __init__(self, other):
        self.data = bytearray(range(16))
        self.other = other
        self.bag = []

    def __buffer__(self, flags):
        chance = self.draw.random()
        if chance < 0.05:
            gc.collect(0)
        elif chance < 0.15:
            raise ValueError
        elif chance < 0.2:
            self.bag.clear()
        result = memoryview(self.data if self.other is None or chance < 0.7 else self.other)
        self.calls["asked"].append(1)  # += could lose one: a collection may run in between
        return result

    def __release_buffer__(self, buffer):
        self.calls["returned"].append(1)
        chance = self.draw.random()
        if chance < 0.2:
            buffer.release()
        elif chance < 0.3:
            self.bag.append(buffer)
        elif chance < 0.4:
            self.bag = []
        elif chance < 0.5:
            self.other = None


CONSUMERS = (memoryview, dv.view, lambda x: dv.get_buffer(x, dv.BufferFlags.SIMPLE))


@pytest.mark.parametrize("seed", range(4))
def test_random_use_leaves_nothing(seed):
    draw = Wild.draw = random.Random(seed)
    for calls in Wild.calls.values():
        calls.clear()
    pool, alive = [], weakref.WeakSet()
    threshold = gc.get_threshold()
    gc.set_threshold(50, 2, 2)
    try:
        for _ in range(3000):
            chance = draw.random()
            if chance < 0.3 or len(pool) < 3:
                pool.append(Wild(draw.choice(pool) if pool else None))
                alive.add(pool[-1])
            elif chance < 0.7:
                with contextlib.suppress(*REFUSALS):
                    export = draw.choice(CONSUMERS)(draw.choice(pool))
                    assert bytes(export) == bytes(range(16))
                    draw.choice(pool).bag.append(export)
            elif chance < 0.8:
                pool.pop(draw.randrange(len(pool)))
            elif chance < 0.9:
                draw.choice(pool).other = draw.choice(pool)
            elif bag := draw.choice(pool).bag:
                with contextlib.suppress(BufferError):
                    bag.pop(draw.randrange(len(bag))).release()
            if len(pool) > 60:
                del pool[:30]
    finally:
        gc.set_threshold(*threshold)
    export = bag = None
    pool.clear()
    for _ in range(3):
        gc.collect()
    assert len(alive) == 0
    assert len(Wild.calls["asked"]) == len(Wild.calls["returned"]) > 500
