"""What happens to a client when its token expires."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final

import trio

from gbs_actor.auth import TokenSource
from gbs_actor.contract.events import ServerEvent
from gbs_actor.gateway import replies
from gbs_actor.gateway.client import Client
from gbs_actor.gateway.replies import Failure
from gbs_actor.lineup.codes import Code
from gbs_actor.socketio import Deadline, DeadlineQueue

logger = logging.getLogger(__name__)

MAX_SLEEP: Final = 60.0
"""Seconds after which the wall clock is read again: it may have been set."""

EXPIRED: Final = Failure.because(Code.TOKEN_EXPIRED, "Token expired")


class ExpiryWatch:
    """One task that watches the tokens of all clients.

    Notifies clients without a cookie when their token expires, and closes connections whose
    time to renew it is over.

    :param now: Unix time in seconds, the clock that tokens are checked with.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._deadlines: dict[Client, Deadline[Client]] = {}
        self._queue: DeadlineQueue[Client] = DeadlineQueue()
        self._sleep = trio.CancelScope()
        self.failures = 0
        """Clients that could neither be notified nor closed; each is in the log."""

    def watch(self, client: Client) -> None:
        """Start to watch a client, or continue with its new token."""
        credentials = client.credentials
        notified = client.expiry_notified or client.user.source is TokenSource.COOKIE
        when = credentials.reads_until if notified else credentials.expires_at
        former = self._deadlines.get(client)
        if former is not None and former.when == when:
            return
        self.remove(client)
        if when is not None:
            self._deadlines[client] = self._queue.add(when, client)
            if when <= self._queue.earliest:
                self._sleep.deadline = min(self._sleep.deadline, self._wake_at())

    def remove(self, client: Client) -> None:
        """Stop watching a client."""
        deadline = self._deadlines.pop(client, None)
        if deadline is not None:
            deadline.cancel()

    def __len__(self) -> int:
        """Return how many clients have a token that will expire."""
        return len(self._deadlines)

    async def run(self) -> None:
        """Watch until cancelled."""
        while True:
            self._act_on_due()
            with trio.CancelScope(deadline=self._wake_at()) as self._sleep:
                await trio.sleep_forever()

    def _wake_at(self) -> float:
        """Return the Trio time of the earliest deadline, or of the next look at the clock."""
        pause = min(max(self._queue.earliest - self._now(), 0.0), MAX_SLEEP)
        return trio.current_time() + pause

    def _act_on_due(self) -> None:
        now = self._now()
        for client in self._queue.pop_due(now):
            del self._deadlines[client]
            try:
                self._act(client, now)
            except Exception:
                # It must receive nothing after its token has expired; other clients must not wait.
                self.failures += 1
                logger.exception(
                    "a client whose token has expired is aborted", extra=client.log_fields()
                )
                self.remove(client)
                client.peer.abort()

    def _act(self, client: Client, now: float) -> None:
        reads_until = client.credentials.reads_until
        if reads_until is not None and now >= reads_until:
            client.peer.close_expired(client.user.source)
            return
        client.expiry_notified = True
        self.watch(client)
        client.peer.send_event(ServerEvent.ERROR, replies.error_event(None, EXPIRED))
