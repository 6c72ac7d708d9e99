"""Expected failures as one clear sentence and an exit code, without a traceback."""

from __future__ import annotations

import errno
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import typer
from rich.console import Console

WRONG_USAGE = 2
FAILED = 1
INTERRUPTED = 130
"""What a shell makes of a command that ended by SIGINT: 128 + 2."""

_OPERATORS_ERRNOS = frozenset(
    {
        errno.EADDRINUSE,
        errno.EADDRNOTAVAIL,
        errno.EACCES,
        errno.EPERM,
        errno.ENOSPC,
        errno.EROFS,
        errno.ECONNREFUSED,
        errno.ENOENT,
    }
)
"""Errors of the operating system that an operator can do something about."""


class CommandFailed(Exception):
    """A command cannot do what it was asked for; the text is one sentence."""

    def __init__(self, message: str, exit_code: int = FAILED) -> None:
        super().__init__(message)
        self.exit_code = exit_code


def leaves(error: BaseException) -> list[BaseException]:
    """Return the exceptions in a group, in groups of it, and so on; or the exception."""
    if isinstance(error, BaseExceptionGroup):
        return [leaf for part in error.exceptions for leaf in leaves(part)]
    return [error]


def explain(error: BaseException) -> tuple[str, int] | None:
    """Return the sentence and the exit code for an expected error; ``None``: a bug.

    Imports only here what it compares with: no command pays for the others' errors.
    """
    from gbs_actor.client.errors import ClientError
    from gbs_actor.settings import SettingsError
    from gbs_actor.store.protocol import StoreError

    match error:
        case CommandFailed():
            return str(error), error.exit_code
        case SettingsError():
            return str(error), WRONG_USAGE
        case StoreError() | ClientError():
            return str(error), FAILED
        case OSError(errno=number) if number in _OPERATORS_ERRNOS:
            name = f"{error.filename}: " if error.filename else ""
            return f"{name}{error.strerror}", FAILED
        case _:
            return None


@contextmanager
def expected_failures() -> Iterator[None]:
    """Turn expected errors of the block into a sentence on standard error and an exit.

    A group is expected if all of its leaves are; the first one speaks. Anything else
    passes: a bug shows its traceback.

    :raises typer.Exit: with the exit code.
    """
    try:
        yield
    except (typer.Exit, typer.Abort):
        raise
    except (Exception, KeyboardInterrupt, BaseExceptionGroup) as error:
        parts = leaves(error)
        if any(isinstance(part, KeyboardInterrupt) for part in parts):
            raise typer.Exit(INTERRUPTED) from None
        explained = [explain(part) for part in parts]
        first = explained[0]
        if first is None or None in explained:
            raise
        sentence, code = first
        complain(sentence)
        raise typer.Exit(code) from None


def complain(text: str) -> None:
    """Write a sentence to standard error, as it is."""
    console = Console(file=sys.stderr, stderr=True, highlight=False, soft_wrap=True)
    console.print("Error:", style="bold red", end=" ")
    console.print(text, markup=False)
