"""A WebSocket by the messages of ASGI, as an HTTP server hands it to the application."""

from __future__ import annotations

import contextlib
import math
from typing import Any

import trio

from gbs_actor.socketio import EngineApp
from scripts.fuzz.world import PATH


class AsgiLink:
    """The client's and the HTTP server's side of one WebSocket.

    See :class:`~scripts.fuzz.websocket_client.Link`.
    """

    def __init__(self, app: EngineApp, nursery: trio.Nursery, query: str) -> None:
        self.status = 0
        self.code: int | None = None
        self._to_app, self._for_app = trio.open_memory_channel[Any](math.inf)
        self._from_app, self._for_client = trio.open_memory_channel[str | bytes](math.inf)
        self._to_app.send_nowait({"type": "websocket.connect"})

        async def serve() -> None:
            with self._from_app:
                await app(self._scope(query), self._for_app.receive, self._send)

        nursery.start_soon(serve)

    def _scope(self, query: str) -> Any:
        return {
            "type": "websocket",
            "asgi": {"version": "3.0"},
            "http_version": "2",
            "scheme": "ws",
            "path": PATH,
            "raw_path": PATH.encode(),
            "query_string": query.encode(),
            "headers": [(b"host", b"own.example")],
            "client": ("192.0.2.3", 1),
            "server": ("192.0.2.200", 80),
            "extensions": {"websocket.http.response": {}},
        }

    async def _send(self, event: Any) -> None:
        await trio.lowlevel.checkpoint()
        assert self.code is None, "something behind the close"
        match event["type"]:
            case "websocket.accept":
                assert self.status == 0
                self.status = 101
            case "websocket.send":
                assert self.status == 101
                text = event.get("text")
                self._from_app.send_nowait(event["bytes"] if text is None else text)
            case "websocket.close":
                self.code = event["code"]
                self.drop()
            case "websocket.http.response.start":
                assert self.status == 0
                self.status = event["status"]
                self.drop()
            case kind:
                assert kind == "websocket.http.response.body", kind

    async def say(self, message: str | bytes) -> bool:
        await trio.lowlevel.checkpoint()
        if isinstance(message, str):
            text = message.encode("utf-8", "replace").decode()  # the HTTP server sees to that
            event: Any = {"type": "websocket.receive", "text": text}
        else:
            event = {"type": "websocket.receive", "bytes": message}
        try:
            self._to_app.send_nowait(event)
        except (trio.ClosedResourceError, trio.BrokenResourceError):
            return False
        return True

    async def say_close(self) -> None:
        await trio.lowlevel.checkpoint()

    async def receive(self) -> list[str | bytes] | None:
        try:
            return [await self._for_client.receive()]
        except (trio.EndOfChannel, trio.ClosedResourceError):
            return None

    def drop(self) -> None:
        with contextlib.suppress(trio.ClosedResourceError, trio.BrokenResourceError):
            self._to_app.send_nowait({"type": "websocket.disconnect", "code": 1006})
        self._to_app.close()
