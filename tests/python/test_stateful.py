"""Random lives of views against a model in plain Python: counts, bytes, and who may be released."""

from __future__ import annotations

import gc
import os

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    invariant,
    precondition,
    rule,
)

import devview as dv
from support import CUDA_DEVICES, DEVICES

EXAMPLES = int(os.environ.get("DEVVIEW_TEST_EXAMPLES", "100"))


class Block:
    """The model of one allocation: its bytes, and what holds it."""

    def __init__(self, device, data: bytes, foreign: bool):
        self.device = device
        self.data = np.frombuffer(bytearray(data), "u1").reshape(-1, 4)
        self.foreign = foreign
        self.views = 0
        self.exports = 0
        self.releases = 0
        self.backing = None
        self.writers: list = []

    @property
    def alive(self) -> bool:
        return self.views + self.exports > 0


class Handle:
    """The model of one View: its block, the same window on the model's bytes, its exports."""

    def __init__(self, block: Block, view, window):
        self.block, self.view, self.window = block, view, window
        self.exports = 0
        self.released = False
        block.views += 1


class Export:
    """The model of one memoryview or staging of a View."""

    def __init__(self, handle, obj, kind, snapshot=None):
        self.handle, self.obj, self.kind, self.snapshot = handle, obj, kind, snapshot
        handle.exports += 1
        handle.block.exports += 1


def bounds(window) -> tuple:
    return np.lib.array_utils.byte_bounds(window)


