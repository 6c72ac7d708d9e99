"""A client of a server under test: sends events, keeps what it receives, and waits for it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import islice
from typing import Final

import trio
from trio.testing import wait_all_tasks_blocked

from gbs_actor.testing.network import SimStream
from gbs_actor.testing.peers.messages import Json, PeerClosed, PeerRefused, Received
from gbs_actor.testing.peers.session import Session
from gbs_actor.testing.peers.transport import Transport, TransportClosed
from gbs_actor.testing.peers.upgrading import UpgradingTransport
from gbs_actor.testing.peers.websocket import WebSocketTransport

OnMessage = Callable[[Received], None]
"""Called for each message, in the order of arrival, in the task that reads; must not block. What it
raises ends the test."""
OnReply = Callable[[tuple[Json, ...] | None], None]
"""Called with the arguments of an acknowledgement; ``None``: the connection ended before."""

CONNECT_TIMEOUT: Final = 10.0
"""Seconds, on Trio's clock, for a connection and its handshake."""
MAX_RECEIVED: Final = 100_000
"""Messages that a peer keeps; :meth:`Conversation.forget` makes room."""
_LISTED: Final = 20


class Conversation:
    """One client over its connections, of which it has one at a time.

    :param nursery: runs the task that reads.
    :param on_message: called for each message.
    """

    def __init__(self, nursery: trio.Nursery, on_message: OnMessage | None) -> None:
        self.received: list[Received] = []
        """Everything in its order of arrival, over all connections."""
        self.closed = trio.Event()
        """Set once the connection has ended; another one after a reconnection."""
        self.close_code: int | None = None
        """Of the WebSocket's close frame, or the status that polling ended with; ``None``: the
        connection broke, or goes on."""
        self.close_reason = ""
        self._nursery = nursery
        self._on_message = on_message
        self._unclaimed: dict[str, deque[Received]] = {}
        self._on_reply: dict[int, OnReply] = {}
        self._next_ack = 0
        self._news = trio.lowlevel.ParkingLot()
        self._transport: Transport | None = None
        self._session: Session | None = None

    # For tests

    @property
    def stream(self) -> SimStream:
        """The connection: to cut, pause, resume, split. With polling, that of the polls.

        :raises PeerClosed: there has never been one.
        """
        return self._open()[0].stream

    @property
    def upgraded(self) -> bool:
        """Whether the connection has gone on from long-polling to a WebSocket."""
        return isinstance(self._transport, UpgradingTransport) and self._transport.upgraded

    @property
    def unanswered(self) -> int:
        """How many events wait for their answer."""
        return len(self._on_reply)

    async def event(
        self, name: str, within: float = 5.0, *, where: Callable[[Json], bool] | None = None
    ) -> Json:
        """Return the payload of the next event of a name, and wait for it if need be.

        Each event is returned once; those of other names, and those that ``where`` passes over,
        stay for later calls.

        :param within: seconds on Trio's clock.
        :param where: what the payload has to be like.
        :raises AssertionError: no such event came; it lists what did.
        """
        await trio.lowlevel.checkpoint()  # outside of the scope: what is there needs no time
        with trio.move_on_after(within):
            while True:
                for received in self._unclaimed.get(name, ()):
                    if where is None or where(received.payload):
                        self._unclaimed[name].remove(received)
                        return received.payload
                if self.closed.is_set():
                    break
                await self._news.park()
        wanted = name if where is None else f"{name} as wanted"
        ended = f" and the connection has ended ({self._ending()})" if self.closed.is_set() else ""
        raise AssertionError(f"no {wanted} came within {within:g} s{ended}; {self._so_far()}")

    async def no_event(self, name: str, within: float = 0.0) -> None:
        """Check that no event of a name is there, or comes, that :meth:`event` did not return.

        :param within: seconds on Trio's clock. 0: until everything at this instant is done.
        :raises AssertionError: there is one.
        """
        if within:
            await trio.sleep(within)
        await wait_all_tasks_blocked()
        if self._unclaimed.get(name):
            raise AssertionError(f"there is {self._unclaimed[name][0]}; {self._so_far()}")

    def named(self, name: str) -> list[Json]:
        """Return the payloads of all events of a name so far, whether :meth:`event` returned them.

        What :meth:`forget` forgot is not among them.
        """
        return [
            each.payload for each in self.received if each.kind == "event" and each.name == name
        ]

    def forget(self) -> None:
        """Forget everything received so far."""
        self.received.clear()
        self._unclaimed.clear()

    async def begin(self, name: str, *arguments: Json, on_reply: OnReply | None = None) -> int:
        """Send an event that is answered, without waiting for the answer.

        Cancelled while it is sent, the connection is cut.

        :param on_reply: called with the answer, in the task that reads; must not block.
        :returns: the number that the answer refers to, see :attr:`Received.ack_id`.
        :raises PeerClosed: the connection has ended, and nothing was sent, or not all of it.
        """
        transport, session = self._open()
        ack_id = self._next_ack
        self._next_ack += 1
        if on_reply is not None:
            self._on_reply[ack_id] = on_reply
        await self._send(transport, session.write(name, arguments, ack_id))
        return ack_id

    async def emit(self, name: str, *arguments: Json) -> None:
        """Send an event that is not answered.

        :raises PeerClosed: as :meth:`begin`.
        """
        transport, session = self._open()
        await self._send(transport, session.write(name, arguments, None))

    async def send_raw(self, *messages: str | bytes) -> None:
        """Send messages of the transport as they are, whatever they may mean.

        :raises PeerClosed: as :meth:`begin`.
        """
        await self._send(self._open()[0], messages)

    async def send_bytes(self, data: bytes) -> None:
        """Send bytes over a WebSocket as they are, which may be no frame.

        :raises PeerClosed: as :meth:`begin`.
        :raises TypeError: the connection is no WebSocket from its beginning.
        """
        transport, _ = self._open()
        if not isinstance(transport, WebSocketTransport):
            raise TypeError("only a WebSocket has frames")
        try:
            await transport.send_bytes(data)
        except TransportClosed:
            raise PeerClosed(f"the connection has ended: {self._ending()}") from None

    def cut(self) -> None:
        """Close all streams of the connection at once, without a word."""
        self._open()[0].close_now()

    async def close(self) -> None:
        """Close the connection properly, and return once it has ended. Idempotent.

        A server that does not close its side within 5 s has it cut.
        """
        if self._transport is None or self.closed.is_set():
            return
        with trio.move_on_after(5):
            with suppress(TransportClosed, OSError):
                await self._transport.aclose()
            await self.closed.wait()
        self._transport.close_now()

    # For subclasses

    async def _ask(self, name: str, *arguments: Json) -> tuple[Json, ...]:
        """Send an event, and return the arguments of the answer.

        :raises PeerClosed: the connection ended before.
        """
        answered = trio.Event()
        answer: tuple[Json, ...] | None = None

        def on_reply(arguments: tuple[Json, ...] | None) -> None:
            nonlocal answer
            answer = arguments
            answered.set()

        await self.begin(name, *arguments, on_reply=on_reply)
        await answered.wait()
        if answer is None:
            raise PeerClosed(f"the connection ended before {name} was answered: {self._ending()}")
        return answer

    async def _converse(self, transport: Transport, session: Session) -> Received:
        """Begin to read a new connection; return what comes first.

        :raises PeerRefused: the server closes it before.
        """
        if self._transport is not None:
            self._transport.close_now()
            await self.closed.wait()
        self._transport, self._session = transport, session
        self.closed = trio.Event()
        self.close_code, self.close_reason = None, ""
        first: list[Received] = []
        arrived = trio.Event()

        def note(received: Received) -> None:
            first.append(received)
            arrived.set()

        self._nursery.start_soon(self._read, transport, session, note, arrived)
        with trio.move_on_after(CONNECT_TIMEOUT) as waiting:
            await arrived.wait()
        if waiting.cancelled_caught:
            transport.close_now()
            raise PeerRefused(None, f"no answer to the connect within {CONNECT_TIMEOUT:g} s")
        if not first:
            raise PeerRefused(self.close_code, self.close_reason or "the connection broke")
        return first[0]

    async def _read(
        self,
        transport: Transport,
        session: Session,
        on_first: Callable[[Received], None],
        begun: trio.Event,
    ) -> None:
        closed, ended = self.closed, TransportClosed(None)
        try:
            while True:
                for message in await transport.receive():
                    meant = session.read(message)
                    if isinstance(meant, list):
                        await transport.send(*meant)
                    elif meant is not None:
                        if not begun.is_set():
                            on_first(meant)
                        self._take(meant)
        except TransportClosed as error:
            ended = error
        finally:
            transport.close_now()
            self.close_code, self.close_reason = ended.code, ended.reason
            closed.set()
            begun.set()
            self._news.unpark_all()
            self._has_ended()
            unanswered, self._on_reply = self._on_reply, {}
            for on_reply in unanswered.values():
                on_reply(None)

    def _has_ended(self) -> None:
        """Learn that the connection has ended; :attr:`close_code` says how."""

    def _take(self, received: Received) -> None:
        if len(self.received) >= MAX_RECEIVED:
            raise AssertionError(f"{MAX_RECEIVED:,} messages are kept: call forget() in between")
        self.received.append(received)
        if received.kind == "event":
            self._unclaimed.setdefault(received.name, deque()).append(received)
        if self._on_message is not None:
            self._on_message(received)
        if received.kind == "reply" and received.ack_id is not None:
            on_reply = self._on_reply.pop(received.ack_id, None)
            if on_reply is not None:
                on_reply(received.arguments)
        if self._news:
            self._news.unpark_all()

    async def _send(self, transport: Transport, messages: Sequence[str | bytes]) -> None:
        try:
            await transport.send(*messages)
        except (TransportClosed, OSError):
            raise PeerClosed(f"the connection has ended: {self._ending()}") from None

    def _open(self) -> tuple[Transport, Session]:
        if self._transport is None or self._session is None:
            raise PeerClosed("the peer is not connected")
        return self._transport, self._session

    def _ending(self) -> str:
        if self.close_code is None:
            return "broken"
        return f"{self.close_code} {self.close_reason}".strip()

    def _so_far(self) -> str:
        """Return what was received, the last messages only."""
        if not self.received:
            return "nothing was received"
        left_out = max(0, len(self.received) - _LISTED)
        lines = [f"  {each}" for each in islice(self.received, left_out, None)]
        if left_out:
            lines.insert(0, f"  ({left_out} more)")
        return "received:\n" + "\n".join(lines)
