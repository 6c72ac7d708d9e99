"""What happens to a connection when its token's time is over."""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import Final

import trio

from gbs_actor.auth import TokenSource
from gbs_actor.gateway import replies
from gbs_actor.gateway.connection import Connection
from gbs_actor.gateway.replies import Failure
from gbs_actor.lineup.codes import Code
from gbs_actor.socketio import Message

LEAST_PAUSE: Final = 0.1
"""Seconds between two looks at all connections, however close their deadlines are."""
LONGEST_PAUSE: Final = 60.0
"""Seconds after which the wall clock is asked again: it may have been set."""
RESTART: Final = 1012
"""WebSocket close code "service restart" (RFC 6455 §7.4 registry): clients come back."""

EXPIRED: Final = Failure.because(Code.TOKEN_EXPIRED, "Token expired")


class ExpiryWatch:
    """One task that looks after the tokens of every connection.

    Tells clients that authenticated by CONNECT payload or header when their token has
    expired, and ends connections whose time to renew it, or to read on, is over.

    :param namespace: name of the Socket.IO namespace.
    :param now: Unix time in seconds, the clock tokens are read with.
    """

    def __init__(self, namespace: str, now: Callable[[], float]) -> None:
        self._namespace = namespace
        self._now = now
        self._connections: set[Connection] = set()
        self._pause = trio.CancelScope()

    def watch(self, connection: Connection) -> None:
        """Begin to watch a connection, or take note of its new token."""
        self._connections.add(connection)
        due = self._due(connection)
        if due < inf:
            wake = trio.current_time() + max(due - self._now(), LEAST_PAUSE)
            self._pause.deadline = min(self._pause.deadline, wake)

    def forget(self, connection: Connection) -> None:
        """Stop watching a connection that has ended."""
        self._connections.discard(connection)

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Watch until cancelled."""
        task_status.started()
        while True:
            with trio.CancelScope() as self._pause:
                self._pause.deadline = trio.current_time() + self._look()
                await trio.sleep_forever()

    def _look(self) -> float:
        """Act on every connection whose time has come; return how long to pause."""
        now = self._now()
        for connection in [each for each in self._connections if self._due(each) <= now]:
            self._act(connection, now)
        soonest = min((self._due(each) for each in self._connections), default=inf)
        return min(max(soonest - now, LEAST_PAUSE), LONGEST_PAUSE)

    @staticmethod
    def _due(connection: Connection) -> float:
        credentials = connection.credentials
        by_cookie = connection.user.source is TokenSource.COOKIE
        when = (
            credentials.reads_until
            if connection.told_expired or by_cookie
            else credentials.expires_at
        )
        return inf if when is None else when

    def _act(self, connection: Connection, now: float) -> None:
        reads_until = connection.credentials.reads_until
        if reads_until is not None and now >= reads_until:
            self.forget(connection)
            self._end(connection)
            return
        connection.told_expired = True
        payload = replies.error_event(None, EXPIRED)
        connection.socket.deliver(Message.raw_event(self._namespace, "error", payload))

    @staticmethod
    def _end(connection: Connection) -> None:
        if connection.user.source is TokenSource.COOKIE:
            # The page cannot renew a cookie by itself, and a namespace disconnect would
            # leave it dead for good. It comes back with the cookie the browser has by
            # then: a newer one, or it learns TOKEN_EXPIRED as its connect_error.
            connection.socket.close_transport(RESTART, "token expired")
        else:
            connection.socket.disconnect()
