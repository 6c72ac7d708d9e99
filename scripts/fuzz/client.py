"""A Socket.IO client that knows what it has to get, over polling, WebSocket, or both."""

from __future__ import annotations

import json
from base64 import b64decode
from contextlib import suppress
from typing import Any, Final

import trio
from socketio.packet import Packet
from wsproto.utilities import LocalProtocolError

from gbs_actor.socketio import EngineApp
from scripts.fuzz.application import ANSWERS, MAX_PAYLOAD, PATH, Application
from tests.socketio.peer import Close, MemoryListener, Peer, Refused
from tests.socketio.polls import Answer, AsgiSocket, Exchange, Site, binary

WAYS: Final = ("memory", "sockets", "lockstep", "asgi")
"""What a WebSocket goes over: memory without bound, sockets that take little, streams that take
nothing until it is read, and the messages of ASGI."""
WebSocket = Peer | AsgiSocket
Packets = list[str | bytes]

_STATUSES: Final = {200, 204, 400, 403, 408, 413, 503}
_EMPTY_POLL_PAUSE: Final = 0.05
"""Seconds between polls that bring nothing."""
GONE: Final = (
    trio.BrokenResourceError,
    trio.ClosedResourceError,
    trio.BusyResourceError,
    LocalProtocolError,
)
"""What sending raises behind the end, or where something else is being sent."""


class NarrowListener(MemoryListener):
    """Accepts the server ends of socket pairs that take as little at once as there is."""

    def __init__(self) -> None:
        super().__init__()
        self._ends: list[trio.socket.SocketType] = []

    def dial_socket(self) -> trio.SocketStream:
        """Return the client end of a new connection."""
        ends = trio.socket.socketpair()
        self._ends.extend(ends)
        for end in ends:
            end.setsockopt(trio.socket.SOL_SOCKET, trio.socket.SO_SNDBUF, 1)
        self._send.send_nowait(trio.SocketStream(ends[1]))
        return trio.SocketStream(ends[0])

    def close_all(self) -> None:
        """Close all sockets, as far as that has not been done."""
        for end in self._ends:
            end.close()


class Network:
    """The ways to an application: ASGI, and for WebSockets on streams a listener."""

    def __init__(
        self, application: Application, listener: NarrowListener, nursery: trio.Nursery
    ) -> None:
        self._listener = listener
        self._websockets: list[WebSocket] = []
        self.site = Site(EngineApp(application.server), nursery, self._listener, PATH)

    async def dial(self, query: str, way: str, *, polite: bool = True) -> WebSocket:
        """Ask for a WebSocket; a refusal comes by :meth:`WebSocket.receive`.

        :param polite: whether an ASGI server gets to know that a closed one has ended.
        """
        if way == "asgi":
            websocket = await self.site.websocket(query)
            self._websockets.append(websocket)
            websocket.polite = polite
            return websocket
        lockstep = way == "lockstep"
        listener = self._listener
        stream = listener.dial_socket() if way == "sockets" else listener.dial(lockstep=lockstep)
        peer = Peer(stream)
        self._websockets.append(peer)
        with suppress(*GONE):
            await peer.upgrade(f"{PATH}?{query}")
        return peer

    async def drop_all(self) -> None:
        """End all WebSockets without a closing handshake."""
        for websocket in self._websockets:
            await drop(websocket)
        self._websockets.clear()

    async def ask(self, exchange: Exchange) -> Answer | None:
        """Return the answer of a request; ``None``: there is none, as the client has left."""
        await exchange.ended.wait()
        answer = exchange.answer
        assert answer is None or answer.status in _STATUSES, f"status {answer.status}"
        return answer


async def drop(websocket: WebSocket) -> None:
    """End a WebSocket without a closing handshake."""
    if isinstance(websocket, AsgiSocket):
        await websocket.leave()
    else:
        await trio.aclose_forcefully(websocket.stream)


