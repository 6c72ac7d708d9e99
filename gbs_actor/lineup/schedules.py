"""What people register for: the meals and nights of a retreat."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from enum import StrEnum
from typing import Final

KOREAN_TIME: Final = timezone(timedelta(hours=9))
"""Korea has no daylight saving time."""


class ScheduleKind(StrEnum):
    """What people register for; at equal times in this order."""

    BREAKFAST = "BREAKFAST"
    LUNCH = "LUNCH"
    DINNER = "DINNER"
    SLEEP = "SLEEP"

    @classmethod
    def at(cls, starts_at: datetime) -> ScheduleKind:
        """Return what probably starts at a time, by the hour in Korea.

        :param starts_at: aware.
        """
        hour = starts_at.astimezone(KOREAN_TIME).hour
        if 5 <= hour < 10:
            return cls.BREAKFAST
        if 10 <= hour < 15:
            return cls.LUNCH
        return cls.DINNER if 15 <= hour < 21 else cls.SLEEP


@dataclass(frozen=True, slots=True)
class Schedule:
    """One meal or night of a retreat."""

    id: int
    starts_at: datetime
    """Aware, in any time zone."""
    kind: ScheduleKind
    name: str = ""
    """As people see it when they register."""

    @property
    def day(self) -> date:
        """The day on which it starts in Korea."""
        return self.starts_at.astimezone(KOREAN_TIME).date()
