"""Writes over HTTP."""

from __future__ import annotations

from typing import Any
from unicodedata import normalize
from uuid import UUID

import pytest
import trio
from websockets.datastructures import Headers

from gbs_actor.auth import Role
from gbs_actor.testing import HttpReply, SimStream
from tests.gateway.serving import (
    LINE_UP,
    OTHER_SLUG,
    World,
    settings_with,
    world,
)

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


def ok(response: HttpReply) -> dict[str, Any]:
    answer: dict[str, Any] = response.json()
    assert response.status == 200, answer
    return answer


def refusal(response: HttpReply) -> tuple[int, str]:
    return response.status, response.json()["code"]


async def memo_id(here: World, person: int = PERSON) -> int:
    answer = ok(await here.send("POST", f"/{person}/lineup-memo", {"memo": "x"}))
    written = answer["userRetreatGbsLineup"]["lineupMemoId"]
    assert isinstance(written, int)
    return written


# What a write does, and what it answers


async def test_a_person_is_put_into_a_group_and_every_row_of_it_is_answered() -> None:
    async with world() as here:
        answer = ok(await here.send("PUT", f"/user-lineups/{PERSON}", {"gbsNumber": 1}))
        assert set(answer) == {"updatedLineups", "userRetreatGbsLineup", "revision"}
        assert answer["revision"] == 1
        assert answer["userRetreatGbsLineup"] == await here.row(PERSON)
        assert {row["id"] for row in answer["updatedLineups"]} == {LEADER, PERSON}
        assert {row["totalCount"] for row in answer["updatedLineups"]} == {2}


async def test_a_null_takes_a_person_out_of_their_group() -> None:
    async with world() as here:
        await here.assign(PERSON, 4)
        answer = ok(await here.send("PUT", f"/user-lineups/{PERSON}", {"gbsNumber": None}))
        assert answer["userRetreatGbsLineup"]["gbsNumber"] is None


@pytest.mark.parametrize("written", [PERSON, str(PERSON), float(PERSON)])
async def test_the_person_may_stand_in_the_body(written: object) -> None:
    async with world() as here:
        wanted = {"userRetreatRegistrationId": written, "gbsNumber": 5}
        answer = ok(await here.send("POST", "/assign-gbs", wanted))
        assert answer["userRetreatGbsLineup"]["id"] == PERSON
        assert answer["userRetreatGbsLineup"]["gbsNumber"] == 5


async def test_a_memo_is_created_updated_and_deleted() -> None:
    async with world() as here:
        content = {"memo": " 방송팀 ", "color": "#ffcc00"}
        created = ok(await here.send("POST", f"/{PERSON}/lineup-memo", content))
        row = created["userRetreatGbsLineup"]
        assert (row["lineupMemo"], row["lineupMemocolor"]) == ("방송팀", "#FFCC00")
        memo = row["lineupMemoId"]
        updated = ok(await here.send("PUT", f"/{memo}/lineup-memo", {"memo": "찬양팀"}))
        row = updated["userRetreatGbsLineup"]
        assert (row["lineupMemo"], row["lineupMemocolor"]) == ("찬양팀", "")
        deleted = ok(await here.send("DELETE", f"/{memo}/lineup-memo"))
        row = deleted["userRetreatGbsLineup"]
        assert (row["lineupMemo"], row["lineupMemoId"]) == ("", None)
        assert [each["revision"] for each in (created, updated, deleted)] == [1, 2, 3]


async def test_a_write_that_changes_nothing_answers_the_row_and_no_updates() -> None:
    async with world() as here:
        await here.assign(PERSON, 4)
        answer = ok(await here.send("PUT", f"/user-lineups/{PERSON}", {"gbsNumber": 4}))
        assert answer["updatedLineups"] == []
        assert answer["userRetreatGbsLineup"]["gbsNumber"] == 4
        assert answer["revision"] == 2


async def test_an_answer_to_a_write_is_kept_by_no_cache() -> None:
    async with world() as here:
        response = await here.send("PUT", f"/user-lineups/{PERSON}", {"gbsNumber": 4})
        assert response.headers["Cache-Control"] == "no-store"


