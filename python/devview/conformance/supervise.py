"""Run cases in worker processes: restart one that crashed, kill one that hangs."""

from __future__ import annotations

import contextlib
import json
import queue
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterable, Iterator
from typing import Any

from .case import Case
from .judge import CRASHED, Verdict
from .target import TargetError

START_LIMIT = 120.0  # [s] imports of a peer, on a busy machine


class Worker:
    """One process and the answers it gives."""

    def __init__(self, target: str, device_memory: str):
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the worker
        self.process = subprocess.Popen(
            [sys.executable, "-m", f"{__package__}.worker", target, device_memory],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            text=True,
            encoding="utf-8",
        )
        self._answers: queue.Queue[str | None] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()
        ready = self.answer(START_LIMIT)
        if ready is None or "error" in ready:
            why = (ready or {}).get("error") or f"no importer could be started: {self.end()}"
            self.close()
            raise TargetError(why)

    def _read(self) -> None:
        for line in self.process.stdout:
            self._answers.put(line)
        self._answers.put(None)

    def answer(self, seconds: float) -> dict[str, Any] | None:
        """Return the next answer; None where the process is gone. Raises queue.Empty."""
        line = self._answers.get(timeout=seconds)
        return None if line is None else json.loads(line)

    def ask(self, case: Case, copies: bool, seconds: float) -> Verdict:
        """Return the verdict of one case, a crash or a hang included."""
        asked = {"family": case.family, "name": case.name, "copies": copies}
        try:
            self.process.stdin.write(json.dumps(asked) + "\n")
            self.process.stdin.flush()
            told = self.answer(seconds)
        except queue.Empty:
            self.close()
            return self._lost(case, "hung", f"no answer within {seconds:g} s")
        except BrokenPipeError:
            told = None
        if told is None:
            return self._lost(case, "crashed", self.end())
        told = told["verdict"]
        return Verdict(**{**told, "faults": [tuple(fault) for fault in told["faults"]]})

    def _lost(self, case: Case, outcome: str, why: str) -> Verdict:
        return Verdict(case.family, case.name, outcome, why, [(CRASHED, why)])

    def end(self) -> str:
        """Return how the process ended: its signal or code, and its last words."""
        code = self.process.wait()
        try:
            told = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        except ValueError:
            told = f"signal {-code}"
        self._stderr.seek(0)
        lines = self._stderr.read().decode("utf-8", "replace").split("\n")
        words = next((line.strip() for line in reversed(lines) if line.strip()), "")
        return f"{told}: {words}"[:200] if words else told

    @property
    def alive(self) -> bool:
        """Whether it can be asked."""
        return self.process.poll() is None

    def close(self) -> None:
        """End it."""
        if self.alive:
            self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout, self._stderr):
            with contextlib.suppress(OSError):  # a pipe to a process that is gone
                pipe.close()


class Supervisor:
    """Runs cases one after another against one importer."""

    def __init__(self, target: str, device_memory: str = "", seconds: float = 10.0):
        self.target, self.device_memory, self.seconds = target, device_memory, seconds
        self._worker: Worker | None = None

    def __enter__(self) -> Supervisor:
        self._fresh()
        return self

    def __exit__(self, *_exception) -> None:
        if self._worker is not None:
            self._worker.close()

    def _fresh(self) -> Worker:
        if self._worker is not None:
            self._worker.close()
        self._worker = Worker(self.target, self.device_memory)
        return self._worker

    def ask(self, case: Case, copies: bool = False) -> Verdict:
        """Return the verdict of one case.

        A crash that does not come again in a new process belongs to what ran before.
        """
        worker = self._worker
        old = worker is not None and worker.alive
        if not old:
            worker = self._fresh()
        verdict = worker.ask(case, copies, self.seconds)
        if verdict.outcome == "crashed" and old:
            again = self._fresh().ask(case, copies, self.seconds)
            if again.outcome != "crashed":
                again.note = f"{again.note} (crashed only after other cases: {verdict.note})"
                again.fault(CRASHED, f"after other cases: {verdict.note}")
            return again
        return verdict

    def run(self, cases: Iterable[Case], copies: bool = False) -> Iterator[Verdict]:
        """Return the verdicts of `cases` in their order."""
        for case in cases:
            yield self.ask(case, copies)
