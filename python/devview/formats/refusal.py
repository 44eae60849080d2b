"""The one way in which a conversion says no."""

from __future__ import annotations

from typing import NoReturn

from devview._devview import Format, FormatError


def refuse(message: str) -> NoReturn:
    """Raise FormatError."""
    raise FormatError(message)


def cannot(function: str, format: Format, why: str) -> NoReturn:
    """Raise FormatError for a format that the target of ``function`` cannot say."""
    spelled = format.str
    shown = spelled if len(spelled) <= 80 else spelled[:77] + "..."
    refuse(f"{function}: format '{shown}': {why}")
