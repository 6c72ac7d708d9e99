"""Operator events as a response that goes on: server-sent events (HTML Living Standard §9.2)."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Final, Self

import msgspec
import trio
from quart.wrappers.response import ResponseBody

from gbs_actor.gateway.http.admin.event_query import EventQuery
from gbs_actor.observability import EventPage, OperatorEvent, OperatorEvents

HEARTBEAT: Final = 15.0
"""Seconds without an event after which a comment is sent, so that no proxy ends the stream."""

_PAGE: Final = 100
_RETRY: Final = b"retry: 2000\n\n"
_COMMENT: Final = b":\n\n"


class Gap(msgspec.Struct, frozen=True):
    """What a reader that comes back cannot be sent any more; an event of the type ``gap``."""

    run: str
    missed: int | None
    """null: the server has been restarted since, so nobody knows."""


class EventStream(ResponseBody):
    """Sends events as they happen.

    It keeps none: a reader that is too slow is told how many it has missed. It ends when the
    reader may no longer see them, and when the server shuts down.

    :param query: without a number, only what happens from now on is sent.
    :param seconds_left: for how long the reader may see events.
    :param draining: whether the server is shutting down.
    """

    def __init__(
        self,
        events: OperatorEvents,
        query: EventQuery,
        *,
        seconds_left: Callable[[], float],
        draining: Callable[[], bool],
    ) -> None:
        self._events = events
        self._wanted = query.wanted
        self._seconds_left = seconds_left
        self._draining = draining
        after = query.after_in(events.run_id)
        self._last = events.last if after is None else after
        self._greeting = _RETRY
        if query.run not in (None, events.run_id):
            self._greeting += _encoded("gap", Gap(events.run_id, None))

    async def __aenter__(self) -> Self:
        """Begin; starts no task."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End; there is nothing to release."""

    def __aiter__(self) -> Self:
        """Return the stream itself."""
        return self

    async def __anext__(self) -> bytes:
        """Wait for what is to be sent next: events, or a comment after :data:`HEARTBEAT`.

        Cancellation loses nothing.
        """
        greeting, self._greeting = self._greeting, b""
        if greeting:
            return greeting
        while (left := self._seconds_left()) > 0:
            page = self._events.after(self._last, self._wanted, _PAGE)
            self._last = page.last
            if page.events or page.missed:
                return _shown(page)
            if self._draining():
                break
            with trio.move_on_after(min(left, HEARTBEAT)) as silence:
                await self._events.wait(self._last)
            if silence.cancelled_caught and left > HEARTBEAT:
                return _COMMENT
        raise StopAsyncIteration


def _shown(page: EventPage) -> bytes:
    gap = _encoded("gap", Gap(page.run, page.missed)) if page.missed else b""
    return gap + b"".join(
        b"id: %s-%d\n" % (page.run.encode(), event.number) + _data(event) for event in page.events
    )


def _encoded(kind: str, value: Gap) -> bytes:
    return b"event: %s\n" % kind.encode() + _data(value)


def _data(value: Gap | OperatorEvent) -> bytes:
    return b"data: %s\n\n" % msgspec.json.encode(value)  # JSON of one line
