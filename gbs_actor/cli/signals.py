"""Runs the server until a signal, and makes sure that it ends."""

from __future__ import annotations

import gc
import os
import signal
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Any, Protocol, Self

import structlog
import trio

from gbs_actor.cli.systemd import ServiceManager
from gbs_actor.settings import Settings

MARGIN = 5.0
"""Seconds after the grace period at which a server that has not ended is killed."""

log = structlog.get_logger(__name__)

EndAtOnce = Callable[[int], None]


class Serve(Protocol):
    """Runs the server until it is cancelled; see :func:`gbs_actor.server.serve`."""

    async def __call__(
        self,
        settings: Settings,
        *,
        demo: bool,
        reloads: AsyncIterator[object],
        task_status: trio.TaskStatus[Any],
    ) -> None:
        """Serve; report the bound addresses when clients can connect."""
        ...


def end_at_once(number: int) -> None:
    """End the process by a signal, as without our handlers."""
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)


async def serve_until_signal(
    serve: Serve,
    settings: Settings,
    *,
    demo: bool,
    announce: Callable[[Any], None],
    manager: ServiceManager | None = None,
    end: EndAtOnce = end_at_once,
) -> None:
    """Run the server; SIGINT or SIGTERM stops it within the grace period.

    SIGHUP makes it read settings and certificate again, and never ends it, not even while it
    starts or stops, or when its terminal is closed.

    A second signal ends the process at once, and so does :data:`MARGIN` after the grace
    period, if the server still runs.

    :param announce: called with the bound addresses when clients can connect.
    :param manager: is notified of start, reload, stop, and that the event loop turns.
    :param end: ends the process, given the signal's number.
    """
    manager = manager or ServiceManager()
    # A signal still pending when its receiver is closed has its ordinary effect.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with (
        trio.open_signal_receiver(signal.SIGHUP) as hangups,
        trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals,
    ):
        async with trio.open_nursery() as watching:
            watching.start_soon(manager.keep_alive)
            async with trio.open_nursery() as serving:

                def stop() -> None:
                    manager.stopping()
                    serving.cancel_scope.cancel()

                watching.start_soon(
                    _stop_on_signal, signals, stop, settings.server.shutdown_grace, end
                )
                reloads = _Reloads(hangups, manager)
                addresses = await serving.start(
                    partial(serve, settings, demo=demo, reloads=reloads)
                )
                announce(addresses)
                _make_full_collections_short_and_rare()
                manager.ready()
            watching.cancel_scope.cancel()


def _make_full_collections_short_and_rare() -> None:
    """Configure the garbage collector: a full collection stops the event loop.

    All modules are loaded and stay: without them it takes a few milliseconds instead of fifty.
    It takes 0.4 s with 4,000 sessions, and finds little: a connection that has ended is freed
    by its last reference. Young garbage, such as of HTTP requests, is collected as ever.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(2_000, 5, 1_000)


class _Reloads:
    """One item for each SIGHUP; whoever asks for the next one is done with the last."""

    def __init__(self, hangups: AsyncIterator[int], manager: ServiceManager) -> None:
        self._hangups = hangups
        self._manager = manager
        self._reloading = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> int:
        if self._reloading:
            self._manager.ready()
            self._reloading = False
        hangup = await anext(self._hangups)
        self._manager.reloading()
        self._reloading = True
        return hangup


async def _stop_on_signal(
    signals: AsyncIterator[int], stop: Callable[[], None], grace: float, end: EndAtOnce
) -> None:
    number = await anext(signals)
    log.info("Stopping; a second signal ends it at once", signal=signal.strsignal(number))
    stop()
    with trio.move_on_after(grace + MARGIN) as waiting:
        number = await anext(signals)
    if waiting.cancelled_caught:
        log.error("The server did not stop in time", seconds=grace + MARGIN)
        number = signal.SIGTERM
    end(number)
