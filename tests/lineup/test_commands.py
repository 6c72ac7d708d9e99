from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gbs_actor.lineup.commands import (
    Action,
    AssignNumber,
    CreateMemo,
    DeleteMemo,
    Undo,
    UpdateMemo,
    request_bytes,
)

_ids = st.integers(1, 3)
_texts = st.sampled_from(["", "a", '"', "é", "가"])
_actions: st.SearchStrategy[Action] = st.one_of(
    st.builds(AssignNumber, _ids, st.none() | _ids),
    st.builds(CreateMemo, _ids, _texts, _texts),
    st.builds(UpdateMemo, _ids, _texts, _texts),
    st.builds(DeleteMemo, _ids),
)


GOLDEN: list[tuple[Action, str]] = [
    (AssignNumber(7, 3), '{"action":"assign-number","gbsNumber":3,"registrationId":7}'),
    (AssignNumber(7, None), '{"action":"assign-number","gbsNumber":null,"registrationId":7}'),
    (
        AssignNumber(2**63 - 1, 9_999),
        '{"action":"assign-number","gbsNumber":9999,"registrationId":9223372036854775807}',
    ),
    (
        CreateMemo(7, "찬양팀", "#FECACA"),
        '{"action":"create-memo","color":"#FECACA","memo":"찬양팀","registrationId":7}',
    ),
    (
        CreateMemo(7, "", "#FECACA"),
        '{"action":"create-memo","color":"#FECACA","memo":"","registrationId":7}',
    ),
    (
        CreateMemo(7, '"\\/\n\t\x01\x7f\u2028 😀', ""),
        '{"action":"create-memo","color":"",'
        '"memo":"\\"\\\\/\\n\\t\\u0001\x7f\u2028 😀","registrationId":7}',
    ),
    (
        UpdateMemo(12, "허리", "#FFFFFF"),
        '{"action":"update-memo","color":"#FFFFFF","memo":"허리","memoId":12}',
    ),
    (UpdateMemo(12, "허리", ""), '{"action":"update-memo","color":"","memo":"허리","memoId":12}'),
    (DeleteMemo(12), '{"action":"delete-memo","memoId":12}'),
]
"""Actions, and the bytes that logs of running servers hold for them."""


@pytest.mark.parametrize(("action", "stored"), GOLDEN)
def test_an_action_is_written_as_stored_logs_have_it(action: Action, stored: str) -> None:
    assert request_bytes(action) == stored.encode()


def test_text_that_is_no_unicode_cannot_be_written() -> None:
    with pytest.raises(UnicodeEncodeError):
        request_bytes(CreateMemo(7, "\ud800", ""))


@given(_actions, _actions)
def test_requests_are_equal_exactly_where_the_actions_are(one: Action, other: Action) -> None:
    assert (request_bytes(one) == request_bytes(other)) == (one == other)


def test_an_undo_is_the_same_request_when_its_author_is_an_operator_meanwhile() -> None:
    assert request_bytes(Undo(revision=3, by_operator=True)) == request_bytes(Undo(revision=3))
    assert request_bytes(Undo(revision=3)) != request_bytes(Undo(revision=4))
