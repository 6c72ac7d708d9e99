"""What the server's history keeps of its parts: figures that are cheap however many rooms."""

from __future__ import annotations

import trio

from gbs_actor.gateway.clients import Clients
from gbs_actor.observability import RecentHistogram, process_statistics
from gbs_actor.observability.history import Sample
from gbs_actor.observability.recent_histogram import IntervalDurations
from gbs_actor.rooms import RoomSupervisor
from gbs_actor.store.protocol import Store


class ServerSampler:
    """Makes the samples of the server's history; each covers the time since the one before.

    :param loop_lag: how late timers fire.
    """

    def __init__(
        self, rooms: RoomSupervisor, clients: Clients, store: Store, loop_lag: RecentHistogram
    ) -> None:
        self._rooms = rooms
        self._clients = clients
        self._store = store
        self._loop_lag = IntervalDurations(loop_lag)
        self._acks = IntervalDurations(rooms.times.ack)
        self._commits = IntervalDurations(rooms.times.commit)
        self._counts = rooms.counts()
        self._taken_at = trio.current_time()

    def sample(self) -> Sample:
        """Return the server as it is now; never blocks."""
        now, counts, before = trio.current_time(), self._rooms.counts(), self._counts
        elapsed = now - self._taken_at
        self._taken_at, self._counts = now, counts
        acks, commits, lag = self._acks.take(), self._commits.take(), self._loop_lag.take()
        store = self._store.statistics()
        edits = counts.accepted - before.accepted
        return Sample(
            connections=self._clients.statistics().clients,
            rooms=counts.open,
            edits_per_second=edits / elapsed if elapsed > 0 else None,
            ack_p50=None if acks is None else acks.p50,
            ack_p95=None if acks is None else acks.p95,
            ack_p99=None if acks is None else acks.p99,
            commit_p99=None if commits is None else commits.p99,
            loop_lag_p99=None if lag is None else lag.p99,
            restarts=counts.restarts - before.restarts,
            database_busy=store.busy_connections,
            database_waiting=store.waiting,
            memory=process_statistics().memory_bytes,
        )
