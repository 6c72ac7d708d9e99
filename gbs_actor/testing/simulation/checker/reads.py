"""Rules on joins and reads: which revision they show, and all that they have to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gbs_actor.testing.simulation.checker.events import Invocation, Log
from gbs_actor.testing.simulation.checker.facts import Facts
from gbs_actor.testing.simulation.checker.violation import Found, rule
from gbs_actor.testing.simulation.history import Cause, Json


@rule
def read_is_fresh(facts: Facts) -> Found:
    """A join or a read is of a revision that is no lower than what was known when it was asked.

    Of several nodes one that cannot reach the store shows what it has, unless who asks has more.
    """
    for each in _reads(facts):
        revision, known, index = each.reply.get("revision"), each.known, each.answered
        assert index is not None
        if each.node is not None and Cause.STORE in facts.causes(each, index):
            known = max(each.known_there, _shown_before(facts, each))
        if not isinstance(revision, int) or revision < known:
            sentence = f"revision {revision}, and {known} was known"
            yield each.answered or each.index, f"{each.event.invocation} shows {sentence}"


@rule
def read_is_right(facts: Facts) -> Found:
    """A join or a read shows the rows of its revision: all of them, or those since the one given.

    Inclusive; and all where that one is of another epoch, or above what there is.
    """
    for each in _reads(facts):
        log, revision, index = facts.log(each.slug), each.reply.get("revision"), each.answered
        assert log is not None
        assert index is not None
        if not isinstance(revision, int) or revision > log.durable.at(index):
            continue  # other rules report that
        if revision < log.lineup.retreat.revision:
            yield index, f"{each.event.invocation} shows {revision}, before the beginning"
            continue
        epochs = facts.epochs(each, log, index)
        epoch = each.reply.get("epoch")
        if epoch not in epochs:
            yield index, f"{each.event.invocation} is told of the epoch {epoch}"
            continue
        since = _since(each, log, revision, epoch)
        if each.reply.get("full") is not (since is None):
            yield index, f"{each.event.invocation}, since {since}: full is wrong"
            continue
        expected = rows_since(log, revision, since, batched=each.batched)
        if list(each.reply.get("data", ())) != expected:
            shown = [(row["id"], row["revision"]) for row in each.reply.get("data", ())]
            wanted = [(row["id"], row["revision"]) for row in expected]
            yield index, f"{each.event.invocation} shows {shown}, and not {wanted}, at {revision}"


def _shown_before(facts: Facts, each: Invocation) -> int:
    """Return the revision that a client asks to go on from, if there was such a one then."""
    argument, log = each.event.argument, facts.log(each.slug)
    since = argument.get("since")
    if log is None or argument.get("epoch") not in (None, each.reply.get("epoch")):
        return 0
    return since if isinstance(since, int) and since <= log.durable.at(each.index) else 0


def _reads(facts: Facts) -> list[Invocation]:
    return [
        each
        for each in facts.invocations.values()
        if each.reads and each.accepted and facts.log(each.slug) is not None
    ]


def _since(each: Invocation, log: Log, revision: int, epoch: Any) -> int | None:
    """Return from which revision on rows are shown; ``None``: all are."""
    argument = each.event.argument
    since = argument.get("since") if isinstance(argument, Mapping) else None
    if since is None or since > revision or argument.get("epoch") not in (None, epoch):
        return None
    removal = log.lineup.retreat.removal_revision
    return None if 0 < removal >= since else int(since)


def rows_since(log: Log, revision: int, since: int | None, *, batched: bool) -> list[Json]:
    """Return the rows that a read at a revision shows, in list order."""
    view = log.lineup.view(revision)
    if since is None:
        return list(view.rows(batched=batched))
    return [view.row(row["id"], batched=batched) for row in view.rows() if row["revision"] >= since]
