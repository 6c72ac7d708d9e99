"""What every command starts with: the settings, and logging according to them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from gbs_actor.settings import Settings, unknown_variables

ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="FILE",
        help="TOML file with settings. Default: what GBS_CONFIG names, or else "
        "config/gbs_actor.toml in the working directory, if it is there.",
        show_default=False,
    ),
]


def configured(
    config: Path | None, overrides: Mapping[str, Mapping[str, Any]] | None = None
) -> Settings:
    """Read the settings, set up logging, and warn of variables that set nothing.

    :raises SettingsError: a setting is wrong.
    """
    import structlog

    from gbs_actor.observability import configure_logging

    settings = Settings.load(config, overrides=overrides)
    configure_logging(level=settings.logging.log_level, form=settings.logging.log_format)
    for name in unknown_variables(os.environ):
        structlog.get_logger(__name__).warning("This variable sets nothing", variable=name)
    return settings