class Client:
    """One client and its session.

    :param good: whether it keeps to the protocol; then its session must live.
    :param way: what its WebSockets go over, one of :data:`WAYS`.
    """

    def __init__(
        self, network: Network, nursery: trio.Nursery, *, good: bool, way: str = "memory"
    ) -> None:
        self.good = good
        self._way = way
        self.sid: str | None = None
        self.end: str | None = None
        """Why the session has ended, as far as the client knows."""
        self.answers_pings = True
        self.upgrading = False
        """Whether it has ever tried to move to a WebSocket."""
        self.websocket: WebSocket | None = None
        """What carries the session, if it is no polling."""
        self.polls = 0
        """Polls that were answered."""
        self.in_flight = 0
        """Actions that have not come to their end; what begins later may overtake them."""
        self.joined: set[str] = set()
        self.joining: set[str] = set()
        """Namespaces that it has asked for and not left."""
        self.missing_acks: dict[int, str] = {}
        """Acknowledgements that have to come, with the namespace."""
        self._acks: set[int] = set()
        self._next_ack = 0
        self._network = network
        self._nursery = nursery
        self._ticks: dict[str, int] = {}
        self._states: dict[str, int] = {}
        self._unfinished: Packet | None = None
        self._reading = trio.Event()
        self._reading.set()
        self._getting = trio.Lock()
        self._sending = trio.Lock()

    # Polling.

    async def open_polling(self, *, poll: bool = True) -> None:
        """Open a session; go on polling, unless ``poll`` is false."""
        await self._get()
        if poll and self.sid is not None:
            self._nursery.start_soon(self._keep_polling)

    async def _keep_polling(self) -> None:
        while True:
            async with self._getting:
                if self.end is not None or self.websocket is not None:
                    return
                empty = not await self._get()
            if empty:
                await trio.sleep(_EMPTY_POLL_PAUSE)

    async def _get(self) -> bool:
        """Poll once; return whether that brought anything."""
        exchange = self._network.site.ask("GET", self.query("polling"))
        exchange.body(b"")
        answer = await self._network.ask(exchange)
        if answer is None or answer.status != 200:
            self._note_end(f"poll answered {answer}")
            return False
        self.polls += 1
        packets: Packets = [
            b64decode(packet[1:]) if packet[:1] == "b" else packet for packet in answer.packets
        ]
        assert len(answer.body) <= MAX_PAYLOAD or len(packets) == 1, "too much in one answer"
        for packet in packets:
            self._take(packet)
        return packets != ["6"]

    async def post(self, packets: Packets, parts: int = 1, pause: float = 0.0) -> int:
        """Send packets in one POST, whatever else is under way; return its status.

        :param parts: that the body comes in.
        :param pause: seconds between them.
        """
        body = b"\x1e".join(
            (packet if isinstance(packet, str) else binary(packet)).encode(errors="surrogatepass")
            for packet in packets
        )
        exchange = self._network.site.ask("POST", self.query("polling"))
        step = len(body) // parts + 1
        for at in range(0, len(body), step):
            exchange.body(body[at : at + step], more=True)
            await trio.sleep(pause)
        exchange.body(b"")
        answer = await self._network.ask(exchange)
        return 0 if answer is None else answer.status

    def query(self, transport: str) -> str:
        """Return the query of a request for this session."""
        sid = "" if self.sid is None else f"&sid={self.sid}"
        return f"EIO=4&transport={transport}{sid}" + ("&good" if self.good else "")

    # WebSocket.

    async def open_websocket(self) -> None:
        """Open a session over WebSocket, and read what comes."""
        self.websocket = await self._dial()
        self._nursery.start_soon(self._read, self.websocket)
        while self.sid is None and self.end is None:
            await trio.sleep(_EMPTY_POLL_PAUSE)

    async def _dial(self) -> WebSocket:
        return await self._network.dial(self.query("websocket"), self._way, polite=self.good)

    async def _read(self, websocket: WebSocket) -> None:
        while True:
            await self._reading.wait()
            received = await self._receive(websocket)
            if isinstance(received, (Close, Refused)):
                break
            self._take(received)
        self._note_end(f"closed with {received}")
        if isinstance(websocket, Peer):
            await drop(websocket)

    async def _receive(self, websocket: WebSocket) -> str | bytes | Close | Refused:
        try:
            received = await websocket.receive()
            if isinstance(received, Close) and isinstance(websocket, Peer):
                await websocket.finish_close()
        except GONE:
            return Close(1006)
        return received

    async def upgrade(
        self, *, abandon_at: int = 0, events: int = 0, impatient: bool = False
    ) -> None:
        """Move to a WebSocket, as engine.io-client does.

        :param abandon_at: step before which to drop the probe: 1 to 3; 0 for none.
        :param events: how many to send right behind the upgrade.
        :param impatient: whether to wait for nothing that is under way.
        """
        if self.sid is None or self.end is not None or self.websocket is not None:
            return
        self.upgrading = True
        probe = await self._dial()
        if abandon_at != 1:
            await send_to(probe, "2probe")
        received = None if abandon_at in {1, 2} else await self._receive(probe)
        if received is None or isinstance(received, (Close, Refused)) or abandon_at == 3:
            await drop(probe)
            return
        assert received == "3probe", received
        if impatient:
            await self._move(probe, events)
        else:
            async with self._getting, self._sending:  # both may have to be answered first
                await self._move(probe, events)

    async def _move(self, probe: WebSocket, events: int) -> None:
        if self.end is not None:
            await drop(probe)
            return
        self.websocket = probe
        self._nursery.start_soon(self._read, probe)
        await send_to(probe, "5")
        for number in range(events):
            await send_to(probe, self.event("/", "slow" if number % 3 else "echo", number))

    def stop_reading(self, seconds: float) -> None:
        """Read nothing from a WebSocket for a time."""
        if self._reading.is_set():
            self._reading = trio.Event()
            self._nursery.start_soon(self._read_again, self._reading, seconds)

    @staticmethod
    async def _read_again(reading: trio.Event, seconds: float) -> None:
        await trio.sleep(seconds)
        reading.set()

    async def leave(self, how: str) -> None:
        """End the session.

        :param how: "packet": by a packet; "silence": by answering nothing any more; else by
            dropping what carries it.
        """
        self.answers_pings = self.good = False
        self._reading.set()
        if how == "packet":
            self._nursery.start_soon(self.send, "1")
        elif self.websocket is None:
            self._note_end("left")
        elif how != "silence":
            await drop(self.websocket)

    # What is sent.

    @property
    def busy(self) -> bool:
        """Whether something of its own is still on the way to the server."""
        return self._sending.locked() or self.in_flight > 0

    async def send(self, *packets: str | bytes, parts: int = 1) -> None:
        """Send packets by whatever carries the session, behind those under way."""
        async with self._sending:
            if self.end is not None or self.sid is None:
                return
            if self.websocket is None:
                status = await self.post(list(packets), parts)
                if status != 200:
                    self._note_end(f"post answered {status}")
            else:
                for packet in packets:
                    await send_to(self.websocket, packet)

    def event(self, namespace: str, name: str, *args: Any) -> str:
        """Return an event whose acknowledgement has to come from now on."""
        ack_id = self._next_ack
        self._next_ack += 1
        if namespace in self.joined:
            self.missing_acks[ack_id] = namespace
        return f"42{prefix(namespace)}{ack_id}{json.dumps([name, *args])}"

    # What is received.

    def _take(self, packet: str | bytes) -> None:
        if isinstance(packet, bytes):
            unfinished = self._unfinished
            assert unfinished is not None, "an attachment of nothing"
            if unfinished.add_attachment(packet):
                self._unfinished = None
                self._take_packet(unfinished)
            return
        kind, rest = packet[:1], packet[1:]
        match kind:
            case "0":
                assert self.sid is None, "opened twice"
                self.sid = json.loads(rest)["sid"]
            case "1":
                assert not rest
                self._note_end("closed by packet")
            case "2":
                assert not rest
                if self.answers_pings:
                    self._nursery.start_soon(self.send, "3")
            case "4":
                assert self._unfinished is None, "text in the middle of attachments"
                decoded = Packet(encoded_packet=rest)
                if decoded.attachment_count:
                    self._unfinished = decoded
                else:
                    self._take_packet(decoded)
            case _:
                assert packet in {"6", "3probe"}, packet

    def _take_packet(self, packet: Packet) -> None:
        namespace = packet.namespace or "/"
        match packet.packet_type:
            case 0:
                assert list(packet.data) == ["sid"]
                self.joined.add(namespace)
            case 1:
                self.note_left(namespace)
            case 2 | 5:
                self._take_event(namespace, packet)
            case 3 | 6:
                assert packet.id is not None
                if self.good:
                    assert packet.id < self._next_ack, "acknowledged what was never sent"
                    assert packet.id not in self._acks, "acknowledged twice"
                self._acks.add(packet.id)
                self.missing_acks.pop(packet.id, None)
            case _:
                assert packet.packet_type == 4, packet.packet_type
                assert "message" in packet.data
                self.note_left(namespace)

    def note_left(self, namespace: str) -> None:
        """Note that it is in a namespace no more, for whatever reason."""
        self.joined.discard(namespace)
        self.joining.discard(namespace)
        acks = self.missing_acks.items()
        self.missing_acks = {number: where for number, where in acks if where != namespace}

    def _take_event(self, namespace: str, packet: Packet) -> None:
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
        elif name == "ask" and packet.id is not None and self.answers_pings:
            answer = f"43{prefix(namespace)}{packet.id}{json.dumps(ANSWERS)}"
            self._nursery.start_soon(self.send, answer)

    def _note_end(self, why: str) -> None:
        if self.end is None:
            self.end = why


async def send_to(websocket: WebSocket, packet: str | bytes) -> None:
    """Send a packet; do nothing where the WebSocket takes none any more."""
    with suppress(*GONE):
        if isinstance(packet, str):
            packet = packet.encode(errors="replace").decode()
        await websocket.send(packet)


def prefix(namespace: str) -> str:
    """Return how a packet names its namespace."""
    return "" if namespace == "/" else f"{namespace},"
