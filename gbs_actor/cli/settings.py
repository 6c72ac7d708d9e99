"""The command ``settings``, and the loading of settings for every command."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gbs_actor.cli.failures import expected_failures
from gbs_actor.cli.output import echo

if TYPE_CHECKING:
    from gbs_actor.settings import EffectiveSetting, Settings

ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="FILE",
        help="TOML file with settings. Default: GBS_CONFIG, else "
        "config/gbs_actor.toml in the working directory, if it exists.",
        show_default=False,
    ),
]


def load_settings(
    config: Path | None, overrides: Mapping[str, Mapping[str, Any]] | None = None
) -> Settings:
    """Read the settings, set up logging, and warn of unknown variables.

    :raises SettingsError: a setting is wrong.
    """
    from gbs_actor.startup import configure

    return configure(config, overrides)


def settings(
    config: ConfigOption = None,
    show_example: Annotated[
        bool,
        typer.Option("--example", help="Print a documented settings file with all defaults."),
    ] = False,
) -> None:
    """Print every setting as TOML: its value, and its source.

    Secrets are masked.
    """
    if show_example:
        from gbs_actor.settings import example

        echo(*example().splitlines())
        return
    with expected_failures():
        effective = load_settings(config).effective()
        for group, members in groupby(effective, key=lambda setting: setting.group):
            echo(f"[{group}]")
            for setting in members:
                echo(_line(setting))
            echo("")


def _line(setting: EffectiveSetting) -> str:
    text = f"{setting.name} = {setting.value}" if setting.value else f"# {setting.name} is not set"
    source = setting.variable if setting.source == "environment" else setting.source
    return f"{text:<60}  # {source}"
