"""Nothing is lost or doubled when a session upgrades, at whatever moment, both ways at work.

The client keeps to the protocol: one GET and one POST at a time, and over the WebSocket it
says nothing while a POST is under way. Everything else happens in any order.
"""

from __future__ import annotations

import base64
import itertools
import json
from collections import Counter
from collections.abc import Awaitable
from contextlib import suppress
from typing import Any

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock, wait_all_tasks_blocked

from gbs_actor.socketio import Socket, SocketServer, encode_event
from tests.socketio.peer import Close, Peer
from tests.socketio.polls import WEBSOCKET, AsgiSocket, Exchange, Polls, Site, binary, site

END = '42["end"]'
STEPS = st.one_of(
    st.sampled_from(
        [
            "get", "post", "half a post", "rest of the post", "dial", "probe", "upgrade",
            "drop", "say", "emit", "emit", "state",
        ]
    ),
    st.tuples(st.just("emit binary"), st.lists(st.integers(0, 70), min_size=1, max_size=3)),
    st.tuples(st.just("tick"), st.integers(1, 6)),
    st.just("settle"),
)  # fmt: skip
KINDS = st.sampled_from(["socket", "stream", "asgi"])


class Client:
    """Takes the steps that it may take in its state, and keeps book."""

    def __init__(self, clients: Site, polls: Polls, socket: Socket, nursery: trio.Nursery) -> None:
        self.emitted: list[str | bytes] = []
        """Packets that have to arrive, as over a WebSocket."""
        self.received: list[str | bytes] = []
        self.said: list[int] = []
        self.heard: list[int] = []
        self.states = 0
        self._clients = clients
        self._polls = polls
        self._socket = socket
        self._nursery = nursery
        self._numbers = itertools.count()
        self._get: Exchange | None = None
        self._post: Exchange | None = None
        self._rest = b""
        self._websocket: Peer | AsgiSocket | None = None
        self._dialing = False
        self._probed = self._answered = self.upgraded = False
        self.crossed = False
        """Whether it has upgraded without waiting for the answer to its GET, as it should: then
        that and what the WebSocket brings are two sequences."""

    def take(self, step: str | tuple[str, Any], kind: str) -> Awaitable[object] | None:
        match step:
            case "get" if self._may_poll():
                self._nursery.start_soon(self._poll)
            case "post" if self._post is None and not self.upgraded:
                self._begin_post(2)
                self._rest_of_post()
            case "half a post" if self._post is None and not self.upgraded:
                self._begin_post(2)
            case "rest of the post" if self._rest:
                self._rest_of_post()
            case "dial" if not self._dialing:
                self._dialing = True
                self._nursery.start_soon(self._dial, kind)
            case "probe" if self._websocket is not None and not self._probed:
                self._probed = True
                return self._websocket.send("2probe")
            case "upgrade" if self._answered and not self.upgraded:
                return self._upgrade()
            case "drop" if self._websocket is not None and not self.upgraded:
                return self._drop()
            case "say" if self.upgraded and self._post is None:
                assert self._websocket is not None
                return self._websocket.send(f'42["say",{self._number()}]')
            case "emit":
                number = next(self._numbers)
                self._socket.emit("news", number)
                self.emitted.append(f'42["news",{number}]')
            case "state":
                self.states += 1
                self._socket.deliver(encode_event("/", "state", self.states, key="state"))
            case ("emit binary", sizes):
                parts = [bytes([65 + n]) * size for n, size in enumerate(sizes)]
                self._socket.emit("files", *parts)
                places = [{"_placeholder": True, "num": n} for n in range(len(parts))]
                text = json.dumps(["files", *places], separators=(",", ":"))
                self.emitted += [f"45{len(parts)}-{text}", *parts]
            case ("tick", times):
                return self._tick(times)
            case "settle":
                return wait_all_tasks_blocked()
        return None

    def _number(self) -> int:
        number = next(self._numbers)
        self.said.append(number)
        return number

    async def _tick(self, times: int) -> None:
        for _ in range(times):
            await trio.lowlevel.checkpoint()

    def _may_poll(self) -> bool:
        return self._get is None and not self.upgraded

    async def _poll(self) -> None:
        if not self._may_poll():
            return
        self._get = exchange = self._polls.ask()
        answer = await exchange.answered()
        self._get = None
        if answer.status != 200:
            assert self.upgraded, answer
            return
        for packet in answer.packets:
            if packet[:1] == "b":
                self.received.append(base64.b64decode(packet[1:]))
            elif packet != "6":
                self.received.append(packet)

    def _begin_post(self, messages: int) -> None:
        self._post = self._polls.tell()
        packets = [f'42["say",{self._number()}]' for _ in range(messages)]
        packets += [f'451-["say",{self._number()},{{"_placeholder":true,"num":0}}]', binary(b"x")]
        body = "\x1e".join(packets).encode()
        self._post.body(body[:30], more=True)
        self._rest = body[30:]
        self._nursery.start_soon(self._await_post, self._post)

    def _rest_of_post(self) -> None:
        assert self._post is not None
        self._post.body(self._rest)
        self._rest = b""

    async def _await_post(self, post: Exchange) -> None:
        answer = await post.answered()
        assert (answer.status, answer.body) == (200, b"ok")
        self._post = None

    async def _dial(self, kind: str) -> None:
        query = f"{WEBSOCKET}&sid={self._polls.sid}"
        websocket = await (
            self._clients.websocket(query)
            if kind == "asgi"
            else self._clients.dial(query, socket=kind == "socket")
        )
        self._websocket = websocket
        with suppress(trio.ClosedResourceError):  # dropped meanwhile
            await self._listen(websocket)

    async def _listen(self, websocket: Peer | AsgiSocket) -> None:
        while not isinstance(received := await websocket.receive(), Close):
            if received == "3probe":
                self._answered = websocket is self._websocket
            else:
                assert self.upgraded
                self.received.append(received)  # type: ignore[arg-type]

    async def _upgrade(self) -> None:
        if self._post is not None:  # it has to be there first
            await wait_all_tasks_blocked()
        assert self._websocket is not None
        self.upgraded = True
        self.crossed = self._get is not None
        await self._websocket.send("5")

    async def _drop(self) -> None:
        websocket, self._websocket = self._websocket, None
        self._dialing = self._probed = self._answered = False
        if isinstance(websocket, AsgiSocket):
            await websocket.leave()
        elif websocket is not None:
            await websocket.stream.aclose()
        await wait_all_tasks_blocked()

    async def finish(self) -> None:
        """Bring everything that is under way to its end."""
        if self._rest:
            self._rest_of_post()
        self._socket.emit("end")
        self.emitted.append(END)
        await wait_all_tasks_blocked()
        while END not in self.received:
            assert not self.upgraded, "something was lost"
            await self._poll()
            await wait_all_tasks_blocked()


