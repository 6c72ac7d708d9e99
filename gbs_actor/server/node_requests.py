"""Does what other servers on the store ask of this one, for operators."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, Protocol

import structlog
import trio

from gbs_actor.store.nodes import NodeRequest
from gbs_actor.store.protocol import CommitRefused, StoreError

AT_ONCE: Final = 8
"""Requests that are under way at the same time, at most; others wait in the store."""
LOOK_WITHIN: Final = 0.25
"""Seconds between two looks, at most: what is not taken within a few seconds is not done."""

_log = structlog.get_logger(__name__)

Serve = Callable[[bytes], Awaitable[bytes]]
"""Serves a request and returns the answer; may be called while another one is under way."""


class Inbox(Protocol):
    """Where requests come from: :class:`~gbs_actor.gateway.nodes.Nodes`."""

    async def take(self, limit: int) -> list[NodeRequest]:
        """Return requests, the oldest first; each is returned once."""
        ...

    async def answer(self, request: NodeRequest, answer: bytes) -> None:
        """Answer one of them."""
        ...


class NodeRequests:
    """Looks for requests again and again, and serves them.

    Without the store it goes on later: what nobody waits for any more is not done then.

    :param serve: must not raise.
    :param too_large: the answer in place of one that cannot be stored.
    :param interval: seconds between two looks.
    """

    def __init__(self, nodes: Inbox, serve: Serve, *, too_large: bytes, interval: float) -> None:
        self._nodes = nodes
        self._serve = serve
        self._too_large = too_large
        self._interval = interval
        self._under_way = 0

    async def run(self) -> None:
        """Serve until cancelled; what is under way is cancelled, too."""
        async with trio.open_nursery() as nursery:
            while True:
                began = trio.current_time()
                for request in await self._take():
                    # The time limit is counted from before the store was asked: never too long.
                    if trio.current_time() < began + request.timeout:
                        self._under_way += 1
                        nursery.start_soon(self._serve_one, request)
                await trio.sleep_until(began + self._interval)

    async def _take(self) -> list[NodeRequest]:
        free = AT_ONCE - self._under_way
        if free == 0:
            await trio.lowlevel.checkpoint()
            return []
        try:
            return await self._nodes.take(free)
        except StoreError:
            return []  # the status report says so, once

    async def _serve_one(self, request: NodeRequest) -> None:
        try:
            answer = await self._serve(request.request)
            try:
                await self._nodes.answer(request, answer)
            except CommitRefused:
                await self._nodes.answer(request, self._too_large)
        except StoreError as error:
            _log.warning("an answer to another server is lost", reason=str(error))
        finally:
            self._under_way -= 1
