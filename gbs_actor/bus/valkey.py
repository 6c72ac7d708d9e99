"""The bus through Valkey or Redis: its publish/subscribe, by coredis.

A connection of RESP3 both subscribes and publishes. coredis puts what is pushed to it into a queue
without a bound, which is emptied here at once.
"""

from __future__ import annotations

import logging
import ssl
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Final
from urllib.parse import unquote, urlsplit

import trio
from anyio import ClosedResourceError, EndOfStream, WouldBlock
from coredis.connection import (
    BaseConnection,
    TCPConnection,
    TCPLocation,
    UnixDomainSocketConnection,
    UnixDomainSocketLocation,
)
from coredis.exceptions import RedisError

from gbs_actor.bus.channel import Channel, ChannelLost, Receive, Subscribe

DEFAULT_PORT: Final = 6379
_TLS: Final = frozenset({"rediss", "valkeys"})

# It logs each failed attempt with its traceback; the bus reports them by itself, once.
logging.getLogger("coredis").setLevel(logging.CRITICAL)


def valkey_channel(url: str, name: str) -> Subscribe:
    """Return what subscribes to a channel.

    :param url: as the setting ``bus_url`` accepts it; appears in no message. A number of a database
        in it has no effect: publish/subscribe is one for all of them.
    :param name: of the channel.
    """
    return partial(_subscribed, _connector(url), name.encode())


def _connector(url: str) -> Callable[[], BaseConnection]:
    """Return what makes a new connection, not connected yet."""
    parts = urlsplit(url)
    username = unquote(parts.username) if parts.username else None
    password = unquote(parts.password) if parts.password else None
    if parts.scheme == "unix":
        return lambda: UnixDomainSocketConnection(
            UnixDomainSocketLocation(unquote(parts.path)),
            username=username,
            password=password,
            client_name="gbs_actor",
        )
    location = TCPLocation(parts.hostname or "localhost", parts.port or DEFAULT_PORT)
    # Checks the server's name, which coredis's own contexts do not.
    context = ssl.create_default_context() if parts.scheme in _TLS else None
    return lambda: TCPConnection(
        location,
        username=username,
        password=password,
        client_name="gbs_actor",
        ssl_context=context,
    )


class _ValkeyChannel:
    def __init__(self, connection: BaseConnection, name: bytes) -> None:
        self._connection = connection
        self._name = name

    async def publish(self, messages: Sequence[bytes]) -> None:
        try:
            requests = [
                self._connection.create_request(b"PUBLISH", self._name, message)
                for message in messages
            ]
            for request in requests:
                await request
        except RedisError as error:
            raise ChannelLost(_reason(error)) from None

    async def receive(self) -> None:
        await trio.sleep_forever()  # _pass_on does


@asynccontextmanager
async def _subscribed(
    connector: Callable[[], BaseConnection], name: bytes, receive: Receive, deadline: float
) -> AsyncIterator[Channel]:
    connection = connector()
    async with trio.open_nursery() as nursery:
        try:
            with trio.fail_at(deadline):
                await nursery.start(connection.run)
                connection.send_command(b"SUBSCRIBE", name)
                # What is pushed confirms a subscription, but does not refuse one: an error would
                # be the response to this.
                await connection.create_request(b"PING")
        except trio.TooSlowError:
            raise ChannelLost("no answer in time") from None
        except RedisError as error:
            raise ChannelLost(_reason(error)) from None
        nursery.start_soon(_pass_on, connection, receive)
        yield _ValkeyChannel(connection, name)
        nursery.cancel_scope.cancel()


async def _pass_on(connection: BaseConnection, receive: Receive) -> None:
    """Pass on what is pushed, all of it at once, so that it does not pile up.

    :raises ChannelLost: the connection has ended.
    """
    pushed = connection._push_message_buffer_out
    try:
        while True:
            message = await pushed.receive()
            try:
                while True:
                    if message[0] == b"message" and isinstance(data := message[2], bytes):
                        receive(data)
                    message = pushed.receive_nowait()
            except WouldBlock:
                pass
    except (EndOfStream, ClosedResourceError):
        raise ChannelLost("the connection was closed") from None


def _reason(error: BaseException) -> str:
    """Return what went wrong: of errors that led to one another, the first."""
    while error.__cause__ is not None:
        error = error.__cause__
    return str(error) or type(error).__name__
