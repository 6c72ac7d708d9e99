"""Who tries the demo: made-up staff, as whom a page may be used without a sign-in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from gbs_actor.roles import Role

DEMO_TOKEN_TIME: Final = 30 * 86_400
"""Seconds for which the demo's tokens are valid."""


@dataclass(frozen=True, slots=True)
class DemoPerson:
    """One of them."""

    user_id: int
    name: str
    role: Role


DEMO_PEOPLE: Final = (
    DemoPerson(11, "김하늘", Role.LINEUP_STAFF),
    DemoPerson(12, "이바다", Role.LINEUP_STAFF),
    DemoPerson(13, "박구름", Role.DORMITORY_STAFF),
)
"""The first two edit, the third one only reads. Pages number them from 1."""
