"""The counts of a group that stand on each of its rows."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from gbs_actor.lineup.records import Gender


class Counted(Protocol):
    """What a count reads of a member: a person and a row both have it."""

    @property
    def gender(self) -> Gender:
        """The member's gender."""
        ...

    @property
    def is_full_attendance(self) -> bool:
        """Whether the member comes for the whole retreat."""
        ...


@dataclass(frozen=True, slots=True)
class Totals:
    """How many members a group has, and of which kind."""

    members: int = 0
    male: int = 0
    female: int = 0
    full_attendance: int = 0
    partial_attendance: int = 0


NOBODY = Totals()
"""What stands on the row of a person who is in no group."""


def totals_of(members: Iterable[Counted]) -> Totals:
    """Count the members of one group."""
    count = male = full = 0
    for member in members:
        count += 1
        if member.gender is Gender.MALE:
            male += 1
        if member.is_full_attendance:
            full += 1
    return Totals(count, male, count - male, full, count - full)
