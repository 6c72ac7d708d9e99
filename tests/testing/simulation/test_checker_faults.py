"""Each rule of the checker is the only one to find what it is for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Final
from uuid import UUID

import pytest

from gbs_actor.lineup.changes import LogEntry, fence
from gbs_actor.lineup.commands import AssignNumber, Kind, request_bytes
from gbs_actor.lineup.fields import Field, FieldValue
from gbs_actor.testing.simulation.checker import RULES, check
from gbs_actor.testing.simulation.history import (
    READ,
    Abandoned,
    Answered,
    Calmed,
    Cause,
    Closed,
    Committed,
    Delivered,
    Disturbed,
    Ended,
    History,
    Invoked,
    Kicked,
    NewEpoch,
    Opened,
)
from tests.testing.simulation.endings import STAYS, ends, stays
from tests.testing.simulation.player import SLUG, START
from tests.testing.simulation.stories import (
    RETREAT,
    Story,
    answer_of,
    change_data,
    change_end,
    change_payload,
    change_reply,
    change_stored,
    committed,
    delivered_to,
    drop,
    event_at,
    find,
    find_last,
    insert,
    invoked,
    move,
    put,
)

Fault = Callable[[], History]
FAULTS: Final[list[tuple[str, Fault]]] = []


def breaks(rule: str) -> Callable[[Fault], Fault]:
    """Declare a history in which one rule alone is broken."""

    def declare(fault: Fault) -> Fault:
        FAULTS.append((rule, fault))
        return fault

    return declare


# -- stories

NO_OP: Final = {"lineupId": 1, "gbsNumber": 1}


def entry(revision: int, command: int = 1, **more: object) -> LogEntry:
    """An entry that changes nothing."""
    found = (FieldValue(Field.GBS_NUMBER, 1, 0, 1),)
    action = AssignNumber(1, 1)
    made = LogEntry(
        revision=revision,
        command_id=UUID(int=command),
        author_id=900,
        author_name="",
        kind=Kind.ASSIGN_NUMBER,
        registration_id=1,
        request=request_bytes(action),
        before=found,
        after=found,
        at=START,
    )
    return replace(made, **more)  # type: ignore[arg-type]


def with_entries(*entries: LogEntry, foreign: bool = True) -> History:
    """Nobody does anything, but another server writes something."""
    history = Story().end()
    insert(history, find(history, Ended), Committed(SLUG, entries, foreign))
    change_stored(history, revision=max(each.revision for each in entries))
    return history


def a_no_op() -> History:
    story = Story()
    story.move(0, 1, 1)
    return story.end()


def two_moves(form: str = "rows") -> History:
    """The first client moves 4 to 3, and then from there to 1."""
    story = Story("batch" if form == "batch" else "rows")
    story.move(0, 4, 3)
    story.settle()
    story.move(0, 4, 1)
    return story.end()


def two_memos(form: str = "rows") -> History:
    """The first client writes a memo for 1, then one for 2, then changes the first."""
    story = Story("batch" if form == "batch" else "rows")
    for person in (1, 2):
        story.say(0, "create-lineup-memo", lineupId=person, memo="a")
        story.settle()
    story.say(0, "update-lineup-memo", memoId=1_000, memo="b")
    return story.end()


def a_conflict() -> History:
    story = Story()
    story.move(0, 4, 3)
    story.settle()
    story.move(1, 4, 2, baseRevision=0)
    return story.end()


def a_refusal(outcome: str = "down") -> History:
    story = Story()
    story.move(0, 4, 3)
    story.fail(outcome)
    return story.end()


def a_read() -> History:
    story = Story()
    story.say(0, "create-lineup-memo", lineupId=1, memo="a")
    story.settle()
    story.read()
    return story.end()


def refused(history: History, index: int, code: str, *, retryable: bool = True) -> None:
    """Turn an answer into a refusal."""
    number = event_at(history, index, Answered).invocation
    reply = {"status": "ERROR", "code": code, "message": ""}
    put(history, index, Answered(number, reply | ({"retryable": True} if retryable else {})))


def disturb(history: History, first: int, last: int, cause: Cause, slug: str | None = None) -> None:
    insert(history, last, Calmed(77))
    insert(history, first, Disturbed(77, cause, slug))


def last_answer(history: History) -> int:
    return find_last(history, Answered)


# -- the log


@breaks("log-without-gap")
def a_revision_is_missing() -> History:
    history = with_entries(entry(1), entry(3, 2))
    change_stored(history, revision=1)
    return history


@breaks("log-without-gap")
def a_revision_comes_twice() -> History:
    return with_entries(entry(1), entry(1, 2))


@breaks("id-once")
def an_id_comes_twice() -> History:
    return with_entries(entry(1), entry(2))


@breaks("id-once")
def a_fence_has_the_id_of_a_command() -> History:
    return with_entries(entry(1), LogEntry.of(fence(2, UUID(int=1), START)))


@breaks("log-rests-on-itself")
def an_entry_has_found_another_value() -> History:
    found = (FieldValue(Field.GBS_NUMBER, 2, 0, 1),)
    return with_entries(entry(1, before=found, after=found))


@breaks("log-rests-on-itself")
def an_entry_has_found_another_origin() -> History:
    found = (FieldValue(Field.GBS_NUMBER, 1, 5, 1),)
    return with_entries(entry(1, before=found, after=found))


@breaks("entry-decided-right")
def nobody_has_asked_for_an_entry() -> History:
    return with_entries(entry(1), foreign=False)


@breaks("entry-decided-right")
def an_entry_is_by_another_author() -> History:
    history = a_no_op()
    index = committed(history, 1)
    old = event_at(history, index, Committed).entries[0]
    put(history, index, Committed(SLUG, (replace(old, author_id=905),)))
    return history


@breaks("entry-decided-right")
def a_conflict_is_not_noticed() -> History:
    story = Story()
    story.move(0, 4, 3)
    story.settle()
    story.move(1, 4, 2)
    history = story.end()
    index = find_last(history, Invoked)
    event = event_at(history, index, Invoked)
    put(history, index, replace(event, argument={**event.argument, "baseRevision": 0}))
    return history


@breaks("entry-decided-right")
def a_fence_changes_something() -> History:
    return with_entries(entry(1, kind=Kind.FENCE))


@breaks("durable-when-seen")
def an_answer_comes_before_its_commit() -> History:
    history = a_no_op()
    move(history, committed(history, 1), last_answer(history))
    return history


@breaks("durable-when-seen")
def a_row_comes_before_its_commit() -> History:
    history = two_memos()
    move(history, delivered_to(history, 3), committed(history, 1))
    return history


@breaks("durable-when-seen")
def a_list_comes_before_its_commit() -> History:
    story = Story()
    story.move(0, 1, 1)
    story.settle()
    story.read()
    history = story.end()
    # The command is answered behind the read, and stored between both.
    move(history, answer_of(history, invoked(history, "update-gbs-number")), last_answer(history))
    move(history, committed(history, 1), last_answer(history) - 1)
    return history


# -- answers


@breaks("answered-once")
def an_answer_comes_twice() -> History:
    history = a_no_op()
    index = last_answer(history)
    insert(history, index + 1, event_at(history, index, Answered))
    return history


@breaks("answered-once")
def an_error_follows_an_answer() -> History:
    history = a_no_op()
    index = last_answer(history)
    insert(history, index + 1, event_at(history, index, Answered))
    refused(history, index + 1, "ROOM_BUSY")
    return history


@breaks("nothing-stray")
def something_comes_over_a_closed_connection() -> History:
    history = a_no_op()
    index = find(history, Ended)
    presence = {"users": [], "total": 0}
    insert(history, index, Closed(3), Delivered(3, "room-presence", presence))
    return history


@breaks("nothing-stray")
def nobody_has_asked_for_an_answer() -> History:
    history = a_no_op()
    insert(history, find(history, Ended), Answered(555, {"status": "OK", "data": None}))
    return history


@breaks("accepted-is-in-log")
def a_revision_is_answered_that_another_command_got() -> History:
    history = two_memos()
    change_reply(history, last_answer(history), revision=2)
    return history


@breaks("accepted-is-in-log")
def what_is_accepted_is_never_stored() -> History:
    history = a_no_op()
    drop(history, committed(history, 1))
    change_stored(history, revision=0)
    return history


@breaks("accepted-once-asked-for")
def something_is_stored_before_it_is_asked_for() -> History:
    history = a_no_op()
    move(history, committed(history, 1), invoked(history, "update-gbs-number"))
    return history


@breaks("accepted-once-asked-for")
def another_server_has_stored_it_before() -> History:
    history = a_no_op()
    index = committed(history, 1)
    put(history, index, replace(event_at(history, index, Committed), foreign=True))
    move(history, index, invoked(history, "update-gbs-number"))
    return history


@breaks("accepted-shows-its-row")
def another_row_is_answered() -> History:
    history = a_no_op()
    change_data(history, last_answer(history), name="누구")
    return history


@breaks("accepted-shows-its-row")
def fewer_are_said_to_be_changed() -> History:
    story = Story()
    assignments = [{"lineupId": 4, "gbsNumber": 2}, {"lineupId": 3, "gbsNumber": 1}]
    story.say(0, "bulk-assign-gbs", assignments=assignments)
    history = story.end()
    change_data(history, last_answer(history), updatedCount=1)
    return history


@breaks("accepted-shows-its-row")
def a_repeat_shows_a_row_that_was_never_so() -> History:
    story = Story()
    story.move(0, 4, 3)
    story.settle()
    event = "update-gbs-number"
    argument = event_at(story.history, invoked(story.history, event), Invoked).argument
    story.submit(story.lines[0], event, argument)
    history = story.end()
    change_data(history, last_answer(history), gbsMemo="2층")
    return history


@breaks("done-without-data")
def a_leave_is_answered_with_rows() -> History:
    story = Story()
    story.leave(story.lines[0])
    history = story.end()
    change_reply(history, answer_of(history, invoked(history, "leave-retreat")), data=[])
    return history


def a_mark() -> History:
    """The second client marks a row after a change, and the first is sent that."""
    story = Story()
    story.move(0, 1, 1)
    story.settle()
    number = story.invoke(story.lines[1], "user-editing", {"lineupId": 2}, None)
    story.answer(story.lines[1], number, {"status": "OK", "data": None, "revision": 1})
    story.settle()
    mark = {"lineupId": 2, "userId": 901, "field": None, "editing": True}
    story.record(Delivered(1, "user-editing", mark))
    story.now += 10.0
    story.record(Delivered(1, "user-editing", mark | {"editing": False}))
    return story.end()


def a_leave_of_another_retreat(revision: int) -> History:
    """The second client leaves a retreat that it is not in, after a change where it is."""
    story = Story()
    story.history.before = {**story.history.before, "summer": replace(RETREAT, id=2, slug="summer")}
    story.move(0, 4, 3)
    story.settle()
    story.record(Invoked(99, 1, 901, 3, "leave-retreat", {"retreatSlug": "summer"}, "summer", None))
    story.record(Answered(99, {"status": "OK", "data": None, "revision": revision}))
    return story.end()


def test_a_leave_of_another_retreat_is_answered_in_the_revision_of_the_room() -> None:
    assert check(a_leave_of_another_retreat(1)) == []


@breaks("durable-when-seen")
def a_leave_of_another_retreat_is_answered_in_a_later_revision() -> History:
    return a_leave_of_another_retreat(2)


@breaks("done-without-data")
def a_mark_is_answered_in_an_old_revision() -> History:
    history = a_mark()
    change_reply(history, answer_of(history, invoked(history, "user-editing")), revision=0)
    return history


@breaks("rejected-right")
def a_conflict_is_with_another_value() -> History:
    history = a_conflict()
    index = last_answer(history)
    conflict = event_at(history, index, Answered).reply["conflict"]
    change_reply(history, index, conflict=conflict | {"theirs": 2})
    return history


@breaks("rejected-right")
def a_conflict_is_called_something_else() -> History:
    history = a_conflict()
    change_reply(history, last_answer(history), code="NOT_FOUND", conflict=..., data=...)
    return history


@breaks("rejected-right")
def a_problem_is_not_listed() -> History:
    story = Story()
    assignments = [{"lineupId": 8, "gbsNumber": 2}, {"lineupId": 9, "gbsNumber": 1}]
    story.say(0, "bulk-assign-gbs", assignments=assignments)
    history = story.end()
    index = last_answer(history)
    change_reply(history, index, problems=event_at(history, index, Answered).reply["problems"][:1])
    return history


@breaks("refused-with-cause")
def a_refusal_has_no_cause() -> History:
    history = a_refusal()
    drop(history, find(history, Calmed))
    drop(history, find(history, Disturbed))
    return history


@breaks("refused-with-cause")
def a_refusal_has_another_cause() -> History:
    history = a_refusal()
    index = find(history, Disturbed)
    put(history, index, replace(event_at(history, index, Disturbed), cause=Cause.LOAD))
    return history


@breaks("refused-with-cause")
def the_cause_was_over_before() -> History:
    history = a_refusal()
    index = find_last(history, Invoked)
    move(history, find(history, Disturbed), index)
    move(history, find(history, Calmed), index + 1)
    return history


@breaks("refused-with-cause")
def somebody_in_the_room_is_said_not_to_be() -> History:
    history = a_refusal()
    refused(history, last_answer(history), "NOT_IN_ROOM", retryable=False)
    return history


@breaks("refused-with-cause")
def a_read_is_called_malformed() -> History:
    history = a_read()
    index = answer_of(history, invoked(history, READ))
    refused(history, index, "VALIDATION_FAILED", retryable=False)
    return history


@breaks("retryable-marked")
def a_refusal_is_not_called_retryable() -> History:
    history = a_refusal()
    change_reply(history, last_answer(history), retryable=...)
    return history


@breaks("retryable-marked")
def a_conflict_is_called_retryable() -> History:
    history = a_conflict()
    change_reply(history, last_answer(history), retryable=True)
    return history


@breaks("refused-has-no-effect")
def something_is_stored_that_was_refused() -> History:
    history = a_no_op()
    index = last_answer(history)
    refused(history, index, "ROOM_BUSY")
    disturb(history, invoked(history, "update-gbs-number"), index, Cause.LOAD)
    return history


@breaks("refused-has-no-effect")
def something_is_stored_whose_room_had_crashed() -> History:
    history = a_refusal("unknown")
    index = last_answer(history)
    cause = find(history, Disturbed)
    put(history, cause, replace(event_at(history, cause, Disturbed), cause=Cause.CRASH))
    change_reply(history, index, code="ROOM_RESTARTED")
    return history


# -- reads


@breaks("read-is-fresh")
def a_read_is_of_an_older_revision() -> History:
    history = two_memos()
    rows = event_at(history, answer_of(history, invoked(history, "join-retreat")), Answered).reply
    index = find(history, Ended)
    asked = Invoked(99, -1, 900, None, READ, {}, SLUG, None, outside=True)
    insert(history, index, asked, Answered(99, rows))
    return history


@breaks("read-is-fresh")
def a_join_is_of_an_older_revision() -> History:
    history = a_no_op()
    rows = event_at(history, answer_of(history, invoked(history, "join-retreat")), Answered).reply
    asked = Invoked(99, 5, 905, 50, "join-retreat", {"retreatSlug": SLUG}, SLUG, None)
    index = find(history, Ended)
    insert(history, index, Opened(50, 5, 905, "rows"), asked, Answered(99, rows))
    return history


@breaks("read-is-right")
def a_row_is_missing_in_a_read() -> History:
    history = a_read()
    index = answer_of(history, invoked(history, READ))
    change_reply(history, index, data=event_at(history, index, Answered).reply["data"][1:])
    return history


@breaks("read-is-right")
def a_list_is_in_another_order() -> History:
    history = a_read()
    index = answer_of(history, invoked(history, READ))
    change_reply(history, index, data=event_at(history, index, Answered).reply["data"][::-1])
    return history


@breaks("read-is-right")
def a_part_leaves_out_the_revision_it_is_since() -> History:
    history = a_read()
    index = invoked(history, READ)
    event = event_at(history, index, Invoked)
    put(history, index, replace(event, argument={"since": 1, "epoch": "e1"}))
    change_reply(history, index + 1, data=[], full=False)
    return history


@breaks("read-is-right")
def a_part_is_given_of_another_epoch() -> History:
    history = a_read()
    index = invoked(history, READ)
    event = event_at(history, index, Invoked)
    rows = event_at(history, index + 1, Answered).reply["data"]
    put(history, index, replace(event, argument={"since": 1, "epoch": "e1"}))
    part = [row for row in rows if row["revision"] >= 1]
    change_reply(history, index + 1, data=part, full=False, epoch="e2")
    insert(history, index, NewEpoch(SLUG, "e2"), Closed(1), Closed(3))
    change_stored(history, epoch="e2")
    return history


# -- epochs


@breaks("epoch-goes-on")
def a_client_stays_when_its_epoch_ends() -> History:
    history = a_no_op()
    insert(history, find(history, Ended), NewEpoch(SLUG, "e2"), Closed(3))
    change_stored(history, epoch="e2")
    return history


@breaks("epoch-goes-on")
def a_client_is_sent_something_when_its_epoch_has_ended() -> History:
    history = a_read()
    index = invoked(history, READ)
    insert(history, index, NewEpoch(SLUG, "e2"), Closed(3))
    change_reply(history, answer_of(history, invoked(history, READ)), epoch="e2")
    payload = {"users": [], "total": 0}
    insert(history, find(history, Ended), Delivered(1, "room-presence", payload), Closed(1))
    change_stored(history, epoch="e2")
    return history


# -- sequences


@breaks("rows-are-right")
def a_row_shows_another_name() -> History:
    history = two_memos()
    change_payload(history, delivered_to(history, 3), name="누구")
    return history


@breaks("rows-are-right")
def a_row_is_in_the_revision_of_another() -> History:
    history = two_memos("batch")
    index = delivered_to(history, 3)
    row = event_at(history, index, Delivered).payload["rows"][0]
    change_payload(history, index, rows=[row | {"lineupMemo": "b"}])
    return history


@breaks("groups-are-right")
def a_group_has_another_total() -> History:
    history = two_moves("batch")
    index = delivered_to(history, 3)
    groups = event_at(history, index, Delivered).payload["groups"]
    change_payload(history, index, groups=[groups[0] | {"totalCount": 5}, *groups[1:]])
    return history


@breaks("groups-are-right")
def a_group_is_not_said_to_be_deleted() -> History:
    story = Story("batch")
    story.say(0, "delete-gbs", gbsNumber=3)
    history = story.end()
    index = delivered_to(history, 3)
    (group,) = event_at(history, index, Delivered).payload["groups"]
    left = {name: value for name, value in group.items() if name != "deleted"}
    change_payload(history, index, groups=[left | {"gbsMemo": "", "totalCount": 0}])
    return history


@breaks("revisions-rise")
def two_rows_change_places() -> History:
    story = Story()
    for memo in ("a", "b"):
        event = "create-lineup-memo" if memo == "a" else "update-lineup-memo"
        target = {"lineupId": 1} if memo == "a" else {"memoId": 1_000}
        story.say(0, event, memo=memo, **target)
        story.settle()
    history = story.end()
    first, second = delivered_to(history, 3), delivered_to(history, 3, 1)
    move(history, first, second)
    return history


@breaks("revisions-rise")
def a_row_comes_twice() -> History:
    history = two_memos()
    index = delivered_to(history, 3)
    insert(history, index, event_at(history, index, Delivered))
    return history


@breaks("revisions-rise")
def a_message_says_another_revision() -> History:
    history = two_memos("batch")
    change_payload(history, delivered_to(history, 3), revision=0)
    return history


@breaks("revision-is-one-step")
def a_message_is_cut_in_two() -> History:
    history = two_moves("batch")
    index = delivered_to(history, 3, 1)
    event = event_at(history, index, Delivered)
    groups = event.payload["groups"]
    put(history, index, replace(event, payload=event.payload | {"groups": groups[:1]}))
    rest = {"revision": 2, "rows": [], "groups": groups[1:], "changes": []}
    insert(history, index + 1, replace(event, payload=rest))
    return history


@breaks("revision-is-one-step")
def a_group_is_missing_that_comes_again() -> History:
    story = Story("batch")
    for person in (4, 3):
        story.move(0, person, 1)
        story.settle()
    story.move(0, 4, 2)
    history = story.end()
    # The third message has both groups; the second one lacks the one that comes again.
    story_index = delivered_to(history, 3, 1)
    payload = event_at(history, story_index, Delivered).payload
    change_payload(history, story_index, groups=payload["groups"][:1])
    move(history, story_index, committed(history, 3))
    return history


@breaks("nothing-is-left-out")
def a_row_is_left_out() -> History:
    history = two_memos()
    drop(history, delivered_to(history, 3, 1))
    return history


@breaks("nothing-is-left-out")
def a_message_is_left_out() -> History:
    history = two_memos("batch")
    drop(history, delivered_to(history, 3, 1))
    return history


@breaks("answer-is-in-place")
def an_answer_comes_before_its_row() -> History:
    history = two_memos()
    index = last_answer(history)
    move(history, index, index - 1)
    return history


@breaks("answer-is-in-place")
def an_answer_comes_behind_a_newer_row() -> History:
    history = two_memos()
    index = answer_of(history, invoked(history, "create-lineup-memo"))
    newer = find(history, Delivered, lambda it: it.connection == 1 and it.payload["revision"] == 2)
    move(history, index, newer)
    return history


@breaks("answer-is-in-place")
def a_repeat_shows_a_row_that_is_older_than_what_was_sent() -> History:
    story = Story()
    event = "update-gbs-number"
    story.move(0, 4, 3)
    story.settle()
    argument = event_at(story.history, invoked(story.history, event), Invoked).argument
    story.submit(story.lines[0], event, argument)
    story.work()
    story.say(1, "create-lineup-memo", lineupId=2, memo="x")
    story.move(1, 4, 2)
    history = story.end()
    # The repeat is answered behind the move, with the row of before; its window has both.
    answer = answer_of(history, find_last(history, Invoked, lambda it: it.client == 0))
    move(history, answer, find(history, Ended) - 2)
    return history


def a_list_over_a_plain_connection() -> History:
    history = a_read()
    rows = event_at(history, answer_of(history, invoked(history, READ)), Answered).reply["data"]
    index = find(history, Ended)
    opened = Opened(50, 5, 905, "rows", slug=SLUG)
    insert(history, index, opened, Delivered(50, "initial-data", rows))
    return history


def test_the_list_of_a_plain_connection_is_right() -> None:
    assert check(a_list_over_a_plain_connection()) == []


def a_list_with_an_empty_group(revision: int) -> History:
    """A list over a plain connection that has the same rows as that of one revision before."""
    story = Story("batch")
    story.record(Opened(50, 5, 905, "batch", slug=SLUG))
    story.say(0, "create-gbs", gbsNumbers=[7])
    story.settle()
    rows = story.listed(None, batched=True)["data"]
    story.record(Delivered(50, "initial-data", rows, revision))
    story.move(0, 4, 3)
    story.settle()
    history = story.history
    index = find_last(history, Delivered, lambda it: it.event == "lineups-updated")
    insert(history, index, replace(event_at(history, index, Delivered), connection=50))
    return story.end()


def test_the_list_of_a_plain_connection_has_the_empty_groups_of_its_revision() -> None:
    assert check(a_list_with_an_empty_group(1)) == []


@breaks("nothing-is-left-out")
def a_group_that_was_made_behind_the_list_of_a_plain_connection_is_left_out() -> History:
    return a_list_with_an_empty_group(0)


@breaks("list-is-right")
def the_list_of_a_plain_connection_is_of_another_revision() -> History:
    history = a_list_over_a_plain_connection()
    index = find(history, Delivered, lambda it: it.event == "initial-data")
    event = event_at(history, index, Delivered)
    revision = event_at(history, find(history, Ended), Ended).stored.revision
    put(history, index, replace(event, revision=revision + 1))
    return history


@breaks("list-is-right")
def a_row_is_missing_in_the_list_of_a_plain_connection() -> History:
    history = a_list_over_a_plain_connection()
    index = find(history, Delivered, lambda it: it.event == "initial-data")
    event = event_at(history, index, Delivered)
    put(history, index, replace(event, payload=event.payload[1:]))
    return history


@breaks("list-is-right")
def the_list_of_a_plain_connection_is_an_old_one() -> History:
    history = a_list_over_a_plain_connection()
    join = event_at(history, answer_of(history, invoked(history, "join-retreat")), Answered)
    index = find(history, Delivered, lambda it: it.event == "initial-data")
    event = event_at(history, index, Delivered)
    put(history, index, replace(event, payload=join.reply["data"]))
    return history


# -- the end


@breaks("all-is-answered")
def a_command_is_never_answered() -> History:
    history = a_no_op()
    drop(history, last_answer(history))
    return history


@breaks("all-is-answered")
def a_read_is_never_answered() -> History:
    history = a_read()
    drop(history, answer_of(history, invoked(history, READ)))
    return history


def test_who_is_gone_need_not_be_answered() -> None:
    history = a_no_op()
    index = last_answer(history)
    put(history, index, Abandoned(event_at(history, index, Answered).invocation))
    assert check(history) == []


@breaks("answered-at-once")
def an_answer_is_late() -> History:
    history = a_no_op()
    history.delayed = False
    index = last_answer(history)
    history.moments[index] = replace(history.moments[index], at=1.5)
    return history


@breaks("answered-at-once")
def an_answer_is_late_and_the_disturbance_was_over() -> History:
    history = a_no_op()
    history.delayed = False
    index = last_answer(history)
    history.moments[index] = replace(history.moments[index], at=1.5)
    first = invoked(history, "update-gbs-number")
    disturb(history, first, first, Cause.STORE)
    return history


def test_a_disturbance_excuses_a_late_answer() -> None:
    history = an_answer_is_late()
    disturb(history, invoked(history, "update-gbs-number"), last_answer(history), Cause.STORE)
    assert check(history) == []


@breaks("stored-is-the-log")
def the_store_is_at_another_revision() -> History:
    history = a_no_op()
    change_stored(history, revision=2)
    return history


@breaks("stored-is-the-log")
def the_store_has_another_number() -> History:
    history = two_moves()
    stored = event_at(history, find(history, Ended), Ended).stored
    change_stored(history, registrations=(*stored.registrations[:3], RETREAT.registrations[3]))
    return history


@breaks("read-in-the-end")
def a_read_has_another_order_in_the_end() -> History:
    history = a_no_op()
    rows = event_at(history, find(history, Ended), Ended).rows
    change_end(history, rows=rows[::-1])
    return history


@breaks("read-in-the-end")
def a_read_lacks_a_row_in_the_end() -> History:
    history = a_no_op()
    rows = event_at(history, find(history, Ended), Ended).rows
    change_end(history, rows=rows[1:])
    return history


@breaks("replicas-are-equal")
def a_client_shows_an_old_row_in_the_end() -> History:
    history = two_memos()
    end = event_at(history, find(history, Ended), Ended)
    old = [dict(row) | {"lineupMemo": ""} for row in end.replicas[3]]
    change_end(history, replicas={**end.replicas, 3: old})
    return history


@breaks("replicas-are-equal")
def a_client_lacks_a_row_in_the_end() -> History:
    history = two_memos()
    end = event_at(history, find(history, Ended), Ended)
    change_end(history, replicas={**end.replicas, 1: end.replicas[1][1:]})
    return history


@breaks("nothing-left-over")
def a_task_is_left_over() -> History:
    history = a_no_op()
    change_end(history, left_over={"tasks": 1, "streams": 0})
    return history


@breaks("nothing-left-over")
def a_message_is_still_queued() -> History:
    history = a_no_op()
    change_end(history, left_over={"queued": 3})
    return history


# -- marks and presence


def test_a_mark_that_ends_is_right() -> None:
    assert check(a_mark()) == []


@breaks("marks-end")
def a_mark_never_ends() -> History:
    history = a_mark()
    drop(history, delivered_to(history, 1, -1))
    return history


@breaks("marks-end")
def a_mark_ends_at_another_field() -> History:
    history = a_mark()
    change_payload(history, delivered_to(history, 1, -1), field="gbsNumber")
    return history


@breaks("marks-go-with-their-user")
def a_mark_outlasts_its_connection() -> History:
    history = a_mark()
    insert(history, delivered_to(history, 1), Closed(3))
    return history


def test_a_mark_lasts_over_a_connection_that_its_client_has_vanished_from() -> None:
    history = a_mark()
    insert(history, delivered_to(history, 1), Closed(3, ending="client", half_open=True))
    assert check(history) == []


@breaks("marks-go-with-their-user")
def a_mark_outlasts_that_its_user_leaves_before_its_client_vanishes() -> History:
    history = a_mark_outlasts_that_its_user_leaves()
    index = find(history, Answered, lambda it: it.invocation == 99)
    insert(history, index + 1, Closed(3, ending="client", half_open=True))
    return history


@breaks("marks-go-with-their-user")
def a_mark_outlasts_that_its_user_leaves() -> History:
    history = a_mark()
    left = Invoked(99, 1, 901, 3, "leave-retreat", {"retreatSlug": SLUG}, SLUG, None)
    reply = {"status": "OK", "data": None, "revision": None}
    insert(history, delivered_to(history, 1), left, Answered(99, reply))
    return history


@breaks("marks-of-others")
def somebody_is_sent_the_own_mark() -> History:
    history = a_mark()
    for _ in range(2):
        index = delivered_to(history, 1)
        put(history, index, replace(event_at(history, index, Delivered), connection=3))
    return history


@breaks("marks-of-others")
def a_mark_is_at_no_row() -> History:
    history = a_mark()
    for nth in (0, 1):
        change_payload(history, delivered_to(history, 1, nth), lineupId=9)
    return history


def presence(*users: tuple[int, int]) -> History:
    """The first client is sent who is there; each with a number of connections."""
    history = a_no_op()
    shown = [{"userId": user, "userName": "", "connections": n, "editing": []} for user, n in users]
    payload = {"users": shown, "total": len(users)}
    insert(history, find(history, Ended), Delivered(1, "room-presence", payload))
    return history


def test_a_presence_with_both_users_is_right() -> None:
    assert check(presence((900, 1), (901, 1))) == []


@breaks("presence-is-right")
def a_user_is_not_said_to_be_there() -> History:
    return presence((900, 1))


@breaks("presence-is-right")
def a_user_has_too_many_connections() -> History:
    return presence((900, 1), (901, 2))


# -- how connections end


@pytest.mark.parametrize(
    "history",
    [
        ends("expired", None, "disconnect"),
        ends("expired", 4401),
        ends("revoked", None, "disconnect"),
        ends("revoked", 4403),
        ends("kicked", None, "disconnect"),
        ends("kicked", 4403),
        ends("violated", 1009),
        ends(None, 1001, "client"),
    ],
)
def test_who_has_to_leave_is_disconnected_with_the_code_for_it(history: History) -> None:
    assert check(history) == []


@breaks("ended-for-a-reason")
def a_client_is_disconnected_that_may_stay() -> History:
    return ends(None, None, "disconnect")


@breaks("ended-for-a-reason")
def an_expired_token_ends_a_connection_with_the_code_of_a_revoked_grant() -> History:
    return ends("expired", 4403)


@breaks("ended-for-a-reason")
def a_revoked_grant_ends_a_connection_with_the_code_of_an_expired_token() -> History:
    return ends("revoked", 4401)


@breaks("ended-for-a-reason")
def a_connection_ends_before_its_client_could_renew_the_token() -> History:
    return ends("expired", 4401, after=STAYS - 5.0)


@breaks("ended-for-a-reason")
def a_client_is_not_notified_that_its_token_has_expired() -> History:
    return ends("expired", 4401, notified=False)


@breaks("ended-for-a-reason")
def a_connection_ends_as_at_a_shutdown_and_there_is_none() -> History:
    return ends(None, 1001)


@breaks("ended-for-a-reason")
def a_connection_breaks_and_nothing_has_broken_it() -> History:
    return ends(None)


@breaks("ended-for-a-reason")
def a_client_that_broke_no_rule_is_said_to_have_sent_too_much() -> History:
    return ends(None, 1009)


@breaks("ended-for-a-reason")
def a_frame_that_is_too_large_ends_a_connection_as_if_it_were_no_text() -> History:
    return ends("violated", 1007)


@breaks("ended-for-a-reason")
def a_shutdown_ends_a_connection_as_a_restart_does() -> History:
    history = ends(None, 1012)
    index = find(history, Closed)
    disturb(history, index, index + 1, Cause.STOP)
    return history


def test_a_room_that_is_stopped_sends_its_clients_away() -> None:
    history = ends(None, 1012)
    index = find(history, Closed)
    disturb(history, index, index + 1, Cause.STOP, SLUG)
    assert check(history) == []


@breaks("ended-for-good")
def a_client_that_was_kicked_resumes_its_session() -> History:
    return ends("kicked", None, "disconnect", resumed=True)


@breaks("ended-for-good")
def a_client_whose_token_has_expired_resumes_its_session() -> History:
    return ends("expired", None, "disconnect", resumed=True)


@breaks("ended-in-time")
def a_connection_outlasts_its_token() -> History:
    return stays("expired")


@breaks("ended-in-time")
def a_connection_ends_long_after_its_token() -> History:
    return ends("expired", 4401, after=STAYS + 10.0)


@breaks("ended-in-time")
def a_client_stays_in_a_retreat_that_it_may_not_read_any_more() -> History:
    return stays("revoked")


@breaks("ended-in-time")
def a_client_stays_that_was_kicked() -> History:
    return stays("kicked")


@breaks("ended-in-time")
def a_connection_outlasts_that_its_client_breaks_the_protocol() -> History:
    return stays("violated")


def test_a_client_that_does_not_read_may_learn_late_that_it_has_to_leave() -> None:
    history = stays("kicked")
    disturb(history, find(history, Kicked), find(history, Ended), Cause.NETWORK)
    assert check(history) == []


# -- and what finds them


@pytest.mark.parametrize(("rule", "fault"), [pytest.param(*it, id=it[1].__name__) for it in FAULTS])
def test_one_rule_alone_finds_a_planted_fault(rule: str, fault: Fault) -> None:
    found = check(fault())
    assert {each.rule for each in found} == {rule}, [str(each) for each in found]


def test_each_rule_is_the_only_one_to_find_two_faults_or_more() -> None:
    counts = Counter(rule for rule, _ in FAULTS)
    assert {rule for rule in RULES if counts[rule] < 2} == set()
    assert counts.keys() <= set(RULES)
