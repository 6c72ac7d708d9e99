"""Stock Socket.IO clients in processes of their own, told what to do line by line.

A driver (``node/driver.mjs``, ``python_driver.py``) reads one JSON command a line and
writes one JSON object a line: answers to commands, and events in the order in which the
client's library hands them out.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import trio

PATIENCE = 10.0
"""Seconds after which something that should have come is missing."""


@dataclass(frozen=True)
class Happened:
    """Something a client's library told its user."""

    name: str
    """An event's name; ``ack`` for an acknowledgement; ``disconnect``."""
    arguments: list[Any]


@dataclass(frozen=True)
class Refused(Exception):
    """``connect_error``."""

    message: str
    data: dict[str, Any] | None

    @property
    def code(self) -> str | None:
        return (self.data or {}).get("code")


@dataclass
class StockClient:
    """One client process."""

    process: trio.Process
    happened: list[Happened] = field(default_factory=list)
    """Everything so far, in order."""
    _answers: dict[int, dict[str, Any]] = field(default_factory=dict)
    _next_id: int = 0
    _news: trio.Event = field(default_factory=trio.Event)

    async def read(self) -> None:
        """Take what the process says until it ends."""
        assert self.process.stdout is not None
        rest = b""
        async for chunk in self.process.stdout:
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                said = json.loads(line)
                if "id" in said:
                    self._answers[said["id"]] = said
                    if "ack" in said:
                        self.happened.append(Happened("ack", said["ack"]))
                else:
                    self.happened.append(Happened(said["event"], said["args"]))
            self._news.set()
            self._news = trio.Event()

    async def _tell(self, operation: str, **arguments: object) -> dict[str, Any]:
        command_id = self._next_id
        self._next_id += 1
        assert self.process.stdin is not None
        line = json.dumps({"id": command_id, "op": operation, **arguments})
        await self.process.stdin.send_all(line.encode() + b"\n")
        with trio.fail_after(PATIENCE):
            while command_id not in self._answers:
                await self._news.wait()
        return self._answers.pop(command_id)

    async def connect(self, url: str, token: str | None = None, **headers: str) -> None:
        """Connect to the line-up's namespace.

        :raises Refused: the server sent a ``connect_error``.
        """
        answer = await self._tell("connect", url=url, token=token, headers=headers)
        if "refused" in answer:
            raise Refused(answer["refused"].get("message", ""), answer["refused"].get("data"))

    async def ask(self, event: str, *arguments: object) -> dict[str, Any]:
        """Emit with a callback; return what it was called with."""
        answer = await self._tell("emit", event=event, args=arguments, ack=True)
        (value,) = answer["ack"]
        assert isinstance(value, dict)
        return value

    async def emit(self, event: str, *arguments: object) -> None:
        """Emit without a callback."""
        await self._tell("emit", event=event, args=arguments, ack=False)

    async def disconnect(self) -> None:
        await self._tell("disconnect")

    async def event(
        self, name: str, where: Callable[[Any], bool] = lambda _: True, *, since: int = 0
    ) -> Any:
        """Wait for an event, which may have come already; return its first argument.

        :param since: how many of :attr:`happened` do not count.
        """
        with trio.fail_after(PATIENCE):
            while True:
                for it in self.happened[since:]:
                    if it.name == name and where(it.arguments[0] if it.arguments else None):
                        return it.arguments[0] if it.arguments else None
                await self._news.wait()


@asynccontextmanager
async def stock_client(command: Sequence[str]) -> AsyncIterator[StockClient]:
    """Run a driver for the time of a block."""
    process = await trio.lowlevel.open_process(
        list(command), stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    client = StockClient(process)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(client.read)
        try:
            yield client
        finally:
            process.kill()
            with trio.CancelScope(shield=True):
                await process.wait()
            nursery.cancel_scope.cancel()
