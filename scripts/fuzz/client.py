"""A Socket.IO client that knows what it is owed, and may behave as badly as it is told to."""

from __future__ import annotations

import json
from typing import Any, Final

import trio
from socketio.packet import Packet as OtherPacket
from trio.testing import lockstep_stream_pair, memory_stream_pair

from gbs_actor.socketio import EngineApp
from gbs_actor.socketio.engineio.payload import decode_payload, encode_binary
from scripts.fuzz.asgi_request import Answer, Request
from scripts.fuzz.asgi_websocket import AsgiLink
from scripts.fuzz.websocket_client import Link, Pair, StreamLink, request, sockets
from scripts.fuzz.world import ANSWERS, MAX_PAYLOAD, PATH, World

_STATUSES: Final = {200, 204, 400, 403, 408, 413, 503}
_BREATH: Final = 0.05
"""Seconds between polls that bring nothing."""
_EVENT, _ACK, _CONNECT, _DISCONNECT, _CONNECT_ERROR = 2, 3, 0, 1, 4

PAIRS: Final[dict[str, Pair]] = {
    "memory": memory_stream_pair,
    "sockets": sockets,
    "lockstep": lockstep_stream_pair,
}
WAYS: Final = (*PAIRS, "asgi")
"""Memory without bound, sockets that take little, streams that take nothing, and ASGI."""

Packets = list[str | bytes]


