"""Expected failures as one clear sentence and an exit code, without a traceback."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import typer

from gbs_actor.startup import explain, print_error

WRONG_USAGE = 2
FAILED = 1
INTERRUPTED = 130
"""A shell's exit code for a command that ended by SIGINT: 128 + 2."""


class CommandFailed(Exception):
    """A command failed as expected; the text is one sentence."""

    def __init__(self, message: str, exit_code: int = FAILED) -> None:
        super().__init__(message)
        self.exit_code = exit_code


def _explained(error: BaseException) -> tuple[str, int] | None:
    """Return the sentence and the exit code for an expected error; ``None``: a bug."""
    from gbs_actor.client.errors import ClientError
    from gbs_actor.observability import visible
    from gbs_actor.settings import SettingsError

    match error:
        case CommandFailed():
            return str(error), error.exit_code
        case SettingsError():
            return str(error), WRONG_USAGE
        case ClientError():
            return visible(str(error)), FAILED  # the server's words, line breaks included
        case _:
            sentence = explain(error)
            return None if sentence is None else (sentence, FAILED)


@contextmanager
def expected_failures() -> Iterator[None]:
    """Turn expected errors of the block into a sentence on standard error and an exit.

    A group is expected if all exceptions in it are; the first one is printed. Other
    exceptions pass: a bug shows its traceback.

    :raises typer.Exit: with the exit code.
    """
    try:
        yield
    except (typer.Exit, typer.Abort):
        raise
    except (Exception, KeyboardInterrupt, BaseExceptionGroup) as error:
        from gbs_actor.concurrency import exceptions_in

        parts = exceptions_in(error)
        if any(isinstance(part, KeyboardInterrupt) for part in parts):
            raise typer.Exit(INTERRUPTED) from None
        explained = [_explained(part) for part in parts]
        first = explained[0]
        if first is None or None in explained:
            raise
        sentence, code = first
        print_error(sentence)
        raise typer.Exit(code) from None
