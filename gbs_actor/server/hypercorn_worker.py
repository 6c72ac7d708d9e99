"""What Hypercorn's worker says to an application, and of it, too late or not at all."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from hypercorn.trio import run
from hypercorn.utils import LifespanFailureError

ShutdownTrigger = Callable[[], Awaitable[None]]


def prepare_worker(*, ending: Callable[[], None], failed: Callable[[str], int]) -> None:
    """Have the worker that is about to run in this process take care of its end.

    By itself it tells an application of its end only when that has no connections any
    more: they are cut after ``graceful_timeout``. Of one that does not start it shows a
    traceback of sixty lines.

    :param ending: called once the worker is told to end, while all connections are open.
    :param failed: given why the application does not start; returns the exit code.
    """
    worker_serve = run.worker_serve

    async def serve(
        *args: Any, shutdown_trigger: ShutdownTrigger | None = None, **kwargs: Any
    ) -> None:
        async def told_to_end(trigger: ShutdownTrigger) -> None:
            await trigger()
            ending()

        if shutdown_trigger is not None:
            kwargs["shutdown_trigger"] = lambda: told_to_end(shutdown_trigger)
        try:
            await worker_serve(*args, **kwargs)
        except BaseExceptionGroup as group:
            failures, others = group.split(LifespanFailureError)
            if failures is None or others is not None:
                raise
            code = failed(str(_first(failures)))
        else:
            return
        raise SystemExit(code)

    run.worker_serve = serve


def _first(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
