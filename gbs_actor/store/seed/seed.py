"""A whole retreat to import into a store: demo data, imports and tests."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from gbs_actor.lineup.records import Gender, UserType
from gbs_actor.lineup.schedules import ScheduleKind


@dataclass(frozen=True, slots=True)
class SeedGrade:
    """A grade of a department."""

    number: int
    name: str


@dataclass(frozen=True, slots=True)
class SeedUnivGroup:
    """A department and its grades."""

    number: int
    name: str
    grades: tuple[SeedGrade, ...]


@dataclass(frozen=True, slots=True)
class SeedSchedule:
    """One meal, night or session that people register for."""

    name: str
    starts_at: datetime
    """Aware, UTC."""
    kind: ScheduleKind | None = None
    """``None``: by the hour, see :meth:`ScheduleKind.at`."""


@dataclass(frozen=True, slots=True)
class SeedPerson:
    """One registered person; the store assigns the ids."""

    name: str
    gender: Gender
    phone_number: str
    univ_group_number: int
    grade_number: int
    current_leader: str
    is_leader: bool
    user_type: UserType | None
    schedules: tuple[int, ...]
    """Indexes into :attr:`RetreatSeed.schedules`; all of them: full attendance."""
    registered_at: datetime
    """Aware, UTC."""
    gbs_number: int | None = None
    memo: str = ""
    memo_color: str = ""
    """``#RRGGBB`` or "". A person with neither text nor colour has no memo."""
    unresolved_lineup_history_memo: str | None = None
    admin_memo: str | None = None


@dataclass(frozen=True, slots=True)
class RetreatSeed:
    """A retreat, its departments, schedules, groups and people."""

    slug: str
    title: str
    univ_groups: tuple[SeedUnivGroup, ...]
    schedules: tuple[SeedSchedule, ...]
    people: tuple[SeedPerson, ...]
    group_memos: tuple[tuple[int, str], ...] = ()
    """``(group number, memo)``; groups of registered people need not be listed."""
    grants: tuple[tuple[int, str], ...] = ()
    """``(user id, role)``: per-retreat grants."""
