"""python-socketio's own client, driven line by line: ``python_driver.py TRANSPORTS``.

See ``stock_client.py``.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

import socketio
from socketio.exceptions import ConnectionError as NotConnected

NAMESPACE = "/gbs-lineup"


def say(**what: Any) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


class Driver:
    def __init__(self) -> None:
        self.client = socketio.AsyncClient(reconnection=False)
        self.refused: object = None
        self.client.on("*", self.event, namespace=NAMESPACE)
        self.client.on("connect_error", self.connect_error, namespace=NAMESPACE)
        self.client.on("disconnect", self.disconnected, namespace=NAMESPACE)

    async def event(self, name: str, *arguments: Any) -> None:
        say(event=name, args=arguments)

    async def connect_error(self, data: Any) -> None:
        self.refused = data

    async def disconnected(self, reason: Any = None) -> None:
        say(event="disconnect", args=[reason])

    async def connect(
        self, url: str, auth: dict[str, Any] | None, headers: dict[str, str]
    ) -> dict[str, Any]:
        try:
            await self.client.connect(
                url,
                headers=headers,
                auth=auth,
                namespaces=[NAMESPACE],
                transports=sys.argv[1].split(","),
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
            say(id=command_id, ack=values)

        await self.client.emit(
            name, tuple(args), namespace=NAMESPACE, callback=acknowledged if ack else None
        )
        if not ack:
            say(id=command_id)

    async def run(self) -> None:
        reader = asyncio.StreamReader(limit=2**24)
        loop = asyncio.get_running_loop()
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        while line := await reader.readline():
            command = json.loads(line)
            match command["op"]:
                case "connect":
                    answer = await self.connect(command["url"], command["auth"], command["headers"])
                    say(id=command["id"], **answer)
                case "emit":
                    await self.emit(
                        command["event"], command["args"], command["ack"], command["id"]
                    )
                case "disconnect":
                    await self.client.disconnect()
                    say(id=command["id"])


if __name__ == "__main__":
    asyncio.run(Driver().run())
