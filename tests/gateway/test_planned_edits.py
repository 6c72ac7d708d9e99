"""Bulk edits, groups and undo over HTTP."""

from __future__ import annotations

from typing import Any

import pytest

from gbs_actor.auth import Role
from tests.gateway.serving import OTHER_SLUG, SLUG, World, settings_with, world
from tests.gateway.test_edits import KEY, READER, ok, refusal

LEADER, PERSON, OTHER = 1, 2, 3
OTHER_KEY = "3fa85f64-5717-4562-b3fc-2c963f66afa6"
ITEMS = [
    {"userRetreatRegistrationId": PERSON, "gbsNumber": 3},
    {"userRetreatRegistrationId": OTHER, "gbsNumber": 3, "isLeader": True},
]
WRITES = [
    pytest.param("POST", "/bulk-assign-gbs", {"assignments": ITEMS}, id="bulk"),
    pytest.param("POST", "/create-gbs", {"gbsNumbers": [5, 7]}, id="create"),
    pytest.param("DELETE", "/delete-gbs", {"gbsNumber": 1}, id="delete"),
    pytest.param(
        "POST", "/assign-gbs-leaders", {"gbsNumber": 1, "leaderUserIds": [2]}, id="leaders"
    ),
    pytest.param("DELETE", "/1/unassign-gbs-leaders", None, id="no leaders"),
    pytest.param("PUT", "/lineup-gbs-memo", {"gbsNumber": 1, "memo": "2층"}, id="memo"),
    pytest.param("DELETE", "/lineup-gbs-memo", {"gbsNumber": 1}, id="no memo"),
    pytest.param("POST", "/undo", {"commandId": OTHER_KEY}, id="undo"),
]
"""Each changes something, the undo what :func:`prepare` did."""


async def prepare(here: World) -> None:
    edit = {"userRetreatRegistrationId": 6, "gbsNumber": 9, "commandId": OTHER_KEY}
    ok(await here.send("POST", "/assign-gbs", edit))


async def groups(here: World) -> dict[int, dict[str, Any]]:
    response = await here.send("GET", "/gbslist", token=READER)
    return {each["number"]: each for each in (ok(response))["gbsList"]}


async def test_a_bulk_edit_is_answered_as_the_existing_page_expects() -> None:
    async with world() as here:
        response = await here.send("POST", "/bulk-assign-gbs", {"assignments": ITEMS})
        assert response.headers["Cache-Control"] == "no-store"
        assert ok(response) == {
            "updatedCount": 2,
            "createdGbsNumbers": [3],
            "updatedLineups": [await here.row(OTHER), await here.row(PERSON)],
            "revision": 1,
            "conflicts": [],
            "skipped": [],
        }


async def test_a_refused_bulk_edit_lists_every_problem_and_changes_nothing() -> None:
    async with world() as here:
        await here.assign(OTHER, 4)
        items = [*ITEMS, {"userRetreatRegistrationId": LEADER, "gbsNumber": 2}]
        response = await here.send(
            "POST", "/bulk-assign-gbs", {"assignments": items}, {"If-Match": "0"}
        )
        error = response.json()
        assert (response.status, error["code"]) == (409, "LEADER_LOCKED")
        found = {each["index"]: (each["code"], each["theirs"]) for each in error["problems"]}
        assert found == {1: ("CONFLICT", 4), 2: ("LEADER_LOCKED", None)}
        assert (await here.row(PERSON))["gbsNumber"] is None


async def test_a_group_is_named_by_its_id_where_its_leaders_are_dismissed() -> None:
    async with world() as here:
        ok(await here.send("POST", "/create-gbs", {"gbsNumbers": [7]}))
        leaders = {"gbsNumber": 7, "leaderUserIds": [2]}
        ok(await here.send("POST", "/assign-gbs-leaders", leaders))
        group = (await groups(here))[7]
        assert group["id"] != 7
        answer = ok(await here.send("DELETE", f"/{group['id']}/unassign-gbs-leaders"))
        assert answer["updatedCount"] == 1
        assert (await groups(here))[7]["leaders"] == []
        for id_, status in ((77, 404), ("x", 400), (0, 400)):
            response = await here.send("DELETE", f"/{id_}/unassign-gbs-leaders")
            assert response.status == status


async def test_a_group_with_members_is_409_if_only_an_empty_one_is_to_go() -> None:
    async with world() as here:
        wanted = {"gbsNumber": 1, "ifEmpty": True}
        response = await here.send("DELETE", "/delete-gbs", wanted)
        assert refusal(response) == (409, "GROUP_NOT_EMPTY")
        ok(await here.send("DELETE", "/delete-gbs", {"gbsNumber": 1}))
        assert await groups(here) == {}
        assert (await here.row(LEADER))["isLeader"] is False


