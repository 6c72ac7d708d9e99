"""The invocations of plain WebSockets: an event, and the join that connecting is."""

from __future__ import annotations

from typing import Protocol

import msgspec

from gbs_actor.contract.decoding import InvalidPayload
from gbs_actor.contract.events import ClientEvent
from gbs_actor.gateway.client import Peer
from gbs_actor.gateway.invocation import Invocation
from gbs_actor.gateway.plain.close_frame import for_failure
from gbs_actor.gateway.plain.frame import Frame, reply_frame
from gbs_actor.gateway.replies import Failure
from gbs_actor.rooms import Snapshot
from gbs_actor.socketio import Backlog


class PlainPeer(Peer, Protocol):
    """The channel of one client."""

    def close(self, code: int, reason: str) -> None:
        """Close the connection, behind what is queued."""
        ...


class PlainInvocation(Invocation):
    """Implements :class:`~gbs_actor.gateway.invocation.Invocation` for a text frame.

    It counts in the client's backlog: its data until its handler has ended; the rest, if the
    client waits for a reply, until that is sent or the connection has ended.
    """

    __slots__ = ("_backlog", "_data", "_id", "_name", "_size")

    def __init__(self, peer: Peer, frame: Frame, backlog: Backlog) -> None:
        super().__init__(peer)
        self._id = frame.id
        self._name = frame.name
        self._data = frame.data
        self._size = frame.size
        self._backlog = backlog
        backlog.hold(frame.size)
        if frame.id is not None:
            backlog.expect_answer()

    @property
    def name(self) -> str:
        """The event's name."""
        return self._name

    @property
    def wants_reply(self) -> bool:
        """Whether it has an id."""
        return self._id is not None

    def argument(self) -> bytes:
        """Return the JSON of its data.

        :raises InvalidPayload: there are none.
        """
        if self._data is None:
            raise InvalidPayload("data", f"{self._name} takes data.")
        return self._data

    def handled(self) -> None:
        """Drop what only its handler needed."""
        self._data = None
        needed = 0 if self.replied or self._id is None else len(self._id) + len(self._name)
        self._remove_bytes(needed)

    def _send(self, json: bytes) -> None:
        assert self._id is not None
        self._peer.deliver(reply_frame(self._id, json))
        self._backlog.release()
        if self._data is None:
            self._remove_bytes(0)

    def _remove_bytes(self, left: int) -> None:
        self._backlog.forget(self._size - left)
        self._size = left


class ConnectInvocation(Invocation):
    """The join that connecting is: its reply is the list, or the end of the connection."""

    __slots__ = ("_channel", "_slug")

    def __init__(self, channel: PlainPeer, slug: str) -> None:
        super().__init__(channel)
        self._channel = channel
        self._slug = slug

    @property
    def name(self) -> str:
        """The name of the event that it stands for."""
        return ClientEvent.JOIN_RETREAT

    @property
    def wants_reply(self) -> bool:
        """Nothing but the list is waited for."""
        return False

    def argument(self) -> bytes:
        """Return the slug as JSON."""
        return msgspec.json.encode(self._slug)

    def _failed(self, failure: Failure) -> None:
        frame = for_failure(failure)
        self._channel.close(frame.code, frame.reason)

    def _joined(self, snapshot: Snapshot) -> None:
        self._channel.send_list(snapshot)

    def _send(self, json: bytes) -> None:
        raise NotImplementedError("it waits for no reply")
