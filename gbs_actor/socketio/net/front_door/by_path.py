"""What belongs to a path: the longest prefix of it wins."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Generic, TypeVar

T = TypeVar("T")


class ByPath(Generic[T]):
    """Looks up by the paths of requests.

    :param values: by prefix of a path.
    """

    def __init__(self, values: Mapping[str, T]) -> None:
        self._values = sorted(values.items(), key=lambda item: len(item[0]), reverse=True)

    def of(self, path: str) -> T | None:
        """Return what belongs to a path; ``None`` if nothing does."""
        for prefix, value in self._values:
            if path.startswith(prefix):
                return value
        return None
