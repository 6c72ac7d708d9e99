"""A simulated client of the whole server: its connections, and what it shows."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any, Final

import trio

from gbs_actor.contract.events import ClientEvent, ServerEvent
from gbs_actor.testing.peers import (
    Peer,
    PeerClosed,
    PeerOptions,
    PeerRefused,
    Received,
    Reply,
)
from gbs_actor.testing.simulation.arguments import argument_of
from gbs_actor.testing.simulation.history import (
    Cause,
    Closed,
    Delivered,
    Ending,
    Json,
    Opened,
    Violated,
)
from gbs_actor.testing.simulation.plan import SLUGS, Participant
from gbs_actor.testing.simulation.plan.steps import (
    Disconnect,
    Invoke,
    Join,
    Mark,
    Read,
    Renew,
    Return,
    SplitBytes,
    Violate,
    Violation,
)
from gbs_actor.testing.simulation.replica import Replica
from gbs_actor.testing.simulation.server import requests
from gbs_actor.testing.simulation.server.invocations import Invocations
from gbs_actor.testing.simulation.server.membership import Membership
from gbs_actor.testing.simulation.server.over_http import HttpClient
from gbs_actor.testing.simulation.server.run import Run

BACK_OFF: Final = 0.5
"""Seconds after which a client tries again to connect; twice as many the next time."""
MAX_BACK_OFF: Final = 8.0
_WEBSOCKETS: Final = ("websocket", "plain")
_FRAMES: Final[Mapping[Violation, tuple[bytes, int]]] = {
    "opcode": (b"\x83\x80\0\0\0\0", 1002),
    "mask": (b"\x81\x01a", 1002),
    "size": (b"\x81\xff\0\0\0\0\x7f\xff\xff\xff\0\0\0\0", 1009),
    "text": (b"\x81\x81\0\0\0\0\xff", 1007),
}
"""What is sent, and the code that it is answered with (RFC 6455 §7.4.1)."""


def _nothing(*_: object) -> None:
    """Do nothing."""


class Client:
    """A participant. It records what it does and takes.

    No method but :meth:`run` blocks; what is to be sent is queued, and sent in its order.
    """

    def __init__(self, participant: Participant, run: Run) -> None:
        self.participant = participant
        self.replica = Replica()
        self.number: int | None = None
        """Of its connection in the run; ``None``: it has none."""
        self._run = run
        self._peer = self._new_peer(SLUGS[participant.retreat or 0])
        self._membership = Membership()
        self._invocations = Invocations(participant, run)
        self._http = HttpClient(participant, run, self._invocations, self.replica)
        self._work: deque[Callable[[], Awaitable[None]]] = deque()
        self._more = trio.lowlevel.ParkingLot()
        self._first: Join | None = None
        """What it joins once it has a connection."""
        self._return: tuple[float, Return] = (BACK_OFF, "resume")
        self._recovering = False
        self._back: Callable[[], None] = _nothing
        """Called when it is connected again."""
        self._closing = False
        self._ending: Ending = "server"
        """How its connection ends, as far as it is known before."""
        self._half_open = False
        """Whether it has vanished from its connection."""
        self._renewed = False
        """Whether it takes another token when the present one has expired."""
        self._identified: Callable[[], None] = _nothing
        """Called when its token is a lasting one again."""
        self._talking = False
        """Whether anything has come over the connection."""
        self._reading = True
        self._calm_again: Callable[[], None] = _nothing

    def _new_peer(self, slug: str) -> Peer:
        who, run = self.participant, self._run
        options = PeerOptions(
            protocol="socketio" if who.transport == "websocket" else who.transport,
            retreat=slug if who.transport == "plain" else None,
            token=run.token(who),
            cookie=who.cookie,
            batch=who.form == "batch",
            recovery=who.recovery,
            presence=who.presence,
        )
        return Peer(run.nursery, partial(run.open_stream, who), options, self._take)

    @property
    def in_room(self) -> str | None:
        """The retreat whose room it is in, as far as it was answered."""
        return None if self.number is None else self._membership.room

    @property
    def waiting(self) -> int:
        """What is queued, and not sent."""
        return len(self._work)

    # -- connections

    async def run(self) -> None:
        """Connect, and come back each time that the connection has ended."""
        self._run.nursery.start_soon(self._send)
        how: Return = "resume"
        back_off = BACK_OFF
        while True:
            await self._run.wait_up()
            if not await self._connect(how):
                await trio.sleep(back_off)
                back_off = min(2 * back_off, MAX_BACK_OFF)
                continue
            back_off = BACK_OFF
            back, self._back = self._back, _nothing
            back()
            await self._peer.closed.wait()
            if self._closing:
                return
            self._ended()
            (after, how), self._return = self._return, (BACK_OFF, "resume")
            number = self.participant.number
            begin = self._run.disturbances.begin
            self._back = begin(Cause.NETWORK, f"client {number} is away", client=number)
            await trio.sleep(after)

    async def _connect(self, how: Return) -> bool:
        """Open a connection; whether that has succeeded."""
        run, who = self._run, self.participant
        first, self._first = self._first, None
        lost, self._recovering = self._membership, how == "resume" and who.recovery
        plain = who.transport == "plain"
        try:
            if plain:
                slug = SLUGS[first.retreat] if first else lost.room or self._peer_slug
                self._peer = self._new_peer(slug)
                self._opened(resumed=False, slug=slug, joins=True)
            await self._peer.reconnect(recover=self._recovering)
        except PeerRefused as refused:
            run.counters[f"refused: {refused.code}"] += 1
            if plain:
                self._ended()
            self._first = first
            return False
        except (OSError, PeerClosed):
            if plain:
                self._ended()
            self._first = first
            return False
        run.counters[f"connected: {who.transport}, {who.form}"] += 1
        if not plain:
            self._return_to_room(how, first, lost)
        again, self._invocations.again = self._invocations.again, []
        for event, argument in again:
            run.counters["given again"] += 1
            self._later(partial(self._give, event, argument))
        return True

    @property
    def _peer_slug(self) -> str:
        return SLUGS[self.participant.retreat or 0]

    def _return_to_room(self, how: Return, first: Join | None, lost: Membership) -> None:
        if first is not None:
            self.join(first)
            return
        if self._recovering and self._peer.recovered:
            self._run.counters["recovered"] += 1
            if not lost.moving:
                return  # else an answer is lost, and with it the list
        elif self._recovering and lost.count:
            self._run.counters["not recovered"] += 1
        slug = lost.room_after(lost.count, hoping=True)
        if how != "stay away" and slug is not None:
            since = how != "join" and not (self._peer.recovered and lost.moving)
            self.join(Join(self.participant.number, SLUGS.index(slug), since))

    def _opened(self, *, resumed: bool, slug: str | None, joins: bool = False) -> None:
        who = self.participant
        self.number = self._run.next_number()
        self._membership = Membership(None if joins else slug)
        if joins:
            assert slug is not None
            self._membership.add(slug, joins=True)
        self._run.history.record(
            Opened(self.number, who.number, who.user, who.form, resumed, slug, who.presence)
        )

    def _ended(self) -> None:
        if self.number is None:
            return
        self._run.counters[f"close code: {self._peer.close_code}"] += 1
        self._run.counters["upgraded"] += self._peer.upgraded
        closed = Closed(self.number, self._peer.close_code, self._ending, self._half_open)
        self._run.history.record(closed)
        self.number, self._talking, self._ending = None, False, "server"
        self._half_open = False
        self._work.clear()
        self.go_on_reading()
        self._identify()

    def disconnect(self, step: Disconnect) -> None:
        """Lose the connection, and come back."""
        if not self._talking:
            return
        self._return, self._ending = (step.back_after, step.how), "client"
        self._run.counters[f"lost: {step.way}"] += 1
        if step.way == "close":
            self._run.nursery.start_soon(self._peer.close)
        else:
            self._lose(vanish=step.way == "vanish")

    def _lose(self, *, vanish: bool) -> None:
        stream = self._peer.stream
        if vanish:
            self._half_open = True
            stream.half_open()
        if vanish or self._run.chance() < 0.5:
            self._peer.cut()
        else:
            stream.cut()

    def split(self, step: SplitBytes) -> None:
        """Let the connection deliver a few bytes at once."""
        if self._talking:
            self._peer.stream.split(step.size)

    def renew(self, step: Renew) -> None:
        """Authenticate with a token that expires soon."""
        if not self._talking:
            return
        self._renewed = step.renewed
        if self._identified is _nothing:
            number = self.participant.number
            begin = self._run.disturbances.begin
            self._identified = begin(Cause.IDENTITY, f"token of client {number}", client=number)
        self._later(partial(self._authenticate, step.expires_in))

    async def _authenticate(self, expires_in: float | None) -> None:
        run, membership = self._run, self._membership

        def renewed(reply: Json) -> None:
            run.counters[f"authenticate: {reply.get('code', 'OK')}"] += 1
            if expires_in is None and reply["status"] == "OK":
                self._identify()

        argument = {"token": run.token(self.participant, expires_in)}
        room = membership.room_after(membership.count, hoping=True)
        await self._ask(ClientEvent.AUTHENTICATE, argument, room, renewed, outside=room is None)

    def _identify(self) -> None:
        over, self._identified = self._identified, _nothing
        over()

    def violate(self, step: Violate) -> None:
        """Send a WebSocket frame that breaks the protocol."""
        if self._talking and self.participant.transport in _WEBSOCKETS:
            self._later(partial(self._violate, step.what))

    async def _violate(self, what: Violation) -> None:
        if self.number is None:
            return
        frame, code = _FRAMES[what]
        self._run.counters[f"violation: {what}"] += 1
        self._run.history.record(Violated(self.number, code))
        with suppress(PeerClosed):
            await self._peer.send_bytes(frame)

    async def close(self) -> None:
        """Close the connection, and record nothing more."""
        self._closing = self._invocations.closed = True
        self._run.counters["upgraded"] += self._peer.upgraded
        with suppress(PeerClosed):
            await self._peer.close()

    # -- what it takes

    def _take(self, received: Received) -> None:
        run = self._run
        if self._closing:
            return
        self._talking = True
        match received.kind:
            case "connected":
                sid = received.payload["sid"]
                resumed = self._recovering and (sid, received.payload.get("pid")) == (
                    self._peer.sid,
                    self._peer.pid,
                )
                self._opened(resumed=resumed, slug=run.room_of(sid) if resumed else None)
            case "event":
                self._take_event(received.name, received.payload, received.revision)
            case "disconnected":
                run.counters["disconnected"] += 1
                if self._ending == "server":
                    self._ending = "disconnect"
                self._peer.cut()

    def _take_event(self, name: str, payload: Any, revision: int | None) -> None:
        run = self._run
        run.counters[f"event: {name}"] += 1
        if name == ServerEvent.ERROR:
            kind = "notice" if payload["event"] is None else "error event"
            run.counters[f"{kind}: {payload['code']}"] += 1
            if self.number is not None:
                run.history.record(Delivered(self.number, name, payload))
            if payload["code"] == "TOKEN_EXPIRED" and self._renewed:
                self._later(partial(self._authenticate, None))
            return
        if self.number is None:
            raise AssertionError(f"{name} comes before the connection is open")
        run.history.record(Delivered(self.number, name, payload, revision))
        if name == ServerEvent.INITIAL_DATA:
            self._membership.succeeded()
            self.replica.listed(self._membership.room or "", payload)
        else:
            self.replica.event(name, payload, payload.get("revision", 0))

    def stop_reading(self) -> None:
        """Take nothing more off the connection."""
        if self._talking and self._reading:
            number = self.participant.number
            begin = self._run.disturbances.begin
            self._calm_again = begin(Cause.NETWORK, f"client {number} stalls", client=number)
            self._reading = False
            self._peer.stream.pause()

    def go_on_reading(self) -> None:
        """Take all that waits, and what comes."""
        if not self._reading:
            self._reading = True
            self._peer.stream.resume()
            calm_again, self._calm_again = self._calm_again, _nothing
            calm_again()

    # -- what it sends

    def connect(self) -> None:
        """Open the first connection."""
        self._run.nursery.start_soon(self.run)

    def _later(self, send: Callable[[], Awaitable[None]]) -> None:
        self._work.append(send)
        self._more.unpark()

    async def _send(self) -> None:
        while True:
            while self._work:
                await self._work.popleft()()
            await self._more.park()

    def invoke(self, step: Invoke) -> None:
        """Give a command."""
        if step.http is not None and requests.is_request(step.event):
            self._http.write(step, SLUGS[step.http])
        elif self._talking:
            self._later(lambda: self._give(step.event, argument_of(step, self.replica)))

    async def _give(self, event: str, argument: Json) -> None:
        membership = self._membership
        room = membership.room_after(membership.count, hoping=True)
        slug, outside = self._invocations.place(event, argument, room)
        await self._ask(event, argument, slug, self.replica.accepted, outside=outside)

    def join(self, step: Join) -> None:
        """Join a retreat; without a connection, once there is one."""
        if not self._talking:
            self._first = step
        else:
            self._later(partial(self._join, step))

    async def _join(self, step: Join) -> None:
        slug, replica = SLUGS[step.retreat], self.replica
        argument: dict[str, Any] = {"retreatSlug": slug}
        if step.since and replica.slug == slug and not self._membership.moving:
            since = {"since": replica.since, "epoch": replica.epoch}
            argument |= {name: value for name, value in since.items() if value is not None}
        move = self._membership.add(slug, joins=True)

        def joined(reply: Json) -> None:
            move.succeeded = reply["status"] == "OK"
            if move.succeeded:
                replica.joined(slug, reply)

        await self._ask(ClientEvent.JOIN_RETREAT, argument, slug, joined, outside=False)

    def leave(self) -> None:
        """Leave the retreat that it is in, as far as it knows."""
        if self._talking and self.replica.slug is not None:
            self._later(partial(self._leave, self.replica.slug))

    async def _leave(self, slug: str) -> None:
        move = self._membership.add(slug, joins=False)

        def left(reply: Json) -> None:
            move.succeeded = reply["status"] == "OK"

        argument = {"retreatSlug": slug}
        await self._ask(ClientEvent.LEAVE_RETREAT, argument, slug, left, outside=False)

    def mark(self, step: Mark) -> None:
        """Start or end editing a field."""
        if not self._talking:
            return
        argument = {
            "lineupId": step.registration,
            "field": step.field,
            "editing": step.editing,
        }
        self._later(partial(self._mark, argument))

    async def _mark(self, argument: Json) -> None:
        membership = self._membership
        room = membership.room_after(membership.count, hoping=True)
        await self._ask(ClientEvent.USER_EDITING, argument, room, _nothing, outside=room is None)

    async def _ask(
        self,
        event: str,
        argument: Json,
        slug: str | None,
        taken: Callable[[Json], None],
        *,
        outside: bool,
    ) -> None:
        """Send an event, and record what becomes of it."""
        if self.number is None:
            return
        membership, peer, invocations = self._membership, self._peer, self._invocations
        number = invocations.invoked(
            event, argument, slug, taken, self.number, outside=outside, moves=membership.count
        )

        def answered(reply: Reply | None) -> None:
            if reply is None:
                invocations.abandon(number, event, argument)
            else:
                invocations.correct(number, membership, reply.content)
                invocations.answered(number, reply.content)

        try:
            await peer.ask(event, argument, on_reply=answered)
        except PeerClosed:
            answered(None)

    def read(self, step: Read) -> None:
        """Read a retreat over HTTP."""
        self._http.read(step)
