"""Stock Socket.IO clients in other processes, driven line by line.

A driver (``node/driver.mjs``, ``node/browser.mjs``, ``python_driver.py``) reads one JSON
command a line and writes one JSON object a line: answers to commands, and events in the
order in which the client's library hands them out.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import trio

from tests.e2e.drivers import Driver

NAMESPACE = "/gbs-lineup"
TIMEOUT = 20.0
"""Seconds after which something that should have come is missing."""
ENDED = 5.0
"""Seconds that a driver may take to dispose of clients."""


@dataclass(frozen=True)
class Happened:
    """An event that a client's library handed out."""

    name: str
    """An event's name; ``ack`` for an acknowledgement; ``connect``, ``connect_error``,
    ``disconnect``; ``upgrade``, ``upgradeError``."""
    arguments: list[Any]

    @property
    def value(self) -> Any:
        """The first argument; ``None`` without one."""
        return self.arguments[0] if self.arguments else None


@dataclass(frozen=True)
class Refused(Exception):
    """``connect_error``."""

    message: str
    data: dict[str, Any] | None

    @property
    def code(self) -> str | None:
        return (self.data or {}).get("code")


@dataclass(frozen=True)
class Facts:
    """What a JavaScript client's objects show."""

    id: str | None
    connected: bool
    recovered: bool
    transport: str | None
    """``polling`` or ``websocket``."""
    writable: bool
    """Whether something volatile would be sent now."""
    sent: int
    """Messages given to the connection since the last connect, repeats included."""


class Unanswered(Exception):
    """A callback was called with an error, or a page's request failed."""


@dataclass(frozen=True)
class HttpResponse:
    """What a page's ``fetch`` gave it to read."""

    status: int
    headers: dict[str, str]
    """Those that a page of its origin may see; names in lower case."""
    body: str


