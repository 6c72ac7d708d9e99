"""The invocations of plain WebSockets: an event, and the join that connecting is."""

from __future__ import annotations

from collections import Counter
from typing import Protocol

import msgspec
import trio

from gbs_actor.contract.decoding import InvalidPayload
from gbs_actor.contract.events import ClientEvent
from gbs_actor.gateway.client import Peer
from gbs_actor.gateway.invocation import Invocation
from gbs_actor.gateway.plain.close_frame import for_failure
from gbs_actor.gateway.plain.frame import Frame, reply_frame
from gbs_actor.gateway.replies import Failure
from gbs_actor.rooms import Snapshot
from gbs_actor.socketio import Backlog, BacklogEvent


class PlainPeer(Peer, Protocol):
    """The channel of one client."""

    def close(self, code: int, reason: str) -> None:
        """Close the connection after sending what is queued."""
        ...


class FrameEvent(BacklogEvent):
    """The event in a frame; its data are dropped when its handler has ended."""

    __slots__ = ("data", "id", "name", "problem")

    def __init__(self, frame: Frame, backlog: Backlog) -> None:
        super().__init__(backlog, frame.size, frame.id is not None)
        self.id = frame.id
        self.name = frame.name
        self.data = frame.data
        self.problem = frame.problem

    def _drop(self) -> int:
        self.data = None
        return len(self.name) + len(self.id or b"")


class PlainInvocation(Invocation):
    """Implements :class:`~gbs_actor.gateway.invocation.Invocation` for a text frame."""

    __slots__ = ("_event",)

    def __init__(self, peer: Peer, event: FrameEvent, errors: Counter[str]) -> None:
        super().__init__(peer, event.name, event.wants_ack, event.received_at, errors)
        self._event = event

    def argument(self) -> bytes:
        """Return the JSON of its data.

        :raises InvalidPayload: there are none.
        """
        if self._event.data is None:
            raise InvalidPayload("data", f"{self.name} takes data.")
        return self._event.data

    def _send(self, json: bytes) -> None:
        assert self._event.id is not None
        self._peer.deliver(reply_frame(self._event.id, json))
        self._event.release()


class ConnectInvocation(Invocation):
    """The join that connecting is: its reply is the list, or the end of the connection.

    Its name is that of the event that it replaces. The client waits only for the list.
    """

    __slots__ = ("_channel", "_slug")

    def __init__(self, channel: PlainPeer, slug: str, errors: Counter[str]) -> None:
        super().__init__(channel, ClientEvent.JOIN_RETREAT, False, trio.current_time(), errors)
        self._channel = channel
        self._slug = slug

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
