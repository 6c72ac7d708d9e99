"""LISTEN and NOTIFY, on a connection of its own."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Final

from gbs_actor.store.postgres.connection import DbConnection, connect

_SETTINGS: Final = {
    "application_name": "gbs_actor bus",
    # A NOTIFY waits for no disk: it need not outlive a crash of the server. While it commits, no
    # other NOTIFY of the cluster does.
    "synchronous_commit": "off",
    # A role or a database may have its own.
    "statement_timeout": "0",
    "idle_session_timeout": "0",
    # So that the server notices when this process has vanished: what a session that listens does
    # not read stays in the queue of the whole cluster.
    "tcp_keepalives_idle": "10",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": "20000",
}
_NOTIFY: Final = "SELECT pg_notify($1, payload) FROM unnest($2::text[]) AS payload"


class Notifications:
    """A session that listens to a channel and notifies it; made by :func:`listening`.

    One task may use it, for one call at a time.
    """

    def __init__(self, connection: DbConnection, channel: str) -> None:
        self._connection = connection
        self._channel = channel

    async def notify(self, payloads: Sequence[str]) -> None:
        """Notify all sessions that listen, this one too, once for each payload, in order.

        :param payloads: each of less than 8,000 bytes, and no two equal.
        :raises ConnectionLost: the connection has ended; cancellation ends it, too.
        :raises ServerRefused: none was sent.
        """
        await self._connection.fetch(_NOTIFY, self._channel, payloads, deadline=math.inf)

    async def receive(self) -> None:
        """Pass on what arrives, until cancelled, which has no other effect.

        :raises ConnectionLost: the connection has ended.
        """
        while True:
            await self._connection.receive()


@asynccontextmanager
async def listening(
    dsn: str, channel: str, received: Callable[[str], None], *, deadline: float
) -> AsyncIterator[Notifications]:
    """Listen to a channel within the block.

    :param received: called with the payload of each notification, while one of the session's
        methods runs; must not raise.
    :param deadline: for the beginning, in Trio's time.
    :raises NotConnected: there is no connection in time; the reason contains no password.
    :raises ConnectionLost: it was lost.
    :raises ServerRefused: the server refuses, as a standby does.
    """
    connection = await connect(dsn, deadline=deadline, settings=_SETTINGS)
    try:
        await connection.prepare(_NOTIFY, deadline=deadline)
        await connection.listen(channel, received, deadline=deadline)
        yield Notifications(connection, channel)
    finally:
        connection.terminate()
