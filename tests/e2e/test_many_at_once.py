"""Stock clients that know of no bulk edit, no deleted group and no undo see the right rows."""

from __future__ import annotations

from functools import partial
from typing import Any
from uuid import uuid4

import httpx

from tests.e2e.drivers import Driver
from tests.e2e.in_room import in_room
from tests.e2e.screen import shown
from tests.e2e.server_process import RETREAT, ServerProcess, token
from tests.e2e.stock_client import StockClient

LINE_UP = f"/api/v1/retreat/{RETREAT}/line-up"
Row = dict[str, Any]


class Staff:
    """Somebody who edits by HTTP, as a page with a spreadsheet does."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http

    async def rows(self) -> list[Row]:
        response = await self._http.get(f"{LINE_UP}/user-lineups")
        rows: list[Row] = response.json()["userRetreatGbsLineups"]
        return rows

    async def send(self, method: str, path: str, content: object) -> Row:
        response = await self._http.request(method, f"{LINE_UP}/{path}", json=content)
        assert response.status_code == 200, response.text
        result: Row = response.json()
        return result


def shows(page: StockClient, rows: dict[int, Row]) -> bool:
    return shown(page) == rows


def shows_numbers(page: StockClient, numbers: dict[int, int | None]) -> bool:
    rows = shown(page)
    return all(rows[id_]["gbsNumber"] == number for id_, number in numbers.items())


def ordinary(rows: list[Row]) -> list[Row]:
    return [row for row in rows if not row["isLeader"]]


async def test_every_page_shows_what_came_of_them(driver: Driver, server: ServerProcess) -> None:
    headers = {"Authorization": f"Bearer {token(90, '박간사')}"}
    async with (
        httpx.AsyncClient(base_url=server.url, headers=headers) as http,
        in_room((driver, driver), server.url, auth={"token": token()}) as pages,
    ):
        staff = Staff(http)

        async def seen_by_all(pages: list[StockClient] = pages) -> None:
            rows = {row["id"]: row for row in await staff.rows()}
            for page in pages:
                await page.until(partial(shows, page, rows))

        await seen_by_all()
        before = {row["id"]: row["gbsNumber"] for row in await staff.rows()}
        people = ordinary(await staff.rows())[:30]
        items = [
            {"userRetreatRegistrationId": row["id"], "gbsNumber": 4_000 + at % 3}
            for at, row in enumerate(people)
        ]
        bulk = str(uuid4())
        done = await staff.send(
            "POST", "bulk-assign-gbs", {"assignments": items, "commandId": bulk}
        )
        assert done["updatedCount"] == 30
        assert done["createdGbsNumbers"] == [4_000, 4_001, 4_002]
        await seen_by_all()

        leaders = [people[0]["userId"], people[3]["userId"]]
        await staff.send(
            "POST", "assign-gbs-leaders", {"gbsNumber": 4_000, "leaderUserIds": leaders}
        )
        await staff.send("PUT", "lineup-gbs-memo", {"gbsNumber": 4_000, "memo": "2층"})
        await seen_by_all()
        assert {shown(page)[people[3]["id"]]["gbsMemo"] for page in pages} == {"2층"}

        deletion = str(uuid4())
        await staff.send("DELETE", "delete-gbs", {"gbsNumber": 4_000, "commandId": deletion})
        await seen_by_all()
        assert {shown(page)[people[0]["id"]]["isLeader"] for page in pages} == {False}

        await staff.send("POST", "undo", {"commandId": deletion})
        await seen_by_all()
        assert {shown(page)[people[0]["id"]]["isLeader"] for page in pages} == {True}
        for group in (4_000, 4_001, 4_002):
            await staff.send("DELETE", "delete-gbs", {"gbsNumber": group})
        back = [
            {"lineupId": id_, "gbsNumber": number}
            for id_, number in before.items()
            if id_ in {row["id"] for row in people}
        ]
        await staff.send("POST", "bulk-assign-gbs", {"assignments": back})
        await seen_by_all()
        assert {row["id"]: row["gbsNumber"] for row in await staff.rows()} == before


async def test_a_page_bulk_edits_and_takes_it_back_with_its_stock_client(
    driver: Driver, server: ServerProcess
) -> None:
    async with in_room((driver, driver), server.url, auth={"token": token()}) as (author, other):
        rows = shown(author)
        people = ordinary(list(rows.values()))[-5:]
        items = [{"lineupId": row["id"], "gbsNumber": 4_100} for row in people]
        own_id = str(uuid4())
        wanted = {"assignments": items, "commandId": own_id}
        answer = await author.ask("bulk-assign-gbs", wanted)
        assert answer["status"] == "OK", answer
        together = [row for row in answer["data"]["updatedLineups"] if row["gbsNumber"] == 4_100]
        assert [row["totalCount"] for row in together] == [5] * 5
        assert (await author.ask("bulk-assign-gbs", wanted))["revision"] == answer["revision"]
        undone = await author.ask("undo", {"commandId": own_id})
        assert undone["data"]["updatedCount"] == 5
        numbers = {row["id"]: row["gbsNumber"] for row in people}
        for page in (author, other):
            await page.until(partial(shows_numbers, page, numbers))
        listed = (await author.ask("gbslist", {}))["data"]["gbsList"]
        assert 4_100 not in {group["number"] for group in listed}
