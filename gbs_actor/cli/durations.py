"""Lengths of time as people write them: 90s, 30m, 8h, 7d."""

from __future__ import annotations

import re

import typer

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_LENGTH = re.compile(r"([0-9]{1,9})([smhd])")


def seconds(text: str) -> int:
    """Return the seconds in ``8h`` and the like.

    :raises typer.BadParameter: it is written otherwise, or is nothing.
    """
    match = _LENGTH.fullmatch(text.strip())
    if match is None or int(match[1]) == 0:
        raise typer.BadParameter("a number and a unit, like 90s, 30m, 8h or 7d")
    return int(match[1]) * _UNITS[match[2]]