async def test_the_author_is_the_user_of_the_token() -> None:
    async with world() as here:
        await here.send(
            "PUT", f"/user-lineups/{PERSON}", {"gbsNumber": 4}, token={"name": "박간사"}
        )
        late = await here.send(
            "PUT", f"/user-lineups/{PERSON}", {"gbsNumber": 5, "baseRevision": 0}
        )
        assert late.json()["conflict"]["changedBy"] == "박간사"


# Repeating


@pytest.mark.parametrize("key", [KEY, f'"{KEY}"', KEY.upper(), KEY.replace("-", "")])
async def test_a_repeat_gets_the_original_revision_and_the_row_as_it_is(key: str) -> None:
    async with world() as here:
        request = ("PUT", f"/user-lineups/{PERSON}", {"gbsNumber": 4})
        first = ok(await here.send(*request, headers={"Idempotency-Key": KEY}))
        await here.assign(PERSON, 6)
        again = ok(await here.send(*request, headers={"Idempotency-Key": key}))
        assert (first["revision"], again["revision"]) == (1, 1)
        assert again["userRetreatGbsLineup"]["gbsNumber"] == 6
        assert again["updatedLineups"] == [again["userRetreatGbsLineup"]]
        assert (await here.rows())["revision"] == 2


async def test_a_repeat_while_the_first_is_under_way_shares_its_outcome() -> None:
    async with world() as here:
        here.store.commits_may_go_on = trio.Event()
        answers: list[dict[str, Any]] = []

        async def write() -> None:
            headers = {"Idempotency-Key": KEY}
            response = await here.send("PUT", f"/user-lineups/{PERSON}", {"gbsNumber": 4}, headers)
            answers.append(ok(response))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(write)
            await here.store.commit_waits.wait()
            nursery.start_soon(write)
            await trio.testing.wait_all_tasks_blocked()
            here.store.commits_may_go_on.set()
        assert [answer["revision"] for answer in answers] == [1, 1]
        assert (await here.rows())["revision"] == 1


async def test_the_same_key_with_another_command_is_refused() -> None:
    async with world() as here:
        headers = {"Idempotency-Key": KEY}
        ok(await here.send("PUT", f"/user-lineups/{PERSON}", {"gbsNumber": 4}, headers))
        other = await here.send("PUT", f"/user-lineups/{PERSON}", {"gbsNumber": 5}, headers)
        assert refusal(other) == (400, "VALIDATION_FAILED")


# Repeated by a proxy

PROXY = "10.0.0.1"
REQUEST_ID = KEY.replace("-", "")
"""As nginx's ``$request_id``."""
BEHIND_A_PROXY = settings_with(trusted_proxies=(PROXY,))


async def put_by(
    here: World,
    address: str,
    number: int,
    request_id: str | None = REQUEST_ID,
    headers: dict[str, str] | None = None,
) -> HttpReply:
    """Write what comes from this address, with the id that the proxy there gives it."""
    fields = here.bearer() | (headers or {})
    if request_id is not None:
        fields["X-Request-ID"] = request_id
    return await here.server.http(
        "PUT",
        f"{LINE_UP}/user-lineups/{PERSON}",
        {"gbsNumber": number},
        user=None,
        headers=fields,
        address=address,
    )


async def test_what_a_trusted_proxy_repeats_is_done_once() -> None:
    async with world(BEHIND_A_PROXY) as here:
        first, again = [ok(await put_by(here, PROXY, 4)) for _ in range(2)]
        assert (first["revision"], again["revision"]) == (1, 1)
        await here.assign(PERSON, 6)
        assert ok(await put_by(here, PROXY, 4))["revision"] == 1
        other = ok(await put_by(here, PROXY, 4, "0" * 32))
        assert other["revision"] == 3


async def test_other_writes_with_the_same_id_of_a_proxy_are_no_repeats() -> None:
    async with world(BEHIND_A_PROXY) as here:
        assert ok(await put_by(here, PROXY, 4))["revision"] == 1
        assert ok(await put_by(here, PROXY, 6))["revision"] == 2


