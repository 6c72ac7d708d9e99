"""How long the page takes to show the list and edits, and whether it scrolls smoothly."""

from __future__ import annotations

from typing import Final

from scripts.bench.page.figures import MILLISECONDS, Figures
from scripts.bench.page.window import EDITED, LARGE, PEOPLE, SMALL, call, others_edit, window
from tests.e2e.lineup_page import LIVE, LineupPage, in_view, rows_of
from tests.e2e.server_process import ServerProcess

LOADS: Final = 10
STEPS: Final = {
    "html": "HTML loaded",
    "scripts": "scripts loaded",
    "firstPaint": "first paint",
    "details": "retreat's details loaded",
    "listReceived": "list received",
    "listShown": "list shown",
}
EDITS: Final = 150
MEMO: Final = "lineupMemo"
SCROLL: Final = (8_000, 48)
"""Milliseconds, and pixels per frame."""
PER_SECOND: Final = 20


async def measure_loads(pages: int, server: ServerProcess, figures: Figures) -> None:
    """Load the page with an empty cache, for lists of both sizes, and then once more."""
    for people, retreat in ((80, SMALL), (PEOPLE, LARGE)):
        loads, heaps, again = [], [], []
        for _ in range(LOADS):
            async with window(pages, server, retreat) as page:
                loads.append(await call(page, "loaded"))
                heaps.append(await _heap(page))
                await page.browser.goto(f"{server.url}/retreats/{retreat}")
                await page.see(LIVE)
                again.append((await call(page, "loaded"))["listShown"])
        where = f"{people:,} people"
        for key, title in STEPS.items():
            figures.add(f"{where}: {title}", MILLISECONDS, [load[key] for load in loads])
        figures.add(f"{where}: list shown again, files cached", MILLISECONDS, again)
        figures.add(f"{where}: JavaScript heap", "MB", heaps)
    figures.add("files of the page", "", [loads[0]["requests"]])
    figures.add("files of the page", "kB", [loads[0]["bytes"] / 1e3])


async def _heap(page: LineupPage) -> float:
    await page.browser.cdp("HeapProfiler.enable")
    await page.browser.cdp("HeapProfiler.collectGarbage")
    usage = await page.browser.cdp("Runtime.getHeapUsage")
    return float(usage["usedSize"]) / 1e6


async def measure_edits(pages: int, server: ServerProcess, figures: Figures) -> None:
    """From the key that commits an edit to the frames that show it, in two people's windows."""
    people = in_view(rows_of(server, EDITED))[:8]
    own, frames, others = [], [], []
    async with (
        window(pages, server, EDITED, user_id=11, name="김하늘") as author,
        window(pages, server, EDITED, user_id=12, name="이바다") as other,
    ):
        for number in range(EDITS):
            person, text = people[number % len(people)], f"memo {number}"
            await author.begin(person, MEMO, text)
            for page in (author, other):
                await call(page, "watch", person["phoneNumber"], MEMO, text)
            await author.press("Enter")
            seen, seen_by_other = await call(author, "watched"), await call(other, "watched")
            own.append(seen["shown"] - seen["pressed"])
            frames.append(seen["frames"])
            others.append(seen_by_other["shown"] - seen["pressed"])
    figures.add("edit, to its author's screen", MILLISECONDS, own)
    figures.add("edit, to its author's screen", "frames", frames)
    figures.add("edit, to another's screen", MILLISECONDS, others)


async def measure_frames(pages: int, server: ServerProcess, figures: Figures) -> None:
    """Times between frames while somebody scrolls: without edits, and with those of others."""
    async with window(pages, server, EDITED) as page:
        quiet = await call(page, "scroll", *SCROLL)
        async with others_edit(server, PER_SECOND):
            busy = await call(page, "scroll", *SCROLL)
    for title, found in (("no edits", quiet), (f"{PER_SECOND} edits/s", busy)):
        figures.add(f"scrolling, {title}: frames", MILLISECONDS, found["times"])
        figures.add(f"scrolling, {title}: long tasks", "", [len(found["longTasks"])])
