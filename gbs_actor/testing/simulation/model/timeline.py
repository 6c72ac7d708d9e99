"""Something that has another value from each of some revisions on."""

from __future__ import annotations

from bisect import bisect_right
from typing import Generic, TypeVar

T = TypeVar("T")


class Timeline(Generic[T]):
    """A value, by revision.

    :param value: from the beginning on.
    """

    __slots__ = ("_values", "revisions")

    def __init__(self, value: T) -> None:
        self.revisions = [0]
        self._values = [value]

    def put(self, revision: int, value: T) -> None:
        """Set the value from a revision on that is no lower than those before."""
        if self.revisions[-1] == revision:
            self._values[-1] = value
        else:
            self.revisions.append(revision)
            self._values.append(value)

    def at(self, revision: int) -> T:
        """Return the value at a revision."""
        if self.revisions[-1] <= revision:
            return self._values[-1]
        return self._values[bisect_right(self.revisions, revision) - 1]

    def changes_within(self, after: int, until: int) -> bool:
        """Whether it is set anew at a revision above ``after``, and not above ``until``."""
        position = bisect_right(self.revisions, after)
        return position < len(self.revisions) and self.revisions[position] <= until
