"""What an importer is called by: MODULE:FUNCTION, with dots on both sides."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any


class TargetError(Exception):
    """The text names no importer."""


def load(text: str) -> Callable[..., Any]:
    """Return the function that `text` names; raises TargetError."""
    module, colon, path = text.partition(":")
    if not (module and colon and path):
        raise TargetError(f"{text!r} is not MODULE:FUNCTION")
    try:
        found: Any = importlib.import_module(module)
    except ImportError as error:
        raise TargetError(f"{module!r} cannot be imported: {error}") from error
    for name in path.split("."):
        try:
            found = getattr(found, name)
        except AttributeError as error:
            raise TargetError(f"{module!r} has no {path!r}") from error
    if not callable(found):
        raise TargetError(f"{text!r} cannot be called")
    return found
