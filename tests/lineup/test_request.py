from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gbs_actor.lineup.commands import (
    Action,
    AssignNumber,
    CreateMemo,
    DeleteMemo,
    UpdateMemo,
)
from gbs_actor.lineup.request import request_bytes

_ids = st.integers(1, 3)
_texts = st.sampled_from(["", "a", '"', "é", "가"])
_actions: st.SearchStrategy[Action] = st.one_of(
    st.builds(AssignNumber, _ids, st.none() | _ids),
    st.builds(CreateMemo, _ids, _texts, _texts),
    st.builds(UpdateMemo, _ids, _texts, _texts),
    st.builds(DeleteMemo, _ids),
)


def test_a_request_is_written_with_its_members_in_alphabetical_order() -> None:
    assert (
        request_bytes(CreateMemo(7, "찬양팀", "#FECACA"))
        == '{"action":"create-memo","color":"#FECACA","memo":"찬양팀","registrationId":7}'.encode()
    )


def test_no_group_is_written_as_null() -> None:
    assert (
        request_bytes(AssignNumber(7, None))
        == b'{"action":"assign-number","gbsNumber":null,"registrationId":7}'
    )


@given(_actions, _actions)
def test_requests_are_equal_exactly_where_the_actions_are(one: Action, other: Action) -> None:
    assert (request_bytes(one) == request_bytes(other)) == (one == other)
