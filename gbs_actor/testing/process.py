"""One run of a server under test, from its start to its end."""

from __future__ import annotations

from random import Random
from typing import Final

import trio

from gbs_actor.environment import Environment
from gbs_actor.rooms.tracepoints import Observer
from gbs_actor.server.composition import Composition
from gbs_actor.server.front_door import drain, front_door
from gbs_actor.settings import Settings
from gbs_actor.testing.network import Descriptors, SimListener, sim_plane
from gbs_actor.testing.store import SimStore

_SELDOM: Final = 600.0
"""Seconds between two looks of the server at itself."""


class ServerProcess:
    """The real server behind a simulated listener, as ``serve`` runs it behind real ones.

    :param plane: whether one task drives all plain WebSockets, as over sockets; otherwise each has
        one of its own, as over TLS.
    :param random: decides which of them it serves first.
    :param demo_sign_in: see :class:`Composition`.
    """

    def __init__(
        self,
        store: SimStore,
        settings: Settings,
        environment: Environment,
        *,
        observe: Observer,
        plane: bool,
        random: Random | None,
        demo_sign_in: bool,
    ) -> None:
        self._store = store
        self._descriptors = Descriptors()
        self.listener = SimListener(self._descriptors)
        self.composition = Composition(
            store,
            settings,
            environment=environment,
            observe=observe,
            plane=lambda: sim_plane(self._descriptors, random) if plane else None,
            demo_sign_in=demo_sign_in,
        )
        # What nobody looks at here would cost more than all else in idle time.
        self.composition.loop_lag.interval = self.composition.history.interval = _SELDOM
        self.ended = trio.Event()
        self._door = front_door(self.composition, settings)
        self._grace = settings.server.shutdown_grace
        self._ending = trio.Event()
        self._scope = trio.CancelScope()

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Serve until :meth:`stop`, and then for the grace period at most; or until :meth:`kill`.

        :param task_status: started once clients can connect.
        """
        self.composition.shut_down = self.stop
        try:
            with self._scope:
                async with self.composition.running(), trio.open_nursery() as nursery:
                    await nursery.start(self._door.serve, [self.listener])
                    task_status.started()
                    await self._ending.wait()
                    await drain(self.composition, self._door, self._grace)
                    nursery.cancel_scope.cancel()
        finally:
            self.ended.set()

    @property
    def open_sockets(self) -> int:
        """How many connections it has open."""
        return len(self._descriptors)

    def stop(self, grace: float | None = None) -> None:
        """Begin a graceful shutdown. Idempotent.

        :param grace: seconds for it; ``None``: those of the settings.
        """
        if not self._ending.is_set():
            self._grace = self._grace if grace is None else grace
            self._ending.set()
            self._scope.deadline = trio.current_time() + self._grace

    def kill(self) -> SimStore:
        """End it in one step, as the system does: nothing is sent any more, nothing committed.

        Only then its tasks are cancelled; a cancellation alone would let them clean up.

        :returns: the data, for the next process.
        """
        self.listener.close()
        self._descriptors.cut()
        data = self._store.detach()
        self._scope.cancel()
        return data
