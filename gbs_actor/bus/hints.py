"""Hints about changed retreats, coalesced: of each retreat only the latest matters."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import msgspec

from gbs_actor.bus.fields import Integer, Short

LIMIT: Final = 10_000
"""Retreats that a map has hints of, at most: more than a node has rooms."""


class Hint(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A retreat has been committed to."""

    retreat_id: Integer
    epoch: Short
    """The retreat's, in which the revision is."""
    revision: Integer
    """At least this one is in the store."""


@dataclass(frozen=True, slots=True)
class Hints:
    """What has become known of the retreats since it was last asked for."""

    latest: tuple[Hint, ...]
    """One of each retreat and epoch, with its highest revision; in any order."""
    gap: bool
    """Whether there may have been others, of any retreat, that are lost."""


class HintMap:
    """The latest hint of each retreat, until they are taken.

    Beyond its limit it drops them all, which is a gap.

    :param limit: hints, at most.
    """

    def __init__(self, limit: int = LIMIT) -> None:
        self._limit = limit
        self._latest: dict[tuple[int, str], Hint] = {}
        self._gap = False

    def __bool__(self) -> bool:
        """Whether there is anything to take, hints or a gap."""
        return self._gap or bool(self._latest)

    def __len__(self) -> int:
        return len(self._latest)

    def add(self, hint: Hint) -> bool:
        """Add a hint; return whether there was room.

        It has no effect if there is one with a higher revision of the same epoch. Which of two
        epochs is the later one cannot be seen, so both are kept.
        """
        key = (hint.retreat_id, hint.epoch)
        known = self._latest.get(key)
        if known is None and len(self._latest) >= self._limit:
            self._latest.clear()
            self._gap = True
            return False
        if known is None or known.revision < hint.revision:
            self._latest[key] = hint
        return True

    def update(self, hints: Iterable[Hint]) -> bool:
        """Add hints; return whether there was room for all."""
        fit = True
        for hint in hints:
            fit &= self.add(hint)
        return fit

    def add_gap(self) -> None:
        """Note that hints may have been lost."""
        self._gap = True

    def take(self) -> Hints:
        """Return what there is, and empty the map."""
        hints = Hints(tuple(self._latest.values()), self._gap)
        self._latest.clear()
        self._gap = False
        return hints
