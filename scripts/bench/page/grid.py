"""The grid alone, with 2,000 rows: it is in a page of its own, without a server."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from scripts.bench.page.figures import MILLISECONDS, Figures
from tests.e2e.grid import GridPage, grid_page, served_grid
from tests.e2e.server_process import ServerProcess

_FUNCTIONS: Final = Path(__file__).with_suffix(".js").read_text()
ROWS: Final = 2000


async def measure(pages: int, server: ServerProcess, figures: Figures) -> None:
    """Draw rows, edit, and scroll while rows change."""
    with served_grid() as origin:
        async with grid_page(pages, origin, f"rows={ROWS}") as page:
            for count in (80, 1000, ROWS):
                times = [await _call(page, "render", count) for _ in range(10)]
                figures.add(f"grid: {count:,} rows drawn", MILLISECONDS, times)
            edits = [await _call(page, "edit", row % 15) for row in range(40)]
            assert all(edit["shown"] for edit in edits)
            figures.add(
                "grid: edit, in the key's event", MILLISECONDS, [e["called"] for e in edits]
            )
            figures.add("grid: edit, to its frame's end", MILLISECONDS, [e["frame"] for e in edits])
            for pixels in (0, 48, 480):
                found = await _call(page, "frames", 6000, 20, pixels)
                title = f"grid: 20 updates/s, scrolled by {pixels} px a frame"
                figures.add(f"{title}: frames", MILLISECONDS, found["frames"])
                figures.add(f"{title}: update", MILLISECONDS, found["spent"])


async def _call(page: GridPage, function: str, *arguments: object) -> Any:
    return await page.browser.evaluate(f"({_FUNCTIONS}).{function}(...{json.dumps(arguments)})")
