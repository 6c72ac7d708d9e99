"""The command line of the servers in this folder."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Callable, Sequence
from functools import partial

import trio

from gbs_actor.server.hypercorn import HttpServer
from gbs_actor.socketio import EngineApp, EngineServer, FrontDoor
from tests.apps.options import from_environment


async def serve(
    server: EngineServer,
    listeners: Sequence[trio.SocketListener],
    *,
    until: trio.Event | None = None,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve over WebSocket and long-polling until cancelled.

    :param until: when to end in good order instead, so that clients hear of it.
    """
    http = HttpServer(
        EngineApp(server),
        head_limit=16_384,
        max_payload=server.options.max_payload,
        http_idle_timeout=60,
    )
    async with server.serving(), trio.open_nursery() as nursery:
        requests = {server.path: server.serve_http}
        door = FrontDoor({server.path: server.serve_websocket}, http.serve, requests=requests)
        await nursery.start(door.serve, listeners)
        task_status.started()
        if until is not None:
            await until.wait()
            door.stop_accepting()
            await server.shutdown()
            await door.drain(1.0)
            nursery.cancel_scope.cancel()


async def _until_signalled(server: EngineServer, port: int) -> None:
    listeners = await trio.open_tcp_listeners(port, host="127.0.0.1")
    bound = listeners[0].socket.getsockname()[1]
    ending = trio.Event()
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async with trio.open_nursery() as nursery:
            await nursery.start(partial(serve, server, listeners, until=ending))
            sys.stdout.write(f"listening on http://127.0.0.1:{bound}\n")
            sys.stdout.flush()
            async for _ in signals:
                ending.set()
                break


def main(make_server: Callable[..., EngineServer], description: str) -> None:
    """Parse the command line and serve."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--port", type=int, default=3000)
    parser.add_argument("--ping-interval", type=float, default=0.3, help="seconds")
    parser.add_argument("--ping-timeout", type=float, default=0.2, help="seconds")
    parser.add_argument("--connect-timeout", type=float, default=1.0, help="seconds")
    parser.add_argument("--max-payload", type=int, default=1_000_000, help="bytes")
    parsed = parser.parse_args()
    options = {
        "ping_interval": parsed.ping_interval,
        "ping_timeout": parsed.ping_timeout,
        "connect_timeout": parsed.connect_timeout,
        "max_payload": parsed.max_payload,
    }
    server = make_server(**options | from_environment())
    trio.run(_until_signalled, server, parsed.port)
