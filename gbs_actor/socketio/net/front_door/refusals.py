"""Connections that are refused, as a limit of connections is reached."""

from __future__ import annotations

from typing import Final

import trio

from gbs_actor.socketio.net.connection_limit import ConnectionLimitReached
from gbs_actor.socketio.net.front_door.first_request import FirstRequestReader
from gbs_actor.socketio.net.front_door.turns import Turns
from gbs_actor.socketio.net.http_response import HttpResponse

_MAX_REFUSING: Final = 100
"""Refused connections that get a response; further ones are closed without one."""

_TOO_MANY: Final = HttpResponse(
    503,
    b'{"code":"SERVICE_UNAVAILABLE",'
    b'"message":"The server has as many connections as it takes; try again shortly."}',
    headers=(("Retry-After", "1"),),
)
_TOO_MANY_OF_ADDRESS: Final = HttpResponse(
    503,
    b'{"code":"SERVICE_UNAVAILABLE",'
    b'"message":"There are as many connections from this address as there may be."}',
    headers=(("Retry-After", "1"),),
)


class Refusals:
    """Refuses connections, in turn like the others."""

    def __init__(self, turns: Turns, reader: FirstRequestReader) -> None:
        self._turns = turns
        self._reader = reader
        self._refusing = 0
        self.refused = 0
        """Connections so far."""

    async def refuse(
        self,
        stream: trio.abc.HalfCloseableStream,
        peer: str | None,
        full: ConnectionLimitReached,
    ) -> bool:
        """Respond to the first request, unless too many are refused at this time.

        :param peer: IP address of the other end; ``None`` if it has none.
        :returns: ``False``: nobody keeps the connection.
        """
        self.refused += 1
        if self._refusing == _MAX_REFUSING:
            return False
        self._refusing += 1
        try:
            await self._turns.turn(peer)
            response = _TOO_MANY_OF_ADDRESS if full.of_address else _TOO_MANY
            await self._reader.refuse(stream, response)
        finally:
            self._refusing -= 1
        return False
