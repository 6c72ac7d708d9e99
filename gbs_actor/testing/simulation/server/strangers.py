"""Connections that speak no protocol, or speak one wrongly. Nobody else may notice them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from random import Random
from typing import Final

import msgspec
import trio

from gbs_actor.testing.network import SimStream
from gbs_actor.testing.simulation.plan.steps import Intrusion

PATIENCE: Final = 20.0
"""Seconds after which a stranger is gone."""
_UPGRADE: Final = (
    "GET {path} HTTP/1.1\r\nHost: lineup.test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n{more}\r\n"
)
_SOCKETIO: Final = "/socket.io/?EIO=4&transport=websocket"
_MESSAGES: Final = (
    "0",
    "2",
    "4",
    "49",
    "7",
    "40/other,",
    "42/gbs-lineup,[]",
    '42/gbs-lineup,["connect"]',
    '42/gbs-lineup,99999999999999999999["x"]',
    '42/gbs-lineup,["update-gbs-number",',
    '45/gbs-lineup,1-["x"]',
    '451-/gbs-lineup,["x",{"_placeholder":true,"num":0}]',
    '40/gbs-lineup,{"token":7}',
    '40/gbs-lineup,{"token":"a.b.c","pid":"x","offset":"y"}',
    "\x00\ud7ff",
    "4" * 5_000,
)


async def intrude(
    stream: SimStream, kind: Intrusion, token: str, slug: str, random: Random
) -> None:
    """Do what a stranger does, until the server has enough of it.

    :param token: of somebody who may enter.
    """
    with trio.move_on_after(PATIENCE):
        try:
            for data in _SAY[kind](token, slug, random):
                await stream.send_all(data)
                await trio.sleep(random.choice((0.0, 0.0, 0.1, 3.0)))
            if random.random() < 0.3:
                await stream.send_eof()
            while await stream.receive_some():
                pass
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            return
    if random.random() < 0.5:
        stream.cut()
    stream.socket.close()


def _noise(_token: str, _slug: str, random: Random) -> list[bytes]:
    return [random.randbytes(random.randint(1, 400)) for _ in range(random.randint(1, 3))]


def _silence(*_: object) -> list[bytes]:
    return []


def _half_a_head(_token: str, _slug: str, random: Random) -> list[bytes]:
    head = _UPGRADE.format(path=_SOCKETIO, more="").encode()
    return [head[: random.randint(1, len(head) - 1)]]


def _http(token: str, slug: str, random: Random) -> list[bytes]:
    target = random.choice(
        (
            "/socket.io/?EIO=3&transport=polling",
            "/socket.io/?EIO=4&transport=polling&sid=unknown",
            f"/api/v1/retreat/{slug}/line-up/%00",
            "//" * 50,
            "*",
        )
    )
    method = random.choice(("GET", "POST", "PUT", "BREW"))
    length = random.choice(("", "Content-Length: 5\r\n", "Content-Length: -1\r\n"))
    transfer = random.choice(("", "Transfer-Encoding: chunked\r\n"))
    head = f"{method} {target} HTTP/1.1\r\nHost: x\r\n{length}{transfer}\r\n"
    return [head.encode(), b"ffffffffffffffff\r\nx"]


def _frames(token: str, slug: str, random: Random) -> list[bytes]:
    plain = random.random() < 0.4
    path = f"/ws/retreats/{slug}" if plain else _SOCKETIO
    more = f"Authorization: Bearer {token}\r\n" if plain and random.random() < 0.7 else ""
    said = [_UPGRADE.format(path=path, more=more).encode()]
    for _ in range(random.randint(1, 4)):
        first = random.choice((0x81, 0x82, 0x80, 0x01, 0x88, 0x89, 0xF1, 0x83))
        size = random.choice((0, 1, 125))
        claimed = random.choice((size, size, 127))
        masked = 0x80 if random.random() < 0.8 else 0
        mask = b"\0\0\0\0" if masked else b""
        said.append(bytes((first, masked | claimed)) + mask + random.randbytes(size))
    return said


def _messages(token: str, slug: str, random: Random) -> list[bytes]:
    said = [_UPGRADE.format(path=_SOCKETIO, more="").encode()]
    if random.random() < 0.7:
        auth = msgspec.json.encode({"token": token}).decode()
        said.append(_masked(f"40/gbs-lineup,{auth}"))
    said += [_masked(random.choice(_MESSAGES)) for _ in range(random.randint(1, 4))]
    return said


def _masked(text: str) -> bytes:
    data = text.encode()
    size = len(data)
    head = bytes((0x81, 0x80 | size)) if size < 126 else b"\x81\xfe" + size.to_bytes(2, "big")
    return head + b"\0\0\0\0" + data


_SAY: Final[Mapping[Intrusion, Callable[[str, str, Random], list[bytes]]]] = {
    "noise": _noise,
    "silence": _silence,
    "half a head": _half_a_head,
    "http": _http,
    "frames": _frames,
    "messages": _messages,
}
