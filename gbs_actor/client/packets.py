"""The client's half of Engine.IO v4 and Socket.IO v5 over WebSocket text frames.

One frame is one packet (Engine.IO protocol v4, "WebSocket"). Only the part of Socket.IO
that a line-up client needs is implemented; there are no binary attachments.
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec


class BadPacket(Exception):
    """The server sent something that is not the protocol."""


class Open(msgspec.Struct, frozen=True, rename="camel"):
    """Engine.IO ``open``: how often the server pings, in milliseconds."""

    sid: str
    ping_interval: int
    ping_timeout: int
    max_payload: int


@dataclass(frozen=True, slots=True)
class Ping:
    """Engine.IO ``ping``; the pong carries the same data."""

    data: str


@dataclass(frozen=True, slots=True)
class Close:
    """Engine.IO ``close``."""


@dataclass(frozen=True, slots=True)
class Noop:
    """Engine.IO ``noop``, and packets of other namespaces."""


class Connected(msgspec.Struct, frozen=True):
    """Socket.IO ``CONNECT``: the namespace is open."""

    sid: str


class ConnectErrorData(msgspec.Struct, frozen=True):
    """The data of a ``CONNECT_ERROR``."""

    code: str = ""


class ConnectError(msgspec.Struct, frozen=True):
    """Socket.IO ``CONNECT_ERROR``."""

    message: str = ""
    data: ConnectErrorData = ConnectErrorData()


@dataclass(frozen=True, slots=True)
class Disconnect:
    """Socket.IO ``DISCONNECT``: the server ended the namespace."""


@dataclass(frozen=True, slots=True)
class Event:
    """Socket.IO ``EVENT``, with its arguments still in JSON."""

    name: str
    arguments: tuple[msgspec.Raw, ...]


@dataclass(frozen=True, slots=True)
class Ack:
    """Socket.IO ``ACK``, with its arguments still in JSON."""

    id: int
    arguments: tuple[msgspec.Raw, ...]


Packet = Open | Ping | Close | Noop | Connected | ConnectError | Disconnect | Event | Ack

_arguments = msgspec.json.Decoder(list[msgspec.Raw])


def parse(frame: str, namespace: str) -> Packet:
    """Read one text frame from the server.

    :param frame: the frame's text.
    :param namespace: the namespace this client is in, e.g. ``/gbs-lineup``; packets of
        any other are a :class:`Noop`.
    :raises BadPacket: if it is not a packet a server may send.
    """
    kind, data = frame[:1], frame[1:]
    try:
        match kind:
            case "0":
                return msgspec.json.decode(data, type=Open)
            case "1":
                return Close()
            case "2":
                return Ping(data)
            case "4":
                return _parse_message(data, namespace)
            case "6":
                return Noop()
    except (msgspec.MsgspecError, RecursionError) as error:
        raise BadPacket(f"{error}, in {frame[:80]!r}") from error
    raise BadPacket(f"unexpected packet {frame[:80]!r}")


def _parse_message(data: str, namespace: str) -> Packet:
    kind, rest = data[:1], data[1:]
    packet_namespace = "/"
    if rest.startswith("/"):
        packet_namespace, _, rest = rest.partition(",")
    if packet_namespace != namespace:
        return Noop()
    digits = len(rest) - len(rest.lstrip("0123456789"))
    ack_id, payload = rest[:digits], rest[digits:]
    match kind:
        case "0":
            return msgspec.json.decode(payload, type=Connected)
        case "1":
            return Disconnect()
        case "2":
            arguments = _arguments.decode(payload)
            if not arguments:
                raise BadPacket("an event without a name")
            name = msgspec.json.decode(arguments[0], type=str)
            return Event(name, tuple(arguments[1:]))
        case "3" if ack_id:
            return Ack(int(ack_id), tuple(_arguments.decode(payload)))
        case "4":
            return msgspec.json.decode(payload, type=ConnectError)
    raise BadPacket(f"unexpected Socket.IO packet {data[:80]!r}")


def connect(namespace: str, auth: object) -> str:
    """Write a Socket.IO ``CONNECT`` with its auth payload (``None``: none)."""
    return f"40{namespace},{'' if auth is None else _json(auth)}"


def disconnect(namespace: str) -> str:
    """Write a Socket.IO ``DISCONNECT``."""
    return f"41{namespace},"


def event(namespace: str, ack_id: int, name: str, argument: object) -> str:
    """Write a Socket.IO ``EVENT`` with one argument that wants an acknowledgement."""
    return f"42{namespace},{ack_id}{_json([name, argument])}"


def pong(ping: Ping) -> str:
    """Write the Engine.IO ``pong`` for a ``ping``."""
    return f"3{ping.data}"


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