async def test_nobody_else_can_number_a_request() -> None:
    async with world(BEHIND_A_PROXY) as here:
        await here.assign(PERSON, 6)
        revisions = [ok(await put_by(here, "192.0.2.1", 4))["revision"] for _ in range(2)]
        assert revisions == [2, 3]


@pytest.mark.parametrize("request_id", [KEY, "X" * 32, "1" * 31, "1" * 33, "", None])
async def test_an_id_that_may_be_of_several_requests_does_not_count(
    request_id: str | None,
) -> None:
    async with world(BEHIND_A_PROXY) as here:
        revisions = [ok(await put_by(here, PROXY, 4, request_id))["revision"] for _ in range(2)]
        assert revisions == [1, 2]


async def test_the_clients_own_key_goes_before_the_proxys() -> None:
    async with world(BEHIND_A_PROXY) as here:
        key = {"Idempotency-Key": str(UUID(int=5))}
        first = ok(await put_by(here, PROXY, 4, headers=key))
        again = ok(await put_by(here, PROXY, 4, "0" * 32, headers=key))
        assert (first["revision"], again["revision"]) == (1, 1)
        # The id that the proxy gave was not used.
        assert ok(await put_by(here, PROXY, 5))["revision"] == 2


async def test_a_rejected_write_is_decided_anew_under_its_key() -> None:
    async with world() as here:
        headers = {"Idempotency-Key": KEY}
        await here.assign(PERSON, 4)
        request: dict[str, Any] = {"gbsNumber": 5}
        stale = {**headers, "If-Match": "0"}
        assert (await here.send("PUT", f"/user-lineups/{PERSON}", request, stale)).status == 409
        fresh = {**headers, "If-Match": "1"}
        assert (await here.send("PUT", f"/user-lineups/{PERSON}", request, fresh)).status == 200


async def test_without_a_key_each_write_is_one_of_its_own() -> None:
    async with world() as here:
        for revision in (1, 2):
            answer = ok(await here.send("PUT", f"/user-lineups/{PERSON}", {"gbsNumber": 4}))
            assert answer["revision"] == revision


# Conflicts


@pytest.mark.parametrize("header", ["0", '"0"'])
async def test_a_field_that_was_changed_since_is_a_conflict_with_row_and_author(
    header: str,
) -> None:
    async with world() as here:
        await here.assign(PERSON, 4)
        response = await here.send(
            "PUT", f"/user-lineups/{PERSON}", {"gbsNumber": 5}, {"If-Match": header}
        )
        answer = response.json()
        assert (response.status, answer["code"]) == (409, "CONFLICT")
        assert answer["data"] == await here.row(PERSON)
        conflict = answer["conflict"]
        assert (conflict["field"], conflict["theirs"], conflict["revision"]) == ("gbsNumber", 4, 1)
        assert "retryable" not in answer


@pytest.mark.parametrize("header", ["*", "1", '"1"', None])
async def test_without_a_conflict_the_later_write_wins(header: str | None) -> None:
    async with world() as here:
        await here.assign(PERSON, 4)
        headers = {} if header is None else {"If-Match": header}
        ok(await here.send("PUT", f"/user-lineups/{PERSON}", {"gbsNumber": 5}, headers))


async def test_a_revision_ahead_of_the_rooms_is_refused() -> None:
    async with world() as here:
        response = await here.send(
            "PUT", f"/user-lineups/{PERSON}", {"gbsNumber": 5}, {"If-Match": "9"}
        )
        assert refusal(response) == (400, "VALIDATION_FAILED")


async def test_key_and_revision_may_stand_in_the_body_as_in_events() -> None:
    async with world() as here:
        content = {"gbsNumber": 4, "commandId": KEY, "baseRevision": 0}
        for _ in range(2):
            answer = ok(await here.send("PUT", f"/user-lineups/{PERSON}", content))
            assert answer["revision"] == 1
        memo = await memo_id(here)
        deletion = {"commandId": str(UUID(int=5)), "baseRevision": 2}
        for _ in range(2):
            answer = ok(await here.send("DELETE", f"/{memo}/lineup-memo", deletion))
            assert answer["revision"] == 3


