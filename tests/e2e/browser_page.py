"""A page of a real browser, used as a person would use it; see ``node/pages.mjs``."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import trio

TIMEOUT = 30.0
"""Seconds for one step; the browser itself gives up sooner."""


class StepFailed(AssertionError):
    """What was asked for is not on the page."""


class BrowserPage:
    """One page, with a profile of its own. Places on it are Playwright's selectors."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self._stream = stream
        self._rest = b""
        self._number = 0

    async def step(self, operation: str, **arguments: object) -> Any:
        """Do one thing on the page, and wait until it is done.

        :raises StepFailed: it cannot be done.
        """
        self._number += 1
        command = {"id": self._number, "op": operation, **arguments}
        with trio.fail_after(TIMEOUT):
            await self._stream.send_all(json.dumps(command).encode() + b"\n")
            while b"\n" not in self._rest:
                received = await self._stream.receive_some()
                assert received, "the browser has ended"
                self._rest += received
        line, _, self._rest = self._rest.partition(b"\n")
        answer = json.loads(line)
        if "error" in answer:
            raise StepFailed(f"{operation} {arguments}: {answer['error']}")
        return answer.get("result")

    async def goto(self, url: str) -> dict[str, str]:
        """Open an address; return the headers of the response."""
        headers: dict[str, str] = await self.step("goto", url=url)
        return headers

    async def click(self, at: str) -> None:
        await self.step("click", at=at)

    async def fill(self, at: str, value: str) -> None:
        await self.step("fill", at=at, value=value)

    async def press(self, key: str) -> None:
        await self.step("press", key=key)

    async def type(self, text: str) -> None:
        """Press the keys of a text, where the focus is."""
        await self.step("type", text=text)

    async def compose(self, text: str) -> None:
        """Show what an input method has made of the letters so far; it is not final."""
        caret = {"selectionStart": len(text), "selectionEnd": len(text)}
        await self.cdp("Input.imeSetComposition", text=text, **caret)

    async def insert(self, text: str) -> None:
        """Enter a final text, as an input method does at the end of a composition."""
        await self.cdp("Input.insertText", text=text)

    async def cdp(self, method: str, **params: object) -> Any:
        """Call a method of the Chrome DevTools Protocol."""
        return await self.step("cdp", method=method, params=params)

    async def axe(self, at: str = "html") -> list[str]:
        """Return what axe finds inaccessible somewhere."""
        found: list[str] = await self.step("axe", at=at)
        return found

    async def see(self, at: str) -> None:
        """Wait until something is visible."""
        await self.step("see", at=at)

    async def miss(self, at: str) -> None:
        """Wait until something is not there any more."""
        await self.step("miss", at=at)

    async def until(self, expression: str) -> None:
        """Wait until an expression of JavaScript is true."""
        await self.step("until", expression=expression)

    async def evaluate(self, expression: str) -> Any:
        return await self.step("evaluate", expression=expression)

    async def text(self, at: str = "body") -> str:
        """Return what is to be read somewhere."""
        found: str = await self.evaluate(f"document.querySelector({json.dumps(at)}).innerText")
        return found

    async def screenshot(self, path: Path, *, whole: bool = False) -> None:
        await self.step("screenshot", path=str(path), whole=whole)

    async def problems(self) -> list[str]:
        """Return the errors and warnings since the last call, violations of the CSP included."""
        found: list[str] = await self.step("problems")
        return found

    async def stub(self, path: str, value: object, *, status: int = 200) -> None:
        """Answer requests for a path in place of the server, from now on."""
        await self.step("stub", path=path, value=value, status=status)

    async def stubbed(self) -> list[dict[str, Any]]:
        """Return the requests that were answered so since the last call."""
        sent: list[dict[str, Any]] = await self.step("stubbed")
        return sent

    async def requests(self) -> list[str]:
        """Return the requests since the last call, as ``GET http://…``."""
        sent: list[str] = await self.step("requests")
        return sent


@asynccontextmanager
async def browser_page(
    port: int,
    *,
    width: int = 1280,
    height: int = 860,
    scheme: str = "light",
    touch: bool = False,
    scale: int = 1,
) -> AsyncIterator[BrowserPage]:
    """Open a page for the time of a block.

    :param port: of the program that has the browser.
    :param scheme: the system's colours, ``light`` or ``dark``.
    :param touch: whether the screen is touched.
    :param scale: pixels of the screen for one of the page.
    """
    async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
        page = BrowserPage(stream)
        await page.step(
            "start", width=width, height=height, scheme=scheme, touch=touch, scale=scale
        )
        yield page
        await stream.send_eof()
        with trio.move_on_after(5):
            await stream.receive_some()
