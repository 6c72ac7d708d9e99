"""Rules on the log: it has no gap, each of its entries is right, and what is seen is in it."""

from __future__ import annotations

import msgspec

from gbs_actor.contract.events import ServerEvent
from gbs_actor.lineup.changes import LogEntry
from gbs_actor.lineup.commands import Kind, request_bytes
from gbs_actor.testing.simulation.checker.events import Invocation, Log
from gbs_actor.testing.simulation.checker.facts import Facts
from gbs_actor.testing.simulation.checker.rejecting import same_problems
from gbs_actor.testing.simulation.checker.violation import Found, rule
from gbs_actor.testing.simulation.history import Delivered, Json
from gbs_actor.testing.simulation.model import Decision, decide, iso


@rule
def log_without_gap(facts: Facts) -> Found:
    """Revisions in the log rise by one."""
    for log in facts.logs.values():
        revision = log.lineup.retreat.revision
        for index, entry, _ in log.committed:
            if entry.revision != revision + 1:
                yield index, f"revision {entry.revision} follows {revision}"
            revision = entry.revision


@rule
def id_once(facts: Facts) -> Found:
    """No command is in the log twice."""
    for log in facts.logs.values():
        seen = set()
        for index, entry, _ in log.committed:
            if entry.command_id in seen:
                yield index, f"{entry.command_id} is in the log again, at {entry.revision}"
            seen.add(entry.command_id)


@rule
def log_rests_on_itself(facts: Facts) -> Found:
    """What an entry has found is what those before it have left."""
    for log in facts.logs.values():
        places = _places(log)
        for revision, sentence in log.lineup.faults:
            yield places[revision], f"revision {revision} {sentence}"


@rule
def entry_decided_right(facts: Facts) -> Found:
    """Each entry is what somebody had asked for, and what becomes of that one revision earlier."""
    for slug, log in facts.logs.items():
        without_id = {
            facts.revision_of(each): each
            for each in facts.commands()
            if each.slug == slug and each.event.command_id is None
        }
        for index, entry, foreign in log.committed:
            if foreign or entry.kind is Kind.FENCE:
                if entry.kind is Kind.FENCE and entry.before:
                    yield index, f"the fence {entry.revision} changes something"
                continue
            invoked = facts.by_command.get((slug, entry.command_id))
            asking = invoked or [
                each
                for each in [without_id.get(entry.revision), *_unclaimed(facts, slug)]
                if each is not None
            ]
            problem = _why_wrong(facts, asking, log, entry, index)
            if problem is not None:
                yield index, f"revision {entry.revision} {problem}"


def _unclaimed(facts: Facts, slug: str) -> list[Invocation]:
    """Return the commands without an id of which no reply tells the revision."""
    return [
        each
        for each in facts.commands()
        if each.slug == slug
        and each.event.command_id is None
        and facts.revision_of(each) is None
        and (each.accepted or each.answered is None or each.code == "OUTCOME_UNKNOWN")
    ]


def _why_wrong(
    facts: Facts, asking: list[Invocation], log: Log, entry: LogEntry, index: int
) -> str | None:
    problem = "was asked for by nobody"
    for each in asking:
        if each.asked is None:
            problem = "comes from something malformed"
        elif each.event.user_id != entry.author_id:
            problem = f"is by {entry.author_id}, and was asked for by {each.event.user_id}"
        elif request_bytes(each.asked.action) != entry.request:
            problem = "is not what was asked for"
        elif entry.revision not in log.lineup.entries:
            return None  # the gap in the log is reported
        else:
            view = log.lineup.view(entry.revision - 1)
            # That the epoch is still the one it was decided in is checked as it is committed.
            decision = decide(view, each.asked, log.epochs.at(index))
            if _is_outcome(entry, decision, log):
                return None
            problem = f"should have come to {decision}"
    return problem


def _is_outcome(entry: LogEntry, decision: Decision, log: Log) -> bool:
    if decision.code != "OK" or (entry.registration_id, entry.undoes) != (
        decision.row,
        decision.undoes,
    ):
        return False
    written = log.lineup.written[entry.revision]
    if written.keys() != decision.writes.keys():
        return False
    for key, write in decision.writes.items():
        after = written[key].after
        memo_id = write.memo_id
        if write.value is None or memo_id is None:
            memo_id = after.memo_id
        if (after.given.value, after.memo_id) != (write.value, memo_id):
            return False
    return same_problems(shown_problems(entry), decision.problems)


def shown_problems(entry: LogEntry) -> list[Json]:
    """Return what an entry has left out, as a reply shows it."""
    return [
        {
            "index": each.index,
            "registrationId": each.registration_id,
            "gbsNumber": each.gbs_number,
            "code": str(each.code),
            "field": None if each.field is None else str(each.field),
            "theirs": msgspec.to_builtins(each.theirs),
            "changedBy": each.changed_by or None,
            "changedAt": None if each.changed_at is None else iso(each.changed_at),
            "revision": each.revision or None,
        }
        for each in entry.skipped
    ]


def _places(log: Log) -> dict[int, int]:
    """Return where each revision was committed."""
    return {entry.revision: index for index, entry, _ in log.committed}


@rule
def durable_when_seen(facts: Facts) -> Found:
    """What a client is answered or sent is in the log at that very moment."""
    for connection in facts.connections.values():
        for item in connection.items:
            log = facts.log(item.slug)
            if log is None or not isinstance(item.event, Delivered):
                continue
            for revision in _revisions(item.event):
                if revision > log.durable.at(item.index):
                    yield item.index, f"revision {revision} is sent, and not in the store"
    for each in facts.invocations.values():
        log = facts.log(each.slug)
        if log is None or each.answered is None or not each.accepted:
            continue
        if not (each.is_command or each.reads or each.settled):
            continue  # it may be of another retreat
        answered = facts.revision_of(each) if each.is_command else each.reply.get("revision")
        if isinstance(answered, int) and answered > log.durable.at(each.answered):
            yield each.answered, f"revision {answered} is answered, and not in the store"


def _revisions(event: Delivered) -> list[int]:
    payload = event.payload
    if event.event == ServerEvent.LINEUP_UPDATED:
        return [payload["revision"]]
    if event.event == ServerEvent.LINEUPS_UPDATED:
        parts = [*payload.get("rows", ()), *payload.get("groups", ())]
        return [payload["revision"], *(part["revision"] for part in parts)]
    return []
