"""A small retreat, and a desk at which commands for it become committed changes."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import count
from uuid import UUID

from gbs_actor.lineup.board import Board
from gbs_actor.lineup.changes import Change
from gbs_actor.lineup.commands import Action, Author, Command
from gbs_actor.lineup.records import Gender, Retreat, UserType
from gbs_actor.store.memory import MemoryStore
from gbs_actor.store.postgres.store import PostgresStore
from gbs_actor.store.protocol import Attempt, Delta
from gbs_actor.store.seed.seed import (
    RetreatSeed,
    SeedGrade,
    SeedPerson,
    SeedSchedule,
    SeedUnivGroup,
)

AnyStore = MemoryStore | PostgresStore

MOMENT = datetime(2026, 1, 2, 3, 4, 5, 678_901, tzinfo=UTC)
AUTHOR = Author(user_id=7, name="김간사", admin_user_id=7)


def seed(slug: str = "winter", *, people: int = 6) -> RetreatSeed:
    """Return a retreat whose people differ in everything that can differ.

    Person 0 leads group 1, person 1 is in it and has a line-up memo, person 2 has memos of
    the other kinds and no schedule; the rest has nothing special.
    """
    return RetreatSeed(
        slug=slug,
        title="겨울 수련회",
        univ_groups=(
            SeedUnivGroup(1, "1부", (SeedGrade(1, "1학년"), SeedGrade(2, "2학년"))),
            SeedUnivGroup(8, "8부", (SeedGrade(4, "4학년"),)),
        ),
        schedules=(SeedSchedule("저녁", MOMENT), SeedSchedule("아침", MOMENT)),
        people=tuple(
            SeedPerson(
                name=f"사람{number}",
                gender=Gender.MALE if number % 2 else Gender.FEMALE,
                phone_number=f"010-0000-{number:04}",
                univ_group_number=8 if number % 3 == 2 else 1,
                grade_number=4 if number % 3 == 2 else 1 + number % 3,
                current_leader="이리더",
                is_leader=number == 0,
                user_type=UserType.NEW_COMER if number == 1 else None,
                schedules=(1, 0) if number != 2 else (),
                registered_at=MOMENT - timedelta(days=number),
                gbs_number=1 if number < 2 else None,
                memo="창가" if number == 1 else "",
                memo_color="#FFcc00" if number == 1 else "",
                unresolved_lineup_history_memo="방 바꿔 주세요" if number == 2 else None,
                admin_memo="회비 미납" if number == 2 else None,
            )
            for number in range(people)
        ),
        group_memos=((1, "3층"), (5, "")),
        grants=((7, "LINEUP_STAFF"), (8, "ADMIN_MINISTER")),
    )


def command_ids(first: int = 1) -> Iterator[UUID]:
    """Return ids that are the same in every run."""
    return (UUID(int=number) for number in count(first))


class Desk:
    """Decides commands on a board and commits them, as a room does.

    :param first_id: of its commands; two desks of one retreat need ids of their own.
    """

    def __init__(self, store: AnyStore, retreat: Retreat, *, first_id: int = 1) -> None:
        self.store = store
        self.retreat_id = retreat.id
        self.board = Board(retreat)
        self._command_ids = command_ids(first_id)
        self._attempt_ids = command_ids(first_id + 10**6)
        self._moments = (MOMENT + timedelta(seconds=number) for number in count(1))

    @classmethod
    async def of(cls, store: AnyStore, slug: str = "winter", *, first_id: int = 1) -> Desk:
        """Open a desk, importing the retreat if it is not there."""
        retreat = await store.load(slug)
        if retreat is None:
            await store.import_retreat(seed(slug))
            retreat = await store.load(slug)
        assert retreat is not None
        return cls(store, retreat, first_id=first_id)

    async def decide(self, *actions: Action) -> list[Change]:
        """Decide actions one on top of the other; all of them must be accepted."""
        memo_ids = await self.store.reserve_memo_ids(len(actions) or 1)
        draft = self.board.draft(iter(memo_ids))
        changes = []
        for action in actions:
            command = Command(action, AUTHOR, next(self._command_ids))
            change = draft.decide(command, next(self._moments))
            assert isinstance(change, Change), change
            changes.append(change)
        return changes

    def fence(self) -> Change:
        """Make a fence on top of the board."""
        return self.board.draft(iter(())).fence(next(self._command_ids), next(self._moments))

    def attempt(
        self,
        changes: Sequence[Change],
        repeatable: Collection[UUID] = (),
        *,
        at: int | None = None,
    ) -> Attempt:
        """Make an attempt of its own id.

        :param at: the expected revision; by default the board's.
        """
        return Attempt(
            id=next(self._attempt_ids),
            retreat_id=self.retreat_id,
            epoch=self.board.epoch,
            expected_revision=self.board.revision if at is None else at,
            changes=tuple(changes),
            repeatable=frozenset(repeatable),
        )

    async def try_commit(
        self,
        changes: Sequence[Change],
        repeatable: Collection[UUID] = (),
        *,
        at: int | None = None,
    ) -> Delta | None:
        """Attempt to commit changes, whatever the board says; see :meth:`attempt`."""
        return await self.store.commit(self.attempt(changes, repeatable, at=at))

    async def commit(self, changes: Sequence[Change], repeatable: Collection[UUID] = ()) -> None:
        """Commit changes, which must not be stale, and apply them to the board."""
        assert await self.try_commit(changes, repeatable) is None
        self.apply(changes)

    def apply(self, changes: Sequence[Change]) -> None:
        """Apply changes to the board that are durable."""
        for change in changes:
            self.board.apply(change)

    async def do(self, *actions: Action) -> list[Change]:
        """Decide and commit actions as one batch."""
        changes = await self.decide(*actions)
        await self.commit(changes)
        return changes

    async def loaded(self) -> Retreat:
        """Return what the store has now."""
        retreat = await self.store.load(self.board.slug)
        assert retreat is not None
        return retreat

    def memo_id(self, registration_id: int) -> int:
        """Return the id of a person's memo, which has to be there."""
        registration = self.board.registration(registration_id)
        assert registration is not None
        assert registration.memo is not None
        return registration.memo.id
