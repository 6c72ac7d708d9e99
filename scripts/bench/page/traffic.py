"""Bytes per minute, both ways, with all headers; beside those of a page that polls the list."""

from __future__ import annotations

import gzip
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Final

import trio

from scripts.bench.page.figures import Figures
from scripts.bench.page.window import EDITED, LARGE, PEOPLE, SMALL, call, others_edit, window
from tests.e2e.lineup_page import LineupPage
from tests.e2e.relay import Relay, relay_to
from tests.e2e.server_process import ServerProcess

MINUTE: Final = 60.0
BETWEEN_POLLS: Final = 2.0
"""Seconds."""
POLLS: Final = 5
UNIT: Final = "kB/min"


async def measure(pages: int, server: ServerProcess, figures: Figures) -> None:
    """Measure windows side by side for a minute, then what one poll takes."""
    async with AsyncExitStack() as stack:

        async def opened(retreat: str, *, single_rows: bool = False) -> tuple[Relay, LineupPage]:
            relay = await stack.enter_async_context(relay_to(server))
            reached = replace(server, port=relay.port)
            entered = window(pages, reached, retreat, single_rows=single_rows)
            return relay, await stack.enter_async_context(entered)

        small, large, batch, single = (
            await opened(SMALL),
            await opened(LARGE),
            await opened(EDITED),
            await opened(EDITED, single_rows=True),
        )
        async with others_edit(server, 1):
            begun = [relay.passed for relay, _ in (large, batch, single)]
            await trio.sleep(MINUTE)
            ended = [relay.passed for relay, _ in (large, batch, single)]
        titles = ("nothing happens", "1 edit/s", "1 edit/s, row by row")
        for title, before, after in zip(titles, begun, ended, strict=True):
            figures.add(f"traffic, {PEOPLE:,} people: {title}", UNIT, [(after - before) / 1e3])
        for people, retreat, opened_one in ((80, SMALL, small), (PEOPLE, LARGE, large)):
            path = f"/api/v1/retreat/{retreat}/line-up/user-lineups"
            where = f"polling every {BETWEEN_POLLS:.0f} s, {people:,} people"
            for title, kilobytes in (await _polls(*opened_one, path)).items():
                figures.add(f"{where}: {title}", UNIT, [kilobytes * MINUTE / BETWEEN_POLLS])


async def _polls(relay: Relay, page: LineupPage, path: str) -> dict[str, float]:
    """Return the kilobytes of one poll of each kind."""
    list_ = await call(page, "poll", path, "default")  # it is in the browser's cache from now on
    kilobytes = {}
    for title, cache in (("whole lists", "no-store"), ("unchanged, with its ETag", "default")):
        before = relay.passed
        for _ in range(POLLS):
            await call(page, "poll", path, cache)
        kilobytes[title] = (relay.passed - before) / POLLS / 1e3
    body = list_.encode()
    spared = (len(body) - len(gzip.compress(body))) / 1e3
    return kilobytes | {"whole lists, if gzipped": kilobytes["whole lists"] - spared}
