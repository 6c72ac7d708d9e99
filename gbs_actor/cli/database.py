"""The commands for the database.

Each opens the database as its only server: while another is running, it fails with a sentence. But
for ``reload``, which is for servers that run, and ``migrate``, which may be.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from gbs_actor.cli.failures import FAILED, WRONG_USAGE, CommandFailed, expected_failures
from gbs_actor.cli.output import echo
from gbs_actor.cli.progress import Progress, progress_bar
from gbs_actor.cli.settings import ConfigOption, load_settings

if TYPE_CHECKING:
    from gbs_actor.settings import Settings
    from gbs_actor.store.verification import Verification


async def _migrate(settings: Settings, wait: float) -> list[str]:
    """Bring the schema up to date and return the names of what was applied."""
    from gbs_actor.server.database import migrate_database

    applied = await migrate_database(settings, wait=wait)
    return [f"{step.version:04}_{step.name}" for step in applied]


async def _adopt(settings: Settings, role: str | None, apply: bool, wait: float) -> None:
    """Print what the database lacks, as a script, and add it if asked to."""
    from gbs_actor.server.database import adopt_database

    plan = await adopt_database(settings, role=role, apply=apply, wait=wait)
    if plan is None:
        raise CommandFailed("--adopt is for a database of GBS_DATABASE_URL.", WRONG_USAGE)
    for step in plan.steps:
        echo(f"-- {step.name}: {step.reason}", *f"{step.sql};".splitlines(), "")
    if plan.obstacles:
        lines = "\n- ".join(("Nothing was changed. First, correct this:", *plan.obstacles))
        raise CommandFailed(lines)
    if not plan.steps:
        echo("-- Nothing to add.")
    elif apply:
        echo("-- This was added.")
    else:
        echo("-- Nothing was changed. To add this: --adopt --yes")


async def _add_retreat(settings: Settings, slug: str, people: int, progress: Progress) -> None:
    """Add a made-up retreat."""
    from gbs_actor.demo import demo_retreat
    from gbs_actor.server.database import open_store

    async with open_store(settings, migrating=True) as store:
        await store.import_retreat(demo_retreat(slug, people), progress)


async def _renew_epoch(settings: Settings, slug: str | None) -> int:
    """Give one or all retreats a new epoch and return how many got one."""
    from gbs_actor.server.database import open_store

    async with open_store(settings, migrating=False) as store:
        return await store.new_epoch(slug)


async def _prune(settings: Settings, days: int, progress: Progress) -> int:
    """Remove log entries older than ``days`` days and return how many."""
    from gbs_actor.server.database import open_store

    async with open_store(settings, migrating=False) as store:
        return await store.prune_log(datetime.now(UTC) - timedelta(days=days), progress)


async def _verify(
    settings: Settings, slug: str | None, progress: Progress
) -> dict[str, Verification]:
    """Compare the rows of one or all retreats with their logs, by slug."""
    from gbs_actor.server.database import open_store
    from gbs_actor.store.verification import verify

    async with open_store(settings, migrating=False) as store:
        slugs = await store.retreats() if slug is None else [slug]
        found = {each: await verify(store, each, progress) for each in slugs}
    return {each: outcome for each, outcome in found.items() if outcome is not None}


def migrate(
    wait: Annotated[
        float,
        typer.Option(
            min=0, help="Seconds to wait, in all, for other programs to release their locks."
        ),
    ] = 60.0,
    adopt: Annotated[
        bool,
        typer.Option(
            "--adopt",
            help="Show what a database with other programs' tables lacks, as SQL; change nothing.",
        ),
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="With --adopt: add it.")] = False,
    role: Annotated[
        str | None,
        typer.Option(
            metavar="ROLE",
            help="With --adopt: the servers' user, who gets the rights it needs. "
            "Default: the user of GBS_DATABASE_URL.",
            show_default=False,
        ),
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Bring the database's schema up to date.

    Needed before a new version serves a database of GBS_DATABASE_URL; the embedded one is
    brought up to date at every start. Servers may go on running if all that is applied is
    compatible with them; else it names those to stop, and changes nothing.
    """
    import trio

    with expected_failures():
        if adopt:
            trio.run(_adopt, load_settings(config), role, yes, wait)
            return
        if yes or role is not None:
            raise CommandFailed("--yes and --role belong to --adopt.", WRONG_USAGE)
        applied = trio.run(_migrate, load_settings(config), wait)
        for name in applied:
            echo(f"Applied {name}.")
        if not applied:
            echo("The schema was up to date.")


