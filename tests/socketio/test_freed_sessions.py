"""What has ended is freed by its last reference: the garbage collector has nothing to look for.

A full collection stops the event loop, for the longer, the more objects there are.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from gbs_actor.socketio import Backlog, Channel, Outbox, Socket, SocketServer
from gbs_actor.socketio.channel.dispatcher import Dispatcher
from gbs_actor.socketio.channel.websocket_transport import WebSocketTransport
from gbs_actor.socketio.conversation import Conversation
from gbs_actor.socketio.engineio.polling import PollingTransport
from tests.freeing import freed
from tests.socketio.polls import WEBSOCKET, Site, site

KINDS = (
    Backlog,
    Channel,
    Conversation,
    Dispatcher,
    Outbox,
    PollingTransport,
    Socket,
    WebSocketTransport,
)


async def wait_before_the_reply(socket: Socket) -> str:
    await trio.sleep(1)
    return "done"


def server_with_a_handler() -> SocketServer:
    server = SocketServer()
    server.namespace("/").on("wait")(wait_before_the_reply)
    return server


async def poll(of: Site) -> None:
    """Join, have an event handled, and leave, by polls only."""
    polls = await of.joined()
    await polls.send('420["wait"]')
    assert await polls.receive() == '430["done"]'
    await polls.send("1")


async def poll_without_a_word(of: Site) -> None:
    """Open a session that the server ends, as its client joins nothing."""
    await of.polls()
    await trio.sleep(100)


async def move_to_a_websocket(of: Site) -> None:
    """Join by polls, move, have an event handled, and leave."""
    polls = await of.joined()
    peer = await of.dial(f"{WEBSOCKET}&sid={polls.sid}")
    await peer.send("2probe")
    assert await peer.receive_text() == "3probe"
    await peer.send("5")
    await peer.send('420["wait"]')
    assert await peer.receive_text() == '430["done"]'
    await peer.stream.aclose()


async def use_a_websocket(of: Site) -> None:
    """Join, have an event handled, and leave."""
    peer = await of.dial(WEBSOCKET)
    await peer.receive_text()
    await peer.connect("/")
    await peer.send('420["wait"]')
    assert await peer.receive_text() == '430["done"]'
    await peer.stream.aclose()


async def leave_while_an_event_is_handled(of: Site) -> None:
    """Disconnect before the event of a handler that waits has its reply."""
    peer = await of.dial(WEBSOCKET)
    await peer.receive_text()
    await peer.connect("/")
    await peer.send('420["wait"]')
    await wait_all_tasks_blocked()
    await peer.stream.aclose()


@pytest.mark.parametrize(
    "use",
    [
        poll,
        poll_without_a_word,
        move_to_a_websocket,
        use_a_websocket,
        leave_while_an_event_is_handled,
    ],
)
async def test_a_connection_that_has_ended_is_freed_at_once(
    clock: MockClock, use: Callable[[Site], Awaitable[None]]
) -> None:
    server = server_with_a_handler()
    async with site(server) as of:
        with freed(*KINDS):
            await use(of)
            await trio.sleep(100)
            await wait_all_tasks_blocked()
            assert server.statistics().connections == 0
