"""Progress bars of the commands."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from gbs_actor.cli.output import echo_error

PLAIN_INTERVAL: Final = 10.0
"""Seconds between the lines where there is no terminal."""

Progress = Callable[[int, int | None], None]
"""Called with the amount done and the total; ``None``: it is not known."""


@contextmanager
def progress_bar(title: str) -> Iterator[Progress]:
    """Show a bar on standard error, if that is a terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    from gbs_actor.observability import visible

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn())
    console = Console(file=sys.stderr)
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task(visible(title), total=None)

        def advance(done: int, total: int | None) -> None:
            bar.update(task, completed=done, total=total)

        yield advance


@contextmanager
def rate_bar(title: str) -> Iterator[Progress]:
    """Show a bar with the rate and the time that remains, on standard error.

    Where that is no terminal, write a line every :data:`PLAIN_INTERVAL`.
    """
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    from gbs_actor.observability import visible

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}/s", markup=False),
        TimeRemainingColumn(),
    )
    console = Console(file=sys.stderr)
    plain = not console.is_terminal
    with Progress(*columns, console=console, disable=plain) as bar:
        task = bar.add_task(visible(title), total=None, rate="-")
        started = written = time.perf_counter()

        def advance(done: int, total: int | None) -> None:
            nonlocal written
            now = time.perf_counter()
            rate = done / max(now - started, 1e-9)
            bar.update(task, completed=done, total=total, rate=f"{rate:.3g}")
            if plain and now >= written + PLAIN_INTERVAL:
                written = now
                of = "" if total is None else f" of {total:,}, {(total - done) / rate:.0f} s left"
                echo_error(f"{title}: {done:,}{of}, {rate:.3g}/s")

        yield advance
