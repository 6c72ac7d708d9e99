"""The verification of a campaign finds what must not be."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

import pytest

from tests.cluster.ledger import Edit, Ledger
from tests.cluster.verification import check
from tests.faults.database import Contents, Logged
from tests.mixed.view import Row

NUMBER, MEMO = UUID(int=1), UUID(int=2)
BEFORE = Contents(revision=0, log=(), numbers={1: None, 2: None}, memos={})
LOG = (
    Logged(1, NUMBER, "number", 1, numbers={1: 7}, memos={}),
    Logged(2, MEMO, "memo", 2, numbers={}, memos={2: "메모"}),
)
AFTER = Contents(revision=2, log=LOG, numbers={1: 7, 2: None}, memos={2: "메모"})
ROWS: dict[int, Row] = {
    1: {"gbsNumber": 7, "lineupMemoId": None, "lineupMemo": ""},
    2: {"gbsNumber": None, "lineupMemoId": 5, "lineupMemo": "메모"},
}


def ledger(*, attempts: int = 1, revision: int = 1) -> Ledger:
    """Return that of a client whose first edit took so many attempts."""
    number = Edit(1, "gbsNumber", 7, command_id=NUMBER, attempts=attempts, revision=revision)
    memo = Edit(2, "lineupMemo", "메모", command_id=MEMO, attempts=1, revision=2)
    return Ledger("client", [number, memo], joins=1)


def verify(stored: Contents, client: Ledger, other: dict[int, Row] = ROWS) -> int:
    """Verify, with another server that has these rows; return how many edits were repeated."""
    return check(stored, [client], BEFORE, {"a": ROWS, "b": other}).repeated


def test_what_was_acknowledged_and_is_there_once_is_in_order() -> None:
    assert verify(AFTER, ledger()) == 0


def test_a_server_may_have_made_sure_of_an_outcome() -> None:
    fence = Logged(3, UUID(int=3), "fence", None, numbers={}, memos={})
    verify(replace(AFTER, revision=3, log=(*LOG, fence)), ledger())
    with pytest.raises(AssertionError, match="nobody asked"):
        verify(replace(AFTER, revision=3, log=(*LOG, replace(fence, numbers={1: 7}))), ledger())


def test_the_answer_to_a_repeat_may_be_of_a_later_revision() -> None:
    assert verify(AFTER, ledger(attempts=2, revision=2)) == 1
    with pytest.raises(AssertionError, match="is not"):
        verify(AFTER, ledger(revision=2))


@pytest.mark.parametrize(
    ("stored", "found"),
    [
        (replace(AFTER, revision=1, log=LOG[:1]), "not in the log"),
        (replace(AFTER, revision=3), "a gap"),
        (replace(AFTER, revision=3, log=(*LOG, replace(LOG[0], revision=3))), "twice"),
        (
            replace(
                AFTER, revision=3, log=(*LOG, replace(LOG[0], revision=3, command_id=UUID(int=3)))
            ),
            "nobody asked",
        ),
        (replace(AFTER, log=(replace(LOG[0], numbers={1: 8}), LOG[1])), "is not"),
        (replace(AFTER, numbers={1: 8, 2: None}), "not those of the log"),
        (replace(AFTER, memos={}), "not those of the log"),
    ],
    ids=["lost", "gap", "doubled", "made up", "another value", "another row", "another memo"],
)
def test_what_is_stored_has_to_be_what_was_acknowledged(stored: Contents, found: str) -> None:
    with pytest.raises(AssertionError, match=found):
        verify(stored, ledger())


def test_all_servers_have_to_show_the_same() -> None:
    with pytest.raises(AssertionError, match="other rows"):
        verify(AFTER, ledger(), {**ROWS, 1: {**ROWS[1], "gbsNumber": 8}})


def test_a_refusal_and_what_a_client_has_seen_are_found() -> None:
    refused = ledger()
    refused.edits[0].revision, refused.edits[0].refused = None, "CONFLICT"
    with pytest.raises(AssertionError, match="CONFLICT"):
        verify(AFTER, refused)
    surprised = ledger()
    surprised.violations.append("row 1 went back")
    with pytest.raises(AssertionError, match="row 1 went back"):
        verify(AFTER, surprised)
