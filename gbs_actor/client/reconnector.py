"""Stays connected: reconnects after each loss of a connection."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass

import trio

from gbs_actor.client import packets
from gbs_actor.client.dialing import ConnectStream, Endpoint
from gbs_actor.client.errors import ConnectError, Disconnected
from gbs_actor.client.link import Link, LinkLost
from gbs_actor.client.replies import Reply
from gbs_actor.concurrency import Backoff
from gbs_actor.contract.events import NAMESPACE
from gbs_actor.environment import Environment

_CLOSE_TIMEOUT = 1.0
"""Seconds to wait for the server's part of the closing handshake."""


@dataclass(frozen=True, slots=True)
class ClientOptions:
    """Timeouts and limits of a client.

    :param attempt_timeout: seconds for one attempt, from TCP to the namespace.
    :param command_timeout: seconds for one call, all its attempts together.
    :param max_pending: events without an acknowledgement at a time.
    :param backoff: waiting times between attempts of either kind.
    :param environment: where the ids of commands and jitter come from.
    """

    attempt_timeout: float
    command_timeout: float
    max_pending: int
    backoff: Backoff
    environment: Environment


@dataclass(frozen=True, slots=True)
class CallResult:
    """A call's last reply, if there was one."""

    reply: Reply | None
    """Final if it is OK or not retryable; else the last one before the timeout."""
    sent: int
    """How often the event was sent."""


class Reconnector:
    """Links to one server, one after the other.

    :param auth: gives the Socket.IO ``CONNECT`` payload of the next attempt.
    :param on_event: called for each event, in order of arrival; must not block.
    :param prepare: run on each new link before :attr:`ready`; it may give up.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        connect_stream: ConnectStream,
        *,
        headers: Sequence[tuple[str, str]],
        options: ClientOptions,
        auth: Callable[[], object],
        on_event: Callable[[packets.Event], None],
        prepare: Callable[[Link], Awaitable[None]],
    ) -> None:
        self._endpoint = endpoint
        self._connect_stream = connect_stream
        self._headers = headers
        self._options = options
        self._auth = auth
        self._on_event = on_event
        self._prepare = prepare
        self._link: Link | None = None
        self._changed = trio.Event()
        self._closing = False
        self.ready = False
        """Whether there is a link, and :attr:`prepare` is done."""
        self.failure: Exception | None = None
        """Why there will be no further attempt; ``None`` if there may be one."""
        self.attempts = 0
        self.established = 0
        self.resent = 0
        self.last_loss = ""

    @property
    def closing(self) -> bool:
        """Whether the owner has ended it."""
        return self._closing

    @property
    def pending(self) -> int:
        """How many events wait for their acknowledgement."""
        return self._link.pending if self._link else 0

    async def run(self) -> None:
        """Connect, and reconnect after each loss, until cancelled or refused."""
        delays = self.delays()
        while self.failure is None:
            self.attempts += 1
            before = self.established
            link = Link(
                self._endpoint,
                self._connect_stream,
                namespace=NAMESPACE,
                headers=self._headers,
                auth=self._auth(),
                on_event=self._on_event,
                max_pending=self._options.max_pending,
            )
            try:
                await link.serve(self._opened, open_timeout=self._options.attempt_timeout)
            except LinkLost as loss:
                self.last_loss = str(loss)
            except ConnectError as error:
                self.last_loss = str(error)
                self.failure = error
            finally:
                self._link = None
                self.ready = False
                self._notify()
            if self.established > before:
                delays = self.delays()
            if self.failure is None:
                await trio.sleep(next(delays))

    async def call(
        self,
        name: str,
        argument: Callable[[], object],
        on_reply: Callable[[Reply], None],
        *,
        needs_ready: bool = True,
    ) -> CallResult:
        """Send an event until it has a final reply, or the timeout has passed.

        :param argument: returns the event's argument; called for each attempt.
        :param on_reply: called for each reply, in the order of arrival.
        :param needs_ready: wait for :attr:`ready`, not only for a link.
        :raises ConnectError: there will be no further connection.
        :raises Disconnected: the client was closed.

        Cancelled, the event may have been sent.
        """
        delays = self.delays()
        reply: Reply | None = None
        sent = 0
        with trio.move_on_after(self._options.command_timeout):
            while True:
                link = await self.wait_link(needs_ready=needs_ready)
                self.resent += sent > 0
                sent += 1
                try:
                    reply = await link.call(name, argument(), on_reply)
                except LinkLost:
                    reply = None  # a reply to an earlier attempt is no reply to this one
                    continue
                if reply.final:
                    break
                await trio.sleep(next(delays))
        return CallResult(reply, sent)

    async def wait_link(self, *, needs_ready: bool) -> Link:
        """Wait for a link that can be used; raises as :meth:`call` does."""
        while True:
            if self.failure is not None:
                raise self.failure
            if self._closing:
                raise Disconnected("the client is closed")
            if self._link is not None and (self.ready or not needs_ready):
                return self._link
            await self._changed.wait()

    def delays(self) -> Iterator[float]:
        """Return the waiting times between attempts, from the first on."""
        return self._options.backoff.delays(self._options.environment.chance)

    async def close(self) -> None:
        """Leave the namespace and close the WebSocket, for at most a second."""
        self.end()
        if self._link is not None:
            with trio.move_on_after(_CLOSE_TIMEOUT):
                await self._link.close()

    def end(self, failure: Exception | None = None) -> None:
        """End every wait for a link."""
        self._closing = True
        self.failure = self.failure or failure
        self._notify()

    async def _opened(self, link: Link) -> None:
        self.established += 1
        self._link = link
        self._notify()
        try:
            await self._prepare(link)
        except LinkLost:
            return  # the reading task raises the reason
        self.ready = True
        self._notify()

    def _notify(self) -> None:
        self._changed.set()
        self._changed = trio.Event()
