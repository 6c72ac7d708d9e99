"""Who has changed what, and the line-up as it was."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from tests.gateway.serving import SLUG, World, world
from tests.gateway.test_edits import KEY, READER, ok, refusal

LEADER, PERSON, OTHER = 1, 2, 3
NEVER = "2023-01-01T00:00:00Z"


async def history(here: World, query: str = "") -> dict[str, Any]:
    return ok(await here.send("GET", f"/history{query}"))


async def revisions(here: World, query: str = "") -> list[int]:
    return [each["revision"] for each in (await history(here, query))["changes"]]


async def rows_at(here: World, at: int | str) -> dict[int, dict[str, Any]]:
    answer = ok(await here.send("GET", f"/user-lineups?at={at}", token=READER))
    return {row["id"]: row for row in answer["userRetreatGbsLineups"]}


async def bulk(here: World, *numbers: tuple[int, int | None], **more: Any) -> dict[str, Any]:
    items = [{"lineupId": person, "gbsNumber": number} for person, number in numbers]
    wanted = {"assignments": items, **more}
    return ok(await here.send("POST", "/bulk-assign-gbs", wanted))


# History


async def test_a_change_is_shown_with_author_time_and_every_field() -> None:
    async with world() as here:
        await bulk(here, (PERSON, 3), (LEADER, 3), onConflict="skip", commandId=KEY)
        page = await history(here)
        assert (page["next"], page["oldestRevision"]) == (None, 0)
        assert page["epoch"] == (await here.rows())["epoch"]
        change = page["changes"][0]
        assert change["at"].endswith("Z")
        assert (change["revision"], change["commandId"]) == (1, KEY)
        assert (change["kind"], change["by"]) == (
            "bulk-assign",
            {"userId": 7, "userName": "김하늘"},
        )
        assert change["before"] == [
            {"registrationId": PERSON, "field": "gbsNumber", "value": None, "origin": 0},
            {"gbsNumber": 3, "field": "exists", "value": False, "origin": 0},
        ]
        assert change["after"] == [
            {"registrationId": PERSON, "field": "gbsNumber", "value": 3, "origin": 1},
            {"gbsNumber": 3, "field": "exists", "value": True, "origin": 1},
        ]
        assert [each["code"] for each in change["skipped"]] == ["LEADER_LOCKED"]


async def test_of_a_leader_only_what_was_changed_is_shown() -> None:
    async with world() as here:
        ok(await here.send("DELETE", "/1/unassign-gbs-leaders"))
        (change,) = (await history(here))["changes"]
        assert [each["field"] for each in change["before"]] == ["isLeader"]
        assert [each["field"] for each in change["after"]] == ["isLeader"]


async def test_what_an_edit_of_one_person_found_is_shown_where_it_changed_nothing() -> None:
    async with world() as here:
        await here.assign(PERSON, None)
        (change,) = (await history(here))["changes"]
        assert [each["value"] for each in change["before"] + change["after"]] == [None, None]


async def test_the_newest_changes_come_first_page_by_page() -> None:
    async with world() as here:
        for number in range(1, 51):
            await here.assign(PERSON, number)
        page = await history(here, "?limit=30")
        assert [each["revision"] for each in page["changes"]] == list(range(50, 20, -1))
        rest = await history(here, f"?limit=30&before={page['next']}")
        assert [each["revision"] for each in rest["changes"]] == list(range(20, 0, -1))
        assert rest["next"] is None


async def test_a_page_of_large_changes_ends_early(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gbs_actor.gateway.http.history.MAX_VALUES", 30)
    async with world() as here:
        for number in range(1, 51):
            await bulk(here, (PERSON, number), (OTHER, number))
        page = await history(here)
        assert len(page["changes"]) == 20
        rest = await history(here, f"?before={page['next']}")
        assert rest["changes"][0]["revision"] == 30


async def test_one_persons_one_groups_and_one_authors_changes_are_found() -> None:
    async with world() as here:
        await bulk(here, (PERSON, 3), (OTHER, 4))
        await here.assign(PERSON, 5)
        await here.assign(OTHER, 5)
        await here.send("POST", f"/{OTHER}/lineup-memo", {"memo": "x"}, token={"user_id": 8})
        assert await revisions(here, f"?registrationId={PERSON}") == [2, 1]
        assert await revisions(here, "?gbsNumber=4") == [3, 1]
        assert await revisions(here, "?userId=8") == [4]
        assert await revisions(here, f"?registrationId={OTHER}&gbsNumber=5&userId=7") == [3]


async def test_an_undo_names_what_it_has_undone() -> None:
    async with world() as here:
        await bulk(here, (PERSON, 3), commandId=KEY)
        ok(await here.send("POST", "/undo", {"commandId": KEY}))
        newest = (await history(here))["changes"][0]
        assert (newest["kind"], newest["undoes"]) == ("undo", 1)


async def test_who_may_only_read_sees_no_history() -> None:
    async with world() as here:
        response = await here.send("GET", "/history", token=READER)
        assert refusal(response) == (403, "FORBIDDEN")


async def test_there_is_no_history_of_an_unknown_retreat() -> None:
    async with world() as here:
        response = await here.send("GET", "/api/v1/retreat/nowhere/line-up/history")
        assert refusal(response) == (404, "RETREAT_NOT_FOUND")


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=201", "before=x", "gbsNumber=10000", "userId=1&userId=2"]
)
async def test_a_query_that_is_none_is_refused(query: str) -> None:
    async with world() as here:
        assert (refusal(await here.send("GET", f"/history?{query}")))[0] == 400


# The line-up as it was


async def test_the_list_is_as_it_was_at_each_revision() -> None:
    async with world() as here:
        states = [await here.rows()]
        await bulk(here, (PERSON, 3), (OTHER, 3))
        states.append(await here.rows())
        ok(await here.send("DELETE", "/delete-gbs", {"gbsNumber": 1}))
        states.append(await here.rows())
        ok(await here.send("PUT", "/lineup-gbs-memo", {"gbsNumber": 3, "memo": "2층"}))
        states.append(await here.rows())
        untimed = {"updatedAt": None, "revision": None}
        for revision, state in enumerate(states):
            answer = ok(await here.send("GET", f"/user-lineups?at={revision}", token=READER))
            assert (answer["revision"], answer["full"]) == (revision, True)
            assert answer["epoch"] == state["epoch"]
            assert [{**row, **untimed} for row in answer["userRetreatGbsLineups"]] == [
                {**row, **untimed} for row in state["userRetreatGbsLineups"]
            ]


async def test_a_time_is_that_of_the_last_change_not_later() -> None:
    async with world() as here:
        await here.assign(PERSON, 3)
        first = (await history(here))["changes"][0]["at"]
        # The store has milliseconds, as the clients do: the next change is later than this one.
        here.server.wall.advance(0.001)
        await here.assign(PERSON, 4)
        assert (await rows_at(here, first))[PERSON]["gbsNumber"] == 3
        tomorrow = here.server.environment.now() + timedelta(days=1)
        assert (await rows_at(here, f"{tomorrow:%Y-%m-%dT%H:%M:%SZ}"))[PERSON]["gbsNumber"] == 4


async def test_who_had_not_registered_by_then_is_absent() -> None:
    async with world() as here:
        await here.assign(PERSON, 3)
        assert await rows_at(here, NEVER) == {}


async def test_what_was_pruned_is_410_with_the_oldest_revision() -> None:
    async with world() as here:
        for number in range(1, 4):
            await here.assign(PERSON, number)
        await here.store.prune_log(here.server.environment.now() + timedelta(days=1))
        await here.assign(PERSON, 7)
        for at in (2, NEVER):
            response = await here.send("GET", f"/user-lineups?at={at}")
            error = response.json()
            assert (response.status, error["code"]) == (410, "HISTORY_PRUNED")
            assert error["oldestRevision"] == 3
        assert (await rows_at(here, 3))[PERSON]["gbsNumber"] == 3
        assert (await history(here))["oldestRevision"] == 3
        epoch = (await here.rows())["epoch"]
        response = await here.send("POST", "/undo", {"revision": 2, "epoch": epoch})
        assert refusal(response) == (410, "HISTORY_PRUNED")


async def test_what_was_before_another_program_changed_all_of_it_is_410() -> None:
    async with world() as here:
        await here.assign(PERSON, 3)
        retreat = await here.store.load(SLUG)
        assert retreat is not None
        person = next(each for each in retreat.registrations if each.id == OTHER)
        here.store.write_outside(SLUG, [replace(person, gbs_number=4)], whole=True)
        await here.assign(PERSON, 7)
        for at in (1, NEVER):
            response = await here.send("GET", f"/user-lineups?at={at}")
            error = response.json()
            assert (response.status, error["code"]) == (410, "HISTORY_PRUNED")
            assert error["oldestRevision"] == 2
        rows = await rows_at(here, 2)
        assert [rows[each]["gbsNumber"] for each in (PERSON, OTHER)] == [3, 4]
        assert await revisions(here) == [3, 2, 1]


@pytest.mark.parametrize(
    "query",
    [
        "at=1",
        "at=-1",
        "at=9999999999999999999",
        "at=yesterday",
        "at=2024-01-19",
        "at=2024-01-19T10:00:00",
        "at=0&at=0",
        "at=0&since=0",
        "at=0&epoch=x",
    ],
)
async def test_what_is_no_earlier_moment_is_refused(query: str) -> None:
    async with world() as here:
        assert refusal(await here.send("GET", f"/user-lineups?{query}")) == (
            400,
            "VALIDATION_FAILED",
        )


async def test_the_list_of_an_unknown_retreat_was_never_there() -> None:
    async with world() as here:
        path = f"/api/v1/retreat/{SLUG}x/line-up/user-lineups?at=0"
        assert refusal(await here.send("GET", path)) == (404, "RETREAT_NOT_FOUND")
