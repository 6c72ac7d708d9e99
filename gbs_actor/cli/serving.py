"""The command ``serve``: run until a signal, then stop in good order."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Annotated, Any, Protocol

import structlog
import trio
import typer

from gbs_actor.cli.configuration import ConfigOption, configured
from gbs_actor.cli.failures import expected_failures
from gbs_actor.settings import Settings

MARGIN = 5.0
"""Seconds beyond the grace period after which a server that does not end is ended."""

log = structlog.get_logger(__name__)

EndAtOnce = Callable[[int], None]


class Serve(Protocol):
    """What runs the server until it is cancelled; see :func:`gbs_actor.server.serve`."""

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
    """End the process by a signal, as it would have ended without our handlers."""
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)


async def serve_until_signal(
    serve: Serve,
    settings: Settings,
    *,
    demo: bool,
    announce: Callable[[Any], None],
    end: EndAtOnce = end_at_once,
) -> None:
    """Run the server; SIGINT or SIGTERM stops it within the grace period.

    SIGHUP makes it read its certificate again, and never ends it: not while it starts or
    stops either, nor when the terminal goes that it was started from.

    A second signal ends the process at once, and so does a server that is not gone
    :data:`MARGIN` seconds after its grace period.

    :param announce: called with the bound addresses when clients can connect.
    :param end: what ends the process, given the signal's number.
    """
    # One that nobody has taken when the receiver is closed takes its ordinary effect.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with (
        trio.open_signal_receiver(signal.SIGHUP) as reloads,
        trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals,
    ):
        async with trio.open_nursery() as watching:
            async with trio.open_nursery() as serving:
                watching.start_soon(
                    _stop_on_signal,
                    signals,
                    serving.cancel_scope,
                    settings.server.shutdown_grace,
                    end,
                )
                addresses = await serving.start(
                    partial(serve, settings, demo=demo, reloads=reloads)
                )
                announce(addresses)
            watching.cancel_scope.cancel()


async def _stop_on_signal(
    signals: AsyncIterator[int], server: trio.CancelScope, grace: float, end: EndAtOnce
) -> None:
    number = await anext(signals)
    log.info("Stopping; a second signal ends it at once", signal=signal.strsignal(number))
    server.cancel()
    with trio.move_on_after(grace + MARGIN) as patience:
        number = await anext(signals)
    if patience.cancelled_caught:
        log.error("The server did not stop in time", seconds=grace + MARGIN)
        number = signal.SIGTERM
    end(number)


def serve(
    demo: Annotated[
        bool,
        typer.Option(
            "--demo",
            help="Try it out: demo retreats are put in, and without a secret one is made.",
        ),
    ] = False,
    host: Annotated[
        str | None, typer.Option(help="Address to listen on.", show_default="127.0.0.1")
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(min=0, max=65_535, help="TCP port; 0: any free one.", show_default="8080"),
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Run the server until Ctrl-C or SIGTERM.

    Without GBS_DATABASE_URL it brings a PostgreSQL of its own.
    """
    given = {
        name: value for name, value in {"host": host, "port": port}.items() if value is not None
    }
    with expected_failures():
        settings = configured(config, {"server": given} if given else None)

        from gbs_actor.cli.banner import announce
        from gbs_actor.demo.secret import with_keys

        settings = with_keys(settings, demo=demo)

        from gbs_actor.server import serve as run

        trio.run(
            partial(
                serve_until_signal,
                run,
                settings,
                demo=demo,
                announce=partial(announce, settings, demo=demo),
            )
        )
