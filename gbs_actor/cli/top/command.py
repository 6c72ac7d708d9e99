"""The command ``top``."""

from __future__ import annotations

from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from gbs_actor.cli.admin_client import NodeOption, TokenOption, UrlOption, admin_client
from gbs_actor.cli.failures import WRONG_USAGE, CommandFailed, expected_failures
from gbs_actor.cli.output import echo_json
from gbs_actor.cli.settings import ConfigOption, load_settings
from gbs_actor.cli.top.view import SORTS, View

if TYPE_CHECKING:
    from gbs_actor.cli.top.watch import Watch
    from gbs_actor.settings import Settings

ROOMS_OF_FILES = 50
"""Rooms that are written where no screen limits them."""
WIDTH_OF_FILES = 200
"""Columns of a file or a pipe."""


class Output(StrEnum):
    """What is written instead of a live screen."""

    TABLE = "table"
    JSON = "json"
    STDOUT = "-"


async def show(
    settings: Settings,
    url: str | None,
    token: str | None,
    view: View,
    *,
    node: str | None,
    output: Output | None,
    refreshes: int | None,
    interval: float,
) -> None:
    """Show a server.

    :param node: see :class:`~gbs_actor.cli.top.watch.Watch`.
    :param output: ``None``: a live screen, if standard output is a terminal.
    :param refreshes: how many snapshots; ``None``: until ``q``, or one if there is no live screen.
    :param interval: seconds between two snapshots.
    :raises CommandFailed: the server does not answer the first time, or refuses.
    """
    from rich.console import Console

    from gbs_actor.cli.top.live_screen import LiveScreen
    from gbs_actor.cli.top.watch import Watch

    async with admin_client(settings, url, token) as client:
        watch = Watch(client, view, node)
        console = Console(highlight=False)
        if output is None and console.is_terminal:
            await LiveScreen(watch, console, client.url).run(refreshes, interval)
        else:
            await _write(watch, client.url, output, refreshes or 1, interval)


async def _write(
    watch: Watch, url: str, output: Output | None, snapshots: int, interval: float
) -> None:
    import trio
    from rich.console import Console

    from gbs_actor.cli.top.screen import screen

    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=WIDTH_OF_FILES)
    for number in range(snapshots):
        if number:
            await trio.sleep(interval)
        snapshot = await watch.look(ROOMS_OF_FILES)
        if output is Output.JSON:
            echo_json(snapshot.document)
        else:
            console.print(screen(snapshot, watch.rates, watch.view, url=url))


def top(
    url: UrlOption = None,
    token: TokenOption = None,
    sort: Annotated[
        str,
        typer.Option("--sort", "-s", help=f"Sort rooms by: {', '.join(SORTS)}.", metavar="KEY"),
    ] = "commands",
    reverse: Annotated[bool, typer.Option("--reverse", "-r", help="The lowest first.")] = False,
    state: Annotated[
        str | None, typer.Option(help="Only rooms in this state, such as failed.")
    ] = None,
    search: Annotated[str, typer.Option(help="Only rooms with this in their slug.")] = "",
    output: Annotated[
        Output | None,
        typer.Option(
            "--output", "-o", help="Write one snapshot, no live screen: table (or -), or json."
        ),
    ] = None,
    refreshes: Annotated[
        int | None, typer.Option("-n", min=1, help="End after so many snapshots.")
    ] = None,
    interval: Annotated[
        float, typer.Option("--interval", "-d", min=0.5, help="Seconds between two snapshots.")
    ] = 2.0,
    config: ConfigOption = None,
    node: NodeOption = None,
) -> None:
    """Show what the server and its rooms do, live. Keys: q, s, r, f, p."""
    with expected_failures():
        import trio

        if sort not in SORTS:
            raise CommandFailed(f"--sort must be one of {', '.join(SORTS)}.", WRONG_USAGE)
        view = View(sort=sort, reverse=reverse, state=state, search=search)
        trio.run(
            partial(
                show,
                load_settings(config),
                url,
                token,
                view,
                node=node,
                output=output,
                refreshes=refreshes,
                interval=interval,
            )
        )
