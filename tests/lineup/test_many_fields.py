"""What holds after any single and bulk edits, group actions, undo and redo by several authors."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import UNSET
from msgspec.structs import replace

from gbs_actor.lineup.board import Board
from gbs_actor.lineup.changes import Change, LogEntry, Problem, Rejection, result_of
from gbs_actor.lineup.commands import (
    Action,
    AssignLeaders,
    Assignment,
    AssignNumber,
    BulkAssign,
    Command,
    CreateGroups,
    CreateMemo,
    DeleteGroup,
    DeleteMemo,
    SetGroupMemo,
    UnassignLeaders,
    Undo,
    UpdateMemo,
)
from gbs_actor.lineup.fields import Field
from gbs_actor.lineup.records import Gender, Group, Memo, Retreat, Row
from gbs_actor.lineup.replay import Replay
from gbs_actor.lineup.row import sort_key
from gbs_actor.lineup.time_travel import as_of
from tests.lineup.making import JIWON, MINSU, as_retreat, at, contents, registration, retreat
from tests.lineup.model import as_model_row
from tests.lineup.naive import Naive, Refused, Trouble
from tests.lineup.replaying import replay

NUMBERS = range(1, 5)
FIRST_FRESH_MEMO_ID = 100


@dataclass(frozen=True)
class Step:
    """A command; an undo is about the change ``back`` revisions ago."""

    action: Action
    age: int | None
    by_minsu: bool
    outside: bool
    back: int


@st.composite
def retreats(draw: st.DrawFn) -> Retreat:
    people = []
    for id_ in range(1, draw(st.integers(3, 5)) + 1):
        number = draw(st.sampled_from([None, 1, 1, 2, 3]))
        people.append(
            registration(
                id_,
                number,
                name=draw(st.sampled_from(["가", "나"])),
                leader=number is not None and draw(st.integers(0, 3)) == 0,
                gender=draw(st.sampled_from(Gender)),
                full=draw(st.booleans()),
                memo=Memo(id_, "a", "") if draw(st.booleans()) else None,
            )
        )
    groups = [
        Group(number, draw(st.sampled_from(["", "3층"])))
        for number in draw(st.sets(st.sampled_from(NUMBERS)))
    ]
    return retreat(*people, groups=groups)


_people = st.sampled_from([1, 1, 1, 2, 2, 2, 3, 3, 9])
_numbers = st.sampled_from([None, 1, 2, 4])
_texts = st.sampled_from(["a", "b"])
_memos = st.integers(1, 4) | st.integers(FIRST_FRESH_MEMO_ID, FIRST_FRESH_MEMO_ID + 6)
_on_conflict = st.sampled_from(["refuse", "skip"])
_assignments = st.builds(
    Assignment,
    _people,
    gbs_number=st.just(UNSET) | _numbers,
    is_leader=st.just(UNSET) | st.booleans(),
    current_leader=st.just(UNSET) | _texts,
    lineup_number=st.just(UNSET) | st.sampled_from([None, 7, 8]),
    base_revision=st.sampled_from([*[None] * 8, 0, 2, 5]),
)
_bulks = st.builds(
    BulkAssign,
    st.lists(_assignments, min_size=1, max_size=4, unique_by=lambda each: each.registration_id).map(
        tuple
    )
    | st.lists(_assignments, max_size=3).map(tuple),
    st.booleans(),
    _on_conflict,
)
_groups = st.sampled_from([1, 1, 2, 2, 4])
_users = st.lists(st.sampled_from([10_001, 10_001, 10_002, 10_009]), max_size=2).map(tuple)
_actions: st.SearchStrategy[Action] = st.one_of(
    st.builds(AssignNumber, _people, _numbers),
    st.builds(CreateMemo, _people, _texts, st.just("")),
    st.builds(UpdateMemo, _memos, _texts, st.just("")),
    st.builds(DeleteMemo, _memos),
    _bulks,
    _bulks,
    st.builds(CreateGroups, st.lists(_groups, max_size=3).map(tuple)),
    st.builds(DeleteGroup, _groups, st.booleans()),
    st.builds(AssignLeaders, _groups, _users),
    st.builds(UnassignLeaders, _groups),
    st.builds(SetGroupMemo, _groups, st.sampled_from([None, "2층", "3층"])),
)
_edits = st.builds(
    Step,
    _actions,
    st.sampled_from([*[None] * 10, 0, 1, 3]),
    st.booleans(),
    st.sampled_from([*[False] * 8, True]),
    st.just(0),
)


def _undo(back: int) -> st.SearchStrategy[Step]:
    by_operator = st.sampled_from([False, True, True, True])
    undo = st.builds(Undo, on_conflict=_on_conflict, by_operator=by_operator)
    return st.builds(Step, undo, st.none(), st.booleans(), st.just(False), st.just(back))


# How many revisions back the edits of a story are undone, one after the other.
_undone = st.sampled_from([(), (0,), (1,), (1,), (0, 0), (0, 0, 2), (0, 1), (1, 0, 3), (5, 2)])
_stories = st.tuples(st.lists(_edits, min_size=1, max_size=2), _undone).flatmap(
    lambda story: st.tuples(*map(st.just, story[0]), *map(_undo, story[1]))
)
_steps = st.lists(_stories, max_size=6).map(
    lambda stories: [each for story in stories for each in story]
)


class Both:
    """The same commands on a board and on the naive model."""

    def __init__(self, start: Retreat) -> None:
        self.start = start
        self.board = Board(start)
        rows = self.board.rows()
        self.naive = Naive(start, {row.id: row.revision for row in rows})
        self.log: list[LogEntry] = []
        self.fresh = FIRST_FRESH_MEMO_ID

    def carry_out(self, index: int, step: Step) -> Change | Rejection:
        """Carry out a step on both; they have to agree on all that can be seen of it."""
        position = len(self.log) - 1 - step.back
        undone = self.log[position] if isinstance(step.action, Undo) and position >= 0 else None
        command = Command(
            action=step.action,
            author=MINSU if step.by_minsu else JIWON,
            id=UUID(int=index + 1),
            base_revision=None if step.age is None else self.board.revision - step.age,
            outside_room=step.outside,
        )
        board, naive = self.board, self.naive
        ids, naive_ids = (iter(range(self.fresh, self.fresh + 20)) for _ in range(2))
        draft = board.draft(ids)
        before = board.rows()
        outcome = draft.decide(command, at(index), undone)
        undone_revision = None if undone is None else undone.revision
        changed = naive.carry_out(command, at(index), naive_ids, undone_revision)
        if isinstance(changed, Refused):
            assert isinstance(outcome, Rejection), (outcome, changed)
            assert outcome.code == changed.code
            if changed.troubles:
                assert _troubles(outcome.problems) == set(changed.troubles)
            assert board.rows() == before
            return outcome
        assert isinstance(outcome, Change), outcome
        self.fresh = next(naive_ids)
        assert _troubles(outcome.skipped) == set(naive.troubles)
        assert bool(outcome.registrations or outcome.groups or outcome.rows) == changed
        assert [draft.row(row.id) for row in before] == [
            next((new for new in outcome.rows if new.id == row.id), row) for row in before
        ]
        board.apply(outcome)
        self.log.append(LogEntry.of(outcome))
        self._compare(before, outcome)
        return outcome

    def _compare(self, before: list[Row], change: Change) -> None:
        board, naive = self.board, self.naive
        rows = naive.rows()
        assert [{name: as_model_row(row)[name] for name in rows[0]} for row in board.rows()] == rows
        assert list(change.rows) == [row for row in board.rows() if row not in before]
        revision = change.revision
        own = {key[0] for key, cell in naive.cells.items() if key[0] and cell.revision == revision}
        assert {each.id for each in change.registrations} == own
        assert {each.revision for each in change.registrations} <= {revision}
        written = naive.entries[revision].written
        values = (
            [(each.key, each.value) for each in change.before],
            [(each.key, each.value) for each in change.after],
        )
        if own or change.groups:
            assert dict(values[0]).keys() == written.keys()
            assert dict(values[1]) == {
                key: _as_value(key[2], new.value) for key, (_, _, new) in written.items()
            }
        assert result_of(change).created == tuple(
            sorted(
                key[1]
                for key, (_, _, new) in written.items()
                if key[2] == "exists" and new.value and key[1]
            )
        )
        for number in NUMBERS:
            group = board.group(number)
            exists = group is not None and not group.deleted
            assert exists == naive.value((None, number, "exists"))
            assert board.members(number) == tuple(
                row.id for row in board.rows() if row.gbs_number == number
            )
        assert [row.id for row in sorted(board.rows(), key=sort_key)] == list(board.ordered_ids())


def _troubles(problems: tuple[Problem, ...]) -> set[Trouble]:
    return {
        Trouble(
            each.code,
            each.index,
            (
                each.registration_id,
                each.gbs_number,
                None if each.field is None else each.field.value,
            ),
        )
        for each in problems
    }


def _as_value(field: str, value: object) -> object:
    if field == Field.LINEUP_MEMO and isinstance(value, tuple):
        return Memo(*value)
    return value


@given(retreats(), _steps)
@settings(deadline=None, max_examples=300)
def test_outcomes_rows_order_and_problems_are_those_of_the_model(
    start: Retreat, steps: list[Step]
) -> None:
    both = Both(start)
    for index, step in enumerate(steps):
        both.carry_out(index, step)


@given(retreats(), _steps)
@settings(deadline=None, max_examples=100)
def test_the_log_leads_to_the_board_and_the_loaded_board_is_the_same(
    start: Retreat, steps: list[Step]
) -> None:
    both = Both(start)
    for index, step in enumerate(steps):
        both.carry_out(index, step)
    board = both.board
    assert contents(replay(start, both.log), NUMBERS) == contents(board, NUMBERS)
    loaded = as_retreat(board, start, NUMBERS)
    assert contents(Board(loaded), NUMBERS) == contents(board, NUMBERS)
    for pruned in range(len(both.log) + 1):
        comparison = Replay(start.revision + pruned)
        for entry in both.log[pruned:]:
            comparison.add(entry)
        assert comparison.faults == []
        assert comparison.differences(loaded) == []


@given(retreats(), _steps)
@settings(deadline=None, max_examples=100)
def test_the_list_at_every_old_revision_is_that_of_the_model(
    start: Retreat, steps: list[Step]
) -> None:
    both = Both(start)
    for index, step in enumerate(steps):
        both.carry_out(index, step)
    today = as_retreat(both.board, start, NUMBERS)
    unknown = {"updatedAt": None, "revision": None}
    for revision, rows in both.naive.past.items():
        later = [entry for entry in reversed(both.log) if entry.revision > revision]
        then = as_of(today, later, revision)
        board = Board(then)
        assert [
            {name: as_model_row(row)[name] for name in rows[0]} | unknown for row in board.rows()
        ] == [row | unknown for row in rows]
        assert all(row.revision <= revision for row in board.rows())
        assert board.revision == revision
        live = {
            number for number in NUMBERS if (group := board.group(number)) and not group.deleted
        }
        assert live == both.naive.groups_at[revision]


def test_who_registered_later_is_absent_from_an_old_list() -> None:
    early, late = registration(1, 1), registration(2)
    late = replace(late, person=dataclasses.replace(late.person, created_at=at(20)))
    both = Both(retreat(early, late))
    for index, number in ((10, 2), (30, 3)):
        both.carry_out(index, Step(AssignNumber(1, number), None, False, False, 0))
    today = as_retreat(both.board, both.start, NUMBERS)
    newest_first = both.log[::-1]
    assert [each.id for each in as_of(today, newest_first, 0).registrations] == [1]
    assert [each.id for each in as_of(today, newest_first[:1], 1).registrations] == [1, 2]
    then = as_of(today, newest_first[:1], 1, at(15))
    assert [(each.id, each.gbs_number) for each in then.registrations] == [(1, 2)]
