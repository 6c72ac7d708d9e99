"""Hypercorn's worker process: notifies the application of its end, and reports failed starts."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Awaitable, Callable
from typing import Any

import trio
from hypercorn.trio import run
from hypercorn.utils import LifespanFailureError

from gbs_actor.concurrency import first_exception

ShutdownTrigger = Callable[[], Awaitable[None]]


def prepare_worker(*, ending: Callable[[], None], failed: Callable[[str], int]) -> None:
    """Make the worker that is about to run in this process end orderly.

    By itself it notifies an application of its end only when all connections are closed, after
    ``graceful_timeout`` by force. SIGTERM, which it handles only in its master process, would
    end it at once. If an application does not start, it prints a traceback of 60 lines.

    :param ending: called when the worker is to end, while all connections are open.
    :param failed: called with the reason why the application does not start; returns the
        exit code.
    """
    worker_serve = run.worker_serve

    async def serve(
        *args: Any, shutdown_trigger: ShutdownTrigger | None = None, **kwargs: Any
    ) -> None:
        async def wait_for_end() -> None:
            await _first_of(_sigterm, shutdown_trigger or trio.sleep_forever)
            ending()

        try:
            await worker_serve(*args, shutdown_trigger=wait_for_end, **kwargs)
        except BaseExceptionGroup as group:
            failures, others = group.split(LifespanFailureError)
            if failures is None or others is not None:
                raise
            code = failed(str(first_exception(failures)))
        else:
            return
        raise SystemExit(code)

    run.worker_serve = serve


def end_server() -> None:
    """Send SIGTERM to the process that is to get it: the master, which would replace a worker."""
    master = multiprocessing.parent_process()
    pid = os.getpid() if master is None or master.pid is None else master.pid
    os.kill(pid, signal.SIGTERM)


async def _sigterm() -> None:
    with trio.open_signal_receiver(signal.SIGTERM) as signals:
        await anext(signals)


async def _first_of(*waits: ShutdownTrigger) -> None:
    """Return when one of these has returned, and cancel the others."""

    async def wait_for(wait: ShutdownTrigger) -> None:
        await wait()
        nursery.cancel_scope.cancel()

    async with trio.open_nursery() as nursery:
        for wait in waits:
            nursery.start_soon(wait_for, wait)
