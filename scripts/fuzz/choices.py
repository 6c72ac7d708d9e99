"""Decisions taken from a case's bytes: the same bytes, the same decisions."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")

_WORDS = (
    "", "a", "0", "한글", "é", "\x00", "\x1e", "\n", '"', "\\", "/", ",", "-", "_placeholder",
    "num",
    "\U0001f600", "  ", "b", "b64=", "connect", "\x7f", "\u2028", "1", "null", "ﬀ", "९",
)  # fmt: skip


class Choices:
    """What a target decides while it builds its case.

    Where the bytes have run out every decision is the first of its alternatives, so these
    should be the plain ones, and a list ends.
    """

    __slots__ = ("_at", "_data")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def rest(self) -> bytes:
        """The bytes that no decision has used yet; they are used now."""
        at, self._at = self._at, len(self._data)
        return self._data[at:]

    @property
    def left(self) -> bool:
        """Whether there are bytes that no decision has used yet."""
        return self._at < len(self._data)

    def byte(self) -> int:
        """Return a number from 0 to 255."""
        at = self._at
        self._at = at + 1
        return self._data[at] if at < len(self._data) else 0

    def below(self, bound: int) -> int:
        """Return a number from 0 to ``bound - 1``."""
        number = self.byte()
        reach = 256
        while reach < bound:
            number = number << 8 | self.byte()
            reach <<= 8
        return number % bound

    def pick(self, options: Sequence[T]) -> T:
        """Return one of several."""
        return options[self.below(len(options))]

    def flip(self, one_in: int = 2) -> bool:
        """Return whether something happens that happens once in ``one_in`` times, or fewer."""
        return self.byte() >= 256 - 256 // one_in

    def more(self) -> bool:
        """Return whether a list goes on: three times in four, while there are bytes."""
        return self.byte() >= 64

    def take(self, limit: int) -> bytes:
        """Return up to ``limit`` bytes as they stand in the case."""
        size = self.below(limit + 1)
        at = self._at
        self._at = at + size
        return self._data[at : at + size]

    def text(self, pieces: int = 3) -> str:
        """Return a short text, mostly of what has a meaning to somebody."""
        parts = []
        for _ in range(self.below(pieces + 1)):
            if self.flip(4):
                parts.append(chr(self.below(0xD800)))
            else:
                parts.append(self.pick(_WORDS))
        return "".join(parts)

    def split(self, data: bytes, pieces: int) -> list[bytes]:
        """Cut bytes into up to so many parts, none of them empty."""
        cuts = sorted({self.below(len(data) + 1) for _ in range(self.below(pieces))})
        bounds = [0, *cuts, len(data)]
        parts = [data[a:b] for a, b in itertools.pairwise(bounds)]
        return [part for part in parts if part]
