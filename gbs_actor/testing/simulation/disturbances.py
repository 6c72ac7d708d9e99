"""What may be refused, or late, and why: the causes that a simulation has brought about."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count

from gbs_actor.testing.simulation.history import (
    Calmed,
    Cause,
    Disturbed,
    History,
    NodeDisturbed,
)


class Disturbances:
    """Records when causes begin and end.

    One ends when what has caused it is over, and the server shows nothing of it any more.

    :param is_calm: whether the server works, as far as can be seen.
    :param node: the one that they are of, where there are several; ``None``: of all of them.
    :param numbers: gives each its number, unique in the run; default: from 1 on.
    """

    def __init__(
        self,
        history: History,
        is_calm: Callable[[], bool],
        node: int | None = None,
        numbers: Iterator[int] | None = None,
    ) -> None:
        self._history = history
        self._is_calm = is_calm
        self._node = node
        self._numbers = count(1) if numbers is None else numbers
        self._lasting: dict[int, Cause] = {}
        """Those whose cause goes on."""
        self._fading: dict[int, None] = {}
        """Those whose cause is over."""

    def begin(
        self, cause: Cause, what: str, *, slug: str | None = None, client: int | None = None
    ) -> Callable[[], None]:
        """Record that a cause begins.

        :param what: for a reader.
        :returns: to be called when it is over.
        """
        number = next(self._numbers)
        if self._node is None:
            self._history.record(Disturbed(number, cause, slug, client, what))
        else:
            self._history.record(NodeDisturbed(number, cause, slug, client, what, self._node))
        self._lasting[number] = cause

        def over() -> None:
            del self._lasting[number]
            self._fading[number] = None

        return over

    def happened(self, cause: Cause, what: str, *, slug: str | None = None) -> None:
        """Record a cause that is over at once, and what comes of it is not."""
        self.begin(cause, what, slug=slug)()

    @property
    def are_over(self) -> bool:
        """Whether nothing disturbs the server any more, but a limit that is small perhaps."""
        return not self._fading and {*self._lasting.values()} <= {Cause.LOAD}

    def look(self) -> None:
        """Record which have come to their end; to be called when all tasks are blocked."""
        if self._fading and self._is_calm():
            for number in self._fading:
                self._history.record(Calmed(number))
            self._fading.clear()