async def test_the_id_of_a_group_outlives_its_deletion() -> None:
    async with world() as here:
        before = await groups(here)
        ok(await here.send("DELETE", "/delete-gbs", {"gbsNumber": 1}, {"Idempotency-Key": KEY}))
        ok(await here.send("POST", "/undo", {"commandId": KEY}))
        assert await groups(here) == before


@pytest.mark.parametrize(("method", "path", "content"), WRITES)
async def test_a_repeat_under_the_same_key_gets_the_first_answer(
    method: str, path: str, content: object
) -> None:
    async with world() as here:
        await prepare(here)
        key = {"Idempotency-Key": KEY}
        first = ok(await here.send(method, path, content, key))
        again = ok(await here.send(method, path, content, key))
        assert again == {**first, "updatedLineups": again["updatedLineups"]}
        assert (await here.rows())["revision"] == 2


@pytest.mark.parametrize(("method", "path", "content"), WRITES)
async def test_who_may_only_read_writes_nothing(method: str, path: str, content: object) -> None:
    async with world() as here:
        await prepare(here)
        response = await here.send(method, path, content, token=READER)
        assert refusal(response) == (403, "FORBIDDEN")


@pytest.mark.parametrize(("method", "path", "content"), WRITES)
async def test_there_is_nothing_to_write_in_an_unknown_retreat(
    method: str, path: str, content: object
) -> None:
    async with world() as here:
        response = await here.send(method, f"/api/v1/retreat/nowhere/line-up{path}", content)
        assert response.status == 404


async def test_an_operator_of_the_retreat_undoes_what_others_did() -> None:
    undo = {"commandId": OTHER_KEY}
    async with world() as here:
        here.store.grant(SLUG, 8, Role.ADMIN_MINISTER)
        await prepare(here)
        response = await here.send("POST", "/undo", undo, token={"user_id": 9})
        assert refusal(response) == (403, "FORBIDDEN")
        response = await here.send("POST", "/undo", undo, token={"user_id": 8})
        assert (ok(response))["updatedCount"] == 1


async def test_what_was_done_in_another_retreat_is_not_undone_here() -> None:
    async with world() as here:
        await prepare(here)
        path = f"/api/v1/retreat/{OTHER_SLUG}/line-up/undo"
        response = await here.send("POST", path, {"commandId": OTHER_KEY})
        assert refusal(response) == (404, "NOT_FOUND")


@pytest.mark.parametrize(
    ("path", "content", "field"),
    [
        ("/bulk-assign-gbs", {}, "assignments"),
        ("/bulk-assign-gbs", {"assignments": []}, "assignments"),
        ("/bulk-assign-gbs", {"assignments": [{"gbsNumber": 1}]}, "assignments[0]"),
        ("/bulk-assign-gbs", {"assignments": ITEMS, "onConflict": "merge"}, "onConflict"),
        ("/create-gbs", {"gbsNumbers": []}, "gbsNumbers"),
        ("/create-gbs", {"gbsNumbers": [1, 9_999]}, "gbsNumbers"),
        ("/create-gbs", {"gbsNumbers": ["1층"]}, "gbsNumber"),
        ("/assign-gbs-leaders", {"gbsNumber": 1, "leaderUserIds": ["x"]}, "leaderUserIds"),
        ("/undo", {}, "commandId"),
        ("/undo", {"commandId": KEY, "revision": 1, "epoch": "x"}, "commandId"),
        ("/undo", {"revision": 1}, "epoch"),
    ],
)
async def test_what_is_wrong_with_a_request_is_named(
    path: str, content: object, field: str
) -> None:
    async with world() as here:
        error = (await here.send("POST", path, content)).json()
        assert error["code"] == "VALIDATION_FAILED"
        assert field in error["message"]


async def test_a_bulk_edit_may_have_a_megabyte_and_nothing_else_may() -> None:
    items = [
        {"userRetreatRegistrationId": 1_000 + index, "currentLeaderName": "가" * 50}
        for index in range(2_000)
    ]
    async with world() as here:
        wanted = {"assignments": items, "onConflict": "skip"}
        response = await here.send("POST", "/bulk-assign-gbs", wanted)
        assert len((ok(response))["skipped"]) == 2_000
        for path, size in (("/bulk-assign-gbs", 1_000_001), ("/create-gbs", 70_000)):
            response = await here.send("POST", path, raw=b" " * size)
            assert refusal(response) == (413, "CONTENT_TOO_LARGE")


async def test_a_bulk_edit_counts_as_more_requests() -> None:
    items = [{"userRetreatRegistrationId": 100 + index, "gbsNumber": 3} for index in range(400)]
    async with world(settings_with(user_rate=0.001, user_burst=6)) as here:
        wanted = {"assignments": items, "onConflict": "skip"}
        ok(await here.send("POST", "/bulk-assign-gbs", wanted))
        assert (await groups(here)).keys() == {1}
        response = await here.send("GET", "/gbslist")
        assert refusal(response) == (429, "RATE_LIMITED")
