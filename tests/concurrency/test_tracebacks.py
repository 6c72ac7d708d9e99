"""Tracebacks as operators see them."""

from __future__ import annotations

import asyncpg

from gbs_actor.concurrency import in_one_line, traceback_of
from gbs_actor.concurrency.tracebacks import MAX_LENGTH


def raised(error: Exception, cause: Exception | None = None) -> Exception:
    try:
        raise error from cause  # noqa: TRY301
    except Exception as caught:  # noqa: BLE001
        return caught


def test_what_follows_the_first_line_of_a_message_is_left_out() -> None:
    error = asyncpg.NotNullViolationError('null value in column "memo"')
    error.detail = "Failing row contains (7, 김하늘,\n010-1234-5678)."
    assert "김하늘" in str(error)
    text = traceback_of(raised(RuntimeError("a bug"), raised(error)))
    assert 'NotNullViolationError: null value in column "memo"\n' in text
    assert "김하늘" not in text
    assert "010-1234" not in text
    assert in_one_line(error) == 'NotNullViolationError: null value in column "memo"'


def test_a_cause_stands_above_what_it_caused() -> None:
    text = traceback_of(raised(ValueError("second"), raised(KeyError("first"))))
    first, second = text.split(
        "The above exception was the direct cause of the following exception"
    )
    assert first.endswith("KeyError: 'first'\n\n")
    assert second.endswith("ValueError: second\n")
    assert "in raised\n    raise error from cause" in second


def test_what_was_being_handled_stands_above_unless_it_was_suppressed() -> None:
    try:
        try:
            raise KeyError("first")  # noqa: TRY301
        except KeyError:
            raise ValueError("second")  # noqa: B904
    except ValueError as caught:
        error = caught
    text = traceback_of(error)
    assert text.index("KeyError") < text.index("During handling") < text.index("ValueError")
    error.__suppress_context__ = True
    assert "KeyError" not in traceback_of(error)


def test_of_a_group_the_first_exception_is_shown() -> None:
    group = ExceptionGroup("several", [ExceptionGroup("inner", [raised(OSError("a"))]), KeyError()])
    assert in_one_line(group) == "OSError: a"
    assert traceback_of(group).endswith("OSError: a\n")


def test_its_length_is_bounded_and_the_end_is_kept() -> None:
    def deep(levels: int) -> None:
        if levels:
            deep(levels - 1)
        raise ValueError("x" * 100_000)

    error: Exception = KeyError("none")
    for _ in range(50):
        try:
            try:
                deep(300)
            except ValueError as inner:
                raise inner from error
        except ValueError as caught:
            error = caught
    text = traceback_of(error)
    assert len(text) == MAX_LENGTH
    assert text.endswith("x\n")


def test_exceptions_that_caused_each_other_are_shown_once() -> None:
    one, other = ValueError("one"), ValueError("other")
    one.__cause__, other.__cause__ = other, one
    assert traceback_of(one).count("ValueError: one") == 1
