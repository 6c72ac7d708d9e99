"""Traces one socket: from Socket.IO's packets to what operators are shown of any client."""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec import Raw

from gbs_actor.gateway.client import ClientTracer
from gbs_actor.socketio import Event, Socket

_values: Final = msgspec.json.Decoder(list[Raw])


class SocketTracer:
    """Implements :class:`gbs_actor.socketio.Tracer` for a client of the line-up."""

    __slots__ = ("_tracer",)

    def __init__(self, tracer: ClientTracer) -> None:
        self._tracer = tracer

    def event_received(self, _socket: Socket, event: Event) -> None:
        """Report an event with its first argument: there is no other one."""
        reply_id = None if event.ack_id is None else str(event.ack_id)
        self._tracer.received(event.name, event.first, reply_id)

    def event_sent(self, _socket: Socket, name: str, json: str) -> None:
        """Report an event with its first argument; there may be an offset behind it."""
        values = _values.decode(json)
        self._tracer.sent(name, bytes(values[1]) if len(values) > 1 else b"null")

    def ack_sent(self, _socket: Socket, ack_id: int, json: str) -> None:
        """Report an acknowledgement, which has one value."""
        self._tracer.replied(str(ack_id), bytes(_values.decode(json)[0]))
