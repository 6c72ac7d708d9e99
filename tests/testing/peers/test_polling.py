"""The peers' long-polling, against bytes."""

from __future__ import annotations

import pytest

from gbs_actor.testing.network import Address, SimStream, connection
from gbs_actor.testing.peers.polling import PollingTransport
from gbs_actor.testing.peers.transport import TransportClosed

OPEN = b'HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n0{"sid":"a"}'


async def test_a_server_that_is_gone_when_something_is_sent_ends_the_session() -> None:
    ours, theirs = connection(Address("198.18.0.1", 50_000), Address("198.51.100.1", 80))
    streams = iter([ours])

    async def dial() -> SimStream:
        try:
            return next(streams)
        except StopIteration:
            raise ConnectionRefusedError("no server is running") from None

    await theirs.send_all(OPEN)
    polling = await PollingTransport.open(dial, "/socket.io/", headers={})
    with pytest.raises(TransportClosed, match="no server is running"):
        await polling.send("40")
    with pytest.raises(TransportClosed, match="no server is running"):
        await polling.send("40")