async def test_header_and_body_may_say_the_same() -> None:
    async with world() as here:
        content = {"gbsNumber": 4, "commandId": KEY, "baseRevision": 0}
        headers = {"Idempotency-Key": f'"{KEY}"', "If-Match": '"0"'}
        ok(await here.send("PUT", f"/user-lineups/{PERSON}", content, headers))


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
    async with world() as here:
        await here.assign(OTHER, 4)
        response = await here.send(
            "PUT", f"/user-lineups/{PERSON}", {"gbsNumber": 4, **content}, headers
        )
        assert refusal(response) == (400, "VALIDATION_FAILED")
        assert "differ" in response.json()["message"]


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
    async with world() as here:
        response = await here.send(
            "PUT", f"/user-lineups/{PERSON}", {"gbsNumber": 4}, {name: value}
        )
        answer = response.json()
        assert (response.status, answer["code"]) == (400, "VALIDATION_FAILED")
        assert name in answer["message"]
        assert (await here.rows())["revision"] == 0


@pytest.mark.parametrize(("name", "value"), [("If-Match", "0"), ("Idempotency-Key", KEY)])
async def test_a_header_given_twice_is_refused(name: str, value: str) -> None:
    async with world() as here:
        headers = Headers([(name, value), (name, value)])
        response = await here.send("PUT", f"/user-lineups/{PERSON}", {"gbsNumber": 4}, headers)
        assert refusal(response) == (400, "VALIDATION_FAILED")


# Who may, and what comes first


@pytest.mark.parametrize(("method", "path", "content"), WRITES)
async def test_who_may_not_edit_is_refused_before_anything_is_read(
    method: str, path: str, content: object
) -> None:
    async with world() as here:
        for raw in (b"{", None):
            response = await here.send(method, path, content, token=READER, raw=raw)
            assert refusal(response) == (403, "FORBIDDEN")
        strange = path.replace("77", "x").replace(str(PERSON), "x")
        response = await here.send(method, strange, content, token=READER)
        assert refusal(response) == (403, "FORBIDDEN")


@pytest.mark.parametrize(("method", "path", "content"), WRITES)
async def test_without_a_good_token_it_is_401_before_anything_else(
    method: str, path: str, content: object
) -> None:
    async with world() as here:
        expired = here.bearer(expires_in=-31)
        for headers, code in (
            ({"Authorization": ""}, "AUTH_REQUIRED"),
            ({"Authorization": "Bearer x"}, "INVALID_TOKEN"),
            (expired, "TOKEN_EXPIRED"),
        ):
            response = await here.send(method, path, headers=headers, raw=b"{")
            assert refusal(response) == (401, code)
            assert response.headers["WWW-Authenticate"].startswith("Bearer")


async def test_the_role_in_the_retreat_decides() -> None:
    async with world() as here:
        path = f"/api/v1/retreat/{OTHER_SLUG}/line-up/user-lineups/8"
        token = {**READER, "user_id": 52}
        assert (await here.send("PUT", path, {"gbsNumber": 3}, token=token)).status == 200
        response = await here.send(
            "PUT", f"/user-lineups/{PERSON}", {"gbsNumber": 3}, token={"user_id": 50}
        )
        assert refusal(response) == (403, "FORBIDDEN")


async def test_a_token_for_other_retreats_writes_nothing() -> None:
    async with world() as here:
        response = await here.send(
            "PUT",
            f"/user-lineups/{PERSON}",
            {"gbsNumber": 3},
            token={"retreats": (OTHER_SLUG,)},
        )
        assert refusal(response) == (403, "FORBIDDEN")


# A page of another origin, with its visitor's cookie


async def write_from(here: World, origins: list[str], **headers: str) -> HttpReply:
    sent = Headers(headers or {"Cookie": f"accessToken={here.token()}"})
    for origin in origins:
        sent["Origin"] = origin
    return await here.send("PUT", f"/user-lineups/{PERSON}", {"gbsNumber": 3}, sent)


