"""The commands for the database: ``migrate``, ``demo-data``, ``new-epoch``.

Each opens the database as its only server: while one is running, they say so and end.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Annotated

import trio
import typer

from gbs_actor.cli.configuration import ConfigOption
from gbs_actor.cli.failures import CommandFailed, expected_failures
from gbs_actor.settings import Settings
from gbs_actor.startup import configure

Progress = Callable[[int, int], None]


async def _migrate(settings: Settings) -> list[str]:
    """Bring the schema up to date and return the names of what was applied."""
    from gbs_actor.server.database import open_store

    async with open_store(settings, migrating=True) as store:
        return [f"{step.version:04}_{step.name}" for step in store.migrated]


async def _add_retreat(settings: Settings, slug: str, people: int, progress: Progress) -> None:
    """Put in a made-up retreat."""
    from gbs_actor.demo import demo_retreat
    from gbs_actor.server.database import open_store

    async with open_store(settings, migrating=True) as store:
        await store.import_retreat(demo_retreat(slug, people), progress)


async def _renew_epoch(settings: Settings, slug: str | None) -> int:
    """Give one or all retreats a new epoch and return how many got one."""
    from gbs_actor.server.database import open_store

    async with open_store(settings, migrating=False) as store:
        return await store.new_epoch(slug)


@contextmanager
def _progress_bar(title: str) -> Iterator[Progress]:
    """Show a bar on standard error, if that is a terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    console = Console(file=sys.stderr)
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task(title, total=None)

        def advance(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total)

        yield advance


def migrate(config: ConfigOption = None) -> None:
    """Bring the database's schema up to date.

    Needed before a new version serves a database of GBS_DATABASE_URL; the embedded one is
    brought up to date at every start.
    """
    with expected_failures():
        applied = trio.run(_migrate, configure(config))
        for name in applied:
            typer.echo(f"Applied {name}.")
        if not applied:
            typer.echo("The schema was up to date.")


def demo_data(
    retreat: Annotated[
        str, typer.Option(metavar="SLUG", help="Slug of the retreat to make.")
    ] = "2024-winter",
    people: Annotated[int, typer.Option(min=1, help="How many people are registered.")] = 80,
    config: ConfigOption = None,
) -> None:
    """Put a made-up retreat into the database: the same people on every machine."""
    from gbs_actor.store.protocol import RetreatExists

    with expected_failures():
        settings = configure(config)
        with _progress_bar(f"Registering people for {retreat}") as progress:
            try:
                trio.run(partial(_add_retreat, settings, retreat, people, progress))
            except* RetreatExists:
                raise CommandFailed(f"There is a retreat {retreat} already.") from None
        typer.echo(f"Retreat {retreat} now has {people} people.")


def new_epoch(
    slug: Annotated[
        str | None, typer.Argument(metavar="[SLUG]", help="Only this retreat. Default: all.")
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Tell clients to forget what they have seen: the last step after restoring a backup.

    After a restore revisions come again, with other content; a new epoch makes every
    client load the whole list anew.
    """
    with expected_failures():
        count = trio.run(_renew_epoch, configure(config), slug)
        if slug is not None and count == 0:
            raise CommandFailed(f"There is no retreat {slug}.")
        typer.echo(f"{count} {'retreat has' if count == 1 else 'retreats have'} a new epoch.")
