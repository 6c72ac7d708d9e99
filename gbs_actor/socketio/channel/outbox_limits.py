"""How much may be queued on one connection, and how much is."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from gbs_actor.socketio.channel.message_queue import MessageQueue


@dataclass(frozen=True, slots=True)
class OutboxLimits:
    """How much may be queued on one connection."""

    pause_messages: int = 256
    """Unkeyed messages above which reading pauses."""
    pause_bytes: int = 1_000_000
    """Bytes of unkeyed messages, and of one partly sent, above which reading pauses."""
    outbox_messages: int = 20_000
    """Unkeyed messages above which the connection is closed."""
    outbox_bytes: int = 16_777_216
    """Bytes of queued messages above which it is closed; one alone may be larger."""
    max_keys: int = 65_536
    """Keyed messages above which it is closed: a bound where keys are not bounded."""

    def congested(self, queue: MessageQueue) -> bool:
        """Whether reading has to pause."""
        return queue.unkeyed > self.pause_messages or queue.unkeyed_bytes > self.pause_bytes

    def drained(self, queue: MessageQueue) -> bool:
        """Whether reading may resume."""
        return (
            queue.unkeyed <= self.pause_messages // 2
            and queue.unkeyed_bytes <= self.pause_bytes // 2
        )

    def exceeded(self, queue: MessageQueue) -> bool:
        """Whether the connection has to be closed."""
        whole, unkeyed = len(queue), queue.unkeyed
        return (
            unkeyed > self.outbox_messages
            or whole - unkeyed > self.max_keys
            or (queue.bytes > self.outbox_bytes and whole > 1)
        )


class OutboxStatistics(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """How far behind a connection is, and what it has sent."""

    queued: int
    """Messages, one that is partly sent included."""
    queued_bytes: int
    conflated: int
    """Queued messages that a newer one with the same key has replaced."""
    behind_for: float
    """Seconds since nothing was queued; 0 if nothing is."""
    sent_messages: int
    """Packets that went out as a whole; a bundle counts as many."""
    sent_bytes: int
