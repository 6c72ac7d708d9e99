"""Whether a rejection is the right one."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from gbs_actor.lineup.commands import request_bytes
from gbs_actor.testing.simulation.history import Json
from gbs_actor.testing.simulation.model import Decision, Lineup, View, decide

if TYPE_CHECKING:
    from gbs_actor.testing.simulation.checker.events import Invocation


def lowest_state(
    invocation: Invocation, lineup: Lineup, revisions: Iterable[int], epochs: Collection[str]
) -> int | None:
    """Return the first of some revisions at which a command is rejected just as it was.

    :param revisions: ascending.
    :param epochs: those of the retreat meanwhile.
    """
    for revision in revisions:
        view = lineup.view(revision)
        if any(is_right(invocation, view, epoch) for epoch in epochs):
            return revision
    return None


def is_right(invocation: Invocation, view: View, epoch: str) -> bool:
    """Whether a command is rejected at a revision, just as it was."""
    reply, asked = invocation.reply, invocation.asked
    code = reply.get("code")
    if asked is None:
        return code == "VALIDATION_FAILED"
    if invocation.elsewhere and code == "NOT_FOUND" and "problems" not in reply:
        return True  # in a room, somebody of another retreat is not there
    command_id = invocation.event.command_id
    if command_id is not None:
        revision = view.lineup.commands.get(command_id)
        if revision is not None and revision <= view.revision:
            other = view.lineup.entries[revision].request != request_bytes(asked.action)
            return other and code == "VALIDATION_FAILED"
    decision = decide(view, asked, epoch)
    if code == "NOT_IN_ROOM" and decision.code == "NOT_FOUND":
        return asked.outside
    if decision.code != code:
        return False
    return (
        reply.get("conflict") == decision.conflict
        and same_problems(reply.get("problems", ()), decision.problems)
        and _is_data_right(reply, decision, view, batched=invocation.batched)
    )


def same_problems(shown: Sequence[Json], expected: Sequence[Json]) -> bool:
    """Whether problems are as expected, whatever their messages, in the order of the items."""
    indexes = [each.get("index") or 0 for each in shown]
    return indexes == sorted(indexes) and _canonical(shown) == _canonical(expected)


def _canonical(problems: Sequence[Mapping[str, Any]]) -> list[str]:
    return sorted(
        str(sorted((k, v) for k, v in each.items() if k != "message")) for each in problems
    )


def _is_data_right(reply: Json, decision: Decision, view: View, *, batched: bool) -> bool:
    data = reply.get("data")
    if decision.code != "CONFLICT" or decision.row is None:
        return data is None
    return bool(data == view.row(decision.row, batched=batched))
