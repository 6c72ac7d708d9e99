"""What the rows of a sheet were exported from, against a list that keeps all of its past."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gbs_actor.environment import SYSTEM
from gbs_actor.gateway.imports.exported import ExportedFields, new_export_id, new_import_id
from gbs_actor.lineup.board import Board
from gbs_actor.lineup.changes import Change, LogEntry
from gbs_actor.lineup.commands import Assignment, Author, BulkAssign, Command, Undo
from gbs_actor.lineup.records import Retreat
from gbs_actor.sheets import Fields, Origin
from tests.lineup.making import registration, retreat

MOMENT = datetime(2026, 1, 1, tzinfo=UTC)
ME, OTHER = Author(1, "나", 1), Author(2, "남", 2)


class Story:
    """A line-up, its log, and how everybody was at each revision."""

    def __init__(self, retreat: Retreat) -> None:
        self.board = Board(retreat)
        self.log: list[LogEntry] = []
        self.past: list[dict[int, Fields]] = [self.now()]
        self.reads: list[int] = []

    def now(self) -> dict[int, Fields]:
        return {
            each.id: Fields(
                each.gbs_number, each.is_leader, each.current_leader, each.lineup_number
            )
            for each in self.board.retreat().registrations
        }

    def do(self, action: BulkAssign | Undo, author: Author, id_: UUID | None = None) -> None:
        revision = self.board.revision + 1
        command = Command(action, author, id_ or UUID(int=revision))
        undone = None
        if isinstance(action, Undo):
            assert action.revision is not None
            undone = self.log[action.revision - 1]
        change = self.board.draft(iter(())).decide(
            command, MOMENT + timedelta(seconds=revision), undone
        )
        if isinstance(change, Change):
            self.board.apply(change)
            self.log.append(LogEntry.of(change))
            self.past.append(self.now())

    def exported_fields(self, pruned: int = 0) -> ExportedFields:
        def read_log(after: int, before: int) -> Sequence[LogEntry] | None:
            self.reads.append(after)
            if after < pruned:
                return None
            return [each for each in reversed(self.log) if after < each.revision < before]

        return ExportedFields(self.board.retreat(), ME.user_id, read_log)


assignments = st.builds(
    Assignment,
    registration_id=st.integers(1, 3),
    gbs_number=st.none() | st.integers(1, 3),
    is_leader=st.just(False),
    current_leader=st.sampled_from(["가", "나"]),
    lineup_number=st.integers(1, 2),
)
edits = st.lists(assignments, max_size=2, unique_by=lambda each: each.registration_id).map(
    lambda items: BulkAssign(tuple(items), apply_lineup_number=True)
)
actions = st.lists(edits | st.integers(0, 20), max_size=12)


def told(actions: Sequence[BulkAssign | int], author: Author = OTHER) -> Story:
    story = Story(retreat(registration(1), registration(2), registration(3)))
    for action in actions:
        if isinstance(action, BulkAssign):
            story.do(action, author)
        elif story.log:
            revision = 1 + action % len(story.log)
            story.do(Undo(revision=revision, on_conflict="skip", by_operator=True), author)
    return story


@settings(max_examples=200)
@given(actions, st.data())
def test_they_are_those_of_the_revision_of_the_export(
    actions: list[BulkAssign | int], data: st.DataObject
) -> None:
    story = told(actions)
    exported = story.exported_fields()
    revisions = st.lists(st.integers(0, story.board.revision), min_size=1, max_size=5)
    export_id = new_export_id(story.board.epoch, SYSTEM)
    for revision in data.draw(revisions):
        for id_, fields in story.past[revision].items():
            assert exported.at(Origin(id_, revision, export_id)) == fields
    assert exported.seen <= set(range(1, story.board.revision + 1))


def bulk(number: int | None) -> BulkAssign:
    return BulkAssign((Assignment(2, gbs_number=number),))


def test_the_log_is_read_only_for_what_was_changed_since() -> None:
    story = told([bulk(3)])
    exported = story.exported_fields()
    export_id = new_export_id(story.board.epoch, SYSTEM)
    assert exported.at(Origin(1, 0, export_id)) == story.past[0][1]
    assert exported.at(Origin(2, 1, export_id)) == story.past[1][2]
    assert story.reads == []
    assert exported.at(Origin(2, 0, export_id)) == story.past[0][2]
    assert exported.at(Origin(2, 0, export_id)) == story.past[0][2]
    assert story.reads == [0]


def test_what_the_log_has_lost_or_another_epoch_is_not_known() -> None:
    story = told([bulk(3), bulk(4)])
    export_id = new_export_id(story.board.epoch, SYSTEM)
    exported = story.exported_fields(pruned=1)
    assert exported.at(Origin(2, 0, export_id)) is None
    assert exported.at(Origin(1, 0, export_id)) == story.past[0][1]
    assert exported.at(Origin(2, 1, export_id)) == story.past[1][2]
    assert exported.at(Origin(2, 1, new_export_id("another", SYSTEM))) is None


@pytest.mark.parametrize(("author", "own"), [(ME, True), (OTHER, False)])
def test_what_the_same_user_imported_of_the_same_export_is_what_the_sheet_has(
    author: Author, own: bool
) -> None:
    story = told([])
    export_id = new_export_id(story.board.epoch, SYSTEM)
    story.do(bulk(3), author, new_import_id(author.user_id, export_id, SYSTEM))
    exported = story.exported_fields()
    fields = exported.at(Origin(2, 0, export_id))
    assert fields is not None
    assert (fields.gbs_number == 3) is own
    assert exported.seen == ({1} if own else set())
    # Of another export it is news.
    exported = story.exported_fields()
    assert exported.at(Origin(2, 0, new_export_id(story.board.epoch, SYSTEM))) == story.past[0][2]


def test_a_value_that_an_undo_has_brought_back_is_no_news() -> None:
    story = told([bulk(3), 0])
    exported = story.exported_fields()
    assert exported.at(Origin(2, 0, new_export_id(story.board.epoch, SYSTEM))) == story.past[0][2]
    assert exported.seen == {2}
    # The same value by another hand is.
    story = told([bulk(3), bulk(None)])
    exported = story.exported_fields()
    exported.at(Origin(2, 0, new_export_id(story.board.epoch, SYSTEM)))
    assert exported.seen == set()


def test_nobody_else_can_pass_for_the_user() -> None:
    story = told([])
    export_id = new_export_id(story.board.epoch, SYSTEM)
    story.do(bulk(3), OTHER, new_import_id(ME.user_id, export_id, SYSTEM))
    exported = story.exported_fields()
    assert exported.at(Origin(2, 0, export_id)) == story.past[0][2]
    assert exported.seen == set()
