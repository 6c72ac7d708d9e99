"""A connection to a publish/subscribe server, as the bus needs it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

Receive = Callable[[bytes], None]
"""Called with each message that arrives; must not raise."""


class ChannelLost(Exception):
    """The connection cannot be made, or has ended; the text has no password."""


class Channel(Protocol):
    """A subscription to a channel that all nodes of a database share, over one connection.

    What it publishes comes back to it, too. Its methods are called by one task. A deadline is the
    caller's; a call to :meth:`publish` that was cancelled leaves it unusable.
    """

    async def publish(self, messages: Sequence[bytes]) -> None:
        """Publish messages, in order, and return once the server has them.

        :raises ChannelLost: some of them may have been published.
        """
        ...

    async def receive(self) -> None:
        """Pass on what arrives, until cancelled, which has no other effect.

        :raises ChannelLost: the connection has ended.
        """
        ...


Subscribe = Callable[[Receive, float], AbstractAsyncContextManager[Channel]]
"""Subscribes until a deadline in Trio's time, for the time of a block.

Raises :exc:`ChannelLost`, in an exception group perhaps, if it cannot, and in the block when the
subscription has ended.
"""