@dataclass
class StockClient:
    """One client, and the connection to its driver."""

    stream: trio.SocketStream
    happened: list[Happened] = field(default_factory=list)
    """Everything so far, in order."""
    started: trio.Event = field(default_factory=trio.Event)
    """Set when it is ready to connect."""
    ended: trio.Event = field(default_factory=trio.Event)
    """Set when its driver has disposed of it."""
    _answers: dict[int, dict[str, Any]] = field(default_factory=dict)
    _next_id: int = 0
    _sending: trio.Lock = field(default_factory=trio.Lock)
    _news: trio.Event = field(default_factory=trio.Event)

    async def read(self) -> None:
        """Take what the driver sends until it has disposed of the client."""
        rest = b""
        async for chunk in self.stream:
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                received = json.loads(line)
                if "id" in received:
                    self._answers[received["id"]] = received
                    if "ack" in received:
                        self.happened.append(Happened("ack", received["ack"]))
                else:
                    self.happened.append(Happened(received["event"], received["args"]))
            self._news.set()
            self._news = trio.Event()
        self.ended.set()

    async def _perform(self, operation: str, **arguments: object) -> dict[str, Any]:
        return await self._answer(await self._send(operation, **arguments))

    async def _send(self, operation: str, **arguments: object) -> int:
        command_id = self._next_id
        self._next_id += 1
        line = json.dumps({"id": command_id, "op": operation, **arguments})
        async with self._sending:
            await self.stream.send_all(line.encode() + b"\n")
        return command_id

    async def _answer(self, command_id: int) -> dict[str, Any]:
        with trio.fail_after(TIMEOUT):
            while command_id not in self._answers:
                await self._news.wait()
        return self._answers.pop(command_id)

    async def start(self, driver: Driver) -> None:
        """Let the driver make the client."""
        await self._perform("start", transports=driver.transports, page=driver.page)
        self.started.set()

    async def connect(
        self,
        url: str,
        token: str | None = None,
        *,
        cookie: str | None = None,
        auth: Mapping[str, object] | None = None,
        namespace: str = NAMESPACE,
        options: Mapping[str, object] | None = None,
        unreported: Sequence[str] = (),
        **headers: str,
    ) -> None:
        """Connect to a namespace.

        :param token: goes into the CONNECT payload.
        :param cookie: a token, goes into the cookie; ``None``: a browser keeps its own.
        :param auth: what else is in the CONNECT payload.
        :param options: of the JavaScript client, beside those of its driver.
        :param unreported: events that a JavaScript client keeps to itself: they are too many.
        :raises Refused: the client had a ``connect_error``.
        """
        answer = await self._perform(
            "connect",
            url=url,
            namespace=namespace,
            auth=_payload(token, auth),
            cookie=cookie,
            options=options or {},
            unreported=unreported,
            headers=headers,
        )
        if "refused" in answer:
            raise Refused(answer["refused"].get("message", ""), answer["refused"].get("data"))

    async def ask(self, event: str, *arguments: object) -> dict[str, Any]:
        """Emit with a callback; return what it was called with.

        :raises Unanswered: it was called with an error.
        """
        return await self.acknowledged(await self.begin(event, *arguments))

    async def begin(self, event: str, *arguments: object) -> int:
        """Emit with a callback; return what :meth:`acknowledged` takes."""
        return await self._send("emit", event=event, args=arguments, ack=True)

    async def acknowledged(self, command_id: int) -> dict[str, Any]:
        """Return what a callback was called with, once it is.

        :raises Unanswered: it was called with an error.
        """
        answer = await self._answer(command_id)
        if "failed" in answer:
            raise Unanswered(answer["failed"])
        (value,) = answer["ack"]
        assert isinstance(value, dict)
        return value

    async def emit(self, event: str, *arguments: object, volatile: bool = False) -> None:
        """Emit without a callback."""
        await self._perform("emit", event=event, args=arguments, ack=False, volatile=volatile)

    async def facts(self) -> Facts:
        """What the client's objects show now."""
        return Facts(**(await self._perform("facts"))["facts"])

    async def authenticate_with(
        self, token: str | None, auth: Mapping[str, object] | None = None
    ) -> None:
        """Let the client's ``auth`` function give something else from now on."""
        await self._perform("auth", auth=_payload(token, auth))

    async def set_cookie(self, token: str | None) -> None:
        """Put a token into the browser's cookie, or remove it."""
        await self._perform("cookie", cookie=token)

    async def fetch(self, url: str, **init: object) -> HttpResponse:
        """Let a page make an HTTP request, with its cookies.

        :raises Unanswered: the browser keeps the answer from the page, or there is none.
        """
        answer = await self._perform("fetch", url=url, init=init)
        if "failed" in answer:
            raise Unanswered(answer["failed"])
        return HttpResponse(**answer["answer"])

    async def drop(self) -> None:
        """Close the connection below the namespace."""
        await self._perform("drop")

    async def disconnect(self) -> None:
        """Leave the namespace for good."""
        await self._perform("disconnect")

    async def reconnect(self) -> None:
        """Come back after :meth:`disconnect`."""
        await self._perform("reconnect")

    async def event(
        self, name: str, where: Callable[[Any], bool] = lambda _: True, *, since: int = 0
    ) -> Any:
        """Wait for an event, which may have come already; return its first argument.

        :param since: how many of :attr:`happened` do not count.
        """
        with trio.fail_after(TIMEOUT):
            while True:
                for it in self.happened[since:]:
                    if it.name == name and where(it.value):
                        return it.value
                await self._news.wait()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until a condition on :attr:`happened` is true."""
        with trio.fail_after(TIMEOUT):
            while not condition():
                await self._news.wait()


def _payload(token: str | None, auth: Mapping[str, object] | None) -> dict[str, object] | None:
    payload = dict(auth or {})
    if token is not None:
        payload["token"] = token
    return payload or None


@asynccontextmanager
async def stock_clients(drivers: Iterable[Driver]) -> AsyncIterator[list[StockClient]]:
    """Clients for the time of a block, one for each driver; behind it they are gone."""
    async with AsyncExitStack() as stack, trio.open_nursery() as nursery:
        clients: list[StockClient] = []
        for driver in drivers:
            stream = await stack.enter_async_context(await driver.connect())
            clients.append(StockClient(stream))
            nursery.start_soon(clients[-1].read)
            nursery.start_soon(clients[-1].start, driver)
        for client in clients:
            await client.started.wait()
        try:
            yield clients
        finally:
            with trio.CancelScope(shield=True, deadline=trio.current_time() + ENDED):
                for client in clients:
                    await client.stream.send_eof()
                for client in clients:
                    await client.ended.wait()
            nursery.cancel_scope.cancel()


@asynccontextmanager
async def stock_client(driver: Driver) -> AsyncIterator[StockClient]:
    """A client for the time of a block."""
    async with stock_clients([driver]) as (client,):
        yield client
