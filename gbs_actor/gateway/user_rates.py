"""How often one user may speak, over all their connections and ways in."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from gbs_actor.gateway.rate_limit import TokenBucket

MAX_BUCKETS: Final = 50_000
"""Users whose buckets are kept, at most; whoever spoke the longest ago is forgotten first."""


class UserRates:
    """A token bucket per user, shared by every way in.

    A full bucket says no more than none, so it is forgotten; what is kept is bounded by
    the users of the last ``burst / rate`` seconds, and by ``max_buckets`` in any case.
    Nothing here waits or reads a clock.

    :param rate: events per second of one user in the long run, above 0.
    :param burst: events of one user at once, at least 1.
    """

    def __init__(self, rate: float, burst: int, *, max_buckets: int = MAX_BUCKETS) -> None:
        self._rate = rate
        self._burst = burst
        self._max_buckets = max_buckets
        self._buckets: OrderedDict[int, TokenBucket] = OrderedDict()
        """By user, in the order in which they last spoke."""

    def take(self, user_id: int, now: float) -> bool:
        """Take one event's worth of the user's; ``False``: there is none left.

        :param now: seconds on the caller's monotonic clock, the same at every call.
        """
        bucket = self._buckets.get(user_id)
        if bucket is None:
            self._make_room(now)
            bucket = self._buckets[user_id] = TokenBucket(self._rate, self._burst, now)
        else:
            self._buckets.move_to_end(user_id)
        return bucket.take(now)

    def wait(self, user_id: int, now: float) -> float:
        """Return the seconds until the user may speak; 0 where they may now."""
        bucket = self._buckets.get(user_id)
        return 0.0 if bucket is None else bucket.wait(now)

    def __len__(self) -> int:
        """Return how many buckets are kept."""
        return len(self._buckets)

    def _make_room(self, now: float) -> None:
        # Two are looked at for each that is added: so the full ones never pile up, and no
        # call has to go through all of them.
        for _ in range(2):
            if not self._buckets:
                return
            oldest = next(iter(self._buckets))
            if not self._buckets[oldest].is_full(now) and len(self._buckets) < self._max_buckets:
                return
            del self._buckets[oldest]
