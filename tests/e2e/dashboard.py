"""The dashboard as an operator uses it: what they open, click and read."""

from __future__ import annotations

import json
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final, Protocol, TypeVar

import trio

from tests.e2e.browser_page import BrowserPage
from tests.e2e.server_process import OPERATOR, token

SHOTS: Final = os.environ.get("DASHBOARD_SHOTS")
"""A folder for pictures, if somebody wants to look at them."""
SIZES: Final = {"desk": (1280, 860), "phone": (390, 844)}
BETWEEN_LOOKS: Final = 0.1
TIMEOUT: Final = 30.0
"""Seconds within which a view must show what the server has; it polls every two to ten."""

_READERS: Final = Path(__file__).with_name("dashboard.js").read_text()

ReadT = TypeVar("ReadT")


class Site(Protocol):
    """A server, or the proxy in front of some."""

    @property
    def url(self) -> str:
        """Where browsers find it."""
        ...


async def log_in(page: BrowserPage, server: Site, **claims: object) -> None:
    """Open the dashboard as an operator, and forget what a page without a session is told."""
    await page.goto(f"{server.url}/admin/")
    await page.see("#token")
    refused = await page.problems()
    assert all("401" in each and "/admin/session" in each for each in refused), refused
    await page.fill("#token", token(**{**OPERATOR, **claims}))  # type: ignore[arg-type]
    await page.press("Enter")
    await page.see("nav a[aria-current]")


async def show(page: BrowserPage, server: Site, view: str) -> None:
    """Open a view; return when it has its data."""
    await page.goto(f"{server.url}/admin/#/{view}")
    await page.see("main h1")
    await page.until("!document.querySelector('main').innerText.includes('불러오는')")


async def act(page: BrowserPage, label: str, reason: str, **fields: str) -> str:
    """Click an action, give a reason, look at what it would do, and do it.

    :param fields: what else the dialog asks for, by type of the field.
    :returns: what the page says was done.
    """
    await page.click(f".actions button:text-is('{label}')")
    await page.see("dialog[open]")
    for kind, value in fields.items():
        await page.fill(f"dialog input[type={kind}]", value)
    await page.fill("dialog input[maxlength]", reason)
    await page.click("dialog button[type=submit]")
    await page.see("dialog .preview q")
    await page.click("dialog button[type=submit]")
    await page.miss("dialog")
    await page.see(".announcement")
    return await page.text(".announcement")


async def until_read(
    read: Callable[[], Awaitable[ReadT]], expected: Callable[[ReadT], bool]
) -> ReadT:
    """Read something on a page again and again, until it is as expected or time is up.

    :returns: what was read last.
    """
    with trio.move_on_after(TIMEOUT):
        # A page notifies nobody who would be sure to hear of it.
        while not expected(await read()):  # noqa: ASYNC110
            await trio.sleep(BETWEEN_LOOKS)
    return await read()


async def table(page: BrowserPage, caption: str) -> list[dict[str, str]]:
    """Return the rows of a table: the texts of their cells by the labels of the columns."""
    return await _read(page, "table", caption)  # type: ignore[no-any-return]


async def facts(page: BrowserPage) -> dict[str, dict[str, str]]:
    """Return names and values, by the heading of the part that shows them."""
    return await _read(page, "facts")  # type: ignore[no-any-return]


async def tiles(page: BrowserPage) -> dict[str, tuple[str, str]]:
    """Return the overview's figures: what is shown large, and what in small; by their labels."""
    read = await _read(page, "tiles")
    return {label: (value, detail) for label, value, detail in read}


async def events(page: BrowserPage) -> list[dict[str, Any]]:
    """Return the events that are shown, the newest first."""
    return await _read(page, "events")  # type: ignore[no-any-return]


async def _read(page: BrowserPage, reader: str, *arguments: str) -> Any:
    return await page.evaluate(f"({_READERS}).{reader}(...{json.dumps(arguments)})")


def number(text: str) -> int:
    """Return a whole number as the page writes it."""
    return int(text.replace(",", ""))


async def picture(page: BrowserPage, name: str, *, whole: bool = True) -> None:
    """Take pictures of a view, light and dark, wide and narrow, if somebody wants them.

    :param whole: also of what would have to be scrolled to.
    """
    if SHOTS is None:
        return
    for size, (width, height) in SIZES.items():
        await page.step("resize", width=width, height=height)
        for scheme, switch in (("dark", "어두운 화면으로"), ("light", "밝은 화면으로")):
            await page.click(f"button[aria-label='{switch}']")
            await page.screenshot(Path(SHOTS) / f"{name}-{size}-{scheme}.png", whole=whole)
    width, height = SIZES["desk"]
    await page.step("resize", width=width, height=height)
