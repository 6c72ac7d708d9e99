"""Reports this server to the others on its store, once a second."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Final

import structlog
import trio

from gbs_actor import __version__
from gbs_actor.bus import BusStatistics
from gbs_actor.environment import Environment
from gbs_actor.gateway.clients import Clients
from gbs_actor.gateway.nodes import Nodes, NodeStatus
from gbs_actor.observability import RecentHistogram, process_statistics
from gbs_actor.rooms import RoomSupervisor
from gbs_actor.store.protocol import StoreError

INTERVAL: Final = 1.0
"""Seconds between the beginnings of two reports."""
LEAVE_TIMEOUT: Final = 1.0
"""Seconds that the removal of the report may take at the end."""

_log = structlog.get_logger(__name__)


class NodeSampler:
    """Makes the status of a node; its rate of edits covers the time since the one before.

    :param address: returns host and port at which the server listens, if it does itself.
    :param loop_lag: how late timers fire.
    """

    def __init__(
        self,
        rooms: RoomSupervisor,
        clients: Clients,
        *,
        loop_lag: RecentHistogram,
        store_failure: Callable[[], str | None],
        draining: Callable[[], bool],
        bus: Callable[[], BusStatistics | None],
        address: Callable[[], str | None],
        environment: Environment,
    ) -> None:
        self._rooms = rooms
        self._clients = clients
        self._loop_lag = loop_lag
        self._store_failure = store_failure
        self._draining = draining
        self._bus = bus
        self._address = address
        self._host = socket.gethostname()
        self._started_at = environment.now()
        self._accepted = 0
        self._taken_at = trio.current_time()
        self._status: NodeStatus | None = None

    def status(self) -> NodeStatus:
        """Return the server as it is now, or was within the last half second; never blocks."""
        now = trio.current_time()
        if self._status is not None and now - self._taken_at < INTERVAL / 2:
            return self._status
        counts, process, bus = self._rooms.counts(), process_statistics(), self._bus()
        edits, elapsed = counts.accepted - self._accepted, now - self._taken_at
        self._accepted, self._taken_at = counts.accepted, now
        self._status = NodeStatus(
            version=__version__,
            host=self._host,
            address=self._address(),
            pid=process.pid,
            started_at=self._started_at,
            draining=self._draining(),
            store_failure=self._store_failure(),
            rooms=counts.open,
            connections=self._clients.statistics().clients,
            subscribers=counts.subscribers,
            edits_per_second=edits / elapsed if elapsed > 0 else None,
            loop_lag=self._loop_lag.durations(now).p99,
            behind=counts.behind,
            bus_connected=None if bus is None else bus.connected,
            memory_bytes=process.memory_bytes,
        )
        return self._status


async def report_node(nodes: Nodes) -> None:
    """Report a node until cancelled; then remove its report, as it ends.

    Without the store it goes on: the others see that it does not report.
    """
    failing = False
    try:
        while True:
            began = trio.current_time()
            try:
                await nodes.report()
            except StoreError as error:
                if not failing:
                    _log.warning("this server cannot be reported to others", reason=str(error))
                failing = True
            else:
                failing = False
            await trio.sleep_until(began + INTERVAL)
    finally:
        with trio.move_on_after(LEAVE_TIMEOUT, shield=True):
            await _leave(nodes)


async def _leave(nodes: Nodes) -> None:
    try:
        await nodes.leave()
    except StoreError as error:
        _log.info("the report of this server is left to expire", reason=str(error))
