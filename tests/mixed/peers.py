"""Clients of every kind, from the contract alone: none of our code, and no Socket.IO library."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import httpx
import trio
import trio_websocket
from trio_websocket import WebSocketConnection

from tests.e2e.server_process import RETREAT, ServerProcess
from tests.mixed.edit import LINE_UP, Accepted, Edit
from tests.mixed.view import View

PATIENCE = 60.0
"""Seconds after which an answer that should have come is missing."""
BETWEEN_READINGS = 0.05
"""Seconds between two requests of who reads over HTTP."""

Way = Literal["polling", "websocket", "plain", "http"]


def bearer(token: str) -> tuple[bytes, bytes]:
    """Return the header that says who one is."""
    return b"Authorization", f"Bearer {token}".encode()


class Refused(Exception):
    """The server did not accept an edit."""


class Peer(Protocol):
    """One client in the room."""

    view: View
    ways: Counter[Way]
    """How often an edit was given in each way."""

    async def edit(self, edit: Edit) -> Accepted:
        """Give an edit and wait for its answer.

        :raises Refused: it was not accepted.
        """
        ...


@dataclass
class _Answers:
    """Who waits for which answer."""

    _waiting: dict[int, trio.Event] = field(default_factory=dict)
    _given: dict[int, dict[str, Any]] = field(default_factory=dict)
    _next_id: int = 0

    def expect(self) -> int:
        number = self._next_id
        self._next_id += 1
        self._waiting[number] = trio.Event()
        return number

    async def take(self, number: int) -> dict[str, Any]:
        with trio.fail_after(PATIENCE):
            await self._waiting[number].wait()
        return self._given[number]

    def give(self, number: int, answer: dict[str, Any]) -> None:
        assert number in self._waiting, f"an answer to nothing: {answer}"
        assert number not in self._given, f"a second answer: {answer}"
        self._given[number] = answer
        self._waiting[number].set()


class Talker(ABC):
    """What clients have in common that ask and are answered over one connection."""

    def __init__(self) -> None:
        self.view = View()
        self.ways: Counter[Way] = Counter()
        self.messages = 0
        """Answers and events that have come."""
        self._answers = _Answers()

    @abstractmethod
    async def say(self, number: int, event: str, argument: object) -> Way:
        """Send an event that wants an answer."""

    async def ask(self, event: str, argument: object) -> dict[str, Any]:
        """Send an event and wait for its answer."""
        number = self._answers.expect()
        self.ways[await self.say(number, event, argument)] += 1
        return await self._answers.take(number)

    async def edit(self, edit: Edit) -> Accepted:
        """Give an edit and wait for its answer.

        :raises Refused: it was not accepted.
        """
        answer = await self.ask(edit.event, edit.argument())
        if answer["status"] != "OK":
            raise Refused(edit, answer)
        return Accepted(answer["revision"], answer["data"])

    def answered(self, number: int, answer: dict[str, Any]) -> None:
        """Take an answer."""
        self.messages += 1
        if answer["status"] == "OK":
            if isinstance(answer["data"], list):
                self.view.replaced(answer["data"], answer["revision"])
            else:
                self.view.merged([answer["data"]], answer["revision"])
        self._answers.give(number, answer)

    def happened(self, event: str, value: Any) -> None:
        """Take an event."""
        self.messages += 1
        if event == "lineup-updated":
            self.view.updated(value)
        elif event == "initial-data":
            self.view.replaced(value, max(row["revision"] for row in value))
        else:
            assert event == "room-presence", (event, value)


class PlainPeer(Talker):
    """JSON objects over a WebSocket."""

    def __init__(self, websocket: WebSocketConnection) -> None:
        super().__init__()
        self._websocket = websocket

    async def say(self, number: int, event: str, argument: object) -> Way:
        await self._websocket.send_message(
            json.dumps({"id": number, "event": event, "data": argument})
        )
        return "plain"

    async def run(self) -> None:
        while True:
            said = json.loads(await self._websocket.get_message())
            if "id" in said:
                self.answered(said.pop("id"), said)
            else:
                self.happened(said["event"], said["data"])


async def plain_peer(
    tasks: trio.Nursery,
    server: ServerProcess,
    token: str,
    *,
    by: Literal["header", "subprotocol"],
    slug: str = RETREAT,
) -> PlainPeer:
    """Connect to ``/ws/retreats/{slug}``; return when the list is there."""
    websocket = await trio_websocket.connect_websocket_url(
        tasks,
        f"ws://{server.host}:{server.port}/ws/retreats/{slug}",
        subprotocols=["gbs.v1", f"bearer.{token}"] if by == "subprotocol" else None,
        extra_headers=[bearer(token)] if by == "header" else None,
    )
    assert websocket.subprotocol == ("gbs.v1" if by == "subprotocol" else None)
    peer = PlainPeer(websocket)
    tasks.start_soon(peer.run)
    with trio.fail_after(PATIENCE):
        while not peer.view.rows:
            await peer.view.news()
    return peer


class HttpPeer:
    """Requests only: a reader with ``since``, and a writer."""

    def __init__(self, http: httpx.AsyncClient, token: str) -> None:
        self.view = View()
        self.ways: Counter[Way] = Counter()
        self._http = http
        self._headers = [bearer(token)]
        self._epoch = ""

    async def edit(self, edit: Edit) -> Accepted:
        method, path = edit.request()
        self.ways["http"] += 1
        answer = await self._http.request(
            method,
            path,
            json=edit.content or None,
            headers=[*self._headers, (b"Idempotency-Key", str(edit.command_id).encode())],
        )
        if answer.status_code != 200:
            raise Refused(edit, answer.status_code, answer.text)
        body = answer.json()
        row, changed = body["userRetreatGbsLineup"], body["updatedLineups"]
        # A wish that is fulfilled already takes a revision and changes no row.
        assert (row in changed) is (row["revision"] == body["revision"])
        assert {it["revision"] for it in changed} <= {body["revision"]}
        return Accepted(body["revision"], row)

    async def read(self) -> None:
        """Read what has changed since the last reading."""
        query = f"?since={self.view.revisions[-1]}&epoch={self._epoch}" if self._epoch else ""
        answer = await self._http.get(f"{LINE_UP}/user-lineups{query}", headers=self._headers)
        answer.raise_for_status()
        body = answer.json()
        assert body["full"] is (not self._epoch)
        take = self.view.replaced if body["full"] else self.view.merged
        take(body["userRetreatGbsLineups"], body["revision"])
        self._epoch = body["epoch"]

    async def run(self) -> None:
        while True:
            await trio.sleep(BETWEEN_READINGS)
            await self.read()


async def http_peer(tasks: trio.Nursery, http: httpx.AsyncClient, token: str) -> HttpPeer:
    """Begin to read over HTTP; return when the list is there."""
    peer = HttpPeer(http, token)
    await peer.read()
    tasks.start_soon(peer.run)
    return peer
