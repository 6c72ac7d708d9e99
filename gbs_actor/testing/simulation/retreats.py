"""The small retreats that are simulated."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final

from gbs_actor.lineup.records import Gender, Retreat
from gbs_actor.store.memory import MemoryStore
from gbs_actor.store.seed.seed import (
    RetreatSeed,
    SeedGrade,
    SeedPerson,
    SeedSchedule,
    SeedUnivGroup,
)

LED: Final = (1, 3)
"""Registrations of the first retreat who lead a group."""
_WHEN: Final = datetime(2023, 11, 1, 9, tzinfo=UTC)


async def import_retreats(
    store: MemoryStore, slugs: Iterable[str], people: int
) -> dict[str, Retreat]:
    """Import retreats of so many people each, and return them as they are stored.

    Registrations and users have the ids from 1 on, through all retreats. The first six people are
    in groups of two, two of them led; the others are in none.
    """
    before = {}
    for slug in slugs:
        await store.import_retreat(_seed(slug, people))
        retreat = await store.load(slug)
        assert retreat is not None
        before[slug] = retreat
    return before


def _seed(slug: str, people: int) -> RetreatSeed:
    return RetreatSeed(
        slug=slug,
        title=slug,
        univ_groups=(SeedUnivGroup(1, "1부", (SeedGrade(1, "1학년"), SeedGrade(2, "2학년"))),),
        schedules=(SeedSchedule("저녁", _WHEN), SeedSchedule("아침", _WHEN)),
        people=tuple(
            SeedPerson(
                name=f"사람{number}",
                gender=Gender.MALE if number % 2 else Gender.FEMALE,
                phone_number="010-0000-0000",
                univ_group_number=1,
                grade_number=1 + number % 2,
                current_leader="리더",
                is_leader=number + 1 in LED,
                user_type=None,
                schedules=(0, 1) if number % 3 else (0,),
                registered_at=_WHEN,
                gbs_number=number // 2 + 1 if number < 6 else None,
            )
            for number in range(people)
        ),
    )
