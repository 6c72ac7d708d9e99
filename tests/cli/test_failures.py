"""An expected error is one sentence and an exit code; a bug shows its traceback."""

from __future__ import annotations

import errno

import pytest
import trio
import typer

from gbs_actor.cli.failures import CommandFailed, expected_failures
from gbs_actor.client import ConnectError
from gbs_actor.settings import SettingsError
from gbs_actor.store.protocol import StoreUnavailable


def failing(error: BaseException, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    """Exit code and standard error of a command that ends in this error."""
    with pytest.raises(typer.Exit) as caught, expected_failures():
        raise error
    captured = capsys.readouterr()
    assert captured.out == ""
    return caught.value.exit_code, captured.err


@pytest.mark.parametrize(
    ("error", "code", "sentence"),
    [
        (SettingsError("GBS_PORT: must be less."), 2, "GBS_PORT: must be less."),
        (CommandFailed("No such [red]retreat[/]."), 1, "No such [red]retreat[/]."),
        (CommandFailed("Wrong.", exit_code=2), 2, "Wrong."),
        (StoreUnavailable("The database is away."), 1, "The database is away."),
        (ConnectError("Invalid token", "INVALID_TOKEN"), 1, "Invalid token (INVALID_TOKEN)"),
        (
            OSError(errno.EADDRINUSE, "Address already in use", "127.0.0.1:8080"),
            1,
            "127.0.0.1:8080: Address already in use",
        ),
    ],
    ids=lambda value: type(value).__name__,
)
def test_an_expected_error_is_said_as_it_is(
    error: Exception, code: int, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert failing(error, capsys) == (code, f"Error: {sentence}\n")


def test_a_long_sentence_is_not_broken(capsys: pytest.CaptureFixture[str]) -> None:
    _, text = failing(CommandFailed("word " * 100), capsys)
    assert text.count("\n") == 1


def test_an_expected_error_in_groups_is_still_expected(
    capsys: pytest.CaptureFixture[str],
) -> None:
    group = ExceptionGroup("a", [ExceptionGroup("b", [StoreUnavailable("Away.")])])
    assert failing(group, capsys) == (1, "Error: Away.\n")


async def test_an_expected_error_leaves_a_nursery_as_a_sentence(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(typer.Exit), expected_failures():
        async with trio.open_nursery():
            raise StoreUnavailable("Away.")
    assert capsys.readouterr().err == "Error: Away.\n"


def test_an_interrupt_ends_without_a_word(capsys: pytest.CaptureFixture[str]) -> None:
    assert failing(KeyboardInterrupt(), capsys) == (130, "")
    assert failing(BaseExceptionGroup("", [KeyboardInterrupt()]), capsys) == (130, "")


@pytest.mark.parametrize("bug", [ValueError("x"), KeyError("x"), OSError(errno.EBADF, "x")])
def test_a_bug_passes(bug: Exception) -> None:
    with pytest.raises(type(bug)), expected_failures():
        raise bug


def test_a_bug_beside_an_expected_error_passes() -> None:
    with pytest.raises(ExceptionGroup), expected_failures():
        raise ExceptionGroup("", [StoreUnavailable("Away."), ValueError("x")])


def test_an_exit_passes_with_its_code() -> None:
    with pytest.raises(typer.Exit) as caught, expected_failures():
        raise typer.Exit(5)
    assert caught.value.exit_code == 5
