"""What bulk edits, groups and undo take, and what they refuse, by name."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET

from gbs_actor.contract.commands import BY_EVENT
from gbs_actor.contract.decoding import InvalidPayload
from gbs_actor.lineup.commands import (
    AssignLeaders,
    Assignment,
    BulkAssign,
    CreateGroups,
    DeleteGroup,
    SetGroupMemo,
    UnassignLeaders,
    Undo,
)
from tests.contract.test_payloads import decoded, refused

ID = UUID("3fa85f64-5717-4562-b3fc-2c963f66afa6")
OTHER_ID = UUID("7f0c2f52-4f58-4f0e-9c4e-6f7e0a3b9d10")
COMPLETE: dict[str, dict[str, Any]] = {
    "bulk-assign-gbs": {"assignments": [{"lineupId": 7, "gbsNumber": 3, "lineupNumber": 4}]},
    "create-gbs": {"gbsNumbers": [1, 2, 3]},
    "delete-gbs": {"gbsNumber": 3, "ifEmpty": True},
    "assign-gbs-leaders": {"gbsNumber": 3, "leaderUserIds": [7]},
    "unassign-gbs-leaders": {"gbsNumber": 3},
    "update-lineup-gbs-memo": {"gbsNumber": 3, "memo": "2층"},
    "delete-lineup-gbs-memo": {"gbsNumber": 3},
    "undo": {"revision": 3, "epoch": "e"},
}


@pytest.mark.parametrize("event", sorted(COMPLETE))
def test_every_one_may_name_its_retreat_and_what_it_rests_on(event: str) -> None:
    more = {"retreatSlug": "2024-winter", "epoch": "e", "baseRevision": 5.0}
    request = decoded(event, {**COMPLETE[event], **more})
    assert (request.retreat_slug, request.epoch, request.base_revision) == ("2024-winter", "e", 5)


@pytest.mark.parametrize("event", sorted(COMPLETE.keys() - {"undo"}))
def test_the_command_id_is_that_of_the_command(event: str) -> None:
    assert decoded(event, {**COMPLETE[event], "commandId": str(ID)}).command_id == ID


def test_an_undo_has_an_id_of_its_own_beside_that_of_the_change() -> None:
    request = decoded("undo", {"commandId": str(ID), "idempotencyKey": str(OTHER_ID)})
    assert request.action == Undo(command_id=ID)
    assert request.command_id == OTHER_ID
    assert decoded("undo", {"commandId": str(ID)}).command_id is None


# Bulk edits


def test_items_take_both_spellings_and_what_is_absent_stays_unset() -> None:
    items = [
        {"lineupId": "7", "gbsNumber": 3.0, "baseRevision": 2},
        {
            "userRetreatRegistrationId": 8,
            "gbsNumber": None,
            "isLeader": False,
            "currentLeaderName": "이리더",
            "lineupNumber": 4,
        },
    ]
    assert decoded("bulk-assign-gbs", {"assignments": items}).action == BulkAssign(
        (
            Assignment(7, 3, base_revision=2),
            Assignment(8, None, is_leader=False, current_leader="이리더", lineup_number=4),
        )
    )
    bare = decoded("bulk-assign-gbs", {"assignments": [{"lineupId": 7}]}).action
    assert isinstance(bare, BulkAssign)
    assert bare.assignments[0].gbs_number is UNSET


def test_line_up_numbers_and_skipping_have_to_be_asked_for() -> None:
    payload = {**COMPLETE["bulk-assign-gbs"], "applyLineupNumber": True, "onConflict": "skip"}
    action = decoded("bulk-assign-gbs", payload).action
    assert isinstance(action, BulkAssign)
    assert (action.apply_lineup_number, action.on_conflict) == (True, "skip")


def test_a_number_out_of_range_is_left_to_the_domain_which_lists_all() -> None:
    action = decoded("bulk-assign-gbs", {"assignments": [{"lineupId": 7, "gbsNumber": 0}]}).action
    assert action == BulkAssign((Assignment(7, 0),))


@pytest.mark.parametrize(("count", "extra"), [(1, 0), (99, 0), (100, 1), (1_000, 10), (2_000, 20)])
def test_every_hundred_items_count_as_one_more_event(count: int, extra: int) -> None:
    items = [{"lineupId": index + 1} for index in range(count)]
    assert decoded("bulk-assign-gbs", {"assignments": items}).extra_events == extra


def test_there_are_at_most_two_thousand_items() -> None:
    items = [{"lineupId": index + 1} for index in range(2_001)]
    assert refused("bulk-assign-gbs", {"assignments": items}).field == "assignments"


@pytest.mark.parametrize(
    ("item", "named"),
    [
        ({}, "assignments[1]: lineupId or userRetreatRegistrationId is required."),
        ({"lineupId": 7, "userRetreatRegistrationId": 8}, "assignments[1]: "),
        ({"lineupId": 7, "baseRevision": -1}, "assignments[1]: baseRevision"),
        ({"lineupId": 7, "gbsNumber": "3"}, "gbsNumber"),
        ({"lineupId": 7, "isLeader": 1}, "isLeader"),
        ({"lineupId": 7, "isLeader": None}, "isLeader"),
        ({"lineupId": 7, "currentLeaderName": None}, "currentLeaderName"),
        (7, "assignments"),
    ],
)
def test_what_is_wrong_with_an_item_is_named(item: object, named: str) -> None:
    error = refused("bulk-assign-gbs", {"assignments": [{"lineupId": 9}, item]})
    assert named in error.message


# Groups


@pytest.mark.parametrize(
    ("given_numbers", "numbers"),
    [
        ([3, 6], (3, 4, 5, 6)),
        (["3", "6"], (3, 4, 5, 6)),
        ([6, 3.0], (3, 4, 5, 6)),
        ([3, 3], (3,)),
        ([5], (5,)),
        ([9, "1", 4], (9, 1, 4)),
    ],
)
def test_two_numbers_are_a_range_and_others_a_list(
    given_numbers: list[object], numbers: tuple[int, ...]
) -> None:
    assert decoded("create-gbs", {"gbsNumbers": given_numbers}).action == CreateGroups(numbers)


@pytest.mark.parametrize("event", ["delete-gbs", "assign-gbs-leaders", "update-lineup-gbs-memo"])
@pytest.mark.parametrize("number", [None, 0, 10_000, -1, 1.5, True, "", "x", "10000", "٣", [], "0"])
def test_what_is_no_number_of_a_group_is_refused_by_name(event: str, number: object) -> None:
    assert refused(event, {**COMPLETE[event], "gbsNumber": number}).field == "gbsNumber"
    if number is not None and number != []:
        assert "gbsNumber" in refused("create-gbs", {"gbsNumbers": [number]}).message


@pytest.mark.parametrize("numbers", [[], [1, 1_001], list(range(1, 1_002)), None, 7])
def test_there_are_one_to_a_thousand_new_groups(numbers: object) -> None:
    assert refused("create-gbs", {"gbsNumbers": numbers}).field == "gbsNumbers"


@pytest.mark.parametrize("ids", [[], [0], ["x"], [None], [True], list(range(1, 102)), 7, None])
def test_leaders_are_one_to_a_hundred_users(ids: object) -> None:
    payload = {"gbsNumber": 3, "leaderUserIds": ids}
    assert refused("assign-gbs-leaders", payload).field.startswith("leaderUserIds")


def test_the_others_are_what_they_are_called() -> None:
    assert decoded("delete-gbs", {"gbsNumber": "3"}).action == DeleteGroup(3)
    assert decoded("delete-gbs", COMPLETE["delete-gbs"]).action == DeleteGroup(3, if_empty=True)
    leaders = {"gbsNumber": 3, "leaderUserIds": ["7", 8, 9.0]}
    assert decoded("assign-gbs-leaders", leaders).action == AssignLeaders(3, (7, 8, 9))
    assert decoded("unassign-gbs-leaders", {"gbsNumber": 3}).action == UnassignLeaders(3)
    memo = {"gbsNumber": 3, "memo": "2층"}
    assert decoded("update-lineup-gbs-memo", memo).action == SetGroupMemo(3, "2층")
    assert decoded("delete-lineup-gbs-memo", {"gbsNumber": 3}).action == SetGroupMemo(3, None)


def test_a_memo_that_is_absent_or_null_deletes_nothing() -> None:
    for memo in ({}, {"memo": None}):
        assert refused("update-lineup-gbs-memo", {"gbsNumber": 3, **memo}).field == "memo"


# Undo


@pytest.mark.parametrize(
    ("payload", "field"),
    [
        ({}, "commandId"),
        ({"commandId": str(ID), "revision": 3, "epoch": "e"}, "commandId"),
        ({"revision": 3}, "epoch"),
        ({"commandId": "x"}, "commandId"),
        ({"revision": -1, "epoch": "e"}, "revision"),
        ({"commandId": str(ID), "onConflict": "merge"}, "onConflict"),
    ],
)
def test_an_undo_names_one_change(payload: dict[str, object], field: str) -> None:
    assert refused("undo", payload).field == field


def test_nobody_says_of_themselves_that_they_are_an_operator() -> None:
    request = decoded("undo", {"commandId": str(ID), "byOperator": True, "by_operator": True})
    assert request.action == Undo(command_id=ID, by_operator=False)


@pytest.mark.parametrize("event", sorted(COMPLETE))
@given(data=st.data())
def test_no_json_whatever_raises_anything_but_invalid_payload(
    event: str, data: st.DataObject
) -> None:
    scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
    anything = st.recursive(
        scalars, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=6
    )
    item = st.dictionaries(
        st.sampled_from(["lineupId", "gbsNumber", "isLeader", "currentLeaderName", "baseRevision"]),
        scalars,
    )
    keys = sorted({*COMPLETE[event], "baseRevision", "commandId", "idempotencyKey", "onConflict"})
    value = anything | st.lists(item | scalars, max_size=3)
    payload = {**COMPLETE[event], data.draw(st.sampled_from(keys)): data.draw(value)}
    raw = json.dumps(payload).encode("utf-8", "surrogatepass")
    with suppress(InvalidPayload):
        BY_EVENT[event].decode(raw)
