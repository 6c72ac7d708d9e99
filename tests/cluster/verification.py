"""Whether a cluster has kept what it has promised: its log, its rows, and all replicas of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from tests.cluster.ledger import Edit, Ledger
from tests.faults.database import Contents, Logged
from tests.mixed.view import Row


@dataclass(frozen=True)
class Counts:
    """How much was verified."""

    edits: int
    """Asked for."""
    acknowledged: int
    repeated: int
    """Given more than once until they were acknowledged."""
    joins: int
    """Times that a client has come into the room, first ones included."""


def check(
    stored: Contents,
    ledgers: Iterable[Ledger],
    before: Contents,
    rows: Mapping[str, dict[int, Row]],
) -> Counts:
    """Compare what is stored with what clients were told.

    :param before: what was stored before their first edit.
    :param rows: the list at the end, by the server that gave it.
    :raises AssertionError: something was lost, doubled, or made up.
    """
    ledgers = list(ledgers)
    violations = [f"{it.client}: {what}" for it in ledgers for what in it.violations]
    assert not violations, violations[:10]
    edits = {edit.command_id: edit for ledger in ledgers for edit in ledger.edits}
    refused = [edit for edit in edits.values() if edit.refused is not None]
    # Each number and each memo is one client's alone: nothing gives a reason for a refusal.
    assert not refused, refused[:10]
    unanswered = [edit for edit in edits.values() if edit.revision is None]
    assert not unanswered, unanswered[:10]
    _check_log(stored, edits.values(), before)
    _check_rows(stored, before, rows)
    return Counts(
        edits=len(edits),
        acknowledged=len(edits) - len(unanswered),
        repeated=sum(edit.attempts > 1 for edit in edits.values()),
        joins=sum(ledger.joins for ledger in ledgers),
    )


def _check_log(stored: Contents, edits: Iterable[Edit], before: Contents) -> None:
    revisions = [entry.revision for entry in stored.log]
    assert revisions == list(range(1, stored.revision + 1)), "a gap or a repeat in the log"
    logged = {entry.command_id: entry for entry in stored.log}
    assert len(logged) == len(stored.log), "a command is in the log twice"
    for edit in edits:
        entry = logged.pop(edit.command_id, None)
        assert entry is not None, f"acknowledged, and not in the log: {edit}"
        assert _says(entry, edit), f"{entry} is not {edit}"
    more = [
        entry
        for entry in logged.values()
        if entry.revision > before.revision and not _is_fence(entry)
    ]
    assert not more, f"nobody asked for {more[:10]}"


def _is_fence(entry: Logged) -> bool:
    """Whether an entry is what a server commits behind an unknown outcome, to know it."""
    return entry.kind == "fence" and not (entry.numbers or entry.memos)


def _says(entry: Logged, edit: Edit) -> bool:
    """Whether an entry is what was asked for, under the revision that was acknowledged."""
    written = entry.numbers if edit.field == "gbsNumber" else entry.memos
    assert edit.revision is not None
    # The answer to a repeat may have the row as it is by then.
    in_time = entry.revision == edit.revision or (
        entry.revision < edit.revision and edit.attempts > 1
    )
    return in_time and entry.registration_id == edit.person and written[edit.person] == edit.value


def _check_rows(stored: Contents, before: Contents, rows: Mapping[str, dict[int, Row]]) -> None:
    numbers, memos = dict(before.numbers), dict(before.memos)
    for entry in stored.log[before.revision :]:
        numbers |= entry.numbers
        for id_, memo in entry.memos.items():
            if memo is None:
                memos.pop(id_, None)
            else:
                memos[id_] = memo
    assert (numbers, memos) == (stored.numbers, stored.memos), "the rows are not those of the log"
    expected = next(iter(rows.values()))
    for node, found in rows.items():
        assert found == expected, f"server {node} has other rows"
    assert {id_: row["gbsNumber"] for id_, row in expected.items()} == numbers
    shown = {id_: row["lineupMemo"] for id_, row in expected.items() if row["lineupMemoId"]}
    assert shown == memos
