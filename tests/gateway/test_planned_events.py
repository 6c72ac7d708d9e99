"""Bulk edits, groups and undo as events, over both transports."""

from __future__ import annotations

from typing import Any

import pytest
import trio
import trio.testing

from gbs_actor.auth import Role
from gbs_actor.testing import Peer
from tests.gateway.serving import OTHER_SLUG, SLUG, Transport, sequence, settings_with, world

LEADER, PERSON, OTHER = 1, 2, 3
ID = "3fa85f64-5717-4562-b3fc-2c963f66afa6"
OTHER_ID = "7f0c2f52-4f58-4f0e-9c4e-6f7e0a3b9d10"
BULK: dict[str, Any] = {
    "assignments": [
        {"lineupId": PERSON, "gbsNumber": 3, "isLeader": True, "currentLeaderName": " 이리더 "},
        {"userRetreatRegistrationId": str(OTHER), "gbsNumber": 3.0},
    ]
}
PLANNED = [
    pytest.param("bulk-assign-gbs", BULK, id="bulk"),
    pytest.param("create-gbs", {"gbsNumbers": [5, 6, 7]}, id="create"),
    pytest.param("delete-gbs", {"gbsNumber": 1}, id="delete"),
    pytest.param("assign-gbs-leaders", {"gbsNumber": 1, "leaderUserIds": [2]}, id="leaders"),
    pytest.param("unassign-gbs-leaders", {"gbsNumber": 1}, id="no leaders"),
    pytest.param("update-lineup-gbs-memo", {"gbsNumber": 1, "memo": "2층"}, id="memo"),
    pytest.param("delete-lineup-gbs-memo", {"gbsNumber": 1}, id="no memo"),
    pytest.param("undo", {"commandId": OTHER_ID}, id="undo"),
]
"""Of all events of the kind one that changes something; the undo of what :data:`DONE` did."""
DONE = {"lineupId": PERSON, "gbsNumber": 9, "commandId": OTHER_ID}


@pytest.fixture(params=["socketio", "plain"])
def transport(request: pytest.FixtureRequest) -> Transport:
    value: Transport = request.param
    return value


async def ok(peer: Peer, name: str, argument: object) -> Any:
    ack = await peer.call(name, argument)
    assert ack["status"] == "OK", ack
    return ack["data"]


async def code_of(peer: Peer, name: str, argument: object) -> str:
    code = (await peer.call(name, argument))["code"]
    assert isinstance(code, str)
    return code


async def rows(peer: Peer) -> dict[int, dict[str, Any]]:
    return {row["id"]: row for row in await ok(peer, "join-retreat", SLUG)}


# What they do, and how they are answered


async def test_a_bulk_edit_is_answered_with_what_it_came_to(transport: Transport) -> None:
    async with world() as here, here.joined_by(transport) as peer:
        ack = await peer.call("bulk-assign-gbs", BULK)
        now = await rows(peer)
        assert ack["revision"] == 1
        assert ack["data"] == {
            "updatedCount": 2,
            "createdGbsNumbers": [3],
            "updatedLineups": [now[PERSON], now[OTHER]],  # in list order: the leader first
            "revision": 1,
            "conflicts": [],
            "skipped": [],
        }
        assert (now[PERSON]["isLeader"], now[PERSON]["currentLeader"]) == (True, "이리더")


async def test_the_rows_of_a_bulk_edit_come_before_its_ack_and_to_everybody(
    transport: Transport,
) -> None:
    async with world() as here, here.joined_by(transport) as peer, here.joined_by("plain") as other:
        peer.forget()
        await ok(peer, "bulk-assign-gbs", BULK)
        assert sequence(peer)[:3] == ["lineup-updated", "lineup-updated", "reply"]
        await other.event("lineup-updated", where=lambda row: row["id"] == OTHER)
        seen = other.named("lineup-updated")
        assert [(row["id"], row["totalCount"]) for row in seen] == [(PERSON, 2), (OTHER, 2)]


