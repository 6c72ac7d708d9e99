"""What many watchers ask for is made once for all of them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable
from typing import Final, NamedTuple

import msgspec
import trio

from gbs_actor.environment import SYSTEM

FRESH: Final = 1.0
"""Seconds for which all who ask for the same get the same."""
LONGEST: Final = 10.0
"""The same for what takes long to make."""
MAX_KEPT: Final = 50
"""Different ones that are kept; the oldest goes first."""


class _Kept(NamedTuple):
    encoded: bytes
    made_at: float
    took: float
    """Seconds of the thread."""


class SharedJson:
    """JSON of structures, each encoded once for all who ask for it within a second.

    :param thread_time: see :class:`~gbs_actor.environment.Environment`.
    :param share: of the thread's time, how much making one of them again and again may take;
        what takes long is kept longer than a second.
    """

    def __init__(
        self, thread_time: Callable[[], float] = SYSTEM.thread_time, *, share: float | None = None
    ) -> None:
        self._share = share
        self._thread_time = thread_time
        self._kept: dict[Hashable, _Kept] = {}
        self._being_made: dict[Hashable, trio.Event] = {}

    async def encoded(self, key: Hashable, make: Callable[[], Awaitable[object]]) -> bytes:
        """Return the JSON of what ``make`` returns, or has returned a moment ago.

        Whoever asks while it is being made waits for that; if it fails, the next one makes it.

        :param key: says what is asked for, and all that it depends on; who may not see the same
            must have another key.
        """
        while (being_made := self._being_made.get(key)) is not None:
            await being_made.wait()
        kept = self._kept.get(key)
        if kept is not None and trio.current_time() - kept.made_at < self._fresh_for(kept):
            return kept.encoded
        made = self._being_made[key] = trio.Event()
        began = self._thread_time()  # with what other tasks do meanwhile: then it is kept longer
        try:
            encoded = msgspec.json.encode(await make())
        finally:
            del self._being_made[key]
            made.set()
        took = self._thread_time() - began
        self._kept.pop(key, None)
        self._kept[key] = _Kept(encoded, trio.current_time(), took)
        if len(self._kept) > MAX_KEPT:
            del self._kept[next(iter(self._kept))]
        return encoded

    def _fresh_for(self, kept: _Kept) -> float:
        return FRESH if self._share is None else max(FRESH, min(LONGEST, kept.took / self._share))
