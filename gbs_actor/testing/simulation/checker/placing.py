"""At which revisions an answer to a command may have been made, by what it shows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from gbs_actor.lineup.commands import AssignNumber, CreateMemo, DeleteMemo, UpdateMemo
from gbs_actor.lineup.fields import Field
from gbs_actor.testing.simulation.checker.events import CONTENT, Invocation, Log
from gbs_actor.testing.simulation.checker.facts import Facts
from gbs_actor.testing.simulation.checker.log import shown_problems
from gbs_actor.testing.simulation.checker.rejecting import is_right, same_problems
from gbs_actor.testing.simulation.history import Json

_SINGLE: Final = (AssignNumber, CreateMemo, UpdateMemo, DeleteMemo)


def answered_at(facts: Facts, each: Invocation, log: Log) -> list[int]:
    """Return the revisions, ascending, at which an answer may have been made over a connection.

    Empty if it rests on no line-up: it is refused, malformed, or about another retreat.
    """
    index = each.answered
    if index is None or each.asked is None or each.elsewhere:
        return []
    if each.accepted:
        revision = facts.revision_of(each)
        if revision is None or revision not in log.lineup.entries:
            return []
        return list(shown_states(facts, each, log, revision, index))
    if each.code not in CONTENT and each.code != "FORBIDDEN":
        return []
    epochs = facts.epochs(each, log, index)
    return [
        state
        for state in range(each.known, log.durable.at(index) + 1)
        if any(is_right(each, log.lineup.view(state), epoch) for epoch in epochs)
    ]


def shown_states(
    facts: Facts, each: Invocation, log: Log, revision: int, index: int
) -> Iterator[int]:
    """Return the revisions as of which a good answer may show rows, and does.

    Of a command that was given once and that nothing has disturbed, its own one; else those from
    the higher of that and of what was known.
    """
    first, last = max(revision, each.known), log.durable.at(index)
    if _given_once(facts, each) and not facts.causes(each, index):
        first = last = revision
    return (state for state in range(first, last + 1) if _shows(each, log, revision, state))


def _given_once(facts: Facts, each: Invocation) -> bool:
    command_id = each.event.command_id
    return command_id is None or len(facts.by_command[each.slug, command_id]) == 1


def _shows(each: Invocation, log: Log, revision: int, state: int) -> bool:
    """Whether a good reply is right if it shows rows as of a state."""
    data = each.reply.get("data")
    view, entry = log.lineup.view(state), log.lineup.entries[revision]
    assert each.asked is not None
    if isinstance(each.asked.action, _SINGLE):
        id_ = entry.registration_id
        if id_ is None or id_ not in log.lineup.people:
            return False
        row = data
        if isinstance(data, Mapping) and "userRetreatGbsLineup" in data:
            row = data["userRetreatGbsLineup"]
            ids = log.lineup.touched[revision]
            changed = [view.row(each) for each in ids] if state == revision else None
            shown = data.get("updatedLineups", ())
            if changed is not None and _by_id(shown) not in (_by_id(changed), {id_: row}):
                return False
        return bool(row == view.row(id_, batched=each.batched))
    return isinstance(data, Mapping) and _is_result(each, data, log, revision, state)


def _is_result(each: Invocation, data: Json, log: Log, revision: int, state: int) -> bool:
    lineup, view = log.lineup, log.lineup.view(state)
    entry, written = lineup.entries[revision], lineup.written[revision]
    changed = lineup.own[revision]
    created = sorted(
        number
        for (_, number, name), change in written.items()
        if name == Field.EXISTS and number is not None and change.after.given.value
    )
    problems = shown_problems(entry)
    conflicts = [problem for problem in problems if problem["code"] == "CONFLICT"]
    others = [problem for problem in problems if problem["code"] != "CONFLICT"]
    right = (
        data.get("updatedCount") == len(changed)
        and list(data.get("createdGbsNumbers", ())) == created
        and data.get("revision") == each.reply.get("revision")
        and same_problems(data.get("conflicts", ()), conflicts)
        and same_problems(data.get("skipped", ()), others)
    )
    if not right:
        return False
    shown = _by_id(data.get("updatedLineups", ()))
    batched = each.batched
    choices = [changed] if batched else [lineup.touched[revision], changed]
    if state != revision:
        choices = [changed]
    return any(
        shown == {id_: view.row(id_, batched=batched) for id_ in choice} for choice in choices
    )


def _by_id(rows: Any) -> dict[int, Json]:
    return {row["id"]: row for row in rows}
