"""Small retreats for the tests of rooms."""

from __future__ import annotations

from datetime import UTC, datetime

from gbs_actor.lineup.records import Gender
from gbs_actor.store.memory import MemoryStore
from gbs_actor.store.seed.seed import (
    RetreatSeed,
    SeedGrade,
    SeedPerson,
    SeedSchedule,
    SeedUnivGroup,
)
from gbs_actor.testing.store import SimStore

WHEN = datetime(2024, 1, 1, 9, tzinfo=UTC)


def small_seed(slug: str = "winter", people: int = 8) -> RetreatSeed:
    """Three groups of two, the first person of each a leader; the rest is unassigned."""
    return RetreatSeed(
        slug=slug,
        title=slug,
        univ_groups=(SeedUnivGroup(1, "1부", (SeedGrade(1, "1학년"), SeedGrade(2, "2학년"))),),
        schedules=(SeedSchedule("저녁", WHEN), SeedSchedule("아침", WHEN)),
        people=tuple(
            SeedPerson(
                name=f"사람{number}",
                gender=Gender.MALE if number % 2 else Gender.FEMALE,
                phone_number="010-0000-0000",
                univ_group_number=1,
                grade_number=1 + number % 2,
                current_leader="리더",
                is_leader=number < 6 and number % 2 == 0,
                user_type=None,
                schedules=(0, 1) if number % 3 else (0,),
                registered_at=WHEN,
                gbs_number=number // 2 + 1 if number < 6 else None,
            )
            for number in range(people)
        ),
    )


async def sim_store(*slugs: str, people: int = 8) -> SimStore:
    """Return a store with these retreats ("winter" where none is named)."""
    store = SimStore(identity="test")
    for slug in slugs or ("winter",):
        await store.import_retreat(small_seed(slug, people))
    return store


async def memory_store(*slugs: str, people: int = 8) -> MemoryStore:
    """The same, of a store that does not fail."""
    store = MemoryStore(identity="test")
    for slug in slugs or ("winter",):
        await store.import_retreat(small_seed(slug, people))
    return store
