"""Makes many runs, in processes beside each other."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Generator, Iterable
from itertools import islice
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Final, cast

from gbs_actor.testing.simulation.examining import Case, Outcome

_END_TIME: Final = 5.0


class WorkerDied(Exception):
    """A process has ended in the midst of a run: out of memory, or by a signal."""

    def __init__(self, case: Case, exit_code: int | None) -> None:
        super().__init__(f"the process that ran seed {case.seed} has ended")
        self.exit_code = exit_code
        """Negative: the number of the signal that has ended it."""


def outcomes(cases: Iterable[Case], *, jobs: int) -> Generator[Outcome]:
    """Yield what comes of cases, in the order in which they are done.

    The processes end with the iteration, wherever it is left (close it), and with this process.

    :param jobs: processes.
    :raises WorkerDied: one has ended.
    """
    to_do = iter(cases)
    busy: dict[Connection, Case] = {}
    workers: dict[Connection, SpawnProcess] = {}
    try:
        for case in islice(to_do, jobs):
            connection, process = _start()
            workers[connection] = process
            connection.send(case)
            busy[connection] = case
        while busy:
            for ready in wait([*busy]):
                connection = cast("Connection", ready)
                case = busy.pop(connection)
                try:
                    outcome: Outcome = connection.recv()
                except (EOFError, ConnectionResetError):
                    process = workers[connection]
                    process.join(_END_TIME)
                    raise WorkerDied(case, process.exitcode) from None
                following = next(to_do, None)
                if following is not None:
                    connection.send(following)
                    busy[connection] = following
                yield outcome
    finally:
        for connection, process in workers.items():
            connection.close()
            process.terminate()
        for process in workers.values():
            process.join(_END_TIME)


def _start() -> tuple[Connection, SpawnProcess]:
    """Start a process that Ctrl-C in a terminal does not reach: what to do then is up to us."""
    context = multiprocessing.get_context("spawn")
    ours, its = context.Pipe()
    process = context.Process(target=work, args=(its,), daemon=True)
    resource_tracker.ensure_running()  # it unblocks SIGINT here, where it has to be started
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # it inherits that
    try:
        process.start()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
    its.close()
    return ours, process


def work(connection: Connection) -> None:
    """Run cases until the other end is closed, by the end of its process at the latest."""
    with connection:
        while True:
            try:
                case: Case = connection.recv()
                connection.send(Outcome.of(case))
            except (EOFError, BrokenPipeError):
                return
