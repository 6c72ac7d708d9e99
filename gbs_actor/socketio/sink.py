"""Where a socket's messages go, if that is not simply its connection's outbox."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from gbs_actor.socketio.channel.message import Message
from gbs_actor.socketio.channel.outbox import Outbox
from gbs_actor.socketio.hook import Contained

_MAX_QUEUED: Final = 1_024  # messages that an on_connect handler may emit


class Waiting:
    """Queues messages until the client is accepted.

    :param overflow: called when too much is queued.
    """

    __slots__ = ("_overflow", "messages")

    def __init__(self, overflow: Callable[[], None]) -> None:
        self._overflow = overflow
        self.messages: list[Message] = []

    def send(self, message: Message) -> None:
        """Queue a message."""
        self.messages.append(message)
        if len(self.messages) > _MAX_QUEUED:
            self._overflow()

    def send_text(self, text: bytes) -> None:
        """Queue a text."""
        self.send(Message(text))


class TracedSink:
    """Reports each text, and then sends it.

    :param report: called with the text; its exceptions are logged.
    """

    __slots__ = ("_outbox", "_report")

    def __init__(self, outbox: Outbox, report: Callable[[bytes], None]) -> None:
        self._outbox = outbox
        self._report = Contained(report)

    def send(self, message: Message) -> None:
        """Report and send a message; see :class:`Outbox`."""
        for part in message.parts:
            self._report(part.text)
        self._outbox.send(message)

    def send_text(self, text: bytes) -> None:
        """Report and send a text; see :class:`Outbox`."""
        self._report(text)
        self._outbox.send_text(text)
