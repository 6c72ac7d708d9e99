"""What each attack sends, at full scale and at a part of it."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from dataclasses import dataclass

from scripts.attack.swarm import Plan, Step

SMALL_RETREAT = "2024-winter"
"""80 people: 50 KB."""
LARGE_RETREAT = "2024-summer"
"""600 people: nearly 400 KB each time that the list is sent."""
ONE_PLACE = ("127.0.66.1",)
FIVE_PLACES = tuple(f"127.0.66.{number}" for number in range(1, 6))


@dataclass(frozen=True)
class Attack:
    """One way to keep others from working.

    :param plan: the plan, for a token of an ordinary reader and a scale of 0 to 1.
    :param descriptors: the server's limit of open files; ``None``: the one of this process.
    :param kills_database: whether PostgreSQL dies in the middle of it.
    """

    name: str
    description: str
    plan: Callable[[str, float], Plan]
    descriptors: int | None = None
    kills_database: bool = False


def _text_frame(payload: str) -> bytes:
    """Return a client's text frame, masked with zeros."""
    data = payload.encode()
    if len(data) < 126:
        return struct.pack("!BB4x", 0x81, 0x80 | len(data)) + data
    return struct.pack("!BBH4x", 0x81, 0x80 | 126, len(data)) + data


_UPGRADE = (
    b"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: localhost\r\n"
    b"Upgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


def _unread_joins(token: str, scale: float) -> Plan:
    joins = b"".join(
        _text_frame(f'42/gbs-lineup,{number}["join-retreat","{LARGE_RETREAT}"]')
        for number in range(40)
    )
    connect = _text_frame(f"40/gbs-lineup,{json.dumps({'token': token})}")
    steps = (
        Step(b"", _UPGRADE),
        Step(b'"maxPayload"', connect),
        Step(b'40/gbs-lineup,{"sid"', joins),
    )
    return Plan(steps, _count(100, scale), 100, ONE_PLACE, reads=False, receive_buffer=4_096)


def _silent_connections(_token: str, scale: float) -> Plan:
    return Plan((), _count(1_400, scale), 1_400, ONE_PLACE)


def _strangers(_token: str, scale: float) -> Plan:
    handshake = (
        b"GET /socket.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: localhost\r\n"
        b"Connection: close\r\n\r\n"
    )
    return Plan((Step(b"", handshake),), _count(500, scale), 500 * scale, FIVE_PLACES)


def _burst(token: str, scale: float) -> Plan:
    request = (
        f"GET /api/v1/retreat/{SMALL_RETREAT}/line-up/user-lineups HTTP/1.1\r\n"
        f"Host: localhost\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\r\n"
    ).encode()
    return Plan((Step(b"", request),), _count(3_000, scale), 3_000, ONE_PLACE, burst_every=10)


def _bad_hosts(_token: str, scale: float) -> Plan:
    request = b"GET / HTTP/1.1\r\nHost: a..b\r\nConnection: close\r\n\r\n"
    return Plan((Step(b"", request),), _count(300, scale), 300 * scale, ONE_PLACE)


def _count(number: int, scale: float) -> int:
    return max(1, round(number * scale))


ATTACKS = {
    attack.name: attack
    for attack in (
        Attack(
            "unread-joins",
            "100 connections, each with 40 joins of a large retreat in one write, never read",
            _unread_joins,
        ),
        Attack(
            "silent-connections",
            "1,400 connections from one address that send nothing, to a server that may open "
            "1,024 files, and whose database dies",
            _silent_connections,
            descriptors=1_024,
            kills_database=True,
        ),
        Attack(
            "strangers",
            "500 polling handshakes a second from five addresses, none of which connects to a "
            "namespace",
            _strangers,
        ),
        Attack(
            "burst",
            "3,000 requests for a list at once, each on a connection of its own, every 10 s",
            _burst,
        ),
        Attack("bad-hosts", "300 requests a second with a malformed Host", _bad_hosts),
    )
}
