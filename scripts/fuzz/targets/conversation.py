"""A whole server and its clients, good and bad ones: nobody harms the others, nothing is left.

Sessions over long-polling and WebSocket, upgrades, cancellations and jumps of the clock, in any
order. What must hold: a client that keeps to the protocol keeps its session and gets what it has
to get, in order and once; and when all have gone the server has no session, task, timer or
object left, and still takes as many clients as before.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Final

import trio
from trio.testing import wait_all_tasks_blocked

from gbs_actor.socketio import FrontDoor
from scripts.fuzz.application import PATH, SLOW, Application, is_good
from scripts.fuzz.choices import JSON, Choices
from scripts.fuzz.client import (
    GONE,
    WAYS,
    Client,
    NarrowListener,
    Network,
    Packets,
    drop,
    prefix,
    send_to,
)
from scripts.fuzz.running import Target
from scripts.fuzz.simulation import living_tasks, simulate
from tests.socketio.frames import frame
from tests.socketio.peer import Peer, no_fallback
from tests.socketio.polls import Exchange

_PAUSES: Final = (0.0, 0.0, 0.01, 0.4, 3.1, 7.9, 10.3, 20.7, 25.9, 46.3)
_LONG: Final = 400.0
"""Seconds after which nothing can be left of clients that send nothing."""
_ENDINGS: Final = ("packet", "drop", "silence", "shutdown", "cancel")
_MOST_CLIENTS: Final = 6
_GOOD_EVENTS: Final = (
    "echo", "slow", "tick", "state", "broadcast", "fail", "keep", "drop", "later", "volatile",
    "bundle", "large", "fail-later", "shielded",
)  # fmt: skip
_EVENTS: Final = (*_GOOD_EVENTS, "leave", "close", "abort", "connect", "")
_GOOD_AUTHS: Final = ("", "", "{}", '{"how":"slow"}', '{"how":"emit"}', '{"how":"refuse"}')
_AUTHS: Final = (
    *_GOOD_AUTHS, '{"how":"fail"}', '{"how":"fail-at-end"}', '{"how":"leave"}',
    '{"how":"refuse","slow":1}', "[]", '{"how":1}',
)  # fmt: skip
_PACKETS: Final = (
    "1", "2", "3", "5", "6", "0", "", "7", "41", "40", "40/custom", "40/bare,", "40/other,",
    "41/custom",
    "430[]", "43", '42["echo"]', '42/bare,0["x"]', "451-",
    '451-["echo",{"_placeholder":true,"num":0}]',
    "4", "44", "2probe", "3probe", "42[]", '461-0[{"_placeholder":true,"num":0}]', "x", "\x1e",
    "4\x1e2",
)  # fmt: skip
_QUERIES: Final = (
    "", "EIO=4", "EIO=4&transport=polling&sid=nobody", "EIO=3&transport=polling",
    "transport=polling",
    "EIO=4&transport=websocket", "EIO=4&transport=polling&EIO=3", "&" * 200,
    "EIO=4&transport=x&sid=y",
)  # fmt: skip
_FOREIGN_PAGE: Final = (("cookie", "accessToken=x"), ("origin", "https://evil.example"))
_PROBE_PACKETS: Final[tuple[str | bytes, ...]] = (
    "2probe",
    "5",
    "3",
    "1",
    "40",
    '42["echo"]',
    b"\x00",
)


def check(choices: Choices) -> None:
    order = choices.below(256)

    async def scenario() -> None:
        case = _Scenario(choices)
        try:
            await case.run()
        finally:
            case.listener.close_all()

    simulate(scenario, order)


class _Scenario:
    def __init__(self, choices: Choices) -> None:
        self._choices = choices
        self._ending = choices.pick(_ENDINGS)
        self._application = Application(deflate=choices.chance())
        self._clients: list[Client] = []
        self._exchanges: list[Exchange] = []
        self.listener = NarrowListener()
        self._network: Network
        self._nursery: trio.Nursery

    async def run(self) -> None:
        application = self._application
        async with application.server.serving():
            async with trio.open_nursery() as around:
                door = FrontDoor({PATH: application.server.serve_websocket}, no_fallback)
                await around.start(door.serve, [self.listener])
                self._network = Network(application, self.listener, around)
                other = Client(
                    Network(application, self.listener, around),
                    around,
                    good=True,
                    way=self._choices.pick(("memory", "sockets", "asgi")),
                )
                await other.open_websocket()
                await other.send("40/custom,")
                await wait_all_tasks_blocked()
                tasks = living_tasks()
                await self._act()
                await trio.sleep(_LONG)
                application.release()
                if self._ending != "shutdown":
                    await self._check_other(other)
                    application.check_empty(sessions=1)
                    assert living_tasks() == tasks, f"{living_tasks() - tasks} tasks too many"
                    await self._serve_another(around)
                    await other.send("1")
                    await trio.sleep(1)
                assert door.statistics().failures == 0
                around.cancel_scope.cancel()
            await trio.sleep(1)
            del other
            application.check_empty()
            application.check_disconnected()

    async def _act(self) -> None:
        """Do what the case decides, then let all clients go, each in its way."""
        choices = self._choices
        with trio.move_on_after(_LONG * 40) as scope:
            async with trio.open_nursery() as nursery:
                self._nursery = nursery
                for _ in choices.times(30):
                    await self._step()
                await self._check_good_clients()
                await self._leave()
        assert not scope.cancelled_caught, "something of the clients' does not end"
        if self._ending == "silence":
            await trio.sleep(_LONG)
            sessions = self._application.server.statistics().connections
            assert sessions == 1, "sessions of clients that send nothing are left"
        for exchange in self._exchanges:
            exchange.leave()
        await self._network.drop_all()
        self._clients.clear()
        self._exchanges.clear()

    async def _step(self) -> None:
        choices = self._choices
        step = choices.below(15)
        if step < 2 and len(self._clients) < _MOST_CLIENTS:
            await self._open()
        elif step < 10 and self._clients:
            client = choices.pick(self._clients)
            if step < 6:
                await self._send(client)
            elif step < 8:
                await self._upgrade(client)
            elif step == 8 and not client.good:
                await self._misbehave(client)
            else:
                client.stop_reading(4.1 if client.good else choices.pick(_PAUSES))
        elif step == 10:
            await self._intrude()
        elif step == 11:
            self._use_socket()
        elif step == 12:
            self._application.answer()
        elif step == 13:
            await wait_all_tasks_blocked()
        else:
            await trio.sleep(choices.pick(_PAUSES))

    async def _do(self, client: Client, what: Callable[[], Awaitable[Any]]) -> None:
        """Do something to its end, or only begin it."""

        async def act() -> None:
            await what()
            client.in_flight -= 1

        client.in_flight += 1
        if self._choices.chance(4):
            self._nursery.start_soon(act)
            return
        with trio.move_on_after(_LONG * 8):
            await act()

    # Clients and what they send.

    async def _open(self) -> None:
        choices = self._choices
        client = Client(
            self._network, self._nursery, good=not choices.chance(4), way=choices.pick(WAYS)
        )
        self._clients.append(client)
        if choices.chance():
            await client.open_websocket()
        else:
            await client.open_polling(poll=client.good or not choices.chance(4))
        if client.good or not choices.chance(8):
            await client.send("40" + choices.pick(_GOOD_AUTHS[:5]))
            with trio.move_on_after(SLOW + 1):
                while "/" not in client.joined and client.end is None:
                    await trio.sleep(0.5)

    async def _send(self, client: Client) -> None:
        choices = self._choices
        packets = [packet for _ in range(1 + choices.below(4)) for packet in self._packet(client)]
        parts = choices.pick((1, 1, 3))
        await self._do(client, lambda: client.send(*packets, parts=parts))

    def _packet(self, client: Client) -> Packets:
        """Return a packet with its attachments, a bad one from a bad client."""
        choices = self._choices
        namespace = choices.pick(sorted(client.joined) or ["/"])
        if not client.good and choices.chance(4):
            text = choices.pick(_PACKETS) if choices.chance() else "42" + choices.scraps(4)
            return [choices.spoil(text) if choices.chance(4) else text]
        if not client.good and choices.chance(8):
            return [choices.bytes(30)]
        match choices.below(8):
            case 0:
                return self._join_or_leave(client)
            case 1 | 2:
                args = [choices.draw(JSON) for _ in choices.times(2)]
                return [client.event(namespace, "echo", *args) if namespace != "/bare" else "3"]
            case 3:
                count = 1 + choices.below(3 if client.good else 6)
                holes = [{"_placeholder": True, "num": number} for number in range(count)]
                text = json.dumps(["echo", *holes])
                attachments = [choices.bytes(60) for _ in range(count)]
                return [f"45{count}-{prefix(namespace)}{text}", *attachments]
            case 4 if choices.chance():
                name = choices.pick(("slow", "tick", "keep", "echo"))
                return [f'42{prefix(namespace)}["{name}",9]'] * (1 + choices.below(8))
            case _:
                name = choices.pick(_GOOD_EVENTS if client.good else _EVENTS)
                args = [choices.below(20), 0 if client.good else choices.below(3_000)]
                number = str(10_000 + choices.below(100))
                ack_id = "" if client.good or choices.chance() else number
                return [f"42{prefix(namespace)}{ack_id}{json.dumps([name, *args])}"]

    def _join_or_leave(self, client: Client) -> Packets:
        choices = self._choices
        if not client.good:
            name = choices.pick(("/custom,", "", "/bare,", "/other,"))
            return [f"41{name}" if choices.chance() else f"40{name}" + choices.pick(_AUTHS)]
        # Never "/", so that it has always joined something; and nothing may overtake it.
        if client.in_flight:
            return ["3"]
        if "/custom" in client.joined and choices.chance():
            client.note_left("/custom")
            return ["41/custom,"]
        if "/custom" in client.joining:
            return ["3"]
        client.joining.add("/custom")
        return ["40/custom," + choices.pick(_GOOD_AUTHS)]

    async def _upgrade(self, client: Client) -> None:
        choices = self._choices
        abandon_at = choices.pick((0, 0, 0, 1, 2, 3))
        events = choices.below(7)
        impatient = not client.good and choices.chance()
        if client.good and client.upgrading:
            return
        await self._do(
            client,
            lambda: client.upgrade(abandon_at=abandon_at, events=events, impatient=impatient),
        )

    # What only bad ones do.

    async def _misbehave(self, client: Client) -> None:
        choices = self._choices
        match choices.below(7):
            case 0:
                client.answers_pings = False
            case 1 if client.websocket is not None:
                await drop(client.websocket)
            case 2:
                await self._ask("GET", client.query("polling"), [b""])
            case 3:
                body = choices.pick(([b"4" + b"x" * 1_000] * 3, [choices.bytes(60), b""]))
                await self._ask("POST", client.query("polling"), body)
            case 4 if isinstance(client.websocket, Peer):
                opcode, rsv = choices.below(16), choices.below(8)
                junk = frame(opcode, choices.bytes(60), fin=not choices.chance(4), rsv=rsv)
                stream = client.websocket.stream
                self._nursery.start_soon(
                    _send_junk, stream, choices.bytes(20) if choices.chance() else junk
                )
            case 5:
                await self._probe(client.query("websocket"))
            case _:
                await self._do(client, lambda: client.post(["1"]))

    async def _intrude(self) -> None:
        """Ask for what is nobody's, or with somebody else's id."""
        choices = self._choices
        query = choices.pick(_QUERIES)
        bad = [client for client in self._clients if not client.good]
        if bad and choices.chance():
            query = choices.pick(bad).query(choices.pick(("websocket", "polling", "x")))
        if choices.chance(4):
            await self._probe(choices.pick((query, "EIO=4&transport=websocket")))
            return
        method = choices.pick(("GET", "POST", "OPTIONS", "DELETE", "HEAD", "get"))
        await self._ask(method, query, [b""], foreign=choices.chance(4))

    async def _probe(self, query: str) -> None:
        """Open a WebSocket that sends this or that, and is left alone."""
        choices = self._choices
        websocket = await self._network.dial(query, choices.pick(("memory", "sockets", "asgi")))
        for _ in choices.times(4):
            self._nursery.start_soon(send_to, websocket, choices.pick(_PROBE_PACKETS))
            await trio.sleep(choices.pick(_PAUSES) if choices.chance(4) else 0)
        if choices.chance():
            await send_to(websocket, "40/custom,")  # answered when it is gone already
            await drop(websocket)

    async def _ask(
        self, method: str, query: str, body: list[bytes], *, foreign: bool = False
    ) -> None:
        """Send a request, perhaps in part only, and perhaps leave before the answer."""
        choices = self._choices
        exchange = self._network.site.ask(method, query, _FOREIGN_PAGE if foreign else ())
        self._exchanges.append(exchange)
        self._nursery.start_soon(self._network.ask, exchange)
        for part in body[:-1]:
            exchange.body(part, more=True)
            await trio.sleep(choices.pick(_PAUSES))
        if not choices.chance(4):
            exchange.body(body[-1])
        if choices.chance():
            await trio.sleep(choices.pick(_PAUSES))
            if choices.chance():
                exchange.leave()

    def _use_socket(self) -> None:
        """Have the application do something on its own account."""
        choices = self._choices
        sockets = self._application.sockets
        if not sockets:
            return
        socket = choices.pick(sockets)
        match choices.below(6):
            case 0 | 1:
                timeout = choices.pick((0.5, 30.0))
                self._nursery.start_soon(self._application.call, socket, timeout)
            case 2:
                for _ in choices.times(20):
                    self._application.tick(socket)
            case 3 if not is_good(socket):
                socket.disconnect(close=choices.chance())
            case 4 if not is_good(socket):
                socket.close_transport(1012)
            case 5 if not is_good(socket):
                socket.abort()
            case _:
                socket.namespace.emit("broadcast", b"\x00" * choices.below(100))

    # The end.

    async def _check_good_clients(self) -> None:
        """Whoever has kept to the protocol is still there, and has got what it has to get."""
        good = [client for client in self._clients if client.good and client.sid is not None]
        with trio.move_on_after(_LONG * 8):
            while any(
                client.end is None and (client.missing_acks or client.busy) for client in good
            ):
                await trio.sleep(1)
        await trio.sleep(1)
        for client in good:
            assert client.end is None, f"a good client is out: {client.end}"
            assert not client.missing_acks, f"acknowledgements missing: {client.missing_acks}"
            assert "/" in client.joined, "a good client is in no namespace"
        polls = [client.polls for client in good]
        await trio.sleep(2)
        for client, before in zip(good, polls, strict=True):
            assert client.polls - before <= 2, "polls do not wait any more"

    async def _leave(self) -> None:
        if self._ending == "shutdown":
            await self._shut_down()
        if self._ending != "packet":
            for exchange in self._exchanges:
                exchange.leave()
        for client in self._clients:
            await client.leave(self._ending)
        if self._ending == "drop":
            await self._network.drop_all()
        elif self._ending == "cancel":
            self._nursery.cancel_scope.cancel()

    async def _shut_down(self) -> None:
        """Stop the server, which has to be done with all in its time."""
        server = self._application.server
        with trio.fail_after(server.options.close_timeout + 4 * server.options.disconnect_timeout):
            await server.shutdown()
        statistics = server.statistics()
        assert statistics.connections == 0, "sessions outlive the shutdown"
        assert sum(statistics.sockets.values()) == 0
        late = await self._network.site.request("GET", "EIO=4&transport=polling")
        assert late.status == 503

    async def _check_other(self, other: Client) -> None:
        assert other.end is None, f"the other client is out: {other.end}"
        await other.send(other.event("/custom", "echo", "still there?"))
        await trio.sleep(1)
        await wait_all_tasks_blocked()
        assert not other.missing_acks, "the other client is served no more"

    async def _serve_another(self, nursery: trio.Nursery) -> None:
        client = Client(self._network, nursery, good=True)
        await client.open_polling()
        await client.send("40")
        await trio.sleep(1)
        await client.send(client.event("/", "echo", "hello"))
        await trio.sleep(1)
        assert (client.joined, client.missing_acks) == ({"/"}, {}), "a new client is not served"
        await client.send("1")
        await trio.sleep(1)


async def _send_junk(stream: trio.abc.SendStream, data: bytes) -> None:
    with trio.move_on_after(_LONG), suppress(*GONE):
        await stream.send_all(data)


TARGET = Target("conversation", check, slice=40)
