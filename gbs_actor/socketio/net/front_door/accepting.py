"""Accepts connections, also while the process has no descriptor left."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

import trio

from gbs_actor.socketio.net.front_door.descriptors import SpareDescriptor, out_of_descriptors
from gbs_actor.socketio.net.front_door.listener import AcceptedSocket, SocketListener
from gbs_actor.socketio.net.unauthenticated import UnauthenticatedLimit

Listener = trio.abc.Listener[Any]

_PAUSE: Final = 0.1  # seconds, where accepting fails: out of descriptors, or of memory
_CLOSED_AT_ONCE: Final = 32  # connections, where there are no descriptors left

logger = logging.getLogger(__name__)


class Acceptor:
    """Accepts the connections of several listeners.

    :param begin: is given each connection: its stream, or its socket from a
        :class:`SocketListener`; must neither block nor raise.
    :param unauthenticated: its oldest connections are closed when there are no descriptors left.
    """

    def __init__(
        self,
        begin: Callable[[trio.abc.HalfCloseableStream | AcceptedSocket], None],
        unauthenticated: UnauthenticatedLimit,
    ) -> None:
        self._begin = begin
        self._unauthenticated = unauthenticated
        self._spare = SpareDescriptor()
        self._scope: trio.CancelScope | None = None
        self.accepted = 0
        """Connections that were passed on."""
        self.closed = 0
        """Connections that were accepted only to be closed."""
        self.failures = 0

    async def run(
        self,
        listeners: Sequence[Listener],
        *,
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Accept until :meth:`stop`, or until cancelled; then close the listeners.

        :param listeners: closed at the end of accepting.
        """
        with self._spare.held(), trio.CancelScope() as self._scope:
            async with trio.open_nursery() as accepting:
                for listener in listeners:
                    accepting.start_soon(self._accept, listener)
                task_status.started()

    def stop(self) -> None:
        """Close the listeners; open connections continue."""
        if self._scope is not None:
            self._scope.cancel()

    async def _accept(self, listener: Listener) -> None:
        accept: Callable[[], Awaitable[Any]] = listener.accept
        if isinstance(listener, SocketListener):
            accept = listener.accept_socket
        failures = 0  # in a row
        async with listener:
            while True:
                try:
                    accepted = await accept()
                except trio.ClosedResourceError:
                    return
                except OSError as error:
                    failures += 1
                    self.failures += 1
                    if failures == 1:
                        logger.warning("accepting a connection failed: %s", error)
                    with trio.move_on_after(_PAUSE):
                        if out_of_descriptors(error):
                            await self._free_descriptors(listener, again=failures > 1)
                        await trio.sleep_forever()
                    continue
                failures = 0
                self.accepted += 1
                self._begin(accepted)

    async def _free_descriptors(self, listener: Listener, *, again: bool) -> None:
        """Close the oldest connections without an authenticated client.

        If that does not help, accept by the spare descriptor those that wait, and close them.

        :param again: whether accepting has failed before.
        """
        if self._unauthenticated.evict_oldest(_CLOSED_AT_ONCE) or not again:
            return
        with self._spare.lent():
            try:
                while True:
                    await trio.aclose_forcefully(await listener.accept())
                    self.closed += 1
            except OSError:
                self.failures += 1  # another task has taken the descriptor
