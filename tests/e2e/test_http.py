"""The HTTP part of a running server, read by an independent client."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

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
