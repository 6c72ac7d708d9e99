"""What holds after any single and bulk edits, group actions, undo and redo by several authors."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from uuid import UUID

import msgspec
import pytest
from msgspec import UNSET, UnsetType
from msgspec.structs import replace

from gbs_actor.gateway.replies import problem_bodies
from gbs_actor.lineup.board import Board
from gbs_actor.lineup.changes import Change, Conflict, LogEntry, Problem, Rejection, result_of
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
from gbs_actor.lineup.fields import Field, FieldKey, values_of
from gbs_actor.lineup.records import Gender, Group, Memo, Retreat, Row
from gbs_actor.lineup.replay import Replay
from gbs_actor.lineup.row import iso_utc, sort_key
from gbs_actor.lineup.time_travel import as_of
from gbs_actor.rooms.encoded import EncodedGroup
from gbs_actor.testing.simulation.model import Asked, Decision, Lineup, View, decide
from tests.lineup.making import JIWON, MINSU, as_retreat, at, contents, registration, retreat
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
    """The same commands on a board and on the model."""

    def __init__(self, start: Retreat) -> None:
        self.start = start
        self.board = Board(start)
        self.model = Lineup(start)
        self.log: list[LogEntry] = []
        self.fresh = FIRST_FRESH_MEMO_ID
        assert [_as_json(row) for row in self.board.rows()] == self.view.rows()

    @property
    def view(self) -> View:
        return self.model.view(self.model.revision)

    def carry_out(self, index: int, step: Step) -> Change | Rejection:
        """Carry out a step on both; they have to agree on all that can be seen of it."""
        position = len(self.log) - 1 - step.back
        undone = self.log[position] if isinstance(step.action, Undo) and position >= 0 else None
        action = step.action
        if isinstance(action, Undo):
            action = replace(
                action, command_id=UUID(int=0) if undone is None else undone.command_id
            )
        command = Command(
            action=action,
            author=MINSU if step.by_minsu else JIWON,
            id=UUID(int=index + 1),
            base_revision=None if step.age is None else self.board.revision - step.age,
            outside_room=step.outside,
        )
        board = self.board
        ids = iter(range(self.fresh, self.fresh + 20))
        draft = board.draft(ids)
        before = board.rows()
        outcome = draft.decide(command, at(index), undone)
        decision = decide(self.view, _as_asked(command), self.start.epoch)
        if isinstance(outcome, Rejection):
            assert outcome.code == decision.code
            assert _sorted(_bodies(outcome.problems)) == _sorted(decision.problems)
            conflict = outcome.conflict
            assert (conflict and _conflict_body(conflict)) == decision.conflict
            assert board.rows() == before
            return outcome
        assert decision.code == "OK", (outcome, decision)
        self.fresh = next(ids)
        assert _sorted(_bodies(outcome.skipped)) == _sorted(decision.problems)
        assert _written(outcome, decision) == _expected(decision, outcome.revision)
        assert [draft.row(row.id) for row in before] == [
            next((new for new in outcome.rows if new.id == row.id), row) for row in before
        ]
        board.apply(outcome)
        self.log.append(LogEntry.of(outcome))
        self.model.add(self.log[-1])
        self._compare(before, outcome)
        return outcome

    def _compare(self, before: list[Row], change: Change) -> None:
        board, view, revision = self.board, self.view, change.revision
        assert self.model.faults == []
        assert [_as_json(row) for row in board.rows()] == view.rows()
        assert list(change.rows) == [row for row in board.rows() if row not in before]
        assert {row.id for row in change.rows} == set(self.model.touched[revision])
        assert {each.id for each in change.registrations} == set(self.model.own[revision])
        assert {each.revision for each in change.registrations} <= {revision}
        touched = sorted(group.number for group in change.groups)
        assert touched == self.model.groups_touched[revision]
        for value in change.after:
            assert _as_shown(value.value) == view.cell(value.key).shown
        assert result_of(change).created == tuple(
            sorted(
                key[1]
                for key, written in self.model.written[revision].items()
                if key[2] == "exists" and written.after.given.value and key[1]
            )
        )
        for person in map(board.registration, board.ordered_ids()):
            assert person is not None
            assert view.row(person.id, batched=True)["revision"] == person.revision
            for field, held, stamp in values_of(person):
                cell = view.cell((person.id, None, field.value))
                assert (cell.shown, cell.revision, cell.origin, cell.author_id, cell.at) == (
                    _as_shown(held),
                    stamp.revision,
                    stamp.origin,
                    stamp.author_id,
                    stamp.at,
                )
        for number in NUMBERS:
            group = board.group(number)
            exists = group is not None and not group.deleted
            assert exists == view.exists(number)
            assert board.members(number) == tuple(
                row.id for row in board.rows() if row.gbs_number == number
            )
            if group is not None:
                members = board.members(number)
                encoded = EncodedGroup.of(
                    board.slug, group, board.row(members[0]) if members else None
                )
                assert msgspec.json.decode(encoded.json) == view.group(number)
        assert [row.id for row in sorted(board.rows(), key=sort_key)] == list(board.ordered_ids())


def a_history(seed: str) -> Both:
    """Carry out some 40 random steps on a random retreat; the same ones for a seed."""
    rnd = random.Random(seed)
    both = Both(a_retreat(rnd))
    for index, step in enumerate(steps(rnd, 40)):
        both.carry_out(index, step)
    return both


def _as_json(row: Row) -> dict[str, object]:
    as_json: dict[str, object] = msgspec.to_builtins(row)
    return as_json | {
        "userRetreatRegistrationScheduleIds": list(row.user_retreat_registration_schedule_ids)
    }


def _as_asked(command: Command) -> Asked:
    action = command.action
    return Asked(
        action,
        command.author.user_id,
        command.base_revision,
        command.epoch,
        command.outside_room,
        isinstance(action, Undo) and action.by_operator,
    )


def _as_shown(value: object) -> object:
    return msgspec.to_builtins(value) if isinstance(value, Memo) else value


def _bodies(problems: tuple[Problem, ...]) -> list[dict[str, object]]:
    bodies: list[dict[str, object]] = msgspec.to_builtins(problem_bodies(problems))
    return [{name: value for name, value in each.items() if name != "message"} for each in bodies]


def _sorted(problems: Iterable[Mapping[str, object]]) -> list[Mapping[str, object]]:
    return sorted(problems, key=lambda each: (each["index"] or 0, str(each)))


def _conflict_body(conflict: Conflict) -> dict[str, object]:
    return {
        "field": conflict.field.value,
        "theirs": _as_shown(conflict.theirs),
        "changedBy": conflict.changed_by,
        "changedAt": None if conflict.changed_at is None else iso_utc(conflict.changed_at),
        "revision": conflict.revision,
    }


def _written(change: Change, decision: Decision) -> dict[FieldKey, object]:
    """What a change has written; the id of a memo is left out if it is to be a fresh one."""
    written: dict[FieldKey, object] = {}
    for _, after in LogEntry.of(change).written():
        shown = _as_shown(after.value)
        if isinstance(shown, dict) and decision.writes[after.key].memo_id is None:
            shown["memoId"] = None
        written[after.key] = shown, after.origin
    return written


def _expected(decision: Decision, revision: int) -> dict[FieldKey, object]:
    expected: dict[FieldKey, object] = {}
    for (id_, number, name), write in decision.writes.items():
        value = write.value
        if name == Field.LINEUP_MEMO and value is not None:
            value = {"memoId": write.memo_id, "memo": value[0], "color": value[1]}
        origin = revision if write.origin is None else write.origin
        expected[id_, number, Field(name)] = value, origin
    return expected


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
        for revision in range(both.start.revision, both.model.revision + 1):
            rows = both.model.view(revision).rows()
            later = [entry for entry in reversed(both.log) if entry.revision > revision]
            board = Board(as_of(today, later, revision))
            assert [
                {name: _as_json(row)[name] for name in rows[0]} | unknown for row in board.rows()
            ] == [{**row, **unknown} for row in rows]
            assert all(row.revision <= revision for row in board.rows())
            assert board.revision == revision
            groups = [group for each in NUMBERS if (group := board.group(each)) is not None]
            live = {group.number for group in groups if not group.deleted}
            assert live == {each for each in NUMBERS if both.model.view(revision).exists(each)}


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
