"""Run one case against an importer and tell what is wrong."""

from __future__ import annotations

import contextlib
import gc
import weakref
from dataclasses import asdict, dataclass, field
from typing import Any

from .case import ACCEPT, RAISE, REFUSE, Case, Memory, Probe, quiet

# What a consumer looks at without reading an item.
LOOKED_AT = (
    *("ndim", "shape", "strides", "itemsize", "nbytes", "size", "dtype", "format", "device"),
    *("readonly", "ptr", "is_device_accessible", "device_id"),
)
# The kinds of faults, as the report counts them.
CRASHED, ACCEPTED, REFUSED, RELEASED, LOST = (
    "crashed",
    "wrongly accepted",
    "wrongly refused",
    "not released once",
    "exception lost",
)
KINDS = (CRASHED, ACCEPTED, REFUSED, RELEASED, LOST)
# A producer that raises one of these says "I cannot": an importer may refuse in its own words.
REFUSALS = (BufferError, ValueError, TypeError, AttributeError)


@dataclass
class Verdict:
    """What came of one case: faults are pairs of a kind and a sentence."""

    family: str
    name: str
    outcome: str = "refused"
    note: str = ""
    faults: list[tuple[str, str]] = field(default_factory=list)
    copied: bool = False

    def fault(self, kind: str, told: str) -> None:
        """Add a fault."""
        self.faults.append((kind, told))

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return asdict(self)


def told(error: BaseException) -> str:
    """Return an exception in one line of bounded length."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}"[:200]


def judge(case: Case, importer, memory: Memory, copies: bool = False) -> Verdict:
    """Run `case`; `copies`: the importer is known to copy, so early releases are its right."""
    memory.reset()
    verdict = Verdict(case.family, case.name)
    probe = case.make(memory)
    held: list[Any] = []
    error: BaseException | None = None
    try:
        held.append(probe.drive(importer) if probe.drive else importer(probe.producer))
        if held[0] is probe.producer:
            raise TypeError("the importer gave the object itself back, no view of it")
    except BaseException as raised:
        error = raised
        held.clear()
    if error is None:
        verdict.outcome = "accepted"
        _look(case, probe, held[0], verdict, copies)
        if probe.drop is not None:
            probe.drop(held)
        held.clear()
    else:
        verdict.note = told(error)
        if case.expect is ACCEPT:
            verdict.fault(REFUSED, verdict.note)
    _judge_exception(case, probe, error, verdict)
    for held_by in (error, probe.raised):  # their frames hold the producer
        if held_by is not None:
            held_by.__traceback__ = None
        if isinstance(held_by, AttributeError) and hasattr(held_by, "obj"):
            held_by.obj = None
    error = held_by = None
    _judge_release(probe, verdict)
    return verdict


def _look(case: Case, probe: Probe, result, verdict: Verdict, copies: bool) -> None:
    """Look at what was accepted as a consumer would."""
    early = any(release.early for release in probe.releases)
    verdict.copied = early
    if early and not copies and case.name != "good":
        verdict.fault(RELEASED, "released while the result was alive")
    if probe.accepted is not None:
        probe.accepted(result)
    late = _late_error(result)
    if case.expect is REFUSE:
        verdict.fault(ACCEPTED, f"late: {late}" if late else "accepted")
    elif late:
        verdict.fault(ACCEPTED, f"late: {late}")
    else:
        for difference in _differences(probe, result):
            verdict.fault(ACCEPTED, difference)


def _late_error(result) -> str:
    for name in LOOKED_AT:
        try:
            with quiet():
                getattr(result, name)
        except Exception as error:
            return f"{name}: {told(error)}"
    return ""


def _differences(probe: Probe, result) -> list[str]:
    """Return how the result differs from what the producer told."""
    if probe.shape is not None:
        shape = getattr(result, "shape", None)  # not every importer's result shows one
        if shape is not None and tuple(shape) != probe.shape:
            return [f"shape {tuple(shape)}, told {probe.shape}"[:200]]
    if probe.readonly and _readonly(result) is False:
        return ["read-only memory became writable"]
    if probe.items is not None:
        with quiet():
            items = result.tolist()
            if items != probe.items:
                return [f"items {items}, told {probe.items}"[:200]]
    return []


def _readonly(result) -> bool | None:
    """Return whether the result says that it is read-only; None where it cannot."""
    with quiet():
        return bool(result.readonly)
    with quiet():
        return not result.flags.writeable
    return None


def _judge_exception(
    case: Case, probe: Probe, error: BaseException | None, verdict: Verdict
) -> None:
    raised = probe.raised
    if case.expect is not RAISE or raised is None or isinstance(raised, REFUSALS):
        return
    lost = [release.lost for release in probe.releases if getattr(release, "lost", None)]
    if error is None:
        verdict.fault(LOST, f"{type(raised).__name__} was swallowed")
    elif error is not raised and raised not in lost:
        verdict.fault(LOST, f"{type(raised).__name__} became {told(error)}")


def _judge_release(probe: Probe, verdict: Verdict) -> None:
    refused = verdict.outcome == "refused"
    producer = None
    with contextlib.suppress(TypeError):  # a type without weak references
        producer = weakref.ref(probe.producer)
    probe.producer = probe.drive = probe.accepted = probe.drop = None
    if _release_faults(probe, producer, refused):
        gc.collect()
    for fault in _release_faults(probe, producer, refused):
        verdict.fault(RELEASED, fault)
    for fault in probe.unmask():
        verdict.fault(ACCEPTED, fault)


def _release_faults(probe: Probe, producer: weakref.ref | None, refused: bool) -> list[str]:
    faults = [fault for release in probe.releases for fault in release.faults(refused)]
    if producer is not None and producer() is not None:
        faults.append("the producer is kept")
    return faults
