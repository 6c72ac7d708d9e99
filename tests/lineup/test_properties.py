"""What holds after any commands, checked against a model that recomputes everything."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st

from gbs_actor.lineup.board import Board
from gbs_actor.lineup.changes import Change, LogEntry, Rejection
from gbs_actor.lineup.commands import (
    Action,
    AssignNumber,
    Command,
    CreateMemo,
    DeleteMemo,
    UpdateMemo,
)
from gbs_actor.lineup.draft import Draft
from gbs_actor.lineup.records import (
    Gender,
    Group,
    Memo,
    Registration,
    Retreat,
    Row,
    Stamp,
)
from gbs_actor.lineup.replay import Replay
from gbs_actor.lineup.row import sort_key
from tests.lineup.making import (
    JIWON,
    MINSU,
    as_retreat,
    at,
    contents,
    held,
    registration,
    reloaded,
    retreat,
)
from tests.lineup.model import Model, as_model_row
from tests.lineup.replaying import replay

FIRST_FRESH_MEMO_ID = 100
NUMBERS = range(1, 5)


@dataclass(frozen=True)
class Step:
    """A command whose base revision lies ``age`` revisions before the room's."""

    action: Action
    age: int | None
    by_minsu: bool
    outside: bool
    epoch: str | None

    def command(self, revision: int, id_: int) -> Command:
        return Command(
            action=self.action,
            author=MINSU if self.by_minsu else JIWON,
            id=UUID(int=id_),
            base_revision=None if self.age is None else revision - self.age,
            epoch=self.epoch,
            outside_room=self.outside,
        )


@st.composite
def retreats(draw: st.DrawFn) -> Retreat:
    revision = draw(st.integers(0, 5))
    revisions = st.integers(0, revision)
    people: list[Registration] = []
    for id_ in range(1, draw(st.integers(1, 8)) + 1):
        memo = None
        if draw(st.booleans()):
            memo = Memo(id_, draw(st.sampled_from(["", "a"])), "#FECACA")
        people.append(
            registration(
                id_,
                draw(st.sampled_from([None, 1, 1, 2, 3])),
                name=draw(st.sampled_from(["가", "나"])),
                leader=draw(st.integers(0, 5)) == 0,
                grade=draw(st.integers(1, 2)),
                gender=draw(st.sampled_from(Gender)),
                full=draw(st.booleans()),
                memo=memo,
                number_stamp=Stamp(draw(revisions)),
                memo_stamp=Stamp(draw(revisions)),
                row_revision=draw(revisions),
            )
        )
    groups = [
        Group(number, draw(st.sampled_from(["", "조장 미정"])), draw(revisions))
        for number in draw(st.sets(st.sampled_from(NUMBERS)))
    ]
    return retreat(*people, revision=revision, groups=groups)


# Mostly people, memos and values that exist, and always some that do not.
_people = st.integers(1, 9)
_memos = st.integers(1, 9) | st.integers(FIRST_FRESH_MEMO_ID, FIRST_FRESH_MEMO_ID + 4)
_numbers = st.sampled_from([None, 1, 2, 3, 4, 0, 10_000])
_texts = st.sampled_from(["", "a", "b", " a "])
_colors = st.sampled_from(["", "#FECACA", "#fecaca", "transparent", "red"])
_actions: st.SearchStrategy[Action] = st.one_of(
    st.builds(AssignNumber, _people, _numbers),
    st.builds(CreateMemo, _people, _texts, _colors),
    st.builds(UpdateMemo, _memos, _texts, _colors),
    st.builds(DeleteMemo, _memos),
)
_steps = st.lists(
    st.builds(
        Step,
        _actions,
        st.none() | st.integers(-1, 4),
        st.booleans(),
        st.booleans(),
        st.sampled_from([None, None, None, "e1", "another"]),
    ),
    max_size=14,
)


class FreshIds:
    """Memo ids in sequence, and the one that comes next."""

    def __init__(self) -> None:
        self.next = FIRST_FRESH_MEMO_ID

    def __iter__(self) -> Iterator[int]:
        return self

    def __next__(self) -> int:
        self.next += 1
        return self.next - 1


def _run(board: Board, steps: list[Step], memo_ids: Iterator[int]) -> list[Change | Rejection]:
    """Decide and apply one command after the other."""
    outcomes: list[Change | Rejection] = []
    for index, step in enumerate(steps):
        outcome = board.draft(memo_ids).decide(step.command(board.revision, index), at(index))
        if isinstance(outcome, Change):
            board.apply(outcome)
        outcomes.append(outcome)
    return outcomes


