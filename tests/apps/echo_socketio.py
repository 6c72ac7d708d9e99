"""The server that the Engine.IO and Socket.IO protocol test suites ask for.

Run with ``python -m tests.apps.echo_socketio --port 3000``.
"""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Sequence
from typing import Any

import trio

from gbs_actor.socketio import FrontDoor, Namespace, ReplayStream, Socket, SocketServer

_NOT_FOUND = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


def echo(space: Namespace) -> None:
    """Give a namespace the handlers of the test suites."""

    @space.on_connect
    def connect(socket: Socket, auth: Any) -> None:
        socket.emit("auth", {} if auth is None else auth)

    @space.on("message")
    def message(socket: Socket, *args: Any) -> None:
        socket.emit("message-back", *args)

    @space.on("message-with-ack")
    def message_with_ack(socket: Socket, *args: Any) -> tuple[Any, ...]:
        return args


def echo_server(**options: Any) -> SocketServer:
    """Return a server with the namespaces ``/`` and ``/custom``."""
    server = SocketServer(**options)
    echo(server.namespace("/"))
    echo(server.namespace("/custom"))
    return server


async def not_found(stream: ReplayStream) -> None:
    """Answer any HTTP request with a 404."""
    await stream.receive_some()
    await stream.send_all(_NOT_FOUND)


async def serve(
    server: SocketServer,
    listeners: Sequence[trio.SocketListener],
    *,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve until cancelled."""
    async with server.serving():
        door = FrontDoor({server.options.path: server.serve_websocket}, not_found)
        await door.serve(listeners, task_status=task_status)


async def _until_signalled(server: SocketServer, port: int) -> None:
    listeners = await trio.open_tcp_listeners(port, host="127.0.0.1")
    bound = listeners[0].socket.getsockname()[1]
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async with trio.open_nursery() as nursery:
            await nursery.start(serve, server, listeners)
            sys.stdout.write(f"listening on http://127.0.0.1:{bound}\n")
            sys.stdout.flush()
            async for _ in signals:
                nursery.cancel_scope.cancel()
                break


def main() -> None:
    """Parse the command line and serve."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=3000)
    parser.add_argument("--ping-interval", type=float, default=0.3, help="seconds")
    parser.add_argument("--ping-timeout", type=float, default=0.2, help="seconds")
    parser.add_argument("--connect-timeout", type=float, default=45.0, help="seconds")
    parser.add_argument("--max-payload", type=int, default=1_000_000, help="bytes")
    parsed = parser.parse_args()
    server = echo_server(
        ping_interval=parsed.ping_interval,
        ping_timeout=parsed.ping_timeout,
        connect_timeout=parsed.connect_timeout,
        max_payload=parsed.max_payload,
    )
    trio.run(_until_signalled, server, parsed.port)


if __name__ == "__main__":
    main()
