"""The page ``grid_page``: the grid on it, served with a strict Content-Security-Policy."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

from gbs_actor.gateway.http.admin.dashboard import POLICY
from tests.e2e.browser_page import BrowserPage, browser_page
from tests.e2e.file_site import served_files

_PAGE: Final = Path(__file__).with_name("grid_page")
_STATIC: Final = Path(str(files("gbs_actor.web"))) / "static"
_FOLDERS: Final = {"shared": _STATIC / "shared", "grid": _STATIC / "lineup" / "grid"}
_CONTENT_TYPES: Final = {
    ".html": "text/html",
    ".js": "text/javascript",
    ".css": "text/css",
    ".svg": "image/svg+xml",
}


@contextmanager
def served_grid() -> Iterator[str]:
    """Serve the page for the time of a block; yield its origin."""

    def file_at(path: str) -> tuple[Path, str] | None:
        path = path.partition("?")[0].strip("/") or "index.html"
        folder, _, name = path.rpartition("/")
        file = _FOLDERS.get(folder, _PAGE) / name
        if not file.is_file() or file.suffix not in _CONTENT_TYPES:
            return None
        return file, f"{_CONTENT_TYPES[file.suffix]}; charset=utf-8"

    with served_files(file_at, {"Content-Security-Policy": POLICY}) as origin:
        yield origin


class GridPage:
    """The page, and what a test does with it."""

    def __init__(self, page: BrowserPage) -> None:
        self.browser = page

    async def call(self, method: str, *arguments: object) -> Any:
        """Call one of the methods of ``window.page``."""
        return await self.browser.evaluate(f"page.{method}(...{json.dumps(arguments)})")

    async def press(self, *keys: str) -> None:
        for key in keys:
            await self.browser.press(key)

    async def type(self, text: str) -> None:
        await self.browser.type(text)

    async def click(self, row: int, column: str, *, times: int = 1) -> None:
        """Click in the middle of a cell."""
        await self.point(row, column)
        for count in range(1, times + 1):
            await self.browser.step("mouse", does="down", count=count)
            await self.browser.step("mouse", does="up", count=count)

    async def point(self, row: int, column: str) -> None:
        """Move the mouse over a cell."""
        box = await self.call("box", row, column)
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        await self.browser.step("mouse", does="move", x=x, y=y)

    async def select(self, row: int, column: str) -> None:
        """Select a cell that may be out of view."""
        await self.call("grid.focusCell", row, column)
        await self.drawn()

    async def drawn(self) -> None:
        """Wait until the grid has drawn what was asked for."""
        await self.browser.evaluate(
            "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
        )

    async def selection(self) -> Any:
        """Return row and column of the active cell, and rows and columns of the range."""
        await self.drawn()
        return await self.call("selection")

    async def events(self, *kinds: str) -> list[list[Any]]:
        """Return what the grid has reported of some kinds, and forget the rest."""
        found: list[list[Any]] = await self.call("events", *kinds)
        return found

    async def text(self, row: int, column: str) -> str | None:
        await self.drawn()
        found: str | None = await self.call("text", row, column)
        return found

    async def editor(self) -> str | None:
        """Return the text in the editor; ``None``: it is closed."""
        found: str | None = await self.browser.evaluate(
            "document.querySelector('.grid-editor.open textarea')?.value ?? null"
        )
        return found


@asynccontextmanager
async def grid_page(
    port: int, origin: str, query: str = "", **options: Any
) -> AsyncIterator[GridPage]:
    """Open the page for the time of a block, and look that nothing went wrong on it.

    :param port: of the program that has the browser.
    :param query: ``rows=N``, ``readonly``, ``closed`` (no cell can be edited), ``panel``,
        ``render``, ``sorted`` (a changed row goes to its place at once).
    """
    async with browser_page(port, **options) as browser:
        await browser.goto(f"{origin}/?{query}")
        page = GridPage(browser)
        await browser.until("window.page !== undefined")
        await page.drawn()
        yield page
        assert await browser.problems() == []