def _merged(old: list[Row], new: list[Row]) -> list[Row]:
    """What a client has that merges rows by id."""
    return sorted(
        ({row.id: row for row in old} | {row.id: row for row in new}).values(), key=sort_key
    )


@given(retreats(), _steps)
@settings(deadline=None, max_examples=150)
def test_outcomes_and_every_row_are_those_of_the_model(start: Retreat, steps: list[Step]) -> None:
    board = Board(start)
    model = Model(start, {row.id: row.revision for row in board.rows()})
    memo_ids = FreshIds()
    assert [as_model_row(row) for row in board.rows()] == model.rows()
    for index, step in enumerate(steps):
        command = step.command(board.revision, index)
        expected = model.step(command, at(index), memo_ids.next)
        outcome = board.draft(memo_ids).decide(command, at(index))
        if isinstance(outcome, Rejection):
            assert outcome.code == expected
        else:
            assert ("changed" if outcome.rows else "unchanged") == expected
            board.apply(outcome)
        assert board.revision == model.revision
        assert [as_model_row(row) for row in board.rows()] == model.rows()


@given(retreats(), _steps)
@settings(deadline=None, max_examples=100)
def test_a_change_has_exactly_the_rows_that_read_differently_in_list_order(
    start: Retreat, steps: list[Step]
) -> None:
    board = Board(start)
    memo_ids = FreshIds()
    for index, step in enumerate(steps):
        before = board.rows()
        for outcome in _run(board, [step], memo_ids):
            if isinstance(outcome, Change):
                after = board.rows()
                assert list(outcome.rows) == [row for row in after if row not in before], index
                assert outcome.row is None or outcome.row in after


@given(retreats(), _steps, st.integers(1, 6))
@settings(deadline=None, max_examples=100)
def test_deciding_a_batch_on_one_draft_is_deciding_and_applying_one_by_one(
    start: Retreat, steps: list[Step], size: int
) -> None:
    batched, single = Board(start), Board(start)
    one_by_one = _run(single, steps, FreshIds())
    memo_ids = FreshIds()
    outcomes: list[Change | Rejection] = []
    for first in range(0, len(steps), size):
        draft = batched.draft(memo_ids)
        batch = [
            draft.decide(step.command(draft.revision, index), at(index))
            for index, step in enumerate(steps[first : first + size], start=first)
        ]
        for outcome in batch:
            if isinstance(outcome, Change):
                batched.apply(outcome)
        outcomes += batch
    assert outcomes == one_by_one
    assert contents(batched, NUMBERS) == contents(single, NUMBERS)


@given(retreats(), _steps)
@settings(deadline=None, max_examples=100)
def test_a_draft_reads_as_the_board_will(start: Retreat, steps: list[Step]) -> None:
    board = Board(start)
    draft: Draft = board.draft(FreshIds())
    changes = [
        outcome
        for index, step in enumerate(steps)
        if isinstance(
            outcome := draft.decide(step.command(draft.revision, index), at(index)), Change
        )
    ]
    promised = [draft.row(id_) for id_ in sorted(board.ordered_ids())]
    memos = range(1, FIRST_FRESH_MEMO_ID + 15)
    owners = [draft.memo_owner(memo_id) for memo_id in memos]
    for change in changes:
        board.apply(change)
    assert draft.revision == board.revision
    assert promised == [board.row(id_) for id_ in sorted(board.ordered_ids())]
    assert owners == [board.memo_owner(memo_id) for memo_id in memos]


@given(retreats(), _steps)
@settings(deadline=None, max_examples=100)
def test_a_board_is_what_loading_its_state_anew_gives(start: Retreat, steps: list[Step]) -> None:
    board = Board(start)
    _run(board, steps, FreshIds())
    again = reloaded(board, start, NUMBERS)
    assert contents(again, NUMBERS) == contents(board, NUMBERS)
    for row in board.rows():
        if row.lineup_memo_id is not None:
            assert board.memo_owner(row.lineup_memo_id) == row.id
    assert again.statistics() == board.statistics()


