"""A server of a seed, and a script of requests to it, in a process of its own.

``python -m tests.server.seeded_run SEED`` prints all that was sent, as JSON, and who has asked
this machine for its clock or for random bytes meanwhile: that is watched before anything else is
imported.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any

asked: set[tuple[str, str]] = set()
"""Function and module of its caller."""


def watch(module: Any, name: str) -> None:
    original: Callable[..., Any] = getattr(module, name)

    def watched(*args: Any, **kwargs: Any) -> Any:
        asked.add((f"{module.__name__}.{name}", sys._getframe(1).f_globals["__name__"]))
        return original(*args, **kwargs)

    setattr(module, name, watched)


if __name__ == "__main__":
    watch(os, "urandom")  # before others take it from there
    for name in ("time", "time_ns", "perf_counter", "thread_time", "gmtime", "localtime"):
        watch(time, name)

import random  # noqa: E402
import uuid  # noqa: E402

if __name__ == "__main__":
    watch(uuid, "uuid4")
    for name in ("random", "randrange", "choice", "shuffle", "getrandbits"):
        watch(random, name)

import trio  # noqa: E402
from pydantic import SecretStr  # noqa: E402
from trio.testing import MockClock  # noqa: E402

from gbs_actor.auth import Role, mint  # noqa: E402
from gbs_actor.environment import Environment  # noqa: E402
from gbs_actor.server.composition import Composition  # noqa: E402
from gbs_actor.server.front import Front  # noqa: E402
from gbs_actor.server.lifetime import graceful  # noqa: E402
from gbs_actor.settings import AuthSettings, ServerSettings, Settings  # noqa: E402
from gbs_actor.store.memory import MemoryStore  # noqa: E402
from gbs_actor.testing.environment import START, seeded_environment  # noqa: E402
from tests.gateway.serving import SECRET, SLUG, seed  # noqa: E402

_LINE_UP = f"/api/v1/retreat/{SLUG}/line-up"
_WEBSOCKET = (
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
)


_CLOSE_FRAME = b"\x88\x82\0\0\0\0\x03\xe8"


class Script:
    """Sends requests, one after the other, and keeps all responses."""

    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self._port = port
        self.responses: list[str] = []

    async def send(self, request: bytes) -> str:
        """Send bytes on a connection of their own; return all that comes until it closes."""
        received = b""
        async with await trio.open_tcp_stream(self._host, self._port) as stream:
            await stream.send_all(request)
            async for data in stream:
                received += data
        self.responses.append(received.decode("utf-8", "replace"))
        return self.responses[-1]

    async def http(self, method: str, path: str, body: str = "", *fields: str) -> str:
        """Send a request, and return the body of its response."""
        lines = [f"{method} {path} HTTP/1.1", "Host: h", *fields]
        lines += ["" if fields[:1] == _WEBSOCKET[:1] else "Connection: close"]
        lines += [f"Content-Length: {len(body.encode())}"] if body else []
        head = "\r\n".join((*filter(None, lines), "", ""))
        return (await self.send(head.encode() + body.encode())).partition("\r\n\r\n")[2]


async def play(script: Script) -> None:
    token = mint(SECRET, user_id=7, role=Role.ADMIN_MINISTER, name="김하늘", now=START)
    bearer = f"Authorization: Bearer {token}"
    await script.http("GET", "/")
    await script.http("GET", "/readyz")
    await script.http("GET", "/nowhere", "", *_WEBSOCKET)
    await script.send(b"nonsense\r\n\r\n")
    polling = "/socket.io/?EIO=4&transport=polling"
    opened = await script.http("GET", polling)
    polling += f"&sid={json.loads(opened[1:])['sid']}"
    namespace = "/gbs-lineup,"
    connect = json.dumps({"token": token, "recovery": True})
    for packet in (
        f"40{namespace}{connect}",
        f'42{namespace}1["join-retreat",{{"retreatSlug":"{SLUG}"}}]',
        f'42{namespace}2["update-gbs-number",{{"userRetreatRegistrationId":2,"gbsNumber":3}}]',
        f'42{namespace}3["create-gbs",{{"gbsNumbers":[8]}}]',
        "1",
    ):
        await script.http("POST", polling, packet)
        if packet != "1":
            await script.http("GET", polling)
    await script.http("GET", "/socket.io/?EIO=4&transport=websocket&sid=unknown", "", *_WEBSOCKET)
    protocols = f"Sec-WebSocket-Protocol: gbs.v1, bearer.{token}"
    head = "\r\n".join((f"GET /ws/retreats/{SLUG} HTTP/1.1", "Host: h", *_WEBSOCKET, protocols))
    await script.send(head.encode() + b"\r\n\r\n" + _CLOSE_FRAME)
    await script.http(
        "PUT",
        f"{_LINE_UP}/user-lineups/3",
        '{"gbsNumber":4}',
        bearer,
        "Content-Type: application/json",
    )
    await script.http("GET", f"{_LINE_UP}/history", "", bearer)
    await script.http("POST", "/admin/session", "", bearer, "Content-Length: 0")
    await script.http("GET", "/admin/closed", "", bearer)
    await script.http("GET", "/admin/events", "", bearer)
    await script.http("GET", "/admin/audit", "", bearer)


async def run(environment: Environment, clock: MockClock) -> list[str]:
    """Return all responses of a new server to the script, during which Trio's clock stands."""
    settings = Settings(
        server=ServerSettings(port=0), auth=AuthSettings(jwt_secret=SecretStr(SECRET))
    )
    store = MemoryStore(environment=environment)
    await store.import_retreat(seed())
    async with graceful(1) as lifetime, trio.open_nursery() as nursery:
        composition = Composition(store, settings, environment=environment)
        (address,) = await nursery.start(Front(composition, settings).run, lifetime)
        script = Script(address.host, address.port)
        await play(script)
        clock.rate = 1.0
        lifetime.request_shutdown()
    return script.responses


async def main(number: int, clock: MockClock) -> None:
    asked.clear()
    responses = await run(seeded_environment(number), clock)
    sys.stdout.write(json.dumps([responses, sorted(asked)], ensure_ascii=False))


if __name__ == "__main__":
    stands = MockClock()
    trio.run(main, int(sys.argv[1]), stands, clock=stands)
