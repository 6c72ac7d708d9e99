"""The bus by LISTEN and NOTIFY: with PostgreSQL alone."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Final

from gbs_actor.bus.channel import Channel, ChannelLost, Receive, Subscribe
from gbs_actor.store.postgres.connection import ConnectionLost, NotConnected, ServerRefused
from gbs_actor.store.postgres.notifications import Notifications, listening

CHANNEL: Final = "gbs_actor_bus"
"""Of a database: the others do not hear of it."""


def postgres_channel(dsn: str) -> Subscribe:
    """Return what subscribes to the channel of a database.

    :param dsn: the database's address, not that of a pooler of transactions; appears in no message.
    """
    return partial(_subscribed, dsn)


class _PostgresChannel:
    def __init__(self, notifications: Notifications) -> None:
        self._notifications = notifications

    async def publish(self, messages: Sequence[bytes]) -> None:
        await self._notifications.notify([message.decode() for message in messages])

    async def receive(self) -> None:
        await self._notifications.receive()


@asynccontextmanager
async def _subscribed(dsn: str, receive: Receive, deadline: float) -> AsyncIterator[Channel]:
    def received(payload: str) -> None:
        receive(payload.encode())

    try:
        async with listening(dsn, CHANNEL, received, deadline=deadline) as notifications:
            yield _PostgresChannel(notifications)
    except (NotConnected, ConnectionLost, ServerRefused) as error:
        raise ChannelLost(str(error)) from None
