"""One HTTP request to an ASGI application, without an HTTP server in between."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import trio

App = Callable[[Any, Any, Any], Any]


@dataclass
class Answer:
    """What the application has answered."""

    status: int
    headers: dict[bytes, bytes]
    body: bytes


@dataclass
class Request:
    """A request, and how its client behaves."""

    method: str
    path: str
    query: str = ""
    headers: Sequence[tuple[bytes, bytes]] = ()
    body: Sequence[bytes] = ()
    """The parts it comes in; the last one ends it unless it is :attr:`unfinished`."""
    pause: float = 0.0
    """Seconds between the parts."""
    unfinished: bool = False
    """Whether the rest of the body never comes."""
    gone: trio.Event = field(default_factory=trio.Event)
    """Set when the client has gone."""
    address: str = "192.0.2.1"

    async def ask(self, app: App) -> Answer | None:
        """Return the answer; ``None``: there was none, as the client has gone.

        :raises AssertionError: the answer is none that HTTP knows.
        """
        parts = list(self.body)
        events: list[Any] = []

        async def receive() -> Any:
            if parts or not (self.body or self.unfinished):
                await trio.sleep(self.pause)
            if self.gone.is_set():
                return {"type": "http.disconnect"}
            if parts:
                part = parts.pop(0)
                more = bool(parts) or self.unfinished
                return {"type": "http.request", "body": part, "more_body": more}
            if not self.body and not self.unfinished and not asked:
                asked.append(True)
                return {"type": "http.request", "body": b"", "more_body": False}
            await self.gone.wait()
            return {"type": "http.disconnect"}

        async def send(event: Any) -> None:
            await trio.lowlevel.checkpoint()
            events.append(event)

        asked: list[bool] = []
        await app(self._scope(), receive, send)
        if not events:
            assert self.gone.is_set(), "no answer"
            return None
        start, *bodies = events
        assert start["type"] == "http.response.start"
        assert [event["type"] for event in bodies] == ["http.response.body"]
        answer = Answer(start["status"], dict(start["headers"]), bodies[0]["body"])
        length = answer.headers.get(b"content-length")
        assert length is None or int(length) == len(answer.body)
        return answer

    def _scope(self) -> Any:
        return {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": self.method,
            "scheme": "http",
            "path": self.path,
            "raw_path": self.path.encode(),
            "query_string": self.query.encode(),
            "headers": list(self.headers),
            "client": (self.address, 1),
            "server": ("192.0.2.200", 80),
        }
