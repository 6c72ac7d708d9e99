"""python-socketio's own client, driven line by line: ``python_driver.py``.

See ``drivers.py`` and ``stock_client.py``.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

import socketio
from socketio.exceptions import ConnectionError as NotConnected

NAMESPACE = "/gbs-lineup"
LONGEST_LINE = 2**24
"""Bytes."""


class Driver:
    """One client, and the connection over which it is driven."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.client = socketio.AsyncClient(reconnection=False)
        self.transports: list[str] = []
        self.refused: object = None
        self.client.on("*", self.event, namespace=NAMESPACE)
        self.client.on("connect_error", self.connect_error, namespace=NAMESPACE)
        self.client.on("disconnect", self.disconnected, namespace=NAMESPACE)

    def say(self, **what: Any) -> None:
        self.writer.write(json.dumps(what).encode() + b"\n")

    async def event(self, name: str, *arguments: Any) -> None:
        self.say(event=name, args=arguments)

    async def connect_error(self, data: Any) -> None:
        self.refused = data

    async def disconnected(self, reason: Any = None) -> None:
        self.say(event="disconnect", args=[reason])

    async def connect(
        self, url: str, auth: dict[str, Any] | None, headers: dict[str, str]
    ) -> dict[str, Any]:
        try:
            await self.client.connect(
                url,
                headers=headers,
                auth=auth,
                namespaces=[NAMESPACE],
                transports=self.transports,
            )
        except NotConnected as error:
            refused = self.refused if isinstance(self.refused, dict) else {"message": str(error)}
            return {"refused": refused}
        except RuntimeError as error:
            # It closes the connection before it reads the body of a refusal, which raises
            # this where the body did not come together with the head.
            return {"refused": {"message": str(error)}}
        return {}

    async def emit(self, name: str, args: list[Any], ack: bool, command_id: int) -> None:
        def acknowledged(*values: Any) -> None:
            self.say(id=command_id, ack=values)

        await self.client.emit(
            name, tuple(args), namespace=NAMESPACE, callback=acknowledged if ack else None
        )
        if not ack:
            self.say(id=command_id)

    async def run(self) -> None:
        try:
            while line := await self.reader.readline():
                await self.perform(json.loads(line))
        finally:
            await self.client.disconnect()
            self.writer.close()

    async def perform(self, command: dict[str, Any]) -> None:
        match command["op"]:
            case "start":
                self.transports = command["transports"]
                self.say(id=command["id"])
            case "connect":
                answer = await self.connect(command["url"], command["auth"], command["headers"])
                self.say(id=command["id"], **answer)
            case "emit":
                await self.emit(command["event"], command["args"], command["ack"], command["id"])
            case "disconnect":
                await self.client.disconnect()
                self.say(id=command["id"])


async def main() -> None:
    """Serve clients until standard input ends."""
    server = await asyncio.start_server(
        lambda reader, writer: Driver(reader, writer).run(), "127.0.0.1", limit=LONGEST_LINE
    )
    print(server.sockets[0].getsockname()[1], flush=True)  # noqa: T201
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    await reader.read()


if __name__ == "__main__":
    asyncio.run(main())
