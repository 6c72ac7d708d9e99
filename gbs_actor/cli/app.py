"""The command line; its commands are in the other modules of this package."""

from __future__ import annotations

from typing import Annotated

import typer

from gbs_actor import __version__
from gbs_actor.cli.admin import admin
from gbs_actor.cli.checking import check
from gbs_actor.cli.database import demo_data, migrate, new_epoch, prune, reload, verify
from gbs_actor.cli.events import events
from gbs_actor.cli.line_up import export, history, import_sheet, undo
from gbs_actor.cli.output import echo
from gbs_actor.cli.serving import serve
from gbs_actor.cli.settings import settings
from gbs_actor.cli.simulate import simulate
from gbs_actor.cli.tailing import tail
from gbs_actor.cli.token_checking import check_token
from gbs_actor.cli.tokens import token
from gbs_actor.cli.top import top

app = typer.Typer(
    name="gbs-actor",
    help="A realtime collaboration server for a retreat's GBS line-up page.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_show_locals=False,  # locals hold secrets
    rich_markup_mode="rich",
)


def _version(wanted: bool) -> None:
    if wanted:
        echo(f"gbs-actor {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool,
        typer.Option("--version", help="Print the version.", callback=_version, is_eager=True),
    ] = False,
) -> None:
    """Handle the options before the command."""


app.add_typer(admin, name="admin")
app.command()(serve)
app.command()(export)
app.command("import")(import_sheet)
app.command()(history)
app.command()(undo)
app.command()(tail)
app.command()(top)
app.command()(events)
app.command()(token)
app.command("check-token")(check_token)
app.command()(settings)
app.command()(check)
app.command()(migrate)
app.command("demo-data")(demo_data)
app.command("new-epoch")(new_epoch)
app.command()(reload)
app.command()(prune)
app.command()(verify)
app.command()(simulate)
