"""Whether what a client was answered or sent is right, taken by itself."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from gbs_actor.contract.events import ServerEvent
from gbs_actor.lineup.changes import LogEntry
from gbs_actor.lineup.commands import request_bytes
from gbs_actor.testing.simulation.checker.log import shown_problems
from gbs_actor.testing.simulation.history import Cause, Delivered, Invoked, Json
from gbs_actor.testing.simulation.model import Malformed, asked, decide
from gbs_actor.testing.simulation.search.given import Asking, Given

UPDATES = frozenset({ServerEvent.LINEUP_UPDATED, ServerEvent.LINEUPS_UPDATED})
CAUSES = {
    "STORE_UNAVAILABLE": {Cause.STORE},
    "OUTCOME_UNKNOWN": {Cause.STORE, Cause.CRASH, Cause.STOP, Cause.KILL},
    "ROOM_BUSY": {Cause.LOAD},  # or six foreign changes, which a small history has no room for
    "ROOM_RESTARTED": {Cause.CRASH, Cause.STOP},
    "ROOM_UNAVAILABLE": {Cause.CRASH, Cause.STOP},
    "RATE_LIMITED": {Cause.LOAD},
}
"""What may lead to a refusal that may be retried."""


class Contents:
    """Judges the contents of one history.

    :param given: the history.
    """

    def __init__(self, given: Given) -> None:
        self.given = given

    def comes_to(self, event: Invoked, entry: LogEntry) -> bool:
        """Whether a revision is what becomes of a command one revision earlier."""
        try:
            wanted = asked(event.event, event.argument, event.user_id)
        except Malformed:
            return False
        decision = decide(self.given.lineup.view(entry.revision - 1), wanted, self.given.epoch)
        written = self.given.lineup.written[entry.revision]
        return (
            decision.code == "OK"
            and request_bytes(wanted.action) == entry.request
            and {key: write.value for key, write in decision.writes.items()}
            == {key: change.after.given.value for key, change in written.items()}
        )

    def is_row_right(self, index: int, event: Any) -> bool:
        """Whether what is sent is as of the revision that it says, and stored by then."""
        if not isinstance(event, Delivered) or event.event not in UPDATES:
            return True
        batched = self.given.opened[event.connection].form == "batch"
        if batched is not (event.event == ServerEvent.LINEUPS_UPDATED):
            return False
        payload, durable = event.payload, self.given.durable(index)
        rows = payload["rows"] if batched else [payload]
        groups = payload["groups"] if batched else []
        if any(part["revision"] > durable for part in [payload, *rows, *groups]):
            return False
        revisions = [part["revision"] for part in [*rows, *groups]]
        return (
            bool(revisions)
            and max(revisions) == payload["revision"]
            and all(self._was_so(row, durable, batched=batched) for row in rows)
            and all(
                group["gbsNumber"] in self.given.lineup.group_revisions
                and group == self.given.lineup.view(group["revision"]).group(group["gbsNumber"])
                for group in groups
            )
            and _ascend(rows)
            and _ascend(groups)
        )

    def _was_so(self, row: Json, durable: int, *, batched: bool) -> bool:
        if row["id"] not in self.given.lineup.people:
            return False
        views = [self.given.lineup.view(each) for each in self.given.revisions if each <= durable]
        states = [view for view in views if view.revision >= row["revision"]]
        states = states if batched else states[:1]
        return any(view.row(row["id"], batched=batched) == row for view in states)

    def has_cause(self, each: Asking) -> bool:
        """Whether what may lead to a refusal was there."""
        return bool(CAUSES.get(each.reply.get("code", ""), set()) & self.given.causes(each))

    def shows(self, each: Asking, state: int) -> bool:
        """Whether a join or a read shows the line-up of a state."""
        reply, argument = each.reply, each.event.argument
        if reply.get("revision") != state or reply.get("epoch") != self.given.epoch:
            return False
        since = argument.get("since")
        if since is not None and since > state:
            since = None
        batched = self.given.is_batched(each)
        view = self.given.lineup.view(state)
        rows = [
            shown
            for row, shown in zip(view.rows(), view.rows(batched=batched), strict=True)
            if since is None or row["revision"] >= since
        ]
        return reply["data"] == rows and reply["full"] is (since is None)

    def accepts(self, each: Asking, revision: int, state: int) -> bool:
        """Whether a good answer shows what a command has come to, as of a state."""
        view, batched, data = (
            self.given.lineup.view(state),
            self.given.is_batched(each),
            each.reply["data"],
        )
        target = self.given.lineup.entries[revision].registration_id
        if target is not None:
            return bool(data == view.row(target, batched=batched))
        if not isinstance(data, Mapping) or "updatedLineups" not in data:
            return False
        own, touched = self.given.lineup.own[revision], self.given.lineup.touched[revision]
        shown = {row["id"]: row for row in data["updatedLineups"]}
        ids = [own] if batched or state > revision else [own, touched]
        created = sorted(
            value.gbs_number
            for _, value in self.given.lineup.entries[revision].written()
            if value.field == "exists" and value.value and value.gbs_number is not None
        )
        left_out = [*data["conflicts"], *data["skipped"]]
        return (
            data["updatedCount"] == len(own)
            and data["revision"] == revision
            and data["createdGbsNumbers"] == created
            and all(problem["code"] == "CONFLICT" for problem in data["conflicts"])
            and _same_problems(left_out, shown_problems(self.given.lineup.entries[revision]))
            and any(shown == {i: view.row(i, batched=batched) for i in choice} for choice in ids)
        )

    def rejects(self, each: Asking, state: int) -> bool:
        """Whether a command is rejected at a state, just as it was."""
        reply, view = each.reply, self.given.lineup.view(state)
        wanted = asked(each.event.event, each.event.argument, each.event.user_id)
        id_ = each.event.command_id
        stored = None if id_ is None else self.given.lineup.commands.get(id_)
        if stored is not None and stored <= state:
            other = self.given.lineup.entries[stored].request != request_bytes(wanted.action)
            return other and reply["code"] == "VALIDATION_FAILED"
        decision = decide(view, wanted, self.given.epoch)
        row = None
        if decision.conflict is not None and decision.row is not None:
            row = view.row(decision.row, batched=self.given.is_batched(each))
        return (
            decision.code == reply["code"]
            and reply.get("conflict") == decision.conflict
            and reply.get("data") == row
            and _same_problems(reply.get("problems", ()), decision.problems)
        )


def _same_problems(shown: Iterable[Json], expected: Iterable[Json]) -> bool:
    without_message = [{k: v for k, v in each.items() if k != "message"} for each in shown]
    return sorted(map(_as_text, without_message)) == sorted(map(_as_text, expected))


def _as_text(problem: Json) -> str:
    return str(sorted(problem.items()))


def _ascend(parts: list[Json]) -> bool:
    revisions = [part["revision"] for part in parts]
    return revisions == sorted(revisions)
