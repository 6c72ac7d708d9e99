"""The one answer that an event gets."""

from __future__ import annotations

from typing import Protocol

from gbs_actor.gateway import replies
from gbs_actor.gateway.peer import ClientEvent, Peer
from gbs_actor.gateway.replies import Failure
from gbs_actor.rooms.delivery import Accepted, Done, Snapshot

SHOWN_NAME_LENGTH = 100
"""Characters of an event's name that an error repeats to its sender."""


class JoinAnswer(Protocol):
    """Where the outcome of a join goes.

    Exactly one of the methods is called, once, at the answer's place in what goes out on
    the connection; on a connection that has ended they do nothing.
    """

    @property
    def given(self) -> bool:
        """Whether the answer was given."""
        ...

    def joined(self, snapshot: Snapshot) -> None:
        """Answer a join."""
        ...

    def failed(self, failure: Failure) -> None:
        """Answer what was not done."""
        ...


class Answer(JoinAnswer, Protocol):
    """Where the outcome of any event goes; likewise."""

    def accepted(self, outcome: Accepted) -> None:
        """Answer a mutation that took effect."""
        ...

    def done(self, outcome: Done) -> None:
        """Answer what has nothing to give back."""
        ...


class EventAnswer:
    """Answers an event where its sender waits for that, else by an event.

    Errors then go out as event ``error``, and a join's rows as ``initial-data``; of a
    mutation that took effect the update itself tells.
    """

    __slots__ = ("_event", "_peer", "given")

    def __init__(self, peer: Peer, event: ClientEvent) -> None:
        self._peer = peer
        self._event = event
        self.given = False
        """Whether the answer was given."""

    def joined(self, snapshot: Snapshot) -> None:
        """Answer a join."""
        self.given = True
        if self._event.wants_answer:
            self._event.answer_joined(snapshot)
        else:
            self._peer.send_list(snapshot)

    def accepted(self, outcome: Accepted) -> None:
        """Answer a mutation that took effect."""
        self.given = True
        if self._event.wants_answer:
            self._event.answer(replies.accepted(outcome))

    def done(self, outcome: Done) -> None:
        """Answer what has nothing to give back."""
        self.given = True
        if self._event.wants_answer:
            self._event.answer(replies.done(outcome))

    def failed(self, failure: Failure) -> None:
        """Answer what was not done."""
        self.given = True
        name = self._event.name[:SHOWN_NAME_LENGTH]
        if self._event.wants_answer:
            self._event.answer(replies.failed(name, failure))
        else:
            self._peer.tell("error", replies.error_event(name or None, failure))
