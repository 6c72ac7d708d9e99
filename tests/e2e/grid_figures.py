"""Measures the grid in Chromium: ``python -m pytest tests/e2e/grid_figures.py -s``.

No test: the times are those of one machine. ``pytest`` gives it the browser.
"""

from __future__ import annotations

import json
import statistics
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.grid import GridPage, grid_page, served_grid

pytestmark = [pytest.mark.node, pytest.mark.browser]

_FUNCTIONS = Path(__file__).with_suffix(".js").read_text()


async def measure(page: GridPage, function: str, *arguments: object) -> Any:
    return await page.browser.evaluate(f"({_FUNCTIONS}).{function}(...{json.dumps(arguments)})")


def report(line: str) -> None:
    sys.stdout.write(f"{line}\n")


def shares(times: list[float]) -> str:
    """Return what half, most and all of some milliseconds are below."""
    ordered = sorted(times)
    at = [ordered[min(len(ordered) - 1, int(len(ordered) * share))] for share in (0.5, 0.95, 0.99)]
    return " ".join(f"{value:.1f}" for value in (*at, ordered[-1]))


async def test_figures(pages: int) -> None:
    with served_grid() as origin:
        async with grid_page(pages, origin, "rows=2000") as page:
            for count in (80, 1000, 2000):
                times = [await measure(page, "render", count) for _ in range(10)]
                report(f"render {count} rows: {statistics.median(times):.1f} ms")
            edits = [await measure(page, "edit", row % 15) for row in range(40)]
            assert all(edit["shown"] for edit in edits)
            report(f"edit, in the key's event: {shares([edit['called'] for edit in edits])} ms")
            report(f"edit to the end of its frame: {shares([edit['frame'] for edit in edits])} ms")
            for pixels in (0, 48, 480):
                found = await measure(page, "frames", 6000, 20, pixels)
                report(f"20 updates/s, scroll by {pixels} px: frames {shares(found['frames'])} ms")
                report(f"  update: {shares(found['spent'])} ms")
            await page.browser.cdp("HeapProfiler.enable")
            await page.browser.cdp("HeapProfiler.collectGarbage")
            await page.browser.cdp("Performance.enable")
            metrics = (await page.browser.cdp("Performance.getMetrics"))["metrics"]
            kept = {metric["name"]: metric["value"] for metric in metrics}
            report(f"heap {kept['JSHeapUsedSize'] / 1e6:.1f} MB, {kept['Nodes']:.0f} nodes")