@pytest.mark.parametrize(
    "origins",
    [
        ["https://evil.example"],
        pytest.param(["https://lineup.test"], id="the server's own, but for the scheme"),
        ["null"],
        [""],
        ["https://page.example", "https://evil.example"],
        ["https://page.example", "https://page.example"],
    ],
)
async def test_a_foreign_page_does_not_write_with_its_visitors_cookie(origins: list[str]) -> None:
    async with world() as here:
        assert refusal(await write_from(here, origins)) == (403, "FORBIDDEN")
        assert (await here.rows())["revision"] == 0


@pytest.mark.parametrize("origins", [[], ["https://page.example"], ["http://lineup.test"]])
async def test_an_allowed_page_the_servers_own_and_a_script_write_with_the_cookie(
    origins: list[str],
) -> None:
    async with world() as here:
        ok(await write_from(here, origins))


async def test_a_page_that_has_the_token_itself_may_be_anywhere() -> None:
    async with world() as here:
        response = await write_from(here, ["https://elsewhere.example"], **here.bearer())
        assert response.status == 200


# What is refused, and how


@pytest.mark.parametrize(
    "raw",
    [b"", b"{", b"[]", b"null", b"\xff", b"[" * 100_000, b'{"gbsNumber":' + b"9" * 5_000 + b"}"],
)
async def test_a_body_that_is_none_is_400(raw: bytes) -> None:
    async with world(settings_with(max_body=200_000)) as here:
        response = await here.send("PUT", f"/user-lineups/{PERSON}", raw=raw)
        assert refusal(response) == (400, "VALIDATION_FAILED")


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
    async with world() as here:
        response = await here.send(method, path, content)
        answer = response.json()
        assert (response.status, answer["code"]) == (400, "VALIDATION_FAILED")
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
    async with world() as here:
        assert refusal(await here.send(method, path, content)) == (404, "NOT_FOUND")


async def test_a_deleted_memo_is_404() -> None:
    async with world() as here:
        memo = await memo_id(here)
        ok(await here.send("DELETE", f"/{memo}/lineup-memo"))
        response = await here.send("PUT", f"/{memo}/lineup-memo", {"memo": "y"})
        assert refusal(response) == (404, "NOT_FOUND")


async def test_a_leaders_group_is_not_changed_this_way() -> None:
    async with world() as here:
        response = await here.send("PUT", f"/user-lineups/{LEADER}", {"gbsNumber": 3})
        assert refusal(response) == (409, "LEADER_LOCKED")


async def test_a_second_memo_on_the_same_person_conflicts() -> None:
    async with world() as here:
        await memo_id(here)
        response = await here.send("POST", f"/{PERSON}/lineup-memo", {"memo": "y"})
        assert refusal(response) == (409, "CONFLICT")


@pytest.mark.parametrize(("method", "path", "content"), WRITES)
async def test_an_unknown_retreat_is_404(method: str, path: str, content: object) -> None:
    async with world() as here:
        response = await here.send(method, f"/api/v1/retreat/none/line-up{path}", content)
        assert refusal(response) == (404, "RETREAT_NOT_FOUND")


async def test_asking_for_retreats_that_do_not_exist_keeps_no_rooms() -> None:
    async with world() as here:
        for number in range(200):
            path = f"/api/v1/retreat/none-{number}/line-up/user-lineups/1"
            response = await here.send("PUT", path, {"gbsNumber": 1})
            assert response.status == 404
        assert here.rooms.statistics().rooms == ()


async def test_a_body_that_is_too_large_is_413() -> None:
    async with world(settings_with(max_body=100)) as here:
        response = await here.send("POST", f"/{PERSON}/lineup-memo", {"memo": "x" * 200})
        assert refusal(response) == (413, "CONTENT_TOO_LARGE")


