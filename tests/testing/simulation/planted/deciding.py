"""Bugs in what commands come to."""

from __future__ import annotations

from typing import Final

from gbs_actor.lineup import basis, bulk, groups
from gbs_actor.lineup.board import Board
from gbs_actor.lineup.draft import Draft
from gbs_actor.lineup.plan import _Building
from gbs_actor.lineup.state import State
from gbs_actor.lineup.undo import _Undo
from gbs_actor.rooms import decisions
from gbs_actor.rooms.batch_runner import BatchRunner
from gbs_actor.rooms.decisions import Decisions
from tests.testing.simulation.planted.bug import bug

DECIDING: Final = (
    bug(
        "a change that its author has seen is a conflict",
        "calm",
        (basis.is_unseen, "stamp.revision > base", "stamp.revision >= base"),
    ),
    bug(
        "a memo that is there already, in the same words, is a conflict",
        "calm",
        (
            Draft._create_memo,
            "if not is_same_memo(memo, text, color):",
            "if memo.text != action.text:",
        ),
    ),
    bug(
        "leaders are moved by an assignment of many",
        "calm",
        (
            bulk._leader_problems,
            "if registration.is_leader and number != current",
            "if registration.is_leader and number is None",
        ),
    ),
    bug(
        "an undo puts back what somebody has changed since",
        "undo",
        (_Undo.put_back_fields, "if gone or not stamp.is_of(self._entry.revision)", "if gone"),
    ),
    bug(
        "an undo forgets which change a value is of",
        "undo",
        (_Undo._plan, "before.value, before.origin", "before.value"),
    ),
    bug(
        "the log has the revision of a value in place of its origin",
        "undo",
        (
            Draft._assign,
            "] = (\n        FieldValue(Field.GBS_NUMBER, left, former.origin",
            "] = (\n        FieldValue(Field.GBS_NUMBER, left, former.revision",
        ),
    ),
    bug(
        "who joins a group is not counted",
        "calm",
        (Draft._move, "totals_of([*others, row])", "totals_of(others)"),
    ),
    bug(
        "the group that is left is not sent",
        "groups",
        (_Building._touch_groups, "for number in (left, joined)", "for number in (joined,)"),
    ),
    bug(
        "a group that is deleted keeps its memo",
        "groups",
        (groups._delete, 'plan.group(number, Field.GBS_MEMO, "")', "pass"),
    ),
    bug(
        "the board has the groups of a batch that was rejected",
        "fence",
        (State.overlay, "groups=Overlay(self.groups)", "groups=self.groups"),
    ),
    bug(
        "the board has the memos of a batch that was rejected",
        "fence",
        (State.overlay, "memo_owners=Overlay(self.memo_owners)", "memo_owners=self.memo_owners"),
    ),
    bug(
        "a number that is as wanted already gets no entry in the log",
        "calm",
        (
            Decisions.decide,
            "only_repeat = step.work.only_repeat",
            "only_repeat = step.work.only_repeat\n"
            "        row = draft.row(getattr(command.action, 'registration_id', 0))\n"
            "        if row and row.gbs_number == getattr(command.action, 'gbs_number', 0):\n"
            "            step.outcome = Repeat(draft.revision, row, (row,), NO_RESULT)\n"
            "            continue",
        ),
    ),
    bug(
        "an id is looked up in memory only",
        "repeats",
        (Decisions.decide, "repeatable.add(command.id)", "pass"),
    ),
    bug(
        "an id is not looked up in the log as long as memory has room",
        "kills",
        (
            Decisions.decide,
            "repeatable.add(command.id)",
            "if len(self._memory) >= self._config.remembered_commands:\n"
            "                repeatable.add(command.id)",
        ),
    ),
    bug(
        "a repeat in the batch of its original is not recognised",
        "repeats",
        (
            Decisions.decide,
            "former: _Remembered | LogEntry | None = accepted.get(command.id)",
            "former = None",
        ),
    ),
    bug(
        "an id that was found in the log is not kept",
        "repeats",
        (BatchRunner._commit, "batch.found.update(repeated.entries)", "pass"),
    ),
    bug(
        "a repeat gets its reply whatever it asks for",
        "repeats",
        (decisions._repeat, "former.request != request_bytes(command.action)", "False"),
    ),
    bug(
        "an epoch that has ended is taken for the present one",
        "foreign",
        (Board.needs_full, "epoch is not None and epoch != self.epoch", "False"),
    ),
    bug(
        "the base revision of an epoch that has ended counts",
        "foreign",
        (basis.is_of_other_epoch, "command.epoch is not None and command.epoch != epoch", "False"),
    ),
)
