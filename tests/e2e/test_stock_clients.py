"""The clients that exist, unmodified, against the whole server."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any
from uuid import uuid4

import pytest

from tests.e2e.drivers import Driver
from tests.e2e.in_room import empty_group
from tests.e2e.screen import join_end
from tests.e2e.server_process import RETREAT, ServerProcess, token
from tests.e2e.stock_client import Refused, StockClient, stock_client

Row = dict[str, Any]


@asynccontextmanager
async def in_room(
    driver: Driver,
    server: ServerProcess,
    *,
    count: int = 2,
    slug: str = RETREAT,
    first_user: int = 7,
) -> AsyncIterator[list[StockClient]]:
    """Clients of as many users, all in the room."""
    async with AsyncExitStack() as stack:
        clients = []
        for user_id in range(first_user, first_user + count):
            client = await stack.enter_async_context(stock_client(driver))
            await client.connect(server.url, token(user_id, f"간사{user_id}"))
            answer = await client.ask("join-retreat", slug)
            assert answer["status"] == "OK", answer
            await client.event("room-presence")  # the last of what a join brings
            clients.append(client)
        yield clients


def _state(row_id: int, number: int) -> Callable[[Row], bool]:
    """Tell the row that has this number."""
    return lambda row: row["id"] == row_id and row["gbsNumber"] == number


async def test_a_join_is_answered_with_the_rows_in_list_order(
    driver: Driver, server: ServerProcess
) -> None:
    async with stock_client(driver) as client:
        await client.connect(server.url, token())
        answer = await client.ask("join-retreat", RETREAT)
    assert set(answer) == {"status", "data", "revision", "epoch", "full"}
    assert answer["status"] == "OK"
    assert answer["full"] is True
    rows = answer["data"]
    assert len(rows) == 80
    assert rows == sorted(
        rows,
        key=lambda row: (
            row["gbsNumber"] is None,
            row["gbsNumber"] or 0,
            not row["isLeader"],
            -row["gradeNumber"],
            row["name"],
            row["id"],
        ),
    )


async def test_an_assignment_is_acknowledged_and_seen_by_both(
    driver: Driver, server: ServerProcess, person: Row
) -> None:
    async with in_room(driver, server) as (author, other):
        number = empty_group()
        answer = await author.ask(
            "update-gbs-number", {"lineupId": person["id"], "gbsNumber": number}
        )
        assert answer["status"] == "OK"
        assert answer["data"]["id"] == person["id"]
        assert answer["data"]["gbsNumber"] == number
        assert answer["data"]["revision"] == answer["revision"]
        for client in (author, other):
            row = await client.event("lineup-updated", lambda row: row["id"] == person["id"])
            assert row == answer["data"]


async def test_the_authors_acknowledgement_comes_behind_the_rows_of_its_revision(
    driver: Driver, server: ServerProcess, person: Row
) -> None:
    async with in_room(driver, server, count=1) as (author,):
        mark = len(author.happened)
        answer = await author.ask(
            "update-gbs-number", {"lineupId": person["id"], "gbsNumber": empty_group()}
        )
        happened = [it for it in author.happened[mark:] if it.name in {"lineup-updated", "ack"}]
        revisions = [it.arguments[0]["revision"] for it in happened]
        assert revisions == [answer["revision"]] * len(happened)
        assert [it.name for it in happened][-2:] == ["lineup-updated", "ack"]


async def test_revisions_on_one_connection_never_go_back(
    driver: Driver, server: ServerProcess, person: Row, other_person: Row
) -> None:
    async with in_room(driver, server) as (one, two):
        for number in range(6000, 6010):
            await one.emit("update-gbs-number", {"lineupId": person["id"], "gbsNumber": number})
            await two.emit(
                "update-gbs-number", {"lineupId": other_person["id"], "gbsNumber": number}
            )
        for client in (one, two):
            for row_id in (person["id"], other_person["id"]):
                await client.event("lineup-updated", _state(row_id, 6009))
            revisions = [
                it.arguments[0]["revision"] for it in client.happened if it.name == "lineup-updated"
            ]
            assert revisions == sorted(revisions)


async def test_moving_one_person_changes_the_totals_of_both_groups(
    driver: Driver, server: ServerProcess, person: Row, other_person: Row
) -> None:
    number = empty_group()
    async with in_room(driver, server, count=1) as (client,):
        await client.ask("update-gbs-number", {"lineupId": person["id"], "gbsNumber": number})
        mark = len(client.happened)
        answer = await client.ask(
            "update-gbs-number", {"lineupId": other_person["id"], "gbsNumber": number}
        )
        assert answer["data"]["totalCount"] == 2
        companion = await client.event(
            "lineup-updated", lambda row: row["id"] == person["id"], since=mark
        )
        assert companion["totalCount"] == 2
        assert companion["revision"] == answer["revision"]


async def test_a_memo_is_created_updated_and_deleted_before_everybodys_eyes(
    driver: Driver, server: ServerProcess, person: Row
) -> None:
    async with in_room(driver, server) as (author, other):
        marks = [join_end(client) for client in (author, other)]
        created = await author.ask(
            "create-lineup-memo",
            {"userRetreatRegistrationId": person["id"], "memo": " 허리 조심 ", "color": "#FECACA"},
        )
        assert created["status"] == "OK", created
        assert created["data"]["lineupMemo"] == "허리 조심"
        assert created["data"]["lineupMemocolor"] == "#FECACA"
        memo_id = created["data"]["lineupMemoId"]
        updated = await author.ask("update-lineup-memo", {"memoId": str(memo_id), "memo": "괜찮음"})
        assert updated["status"] == "OK", updated
        assert updated["data"]["lineupMemo"] == "괜찮음"
        assert updated["data"]["lineupMemocolor"] == ""
        deleted = await author.ask("delete-lineup-memo", {"userRetreatRegistrationMemoId": memo_id})
        assert deleted["status"] == "OK", deleted
        assert deleted["data"]["lineupMemoId"] is None
        for client, mark in zip((author, other), marks, strict=True):
            await client.event("lineup-updated", lambda row: row == deleted["data"])
            states = [
                (it.arguments[0]["lineupMemo"], it.arguments[0]["lineupMemocolor"])
                for it in client.happened[mark:]
                if it.name == "lineup-updated" and it.arguments[0]["id"] == person["id"]
            ]
            given = [("허리 조심", "#FECACA"), ("괜찮음", ""), ("", "")]
            if "polling" in driver.transports:
                # Who was slow to poll may miss what was no longer so.
                given = [state for state in given if state in states]
            assert states == given


async def test_a_join_without_a_callback_gets_initial_data(
    driver: Driver, server: ServerProcess
) -> None:
    async with stock_client(driver) as client:
        await client.connect(server.url, token())
        await client.emit("join-retreat", {"retreatSlug": RETREAT})
        rows = await client.event("initial-data")
        assert len(rows) == 80


async def test_a_join_with_a_callback_gets_no_initial_data(
    driver: Driver, server: ServerProcess
) -> None:
    async with in_room(driver, server, count=1) as (client,):
        await client.ask("leave-retreat", RETREAT)
        assert "initial-data" not in {it.name for it in client.happened}


async def test_an_error_without_a_callback_comes_as_an_event(
    driver: Driver, server: ServerProcess, person: Row
) -> None:
    async with in_room(driver, server, count=1) as (client,):
        await client.emit("update-gbs-number", {"lineupId": person["id"], "gbsNumber": 0})
        error = await client.event("error")
        assert error["event"] == "update-gbs-number"
        assert error["code"] == "VALIDATION_FAILED"
        assert error["legacyCode"] == "UPDATE_FAILED"
        assert "status" not in error


async def test_an_error_with_a_callback_comes_in_the_acknowledgement_only(
    driver: Driver, server: ServerProcess, person: Row
) -> None:
    async with in_room(driver, server, count=1) as (client,):
        answer = await client.ask("update-gbs-number", {"lineupId": person["id"], "gbsNumber": 0})
        assert answer["status"] == "ERROR"
        assert answer["code"] == "VALIDATION_FAILED"
        await client.ask("leave-retreat", RETREAT)
        assert "error" not in {it.name for it in client.happened}


async def test_an_unknown_event_is_acknowledged_too(driver: Driver, server: ServerProcess) -> None:
    async with in_room(driver, server, count=1) as (client,):
        answer = await client.ask("rename-retreat", "x")
        assert answer["code"] == "VALIDATION_FAILED"


@pytest.mark.parametrize(
    ("given", "code"),
    [("not a token", "INVALID_TOKEN"), (None, "AUTH_REQUIRED"), ("", "AUTH_REQUIRED")],
)
async def test_a_missing_or_wrong_token_is_a_connect_error(
    driver: Driver, server: ServerProcess, given: str | None, code: str
) -> None:
    async with stock_client(driver) as client:
        with pytest.raises(Refused) as refused:
            await client.connect(server.url, given)
    assert refused.value.code == code


async def test_an_expired_token_is_a_connect_error(driver: Driver, server: ServerProcess) -> None:
    async with stock_client(driver) as client:
        with pytest.raises(Refused) as refused:
            await client.connect(server.url, token(exp=1_000_000_000))
    assert refused.value.code == "TOKEN_EXPIRED"
    assert refused.value.message == "Token expired"


async def test_a_cookie_does_without_a_token(driver: Driver, server: ServerProcess) -> None:
    async with stock_client(driver) as client:
        await client.connect(server.url, Cookie=f"accessToken={token()}")
        assert (await client.ask("join-retreat", RETREAT))["status"] == "OK"


async def test_the_first_token_found_decides(driver: Driver, server: ServerProcess) -> None:
    async with stock_client(driver) as client:
        with pytest.raises(Refused) as refused:
            await client.connect(server.url, "wrong", Cookie=f"accessToken={token()}")
    assert refused.value.code == "INVALID_TOKEN"


async def test_a_cookie_from_a_foreign_page_is_refused(
    driver: Driver, server: ServerProcess
) -> None:
    async with stock_client(driver) as client:
        with pytest.raises(Refused):
            await client.connect(
                server.url, Cookie=f"accessToken={token()}", Origin="https://evil.example"
            )


async def test_a_reader_may_look_and_not_touch(
    driver: Driver, server: ServerProcess, person: Row
) -> None:
    async with stock_client(driver) as client:
        await client.connect(server.url, token(30, role="SHUTTLE_BUS_ADMIN_STAFF"))
        assert (await client.ask("join-retreat", RETREAT))["status"] == "OK"
        answer = await client.ask("update-gbs-number", {"lineupId": person["id"], "gbsNumber": 3})
        assert answer["code"] == "FORBIDDEN"


async def test_a_token_for_other_retreats_may_not_join(
    driver: Driver, server: ServerProcess
) -> None:
    async with stock_client(driver) as client:
        await client.connect(server.url, token(retreats=["2023-winter"]))
        assert (await client.ask("join-retreat", RETREAT))["code"] == "FORBIDDEN"


async def test_a_retreat_that_does_not_exist_cannot_be_joined(
    driver: Driver, server: ServerProcess
) -> None:
    async with in_room(driver, server, count=1) as (client,):
        answer = await client.ask("join-retreat", "1999-winter")
        assert answer["code"] == "RETREAT_NOT_FOUND"
        assert answer["legacyCode"] == "JOIN_FAILED"
        assert (await client.ask("user-editing", {"lineupId": 1, "editing": False}))[
            "status"
        ] == "OK"


async def test_edits_of_one_field_from_one_base_give_one_conflict(
    driver: Driver, server: ServerProcess, person: Row
) -> None:
    async with in_room(driver, server) as (one, two):
        base = (await one.ask("join-retreat", RETREAT))["revision"]
        number = empty_group()
        change = {"lineupId": person["id"], "baseRevision": base}
        first = await one.ask("update-gbs-number", {**change, "gbsNumber": number})
        second = await two.ask("update-gbs-number", {**change, "gbsNumber": number + 1})
        assert first["status"] == "OK"
        assert second["code"] == "CONFLICT"
        assert second["data"] == first["data"]
        conflict = second["conflict"]
        assert conflict["field"] == "gbsNumber"
        assert conflict["theirs"] == number
        assert conflict["changedBy"] == "간사7"
        assert conflict["revision"] == first["revision"]


async def test_edits_of_two_fields_from_one_base_both_take_effect(
    driver: Driver, server: ServerProcess, person: Row
) -> None:
    async with in_room(driver, server) as (one, two):
        base = (await one.ask("join-retreat", RETREAT))["revision"]
        change = {"lineupId": person["id"], "baseRevision": base}
        number = empty_group()
        first = await one.ask("update-gbs-number", {**change, "gbsNumber": number})
        second = await two.ask("create-lineup-memo", {**change, "memo": "둘 다"})
        assert (first["status"], second["status"]) == ("OK", "OK")
        assert second["data"]["gbsNumber"] == number
        assert second["data"]["lineupMemo"] == "둘 다"


async def test_the_same_wish_from_the_same_base_is_no_conflict(
    driver: Driver, server: ServerProcess, person: Row
) -> None:
    async with in_room(driver, server) as (one, two):
        base = (await one.ask("join-retreat", RETREAT))["revision"]
        change = {
            "lineupId": person["id"],
            "baseRevision": base,
            "gbsNumber": empty_group(),
        }
        assert (await one.ask("update-gbs-number", change))["status"] == "OK"
        assert (await two.ask("update-gbs-number", change))["status"] == "OK"


async def test_a_repeated_command_changes_once_and_is_answered_alike(
    driver: Driver, server: ServerProcess, person: Row
) -> None:
    async with in_room(driver, server, count=1) as (client,):
        command = {
            "lineupId": person["id"],
            "gbsNumber": empty_group(),
            "commandId": str(uuid4()),
        }
        first = await client.ask("update-gbs-number", command)
        second = await client.ask("update-gbs-number", command)
        assert first["status"] == "OK"
        assert second == first
        revision = (await client.ask("join-retreat", RETREAT))["revision"]
        assert revision == first["revision"]


async def test_one_command_id_for_two_commands_is_refused(
    driver: Driver, server: ServerProcess, person: Row
) -> None:
    async with in_room(driver, server, count=1) as (client,):
        command = {"lineupId": person["id"], "commandId": str(uuid4())}
        number = empty_group()
        first = await client.ask("update-gbs-number", {**command, "gbsNumber": number})
        second = await client.ask("update-gbs-number", {**command, "gbsNumber": number + 1})
        assert (first["status"], second["code"]) == ("OK", "VALIDATION_FAILED")


async def test_both_spellings_of_an_id_and_digits_in_a_string_are_taken(
    driver: Driver, server: ServerProcess, person: Row
) -> None:
    async with in_room(driver, server, count=1) as (client,):
        number = empty_group()
        for argument in (
            {"lineupId": person["id"]},
            {"userRetreatRegistrationId": person["id"]},
            {"lineupId": str(person["id"])},
        ):
            answer = await client.ask("update-gbs-number", {**argument, "gbsNumber": number})
            assert answer["status"] == "OK"


async def test_presence_names_who_is_in_the_room(driver: Driver, server: ServerProcess) -> None:
    # Users of their own: who ended between two polls in another test may still seem to be here.
    async with in_room(driver, server, first_user=57) as (one, two):
        presence = await one.event(
            "room-presence",
            lambda presence: {57, 58} <= {user["userId"] for user in presence["users"]},
        )
        assert presence["total"] == len(presence["users"])
        mark = len(one.happened)
        await two.disconnect()
        await one.event(
            "room-presence",
            lambda presence: 58 not in {user["userId"] for user in presence["users"]},
            since=mark,
        )


async def test_an_editing_mark_is_shown_to_the_others_only(
    driver: Driver, server: ServerProcess, person: Row
) -> None:
    async with in_room(driver, server) as (author, other):
        answer = await author.ask("user-editing", {"lineupId": person["id"], "field": "gbsNumber"})
        assert answer["status"] == "OK"
        mark = await other.event("user-editing")
        assert mark == {
            "lineupId": person["id"],
            "userRetreatRegistrationId": person["id"],
            "userId": 7,
            "adminUserId": 7,
            "userName": "간사7",
            "field": "gbsNumber",
            "editing": True,
        }
        await author.disconnect()
        await other.event("user-editing", lambda mark: mark["editing"] is False)
        assert "user-editing" not in {it.name for it in author.happened}


async def test_outside_a_room_a_row_of_a_retreat_can_be_edited_and_nothing_else(
    driver: Driver, server: ServerProcess, person: Row
) -> None:
    async with in_room(driver, server, count=1) as (client,):
        assert (await client.ask("leave-retreat", RETREAT))["status"] == "OK"
        unknown = {"lineupId": 9_999_999, "gbsNumber": 3}
        assert (await client.ask("update-gbs-number", unknown))["code"] == "NOT_IN_ROOM"
        mark = {"lineupId": person["id"], "field": "gbsNumber"}
        assert (await client.ask("user-editing", mark))["code"] == "NOT_IN_ROOM"
        edit = {"lineupId": person["id"], "gbsNumber": empty_group(), "baseRevision": 0}
        answer = await client.ask("update-gbs-number", edit | {"epoch": "another"})
        assert (answer["code"], answer["data"]["id"]) == ("CONFLICT", person["id"])
        edit["baseRevision"] = answer["conflict"]["revision"]
        answer = await client.ask("update-gbs-number", edit)
        assert (answer["status"], answer["revision"]) == ("OK", None)


async def test_who_left_sees_no_more_rows(
    driver: Driver, server: ServerProcess, person: Row
) -> None:
    async with in_room(driver, server) as (one, two):
        await two.ask("leave-retreat", RETREAT)
        mark = len(two.happened)
        await one.ask("update-gbs-number", {"lineupId": person["id"], "gbsNumber": empty_group()})
        await two.ask("leave-retreat", RETREAT)
        assert "lineup-updated" not in {it.name for it in two.happened[mark:]}


async def test_joining_a_second_retreat_leaves_the_first(
    driver: Driver, server: ServerProcess, person: Row
) -> None:
    async with in_room(driver, server) as (one, two):
        assert len((await two.ask("join-retreat", "2024-summer"))["data"]) == 600
        mark = len(two.happened)
        await one.ask("update-gbs-number", {"lineupId": person["id"], "gbsNumber": empty_group()})
        answer = await two.ask("update-gbs-number", {"lineupId": person["id"], "gbsNumber": 3})
        assert answer["code"] == "NOT_FOUND"
        assert "lineup-updated" not in {it.name for it in two.happened[mark:]}


async def test_a_rejoin_with_since_brings_only_what_changed(
    driver: Driver, server: ServerProcess, person: Row
) -> None:
    async with in_room(driver, server) as (one, two):
        before = await two.ask("join-retreat", RETREAT)
        await two.ask("leave-retreat", RETREAT)
        changed = await one.ask(
            "update-gbs-number", {"lineupId": person["id"], "gbsNumber": empty_group()}
        )
        answer = await two.ask(
            "join-retreat",
            {
                "retreatSlug": RETREAT,
                "since": before["revision"] + 1,
                "epoch": before["epoch"],
            },
        )
        assert answer["full"] is False
        assert changed["data"] in answer["data"]
        assert all(row["revision"] > before["revision"] for row in answer["data"])
