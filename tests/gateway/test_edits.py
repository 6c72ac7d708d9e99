"""Writes over HTTP."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import Any
from unicodedata import normalize
from uuid import UUID

import pytest
import trio
from quart import Response
from werkzeug.datastructures import Headers

from gbs_actor.auth import Role
from tests.gateway.composing import OTHER_SLUG, settings_with
from tests.gateway.site import LINE_UP, Exchange, Site, body, exchange, site

LEADER, PERSON, OTHER = 1, 2, 3
KEY = "7f0c2f52-4f58-4f0e-9c4e-6f7e0a3b9d10"
READER = {"role": Role.SHUTTLE_BUS_ACCOUNT_STAFF}

WRITES = [
    pytest.param("PUT", f"/user-lineups/{PERSON}", {"gbsNumber": 3}, id="assign a number"),
    pytest.param(
        "POST",
        "/assign-gbs",
        {"userRetreatRegistrationId": PERSON, "gbsNumber": 3},
        id="assign with the person in the body",
    ),
    pytest.param("POST", f"/{PERSON}/lineup-memo", {"memo": "x"}, id="create a memo"),
    pytest.param("PUT", "/77/lineup-memo", {"memo": "x"}, id="update a memo"),
    pytest.param("DELETE", "/77/lineup-memo", None, id="delete a memo"),
]


async def ok(response: Response) -> dict[str, Any]:
    answer = await body(response)
    assert response.status_code == 200, answer
    return answer


async def refusal(response: Response) -> tuple[int, str]:
    return response.status_code, (await body(response))["code"]


async def memo_id(here: Site, person: int = PERSON) -> int:
    answer = await ok(await here.send("POST", f"/{person}/lineup-memo", {"memo": "x"}))
    written = answer["userRetreatGbsLineup"]["lineupMemoId"]
    assert isinstance(written, int)
    return written


# What a write does, and what it answers


async def test_a_person_is_put_into_a_group_and_every_row_of_it_is_answered() -> None:
    async with site() as here:
        answer = await ok(await here.send("PUT", f"/user-lineups/{PERSON}", {"gbsNumber": 1}))
        assert set(answer) == {"updatedLineups", "userRetreatGbsLineup", "revision"}
        assert answer["revision"] == 1
        assert answer["userRetreatGbsLineup"] == await here.row(PERSON)
        assert {row["id"] for row in answer["updatedLineups"]} == {LEADER, PERSON}
        assert {row["totalCount"] for row in answer["updatedLineups"]} == {2}


async def test_a_null_takes_a_person_out_of_their_group() -> None:
    async with site() as here:
        await here.assign(PERSON, 4)
        answer = await ok(await here.send("PUT", f"/user-lineups/{PERSON}", {"gbsNumber": None}))
        assert answer["userRetreatGbsLineup"]["gbsNumber"] is None


@pytest.mark.parametrize("written", [PERSON, str(PERSON), float(PERSON)])
async def test_the_person_may_stand_in_the_body(written: object) -> None:
    async with site() as here:
        wanted = {"userRetreatRegistrationId": written, "gbsNumber": 5}
        answer = await ok(await here.send("POST", "/assign-gbs", wanted))
        assert answer["userRetreatGbsLineup"]["id"] == PERSON
        assert answer["userRetreatGbsLineup"]["gbsNumber"] == 5


async def test_a_memo_is_created_updated_and_deleted() -> None:
    async with site() as here:
        content = {"memo": " 방송팀 ", "color": "#ffcc00"}
        created = await ok(await here.send("POST", f"/{PERSON}/lineup-memo", content))
        row = created["userRetreatGbsLineup"]
        assert (row["lineupMemo"], row["lineupMemocolor"]) == ("방송팀", "#FFCC00")
        memo = row["lineupMemoId"]
        updated = await ok(await here.send("PUT", f"/{memo}/lineup-memo", {"memo": "찬양팀"}))
        row = updated["userRetreatGbsLineup"]
        assert (row["lineupMemo"], row["lineupMemocolor"]) == ("찬양팀", "")
        deleted = await ok(await here.send("DELETE", f"/{memo}/lineup-memo"))
        row = deleted["userRetreatGbsLineup"]
        assert (row["lineupMemo"], row["lineupMemoId"]) == ("", None)
        assert [each["revision"] for each in (created, updated, deleted)] == [1, 2, 3]


async def test_a_write_that_changes_nothing_answers_the_row_and_no_updates() -> None:
    async with site() as here:
        await here.assign(PERSON, 4)
        answer = await ok(await here.send("PUT", f"/user-lineups/{PERSON}", {"gbsNumber": 4}))
        assert answer["updatedLineups"] == []
        assert answer["userRetreatGbsLineup"]["gbsNumber"] == 4
        assert answer["revision"] == 2


async def test_an_answer_to_a_write_is_kept_by_no_cache() -> None:
    async with site() as here:
        response = await here.send("PUT", f"/user-lineups/{PERSON}", {"gbsNumber": 4})
        assert response.headers["Cache-Control"] == "no-store"


async def test_the_author_is_the_user_of_the_token() -> None:
    async with site() as here:
        await here.send(
            "PUT", f"/user-lineups/{PERSON}", {"gbsNumber": 4}, token={"name": "박간사"}
        )
        late = await here.send(
            "PUT", f"/user-lineups/{PERSON}", {"gbsNumber": 5, "baseRevision": 0}
        )
        assert (await body(late))["conflict"]["changedBy"] == "박간사"


# Repeating


@pytest.mark.parametrize("key", [KEY, f'"{KEY}"', KEY.upper(), KEY.replace("-", "")])
async def test_a_repeat_gets_the_original_revision_and_the_row_as_it_is(key: str) -> None:
    async with site() as here:
        request = ("PUT", f"/user-lineups/{PERSON}", {"gbsNumber": 4})
        first = await ok(await here.send(*request, headers={"Idempotency-Key": KEY}))
        await here.assign(PERSON, 6)
        again = await ok(await here.send(*request, headers={"Idempotency-Key": key}))
        assert (first["revision"], again["revision"]) == (1, 1)
        assert again["userRetreatGbsLineup"]["gbsNumber"] == 6
        assert again["updatedLineups"] == [again["userRetreatGbsLineup"]]
        assert (await here.rows())["revision"] == 2


async def test_a_repeat_while_the_first_is_under_way_shares_its_outcome() -> None:
    async with site() as here:
        here.parts.store.commits_may_go_on = trio.Event()
        answers: list[dict[str, Any]] = []

        async def write() -> None:
            headers = {"Idempotency-Key": KEY}
            response = await here.send("PUT", f"/user-lineups/{PERSON}", {"gbsNumber": 4}, headers)
            answers.append(await ok(response))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(write)
            await here.parts.store.commit_waits.wait()
            nursery.start_soon(write)
            await trio.testing.wait_all_tasks_blocked()
            here.parts.store.commits_may_go_on.set()
        assert [answer["revision"] for answer in answers] == [1, 1]
        assert (await here.rows())["revision"] == 1


async def test_the_same_key_with_another_command_is_refused() -> None:
    async with site() as here:
        headers = {"Idempotency-Key": KEY}
        await ok(await here.send("PUT", f"/user-lineups/{PERSON}", {"gbsNumber": 4}, headers))
        other = await here.send("PUT", f"/user-lineups/{PERSON}", {"gbsNumber": 5}, headers)
        assert await refusal(other) == (400, "VALIDATION_FAILED")


async def test_a_rejected_write_is_decided_anew_under_its_key() -> None:
    async with site() as here:
        headers = {"Idempotency-Key": KEY}
        await here.assign(PERSON, 4)
        request: dict[str, Any] = {"gbsNumber": 5}
        stale = {**headers, "If-Match": "0"}
        assert (
            await here.send("PUT", f"/user-lineups/{PERSON}", request, stale)
        ).status_code == 409
        fresh = {**headers, "If-Match": "1"}
        assert (
            await here.send("PUT", f"/user-lineups/{PERSON}", request, fresh)
        ).status_code == 200


async def test_without_a_key_each_write_is_one_of_its_own() -> None:
    async with site() as here:
        for revision in (1, 2):
            answer = await ok(await here.send("PUT", f"/user-lineups/{PERSON}", {"gbsNumber": 4}))
            assert answer["revision"] == revision


# Conflicts


@pytest.mark.parametrize("header", ["0", '"0"'])
async def test_a_field_that_was_changed_since_is_a_conflict_with_row_and_author(
    header: str,
) -> None:
    async with site() as here:
        await here.assign(PERSON, 4)
        response = await here.send(
            "PUT", f"/user-lineups/{PERSON}", {"gbsNumber": 5}, {"If-Match": header}
        )
        answer = await body(response)
        assert (response.status_code, answer["code"]) == (409, "CONFLICT")
        assert answer["data"] == await here.row(PERSON)
        conflict = answer["conflict"]
        assert (conflict["field"], conflict["theirs"], conflict["revision"]) == ("gbsNumber", 4, 1)
        assert "retryable" not in answer


@pytest.mark.parametrize("header", ["*", "1", '"1"', None])
async def test_without_a_conflict_the_later_write_wins(header: str | None) -> None:
    async with site() as here:
        await here.assign(PERSON, 4)
        headers = {} if header is None else {"If-Match": header}
        await ok(await here.send("PUT", f"/user-lineups/{PERSON}", {"gbsNumber": 5}, headers))


async def test_a_revision_ahead_of_the_rooms_is_refused() -> None:
    async with site() as here:
        response = await here.send(
            "PUT", f"/user-lineups/{PERSON}", {"gbsNumber": 5}, {"If-Match": "9"}
        )
        assert await refusal(response) == (400, "VALIDATION_FAILED")


async def test_key_and_revision_may_stand_in_the_body_as_in_events() -> None:
    async with site() as here:
        content = {"gbsNumber": 4, "commandId": KEY, "baseRevision": 0}
        for _ in range(2):
            answer = await ok(await here.send("PUT", f"/user-lineups/{PERSON}", content))
            assert answer["revision"] == 1
        memo = await memo_id(here)
        deletion = {"commandId": str(UUID(int=5)), "baseRevision": 2}
        for _ in range(2):
            answer = await ok(await here.send("DELETE", f"/{memo}/lineup-memo", deletion))
            assert answer["revision"] == 3


async def test_header_and_body_may_say_the_same() -> None:
    async with site() as here:
        content = {"gbsNumber": 4, "commandId": KEY, "baseRevision": 0}
        headers = {"Idempotency-Key": f'"{KEY}"', "If-Match": '"0"'}
        await ok(await here.send("PUT", f"/user-lineups/{PERSON}", content, headers))


@pytest.mark.parametrize(
    ("content", "headers"),
    [
        ({"commandId": str(UUID(int=5))}, {"Idempotency-Key": KEY}),
        ({"baseRevision": 0}, {"If-Match": "1"}),
    ],
)
async def test_header_and_body_that_differ_are_refused(
    content: dict[str, Any], headers: dict[str, str]
) -> None:
    async with site() as here:
        await here.assign(OTHER, 4)
        response = await here.send(
            "PUT", f"/user-lineups/{PERSON}", {"gbsNumber": 4, **content}, headers
        )
        assert await refusal(response) == (400, "VALIDATION_FAILED")
        assert "differ" in (await body(response))["message"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("If-Match", ""),
        ("If-Match", 'W/"1"'),
        ("If-Match", "1, 2"),
        ("If-Match", '"1", "2"'),
        ("If-Match", "-1"),
        ("If-Match", "1.0"),
        ("If-Match", '"1'),
        ("If-Match", "9223372036854775808"),
        ("If-Match", "1" * 400),
        ("If-Match", "1" * 5_000),
        ("If-Match", "f74dc3e6-1"),
        ("Idempotency-Key", ""),
        ("Idempotency-Key", '"'),
        ("Idempotency-Key", "x"),
        ("Idempotency-Key", f'"{KEY}'),
        ("Idempotency-Key", f"{KEY}, {KEY}"),
        ("Idempotency-Key", f"{{{KEY}}}"),
    ],
)
async def test_a_header_that_cannot_be_understood_is_named(name: str, value: str) -> None:
    async with site() as here:
        response = await here.send(
            "PUT", f"/user-lineups/{PERSON}", {"gbsNumber": 4}, {name: value}
        )
        answer = await body(response)
        assert (response.status_code, answer["code"]) == (400, "VALIDATION_FAILED")
        assert name in answer["message"]
        assert (await here.rows())["revision"] == 0


@pytest.mark.parametrize(("name", "value"), [("If-Match", "0"), ("Idempotency-Key", KEY)])
async def test_a_header_given_twice_is_refused(name: str, value: str) -> None:
    async with site() as here:
        headers = Headers([(name, value), (name, value)])
        response = await here.send("PUT", f"/user-lineups/{PERSON}", {"gbsNumber": 4}, headers)
        assert await refusal(response) == (400, "VALIDATION_FAILED")


# Who may, and what comes first


@pytest.mark.parametrize(("method", "path", "content"), WRITES)
async def test_who_may_not_edit_is_refused_before_anything_is_read(
    method: str, path: str, content: object
) -> None:
    async with site() as here:
        for raw in (b"{", None):
            response = await here.send(method, path, content, token=READER, raw=raw)
            assert await refusal(response) == (403, "FORBIDDEN")
        strange = path.replace("77", "x").replace(str(PERSON), "x")
        response = await here.send(method, strange, content, token=READER)
        assert await refusal(response) == (403, "FORBIDDEN")


@pytest.mark.parametrize(("method", "path", "content"), WRITES)
async def test_without_a_good_token_it_is_401_before_anything_else(
    method: str, path: str, content: object
) -> None:
    async with site() as here:
        expired = here.bearer(expires_in=-31)
        for headers, code in (
            ({"Authorization": ""}, "AUTH_REQUIRED"),
            ({"Authorization": "Bearer x"}, "INVALID_TOKEN"),
            (expired, "TOKEN_EXPIRED"),
        ):
            response = await here.send(method, path, headers=headers, raw=b"{")
            assert await refusal(response) == (401, code)
            assert response.headers["WWW-Authenticate"].startswith("Bearer")


async def test_the_role_in_the_retreat_decides() -> None:
    async with site() as here:
        path = f"/api/v1/retreat/{OTHER_SLUG}/line-up/user-lineups/8"
        token = {**READER, "user_id": 52}
        assert (await here.send("PUT", path, {"gbsNumber": 3}, token=token)).status_code == 200
        response = await here.send(
            "PUT", f"/user-lineups/{PERSON}", {"gbsNumber": 3}, token={"user_id": 50}
        )
        assert await refusal(response) == (403, "FORBIDDEN")


async def test_a_token_for_other_retreats_writes_nothing() -> None:
    async with site() as here:
        response = await here.send(
            "PUT",
            f"/user-lineups/{PERSON}",
            {"gbsNumber": 3},
            token={"retreats": (OTHER_SLUG,)},
        )
        assert await refusal(response) == (403, "FORBIDDEN")


# A page of another origin, with its visitor's cookie


async def write_from(here: Site, origins: list[str], **headers: str) -> Response:
    sent = Headers(headers or {"Cookie": f"accessToken={here.parts.token()}"})
    for origin in origins:
        sent.add("Origin", origin)
    return await here.send("PUT", f"/user-lineups/{PERSON}", {"gbsNumber": 3}, sent)


@pytest.mark.parametrize(
    "origins",
    [
        ["https://evil.example"],
        pytest.param(["https://localhost"], id="the server's own, but for the scheme"),
        ["null"],
        [""],
        ["https://page.example", "https://evil.example"],
        ["https://page.example", "https://page.example"],
    ],
)
async def test_a_foreign_page_does_not_write_with_its_visitors_cookie(origins: list[str]) -> None:
    async with site() as here:
        assert await refusal(await write_from(here, origins)) == (403, "FORBIDDEN")
        assert (await here.rows())["revision"] == 0


@pytest.mark.parametrize("origins", [[], ["https://page.example"], ["http://localhost"]])
async def test_an_allowed_page_the_servers_own_and_a_script_write_with_the_cookie(
    origins: list[str],
) -> None:
    async with site() as here:
        await ok(await write_from(here, origins))


async def test_a_page_that_has_the_token_itself_may_be_anywhere() -> None:
    async with site() as here:
        response = await write_from(here, ["https://elsewhere.example"], **here.bearer())
        assert response.status_code == 200


# What is refused, and how


@pytest.mark.parametrize(
    "raw",
    [b"", b"{", b"[]", b"null", b"\xff", b"[" * 100_000, b'{"gbsNumber":' + b"9" * 5_000 + b"}"],
)
async def test_a_body_that_is_none_is_400(raw: bytes) -> None:
    async with site(settings_with(max_body=200_000)) as here:
        response = await here.send("PUT", f"/user-lineups/{PERSON}", raw=raw)
        assert await refusal(response) == (400, "VALIDATION_FAILED")


@pytest.mark.parametrize(
    ("method", "path", "content", "field"),
    [
        ("PUT", f"/user-lineups/{PERSON}", {}, "gbsNumber"),
        ("PUT", f"/user-lineups/{PERSON}", {"gbsNumber": 0}, "gbsNumber"),
        ("PUT", "/user-lineups/x", {"gbsNumber": 1}, "registrationId"),
        ("PUT", "/user-lineups/0", {"gbsNumber": 1}, "registrationId"),
        ("PUT", f"/user-lineups/{'9' * 5_000}", {"gbsNumber": 1}, "registrationId"),
        ("POST", "/assign-gbs", {"gbsNumber": 1}, "userRetreatRegistrationId"),
        ("POST", f"/{PERSON}/lineup-memo", {}, "memo"),
        ("POST", f"/{PERSON}/lineup-memo", {"memo": " "}, "memo"),
        ("POST", f"/{PERSON}/lineup-memo", {"memo": "x", "color": "red"}, "color"),
        ("PUT", "/77/lineup-memo", {"memo": "x" * 2_001}, "memo"),
        ("PUT", "/seven/lineup-memo", {"memo": "x"}, "memoId"),
        ("DELETE", "/seven/lineup-memo", None, "memoId"),
        ("DELETE", "/77/lineup-memo", {"baseRevision": -1}, "baseRevision"),
    ],
)
async def test_what_is_wrong_with_a_write_is_named(
    method: str, path: str, content: object, field: str
) -> None:
    async with site() as here:
        response = await here.send(method, path, content)
        answer = await body(response)
        assert (response.status_code, answer["code"]) == (400, "VALIDATION_FAILED")
        assert field in answer["message"]


@pytest.mark.parametrize(
    ("method", "path", "content"),
    [
        ("PUT", "/user-lineups/99", {"gbsNumber": 3}),
        ("POST", "/99/lineup-memo", {"memo": "x"}),
        ("PUT", "/99/lineup-memo", {"memo": "x"}),
        ("DELETE", "/99/lineup-memo", None),
    ],
)
async def test_what_is_not_there_is_404(method: str, path: str, content: object) -> None:
    async with site() as here:
        assert await refusal(await here.send(method, path, content)) == (404, "NOT_FOUND")


async def test_a_deleted_memo_is_404() -> None:
    async with site() as here:
        memo = await memo_id(here)
        await ok(await here.send("DELETE", f"/{memo}/lineup-memo"))
        response = await here.send("PUT", f"/{memo}/lineup-memo", {"memo": "y"})
        assert await refusal(response) == (404, "NOT_FOUND")


async def test_a_leaders_group_is_not_changed_this_way() -> None:
    async with site() as here:
        response = await here.send("PUT", f"/user-lineups/{LEADER}", {"gbsNumber": 3})
        assert await refusal(response) == (409, "LEADER_LOCKED")


async def test_a_second_memo_on_the_same_person_conflicts() -> None:
    async with site() as here:
        await memo_id(here)
        response = await here.send("POST", f"/{PERSON}/lineup-memo", {"memo": "y"})
        assert await refusal(response) == (409, "CONFLICT")


@pytest.mark.parametrize(("method", "path", "content"), WRITES)
async def test_an_unknown_retreat_is_404(method: str, path: str, content: object) -> None:
    async with site() as here:
        response = await here.send(method, f"/api/v1/retreat/none/line-up{path}", content)
        assert await refusal(response) == (404, "RETREAT_NOT_FOUND")


async def test_asking_for_retreats_that_do_not_exist_keeps_no_rooms() -> None:
    async with site() as here:
        for number in range(200):
            path = f"/api/v1/retreat/none-{number}/line-up/user-lineups/1"
            response = await here.send("PUT", path, {"gbsNumber": 1})
            assert response.status_code == 404
        assert here.parts.rooms.statistics().rooms == ()


async def test_a_body_that_is_too_large_is_413() -> None:
    async with site(settings_with(max_body=100)) as here:
        response = await here.send("POST", f"/{PERSON}/lineup-memo", {"memo": "x" * 200})
        assert await refusal(response) == (413, "CONTENT_TOO_LARGE")


async def test_a_body_that_does_not_arrive_is_408(autojump_clock: trio.testing.MockClock) -> None:
    async with site() as here:
        async with writing(here) as asking:
            await asking.body(b'{"gbsNum', more=True)
        assert asking.status == 408


FORMS = ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"]


@pytest.mark.parametrize("kind", FORMS)
async def test_a_body_that_a_form_could_send_with_a_cookie_is_415(kind: str) -> None:
    async with site() as here:
        headers = {"Content-Type": kind, "Cookie": f"accessToken={here.parts.token()}"}
        response = await here.send("PUT", f"/user-lineups/{PERSON}", {"gbsNumber": 3}, headers)
        assert await refusal(response) == (415, "UNSUPPORTED_MEDIA_TYPE")


@pytest.mark.parametrize("kind", FORMS)
async def test_with_a_token_of_its_own_a_body_may_be_called_anything(kind: str) -> None:
    async with site() as here:
        headers = {"Content-Type": kind}
        await ok(await here.send("PUT", f"/user-lineups/{PERSON}", {"gbsNumber": 3}, headers))


@pytest.mark.parametrize("kind", ["application/json; charset=utf-8", "application/x+json", ""])
async def test_other_spellings_of_json_and_silence_are_taken(kind: str) -> None:
    async with site() as here:
        await ok(
            await here.send(
                "PUT", f"/user-lineups/{PERSON}", {"gbsNumber": 3}, {"Content-Type": kind}
            )
        )


async def test_an_unreachable_store_is_503_with_a_time_to_come_back() -> None:
    async with site() as here:
        here.parts.store.broken = True
        response = await here.send("PUT", f"/user-lineups/{PERSON}", {"gbsNumber": 3})
        assert await refusal(response) == (503, "STORE_UNAVAILABLE")
        assert int(response.headers["Retry-After"]) > 0


async def test_a_store_that_does_not_tell_the_role_is_503(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with site() as here:
        here.parts.store.roles_may_go_on = trio.Event()
        response = await here.send("PUT", f"/user-lineups/{PERSON}", {"gbsNumber": 3})
        assert await refusal(response) == (503, "STORE_UNAVAILABLE")


async def test_while_the_server_ends_writes_are_503() -> None:
    async with site() as here:
        await here.parts.rooms.drain()
        response = await here.send("PUT", f"/user-lineups/{PERSON}", {"gbsNumber": 3})
        assert await refusal(response) == (503, "ROOM_UNAVAILABLE")
        assert (await body(response))["retryable"] is True
        assert int(response.headers["Retry-After"]) > 0


@pytest.mark.parametrize("key", [KEY, None])
async def test_an_unknown_outcome_is_504_and_worth_repeating_only_with_a_key(
    autojump_clock: trio.testing.MockClock, key: str | None
) -> None:
    async with site() as here:
        await here.rows()
        here.parts.store.commits_may_go_on = trio.Event()
        headers = {} if key is None else {"Idempotency-Key": key}
        response = await here.send("PUT", f"/user-lineups/{PERSON}", {"gbsNumber": 3}, headers)
        answer = await body(response)
        assert (response.status_code, answer["code"]) == (504, "OUTCOME_UNKNOWN")
        assert answer.get("retryable") is (True if key else None)


# A client that hangs up


def writing(here: Site) -> AbstractAsyncContextManager[Exchange]:
    headers = {**here.bearer(), "Content-Type": "application/json"}
    return exchange(here.app, "PUT", f"{LINE_UP}/user-lineups/{PERSON}", headers)


async def test_a_write_under_way_is_carried_out_though_its_client_hangs_up() -> None:
    async with site() as here:
        here.parts.store.commits_may_go_on = trio.Event()
        async with writing(here) as asking:
            await asking.body(b'{"gbsNumber": 3}')
            await here.parts.store.commit_waits.wait()
            await asking.disconnect()
        here.parts.store.commits_may_go_on.set()
        assert (await here.row(PERSON))["gbsNumber"] == 3
        assert asking.status is None


async def test_a_write_whose_authors_role_is_looked_up_is_carried_out_as_well() -> None:
    async with site() as here:
        here.parts.store.roles_may_go_on = trio.Event()
        async with writing(here) as asking:
            await asking.body(b'{"gbsNumber": 3}')
            await here.parts.store.role_waits.wait()
            await asking.disconnect()
            await trio.testing.wait_all_tasks_blocked()
            here.parts.store.roles_may_go_on.set()
        assert (await here.row(PERSON))["gbsNumber"] == 3


async def test_a_write_that_arrives_together_with_its_clients_end_is_carried_out() -> None:
    async with site() as here:
        for number in range(1, 31):  # Trio shuffles its tasks: each time another order
            async with writing(here) as asking:
                await asking.body(b'{"gbsNumber": %d}' % number)
                await asking.disconnect()
            assert (await here.row(PERSON))["gbsNumber"] == number


async def test_half_a_write_is_not_carried_out() -> None:
    async with site() as here:
        async with writing(here) as asking:
            await asking.body(b'{"gbsNumber": 3}', more=True)
            await asking.disconnect()
        assert (await here.rows())["revision"] == 0


# How often


async def test_a_user_who_asks_too_often_learns_when_to_come_back() -> None:
    async with site(settings_with(user_rate=0.5, user_burst=2)) as here:
        await here.rows()
        await ok(await here.send("PUT", f"/user-lineups/{PERSON}", {"gbsNumber": 3}))
        for response in (
            await here.send("PUT", f"/user-lineups/{PERSON}", {"gbsNumber": 3}),
            await here.get(f"{LINE_UP}/user-lineups", here.bearer()),
        ):
            answer = await body(response)
            assert (response.status_code, answer["code"]) == (429, "RATE_LIMITED")
            assert answer["retryable"] is True
            assert response.headers["Retry-After"] == "2"
        other = await here.send(
            "PUT", f"/user-lineups/{PERSON}", {"gbsNumber": 3}, token={"user_id": 8}
        )
        assert other.status_code == 200


async def test_a_bad_token_costs_nobody_anything() -> None:
    async with site(settings_with(user_rate=0.5, user_burst=1)) as here:
        for _ in range(3):
            response = await here.send(
                "PUT", f"/user-lineups/{PERSON}", headers={"Authorization": "Bearer x"}
            )
            assert response.status_code == 401
        assert len(here.parts.rates) == 0


# Text


async def test_a_memo_is_trimmed_as_in_a_browser_and_compared_in_nfc() -> None:
    async with site() as here:
        path, typed = f"/{PERSON}/lineup-memo", normalize("NFD", "늦게 도착")
        first = await ok(await here.send("POST", path, {"memo": f"\ufeff{typed}\u3000"}))
        assert first["userRetreatGbsLineup"]["lineupMemo"] == typed
        again = await ok(await here.send("POST", path, {"memo": normalize("NFC", typed)}))
        assert again["updatedLineups"] == []
        assert again["userRetreatGbsLineup"]["lineupMemo"] == typed


@pytest.mark.parametrize("memo", ["\u200b", "\u3164\u115f", "\u2800\ufeff", "\u202e"])
async def test_a_memo_of_invisible_characters_is_as_good_as_empty(memo: str) -> None:
    async with site() as here:
        path = f"/{PERSON}/lineup-memo"
        refused = await here.send("POST", path, {"memo": memo})
        assert refused.status_code == 400
        assert (await body(refused))["message"].startswith("memo")
        colored = await ok(await here.send("POST", path, {"memo": memo, "color": "#FECACA"}))
        assert colored["userRetreatGbsLineup"]["lineupMemo"] == ""
