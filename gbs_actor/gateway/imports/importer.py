"""Exports the line-up as a sheet, and carries out what has changed in one that comes back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from itertools import chain
from typing import Final, TypeVar
from uuid import UUID

import trio

from gbs_actor.auth import User
from gbs_actor.environment import SYSTEM, Environment
from gbs_actor.gateway.client import author_of
from gbs_actor.gateway.imports.assignments import assignments
from gbs_actor.gateway.imports.exported import ExportedFields, new_export_id, new_import_id
from gbs_actor.gateway.imports.pending import PendingImport, PendingImports
from gbs_actor.lineup.board import Board
from gbs_actor.lineup.changes import LogEntry, Rejection, result_of
from gbs_actor.lineup.changes import Problem as ChangeProblem
from gbs_actor.lineup.codes import Code
from gbs_actor.lineup.commands import Assignment, BulkAssign, Command, OnConflict
from gbs_actor.lineup.records import Retreat
from gbs_actor.lineup.schedules import Schedule
from gbs_actor.rooms import RoomSupervisor
from gbs_actor.rooms.delivery import Accepted
from gbs_actor.rooms.encoded import EncodedRow
from gbs_actor.settings import ImportSettings
from gbs_actor.sheets import (
    Preview,
    Problem,
    ReadLimits,
    SheetReader,
    preview_import,
    write_problems,
    write_roster,
    write_template,
)
from gbs_actor.sheets.cell import Sheet
from gbs_actor.store.history import HistoryQuery
from gbs_actor.store.protocol import Store

T = TypeVar("T")

MAX_CHANGES: Final = 20_000
"""Changes since an export that an import looks at; older exports count as those whose history is
pruned."""
_PAGE: Final = 500
"""Entries of the log that are read together."""

EXPIRED: Final = Rejection(
    Code.NOT_FOUND, "There is no such import, or it has expired; upload the file again"
)


@dataclass(frozen=True, slots=True)
class Export:
    """A sheet of the line-up."""

    revision: int
    data: bytes
    """An .xlsx."""


@dataclass(frozen=True, slots=True)
class Refused:
    """An import that is not applied as it stands."""

    blocks: tuple[Problem, ...]
    """What has to be mended in the sheet."""
    warnings: tuple[Problem, ...]
    """What the user has to acknowledge."""


@dataclass(frozen=True, slots=True)
class _Comparison:
    """A sheet beside the line-up."""

    board: Board
    preview: Preview
    assignments: tuple[Assignment, ...]
    """The edited cells."""
    seen: frozenset[int]
    """See :class:`~gbs_actor.gateway.imports.exported.ExportedFields`."""

    def command(
        self, id_: UUID, user: User, apply_lineup_number: bool, on_conflict: OnConflict
    ) -> Command:
        """Return what carries out the edits of the sheet."""
        return Command(
            action=BulkAssign(
                self.assignments,
                apply_lineup_number=apply_lineup_number,
                on_conflict=on_conflict,
            ),
            author=author_of(user),
            id=id_,
            client_made_id=True,
            epoch=self.board.epoch,
            seen=self.seen,
        )


class Importer:
    """Writes sheets, and imports them in two steps.

    What may take long is done in threads and child processes, a few at a time. Cancellation ends
    a wait, and kills the child; it does not take back what a room was asked for.

    :param store: has the schedules and the log.
    :param rooms: have the line-ups, and carry imports out.
    :param settings: limits.
    :param environment: where the ids of exports and imports come from.
    """

    def __init__(
        self,
        store: Store,
        rooms: RoomSupervisor,
        settings: ImportSettings,
        environment: Environment = SYSTEM,
    ) -> None:
        self._environment = environment
        self._store = store
        self._rooms = rooms
        limits = ReadLimits(input_size=settings.import_size)
        self._reader = SheetReader(limits, at_once=settings.imports_at_once)
        self._threads = trio.CapacityLimiter(settings.imports_at_once)
        self.pending = PendingImports(settings)

    # -- exports

    async def export(self, slug: str) -> Export | Rejection:
        """Return the line-up as a sheet.

        :raises StoreError: the schedules cannot be read.
        """
        schedules = await self._store.schedules(slug)
        retreat = await self._retreat(slug)
        if isinstance(retreat, Rejection):
            return retreat
        export_id = new_export_id(retreat.epoch, self._environment)
        now = self._environment.now()
        written = await self._in_thread(partial(_written, retreat, schedules, export_id, now))
        return Export(retreat.revision, written)

    async def template(self, slug: str) -> bytes | Rejection:
        """Return an example of such a sheet, with the retreat's schedules and made-up people.

        :raises StoreError: the schedules cannot be read.
        """
        retreat = await self._retreat(slug)
        if isinstance(retreat, Rejection):
            return retreat
        schedules = await self._store.schedules(slug)
        return await self._in_thread(partial(write_template, schedules, self._environment.now()))

    async def problem_list(self, problems: Sequence[Problem]) -> bytes:
        """Return problems as a sheet, for whoever has to mend them."""
        return await self._in_thread(partial(write_problems, problems, self._environment.now()))

    # -- imports

    async def upload(
        self, slug: str, user: User, data: bytes, *, apply_lineup_number: bool = False
    ) -> PendingImport | Rejection:
        """Read a file, compare it with the line-up, and keep it until it is applied.

        :param apply_lineup_number: whether the column ``No.`` counts.
        :raises Unreadable: it cannot be read.
        :raises StoreError: the schedules or the log cannot be.
        """
        sheets = await self._reader.read(data)
        compared = await self._compare(slug, user.user_id, sheets, apply_lineup_number)
        if isinstance(compared, Rejection):
            return compared
        preview = compared.preview
        exports = Counter(change.export_id or "" for change in preview.changes)
        export_id = max(exports, key=exports.__getitem__, default="")
        command = compared.command(
            new_import_id(user.user_id, export_id, self._environment),
            user,
            apply_lineup_number,
            "refuse",
        )
        problems = partial(_problems_of, command, compared.board, self._environment.now())
        pending = PendingImport(
            id=command.id,
            slug=slug,
            user_id=user.user_id,
            data=data,
            apply_lineup_number=apply_lineup_number,
            revision=compared.board.revision,
            preview=preview,
            conflicts=await self._in_thread(problems),
            shown=frozenset(preview.warnings),
        )
        self.pending.add(pending)
        return pending

    async def apply(
        self, id_: UUID, slug: str, user: User, *, acknowledge: bool, on_conflict: OnConflict
    ) -> Accepted | Refused | Rejection:
        """Compare the file with the line-up as it is by now, and carry the difference out.

        An import that was applied before is answered from the log.

        :param acknowledge: whether the user accepts the warnings that they were shown. Others
            that have come up since are shown instead of carrying it out.
        :raises StoreError: the schedules or the log cannot be read.
        """
        pending = self.pending.find(id_, slug, user.user_id)
        if pending is None:
            return await self._repeat(id_, slug, user.user_id) or EXPIRED
        async with pending.lock:
            repeat = await self._repeat(id_, slug, user.user_id)
            if repeat is not None:
                return repeat
            return await self._apply(pending, user, acknowledge, on_conflict)

    async def _apply(
        self, pending: PendingImport, user: User, acknowledge: bool, on_conflict: OnConflict
    ) -> Accepted | Refused | Rejection:
        slug, lineup_number = pending.slug, pending.apply_lineup_number
        sheets = await self._reader.read(pending.data)
        compared = await self._compare(slug, user.user_id, sheets, lineup_number)
        if isinstance(compared, Rejection):
            return compared
        preview = compared.preview
        acknowledged = acknowledge and pending.shown.issuperset(preview.warnings)
        pending.shown |= frozenset(preview.warnings)
        if preview.blocks or not (acknowledged or not preview.warnings):
            return Refused(preview.blocks, preview.warnings)
        if not preview.changes:
            return Accepted(compared.board.revision, None, ())
        command = compared.command(pending.id, user, lineup_number, on_conflict)
        return await self._carry_out(slug, command)

    async def _repeat(self, id_: UUID, slug: str, user_id: int) -> Accepted | Rejection | None:
        """Return what an import came to that was applied; ``None``: it was not."""
        board = await self._rooms.board(slug)
        if isinstance(board, Rejection):
            return board
        entry = await self._store.entry(board.retreat_id, id_)
        if entry is None or entry.author_id != user_id:
            return None
        result = result_of(entry)
        rows = (board.row(registration_id) for registration_id in result.updated)
        return Accepted(
            revision=entry.revision,
            row=None,
            rows=tuple(EncodedRow.of(row) for row in rows if row is not None),
            repeated=True,
            result=result,
        )

    async def _carry_out(self, slug: str, command: Command) -> Accepted | Rejection:
        """Submit a command to its room and return the outcome; cancellation ends only the wait."""
        outcomes: list[Accepted | Rejection] = []
        replied = trio.Event()

        def reply(outcome: Accepted | Rejection) -> None:
            outcomes.append(outcome)
            replied.set()

        self._rooms.submit_to(slug, command, reply)
        await replied.wait()
        return outcomes[0]

    async def _compare(
        self, slug: str, user_id: int, sheets: Sequence[Sheet], apply_lineup_number: bool
    ) -> _Comparison | Rejection:
        schedules = await self._store.schedules(slug)
        retreat = await self._retreat(slug)
        if isinstance(retreat, Rejection):
            return retreat

        def read_log(after: int, before: int) -> Sequence[LogEntry] | None:
            return trio.from_thread.run(self._read_log, retreat.id, after, before)

        def compare() -> _Comparison:
            exported = ExportedFields(retreat, user_id, read_log)
            board = Board(retreat)
            preview = preview_import(
                sheets,
                board.rows(),
                schedules,
                revision=retreat.revision,
                fields_at=exported.at,
                lineup_numbers=_lineup_numbers(retreat),
                apply_lineup_number=apply_lineup_number,
            )
            registrations = {each.id: each for each in retreat.registrations}
            edits = assignments(preview.changes, registrations, exported.seen)
            return _Comparison(board, preview, edits, frozenset(exported.seen))

        return await self._in_thread(compare)

    async def _read_log(
        self, retreat_id: int, after: int, before: int
    ) -> Sequence[LogEntry] | None:
        if before - after - 1 > MAX_CHANGES:
            return None
        pages: list[list[LogEntry]] = []
        while before > after + 1:
            query = HistoryQuery(limit=_PAGE, before=before, after=after)
            page = await self._store.history(retreat_id, query)
            if not page or any(entry.whole for entry in page):
                return None  # it is pruned, or does not say what another program has changed
            pages.append(page)
            before = page[-1].revision
        return list(chain.from_iterable(pages))

    async def _retreat(self, slug: str) -> Retreat | Rejection:
        board = await self._rooms.board(slug)
        return board if isinstance(board, Rejection) else board.retreat()

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await trio.to_thread.run_sync(work, limiter=self._threads)


def _problems_of(command: Command, board: Board, now: datetime) -> tuple[ChangeProblem, ...]:
    """Return what a room would refuse a command for, if it came now."""
    outcome = board.draft(iter(())).decide(command, now)
    return outcome.problems if isinstance(outcome, Rejection) else ()


def _written(
    retreat: Retreat, schedules: Iterable[Schedule], export_id: str, now: datetime
) -> bytes:
    return write_roster(
        Board(retreat).rows(),
        schedules,
        revision=retreat.revision,
        export_id=export_id,
        now=now,
        lineup_numbers=_lineup_numbers(retreat),
    )


def _lineup_numbers(retreat: Retreat) -> dict[int, int | None]:
    return {each.id: each.lineup_number for each in retreat.registrations}
