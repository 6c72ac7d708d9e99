"""A window with the page, and others who edit."""

from __future__ import annotations

import http.client
import json
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any, Final

import trio

from tests.e2e.browser_page import BrowserPage
from tests.e2e.lineup_page import LineupPage, lineup_page, rows_of
from tests.e2e.server_process import RETREAT, ServerProcess, token

SMALL: Final = RETREAT
"""80 people, as in every demo."""
LARGE: Final = "bench-large"
EDITED: Final = "bench-edited"
"""As large, and others edit it."""
PEOPLE: Final = 1000
_SCRIPT: Final = Path(__file__).with_suffix(".js").read_text()


@asynccontextmanager
async def window(
    pages: int,
    server: ServerProcess,
    retreat: str,
    *,
    single_rows: bool = False,
    **options: Any,
) -> AsyncIterator[LineupPage]:
    """Open the page for the time of a block, with nothing in its cache.

    :param single_rows: whether the page gets updates row by row, as older clients do.
    :param options: see :func:`~tests.e2e.lineup_page.lineup_page`.
    """

    async def prepare(page: BrowserPage) -> None:
        await page.cdp("Page.enable")
        source = f"window.singleRows = {json.dumps(single_rows)};\n{_SCRIPT}"
        await page.cdp("Page.addScriptToEvaluateOnNewDocument", source=source)

    async with lineup_page(pages, server, retreat=retreat, before=prepare, **options) as page:
        yield page


async def call(page: LineupPage, function: str, *arguments: object) -> Any:
    """Call a function of the measuring script."""
    return await page.browser.evaluate(f"bench.{function}(...{json.dumps(arguments)})")


@asynccontextmanager
async def others_edit(server: ServerProcess, per_second: float) -> AsyncIterator[None]:
    """Move somebody to another group now and then, over HTTP, for the time of a block."""
    ids = [row["id"] for row in rows_of(server, EDITED) if not row["isLeader"]]
    path = f"/api/v1/retreat/{EDITED}/line-up/user-lineups"
    headers = {"Authorization": f"Bearer {token(90, '이서준')}", "Content-Type": "application/json"}
    choice = random.Random(14)

    def edit(connection: http.client.HTTPConnection) -> None:
        body = json.dumps({"gbsNumber": choice.randint(1, PEOPLE // 8)})
        connection.request("PUT", f"{path}/{choice.choice(ids)}", body, headers)
        response = connection.getresponse()
        answer = response.read()
        assert response.status == 200, answer

    async def keep_editing(connection: http.client.HTTPConnection) -> None:
        next_at = trio.current_time()
        while True:
            await trio.to_thread.run_sync(edit, connection)
            next_at += 1 / per_second
            await trio.sleep_until(next_at)

    with closing(http.client.HTTPConnection(server.host, server.port, timeout=10)) as connection:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(keep_editing, connection)
            yield
            nursery.cancel_scope.cancel()
