"""The HTTP part of a running server, read by an independent client."""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Iterator
from functools import partial
from http.client import HTTPResponse
from typing import Any
from uuid import uuid4

import httpx
import pytest
import trio

from gbs_actor.client import Client, connect
from tests.e2e.server_process import RETREAT, ServerProcess, token

LINEUPS = f"/api/v1/retreat/{RETREAT}/line-up/user-lineups"


@pytest.fixture
def http(server: ServerProcess) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url) as client:
        yield client


def bearer(**claims: object) -> dict[str, str]:
    return {"Authorization": f"Bearer {token(**claims)}"}  # type: ignore[arg-type]


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_a_running_server_is_alive_and_ready(http: httpx.Client, path: str) -> None:
    assert http.get(path).status_code == 200


def test_the_list_is_read_with_a_bearer_token(http: httpx.Client) -> None:
    answer = http.get(LINEUPS, headers=bearer())
    assert answer.status_code == 200
    body = answer.json()
    assert len(body["userRetreatGbsLineups"]) == 80
    assert set(body) == {"userRetreatGbsLineups", "revision", "epoch", "full"}


def test_the_list_is_read_with_a_cookie(http: httpx.Client) -> None:
    answer = http.get(LINEUPS, headers={"Cookie": f"accessToken={token()}"})
    assert answer.status_code == 200


