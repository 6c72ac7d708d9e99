"""An app whose paths do what apps may do, and the two ways in which Hypercorn runs it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, cast

import hypercorn.trio
import trio
from hypercorn.config import Config

from gbs_actor.server.hypercorn import HttpServer, limit_hypercorn
from gbs_actor.socketio import FrontDoor

IDLE, WRITE = 60.0, 20.0
LARGE = bytes(1_000_000)


@dataclass
class App:
    """Answers; and notes what it was told, and when a call ended."""

    told: list[tuple[str, str]] = field(default_factory=list)
    """Path and type of each event."""
    ended: dict[str, float] = field(default_factory=dict)
    """When the last call of a path ended."""
    news: trio.lowlevel.ParkingLot = field(default_factory=trio.lowlevel.ParkingLot)
    """Wakes whoever waits for a call to end."""
    let_take: trio.Event = field(default_factory=trio.Event)
    """``/deaf`` takes what it was sent from now on."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            while True:
                event = (await receive())["type"]
                await send({"type": f"{event}.complete"})
                if event == "lifespan.shutdown":
                    return
        path = scope["path"]

        async def noting() -> Any:
            event = await receive()
            self.told.append((path, event["type"]))
            return event

        try:
            await getattr(self, path.strip("/"))(noting, send)
        finally:
            self.ended[path] = trio.current_time()
            self.news.unpark_all()

    async def early(self, receive: Any, send: Any) -> None:
        """Answer without a look at the request."""
        await _answer(send, 401, b"who are you?")

    async def quick(self, receive: Any, send: Any) -> None:
        """Answer with how long the request was."""
        size, more = 0, True
        while more:
            event = await receive()
            if event["type"] == "http.disconnect":
                return
            size, more = size + len(event["body"]), event["more_body"]
        await _answer(send, 200, b"%d" % size)

    async def deaf(self, receive: Any, send: Any) -> None:
        await self.let_take.wait()
        await self.quick(receive, send)

    async def large(self, receive: Any, send: Any) -> None:
        await _answer(send, 200, LARGE)

    async def fresh(self, receive: Any, send: Any) -> None:
        """The same, with a body for this one answer."""
        await _answer(send, 200, bytes(len(LARGE)))

    async def half(self, receive: Any, send: Any) -> None:
        """Fail in the middle of the answer."""
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"half", "more_body": True})
        raise OSError("meant to happen")

    async def stubborn(self, receive: Any, send: Any) -> None:
        """Go on for long, whoever has gone."""
        with trio.CancelScope(shield=True):
            await trio.sleep(1_000)

    async def socket(self, receive: Any, send: Any) -> None:
        """Take messages until the peer has gone."""
        await receive()
        await send({"type": "websocket.accept"})
        while (await receive())["type"] != "websocket.disconnect":
            pass

    async def undecided(self, receive: Any, send: Any) -> None:
        """Neither accept a WebSocket nor refuse it."""
        while (await receive())["type"] != "websocket.disconnect":
            pass

    async def closing(self, receive: Any, send: Any) -> None:
        """Close at the first message, and wait for the peer."""
        await receive()
        await send({"type": "websocket.accept"})
        await receive()
        await send({"type": "websocket.close", "code": 4401})
        while (await receive())["type"] != "websocket.disconnect":
            pass

    async def chatty(self, receive: Any, send: Any) -> None:
        """Say much at once."""
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "text": "x" * 200_000})


async def _answer(send: Any, status: int, body: bytes) -> None:
    await send({"type": "http.response.start", "status": status, "headers": []})
    await send({"type": "http.response.body", "body": body})


@dataclass
class Site:
    """An app that is being served."""

    app: App
    dial: Callable[[], Any]
    stop: Callable[[], Any]
    """Have it end, and go on with what is under way."""


@asynccontextmanager
async def own() -> AsyncIterator[Site]:
    """Serve it behind the front door."""
    app = App()
    http = HttpServer(
        cast(Any, app), head_limit=16_384, max_payload=1_000_000, http_idle_timeout=IDLE
    )
    door = FrontDoor({}, http.serve, http_idle_timeout=IDLE, write_timeout=WRITE)
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    address = listeners[0].socket.getsockname()
    async with http.running(), trio.open_nursery() as nursery:
        await nursery.start(door.serve, listeners)
        yield Site(app, partial(trio.open_tcp_stream, *address), http.stop_accepting)
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def stock() -> AsyncIterator[Site]:
    """Serve it as ``hypercorn -k trio`` does."""
    limit_hypercorn()
    app, config, over = App(), Config(), trio.Event()
    config.bind = ["127.0.0.1:0"]
    config.keep_alive_timeout = IDLE
    config.errorlog = None
    config.graceful_timeout = 1.0
    async with trio.open_nursery() as nursery:
        serve = partial(hypercorn.trio.serve, cast(Any, app), config, shutdown_trigger=over.wait)
        (bound,) = await nursery.start(serve)
        host, _, port = bound.removeprefix("http://").rpartition(":")

        async def stop() -> None:
            over.set()
            await trio.lowlevel.checkpoint()

        yield Site(app, partial(trio.open_tcp_stream, host, int(port)), stop)
        nursery.cancel_scope.cancel()


Serve = Callable[[], AbstractAsyncContextManager[Site]]
