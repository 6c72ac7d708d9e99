"""One client's connection, carried by a WebSocket or by polls, in the same words."""

from __future__ import annotations

import json
from typing import Any, Literal

from tests.socketio.peer import Close, Peer
from tests.socketio.polls import WEBSOCKET, Exchange, Polls, Site

Carrier = Literal["websocket", "polling"]


class Line:
    """A connection that can be cut."""

    def __init__(self, carrier: Peer | Polls) -> None:
        self.carrier = carrier
        self._get: Exchange | None = None

    @classmethod
    async def open(cls, site: Site, carrier: Carrier) -> Line:
        """Open an Engine.IO session."""
        if carrier == "polling":
            return cls(await site.polls())
        peer = await site.dial(WEBSOCKET)
        assert (await peer.receive_text())[0] == "0"
        return cls(peer)

    async def say(self, packet: str) -> None:
        """Send a packet."""
        await self.carrier.send(packet)

    async def hear(self) -> str:
        """Return the next packet."""
        if isinstance(self.carrier, Peer):
            return await self.carrier.receive_text()
        return await self.carrier.receive()

    async def event(self) -> list[Any]:
        """Return name and arguments of the next packet, which has to be an event."""
        text = await self.hear()
        assert text.startswith("42"), text
        decoded: list[Any] = json.loads(text[text.index("[") :])
        return decoded

    async def connect(self, auth: dict[str, Any] | None = None) -> dict[str, Any]:
        """Join ``/``; return what CONNECT is answered with."""
        await self.say("40" + ("" if auth is None else json.dumps(auth)))
        text = await self.hear()
        assert text.startswith("40"), text
        answer: dict[str, Any] = json.loads(text[2:])
        return answer

    async def cut(self) -> None:
        """End the connection without a word."""
        if isinstance(self.carrier, Peer):
            await self.carrier.stream.aclose()
        else:
            exchange = self.carrier.ask()
            exchange.leave()
            await exchange.ended.wait()

    async def closed(self) -> None:
        """Return once the server has closed it; fails where it leaves the namespace first."""
        while True:
            if isinstance(self.carrier, Peer):
                received = await self.carrier.receive()
                if isinstance(received, Close):
                    return
            else:
                received = await self.carrier.receive()
                if received == "1":
                    return
            assert received != "41"