async def test_every_problem_of_a_refused_bulk_edit_is_listed(transport: Transport) -> None:
    async with world() as here, here.joined_by(transport) as peer:
        async with here.joined_by(transport, user_id=8, name="박간사") as other:
            await ok(other, "update-gbs-number", {"lineupId": OTHER, "gbsNumber": 4})
        items = [
            {"lineupId": LEADER, "gbsNumber": 3},
            {"lineupId": 77, "gbsNumber": 3},
            {"lineupId": OTHER, "gbsNumber": 3},
        ]
        ack = await peer.call("bulk-assign-gbs", {"assignments": items, "baseRevision": 0})
        assert (ack["status"], ack["code"]) == ("ERROR", "NOT_FOUND")
        found = {problem["index"]: problem for problem in ack["problems"]}
        assert {index: problem["code"] for index, problem in found.items()} == {
            0: "LEADER_LOCKED",
            1: "NOT_FOUND",
            2: "CONFLICT",
        }
        assert found[1]["registrationId"] == 77
        conflict = {key: found[2][key] for key in ("field", "theirs", "changedBy", "revision")}
        assert conflict == {
            "field": "gbsNumber",
            "theirs": 4,
            "changedBy": "박간사",
            "revision": 1,
        }
        assert found[2]["changedAt"].endswith("Z")
        assert (await rows(peer))[OTHER]["gbsNumber"] == 4


async def test_with_skip_the_rest_is_done_and_the_problems_come_with_it(
    transport: Transport,
) -> None:
    async with world() as here, here.joined_by(transport) as peer:
        async with here.joined_by(transport, user_id=8) as other:
            await ok(other, "update-gbs-number", {"lineupId": OTHER, "gbsNumber": 4})
        items = [
            {"lineupId": LEADER, "gbsNumber": 3},
            {"lineupId": PERSON, "gbsNumber": 3},
            {"lineupId": OTHER, "gbsNumber": 3, "baseRevision": 0},
        ]
        data = await ok(peer, "bulk-assign-gbs", {"assignments": items, "onConflict": "skip"})
        assert data["updatedCount"] == 1
        assert [each["index"] for each in data["conflicts"]] == [2]
        assert [(each["index"], each["code"]) for each in data["skipped"]] == [(0, "LEADER_LOCKED")]


async def test_a_number_of_the_staffs_own_is_on_no_row_and_needs_to_be_asked_for(
    transport: Transport,
) -> None:
    async with world() as here, here.joined_by(transport) as peer:
        items = [{"lineupId": PERSON, "lineupNumber": 12}]
        ignored = await ok(peer, "bulk-assign-gbs", {"assignments": items})
        applied = await ok(
            peer, "bulk-assign-gbs", {"assignments": items, "applyLineupNumber": True}
        )
        assert (ignored["updatedCount"], applied["updatedCount"]) == (0, 1)
        assert "lineupNumber" not in (await rows(peer))[PERSON]


async def test_groups_are_created_led_noted_and_deleted(transport: Transport) -> None:
    async with world() as here, here.joined_by(transport) as peer:
        created = await ok(peer, "create-gbs", {"gbsNumbers": ["4", 6]})
        assert created["createdGbsNumbers"] == [4, 5, 6]
        await ok(peer, "assign-gbs-leaders", {"gbsNumber": "5", "leaderUserIds": ["2", 3]})
        await ok(peer, "update-lineup-gbs-memo", {"gbsNumber": 5, "memo": " 2층 "})
        listed = {each["number"]: each for each in (await ok(peer, "gbslist", {}))["gbsList"]}
        assert list(listed) == [1, 4, 5, 6]
        assert set(listed[5]) == {"id", "retreatId", "number", "memo", "leaders", "createdAt"}
        assert listed[5]["memo"] == "2층"
        assert listed[5]["leaders"] == [{"id": 2, "name": "사람1"}, {"id": 3, "name": "사람2"}]
        await ok(peer, "unassign-gbs-leaders", {"gbsNumber": 5})
        now = await rows(peer)
        assert (now[PERSON]["gbsNumber"], now[PERSON]["isLeader"]) == (5, False)
        await ok(peer, "delete-lineup-gbs-memo", {"gbsNumber": 5})
        assert (await rows(peer))[PERSON]["gbsMemo"] == ""
        empty = {"gbsNumber": 5, "ifEmpty": True}
        assert await code_of(peer, "delete-gbs", empty) == "GROUP_NOT_EMPTY"
        deleted = await ok(peer, "delete-gbs", {"gbsNumber": 5})
        assert deleted["updatedCount"] == 2
        assert (await rows(peer))[PERSON]["gbsNumber"] is None
        assert [each["number"] for each in (await ok(peer, "gbslist", None))["gbsList"]] == [
            1,
            4,
            6,
        ]