async def play(kind: str, steps: list[str | tuple[str, Any]]) -> None:
    server = SocketServer(max_payload=200, ping_interval=1_000)
    heard: list[int] = []
    server.namespace("/").on("say")(lambda socket, number, *rest: heard.append(number))
    async with site(server) as clients, trio.open_nursery() as nursery:
        polls = await clients.joined()
        (socket,) = server.namespace("/").sockets
        client = Client(clients, polls, socket, nursery)
        for step in steps:
            taken = client.take(step, kind)
            if taken is not None:
                await taken
        await client.finish()
        assert trio.current_time() < 1, "nothing here has to wait"
        states = [packet for packet in client.received if str(packet).startswith('42["state"')]
        others = [packet for packet in client.received if packet not in states]
        if client.crossed:
            assert Counter(others) == Counter(client.emitted)
        else:
            assert others == client.emitted
        numbers = [json.loads(str(state)[2:])[1] for state in states]
        assert numbers == sorted(set(numbers))
        assert numbers[-1:] == ([client.states] if client.states else [])
        assert heard == client.said
        assert server.statistics().upgrades == client.upgraded
        nursery.cancel_scope.cancel()


@given(kind=KINDS, steps=st.lists(STEPS, max_size=40))
def test_any_order_of_steps_loses_and_doubles_nothing(
    kind: str, steps: list[str | tuple[str, Any]]
) -> None:
    trio.run(play, kind, steps, clock=MockClock(autojump_threshold=0))


@given(
    kind=KINDS,
    before=st.lists(STEPS, max_size=10),
    between=st.lists(STEPS, max_size=10),
    after=st.lists(STEPS, max_size=10),
)
def test_an_upgrade_amid_any_steps_loses_and_doubles_nothing(
    kind: str,
    before: list[str | tuple[str, Any]],
    between: list[str | tuple[str, Any]],
    after: list[str | tuple[str, Any]],
) -> None:
    steps = [*before, "dial", "settle", "probe", *between, "settle", "upgrade", *after]
    trio.run(play, kind, steps, clock=MockClock(autojump_threshold=0))


@pytest.mark.parametrize("kind", ["socket", "stream", "asgi"])
async def test_the_steps_reach_an_upgrade(clock: MockClock, kind: str) -> None:
    await play(kind, ["dial", "settle", "probe", "settle", "emit", "upgrade", "say", "emit"])
