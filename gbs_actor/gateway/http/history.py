"""``…/line-up/history``: who has changed what."""

from __future__ import annotations

from dataclasses import replace
from typing import Final
from uuid import UUID

import msgspec
from quart import Blueprint, Response, request
from werkzeug.datastructures import MultiDict

from gbs_actor.contract.batch_form import ChangedBy
from gbs_actor.contract.command_spec import LINE_UP_PATH
from gbs_actor.gateway.http.admin.query import number
from gbs_actor.gateway.http.identity import Identity
from gbs_actor.gateway.http.responses import failure_response, json_response
from gbs_actor.gateway.replies import Failure, ProblemBody, problem_bodies
from gbs_actor.lineup.changes import LogEntry
from gbs_actor.lineup.commands import Kind
from gbs_actor.lineup.fields import FieldValue
from gbs_actor.lineup.names import shown_name
from gbs_actor.lineup.row import iso_utc
from gbs_actor.lineup.rules import LAST_ID, LAST_NUMBER
from gbs_actor.rooms.delivery import NO_SUCH_RETREAT
from gbs_actor.store.history import HistoryQuery
from gbs_actor.store.protocol import Store

DEFAULT_LIMIT: Final = 50
MAX_LIMIT: Final = 200
"""Changes of one page, at most."""
MAX_VALUES: Final = 10_000
"""Values after which a page ends early: of a few bulk edits."""
_ENTRIES_AT_ONCE: Final = 20
"""Entries of the log that are read at once."""


class PastChange(msgspec.Struct, frozen=True, rename="camel"):
    """A change that was made."""

    revision: int
    command_id: UUID
    """For ``undo``."""
    kind: Kind
    at: str
    by: ChangedBy | None
    """``null``: the server, which only took a revision."""
    registration_id: int | None
    """The one registration that it addressed, if it addressed one."""
    before: tuple[FieldValue, ...]
    """The fields that it wrote, as they were. An edit of one person that had the value already
    has it both here and in ``after``."""
    after: tuple[FieldValue, ...]
    """The same fields in the same order."""
    skipped: tuple[ProblemBody, ...]
    """What it left out."""
    undoes: int | None
    """The revision that it has undone."""

    @classmethod
    def of(cls, entry: LogEntry) -> PastChange:
        """Return an entry of the log as editors may see it."""
        written = tuple(entry.written())
        return cls(
            revision=entry.revision,
            command_id=entry.command_id,
            kind=entry.kind,
            at=iso_utc(entry.at),
            by=_author(entry),
            registration_id=entry.registration_id,
            before=tuple(before for before, _ in written) or entry.before,
            after=tuple(after for _, after in written) or entry.after,
            skipped=problem_bodies(entry.skipped),
            undoes=entry.undoes,
        )


def _author(entry: LogEntry) -> ChangedBy | None:
    if entry.author_id is not None:
        return ChangedBy(entry.author_id, shown_name(entry.author_name, entry.author_id))
    return ChangedBy(None, entry.author_name) if entry.author_name else None


class LineupHistory(msgspec.Struct, frozen=True, rename="camel"):
    """Some changes of a line-up, the newest first."""

    changes: tuple[PastChange, ...]
    next: int | None
    """For ``before``, to get those before; null: there are none."""
    epoch: str
    """Of the revisions."""
    oldest_revision: int
    """Changes up to this one were pruned; 0: none were."""


def history(store: Store, identity: Identity) -> Blueprint:
    """Return the route, for who may edit."""
    blueprint = Blueprint("history", __name__, url_prefix=LINE_UP_PATH.replace("{slug}", "<slug>"))

    @blueprint.get("/history")
    async def line_up_history(slug: str) -> Response:
        await identity.require(request, identity.policy.may_edit, slug)
        query = _query(request.args)
        retreat = await store.version(slug)
        if retreat is None:
            return failure_response(Failure.of(NO_SUCH_RETREAT))
        entries, more = await _read(store, retreat.id, query)
        page = LineupHistory(
            changes=tuple(PastChange.of(entry) for entry in entries),
            next=entries[-1].revision if more else None,
            epoch=retreat.epoch,
            oldest_revision=await store.pruned_revision(retreat.id),
        )
        response = json_response(msgspec.json.encode(page))
        response.headers["Cache-Control"] = "no-store"
        return response

    return blueprint


def _query(arguments: MultiDict[str, str]) -> HistoryQuery:
    return HistoryQuery(
        limit=number("limit", arguments, 1, MAX_LIMIT) or DEFAULT_LIMIT,
        before=number("before", arguments, 1, LAST_ID),
        registration_id=number("registrationId", arguments, 1, LAST_ID),
        gbs_number=number("gbsNumber", arguments, 1, LAST_NUMBER),
        user_id=number("userId", arguments, 1, LAST_ID),
    )


async def _read(store: Store, retreat_id: int, query: HistoryQuery) -> tuple[list[LogEntry], bool]:
    """Return the entries of a page, and whether there may be more."""
    found: list[LogEntry] = []
    before, values = query.before, 0
    while len(found) <= query.limit:
        step = replace(query, before=before, limit=_ENTRIES_AT_ONCE)
        entries = await store.history(retreat_id, step)
        found += entries
        if len(entries) < _ENTRIES_AT_ONCE:
            return found[: query.limit], len(found) > query.limit
        before = entries[-1].revision
        values += sum(len(entry.before) for entry in entries)
        if values > MAX_VALUES:
            break
    return found[: query.limit], True