async def test_an_undo_puts_back_and_its_undo_is_a_redo(transport: Transport) -> None:
    async with world() as here, here.joined_by(transport) as peer:
        await ok(peer, "bulk-assign-gbs", {**BULK, "commandId": ID})
        undone = await ok(peer, "undo", {"commandId": ID, "idempotencyKey": OTHER_ID})
        assert undone["updatedCount"] == 2
        assert {row["gbsNumber"] for row in undone["updatedLineups"]} == {None}
        await ok(peer, "undo", {"commandId": OTHER_ID})
        assert (await rows(peer))[PERSON]["gbsNumber"] == 3


async def test_a_change_is_named_by_its_revision_and_epoch_too(transport: Transport) -> None:
    async with world() as here, here.joined_by(transport) as peer:
        await ok(peer, "bulk-assign-gbs", BULK)
        epoch = (await peer.call("join-retreat", SLUG))["epoch"]
        other = {"revision": 1, "epoch": "another"}
        assert await code_of(peer, "undo", other) == "NOT_FOUND"
        undone = await ok(peer, "undo", {"revision": 1, "epoch": epoch})
        assert undone["updatedCount"] == 2


async def test_a_conflict_of_an_undo_names_field_and_author(transport: Transport) -> None:
    async with world() as here, here.joined_by(transport) as peer:
        await ok(peer, "bulk-assign-gbs", {**BULK, "commandId": ID})
        async with here.joined_by(transport, user_id=8, name="박간사") as other:
            await ok(other, "update-gbs-number", {"lineupId": OTHER, "gbsNumber": 8})
        ack = await peer.call("undo", {"commandId": ID})
        assert ack["code"] == "CONFLICT"
        assert [(each["registrationId"], each["changedBy"]) for each in ack["problems"]] == [
            (OTHER, "박간사")
        ]
        rest = await ok(peer, "undo", {"commandId": ID, "onConflict": "skip"})
        assert [each["registrationId"] for each in rest["conflicts"]] == [OTHER]


# Who may


@pytest.mark.parametrize(("event", "argument"), PLANNED)
async def test_who_may_only_read_is_forbidden(
    transport: Transport, event: str, argument: dict[str, Any]
) -> None:
    async with world() as here:
        reader = here.joined_by(transport, role=Role.SHUTTLE_BUS_ACCOUNT_STAFF)
        async with here.joined_by(transport) as editor, reader as peer:
            await ok(editor, "update-gbs-number", DONE)
            assert await code_of(peer, event, argument) == "FORBIDDEN"
            listed = await ok(peer, "gbslist", {})
            assert [each["number"] for each in listed["gbsList"]] == [1, 9]


async def test_others_changes_are_undone_by_operators_only(transport: Transport) -> None:
    async with world() as here, here.joined_by(transport) as peer:
        await ok(peer, "update-gbs-number", DONE)
        async with here.joined_by(transport, user_id=8) as other:
            assert await code_of(other, "undo", {"commandId": OTHER_ID}) == "FORBIDDEN"
        async with here.joined_by(transport, user_id=9, role=Role.ADMIN_MINISTER) as operator:
            assert (await ok(operator, "undo", {"commandId": OTHER_ID}))["updatedCount"] == 1


async def test_a_client_cannot_make_itself_an_operator(transport: Transport) -> None:
    async with world() as here, here.joined_by(transport) as peer:
        await ok(peer, "update-gbs-number", DONE)
        async with here.joined_by(transport, user_id=8) as other:
            claimed = {"commandId": OTHER_ID, "byOperator": True}
            assert await code_of(other, "undo", claimed) == "FORBIDDEN"


# Repeats


@pytest.mark.parametrize(("event", "argument"), PLANNED)
async def test_a_repeat_gets_the_first_answer_and_changes_nothing(
    transport: Transport, event: str, argument: dict[str, Any]
) -> None:
    own_id = {"idempotencyKey" if event == "undo" else "commandId": ID}
    async with world() as here, here.joined_by(transport) as peer:
        await ok(peer, "update-gbs-number", DONE)
        first = await peer.call(event, {**argument, **own_id})
        again = await peer.call(event, {**argument, **own_id})
        assert (again["status"], again["revision"]) == ("OK", first["revision"])
        for figure in ("updatedCount", "createdGbsNumbers", "revision", "conflicts", "skipped"):
            assert again["data"][figure] == first["data"][figure]
        assert (await peer.call("join-retreat", SLUG))["revision"] == 2


