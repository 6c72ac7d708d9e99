"""The option that every command with settings has."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

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
