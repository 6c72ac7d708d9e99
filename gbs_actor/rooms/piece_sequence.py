"""What has changed in a room, in ascending revision, of which subscribers get pieces."""

from __future__ import annotations

import bisect
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any, Generic, Protocol, TypeVar

from gbs_actor.rooms.delivery import Format
from gbs_actor.rooms.work_budget import WorkBudget


class Revised(Protocol):
    """Something that is as it is since some revision."""

    @property
    def revision(self) -> int:
        """That one."""
        ...


T = TypeVar("T", bound=Revised)


class PieceSequence(ABC, Generic[T]):
    """Changed items in ascending revision, of which each subscriber gets one or more pieces.

    Whoever has replies pending gets them in pieces, each reply behind what its revision has
    changed; everybody else gets one piece. A piece holds only the last state of an item. It
    is built when the first subscriber of a format needs it, and shared by all of that format.

    :param items: ascending by revision; the same one may occur in several states.
    """

    def __init__(self, items: Sequence[T]) -> None:
        self._items = items

    def __len__(self) -> int:
        return len(self._items)

    @abstractmethod
    def piece(self, form: Format, start: int, end: int) -> Any:
        """Return the message with the items from ``start`` up to, not including, ``end``.

        ``None`` if it has to be built first, by :meth:`build` or :meth:`build_at_once`.
        """

    async def build(self, form: Format, start: int, end: int, budget: WorkBudget) -> Any:
        """Build a piece of one or more items; other tasks run in between."""
        for work in self._build(form, start, end):
            await budget.spend(work)
        return self.piece(form, start, end)

    def build_at_once(self, form: Format, start: int, end: int) -> Any:
        """Return a piece of one or more items; build it if need be, without a checkpoint."""
        piece = self.piece(form, start, end)
        if piece is not None:
            return piece
        for _ in self._build(form, start, end):
            pass
        return self.piece(form, start, end)

    def first_above(self, revision: int) -> int:
        """Return the position of the first item with a higher revision."""
        if not self._items or self._items[0].revision > revision:
            return 0
        return bisect.bisect_right(self._items, revision, key=lambda item: item.revision)

    @abstractmethod
    def _build(self, form: Format, start: int, end: int) -> Iterator[int]:
        """Build a piece; yield the units of work done in between."""
