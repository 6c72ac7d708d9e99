"""Offsets: how far a client of a recoverable session has followed its room."""

from __future__ import annotations

import re
from typing import Final

from gbs_actor.lineup.rules import LAST_ID

OUTSIDE: Final = 0
"""Stands for the revision of an event outside of any room."""

_DECIMAL: Final = re.compile(r"0|[1-9][0-9]{0,18}", re.ASCII)


def parse_offset(offset: object) -> int | None:
    """Return the revision that an offset names; ``None``: it is none that was handed out."""
    if not isinstance(offset, str) or _DECIMAL.fullmatch(offset) is None:
        return None
    revision = int(offset)
    return revision if revision <= LAST_ID else None