@given(retreats(), _steps, _steps)
@settings(deadline=None, max_examples=100)
def test_a_board_that_catches_up_is_the_one_that_is_ahead(
    start: Retreat, before: list[Step], since: list[Step]
) -> None:
    ahead, behind, memo_ids = Board(start), Board(start), FreshIds()
    for outcome in _run(ahead, before, memo_ids):
        if isinstance(outcome, Change):
            behind.apply(outcome)
    old, revision = behind.rows(), behind.revision
    _run(ahead, since, memo_ids)
    now = ahead.retreat()
    changed = behind.catch_up(
        now.revision,
        [each for each in now.registrations if each.revision > revision],
        [each for each in now.groups.values() if each.revision > revision],
    )
    assert contents(behind, NUMBERS) == contents(ahead, NUMBERS)
    assert behind.statistics() == ahead.statistics()
    assert {row.id for row in ahead.rows() if row not in old} <= {row.id for row in changed}
    memos = range(1, FIRST_FRESH_MEMO_ID + 30)
    loaded = Board(now)
    assert [behind.memo_owner(id_) for id_ in memos] == [loaded.memo_owner(id_) for id_ in memos]


@given(retreats(), _steps)
@settings(deadline=None, max_examples=100)
def test_replaying_the_log_gives_the_board(start: Retreat, steps: list[Step]) -> None:
    board = Board(start)
    outcomes = _run(board, steps, FreshIds())
    log = [LogEntry.of(outcome) for outcome in outcomes if isinstance(outcome, Change)]
    assert contents(replay(start, log), NUMBERS) == contents(board, NUMBERS)


@given(retreats(), _steps, st.data())
@settings(deadline=None, max_examples=100)
def test_what_was_decided_fits_any_end_of_its_log(
    start: Retreat, steps: list[Step], data: st.DataObject
) -> None:
    board = Board(start)
    outcomes = _run(board, steps, FreshIds())
    log = [LogEntry.of(outcome) for outcome in outcomes if isinstance(outcome, Change)]
    pruned = data.draw(st.integers(0, len(log)))
    comparison = Replay(start.revision + pruned)
    for entry in log[pruned:]:
        comparison.add(entry)
    assert comparison.faults == []
    assert comparison.differences(as_retreat(board, start, NUMBERS)) == []


@given(retreats(), _steps)
@settings(deadline=None, max_examples=100)
def test_a_rows_revision_never_falls_and_covers_all_it_shows(
    start: Retreat, steps: list[Step]
) -> None:
    board = Board(start)
    memo_ids = FreshIds()
    for step in steps:
        before = {row.id: row.revision for row in board.rows()}
        _run(board, [step], memo_ids)
        for row in board.rows():
            assert before[row.id] <= row.revision <= board.revision
            source = held(board, row.id)
            group = None if row.gbs_number is None else board.group(row.gbs_number)
            assert row.revision >= max(
                source.number_stamp.revision,
                source.memo_stamp.revision,
                source.row_revision,
                0 if group is None else group.revision,
            )


@given(retreats(), _steps, _steps)
@settings(deadline=None, max_examples=100)
def test_merging_the_rows_since_a_revision_brings_any_older_list_up_to_date(
    start: Retreat, earlier: list[Step], later: list[Step]
) -> None:
    board = Board(start)
    memo_ids = FreshIds()
    _run(board, earlier, memo_ids)
    then, revision = board.rows(), board.revision
    _run(board, later, memo_ids)
    assert _merged(then, board.rows_since(revision)) == board.rows()


@given(retreats(), _steps, st.data())
@settings(deadline=None, max_examples=100)
def test_a_client_cut_off_within_a_revision_misses_nothing_with_the_rows_since_it(
    start: Retreat, steps: list[Step], data: st.DataObject
) -> None:
    board = Board(start)
    mine = board.rows()
    seen: list[Row] = []
    for outcome in _run(board, steps, FreshIds()):
        if isinstance(outcome, Change):
            seen += outcome.rows
    got = seen[: data.draw(st.integers(0, len(seen)))]
    since = got[-1].revision if got else start.revision
    for row in got:
        mine = _merged(mine, [row])
    assert _merged(mine, board.rows_since(since)) == board.rows()


@given(retreats(), _steps)
@settings(deadline=None, max_examples=100)
def test_a_rejected_command_changes_nothing(start: Retreat, steps: list[Step]) -> None:
    board = Board(start)
    draft = board.draft(count(FIRST_FRESH_MEMO_ID))
    ids = board.ordered_ids()
    for index, step in enumerate(steps):
        before = draft.revision, [draft.row(id_) for id_ in ids]
        if isinstance(draft.decide(step.command(draft.revision, index), at(index)), Rejection):
            assert (draft.revision, [draft.row(id_) for id_ in ids]) == before
