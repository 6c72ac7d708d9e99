"""Names on the wire."""

from __future__ import annotations


def camel(snake: str) -> str:
    """Return a name of Python's as the API writes it: ``batch_mean`` as ``batchMean``."""
    first, *rest = snake.split("_")
    return first + "".join(word.capitalize() for word in rest)
