"""What happens to a connection when its token's time is over."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from typing import Final

import trio

from gbs_actor.auth import TokenSource
from gbs_actor.gateway import replies
from gbs_actor.gateway.connection import Connection
from gbs_actor.gateway.replies import Failure
from gbs_actor.lineup.codes import Code

LONGEST_PAUSE: Final = 60.0
"""Seconds after which the wall clock is asked again: it may have been set."""

EXPIRED: Final = Failure.because(Code.TOKEN_EXPIRED, "Token expired")


class _Due:
    """When a connection's token is next of interest; sorts by that."""

    __slots__ = ("connection", "when")

    def __init__(self, when: float, connection: Connection) -> None:
        self.when = when
        self.connection: Connection | None = connection
        """``None``: this is void, and must not keep a connection alive that has ended."""

    def __lt__(self, other: _Due) -> bool:
        return self.when < other.when


class ExpiryWatch:
    """One task that looks after the tokens of every connection.

    Tells clients that did not come with a cookie when their token has expired, and ends
    connections whose time to renew it, or to read on, is over.

    :param now: Unix time in seconds, the clock tokens are read with.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._due: dict[Connection, _Due] = {}
        self._queue: list[_Due] = []
        """A heap of the same, and of what is void."""
        self._pause = trio.CancelScope()

    def watch(self, connection: Connection) -> None:
        """Begin to watch a connection, or take note of its new token."""
        credentials = connection.credentials
        told = connection.told_expired or connection.user.source is TokenSource.COOKIE
        due = credentials.reads_until if told else credentials.expires_at
        if due is None:
            self.forget(connection)
            return
        former = self._due.get(connection)
        if former is not None and former.when == due:
            return
        self.forget(connection)
        entry = self._due[connection] = _Due(due, connection)
        if len(self._queue) > 2 * len(self._due) + 64:
            self._queue = list(self._due.values())
            heapq.heapify(self._queue)
        else:
            heapq.heappush(self._queue, entry)
        self._pause.deadline = min(self._pause.deadline, self._wake_at())

    def forget(self, connection: Connection) -> None:
        """Stop watching a connection that has ended."""
        entry = self._due.pop(connection, None)
        if entry is not None:
            entry.connection = None

    def __len__(self) -> int:
        """Return how many connections have a token that will expire."""
        return len(self._due)

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Watch until cancelled."""
        task_status.started()
        while True:
            self._act_on_due()
            with trio.CancelScope(deadline=self._wake_at()) as self._pause:
                await trio.sleep_forever()

    def _wake_at(self) -> float:
        """Return the Trio time at which the first entry of the queue is due."""
        pause = LONGEST_PAUSE
        if self._queue:
            pause = min(max(self._queue[0].when - self._now(), 0.0), LONGEST_PAUSE)
        return trio.current_time() + pause

    def _act_on_due(self) -> None:
        now = self._now()
        while self._queue and self._queue[0].when <= now:
            connection = heapq.heappop(self._queue).connection
            if connection is not None:
                self.forget(connection)
                self._act(connection, now)

    def _act(self, connection: Connection, now: float) -> None:
        reads_until = connection.credentials.reads_until
        if reads_until is not None and now >= reads_until:
            connection.peer.end_expired(connection.user.source)
            return
        connection.told_expired = True
        self.watch(connection)
        connection.peer.tell("error", replies.error_event(None, EXPIRED))