class Lives(RuleBasedStateMachine):
    views = Bundle("views")
    exports = Bundle("exports")

    def __init__(self):
        super().__init__()
        gc.collect()
        self.blocks: list = []
        self.handles: list = []
        self.held: list = []
        self.before = {d: dv.memory_info(d) for d in DEVICES}
        self.live_before = len(dv.live())

    # --- Making ---

    @rule(target=views, device=st.sampled_from(DEVICES), data=st.binary(min_size=24, max_size=24))
    def make(self, device, data):
        v = dv.copy(data, device=device).reshape(6, 4)
        block = Block(device, data, foreign=False)
        self.blocks.append(block)
        return self.keep(Handle(block, v, block.data))

    @rule(target=views, device=st.sampled_from(("cpu", CUDA_DEVICES[0])))
    def make_from_pointer(self, device):
        block = Block(device, bytes(24), foreign=True)
        block.backing = dv.zeros(24, device=device)

        def release(stream):
            block.releases += 1

        v = dv.from_pointer(block.backing.ptr, (6, 4), "B", device=device, release=release)
        self.blocks.append(block)
        return self.keep(Handle(block, v, block.data))

    def keep(self, handle):
        self.handles.append(handle)
        return handle

    # --- Sub-views ---

    @rule(
        target=views,
        parent=views,
        start=st.integers(-7, 7),
        step=st.sampled_from((1, 2, -1, -3)),
        how=st.sampled_from(("rows", "columns", "transpose", "same")),
    )
    def derive(self, parent, start, step, how):
        key = {
            "rows": np.s_[start::step],
            "columns": np.s_[..., start::step],
            "same": np.s_[...],
            "transpose": None,
        }[how]
        if parent.released:
            with pytest.raises(ValueError, match="released"):
                parent.view.T if how == "transpose" else parent.view[key]
            return parent
        if how == "transpose":
            return self.keep(Handle(parent.block, parent.view.T, parent.window.T))
        return self.keep(Handle(parent.block, parent.view[key], parent.window[key]))

    # --- Reading and writing ---

    @rule(handle=views)
    def read(self, handle):
        if handle.released:
            with pytest.raises(ValueError, match="released"):
                handle.view.tobytes()
            return
        assert handle.view.tobytes() == handle.window.tobytes()
        assert handle.view.shape == handle.window.shape

    @rule(handle=views, value=st.integers(0, 255))
    def fill(self, handle, value):
        if handle.released:
            return
        handle.view.fill(value)
        handle.window[...] = value

    @rule(target=views, handle=views, device=st.sampled_from(DEVICES))
    def move(self, handle, device):
        if handle.released:
            return handle
        v = handle.view.to(device, copy=True)
        block = Block(device, bytes(0), foreign=False)
        block.data = handle.window.copy()
        self.blocks.append(block)
        return self.keep(Handle(block, v, block.data))

    # --- Exports ---

    @rule(target=exports, handle=views)
    def export(self, handle):
        if handle.released:
            with pytest.raises(ValueError, match="released"):
                memoryview(handle.view)
            return None
        return self.hold(
            Export(handle, memoryview(handle.view), "memoryview", handle.window.tobytes())
        )

    @rule(target=exports, handle=views, writable=st.booleans())
    def stage(self, handle, writable):
        if handle.released:
            return None
        copied = handle.block.device in CUDA_DEVICES
        if writable and copied and handle.window.size:
            low, high = bounds(handle.window)
            if any(low < h and lo < high for lo, h in handle.block.writers):
                with pytest.raises(BufferError):
                    handle.view.stage(writable=True)
                return None
        staging = handle.view.stage(writable=writable)
        m = staging.__enter__()
        kind = "writable staging" if writable else "staging"
        export = self.hold(Export(handle, (staging, m), kind, handle.window.tobytes()))
        if writable and copied and handle.window.size:
            handle.block.writers.append(bounds(handle.window))
        return export

    def hold(self, export):
        self.held.append(export)
        return export

    @rule(export=consumes(exports), value=st.integers(0, 255))
    def end_export(self, export, value):
        if export is None:
            return
        handle = export.handle
        copied = handle.block.device in CUDA_DEVICES
        m = export.obj if export.kind == "memoryview" else export.obj[1]
        assert m.tobytes() == (export.snapshot if copied else handle.window.tobytes())
        if export.kind == "memoryview":
            m.release()
        else:
            if export.kind == "writable staging":
                self.write_through(export, m, value, copied)
            export.obj[0].release()
        export.obj = None
        self.held.remove(export)
        handle.exports -= 1
        handle.block.exports -= 1
        self.check_freed(handle.block)

    @rule(handle=views, value=st.integers(0, 255))
    def edit(self, handle, value):
        """Stage, write one item and give back, all at once."""
        export = self.stage(handle, True)
        if export is not None:
            self.end_export(export, value)
            self.read(handle)

    def write_through(self, export, m, value, copied):
        window = export.handle.window
        if not window.size:
            return
        m[(0,) * m.ndim] = value
        if copied:
            # The whole snapshot goes back, over what was written meanwhile.
            new = np.frombuffer(export.snapshot, "u1").reshape(window.shape).copy()
            new[(0,) * new.ndim] = value
            window[...] = new
            export.handle.block.writers.remove(bounds(window))
        else:
            window[(0,) * window.ndim] = value

    # --- Ends ---

    @rule(handle=views)
    def release(self, handle):
        if handle.exports and not handle.released:
            with pytest.raises(BufferError, match=rf"\b{handle.exports} export"):
                handle.view.release()
            return
        handle.view.release()
        if not handle.released:
            handle.released = True
            handle.block.views -= 1
            self.check_freed(handle.block)

    @rule(handle=consumes(views))
    def drop(self, handle):
        """Let the object go; with exports it lives on in them."""
        if handle.exports or handle not in self.handles:
            return
        handle.view = dv.zeros(0)
        handle.view.release()
        if not handle.released:
            handle.released = True
            handle.block.views -= 1
            self.check_freed(handle.block)

    @precondition(lambda self: self.blocks)
    @rule()
    def resize_is_refused(self):
        block = next((b for b in self.blocks if b.alive and not b.foreign), None)
        handle = next((h for h in self.handles if h.block is block and not h.released), None)
        if handle is not None:
            with pytest.raises(BufferError, match=rf"\b{block.views} view"):
                handle.view.allocation.resize(100)

    @rule()
    def collect(self):
        gc.collect()

    def check_freed(self, block):
        if not block.alive:
            self.blocks.remove(block)
            if block.foreign:
                assert block.releases == 1
                block.backing.release()

    # --- What always holds ---

    @invariant()
    def counts_are_the_models(self):
        for block in self.blocks:
            handle = next((h for h in self.handles if h.block is block and not h.released), None)
            if handle is None:
                continue
            assert handle.view.allocation.views == block.views
            assert handle.view.allocation.exports == block.exports
            assert handle.view.exports == handle.exports
            assert block.releases == 0

    @invariant()
    def bytes_are_the_models(self):
        for device in DEVICES:
            info, before = dv.memory_info(device), self.before[device]
            mine = [b for b in self.blocks if b.device == device]
            owned = sum(b.data.nbytes for b in mine if not b.foreign)
            backing = sum(24 for b in mine if b.foreign)
            assert info.live_bytes == before.live_bytes + owned + backing
            assert info.foreign_bytes == before.foreign_bytes + backing
            assert info.exports == before.exports + sum(b.exports for b in mine)

    def teardown(self):
        for export in self.held:
            if export.kind == "memoryview":
                export.obj.release()
            else:
                export.obj[0].release()
            export.obj = None
        for handle in self.handles:
            handle.view.release()
        for block in self.blocks:
            if block.foreign:
                assert block.releases == 1
                block.backing.release()
        gc.collect()
        assert len(dv.live()) == self.live_before


TestLives = Lives.TestCase
TestLives.settings = settings(
    settings.get_profile("devview") if "devview" in settings._profiles else settings(),
    max_examples=EXAMPLES,
    stateful_step_count=40,
)
