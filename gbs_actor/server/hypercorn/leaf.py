"""The exception that is meant where Trio wraps it in groups."""

from __future__ import annotations


def first_leaf(error: BaseException) -> BaseException:
    """Return the first exception in a group, in groups of it, and so on; or the exception."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
