"""Peers of which a history records all that they ask for and receive."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from random import Random
from typing import Any, Final
from uuid import UUID

import trio

from gbs_actor.contract.events import ClientEvent, CommandEvent, ServerEvent
from gbs_actor.testing.peers import Json, Peer, PeerOptions, Received
from gbs_actor.testing.peers.conversation import OnMessage, OnReply
from gbs_actor.testing.peers.transport import Dial
from gbs_actor.testing.simulation.history import (
    Abandoned,
    Answered,
    Closed,
    Delivered,
    History,
    Invoked,
    Opened,
)
from gbs_actor.testing.simulation.server.membership import Membership, Move

_MOVES: Final = (ClientEvent.JOIN_RETREAT, ClientEvent.LEAVE_RETREAT)


class Recorder:
    """What the peers of a run share.

    :param room_of: returns the room that a session is in; given the one that its client knows.
    :param cuts: how likely a connection is cut behind a message.
    """

    def __init__(
        self,
        history: History,
        random: Random,
        room_of: Callable[[str, str | None], str | None],
        *,
        cuts: float,
    ) -> None:
        self.history = history
        self.room_of = room_of
        self._random = random
        self._cuts = cuts
        self._peers = 0
        self._numbers = 0

    def next_peer(self) -> int:
        """Return the number of another peer."""
        self._peers += 1
        return self._peers

    def next_number(self) -> int:
        """Return a number that no connection and no question has."""
        self._numbers += 1
        return self._numbers

    def cuts_now(self) -> bool:
        """Return whether the connection is cut that has just brought a message."""
        return self._random.random() < self._cuts


class RecordedPeer(Peer):
    """A peer that a history records.

    :param recorder: of the history.
    """

    def __init__(
        self,
        nursery: trio.Nursery,
        dial: Dial,
        options: PeerOptions,
        on_message: OnMessage | None = None,
        *,
        recorder: Recorder,
    ) -> None:
        super().__init__(nursery, dial, options, on_message)
        self._recorder = recorder
        self._client = recorder.next_peer()
        self._number: int | None = None
        """Of its connection in the history; ``None``: it has none."""
        self._membership = Membership()
        self._moves: dict[int, Move] = {}
        """Joins and leaves that are not answered, by their number in the history."""

    async def _connect(self, *, recover: bool) -> None:
        if self._options.protocol == "plain":
            self._opened(self._options.retreat)
        try:
            await super()._connect(recover=recover)
        finally:
            if self._transport is None or self.closed.is_set():
                self._ended()

    def _opened(self, slug: str | None, *, resumed: bool = False) -> None:
        self._ended()
        recorder, options = self._recorder, self._options
        self._number = recorder.next_number()
        self._membership = Membership(slug)
        recorder.history.record(
            Opened(
                self._number,
                self._client,
                self._client,
                "batch" if options.batch else "rows",
                resumed,
                slug,
                options.presence,
            )
        )

    def _ended(self) -> None:
        if self._number is not None:
            self._recorder.history.record(Closed(self._number, self.close_code))
            self._number = None

    async def begin(self, name: str, *arguments: Json, on_reply: OnReply | None = None) -> int:
        """See :class:`~gbs_actor.testing.peers.conversation.Conversation`."""
        if self._number is None:
            return await super().begin(name, *arguments, on_reply=on_reply)
        number = self._invoked(self._number, name, arguments[0] if arguments else None)

        def answered(reply: tuple[Json, ...] | None) -> None:
            self._answered(number, reply)
            if on_reply is not None:
                on_reply(reply)

        return await super().begin(name, *arguments, on_reply=answered)

    def _invoked(self, connection: int, name: str, data: Json) -> int:
        number, membership = self._recorder.next_number(), self._membership
        room = membership.room_after(membership.count, hoping=True)
        if isinstance(data, str) and name in _MOVES:
            data = {"retreatSlug": data}
        argument: Mapping[str, Any] = data if isinstance(data, Mapping) else {}
        named = argument.get("retreatSlug")
        slug = named if isinstance(named, str) else room
        if name in _MOVES and slug is not None:
            joins = name == ClientEvent.JOIN_RETREAT
            self._moves[number] = membership.add(slug, joins=joins)
        self._recorder.history.record(
            Invoked(
                invocation=number,
                client=self._client,
                user_id=self._client,
                connection=connection,
                event=name,
                argument=argument,
                slug=slug,
                command_id=_command_id(name, argument),
                outside=slug != room or room is None,
            )
        )
        return number

    def _answered(self, number: int, reply: tuple[Json, ...] | None) -> None:
        move = self._moves.pop(number, None)
        if reply is None:
            self._recorder.history.record(Abandoned(number))
            return
        content = reply[0] if reply and isinstance(reply[0], dict) else {}
        if move is not None:
            move.succeeded = content.get("status") == "OK"
        self._recorder.history.record(Answered(number, content))

    def _take(self, received: Received) -> None:
        if received.kind == "connected":
            sid, pid = received.payload["sid"], received.payload.get("pid")
            resumed = self.pid is not None and (sid, pid) == (self.sid, self.pid)
            known = self._membership.room
            slug = self._recorder.room_of(sid, known) if resumed else None
            self._opened(slug, resumed=resumed)
        elif received.kind == "event":
            self._received(received)
        super()._take(received)
        if self._recorder.cuts_now():
            self.stream.cut()

    def _received(self, received: Received) -> None:
        if self._number is not None and received.name != ServerEvent.ERROR:
            name, payload, revision = received.name, received.payload, received.revision
            self._recorder.history.record(Delivered(self._number, name, payload, revision))

    def _has_ended(self) -> None:
        self._ended()
        super()._has_ended()


def _command_id(event: str, argument: Mapping[str, Any]) -> UUID | None:
    given = argument.get("idempotencyKey" if event == CommandEvent.UNDO else "commandId")
    try:
        return UUID(given)
    except (TypeError, ValueError, AttributeError):
        return None
