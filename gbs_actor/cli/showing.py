"""The command ``settings``: what holds, and where it comes from."""

from __future__ import annotations

from itertools import groupby
from typing import Annotated

import typer

from gbs_actor.cli.configuration import ConfigOption
from gbs_actor.cli.failures import expected_failures
from gbs_actor.settings import SettingOrigin, example
from gbs_actor.startup import configure


def _line(setting: SettingOrigin) -> str:
    text = f"{setting.name} = {setting.value}" if setting.value else f"# {setting.name} is not set"
    where = {
        "default": "default",
        "file": "file",
        "environment": setting.variable,
        "command line": "command line",
    }[setting.origin]
    return f"{text:<60}  # {where}"


def settings(
    config: ConfigOption = None,
    show_example: Annotated[
        bool,
        typer.Option("--example", help="Print a documented settings file with all defaults."),
    ] = False,
) -> None:
    """Print every setting as TOML: its value, and where that comes from.

    Secrets are masked.
    """
    if show_example:
        typer.echo(example(), nl=False)
        return
    with expected_failures():
        for group, members in groupby(configure(config).sources(), key=lambda one: one.group):
            typer.echo(f"[{group}]")
            for setting in members:
                typer.echo(_line(setting))
            typer.echo()
