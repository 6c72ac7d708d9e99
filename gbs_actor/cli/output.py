"""Standard output of the commands, which may be a terminal."""

from __future__ import annotations

import typer


def echo(*lines: str) -> None:
    """Write lines. None of them can do anything to a terminal, whoever wrote the text."""
    from gbs_actor.observability import visible

    for line in lines:
        typer.echo(visible(line))