async def test_a_body_that_does_not_arrive_is_408(autojump_clock: trio.testing.MockClock) -> None:
    async with world() as here:
        stream = await begin_to_write(here, b'{"gbsNum', length=100)
        assert (await stream.receive_some()).startswith(b"HTTP/1.1 408 ")


FORMS = ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"]


@pytest.mark.parametrize("kind", FORMS)
async def test_a_body_that_a_form_could_send_with_a_cookie_is_415(kind: str) -> None:
    async with world() as here:
        headers = {"Content-Type": kind, "Cookie": f"accessToken={here.token()}"}
        response = await here.send("PUT", f"/user-lineups/{PERSON}", {"gbsNumber": 3}, headers)
        assert refusal(response) == (415, "UNSUPPORTED_MEDIA_TYPE")


@pytest.mark.parametrize("kind", FORMS)
async def test_with_a_token_of_its_own_a_body_may_be_called_anything(kind: str) -> None:
    async with world() as here:
        headers = {"Content-Type": kind}
        ok(await here.send("PUT", f"/user-lineups/{PERSON}", {"gbsNumber": 3}, headers))


@pytest.mark.parametrize("kind", ["application/json; charset=utf-8", "application/x+json", ""])
async def test_other_spellings_of_json_and_silence_are_taken(kind: str) -> None:
    async with world() as here:
        ok(
            await here.send(
                "PUT", f"/user-lineups/{PERSON}", {"gbsNumber": 3}, {"Content-Type": kind}
            )
        )


async def test_an_unreachable_store_is_503_with_a_time_to_come_back() -> None:
    async with world() as here:
        here.store.begin_outage()
        response = await here.send("PUT", f"/user-lineups/{PERSON}", {"gbsNumber": 3})
        assert refusal(response) == (503, "STORE_UNAVAILABLE")
        assert int(response.headers["Retry-After"]) > 0


