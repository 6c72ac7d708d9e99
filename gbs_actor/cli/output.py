"""Standard output of the commands, which may be a terminal."""

from __future__ import annotations

import json
from enum import StrEnum
from typing import Any

import typer


class Output(StrEnum):
    """How what a server sends is printed."""

    TEXT = "text"
    JSON = "json"


def echo(*lines: str) -> None:
    """Write lines. None of them can do anything to a terminal, whoever wrote the text."""
    from gbs_actor.observability import visible

    for line in lines:
        typer.echo(visible(line))


def echo_error(line: str) -> None:
    """Write a line to standard error, as :func:`echo` does to standard output."""
    from gbs_actor.observability import visible

    typer.echo(visible(line), err=True)


def echo_json(data: Any) -> None:
    """Write one line of JSON."""
    echo(json.dumps(data, ensure_ascii=False))


def echo_styled(*parts: tuple[str, str]) -> None:
    """Write one line of texts, each with a style of rich's, which only a terminal gets."""
    from rich.console import Console
    from rich.text import Text

    from gbs_actor.observability import visible

    line = Text.assemble(*((visible(text), style) for text, style in parts))
    Console(highlight=False, soft_wrap=True).print(line)
