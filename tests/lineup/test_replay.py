"""A log and the rows it leads to, compared; more of it in ``tests/store/test_verification.py``."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

from gbs_actor.lineup.changes import LogEntry
from gbs_actor.lineup.commands import Kind
from gbs_actor.lineup.fields import Field, FieldValue
from gbs_actor.lineup.replay import Replay
from tests.lineup.making import at, registration, retreat


def entry(revision: int, before: int | None, after: int | None) -> LogEntry:
    return LogEntry(
        revision=revision,
        command_id=UUID(int=revision),
        author_id=901,
        author_name="박지원",
        kind=Kind.ASSIGN_NUMBER,
        registration_id=1,
        request=b"",
        before=(FieldValue(Field.GBS_NUMBER, before, 0, 1),),
        after=(FieldValue(Field.GBS_NUMBER, after, revision, 1),),
        at=at(revision),
    )


def test_a_retreat_without_changes_fits_an_empty_log() -> None:
    replay = Replay()
    assert replay.differences(retreat(registration(1, 2))) == []
    assert replay.faults == []


def test_an_entry_that_rests_on_another_value_is_a_fault() -> None:
    replay = Replay()
    replay.add(entry(1, None, 2))
    replay.add(entry(2, 3, None))
    (fault,) = replay.faults
    assert str(fault) == (
        "log revision 2: rests on gbsNumber 3 of registration 1; revision 1 left it at 2"
    )


def test_the_first_entry_of_a_field_may_rest_on_anything() -> None:
    replay = Replay(7)
    replay.add(entry(8, 5, 2))
    assert replay.faults == []


def test_an_entry_whose_values_are_of_another_field_is_a_fault() -> None:
    replay = Replay()
    replay.add(replace(entry(1, None, 2), after=(FieldValue(Field.LINEUP_MEMO, None, 1, 1),)))
    (fault,) = replay.faults
    assert str(fault) == "log revision 1: is no whole entry of the kind assign-number"


def test_a_registration_that_was_removed_after_its_last_entry_is_not_missed() -> None:
    replay = Replay()
    replay.add(entry(1, None, None))
    gone = replace(retreat(), revision=1)
    assert [str(each) for each in replay.differences(gone)] == [
        "registration 1, registration: log revision 1, row not there"
    ]
    assert replay.differences(replace(gone, removal_revision=2)) == []
