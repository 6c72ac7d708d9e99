"""Starts each of our processes: settings and logging, or one sentence why it cannot start.

It imports exception types only when needed, so that no command loads modules for others.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from gbs_actor.settings import Settings

_OPERATORS_ERRNOS: Final = frozenset(
    {
        errno.EADDRINUSE,
        errno.EADDRNOTAVAIL,
        errno.EACCES,
        errno.EPERM,
        errno.EMFILE,
        errno.ENFILE,
        errno.ENOSPC,
        errno.EROFS,
        errno.ECONNREFUSED,
        errno.ENOENT,
    }
)
"""Errors of the operating system that an operator can do something about."""


def configure(
    config: Path | None = None, overrides: Mapping[str, Mapping[str, Any]] | None = None
) -> Settings:
    """Read the settings, set up logging, and warn of unknown variables.

    :param config: TOML file; ``None``: see :meth:`Settings.load`.
    :param overrides: by group and name, what the command line sets.
    :raises SettingsError: a setting is wrong.
    """
    import structlog

    from gbs_actor.observability import configure_logging
    from gbs_actor.settings import Settings, unknown_variables

    settings = Settings.load(config, overrides=overrides)
    settings.build(configure_logging)
    for name in unknown_variables(os.environ):
        structlog.get_logger(__name__).warning("This variable sets nothing", variable=name)
    return settings


def explain(error: BaseException) -> str | None:
    """Return one sentence about an error that an operator can correct; ``None``: a bug."""
    from gbs_actor.settings import SettingsError
    from gbs_actor.store.protocol import StoreError

    match error:
        case SettingsError() | StoreError():
            return str(error)
        case OSError(errno=number) if number in _OPERATORS_ERRNOS:
            name = f"{error.filename}: " if error.filename else ""
            return f"{name}{error.strerror}"
        case _:
            return None


def print_error(text: str) -> None:
    """Write a sentence to standard error; nothing in it is markup or controls a terminal."""
    from rich.console import Console
    from rich.text import Text

    from gbs_actor.observability import visible_lines

    console = Console(file=sys.stderr, stderr=True, highlight=False, soft_wrap=True)
    console.print(Text.assemble(("Error:", "bold red"), " ", visible_lines(text)))