async def test_a_store_that_does_not_tell_the_role_is_503(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with world() as here:
        here.store.roles_may_go_on = trio.Event()
        response = await here.send("PUT", f"/user-lineups/{PERSON}", {"gbsNumber": 3})
        assert refusal(response) == (503, "STORE_UNAVAILABLE")


async def test_while_the_server_ends_writes_are_503() -> None:
    async with world() as here:
        await here.rooms.drain()
        response = await here.send("PUT", f"/user-lineups/{PERSON}", {"gbsNumber": 3})
        assert refusal(response) == (503, "ROOM_UNAVAILABLE")
        assert response.json()["retryable"] is True
        assert int(response.headers["Retry-After"]) > 0


async def test_an_id_that_the_client_does_not_know_is_of_no_use_to_it(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with world(BEHIND_A_PROXY) as here:
        await here.rows()
        here.store.commits_may_go_on = trio.Event()
        response = await put_by(here, PROXY, 3)
        answer = response.json()
        assert (response.status, answer["code"]) == (504, "OUTCOME_UNKNOWN")
        assert "retryable" not in answer


@pytest.mark.parametrize("key", [KEY, None])
async def test_an_unknown_outcome_is_504_and_worth_repeating_only_with_a_key(
    autojump_clock: trio.testing.MockClock, key: str | None
) -> None:
    async with world() as here:
        await here.rows()
        here.store.commits_may_go_on = trio.Event()
        headers = {} if key is None else {"Idempotency-Key": key}
        response = await here.send("PUT", f"/user-lineups/{PERSON}", {"gbsNumber": 3}, headers)
        answer = response.json()
        assert (response.status, answer["code"]) == (504, "OUTCOME_UNKNOWN")
        assert answer.get("retryable") is (True if key else None)


# A client that hangs up


async def begin_to_write(here: World, body: bytes, length: int | None = None) -> SimStream:
    stream = await here.server.open_stream()
    head = [
        f"PUT {LINE_UP}/user-lineups/{PERSON} HTTP/1.1",
        "Host: lineup.test",
        f"Authorization: Bearer {here.token()}",
        "Content-Type: application/json",
        f"Content-Length: {length or len(body)}",
    ]
    await stream.send_all("\r\n".join([*head, "", ""]).encode() + body)
    return stream


async def test_a_write_under_way_is_carried_out_though_its_client_hangs_up() -> None:
    async with world() as here:
        here.store.commits_may_go_on = trio.Event()
        stream = await begin_to_write(here, b'{"gbsNumber": 3}')
        await here.store.commit_waits.wait()
        stream.cut()
        await here.server.settle()
        here.store.commits_may_go_on.set()
        assert (await here.row(PERSON))["gbsNumber"] == 3


async def test_a_write_whose_authors_role_is_looked_up_is_carried_out_as_well() -> None:
    async with world() as here:
        here.store.roles_may_go_on = trio.Event()
        stream = await begin_to_write(here, b'{"gbsNumber": 3}')
        await here.store.role_waits.wait()
        stream.cut()
        await here.server.settle()
        here.store.roles_may_go_on.set()
        await here.server.settle()
        assert (await here.row(PERSON))["gbsNumber"] == 3


async def test_a_write_that_arrives_together_with_its_clients_end_is_carried_out() -> None:
    async with world() as here:
        for number in range(1, 31):  # Trio shuffles its tasks: each time another order
            stream = await begin_to_write(here, b'{"gbsNumber": %d}' % number)
            await stream.aclose()
            await here.server.settle()
            assert (await here.row(PERSON))["gbsNumber"] == number


async def test_half_a_write_is_not_carried_out() -> None:
    async with world() as here:
        stream = await begin_to_write(here, b'{"gbsNumber": 3}', length=100)
        await here.server.settle()
        stream.cut()
        await here.server.settle()
        assert (await here.rows())["revision"] == 0


# How often


async def test_a_user_who_asks_too_often_learns_when_to_come_back() -> None:
    async with world(settings_with(user_rate=0.5, user_burst=2)) as here:
        await here.rows()
        ok(await here.send("PUT", f"/user-lineups/{PERSON}", {"gbsNumber": 3}))
        for response in (
            await here.send("PUT", f"/user-lineups/{PERSON}", {"gbsNumber": 3}),
            await here.get(f"{LINE_UP}/user-lineups", here.bearer()),
        ):
            answer = response.json()
            assert (response.status, answer["code"]) == (429, "RATE_LIMITED")
            assert answer["retryable"] is True
            assert response.headers["Retry-After"] == "2"
        other = await here.send(
            "PUT", f"/user-lineups/{PERSON}", {"gbsNumber": 3}, token={"user_id": 8}
        )
        assert other.status == 200


async def test_a_bad_token_costs_nobody_anything() -> None:
    async with world(settings_with(user_rate=0.5, user_burst=1)) as here:
        for _ in range(3):
            response = await here.send(
                "PUT", f"/user-lineups/{PERSON}", headers={"Authorization": "Bearer x"}
            )
            assert response.status == 401
        assert len(here.services.rates) == 0


# Text


async def test_a_memo_is_trimmed_as_in_a_browser_and_compared_in_nfc() -> None:
    async with world() as here:
        path, typed = f"/{PERSON}/lineup-memo", normalize("NFD", "늦게 도착")
        first = ok(await here.send("POST", path, {"memo": f"\ufeff{typed}\u3000"}))
        assert first["userRetreatGbsLineup"]["lineupMemo"] == typed
        again = ok(await here.send("POST", path, {"memo": normalize("NFC", typed)}))
        assert again["updatedLineups"] == []
        assert again["userRetreatGbsLineup"]["lineupMemo"] == typed


@pytest.mark.parametrize("memo", ["\u200b", "\u3164\u115f", "\u2800\ufeff", "\u202e"])
async def test_a_memo_of_invisible_characters_is_as_good_as_empty(memo: str) -> None:
    async with world() as here:
        path = f"/{PERSON}/lineup-memo"
        refused = await here.send("POST", path, {"memo": memo})
        assert refused.status == 400
        assert refused.json()["message"].startswith("memo")
        colored = ok(await here.send("POST", path, {"memo": memo, "color": "#FECACA"}))
        assert colored["userRetreatGbsLineup"]["lineupMemo"] == ""
