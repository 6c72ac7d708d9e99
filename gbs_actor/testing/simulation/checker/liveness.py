"""Rules on what must have happened in the end, and on how soon an answer comes."""

from __future__ import annotations

from typing import Any

import msgspec

from gbs_actor.lineup.fields import values_of, values_of_group
from gbs_actor.testing.simulation.checker.events import Log
from gbs_actor.testing.simulation.checker.facts import Facts
from gbs_actor.testing.simulation.checker.violation import Found, rule
from gbs_actor.testing.simulation.history import Json
from gbs_actor.testing.simulation.model import View


@rule
def all_is_answered(facts: Facts) -> Found:
    """In the end everything is answered, unless its client is gone."""
    if not facts.ends:
        return
    for each in facts.invocations.values():
        gone = each.connection is not None and each.connection.closed is not None
        if each.answered is None and each.abandoned is None and not gone:
            yield each.index, f"{each.event.invocation}, {each.event.event}, was never answered"


@rule
def answered_at_once(facts: Facts) -> Found:
    """Where nothing is delayed, an answer comes at the instant of its question.

    A disturbance between both excuses it, even one that is over by then.
    """
    if facts.history.delayed:
        return
    for each in facts.invocations.values():
        if each.answered is None or facts.at(each.answered) == facts.at(each.index):
            continue
        if not facts.causes(each, each.answered):
            late = facts.at(each.answered) - facts.at(each.index)
            yield each.answered, f"{each.event.invocation} is answered {late:g} s later"


@rule
def stored_is_the_log(facts: Facts) -> Found:
    """In the end the store holds what the log leads to."""
    for index, end in facts.ends:
        log = facts.logs[end.slug]
        view = log.lineup.view(log.lineup.revision)
        if end.stored.revision != view.revision:
            sentence = f"the store is at {end.stored.revision}, the log at {view.revision}"
            yield index, sentence
            continue
        if end.stored.epoch != log.epochs.at(index):
            yield index, f"the store is in the epoch {end.stored.epoch}"
        for each in end.stored.registrations:
            for field, value, stamp in values_of(each):
                if not _is_held(view, (each.id, None, str(field)), value, stamp):
                    yield index, f"{field} of {each.id} is {value!r} of {stamp.revision}"
        for group in end.stored.groups.values():
            for field, value, stamp in values_of_group(group):
                if not _is_held(view, (None, group.number, str(field)), value, stamp):
                    yield index, f"{field} of group {group.number} is {value!r}"


def _is_held(view: View, key: Any, value: Any, stamp: Any) -> bool:
    cell = view.cell(key)
    return (cell.shown, cell.revision, cell.origin, cell.author_id, cell.at) == (
        msgspec.to_builtins(value),
        stamp.revision,
        stamp.origin,
        stamp.author_id,
        stamp.at,
    )


@rule
def read_in_the_end(facts: Facts) -> Found:
    """In the end a read returns what the log leads to, in list order."""
    for index, end in facts.ends:
        rows = _last(facts.logs[end.slug]).rows()
        if list(end.rows) != rows:
            yield index, f"{_differing(end.rows, rows)} of the rows in {end.slug} are wrong"


@rule
def replicas_are_equal(facts: Facts) -> Found:
    """In the end each client in a room shows what the log leads to.

    A row's revision apart: which one a client holds depends on the form.
    """
    for index, end in facts.ends:
        rows = [_without_revision(row) for row in _last(facts.logs[end.slug]).rows()]
        for number, replica in end.replicas.items():
            shown = [_without_revision(row) for row in replica]
            wrong = _differing(shown, rows)
            if wrong:
                yield index, f"connection {number} shows other rows: {wrong}"


def _last(log: Log) -> View:
    return log.lineup.view(log.lineup.revision)


def _without_revision(row: Json) -> Json:
    return {name: value for name, value in row.items() if name != "revision"}


def _differing(shown: Any, expected: Any) -> list[int]:
    """Return the ids of which the rows differ; of those in another order, too."""
    ids, wanted = {row["id"]: row for row in shown}, {row["id"]: row for row in expected}
    found = [id_ for id_ in ids.keys() | wanted.keys() if ids.get(id_) != wanted.get(id_)]
    return sorted(found)


@rule
def nothing_left_over(facts: Facts) -> Found:
    """In the end nothing is queued, and no task or stream is there that was not at first."""
    for problem in facts.history.problems:
        yield len(facts.history.moments) - 1, problem
    for index, end in facts.ends:
        for name, count in end.left_over.items():
            if count:
                yield index, f"{count} of {name} left over"
