"""``gbs_actor.socketio`` alone, which sends back what it gets: no line-up, no database. PORT."""

from __future__ import annotations

import os

import trio

from gbs_actor.socketio import Event, FrontDoor, HttpStream, ServerOptions, Socket, SocketServer


async def no_http(stream: HttpStream) -> None:
    """Serve no HTTP."""
    await stream.aclose()


def echo(socket: Socket, event: Event) -> None:
    """Acknowledge an event with its arguments."""
    event.reply_raw(event.first or b"null")


async def main() -> None:
    """Serve until the process ends."""
    server = SocketServer(ServerOptions(packet_rate=1e9, packet_burst=1_000_000))
    server.namespace("/gbs-lineup").on_any(echo)
    async with server.serving():
        door = FrontDoor({server.options.socketio_path: server.serve_websocket}, no_http)
        port = int(os.environ["PORT"])
        await door.serve(await trio.open_tcp_listeners(port, host="127.0.0.1", backlog=4_096))


if __name__ == "__main__":
    trio.run(main)
