"""What a peer and the server say to each other on one connection, without the connection itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import msgspec

from gbs_actor.testing.peers import packets
from gbs_actor.testing.peers.messages import Json, Received


class Session(Protocol):
    """The protocol above the transport: messages in, what they mean out, and the other way."""

    def write(self, name: str, arguments: Sequence[Json], ack_id: int | None) -> list[str | bytes]:
        """Return the messages that send an event.

        :param ack_id: for the answer; ``None``: none is wanted.
        """

    def read(self, message: str | bytes) -> Received | list[str | bytes] | None:
        """Read one message of the server.

        :returns: what it means, or the messages that it is answered with at once; ``None``:
            neither, or the rest is still to come.
        :raises AssertionError: the server breaks the protocol.
        """


class SocketIOSession:
    """One client in one namespace: Socket.IO v5 over Engine.IO v4.

    :param auth: of the CONNECT; ``None``: none.
    """

    def __init__(self, namespace: str, auth: Mapping[str, Json] | None) -> None:
        self._namespace = namespace
        self._auth = auth
        self._recoverable = False
        self._unfinished: packets.Packet | None = None
        self._attachments: list[bytes] = []
        self.engine_sid: str | None = None
        """The id of the session of Engine.IO."""

    def write(self, name: str, arguments: Sequence[Json], ack_id: int | None) -> list[str | bytes]:
        """See :class:`Session`."""
        return packets.write(packets.EVENT, self._namespace, [name, *arguments], ack_id=ack_id)

    def acknowledge(self, ack_id: int, arguments: Sequence[Json]) -> list[str | bytes]:
        """Return the messages that answer an event of the server."""
        return packets.write(packets.ACK, self._namespace, list(arguments), ack_id=ack_id)

    def disconnect(self) -> list[str | bytes]:
        """Return the messages that leave the namespace."""
        return packets.write(packets.DISCONNECT, self._namespace)

    def read(self, message: str | bytes) -> Received | list[str | bytes] | None:
        """See :class:`Session`."""
        if isinstance(message, bytes):
            return self._attach(message)
        if self._unfinished is not None:
            raise AssertionError(f"text in the middle of attachments: {message[:200]!r}")
        match message[:1]:
            case "4":
                packet = packets.read(message)
                if packet.attachments:
                    self._unfinished = packet
                    return None
                return self._mean(packet)
            case "2":
                return ["3" + message[1:]]
            case "0":
                self.engine_sid = msgspec.json.decode(message[1:])["sid"]
                return packets.write(packets.CONNECT, self._namespace, self._auth)
            case "1" | "6":
                return None
        raise AssertionError(f"no packet of Engine.IO that a server sends: {message[:200]!r}")

    def _attach(self, data: bytes) -> Received | None:
        packet = self._unfinished
        if packet is None:
            raise AssertionError("a binary message that belongs to no packet")
        self._attachments.append(data)
        if len(self._attachments) < packet.attachments:
            return None
        packet.data = packets.fill(packet.data, self._attachments)
        self._unfinished, self._attachments = None, []
        return self._mean(packet)

    def _mean(self, packet: packets.Packet) -> Received | None:
        if packet.namespace != self._namespace:
            raise AssertionError(f"a packet for {packet.namespace}, which was not joined")
        match packet.type:
            case packets.EVENT | packets.BINARY_EVENT:
                name, *arguments = packet.data
                offset = None
                has_offset = self._recoverable and packet.ack_id is None and arguments
                if has_offset and isinstance(arguments[-1], str):
                    offset = arguments.pop()
                return Received("event", name, tuple(arguments), packet.ack_id, offset)
            case packets.ACK | packets.BINARY_ACK:
                return Received("reply", arguments=tuple(packet.data), ack_id=packet.ack_id)
            case packets.CONNECT:
                self._recoverable = "pid" in packet.data
                return Received("connected", arguments=(packet.data,))
            case packets.CONNECT_ERROR:
                return Received("refused", arguments=(packet.data,))
        return Received("disconnected")


class PlainSession:
    """A plain WebSocket: one JSON object a message."""

    def write(self, name: str, arguments: Sequence[Json], ack_id: int | None) -> list[str | bytes]:
        """See :class:`Session`."""
        message = {"event": name, "data": arguments[0] if arguments else None}
        if ack_id is not None:
            message["id"] = ack_id
        return [msgspec.json.encode(message).decode()]

    def read(self, message: str | bytes) -> Received:
        """See :class:`Session`."""
        try:
            content = msgspec.json.decode(message, type=dict)
        except msgspec.MsgspecError as error:
            raise AssertionError(f"no JSON object ({error}): {message[:200]!r}") from None
        if "id" in content:
            ack_id = content.pop("id")
            return Received("reply", arguments=(content,), ack_id=ack_id)
        revision = content.get("revision")
        return Received("event", content["event"], (content["data"],), revision=revision)
