"""A folder that one process of a parallel run fills and the others find ready."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable
from pathlib import Path

import pytest


def built_once(factory: pytest.TempPathFactory, name: str, build: Callable[[Path], object]) -> Path:
    """Return the folder that ``build(folder)`` fills; if it fails, all fail with what it said."""
    base = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base = base.parent
    target, said = base / name, base / f"{name}.failed"
    with (base / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if said.exists():
            pytest.fail(said.read_text(), pytrace=False)
        if not target.exists():
            target.mkdir()
            try:
                build(target)
            except BaseException as error:
                said.write_text(f"the build of {name} has failed: {error}")
                raise
    return target
