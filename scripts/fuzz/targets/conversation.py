"""A whole server and its clients, good and bad ones: nobody harms the others, nothing is left.

Sessions over long-polling (through the ASGI application) and over WebSocket, upgrades,
cancellations and jumps of the clock, in any order. What must hold: a client that keeps to the
protocol keeps its session and gets what it is owed, in order and once; and when all have gone
the server has no session, task, timer, place or object left.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any, Final

import trio
from trio.testing import wait_all_tasks_blocked

from scripts.fuzz import trio_cases
from scripts.fuzz.asgi_request import Request
from scripts.fuzz.choices import Choices
from scripts.fuzz.client import WAYS, Client
from scripts.fuzz.target import Target
from scripts.fuzz.values import scraps, spoil, value
from scripts.fuzz.websocket_client import StreamLink, frame
from scripts.fuzz.world import DAWDLING, MAX_PAYLOAD, PATH, World, no_complaints

_PAUSES: Final = (0.0, 0.0, 0.01, 0.4, 3.1, 7.9, 10.3, 20.7, 25.9, 46.3)
_LONG: Final = 400.0
"""Seconds after which nothing can be left of clients that say nothing."""
_ENDINGS: Final = ("goodbye", "drop", "silence", "shutdown", "cancel")
_MOST_CLIENTS: Final = 6
_EVENTS: Final = (
    "echo", "slow", "tick", "state", "tell", "fail", "keep", "forget", "later", "now-or-never",
    "bundle", "large", "fail-slowly", "stubborn", "leave", "close", "abort", "connect", "",
)  # fmt: skip
_GOOD_EVENTS: Final = 14
_AUTHS: Final = ("", "", "{}", '{"how":"slow"}', '{"how":"emit"}', '{"how":"refuse"}')
_BAD_AUTHS: Final = (
    '{"how":"raise"}', '{"how":"grumble"}', '{"how":"leave"}', '{"how":"refuse","slow":1}', "[]",
    '{"how":1}',
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
_COOKIE: Final = (b"cookie", b"accessToken=x")


def check(data: bytes) -> None:
    choices = Choices(data)
    order = choices.byte()

    async def scenario() -> None:
        await _Story(choices).run()

    with no_complaints():
        trio_cases.run(scenario, order)


class _Story:
    def __init__(self, choices: Choices) -> None:
        self._choices = choices
        self._ending = choices.pick(_ENDINGS)
        self._world = World(deflate=choices.flip())
        self._clients: list[Client] = []
        self._strangers: list[Client] = []
        self._requests: list[Request] = []
        self._nursery: trio.Nursery

    async def run(self) -> None:
        world = self._world
        async with world.serving():
            async with trio.open_nursery() as around:
                way = self._choices.pick(("memory", "sockets", "asgi"))
                witness = Client(world, around, good=True, way=way)
                await witness.open_websocket()
                await witness.send("40/custom,")
                await wait_all_tasks_blocked()
                tasks, at_work = _tasks(), world.server._open
                await self._act()
                await trio.sleep(_LONG)
                world.kept.clear()
                if self._ending != "shutdown":
                    await self._check_witness(witness)
                    world.check_empty(connections=1)
                    world.check_garbage(connections=1)
                    assert _tasks() == tasks, f"{_tasks() - tasks} tasks too many"
                    assert world.server._open == at_work, "still at work"
                    await self._serve_another(around)
                    await witness.send("1")
                    await trio.sleep(1)
                around.cancel_scope.cancel()
            world.check_empty()
            world.check_parted()
        world.check_garbage()

    async def _act(self) -> None:
        """Do what the case says, then let all clients go, each in its way."""
        choices = self._choices
        with trio.move_on_after(_LONG * 40) as patience:
            async with trio.open_nursery() as nursery:
                self._nursery = nursery
                while choices.left:
                    await self._step()
                await self._check_good_clients()
                await self._leave()
        assert not patience.cancelled_caught, "something of the clients' does not end"
        for client in (*self._clients, *self._strangers):
            for link in client.links:
                link.drop()
        self._clients.clear()
        self._strangers.clear()
        self._requests.clear()

    async def _step(self) -> None:
        choices = self._choices
        match choices.below(16):
            case 0 | 1 if len(self._clients) < _MOST_CLIENTS:
                await self._open()
            case 2 | 3 | 4 | 5 | 6 if self._clients:
                await self._speak(choices.pick(self._clients))
            case 7 | 8 if self._clients:
                await self._upgrade(choices.pick(self._clients))
            case 9 if self._clients:
                await self._misbehave(choices.pick(self._clients))
            case 10:
                await self._intrude()
            case 11:
                self._act_on_a_socket()
            case 12:
                self._world.answer_kept()
            case 13 if self._clients:
                client = choices.pick(self._clients)
                client.stop_listening(4.1 if client.good else choices.pick(_PAUSES))
            case 14:
                await trio.sleep(choices.pick(_PAUSES))
            case _:
                await wait_all_tasks_blocked()

    async def _do(self, what: Callable[[], Awaitable[Any]]) -> None:
        """Do something to its end, or only begin it."""
        if self._choices.flip(4):
            self._nursery.start_soon(what)
            return
        with trio.move_on_after(_LONG * 8):
            await what()

    # Clients and what they say.

    async def _open(self) -> None:
        choices = self._choices
        client = Client(
            self._world, self._nursery, good=not choices.flip(4), way=choices.pick(WAYS)
        )
        self._clients.append(client)
        if choices.flip():
            await client.open_websocket()
        else:
            await client.open_polling(poll=client.good or not choices.flip(4))
        if client.good or not choices.flip(8):
            await client.send("40" + choices.pick(_AUTHS[:5]))
            with trio.move_on_after(DAWDLING + 1):
                while "/" not in client.joined and not client.over:
                    await trio.sleep(0.5)

    async def _speak(self, client: Client) -> None:
        choices = self._choices
        packets: list[str | bytes] = []
        while len(packets) < 8:
            packets.extend(self._packet(client))
            if not choices.flip():
                break
        pieces = choices.pick((1, 1, 3))
        client.saying += 1
        await self._do(lambda: self._say(client, packets, pieces))

    async def _say(self, client: Client, packets: list[str | bytes], pieces: int) -> None:
        if client.websocket is None and not client.over:
            await client.post(packets, pieces=pieces)
        else:
            await client.send(*packets)
        client.saying -= 1

    def _packet(self, client: Client) -> list[str | bytes]:
        """Return a packet with its attachments, a bad one from a bad client."""
        choices = self._choices
        namespace = choices.pick(sorted(client.joined) or ["/"])
        prefix = "" if namespace == "/" else f"{namespace},"
        if not client.good and choices.flip(4):
            text = choices.pick(_PACKETS) if choices.flip() else "42" + scraps(choices, 4)
            return [spoil(choices, text) if choices.flip(4) else text]
        if not client.good and choices.flip(8):
            return [choices.take(30)]
        match choices.below(8):
            case 0:
                return self._come_or_go(client)
            case 1 | 2:
                args = [value(choices) for _ in range(choices.below(3))]
                return [client.echo(namespace, *args) if namespace != "/bare" else "3"]
            case 3:
                count = choices.below(4 if client.good else 7)
                holes = [{"_placeholder": True, "num": number} for number in range(count)]
                text = json.dumps(["echo", *holes])
                attachments = [choices.take(60) for _ in range(count)]
                return [f"45{count}-{prefix}{text}", *attachments] if count else ["3"]
            case 4 if choices.flip():
                name = choices.pick(("slow", "tick", "keep", "echo"))
                return [f'42{prefix}["{name}",9]'] * choices.below(9) or ["3"]
            case _:
                names = _EVENTS[:_GOOD_EVENTS] if client.good else _EVENTS
                name = choices.pick(names)
                args = [choices.below(20), 0 if client.good else choices.below(3_000)]
                number = "" if client.good or choices.flip() else str(10_000 + choices.below(100))
                return [f"42{prefix}{number}{json.dumps([name, *args])}"]

    def _come_or_go(self, client: Client) -> list[str | bytes]:
        choices = self._choices
        if client.good:
            # Never "/", so that it has always joined something.
            if client.saying:
                return ["3"]
            if "/custom" in client.joined and choices.flip():
                client.leave("/custom")
                return ["41/custom,"]
            if "/custom" in client.coming:
                return ["3"]
            client.coming.add("/custom")
            return ["40/custom," + choices.pick(_AUTHS)]
        name = choices.pick(("/custom,", "", "/bare,", "/other,"))
        if choices.flip():
            return [f"41{name}"]
        return [f"40{name}" + choices.pick(_AUTHS + _BAD_AUTHS)]

    async def _upgrade(self, client: Client) -> None:
        choices = self._choices
        abandon = choices.pick((0, 0, 0, 1, 2, 3))
        impatient = choices.below(7)
        if client.good and (client.upgrading or not client.polling):
            return
        client.upgrading = True
        rude = not client.good and choices.flip()

        async def move() -> None:
            await client.upgrade(abandon=abandon, impatient=impatient, rude=rude)
            client.saying -= 1

        client.saying += 1
        await self._do(move)

    # What only bad ones do.

    async def _misbehave(self, client: Client) -> None:
        choices = self._choices
        if client.good:
            return
        match choices.below(9):
            case 0:
                client.mute = True
            case 1 if client.websocket is not None:
                client.websocket.drop()
            case 2 | 3:
                await self._ask(Request("GET", PATH, client.query("polling")))
            case 4:
                body = choices.split(choices.rest[:MAX_PAYLOAD], 4) or [b""]
                asked = Request("POST", PATH, client.query("polling"), body=body)
                asked.pause = choices.pick(_PAUSES)
                asked.unfinished = choices.flip(4)
                await self._ask(asked)
            case 5:
                body = [b"4" + b"x" * 1_000] * 3
                await self._ask(Request("POST", PATH, client.query("polling"), body=body))
            case 6 if isinstance(client.websocket, StreamLink):
                junk = frame(
                    choices.below(16),
                    choices.take(60),
                    fin=not choices.flip(4),
                    rsv=choices.below(8),
                )
                await client.websocket.send(choices.take(20) if choices.flip() else junk)
            case 7:
                await self._dial(client.query("websocket"))
            case _:
                await self._do(lambda: client.post(["1"]))

    async def _intrude(self) -> None:
        """Ask for what is nobody's, or with somebody else's id."""
        choices = self._choices
        query = choices.pick(_QUERIES)
        bad = [client for client in self._clients if not client.good]
        if bad and choices.flip():
            query = choices.pick(bad).query(choices.pick(("websocket", "polling", "x")))
        if choices.flip(4):
            await self._dial(query)
            return
        headers = [_COOKIE, (b"origin", b"https://evil.example")] if choices.flip(4) else []
        method = choices.pick(("GET", "POST", "OPTIONS", "DELETE", "HEAD", "get"))
        await self._ask(Request(method, PATH, query, headers=headers))

    async def _dial(self, query: str) -> None:
        """Open a WebSocket that says this or that, and is left alone."""
        choices = self._choices
        stranger = Client(self._world, self._nursery, good=False, way=choices.pick(WAYS))
        link = stranger.dial(query)
        self._strangers.append(stranger)
        if stranger.way == "lockstep":
            return  # nothing is taken that nobody reads
        while choices.more():
            await link.say(choices.pick(("2probe", "5", "3", "1", "40", '42["echo"]', b"\x00")))
            if choices.flip(4):
                await trio.sleep(choices.pick(_PAUSES))
        if choices.flip():
            link.drop()

    async def _ask(self, asked: Request) -> None:
        """Ask something, and perhaps be gone before the answer."""
        choices = self._choices
        asked.address = choices.pick(("192.0.2.1", "192.0.2.2"))
        self._requests.append(asked)
        self._nursery.start_soon(Client(self._world, self._nursery, good=False).ask, asked)
        if choices.flip():
            await trio.sleep(choices.pick(_PAUSES))
            if choices.flip():
                asked.gone.set()

    def _act_on_a_socket(self) -> None:
        """Have the application do something on its own account."""
        choices = self._choices
        sockets = self._world.sockets
        if not sockets:
            return
        socket = choices.pick(sockets)
        good = "good" in socket.handshake.query
        match choices.below(6):
            case 0 | 1:
                self._nursery.start_soon(self._world.call, socket, choices.pick((0.5, 30.0)))
            case 2:
                for _ in range(choices.below(20)):
                    self._world.tick(socket)
            case 3 if not good:
                socket.disconnect(close=choices.flip())
            case 4 if not good:
                socket.close_transport(1012)
            case 5 if not good:
                socket.abort()
            case _:
                socket.namespace.emit("told", b"\x00" * choices.below(100))

    # The end.

    async def _check_good_clients(self) -> None:
        """Whoever has kept to the protocol is still there, and has got what it is owed."""
        good = [client for client in self._clients if client.good and client.sid is not None]
        with trio.move_on_after(_LONG * 8):
            while any(
                client.owed or client.busy or client.saying for client in good if not client.over
            ):
                await trio.sleep(1)
        await trio.sleep(1)
        for client in good:
            assert not client.over, f"a good client is out: {client.log}"
            assert not client.owed, f"acknowledgements missing: {client.owed}"
            assert "/" in client.joined, "a good client is in no namespace"
            session = self._world.server._sessions[client.sid or ""]
            assert not (session.upgrading and client.polling), "polls do not wait any more"

    async def _leave(self) -> None:
        ending = self._ending
        if ending == "shutdown":
            await self._shut_down()
        for asked in self._requests:
            if ending != "goodbye":
                asked.gone.set()
        for client in self._clients:
            client.quit(silently=ending == "silence")
            if ending == "goodbye":
                self._nursery.start_soon(client.say_goodbye)
        if ending != "silence":
            for stranger in self._strangers:
                stranger.links[0].drop()
        if ending == "cancel":
            self._nursery.cancel_scope.cancel()

    async def _shut_down(self) -> None:
        """Stop the server, which has to be done with all in its time."""
        server = self._world.server
        with trio.fail_after(server.options.close_timeout + 4 * server.options.disconnect_timeout):
            await server.shutdown()
        statistics = server.statistics()
        assert statistics.connections == 0, "connections outlive the shutdown"
        assert sum(statistics.sockets.values()) == 0
        late = await Client(self._world, self._nursery, good=False).ask(
            Request("GET", PATH, "EIO=4&transport=polling")
        )
        assert late is not None
        assert late.status == 503

    async def _check_witness(self, witness: Client) -> None:
        assert not witness.over, f"the witness is out: {witness.log}"
        await witness.send(witness.echo("/custom", "still there?"))
        await trio.sleep(1)
        await wait_all_tasks_blocked()
        assert not witness.owed, "the witness is served no more"

    async def _serve_another(self, nursery: trio.Nursery) -> None:
        client = Client(self._world, nursery, good=True)
        await client.open_polling()
        await client.send("40")
        await trio.sleep(1)
        await client.send(client.echo("/", "hello"))
        await trio.sleep(1)
        assert (client.joined, client.owed) == ({"/"}, {}), "a new client is not served"
        await client.send("1")
        await trio.sleep(1)
        assert client.over


def _tasks() -> int:
    return trio.lowlevel.current_statistics().tasks_living


TARGET = Target("conversation", check, max_size=400, slice=250, guided=True)
