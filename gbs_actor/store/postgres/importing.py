"""Imports a whole retreat into PostgreSQL, all or nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import trio

from gbs_actor.lineup.records import Registration
from gbs_actor.store.postgres.connection import DbConnection, ServerRefused
from gbs_actor.store.protocol import RetreatExists
from gbs_actor.store.seed.layout import check, lay_out, seeded_memos
from gbs_actor.store.seed.seed import RetreatSeed

_CHUNK = 500
"""People per copy, and between two calls of ``progress``."""
_UNIQUE_VIOLATION = "23505"

_ADD_RETREAT = "INSERT INTO retreat (slug, title) VALUES ($1, $2) RETURNING id"
_ADD_UNIV_GROUPS = """
INSERT INTO univ_group (number, name) SELECT * FROM unnest($1::int[], $2::text[])
    ON CONFLICT (number) DO NOTHING
"""
_UNIV_GROUPS = "SELECT id, number FROM univ_group WHERE number = ANY ($1::int[])"
_ADD_GRADES = """
INSERT INTO grade (univ_group_id, number, name)
    SELECT * FROM unnest($1::bigint[], $2::int[], $3::text[])
    ON CONFLICT (univ_group_id, number) DO NOTHING
"""
_GRADES = "SELECT id, univ_group_id, number FROM grade WHERE univ_group_id = ANY ($1::bigint[])"
_DRAW = """
SELECT nextval(pg_get_serial_sequence($1, 'id')) AS id FROM generate_series(1, $2)
"""
_FILLED = (
    *("gbs", "user_profile", "user_retreat_registration", "user_retreat_registration_memo"),
    *("retreat_registration_schedule", "user_retreat_registration_schedule"),
)
_GROUPS = "SELECT id, number FROM gbs WHERE retreat_id = $1"


@dataclass(frozen=True, slots=True)
class _DrawnIds:
    """Ids drawn from the sequences of the database."""

    univ_groups: dict[int, int]
    grades: dict[tuple[int, int], int]
    schedules: Iterator[int]
    users: Iterator[int]
    registrations: Iterator[int]
    memos: Iterator[int]

    def univ_group(self, number: int) -> int:
        return self.univ_groups[number]

    def grade(self, univ_group_number: int, grade_number: int) -> int:
        return self.grades[self.univ_groups[univ_group_number], grade_number]


class Import:
    """One import, in a transaction of the given connection.

    :param timeout: seconds that each statement may take.
    """

    def __init__(self, connection: DbConnection, seed: RetreatSeed, *, timeout: float) -> None:
        self._connection = connection
        self._seed = seed
        self._timeout = timeout

    def _deadline(self) -> float:
        return trio.current_time() + self._timeout

    async def run(self, progress: Callable[[int, int], None] | None) -> int:
        """Add the retreat at revision 0 and return its id.

        Existing departments and grades keep their names. Cancelled: nothing is added.

        :param progress: called with the people done so far and in all.
        :raises RetreatExists: one with this slug exists.
        :raises ValueError: the parts of the seed do not fit together.
        :raises ServerRefused: the database refuses a value.
        :raises ConnectionLost: the connection was lost. The transaction is rolled back, unless
            it was lost during the commit.
        """
        check(self._seed)
        async with self._connection.transaction(
            deadline=self._deadline(), commit_timeout=self._timeout
        ):
            # Not one of the many statements, but all of it may take longer than usual.
            await self._connection.execute(
                "SET LOCAL statement_timeout = 0", deadline=self._deadline()
            )
            return await self._add(progress or (lambda done, total: None))

    async def _add(self, progress: Callable[[int, int], None]) -> int:
        seed = self._seed
        try:
            rows = await self._connection.fetch(
                _ADD_RETREAT, seed.slug, seed.title, deadline=self._deadline()
            )
        except ServerRefused as error:
            if error.sqlstate == _UNIQUE_VIOLATION:
                raise RetreatExists(seed.slug) from None
            raise
        retreat_id: int = rows[0]["id"]
        layout = lay_out(seed, await self._draw_ids())
        await self._copy(
            "retreat_registration_schedule",
            ("id", "retreat_id", "name", "starts_at", "kind"),
            [
                (schedule.id, retreat_id, seeded.name, schedule.starts_at, schedule.kind.value)
                for schedule, seeded in zip(layout.schedules, seed.schedules, strict=True)
            ],
        )
        await self._copy(
            "retreat_admin_role",
            ("retreat_id", "user_id", "role"),
            [(retreat_id, user_id, role) for user_id, role in seed.grants],
        )
        await self._copy(
            "gbs",
            ("retreat_id", "number", "memo"),
            [(retreat_id, number, memo) for number, memo in layout.group_memos],
        )
        groups = await self._connection.fetch(_GROUPS, retreat_id, deadline=self._deadline())
        gbs_ids = {row["number"]: row["id"] for row in groups}
        total = len(layout.registrations)
        for start in range(0, total, _CHUNK):
            await self._add_people(
                retreat_id, layout.registrations[start : start + _CHUNK], gbs_ids
            )
            progress(min(start + _CHUNK, total), total)
        await self._copy(
            "user_retreat_registration_memo",
            ("id", "registration_id", "kind", "text", "color", "created_at", "updated_at"),
            [
                (
                    *(memo.id, memo.registration_id, memo.kind.value, memo.text, memo.color),
                    *(memo.at, memo.at),
                )
                for memo in layout.memos
            ],
        )
        # Until autovacuum does this, the server would plan loads for empty tables.
        await self._connection.execute(f"ANALYZE {', '.join(_FILLED)}", deadline=self._deadline())
        return retreat_id

    async def _add_people(
        self, retreat_id: int, registrations: tuple[Registration, ...], gbs_ids: dict[int, int]
    ) -> None:
        people = [(registration, registration.person) for registration in registrations]
        await self._copy(
            "user_profile",
            ("id", "grade_id", "gender", "name", "phone_number"),
            [
                (
                    *(person.user_id, person.grade_id, person.gender.value),
                    *(person.name, person.phone_number),
                )
                for _, person in people
            ],
        )
        await self._copy(
            "user_retreat_registration",
            (
                *("id", "retreat_id", "user_id", "is_leader", "user_type", "current_leader"),
                *("gbs_id", "created_at", "updated_at"),
            ),
            [
                (
                    registration.id,
                    retreat_id,
                    person.user_id,
                    registration.is_leader,
                    None if person.user_type is None else person.user_type.value,
                    registration.current_leader,
                    None if registration.gbs_number is None else gbs_ids[registration.gbs_number],
                    person.created_at,
                    registration.updated_at,
                )
                for registration, person in people
            ],
        )
        await self._copy(
            "user_retreat_registration_schedule",
            ("registration_id", "schedule_id"),
            [
                (registration.id, schedule_id)
                for registration, person in people
                for schedule_id in person.schedule_ids
            ],
        )

    async def _copy(
        self, table: str, columns: tuple[str, ...], records: list[tuple[object, ...]]
    ) -> None:
        if records:
            await self._connection.copy(table, columns, records, deadline=self._deadline())

    async def _draw_ids(self) -> _DrawnIds:
        """Insert missing departments and grades, and draw ids for everything else."""
        seed, fetch = self._seed, self._connection.fetch
        numbers = [univ.number for univ in seed.univ_groups]
        names = [univ.name for univ in seed.univ_groups]
        await fetch(_ADD_UNIV_GROUPS, numbers, names, deadline=self._deadline())
        rows = await fetch(_UNIV_GROUPS, numbers, deadline=self._deadline())
        univ_groups: dict[int, int] = {row["number"]: row["id"] for row in rows}
        grades = [
            (univ_groups[univ.number], grade.number, grade.name)
            for univ in seed.univ_groups
            for grade in univ.grades
        ]
        columns = [list(column) for column in zip(*grades, strict=True)] or [[], [], []]
        await fetch(_ADD_GRADES, *columns, deadline=self._deadline())
        rows = await fetch(_GRADES, list(univ_groups.values()), deadline=self._deadline())
        people = len(seed.people)
        memos = sum(len(seeded_memos(person)) for person in seed.people)
        return _DrawnIds(
            univ_groups=univ_groups,
            grades={(row["univ_group_id"], row["number"]): row["id"] for row in rows},
            schedules=await self._draw("retreat_registration_schedule", len(seed.schedules)),
            users=await self._draw("user_profile", people),
            registrations=await self._draw("user_retreat_registration", people),
            memos=await self._draw("user_retreat_registration_memo", memos),
        )

    async def _draw(self, table: str, count: int) -> Iterator[int]:
        rows = await self._connection.fetch(_DRAW, table, count, deadline=self._deadline())
        return iter(sorted(row["id"] for row in rows))
