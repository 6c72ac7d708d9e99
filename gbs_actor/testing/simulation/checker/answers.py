"""Rules on the answers to commands, leaves and marks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from gbs_actor.contract.events import ClientEvent
from gbs_actor.testing.simulation.checker.events import CONTENT, Invocation
from gbs_actor.testing.simulation.checker.facts import Facts
from gbs_actor.testing.simulation.checker.placing import shown_states
from gbs_actor.testing.simulation.checker.violation import Found, rule
from gbs_actor.testing.simulation.history import Cause

CAUSES: Final[Mapping[str, frozenset[Cause]]] = {
    "ROOM_BUSY": frozenset({Cause.LOAD, Cause.STALE}),
    "ROOM_RESTARTED": frozenset({Cause.CRASH, Cause.STOP}),
    "ROOM_UNAVAILABLE": frozenset({Cause.CRASH, Cause.STOP}),
    "STORE_UNAVAILABLE": frozenset({Cause.STORE}),
    "RATE_LIMITED": frozenset({Cause.LOAD}),
    "OUTCOME_UNKNOWN": frozenset({Cause.STORE, Cause.CRASH, Cause.STOP, Cause.KILL}),
    "INTERNAL": frozenset({Cause.STORE, Cause.CRASH}),
    "TOKEN_EXPIRED": frozenset({Cause.IDENTITY}),
    "FORBIDDEN": frozenset({Cause.IDENTITY}),
}
"""What may lead to an error that does not follow from what was asked."""
_FOREIGN_CHANGES: Final = 6
"""So many, at least, come in between before a room gives a command up as ROOM_BUSY."""
RETRYABLE: Final = frozenset(
    {
        "ROOM_BUSY",
        "ROOM_RESTARTED",
        "ROOM_UNAVAILABLE",
        "STORE_UNAVAILABLE",
        "RATE_LIMITED",
        "OUTCOME_UNKNOWN",
    }
)
_DONE: Final = frozenset(
    {ClientEvent.LEAVE_RETREAT, ClientEvent.USER_EDITING, ClientEvent.AUTHENTICATE}
)


@rule
def answered_once(facts: Facts) -> Found:
    """Nothing is answered twice."""
    for each in facts.invocations.values():
        for index in each.answers[1:]:
            yield index, f"{each.event.invocation} is answered again"


@rule
def nothing_stray(facts: Facts) -> Found:
    """Whatever arrives is an answer to something, or comes over an open connection."""
    yield from facts.stray


@rule
def accepted_is_in_log(facts: Facts) -> Found:
    """A good answer has the revision at which the log has the command; a repeat, too."""
    for each in facts.commands():
        log, index = facts.log(each.slug), each.answered
        if log is None or index is None or not each.accepted:
            continue
        revision, shown = facts.revision_of(each), each.reply.get("revision")
        if revision is None:
            if each.event.command_id is not None or each.inside:
                yield index, f"{each.event.invocation} is accepted, and not in the log"
        elif revision not in log.lineup.entries:
            yield index, f"there is no revision {revision}, which {each.event.invocation} got"
        elif shown != revision and (each.inside or shown is not None):
            yield index, f"{each.event.invocation} got {revision}, and is told {shown}"


@rule
def accepted_once_asked_for(facts: Facts) -> Found:
    """Nothing is in the log before it was first asked for; so it is above all that was known."""
    for each in facts.commands():
        log, revision = facts.log(each.slug), facts.revision_of(each)
        if log is None or revision is None or each.first is not each:
            continue
        if each.slug != each.event.slug:
            continue  # a repeat, from another retreat
        if revision <= log.durable.at(each.index):
            yield each.index, f"{each.event.invocation} was in the log before, at {revision}"


@rule
def accepted_shows_its_row(facts: Facts) -> Found:
    """A good answer shows the row that the command is about, or all that it has come to.

    Of a command that was given once and that nothing has disturbed, as of its own revision; else of
    one that is no older than what was known.
    """
    for each in facts.commands():
        log, index = facts.log(each.slug), each.answered
        revision = facts.revision_of(each)
        if log is None or index is None or not each.accepted or each.asked is None:
            continue
        if revision is None or revision not in log.lineup.entries:
            continue  # another rule reports that
        states = shown_states(facts, each, log, revision, index)
        if next(states, None) is None:
            yield index, f"{each.event.invocation} got {revision}, and shows something else"


@rule
def done_without_data(facts: Facts) -> Found:
    """A leave, a mark or a renewal is answered without data, in a revision that may be known."""
    for each in facts.invocations.values():
        index = each.answered
        if index is None or not each.accepted or each.event.event not in _DONE:
            continue
        log, revision = facts.log(each.slug), each.reply.get("revision")
        if each.reply.get("data") is not None:
            yield index, f"{each.event.invocation} is answered with data"
        elif log is None or revision is None or not each.settled:
            continue
        elif revision < each.known_there:
            known = f"{each.known_there} was known"
            yield index, f"{each.event.invocation} got {revision}, and {known}"


@rule
def rejected_right(facts: Facts) -> Found:
    """A command is rejected for what it asks, details included, at some state in its window."""
    for each in facts.commands():
        index, code = each.answered, each.code
        if index is None or code is None or each.state is not None:
            continue
        log = facts.log(each.slug)
        if log is None:
            if code in CONTENT and code != "VALIDATION_FAILED":
                yield index, f"{each.event.invocation} got {code}, and no retreat is named"
        elif code in CONTENT:
            states = f"{each.known} to {log.durable.at(index)}"
            yield index, f"{each.event.invocation} got {dict(each.reply)}, wrong at {states}"


@rule
def refused_with_cause(facts: Facts) -> Found:
    """An error that does not follow from what was asked has its cause within the window."""
    for each in facts.invocations.values():
        index, code = each.answered, each.code
        if index is None or code is None or each.state is not None:
            continue
        if each.is_command and code in CONTENT:
            continue  # another rule judges it
        if code == "NOT_IN_ROOM":
            if not _may_be_outside(each, index):
                yield index, f"{each.event.invocation} got {code}, and is in the room"
        elif code in CAUSES:
            causes = CAUSES[code] & facts.causes(each, index)
            if not causes:
                yield index, f"{each.event.invocation} got {code} without a cause"
            elif code == "ROOM_BUSY" and causes == {Cause.STALE}:
                changes = _foreign_changes(facts, each, index)
                if changes < _FOREIGN_CHANGES:
                    sentence = f"{each.event.invocation} got {code} for {changes} foreign changes"
                    yield index, sentence
        elif code == "RETREAT_NOT_FOUND":
            if each.slug in facts.logs:
                yield index, f"{each.event.invocation} got {code}, and {each.slug} is there"
        elif code == "NOT_FOUND" and each.event.event == ClientEvent.USER_EDITING:
            if each.settled and _is_registered(facts, each):
                yield index, f"{each.event.invocation} got {code}, and there is such a row"
        elif code != "VALIDATION_FAILED" or (each.reads and not _is_malformed(each)):
            yield index, f"{each.event.invocation} got {code}"


def _is_malformed(each: Invocation) -> bool:
    """Whether a join or a read is refused whatever there is."""
    argument = each.event.argument
    since = argument.get("since") if isinstance(argument, Mapping) else None
    named = isinstance(each.slug, str) and 0 < len(each.slug) <= 200
    return not named or not (since is None or (isinstance(since, int) and since >= 0))


def _foreign_changes(facts: Facts, each: Invocation, until: int) -> int:
    log = facts.log(each.slug)
    committed = () if log is None else log.committed
    return sum(foreign and each.index < index < until for index, _, foreign in committed)


def _is_registered(facts: Facts, each: Invocation) -> bool:
    log, argument = facts.log(each.slug), each.event.argument
    id_ = argument.get("lineupId", argument.get("userRetreatRegistrationId"))
    return log is not None and str(id_) in map(str, log.lineup.people)


def _may_be_outside(each: Invocation, index: int) -> bool:
    """Whether a client may be in no room, as far as it knows, while it is answered."""
    if each.connection is None or not each.inside:
        return True
    return any(
        move.index < index and (move.answered is None or move.answered > each.index)
        for move in each.connection.moves
    )


@rule
def retryable_marked(facts: Facts) -> Found:
    """Just the errors that may be retried say so."""
    for each in facts.invocations.values():
        index, code = each.answered, each.code
        if index is None or code is None:
            continue
        retryable = code in RETRYABLE
        if code == "OUTCOME_UNKNOWN" and each.is_command:
            retryable = each.event.command_id is not None
        if bool(each.reply.get("retryable", False)) is not retryable:
            yield index, f"{each.event.invocation} got {code}, retryable: {not retryable}"


@rule
def refused_has_no_effect(facts: Facts) -> Found:
    """What was refused or rejected each time is not in the log."""
    for (slug, command_id), all_ in facts.by_command.items():
        log = facts.log(slug)
        if log is None or command_id not in log.lineup.commands:
            continue
        revision = log.lineup.commands[command_id]
        if any(each.accepted or each.answered is None for each in all_):
            continue
        if any(each.code == "OUTCOME_UNKNOWN" for each in all_):
            continue
        index = all_[-1].answered
        assert index is not None
        yield index, f"{command_id} was refused, and is in the log at {revision}"
