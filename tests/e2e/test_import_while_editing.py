"""A sheet of 1,000 people is imported while 50 people edit: every edit counts, or is listed."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import httpx
import openpyxl
import pytest
import trio

from gbs_actor.client import Client, connect
from tests.e2e.server_process import ServerProcess, running_server, token

PEOPLE, EDITORS = 1_000, 50
SLUG = "large"
LINE_UP = f"/api/v1/retreat/{SLUG}/line-up"
LEADER, NUMBER, CURRENT_LEADER = 5, 7, 14
"""Columns of an export, from 1."""
NEW_LEADER = "새 리더"


@pytest.fixture
def server() -> Iterator[ServerProcess]:
    with running_server(retreats=[SLUG], people=PEOPLE, on_disk=True) as running:
        yield running


@dataclass
class Edit:
    revision: int
    person: int
    number: int
    author: str


@dataclass
class Editors:
    """People at the page, each of whom has others of the list to assign."""

    clients: list[Client]
    done: list[Edit] = field(default_factory=list)
    numbers: Iterator[int] = field(default_factory=lambda: count(5_000))
    """A new one for each edit, so that the number says which edit it is of."""

    async def edit(self, times: int) -> None:
        """Let each of them edit, one edit behind the other."""
        async with trio.open_nursery() as nursery:
            for place, client in enumerate(self.clients):
                nursery.start_soon(self._edit, place, client, times)

    async def _edit(self, place: int, client: Client, times: int) -> None:
        people = [row.id for row in client.rows if not row.is_leader][place::EDITORS]
        for _ in range(times):
            number = next(self.numbers)
            row = await client.assign(people[number % len(people)], number)
            self.done.append(Edit(row.revision, row.id, number, f"편집{place}"))


def everybody_moved(export: bytes) -> tuple[bytes, dict[int, int]]:
    """Return the sheet with another leader for all, and another group for who leads none.

    :returns: the groups as well, by person.
    """
    workbook = openpyxl.load_workbook(io.BytesIO(export))
    sheet = workbook.worksheets[0]
    numbers: dict[int, int] = {}
    for row in range(2, sheet.max_row + 1):
        sheet.cell(row, CURRENT_LEADER).value = NEW_LEADER
        if sheet.cell(row, LEADER).value != "O":
            id_ = int(sheet.cell(row, 1).value)
            sheet.cell(row, NUMBER).value = numbers[id_] = 3_000 + id_ % 150
    output = io.BytesIO()
    workbook.save(output)
    return output.getvalue(), numbers


async def test_every_edit_counts_and_every_conflict_is_listed(server: ServerProcess) -> None:
    headers = {"Authorization": f"Bearer {token(90, '박간사')}"}
    async with AsyncExitStack() as stack:
        http = httpx.AsyncClient(base_url=server.url + LINE_UP, headers=headers, timeout=60)
        await stack.enter_async_context(http)
        editors = Editors([])
        for place in range(EDITORS):
            bearer = token(1_000 + place, f"편집{place}")
            client = await stack.enter_async_context(connect(server.url, bearer))
            await client.join(SLUG)
            editors.clients.append(client)

        async def answer(method: str, path: str, **content: Any) -> Any:
            response = await http.request(method, path, **content)
            assert response.status_code == 200, response.text[:2_000]
            return response.json()

        export = (await http.get("/export.xlsx")).content
        exported_at = (await answer("GET", "/user-lineups"))["revision"]
        await editors.edit(1)  # conflicts for certain
        sheet, numbers = everybody_moved(export)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(editors.edit, 2)
            preview = await answer("POST", "/imports", content=sheet)
        assert preview["blocks"] == preview["warnings"] == []
        path = f"/imports/{preview['importId']}/apply"
        async with trio.open_nursery() as nursery:
            nursery.start_soon(editors.edit, 3)
            result = await answer("POST", path, json={"onConflict": "skip"})
        await editors.edit(1)
        assert (await answer("POST", path, json={}))["revision"] == result["revision"]

        edits = sorted(editors.done, key=lambda edit: edit.revision)
        assert len({edit.revision for edit in edits}) == 7 * EDITORS
        meanwhile = {
            edit.person: edit for edit in edits if exported_at < edit.revision < result["revision"]
        }
        assert len(meanwhile) >= EDITORS
        listed = {
            each["registrationId"]: (each["field"], each["theirs"], each["changedBy"])
            for each in result["conflicts"]
        }
        assert listed == {
            person: ("gbsNumber", edit.number, edit.author) for person, edit in meanwhile.items()
        }
        assert result["skipped"] == []
        assert result["updatedCount"] == PEOPLE - len(meanwhile)

        final = await answer("GET", "/user-lineups")
        rows = {row["id"]: row for row in final["userRetreatGbsLineups"]}
        expected = numbers | {edit.person: edit.number for edit in edits}
        assert {person: rows[person]["gbsNumber"] for person in expected} == expected
        kept = {person for person, row in rows.items() if row["currentLeader"] != NEW_LEADER}
        assert kept == set(meanwhile)
        with trio.fail_after(30):
            for client in editors.clients:
                await client.until(lambda client: client.revision >= final["revision"])
                assert {row.id: row.gbs_number for row in client.rows} == {
                    person: row["gbsNumber"] for person, row in rows.items()
                }
