"""The process in which cases run: it may crash, and only the case at hand is lost.

Reads one case's name a line from stdin and answers with its verdict in JSON. What the importer
prints goes to stderr.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys

from . import matrix
from .case import Memory
from .judge import judge
from .target import TargetError, load

MEMORY_LIMIT = 1 << 34


def bounded() -> None:
    """Let an importer that believes a hostile size fail, and leave no core file of a crash."""
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_LIMIT, MEMORY_LIMIT))


def main(target: str, device_memory: str) -> int:
    """Answer until stdin ends."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def answer(**told) -> None:
        answers.write(json.dumps(told) + "\n")
        answers.flush()

    bounded()
    try:
        importer = load(target)
        memory = Memory(load(device_memory) if device_memory else None)
    except TargetError as error:
        answer(error=str(error))
        return 2
    cases = {(case.family, case.name): case for case in matrix.cases()}
    answer(ready=True)
    for line in sys.stdin:
        asked = json.loads(line)
        case = cases[asked["family"], asked["name"]]
        answer(verdict=judge(case, importer, memory, asked["copies"]).as_dict())
    return 0


if __name__ == "__main__":
    code = main(sys.argv[1], sys.argv[2])
    sys.stderr.flush()
    os._exit(code)  # what a peer's exit does with its own leftovers is no case
