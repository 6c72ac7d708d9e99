"""Tracebacks for operators: bounded, and without what messages quote.

Of each message only the first line is shown. PostgreSQL puts whole rows, that is personal data,
into the further lines (DETAIL).
"""

from __future__ import annotations

from traceback import format_tb
from typing import Final

from gbs_actor.concurrency.exceptions import first_exception

MAX_LENGTH: Final = 16_000
"""Characters of a traceback, at most; the end is kept."""
_MAX_FRAMES: Final = 40
_MAX_LINE: Final = 500

_CAUSED: Final = "\nThe above exception was the direct cause of the following exception:\n\n"
_DURING: Final = "\nDuring handling of the above exception, another exception occurred:\n\n"


def in_one_line(error: BaseException) -> str:
    """Return type and first line of the message of an exception; of a group, the first's."""
    cause = first_exception(error)
    message = str(cause).partition("\n")[0]
    return f"{type(cause).__name__}: {message}"[:_MAX_LINE]


def traceback_of(error: BaseException) -> str:
    """Return the traceback of an exception and of those that led to it; of a group, the first's."""
    cause: BaseException | None = first_exception(error)
    parts: list[str] = []
    seen: set[int] = set()
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        frames = "".join(format_tb(cause.__traceback__, -_MAX_FRAMES))
        parts.append(f"Traceback (most recent call last):\n{frames}{in_one_line(cause)}\n")
        if cause.__cause__ is not None:
            parts.append(_CAUSED)
            cause = cause.__cause__
        elif cause.__context__ is not None and not cause.__suppress_context__:
            parts.append(_DURING)
            cause = cause.__context__
        else:
            cause = None
    return "".join(reversed(parts))[-MAX_LENGTH:]
