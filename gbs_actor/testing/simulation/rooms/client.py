"""A simulated client: its connections one after the other, and what it shows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, Protocol
from uuid import UUID

import trio
from msgspec.structs import replace as replace_step

from gbs_actor.contract.events import ClientEvent, CommandEvent
from gbs_actor.environment import Environment
from gbs_actor.lineup.changes import Rejection
from gbs_actor.lineup.commands import Author
from gbs_actor.rooms import Done, Snapshot
from gbs_actor.store.protocol import SessionLocation
from gbs_actor.testing.simulation.arguments import argument_of
from gbs_actor.testing.simulation.disturbances import Disturbances
from gbs_actor.testing.simulation.history import (
    READ,
    Abandoned,
    Answered,
    Cause,
    Closed,
    Delivered,
    History,
    Invoked,
    Json,
    Opened,
)
from gbs_actor.testing.simulation.plan.plan import SLUGS, Participant
from gbs_actor.testing.simulation.plan.steps import (
    Disconnect,
    Invoke,
    Join,
    KeepAsking,
    Mark,
    Read,
    Return,
)
from gbs_actor.testing.simulation.replica import Replica
from gbs_actor.testing.simulation.rooms import gateway
from gbs_actor.testing.simulation.rooms.connection import Connection, Reply
from gbs_actor.testing.simulation.rooms.gateway import CommandGateway
from gbs_actor.testing.simulation.rooms.messages import FORMATS, Message
from gbs_actor.testing.simulation.rooms.server import SimServer

BACK_OFF = 0.5
"""Seconds after which a client that the server has sent away comes back."""


class Run(Protocol):
    """What all clients of a run share."""

    history: History
    counters: Counter[str]
    environment: Environment
    disturbances: Disturbances
    nursery: trio.Nursery
    """For what outlives a server."""
    clients: dict[int, Client]
    """All of them, by number."""

    def server_of(self, client: int) -> SimServer:
        """Return the server that a client speaks to."""
        ...

    async def wait_up(self, client: int) -> None:
        """Wait until a client can connect."""
        ...

    def slug_of(self, argument: Json) -> str | None:
        """Return the retreat that the person is in whom a command is about, if there is one."""
        ...

    def next_number(self) -> int:
        """Return a number that is unique in the run."""
        ...


def _nothing(*_: object) -> None:
    """Do nothing."""


class Client:
    """A participant. It records what it does and takes.

    No method but :meth:`come_back` blocks.
    """

    def __init__(self, participant: Participant, run: Run) -> None:
        self.participant = participant
        self._run = run
        user = participant.user
        self._author = Author(user_id=user, name=f"user {user}", admin_user_id=user)
        self._gateway = CommandGateway(self._author, run.environment, operator=participant.operator)
        self.replica = Replica()
        self.connection: Connection | None = None
        self.reading = True
        self._pending: dict[int, Callable[[Json], None]] = {}
        """What has no answer yet, and what is done with it; in the order of the invocations."""
        self._given_up: set[int] = set()
        self._by_http: dict[int, SimServer] = {}
        """The server that is to answer each invocation over HTTP."""
        self._location: SessionLocation | None = None
        """Where the server would resume its session."""
        self._joining: str | None = None
        """The retreat that it has asked for last; ``None``: that was answered."""
        self._calm_again: Callable[[], None] = _nothing
        """Called when it goes on reading."""

    @property
    def server(self) -> SimServer:
        """The one that it speaks to."""
        return self._run.server_of(self.participant.number)

    @property
    def in_room(self) -> str | None:
        """The retreat whose room it is in, as far as the server is concerned."""
        connection = self.connection
        return None if connection is None else connection.subscriber.room_slug

    @property
    def waiting(self) -> int:
        """Messages to it that it has not taken."""
        return 0 if self.connection is None else len(self.connection.waiting)

    @property
    def number(self) -> int | None:
        """Of its connection in the run; ``None``: it has none."""
        return None if self.connection is None else self.connection.number

    # -- connections

    def connect(self) -> None:
        """Open a connection, in no room, with a session of its own."""
        connection = self._new_connection()
        self._begin_session(connection)
        self._opened(connection, resumed=False)

    def _begin_session(self, connection: Connection) -> None:
        self._location = None
        offset = self.replica.offset  # which it may send again
        connection.subscriber.known_elsewhere = -1 if offset is None else offset

    def _new_connection(self) -> Connection:
        run = self._run
        self.connection = Connection(
            run.next_number(),
            self,
            FORMATS[self.participant.form],
            self._author,
            rooms=self.server.rooms,
            nursery=self.server.nursery,
            reading=self.reading,
        )
        return self.connection

    def _opened(self, connection: Connection, *, resumed: bool) -> None:
        who, slug = self.participant, connection.subscriber.room_slug
        self._record(
            Opened(
                connection.number,
                who.number,
                who.user,
                who.form,
                resumed,
                slug if resumed else None,
            )
        )
        connection.opened = True
        if self.reading:
            connection.read()

    def cut(self) -> None:
        """Lose the connection at once; the server does not know of it yet."""
        connection = self.connection
        if connection is None:
            return
        self.connection = None
        if connection.opened:
            self._record(Closed(connection.number))
        connection.cut()
        self._abandon(None)

    def abandon_http(self, server: SimServer) -> None:
        """Learn that the process that was to answer over HTTP is gone."""
        self._abandon(server)

    def _abandon(self, server: SimServer | None) -> None:
        for invocation in [each for each in self._pending if self._by_http.get(each) is server]:
            del self._pending[invocation]
            self._given_up.add(invocation)
            self._record(Abandoned(invocation))

    def disconnect(self, step: Disconnect) -> None:
        """Lose the connection, having taken a part of what waits on it, and come back."""
        connection = self.connection
        if connection is None or not connection.opened:
            return
        waiting = len(connection.waiting)
        lost = (waiting + 1) // 2 if step.loses is None else step.loses
        connection.read(max(0, waiting - lost))
        self._lose(connection, step.back_after, step.how)

    def sent_away(self, connection: Connection, *, orderly: bool) -> None:
        """See :class:`~gbs_actor.testing.simulation.rooms.connection.Taker`."""
        if connection is self.connection:
            if orderly and connection.opened:
                connection.read(len(connection.waiting) // 2 if not self.reading else None)
            self._lose(connection, BACK_OFF, "resume")

    def _lose(self, connection: Connection, back_after: float, how: Return) -> None:
        self.cut()
        # A room that sends it away is in the midst of something: it learns of it behind that.
        self._run.nursery.start_soon(self._leave_and_come_back, connection, back_after, how)

    async def _leave_and_come_back(
        self, connection: Connection, back_after: float, how: Return
    ) -> None:
        connection.leave()
        await trio.sleep(back_after)
        await self.come_back(how)

    async def come_back(self, how: Return) -> None:
        """Connect again, unless it is connected by then."""
        number = self.participant.number
        await self._run.wait_up(number)
        if self.connection is not None:
            return
        over = self._run.disturbances.begin(Cause.NETWORK, f"client {number}", client=number)
        try:
            if how != "resume" or not await self._resume():
                if self.connection is None:
                    self.connect()
                if how != "stay away":
                    self._rejoin(since=how != "join")
            elif self._joining is not None:
                self._rejoin(since=False)  # the answer is lost, and with it the list
        finally:
            over()

    def _rejoin(self, *, since: bool) -> None:
        slug = self._joining or self.replica.slug or SLUGS[0]
        self.join(Join(self.participant.number, SLUGS.index(slug), since))

    async def _resume(self) -> bool:
        """Resume the session on a new connection; whether the client is connected then."""
        location, offset = self._location, self.replica.offset
        since = None if location is None or offset is None else location.since(offset)
        if location is None or since is None:
            return False
        connection = self._new_connection()
        connection.subscriber.known_elsewhere = location.known_elsewhere
        outcome = await connection.rooms.resume(
            location.slug, connection.subscriber, since=since, epoch=location.epoch
        )
        if self.connection is not connection:
            connection.leave()
            return True  # lost again, which is seen to elsewhere
        resumed = isinstance(outcome, Done)
        self._run.counters["resumed" if resumed else "not resumed"] += 1
        if resumed:
            self._opened(connection, resumed=True)
            return True
        self._begin_session(connection)
        self._opened(connection, resumed=False)
        return False

    # -- what it takes

    def take(self, connection: Connection, item: Message | Reply) -> None:
        """See :class:`~gbs_actor.testing.simulation.rooms.connection.Taker`."""
        if isinstance(item, Message):
            self._record(Delivered(connection.number, item.event, item.payload))
            self.replica.event(item.event, item.payload, item.revision)
        else:
            self._answered(item)

    def _answered(self, reply: Reply) -> None:
        if reply.invocation in self._given_up:
            return
        self._record(Answered(reply.invocation, reply.json))
        taken = self._pending.pop(reply.invocation, None)
        if taken is not None:
            taken(reply.json)

    def keep_asking(self, step: KeepAsking) -> None:
        """Edit, or read, again and again, each time as soon as the answer is a good one."""
        if step.count < 1 or not self.server.is_running:
            return

        def taken(reply: Json) -> None:
            witness = None if step.witness is None else self._run.clients.get(step.witness)
            if witness is not None and witness.server.is_running:
                witness.read(Read(witness.participant.number, step.retreat))
            if reply["status"] == "OK":
                rest = replace_step(step, count=step.count - 1)
                if step.pause:
                    self._run.nursery.start_soon(self._keep_asking_later, rest)
                else:
                    self.keep_asking(rest)

        if step.registration is None:
            self.read(Read(self.participant.number, step.retreat), taken)
            return
        number = 1 + step.count % 3 if step.command is None else 1
        argument = {"lineupId": step.registration, "gbsNumber": number}
        event = CommandEvent.UPDATE_GBS_NUMBER
        self.invoke(Invoke(self.participant.number, event, argument, command=step.command), taken)

    async def _keep_asking_later(self, step: KeepAsking) -> None:
        await trio.sleep(step.pause)
        self.keep_asking(step)

    def stop_reading(self) -> None:
        """Take nothing more off the connection."""
        if self.reading:
            number = self.participant.number
            begin = self._run.disturbances.begin
            self._calm_again = begin(Cause.NETWORK, f"client {number} stalls", client=number)
        self.reading = False
        if self.connection is not None:
            self.connection.reading = False

    def go_on_reading(self) -> None:
        """Take all that waits, and what comes."""
        self.reading = True
        calm_again, self._calm_again = self._calm_again, _nothing
        calm_again()
        if self.connection is not None:
            self.connection.reading = True
            if self.connection.opened:
                self.connection.read()

    # -- what it sends

    def invoke(self, step: Invoke, then: Callable[[Json], None] = _nothing) -> None:
        """Give a command.

        :param then: called with the answer over the connection.
        """
        argument = argument_of(step, self.replica)
        key = "idempotencyKey" if step.event == CommandEvent.UNDO else "commandId"
        given = argument.get(key)
        command_id = None if given is None else UUID(given)
        if step.http is not None:
            slug = SLUGS[step.http]
            answer = self._invoked(step.event, argument, slug, command_id, http=True)
            rooms = self.server.rooms
            self._gateway.handle_http(rooms, slug, step.event, argument, answer)
        elif (connection := self._connected()) is not None:
            named: str | None = argument.get("retreatSlug")
            slug_ = named or connection.subscriber.room_slug or self._run.slug_of(argument)

            def taken(reply: Json) -> None:
                self.replica.accepted(reply)
                then(reply)

            answer = self._invoked(step.event, argument, slug_, command_id, taken)
            routed = self._routed(len(self._run.history.moments) - 1)
            handle = self._gateway.handle
            connection.send(partial(handle, connection, step.event, argument, answer, routed))

    def _routed(self, index: int) -> Callable[[str | None, bool], None]:
        """Return what corrects a recorded invocation by what was the case at its turn."""
        moments = self._run.history.moments

        def routed(slug: str | None, outside: bool) -> None:
            moment = moments[index]
            assert isinstance(moment.event, Invoked)
            if (moment.event.slug, moment.event.outside) != (slug, outside):
                moments[index] = replace(
                    moment, event=replace(moment.event, slug=slug, outside=outside)
                )

        return routed

    def join(self, step: Join) -> None:
        """Join a retreat."""
        connection = self._connected()
        if connection is None:
            return
        slug, replica = SLUGS[step.retreat], self.replica
        argument: dict[str, Any] = {"retreatSlug": slug}
        # While it moves, it does not know what it will show when its turn comes.
        if step.since and replica.slug == slug and self._joining in (None, slug):
            argument |= {"since": replica.since, "epoch": replica.epoch}
        since, epoch = argument.get("since"), argument.get("epoch")
        self._joining = slug

        def shown(reply: Json) -> None:
            if reply["status"] == "OK":
                replica.joined(slug, reply)
            if self._joining == slug:
                self._joining = None

        answer = self._invoked(ClientEvent.JOIN_RETREAT, argument, slug, None, shown)

        def joined(outcome: Snapshot | Rejection) -> None:
            if isinstance(outcome, Snapshot) and connection is self.connection:
                stay = self._location
                if stay is None or (stay.slug, stay.epoch) != (slug, outcome.epoch):
                    known = connection.subscriber.known_elsewhere
                    self._location = SessionLocation(slug, outcome.epoch, outcome.revision, known)
            answer(gateway.joined_json(outcome))

        connection.send(lambda: gateway.handle_join(connection, slug, since, epoch, joined))

    def leave(self) -> None:
        """Leave the retreat that it is in, as far as it knows."""
        connection = self._connected()
        slug = self.replica.slug
        if connection is None or slug is None:
            return
        answer = self._invoked(ClientEvent.LEAVE_RETREAT, {"retreatSlug": slug}, slug, None)

        def handle() -> None:
            if self._location is not None and self._location.slug == slug:
                self._location = None
            gateway.handle_leave(connection, slug, answer)

        connection.send(handle)

    def mark(self, step: Mark) -> None:
        """Start or end editing a field."""
        connection = self._connected()
        if connection is None:
            return
        argument = {
            "lineupId": step.registration,
            "field": step.field,
            "editing": step.editing,
        }
        event = ClientEvent.USER_EDITING
        subscriber = connection.subscriber
        answer = self._invoked(event, argument, subscriber.room_slug, None)
        routed = self._routed(len(self._run.history.moments) - 1)

        def handle() -> None:
            routed(subscriber.room_slug, subscriber.room is None)
            connection.rooms.mark_editing(
                subscriber,
                step.registration,
                step.field,
                step.editing,
                lambda outcome: answer(gateway.done_json(outcome, event)),
            )

        connection.send(handle)

    def read(self, step: Read, then: Callable[[Json], None] = _nothing) -> None:
        """Read a retreat over HTTP.

        :param then: called with the answer.
        """
        slug, replica = SLUGS[step.retreat], self.replica
        since = epoch = None
        if step.behind is not None and replica.slug == slug:
            since, epoch = max(0, replica.since - step.behind), replica.epoch
        argument = {"since": since, "epoch": epoch}
        answer = self._invoked(READ, argument, slug, None, then, http=True)
        server = self.server
        server.nursery.start_soon(gateway.handle_read, server.rooms, slug, since, epoch, answer)

    def _connected(self) -> Connection | None:
        connection = self.connection
        if connection is None or not connection.opened or not self.server.is_running:
            return None
        return connection

    def _invoked(
        self,
        event: str,
        argument: Json,
        slug: str | None,
        command_id: UUID | None,
        taken: Callable[[Json], None] = _nothing,
        *,
        http: bool = False,
    ) -> Callable[[Json], None]:
        """Record an invocation; return what is called with its answer."""
        run, who = self._run, self.participant
        number = run.next_number()
        connection = None if http else self._connected()
        self._record(
            Invoked(
                invocation=number,
                client=who.number,
                user_id=who.user,
                connection=None if connection is None else connection.number,
                event=event,
                argument=argument,
                slug=slug,
                command_id=command_id,
                outside=http or connection is None or connection.subscriber.room is None,
                operator=who.operator,
            )
        )
        self._pending[number] = taken
        if connection is None:
            self._by_http[number] = self.server
            return lambda json: self._answered(Reply(number, json))
        return lambda json: connection.queue(Reply(number, json))

    def _record(self, event: Any) -> None:
        self._run.history.record(event)
