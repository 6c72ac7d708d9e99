"""What holds after any single and bulk edits, group actions, undo and redo by several authors."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from uuid import UUID

import pytest
from msgspec import UNSET, UnsetType
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
    OnConflict,
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


def a_retreat(rnd: random.Random) -> Retreat:
    people = []
    for id_ in range(1, rnd.randint(3, 5) + 1):
        number = rnd.choice([None, 1, 1, 2, 3])
        people.append(
            registration(
                id_,
                number,
                name=rnd.choice(["가", "나"]),
                leader=number is not None and rnd.random() < 0.3,
                gender=rnd.choice(list(Gender)),
                full=rnd.random() < 0.5,
                memo=Memo(id_, "a", "") if rnd.random() < 0.6 else None,
            )
        )
    groups = [Group(number, rnd.choice(["", "3층"])) for number in NUMBERS if rnd.random() < 0.5]
    return retreat(*people, groups=groups)


def an_edit(rnd: random.Random, memo_id: int) -> Action:
    """Mostly one that is possible.

    :param memo_id: of a memo that may be there.
    """
    person, number = rnd.choice([1, 1, 2, 2, 3, 9]), rnd.choice([1, 1, 2, 3, 4])
    text = rnd.choice(["a", "b"])
    kinds: list[Callable[[], Action]] = [
        lambda: AssignNumber(person, rnd.choice([None, number])),
        lambda: AssignNumber(person, number),
        lambda: CreateMemo(person, text, ""),
        lambda: UpdateMemo(memo_id, text, ""),
        lambda: DeleteMemo(memo_id),
        lambda: a_bulk(rnd),
        lambda: a_bulk(rnd),
        lambda: a_bulk(rnd),
        lambda: CreateGroups((number, rnd.randint(3, 4))),
        lambda: DeleteGroup(number, rnd.random() < 0.2),
        lambda: AssignLeaders(number, tuple(rnd.choices([10_001, 10_002, 10_003], k=2))),
        lambda: AssignLeaders(number, (rnd.choice([10_001, 10_009]),)),
        lambda: UnassignLeaders(number),
        lambda: SetGroupMemo(number, rnd.choice([None, "2층", "3층"])),
    ]
    return rnd.choice(kinds)()


def a_bulk(rnd: random.Random) -> BulkAssign:
    people = rnd.sample([1, 2, 3, 4], rnd.randint(1, 4))
    if rnd.random() < 0.1:
        people.append(rnd.choice([1, 9]))
    leads: list[UnsetType | bool] = [UNSET, UNSET, True, False]
    names: list[UnsetType | str] = [UNSET, "a", "b"]
    assignments = tuple(
        Assignment(
            id_,
            gbs_number=rnd.choice([UNSET, None, 1, 2, 3, 4]),
            is_leader=rnd.choice(leads),
            current_leader=rnd.choice(names),
            lineup_number=rnd.choice([UNSET, None, 7, 8]),
            base_revision=rnd.choice([*[None] * 10, 0, 3]),
        )
        for id_ in people
    )
    return BulkAssign(assignments, rnd.random() < 0.5, _on_conflict(rnd))


def _on_conflict(rnd: random.Random) -> OnConflict:
    return "refuse" if rnd.random() < 0.4 else "skip"


def steps(rnd: random.Random, count: int) -> Iterator[Step]:
    """Edits, each of which may be undone, redone and undone again, at once or later."""
    while count > 0:
        for _ in range(rnd.randint(1, 3)):
            age = rnd.randint(0, 3) if rnd.random() < 0.1 else None
            by_minsu, outside = rnd.random() < 0.5, rnd.random() < 0.05
            memo_id = rnd.choice([1, 2, 3, FIRST_FRESH_MEMO_ID, FIRST_FRESH_MEMO_ID + 1])
            yield Step(an_edit(rnd, memo_id), age, by_minsu, outside, 0)
            count -= 1
        chain = rnd.choice([(), (0,), (1,), (1,), (2,), (0, 0), (0, 0, 2), (1, 0, 3), (4, 9)])
        for back in chain:
            undo = Undo(on_conflict=_on_conflict(rnd), by_operator=rnd.random() < 0.9)
            yield Step(undo, None, rnd.random() < 0.5, False, back)
            count -= 1


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
        entry = naive.entries[revision]
        written = entry.written
        assert {after.key: after.value for _, after in LogEntry.of(change).written()} == {
            key: _as_value(key[2], new.value) for key, (_, _, new) in written.items()
        }
        for value in change.after:
            if value.key not in written and (own or change.groups):  # of who leads, or led
                assert value.value == entry.left[value.key].value
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


def a_history(seed: str) -> Both:
    """Carry out some 40 random steps on a random retreat; the same ones for a seed."""
    rnd = random.Random(seed)
    both = Both(a_retreat(rnd))
    for index, step in enumerate(steps(rnd, 40)):
        both.carry_out(index, step)
    return both


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


@pytest.mark.parametrize("seed", range(8))
def test_outcomes_rows_order_and_problems_are_those_of_the_model(seed: int) -> None:
    for number in range(40):
        a_history(f"outcomes {seed} {number}")


@pytest.mark.parametrize("seed", range(2))
def test_the_log_leads_to_the_board_and_the_loaded_board_is_the_same(seed: int) -> None:
    for number in range(15):
        both = a_history(f"log {seed} {number}")
        board, start = both.board, both.start
        assert contents(replay(start, both.log), NUMBERS) == contents(board, NUMBERS)
        loaded = as_retreat(board, start, NUMBERS)
        assert contents(Board(loaded), NUMBERS) == contents(board, NUMBERS)
        for pruned in range(len(both.log) + 1):
            comparison = Replay(start.revision + pruned)
            for entry in both.log[pruned:]:
                comparison.add(entry)
            assert comparison.faults == []
            assert comparison.differences(loaded) == []


@pytest.mark.parametrize("seed", range(2))
def test_the_list_at_every_old_revision_is_that_of_the_model(seed: int) -> None:
    for number in range(15):
        both = a_history(f"old lists {seed} {number}")
        today = as_retreat(both.board, both.start, NUMBERS)
        unknown = {"updatedAt": None, "revision": None}
        for revision, rows in both.naive.past.items():
            later = [entry for entry in reversed(both.log) if entry.revision > revision]
            board = Board(as_of(today, later, revision))
            assert [
                {name: as_model_row(row)[name] for name in rows[0]} | unknown
                for row in board.rows()
            ] == [row | unknown for row in rows]
            assert all(row.revision <= revision for row in board.rows())
            assert board.revision == revision
            groups = [group for each in NUMBERS if (group := board.group(each)) is not None]
            live = {group.number for group in groups if not group.deleted}
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