class Client:
    """One client and its session.

    :param good: whether it keeps to the protocol; then its session must live.
    :param way: what its WebSockets go over, one of :data:`WAYS`.
    """

    def __init__(
        self, world: World, nursery: trio.Nursery, *, good: bool, way: str = "memory"
    ) -> None:
        self.world = world
        self.good = good
        self.way = way
        self.sid: str | None = None
        self.over = False
        """Whether the session has ended, as far as the client knows."""
        self.mute = False
        """Whether it answers no pings."""
        self.listening = trio.Event()
        """Set while it reads what comes over a WebSocket."""
        self.listening.set()
        self.polling = False
        self.links: list[Link] = []
        """All WebSockets it has ever opened."""
        self.websocket: Link | None = None
        """What carries the session, if it is no polling."""
        self.upgrading = False
        """Whether it has tried to move."""
        self.saying = 0
        """Sayings that are under way; what begins later may overtake them."""
        self.joined: set[str] = set()
        self.coming: set[str] = set()
        """Namespaces that it has asked to join, and has not left."""
        self.owed: dict[int, str] = {}
        """Acknowledgements that have to come, with the namespace."""
        self.acknowledged: set[int] = set()
        self.asked = 0
        self.log: list[str] = []
        self._app = EngineApp(world.server)
        self._nursery = nursery
        self._ticks: dict[str, int] = {}
        self._states: dict[str, int] = {}
        self._unfinished: OtherPacket | None = None
        self._posting = trio.Lock()
        self._sending = trio.Lock()
        self._held = trio.Event()
        self._held.set()
        self._idle = trio.Event()
        self._idle.set()

    # Polling.

    async def open_polling(self, *, poll: bool = True) -> None:
        """Open a session; go on polling by itself, if told so."""
        self.polling = True
        await self._poll()
        if poll and not self.over:
            self._nursery.start_soon(self._keep_polling)

    async def _keep_polling(self) -> None:
        while True:
            self._idle.set()
            await self._held.wait()
            if self.over or not self.polling:
                return
            if not self._held.is_set():
                continue  # held again meanwhile: whoever did so takes it to be idle
            self._idle = trio.Event()
            if not await self._poll():
                await trio.sleep(_BREATH)

    async def _poll(self) -> bool:
        answer = await self.ask(Request("GET", PATH, self.query("polling")))
        return answer is not None and self.take_answer(answer)

    def take_answer(self, answer: Answer) -> bool:
        """Take a payload; return whether there was anything in it."""
        if answer.status != 200:
            self._end(f"poll answered {answer.status}")
            return False
        packets = list(decode_payload(answer.body))
        assert len(answer.body) <= MAX_PAYLOAD or len(packets) == 1, "too much in one answer"
        for packet in packets:
            self._take(packet)
        return packets != ["6"]

    def query(self, transport: str, more: str = "") -> str:
        """Return the query of a request for this session."""
        sid = "" if self.sid is None else f"&sid={self.sid}"
        good = "&good" if self.good else ""
        return f"EIO=4&transport={transport}{sid}{good}{more}"

    async def ask(self, asked: Request) -> Answer | None:
        """Ask the server, and check that it is an answer of its kind."""
        answer = await asked.ask(self._app)
        assert answer is None or answer.status in _STATUSES, f"status {answer.status}"
        return answer

    async def post(self, packets: Packets, *, pieces: int = 1) -> None:
        """Send packets in one POST, behind those under way."""
        body = b"\x1e".join(
            packet.encode("utf-8", "surrogatepass")
            if isinstance(packet, str)
            else encode_binary(packet)
            for packet in packets
        )
        step = len(body) // pieces + 1
        parts = [body[at : at + step] for at in range(0, len(body), step)] or [b""]
        async with self._posting:
            if self.websocket is not None or self.over:
                await self._send_frames(packets)
                return
            answer = await self.ask(Request("POST", PATH, self.query("polling"), body=parts))
        if answer is not None and answer.status != 200:
            self._end(f"post answered {answer.status}")

    # WebSocket.

    async def open_websocket(self) -> None:
        """Open a session over WebSocket, and read what comes."""
        socket = self.dial()
        self.websocket = socket
        self._nursery.start_soon(self._read, socket)
        while self.sid is None and not self.over:
            await trio.sleep(_BREATH)

    def dial(self, query: str | None = None) -> Link:
        """Open a WebSocket, for the session if there is one, by the client's :attr:`way`."""
        query = self.query("websocket") if query is None else query
        link: Link
        if self.way == "asgi":
            link = AsgiLink(self._app, self._nursery, query)
        else:
            asked = request(f"{PATH}?{query}")
            link = StreamLink(self.world.server, self._nursery, asked, pair=PAIRS[self.way])
        self.links.append(link)
        return link

    async def _read(self, link: Link) -> None:
        while True:
            await self.listening.wait()
            messages = await link.receive()
            if messages is None:
                break
            for message in messages:
                self._take(message)
            if link.code is not None:
                await link.say_close()
                break
        link.drop()
        self._end(f"closed with {link.code}, status {link.status}")

    async def _send_frames(self, packets: Packets) -> None:
        async with self._sending:
            for packet in packets:
                if self.websocket is not None:
                    await self.websocket.say(packet)

    async def upgrade(self, *, abandon: int = 0, impatient: int = 0, rude: bool = False) -> None:
        """Move to a WebSocket, as engine.io-client does.

        :param abandon: step before which to drop the probe: 1 to 3; 0 for none.
        :param impatient: how many events to send right behind the ``5``.
        :param rude: whether to send that without waiting for anything.
        """
        if self.sid is None or self.over or not self.polling:
            return
        probe = self.dial()
        if rude and impatient % 2:
            await probe.say("2probe")
            await self._move(probe, impatient)
            return
        answered = await self._probe(probe, abandon)
        if not answered or abandon == 3:
            probe.drop()
            self._resume()
            return
        if rude:
            await self._move(probe, impatient)
        else:
            await self._idle.wait()
            async with self._posting:
                await self._move(probe, impatient)
        self._resume()

    async def _move(self, probe: Link, impatient: int) -> None:
        if self.over:
            probe.drop()
            return
        self.polling = False
        self.websocket = probe
        self._nursery.start_soon(self._read, probe)
        async with self._sending:
            await probe.say("5")
            for number in range(impatient):
                await probe.say(self.echo("/", number, name="slow" if number % 3 else "echo"))

    async def _probe(self, probe: Link, abandon: int) -> bool:
        if abandon == 1:
            return False
        await probe.say("2probe")
        if abandon == 2:
            return False
        heard: Packets = []
        while not heard:
            messages = await probe.receive()
            if messages is None or probe.code is not None:
                return False
            heard.extend(messages)
        assert heard == ["3probe"], heard
        self._held = trio.Event()
        return True

    def _resume(self) -> None:
        self._held.set()

    def stop_listening(self, seconds: float) -> None:
        """Read nothing for a time."""
        if self.listening.is_set():
            self.listening = trio.Event()
            self._nursery.start_soon(self._listen_again, self.listening, seconds)

    async def _listen_again(self, listening: trio.Event, seconds: float) -> None:
        await trio.sleep(seconds)
        listening.set()

    @property
    def busy(self) -> bool:
        """Whether something of its own is still on the way to the server."""
        return self._posting.locked() or self._sending.locked()

    def quit(self, *, silently: bool) -> None:
        """Stop polling and answering; drop the WebSocket, unless silently."""
        self.mute = True
        self.listening.set()
        self.polling = False
        self.good = False
        self._held.set()
        if self.websocket is not None and not silently:
            self.websocket.drop()

    async def say_goodbye(self) -> None:
        """Send a close packet."""
        await self.send("1")

    # What is sent.

    async def send(self, *packets: str | bytes) -> None:
        """Send packets by whatever carries the session."""
        if self.over or self.sid is None:
            return
        if self.websocket is None:
            await self.post(list(packets))
        else:
            await self._send_frames(list(packets))

    def echo(self, namespace: str, *args: Any, name: str = "echo") -> str:
        """Return an event whose acknowledgement is owed from now on."""
        ack_id = self.asked
        self.asked += 1
        if namespace in self.joined:
            self.owed[ack_id] = namespace
        return f"42{_prefix(namespace)}{ack_id}{json.dumps([name, *args])}"

    # What is received.

    def _take(self, packet: str | bytes) -> None:
        if isinstance(packet, bytes):
            self._take_attachment(packet)
            return
        kind, rest = packet[:1], packet[1:]
        if packet == "3probe":
            return  # to a question that it has not waited for
        match kind:
            case "0":
                assert self.sid is None, "opened twice"
                self.sid = json.loads(rest)["sid"]
            case "1":
                assert not rest
                self._end("closed by packet")
            case "2":
                assert not rest
                if not self.mute:
                    self._nursery.start_soon(self.send, "3")
            case "4":
                assert self._unfinished is None, "text in the middle of attachments"
                self._take_packet(OtherPacket(encoded_packet=rest))
            case "6":
                assert not rest
            case _:
                raise AssertionError(f"packet {packet!r}")

    def _take_attachment(self, payload: bytes) -> None:
        packet = self._unfinished
        assert packet is not None, "an attachment of nothing"
        if packet.add_attachment(payload):
            self._unfinished = None
            self._complete(packet)

    def _take_packet(self, packet: OtherPacket) -> None:
        if packet.attachment_count:
            self._unfinished = packet
        else:
            self._complete(packet)

    def _complete(self, packet: OtherPacket) -> None:
        namespace = packet.namespace or "/"
        match packet.packet_type:
            case 0:
                assert list(packet.data) == ["sid"]
                self.joined.add(namespace)
            case 1:
                self.leave(namespace)
            case 2 | 5:
                self._take_event(namespace, packet)
            case 3 | 6:
                assert packet.id is not None
                assert packet.id not in self.acknowledged or not self.good, "acked twice"
                assert packet.id < self.asked or not self.good, "acked what was never asked"
                self.acknowledged.add(packet.id)
                self.owed.pop(packet.id, None)
            case 4:
                assert "message" in packet.data
                self.leave(namespace)
            case _:
                raise AssertionError(packet.packet_type)

    def leave(self, namespace: str) -> None:
        """Note that it is in a namespace no more, for whatever reason."""
        self.joined.discard(namespace)
        self.coming.discard(namespace)
        self.owed = {number: where for number, where in self.owed.items() if where != namespace}

    def _take_event(self, namespace: str, packet: OtherPacket) -> None:
        name, *args = packet.data
        if name == "tick":
            socket_id, number, *_ = args
            expected = self._ticks.get(socket_id, 0)
            assert number == expected, f"event {number} in place of {expected}"
            self._ticks[socket_id] = expected + 1
        elif name == "state":
            (number,) = args
            assert number > self._states.get(namespace, 0), "an older state behind a newer"
            self._states[namespace] = number
        elif name == "ask" and packet.id is not None and (self.good or not self.mute):
            answer = f"43{_prefix(namespace)}{packet.id}{json.dumps(ANSWERS)}"
            self._nursery.start_soon(self.send, answer)

    def _end(self, why: str) -> None:
        self.log.append(why)
        self.over = True
        self._held.set()


def _prefix(namespace: str) -> str:
    return "" if namespace == "/" else f"{namespace},"
