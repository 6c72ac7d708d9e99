"""Pages in Chromium whose origin is not the server's: what they may and may not do."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.e2e.drivers import Drivers
from tests.e2e.in_room import empty_group, listed
from tests.e2e.screen import Row
from tests.e2e.server_process import RETREAT, ServerProcess, token
from tests.e2e.stock_client import Refused, StockClient, Unanswered, stock_clients

pytestmark = [pytest.mark.node, pytest.mark.browser]

LINEUPS = f"/api/v1/retreat/{RETREAT}/line-up/user-lineups"


@asynccontextmanager
async def opened(drivers: Drivers, cookie: str | None = None) -> AsyncIterator[StockClient]:
    """A page, with nothing connected."""
    async with stock_clients([drivers["websocket"]]) as (client,):
        await client.set_cookie(cookie)
        yield client


async def test_a_page_that_is_not_allowed_opens_no_connection_with_a_cookie(
    foreign_drivers: Drivers, server: ServerProcess
) -> None:
    async with stock_clients(foreign_drivers.values()) as clients:
        refusals = []
        for client in clients:
            with pytest.raises(Refused) as refused:
                await client.connect(server.url, cookie=token())
            refusals.append(refused.value.message)
    assert refusals == ["xhr poll error", "websocket error", "xhr poll error"]


async def test_a_page_reads_the_list_and_its_etag(
    chromium_drivers: Drivers, server: ServerProcess
) -> None:
    async with opened(chromium_drivers, token()) as page:
        answer = await page.fetch(server.url + LINEUPS)
        assert answer.status == 200
        assert json.loads(answer.body)["userRetreatGbsLineups"] == list(
            (await listed(server)).values()
        )
        again = await page.fetch(
            server.url + LINEUPS, headers={"If-None-Match": answer.headers["etag"]}
        )
        # Chromium itself answers out of its cache where the page did not ask for a 304.
        assert (again.status, again.body) == (304, "")


@pytest.mark.parametrize(
    ("cookie", "slug", "refusal"),
    [
        (None, RETREAT, (401, "AUTH_REQUIRED")),
        ("nonsense", RETREAT, (401, "INVALID_TOKEN")),
        (token(exp=1_000_000_000), RETREAT, (401, "TOKEN_EXPIRED")),
        (token(retreats=["2023-winter"]), RETREAT, (403, "FORBIDDEN")),
        (token(exp=None), "1999-winter", (404, "RETREAT_NOT_FOUND")),
    ],
    ids=["no token", "wrong token", "expired token", "forbidden", "not found"],
)
async def test_a_page_can_read_why_it_is_refused(
    chromium_drivers: Drivers,
    server: ServerProcess,
    cookie: str | None,
    slug: str,
    refusal: tuple[int, str],
) -> None:
    async with opened(chromium_drivers, cookie) as page:
        answer = await page.fetch(server.url + LINEUPS.replace(RETREAT, slug))
        assert (answer.status, json.loads(answer.body)["code"]) == refusal


async def test_a_page_writes_over_http_behind_a_preflight(
    chromium_drivers: Drivers, server: ServerProcess, person: Row
) -> None:
    number = empty_group()
    async with opened(chromium_drivers, token()) as page:
        answer = await page.fetch(
            f"{server.url}{LINEUPS}/{person['id']}",
            method="PUT",
            headers={
                "Content-Type": "application/json",
                "Idempotency-Key": "7a4e9c2f-6b1d-4a3e-9f08-2c5d7e8b1a46",
                "If-Match": f'"{person["revision"]}"',
            },
            body=json.dumps({"gbsNumber": number}),
        )
        assert answer.status == 200, answer.body
        written = json.loads(answer.body)
        assert written["userRetreatGbsLineup"]["gbsNumber"] == number
    assert (await listed(server))[person["id"]] == written["userRetreatGbsLineup"]


async def test_a_page_that_is_not_allowed_reads_nothing(
    foreign_drivers: Drivers, server: ServerProcess
) -> None:
    async with opened(foreign_drivers, token()) as page:
        with pytest.raises(Unanswered):
            await page.fetch(server.url + LINEUPS)


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({"Content-Type": "application/json"}, id="with a preflight"),
        pytest.param({"Content-Type": "text/plain"}, id="without one"),
    ],
)
async def test_a_page_that_is_not_allowed_writes_nothing(
    foreign_drivers: Drivers, server: ServerProcess, person: Row, headers: dict[str, str]
) -> None:
    async with opened(foreign_drivers, token()) as page:
        with pytest.raises(Unanswered):
            await page.fetch(
                server.url + LINEUPS.replace("user-lineups", "assign-gbs"),
                method="POST",
                headers=headers,
                body=json.dumps(
                    {"userRetreatRegistrationId": person["id"], "gbsNumber": empty_group()}
                ),
            )
    assert (await listed(server))[person["id"]] == person