def demo_data(
    retreat: Annotated[
        str, typer.Option(metavar="SLUG", help="Slug of the retreat to make.")
    ] = "2024-winter",
    people: Annotated[int, typer.Option(min=1, help="How many people are registered.")] = 80,
    config: ConfigOption = None,
) -> None:
    """Add a made-up retreat to the database, with the same people on every machine."""
    import trio

    from gbs_actor.store.protocol import RetreatExists

    with expected_failures():
        settings = load_settings(config)
        with progress_bar(f"Registering people for {retreat}") as progress:
            try:
                trio.run(partial(_add_retreat, settings, retreat, people, progress))
            except* RetreatExists:
                raise CommandFailed(f"There is a retreat {retreat} already.") from None
        echo(f"Retreat {retreat} now has {people} people.")


def new_epoch(
    slug: Annotated[
        str | None, typer.Argument(metavar="[SLUG]", help="Only this retreat. Default: all.")
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Make every client load the whole list again: the last step after restoring a backup.

    A restored database assigns revisions that clients have seen to other changes; with a new
    epoch no client mixes the two.
    """
    import trio

    with expected_failures():
        count = trio.run(_renew_epoch, load_settings(config), slug)
        if slug is not None and count == 0:
            raise CommandFailed(f"There is no retreat {slug}.")
        echo(f"{count} {'retreat has' if count == 1 else 'retreats have'} a new epoch.")


def reload(
    slug: Annotated[str, typer.Argument(help="The retreat.")], config: ConfigOption = None
) -> None:
    """Make all servers and their clients load a retreat again; the servers go on running.

    They notice what other programs change in the tables, by triggers. These do not see what
    comes by replication, or was restored into a table.
    """
    import trio

    from gbs_actor.store.postgres.outside import reload as reload_retreat

    with expected_failures():
        store = load_settings(config).store
        if store.database_url is None:
            raise CommandFailed("It is for a database of GBS_DATABASE_URL.", WRONG_USAGE)
        url, timeout = store.database_url.get_secret_value(), store.database_connect_timeout

        async def run() -> bool:
            return await reload_retreat(url, slug, trio.current_time() + timeout)

        if not trio.run(run):
            raise CommandFailed(f"There is no retreat {slug}.")
        echo(f"Retreat {slug} is loaded again.")


def prune(
    days: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=36_500,
            help="Days that the log keeps. Default: history_days of the settings.",
            show_default=False,
        ),
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Remove old entries of the log of changes.

    A running server does this by itself, once a day. A command that is sent again after its
    entry was removed counts as a new command.
    """
    import trio

    with expected_failures():
        settings = load_settings(config)
        kept = settings.store.history_days if days is None else days
        with progress_bar("Pruning the log") as progress:
            count = trio.run(_prune, settings, kept, progress)
        entries = "1 log entry" if count == 1 else f"{count:,} log entries"
        echo(f"{entries} older than {kept} days removed.")


def verify(
    slug: Annotated[
        str | None, typer.Argument(metavar="[SLUG]", help="Only this retreat. Default: all.")
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Compare the line-up with the log of changes, for instance after restoring a backup.

    Replays the log and lists each value that differs; exit code 1 if any does.
    """
    import trio

    with expected_failures():
        with progress_bar("Reading the log") as progress:
            found = trio.run(_verify, load_settings(config), slug, progress)
        if slug is not None and not found:
            raise CommandFailed(f"There is no retreat {slug}.")
        for name, outcome in found.items():
            for line in (*outcome.faults, *outcome.differences):
                echo(f"{name}: {line}")
            count = len(outcome.faults) + len(outcome.differences)
            since = f" since revision {outcome.pruned_revision}" if outcome.pruned_revision else ""
            echo(
                f"{name}: {outcome.registrations:,} people, {outcome.entries:,} log entries"
                f"{since}: {_verdict(count)}"
            )
        if not all(outcome.clean for outcome in found.values()):
            raise typer.Exit(FAILED)


def _verdict(differences: int) -> str:
    if not differences:
        return "OK"
    return "1 difference" if differences == 1 else f"{differences:,} differences"
