"""The rule on epochs: nobody goes on in one that has ended."""

from __future__ import annotations

from typing import Final

from gbs_actor.testing.simulation.checker.events import JOIN, Connection
from gbs_actor.testing.simulation.checker.facts import Facts
from gbs_actor.testing.simulation.checker.violation import Found, rule
from gbs_actor.testing.simulation.history import Answered, Cause, Delivered

_ON_ITS_WAY: Final = 2.0
"""Seconds that a message takes at most."""


@rule
def epoch_goes_on(facts: Facts) -> Found:
    """Who has joined in an epoch is sent nothing any more once the room shows another one.

    In the end nobody is in a room who has joined it in another epoch than the last.
    """
    shown = _first_shown(facts)
    joined: dict[Connection, str | None] = {}
    for connection in facts.connections.values():
        epoch = None if connection.former is None else joined.get(connection.former)
        for item in connection.items:
            event = item.event
            if isinstance(event, Answered):
                each = facts.invocations[event.invocation]
                if each.event.event == JOIN and each.accepted:
                    epoch = each.reply.get("epoch")
            elif isinstance(event, Delivered) and item.slug is not None and epoch is not None:
                newer = _next(shown.get((item.slug, connection.node), {}), epoch)
                if newer is None or newer > item.index:
                    continue
                if not _may_be_sent_before(facts, connection, newer, item.index):
                    yield item.index, f"{epoch} goes on, and another one was shown at {newer}"
        joined[connection] = epoch
    for index, end in facts.ends:
        for connection, epoch in joined.items():
            last = facts.logs[end.slug].epochs.at(index)
            there = connection.slug == end.slug and connection.closed is None
            if there and epoch not in (None, last):
                yield index, f"connection {connection.event.connection} is still in {epoch}"


def _may_be_sent_before(facts: Facts, connection: Connection, newer: int, index: int) -> bool:
    """Whether what a client takes may have waited for it, or been on its way, since then."""
    moments = facts.history.moments
    if facts.history.delayed and moments[index].at < moments[newer].at + _ON_ITS_WAY:
        return True
    return any(
        each.event.cause is Cause.NETWORK
        and each.event.client == connection.event.client
        and each.lies_in(newer, index)
        for each in facts.disturbances.values()
    )


def _first_shown(facts: Facts) -> dict[tuple[str, int | None], dict[str, int]]:
    """Return where each epoch was first shown to anybody, by retreat and node; in their order."""
    answers: dict[tuple[str, int | None], list[tuple[int, object]]] = {}
    for each in facts.invocations.values():
        if each.reads and each.accepted and each.slug is not None and each.answered is not None:
            answer = (each.answered, each.reply.get("epoch"))
            answers.setdefault((each.slug, each.node), []).append(answer)
    shown: dict[tuple[str, int | None], dict[str, int]] = {}
    for (slug, node), found in answers.items():
        if (log := facts.log(slug)) is None:
            continue
        epochs = [log.epochs.at(index) for index in log.epochs.revisions]
        places = {epoch: [i for i, other in found if other == epoch] for epoch in epochs}
        shown[slug, node] = {epoch: min(each) for epoch, each in places.items() if each}
    return shown


def _next(shown: dict[str, int], epoch: str) -> int | None:
    """Return where an epoch behind this one was first shown."""
    epochs = [*shown]
    if epoch not in shown:
        return None
    return min((shown[each] for each in epochs[epochs.index(epoch) + 1 :]), default=None)
