"""The command line of the servers in this folder."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Callable, Sequence

import trio

from gbs_actor.server.http import HttpServer
from gbs_actor.socketio import EngineApp, EngineServer, FrontDoor


async def serve(
    server: EngineServer,
    listeners: Sequence[trio.SocketListener],
    *,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve over WebSocket and long-polling until cancelled."""
    http = HttpServer(
        EngineApp(server),
        head_limit=16_384,
        max_message=server.options.max_payload,
        keep_alive=60,
    )
    async with server.serving(), http.running():
        door = FrontDoor({server.options.path: server.serve_websocket}, http.serve)
        await door.serve(listeners, task_status=task_status)


async def _until_signalled(server: EngineServer, port: int) -> None:
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


def main(make_server: Callable[..., EngineServer], description: str) -> None:
    """Parse the command line and serve."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--port", type=int, default=3000)
    parser.add_argument("--ping-interval", type=float, default=0.3, help="seconds")
    parser.add_argument("--ping-timeout", type=float, default=0.2, help="seconds")
    parser.add_argument("--connect-timeout", type=float, default=45.0, help="seconds")
    parser.add_argument("--max-payload", type=int, default=1_000_000, help="bytes")
    parsed = parser.parse_args()
    server = make_server(
        ping_interval=parsed.ping_interval,
        ping_timeout=parsed.ping_timeout,
        connect_timeout=parsed.connect_timeout,
        max_payload=parsed.max_payload,
    )
    trio.run(_until_signalled, server, parsed.port)