async def test_a_repeat_of_another_bulk_edit_under_the_same_id_is_refused(
    transport: Transport,
) -> None:
    async with world() as here, here.joined_by(transport) as peer:
        await ok(peer, "bulk-assign-gbs", {**BULK, "commandId": ID})
        other = {"assignments": BULK["assignments"][:1], "commandId": ID}
        assert await code_of(peer, "bulk-assign-gbs", other) == "VALIDATION_FAILED"


# Outside a room


@pytest.mark.parametrize(("event", "argument"), PLANNED)
async def test_outside_a_room_the_retreat_has_to_be_named(
    transport: Transport, event: str, argument: dict[str, Any]
) -> None:
    async with world() as here, here.joined_by(transport) as peer:
        await ok(peer, "update-gbs-number", DONE)
        async with here.outside_by(transport) as outside:
            if event != "bulk-assign-gbs":  # that belongs where its first person is
                assert await code_of(outside, event, argument) == "NOT_IN_ROOM"
            ack = await outside.call(event, {**argument, "retreatSlug": SLUG})
            assert (ack["status"], ack["revision"]) == ("OK", None), ack
            assert ack["data"]["revision"] is None


async def test_a_bulk_edit_belongs_where_its_first_person_is(transport: Transport) -> None:
    async with world() as here, here.outside_by(transport) as peer:
        assert (await ok(peer, "bulk-assign-gbs", BULK))["updatedCount"] == 2


async def test_groups_of_a_retreat_one_may_not_read_are_not_listed(transport: Transport) -> None:
    async with world() as here, here.joined_by(transport, retreats=(SLUG,)) as peer:
        for slug in (OTHER_SLUG, "nowhere"):
            assert await code_of(peer, "gbslist", {"retreatSlug": slug}) == "NOT_IN_ROOM"
    async with world() as here, here.outside_by(transport) as peer:
        assert await code_of(peer, "gbslist", {}) == "NOT_IN_ROOM"
        assert await code_of(peer, "gbslist", {"retreatSlug": "nowhere"}) == "NOT_IN_ROOM"
        listed = await ok(peer, "gbslist", {"retreatSlug": OTHER_SLUG})
        assert [each["number"] for each in listed["gbsList"]] == [1]


# Rates


async def test_a_bulk_edit_counts_as_one_event_and_one_for_every_hundred_items(
    transport: Transport, autojump_clock: trio.testing.MockClock
) -> None:
    items = [{"lineupId": 100 + index, "gbsNumber": 3} for index in range(500)]
    rate = settings_with(event_rate=1.0, event_burst=7)
    async with world(rate) as here, here.joined_by(transport) as peer:
        await trio.sleep(100)  # all tokens are back
        bulk = {"assignments": items, "onConflict": "skip"}
        assert len((await ok(peer, "bulk-assign-gbs", bulk))["skipped"]) == 500
        edit = {"lineupId": PERSON, "gbsNumber": 3}
        await ok(peer, "update-gbs-number", edit)
        assert await code_of(peer, "update-gbs-number", edit) == "RATE_LIMITED"


async def test_the_largest_bulk_edit_passes_whatever_the_burst(transport: Transport) -> None:
    items = [{"lineupId": 100 + index, "gbsNumber": 3} for index in range(2_000)]
    rate = settings_with(event_burst=5)
    async with world(rate) as here, here.joined_by(transport) as peer:
        bulk = {"assignments": items, "onConflict": "skip"}
        assert len((await ok(peer, "bulk-assign-gbs", bulk))["skipped"]) == 2_000


# Clients that know none of this


@pytest.mark.parametrize(
    ("event", "code"),
    [
        ("bulk-assign-gbs", "UPDATE_FAILED"),
        ("delete-lineup-gbs-memo", "DELETE_MEMO_FAILED"),
        ("undo", "UPDATE_FAILED"),
    ],
)
async def test_errors_have_a_code_for_older_clients(
    transport: Transport, event: str, code: str
) -> None:
    async with world() as here, here.joined_by(transport) as peer:
        ack = await peer.call(event, {})
        assert (ack["code"], ack["legacyCode"]) == ("VALIDATION_FAILED", code)


async def test_without_an_ack_an_error_is_an_event_with_the_problems() -> None:
    async with world() as here, here.joined_by("socketio") as peer:
        await peer.emit("bulk-assign-gbs", {"assignments": [{"lineupId": 77, "gbsNumber": 1}]})
        error = await peer.event("error")
        assert (error["event"], error["code"]) == ("bulk-assign-gbs", "NOT_FOUND")
        assert [each["registrationId"] for each in error["problems"]] == [77]
