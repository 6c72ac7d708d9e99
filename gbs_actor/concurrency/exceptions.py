"""Finds the exceptions that nurseries have wrapped in groups."""

from __future__ import annotations


def exceptions_in(error: BaseException) -> list[BaseException]:
    """Return the exceptions of a group and of the groups in it, in order; or the exception."""
    if isinstance(error, BaseExceptionGroup):
        return [inner for part in error.exceptions for inner in exceptions_in(part)]
    return [error]


def first_exception(error: BaseException) -> BaseException:
    """Return the first exception of a group, however nested; or the exception itself."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