def test_an_unchanged_list_is_not_sent_again(http: httpx.Client) -> None:
    tag = http.get(LINEUPS, headers=bearer()).headers["ETag"]
    again = http.get(LINEUPS, headers={**bearer(), "If-None-Match": tag})
    assert again.status_code == 304
    assert again.content == b""


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({}, 401, "AUTH_REQUIRED"),
        ({"Authorization": "Bearer nonsense"}, 401, "INVALID_TOKEN"),
    ],
)
def test_without_a_good_token_nothing_is_read(
    http: httpx.Client, headers: dict[str, str], status: int, code: str
) -> None:
    answer = http.get(LINEUPS, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (status, code)


def test_a_token_for_other_retreats_reads_nothing(http: httpx.Client) -> None:
    answer = http.get(LINEUPS, headers=bearer(retreats=["2023-winter"]))
    assert (answer.status_code, answer.json()["code"]) == (403, "FORBIDDEN")


def test_a_retreat_that_does_not_exist_is_not_found(http: httpx.Client) -> None:
    answer = http.get(LINEUPS.replace(RETREAT, "1999-winter"), headers=bearer())
    assert (answer.status_code, answer.json()["code"]) == (404, "RETREAT_NOT_FOUND")


def test_operators_see_the_rooms(http: httpx.Client) -> None:
    http.get(LINEUPS, headers=bearer())
    answer = http.get("/admin/rooms", headers=bearer(role="ADMIN_MINISTER"))
    assert answer.status_code == 200
    assert RETREAT in {room["slug"] for room in answer.json()["rooms"]}


def test_staff_do_not_see_the_rooms(http: httpx.Client) -> None:
    assert http.get("/admin/rooms", headers=bearer()).status_code == 403


def test_connections_are_kept_for_further_requests(http: httpx.Client) -> None:
    for _ in range(3):
        assert http.get("/healthz").status_code == 200
    assert "close" not in http.get("/healthz").headers.get("Connection", "")


# Writes


def raw_put(path: str, body: bytes, **headers: str) -> bytes:
    lines = [
        f"PUT {path} HTTP/1.1",
        "Host: server",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
        *(f"{name}: {value}" for name, value in headers.items()),
    ]
    return "\r\n".join((*lines, "", "")).encode()


def answer(peer: socket.socket) -> tuple[int, bytes]:
    """Read one answer off a connection that goes on."""
    response = HTTPResponse(peer)
    response.begin()
    return response.status, response.read()


def test_a_write_is_durable_and_answers_the_rows(
    http: httpx.Client, person: dict[str, Any]
) -> None:
    path = f"{LINEUPS}/{person['id']}"
    reply = http.put(path, headers=bearer(), json={"gbsNumber": 901})
    assert reply.status_code == 200
    body = reply.json()
    assert body["userRetreatGbsLineup"]["gbsNumber"] == 901
    rows = http.get(LINEUPS, headers=bearer()).json()["userRetreatGbsLineups"]
    assert body["userRetreatGbsLineup"] in rows


def test_a_memo_is_written_rewritten_and_deleted(
    http: httpx.Client, person: dict[str, Any]
) -> None:
    base = LINEUPS.removesuffix("/user-lineups")
    content = {"memo": "방송팀", "color": "#ffcc00"}
    created = http.post(f"{base}/{person['id']}/lineup-memo", headers=bearer(), json=content)
    memo = f"{base}/{created.json()['userRetreatGbsLineup']['lineupMemoId']}/lineup-memo"
    updated = http.put(memo, headers=bearer(), json={"memo": "찬양팀"})
    assert updated.json()["userRetreatGbsLineup"]["lineupMemo"] == "찬양팀"
    assert http.delete(memo, headers=bearer()).status_code == 200
    gone = http.delete(memo, headers=bearer())
    assert (gone.status_code, gone.json()["code"]) == (404, "NOT_FOUND")


def test_a_write_sent_again_takes_effect_once(http: httpx.Client, person: dict[str, Any]) -> None:
    headers = {**bearer(), "Idempotency-Key": f'"{uuid4()}"'}
    path = f"{LINEUPS}/{person['id']}"
    revisions = {
        http.put(path, headers=headers, json={"gbsNumber": 902}).json()["revision"]
        for _ in range(3)
    }
    assert len(revisions) == 1


def test_a_stale_write_conflicts(http: httpx.Client, person: dict[str, Any]) -> None:
    path = f"{LINEUPS}/{person['id']}"
    seen = http.put(path, headers=bearer(), json={"gbsNumber": 903}).json()["revision"]
    http.put(path, headers=bearer(name="박간사"), json={"gbsNumber": 904})
    late = http.put(path, headers={**bearer(), "If-Match": f'"{seen}"'}, json={"gbsNumber": 905})
    assert (late.status_code, late.json()["code"]) == (409, "CONFLICT")
    assert late.json()["conflict"]["changedBy"] == "박간사"


def has_row(row_id: int, revision: int, client: Client) -> bool:
    row = client.row(row_id)
    return row is not None and row.revision == revision


async def test_each_write_over_http_is_seen_on_the_sockets_under_its_revision(
    server: ServerProcess, person: dict[str, Any]
) -> None:
    path = f"{LINEUPS}/{person['id']}"
    async with (
        connect(server.url, token(user_id=8)) as watcher,
        httpx.AsyncClient(base_url=server.url, headers=bearer()) as http,
    ):
        await watcher.join(RETREAT)
        for number in range(910, 920):
            reply = (await http.put(path, json={"gbsNumber": number})).json()
            with trio.fail_after(30):
                await watcher.until(partial(has_row, person["id"], reply["revision"]))
            row = watcher.row(person["id"])
            assert row is not None
            assert row.gbs_number == number


def test_a_write_whose_client_hangs_up_at_once_is_carried_out(
    server: ServerProcess, http: httpx.Client, person: dict[str, Any]
) -> None:
    path = f"{LINEUPS}/{person['id']}"
    # Nobody has asked for this user's role before, so that it is looked up in the database.
    for number, user_id in enumerate(range(5_000, 5_020), start=921):
        body = b'{"gbsNumber":%d}' % number
        head = raw_put(path, body, **bearer(user_id=user_id))
        with socket.create_connection((server.host, server.port)) as peer:
            peer.sendall(head + body)
        deadline = time.monotonic() + 30
        while True:
            rows = http.get(LINEUPS, headers=bearer()).json()["userRetreatGbsLineups"]
            (row,) = [row for row in rows if row["id"] == person["id"]]
            if row["gbsNumber"] == number:
                break
            assert time.monotonic() < deadline, f"write {number} was lost"


@pytest.mark.parametrize("pause", [0.0, 0.002, 0.05])
def test_a_refusal_before_the_body_has_come_leaves_the_connection_usable(
    server: ServerProcess, person: dict[str, Any], pause: float
) -> None:
    path = f"{LINEUPS}/{person['id']}"
    body = b'{"gbsNumber":931}'
    with socket.create_connection((server.host, server.port), timeout=10) as peer:
        for headers, status in (({}, 401), (bearer(), 200)) * 5:
            peer.sendall(raw_put(path, body, **headers))
            time.sleep(pause)  # so that the server could answer before the body is there
            peer.sendall(body)
            assert answer(peer)[0] == status


def test_a_refusal_of_a_body_that_never_comes_ends_the_connection(server: ServerProcess) -> None:
    with socket.create_connection((server.host, server.port), timeout=10) as peer:
        peer.sendall(raw_put(f"{LINEUPS}/1", b"x" * 100))
        assert answer(peer)[0] == 401
        assert peer.recv(1) == b""


def test_a_304_says_nothing_of_a_content(http: httpx.Client) -> None:
    answer = http.get(LINEUPS, headers={**bearer(), "If-None-Match": "*"})
    assert answer.status_code == 304
    assert not {"Content-Type", "Content-Length"} & set(answer.headers)


def test_head_answers_without_a_body_and_the_connection_goes_on(http: httpx.Client) -> None:
    whole = http.get(LINEUPS, headers=bearer())
    for _ in range(3):
        head = http.head(LINEUPS, headers=bearer())
        assert head.content == b""
        assert head.headers["Content-Length"] == str(len(whole.content))
        assert head.headers["ETag"] == whole.headers["ETag"]


def test_the_api_is_described_and_has_a_page(http: httpx.Client) -> None:
    assert http.get("/openapi.json").json()["openapi"].startswith("3.1")
    page = http.get("/docs")
    (script, *_) = re.findall(r'src="([^"]*)"', page.text)
    assert http.get(f"/{script}").headers["Content-Type"].startswith("text/javascript")
