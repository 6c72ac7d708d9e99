"""What many watchers ask for is made once for all of them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable
from typing import Final

import msgspec
import trio

FRESH: Final = 1.0
"""Seconds for which all who ask for the same get the same."""
MAX_KEPT: Final = 50
"""Different ones that are kept; the oldest goes first."""


class SharedJson:
    """JSON of structures, each encoded once for all who ask for it within a second."""

    def __init__(self) -> None:
        self._kept: dict[Hashable, tuple[float, bytes]] = {}

    async def encoded(self, key: Hashable, make: Callable[[], Awaitable[object]]) -> bytes:
        """Return the JSON of what ``make`` returns, or has returned a moment ago.

        :param key: says what is asked for, and all that it depends on; who may not see the same
            must have another key.
        """
        now = trio.current_time()
        made_at, encoded = self._kept.get(key, (-FRESH, b""))
        if now - made_at < FRESH and encoded:
            return encoded
        encoded = msgspec.json.encode(await make())
        now = trio.current_time()
        self._kept.pop(key, None)
        self._kept[key] = now, encoded
        if len(self._kept) > MAX_KEPT:
            del self._kept[next(iter(self._kept))]
        return encoded
