"""What each attack sends, at full scale and at a part of it."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from scripts.attack.swarm import Plan, Script, Step

SMALL_RETREAT = "2024-winter"
"""80 people: 50 KB."""
LARGE_RETREAT = "2024-summer"
"""600 people: nearly 400 KB each time that the list is sent."""
ONE_PLACE = ("127.0.66.1",)
FIVE_PLACES = tuple(f"127.0.66.{number}" for number in range(1, 6))


@dataclass(frozen=True)
class Attack:
    """One way to keep others from working.

    :param plan: the plan, for tokens of two ordinary staff members and a scale of 0 to 1.
    :param descriptors: the server's limit of open files; ``None``: the one of this process.
    :param kills_database: whether PostgreSQL dies in the middle of it.
    """

    name: str
    description: str
    plan: Callable[[Sequence[str], float], Plan]
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
_ADMITTED = b'40/gbs-lineup,{"sid"'
_SMALL_EVENT = _text_frame('42/gbs-lineup,3["leave-retreat","nowhere"]')


def _connecting(token: str) -> tuple[Step, ...]:
    """Return the steps to the CONNECT to the namespace; :data:`_ADMITTED` replies to it."""
    connect = _text_frame(f"40/gbs-lineup,{json.dumps({'token': token})}")
    return Step(b"", _UPGRADE), Step(b'"maxPayload"', connect)


def _unread_joins(tokens: Sequence[str], scale: float) -> Plan:
    joins = b"".join(
        _text_frame(f'42/gbs-lineup,{number}["join-retreat","{LARGE_RETREAT}"]')
        for number in range(40)
    )
    script = Script((*_connecting(tokens[0]), Step(_ADMITTED, joins)))
    return Plan([script], _count(100, scale), 100, ONE_PLACE, reads=False, receive_buffer=4_096)


def _silent_connections(_tokens: Sequence[str], scale: float) -> Plan:
    return Plan([Script(())], _count(1_400, scale), 1_400, ONE_PLACE)


def _strangers(_tokens: Sequence[str], scale: float) -> Plan:
    handshake = (
        b"GET /socket.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: localhost\r\n"
        b"Connection: close\r\n\r\n"
    )
    return Plan([_request(handshake)], _count(500, scale), 500 * scale, FIVE_PLACES)


def _burst(tokens: Sequence[str], scale: float) -> Plan:
    request = (
        f"GET /api/v1/retreat/{SMALL_RETREAT}/line-up/user-lineups HTTP/1.1\r\n"
        f"Host: localhost\r\nAuthorization: Bearer {tokens[0]}\r\nConnection: close\r\n\r\n"
    ).encode()
    return Plan([_request(request)], _count(3_000, scale), 3_000, ONE_PLACE, burst_every=10)


def _bad_hosts(_tokens: Sequence[str], scale: float) -> Plan:
    request = b"GET / HTTP/1.1\r\nHost: a..b\r\nConnection: close\r\n\r\n"
    return Plan([_request(request)], _count(300, scale), 300 * scale, ONE_PLACE)


def _floods(tokens: Sequence[str], scale: float) -> Plan:
    script = Script(_connecting(tokens[0]), repeats=100 * _SMALL_EVENT)
    return Plan([script], max(1, round(5 * scale)), 5, ONE_PLACE)


def _trickles(tokens: Sequence[str], scale: float) -> Plan:
    script = Script(_connecting(tokens[0]), repeats=_SMALL_EVENT, every=0.02, piece=1)
    return Plan([script], _count(500, scale), 500, FIVE_PLACES)


def _at_once(tokens: Sequence[str], scale: float) -> Plan:
    scripts = [Script(_connecting(token), repeats=_SMALL_EVENT, every=1.0) for token in tokens]
    return Plan(scripts, _count(2_000, scale), 1_000, FIVE_PLACES)


def _large_room(tokens: Sequence[str], scale: float) -> Plan:
    join = _text_frame(f'42/gbs-lineup,1["join-retreat","{LARGE_RETREAT}"]')
    steps = (*_connecting(tokens[0]), Step(_ADMITTED, join))
    edits = b"".join(
        _text_frame(f'42/gbs-lineup,2["update-gbs-number",{{"lineupId":600,"gbsNumber":{number}}}]')
        for number in (7_001, 7_002)
    )
    editor = Script(steps, edits, every=0.1)
    connections = _count(500, scale)
    scripts = [editor, *[Script(steps)] * (connections - 1)]
    return Plan(scripts, connections, 100, FIVE_PLACES)


def _request(head: bytes) -> Script:
    return Script((Step(b"", head),))


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
        Attack("floods", "5 connections that send small events without a pause", _floods),
        Attack("trickles", "500 connections that each send a byte every 20 ms", _trickles),
        Attack("at-once", "2,000 connections that send a small event at once, every s", _at_once),
        Attack("large-room", "20 edits a second in another room with 500 subscribers", _large_room),
    )
}
