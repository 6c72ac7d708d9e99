"""How the values of the last minutes are distributed, and all so far, without keeping any."""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from math import inf
from operator import sub
from typing import Final

import msgspec

SLICE: Final = 30.0
"""Seconds of a time slice."""
SLICES: Final = 10
"""Time slices that are recent, the one under way included."""
_RATE_SLICES: Final = 2

_PREFERRED: Final = (1.0, 1.25, 1.6, 2.0, 2.5, 3.15, 4.0, 5.0, 6.3, 8.0)
DURATION_BOUNDS: Final = (
    *(float(f"{each}e{exponent}") for exponent in range(-4, 2) for each in _PREFERRED),
    100.0,
)
"""Of durations in seconds, from 0.1 ms to 100 s: each a quarter above the one before.

The preferred numbers R10 (ISO 3), as they have 1, 2.5 and 5: the bounds of Prometheus are among
them.
"""
SIZE_BOUNDS: Final = tuple(float(2**n) for n in range(13))
"""Of batch sizes, from 1 to 4,096."""
PERCENTILES: Final = {"p50": 0.5, "p95": 0.95, "p99": 0.99, "longest": 1.0}
"""The share of the values that are not above each figure of :class:`Durations`."""


class Durations(msgspec.Struct, frozen=True):
    """How long something took in the last five minutes, in seconds; zeros if it did not happen.

    Estimated from the buckets of a histogram, each a quarter above the one before: no percentile
    is off by more than that.
    """

    count: int
    p50: float
    p95: float
    p99: float
    longest: float
    """The upper bound of the highest bucket that has any."""


class Bucket(msgspec.Struct, frozen=True):
    """One bucket of a histogram."""

    upper: float | None
    """The highest value that belongs to it; ``None``: there is no bound."""
    count: int
    """Its own values; those of the buckets before it do not count."""


@dataclass(frozen=True, slots=True)
class HistogramTotals:
    """All values that a histogram has counted since it was made."""

    bounds: Sequence[float]
    counts: Sequence[int]
    """Of each bucket; the last one has what is above all bounds."""
    total: float
    """The sum of the values."""

    def up_to(self, bounds: Iterable[float]) -> list[int]:
        """Return how many values are not above each of some of the bounds.

        :raises ValueError: one of them is no bound.
        """
        below = list(accumulate(self.counts))
        return [below[self.bounds.index(bound)] for bound in bounds]


@dataclass(frozen=True, slots=True)
class _Copy:
    """The state of a histogram at the beginning of a time slice."""

    start: float
    counts: list[int]
    total: float


class RecentHistogram:
    """Counts values in fixed buckets, and finds out which were added in the last five minutes.

    The counts only grow. At the first value of a time slice they are copied, and what was added
    since then is the difference. So adding costs the same however many there are, and memory is
    bounded by buckets and slices. Recent are the slice under way and the nine before it.

    :param bounds: the highest value of each bucket, ascending; higher ones go into one more.
    """

    __slots__ = ("_bounds", "_copies", "_counts", "_slice_end", "_total")

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._total = 0.0
        self._slice_end = -inf
        self._copies: deque[_Copy] = deque(maxlen=SLICES)

    def add(self, value: float, now: float) -> None:
        """Count a value.

        :param now: seconds of any clock that is not set, Trio's for example.
        """
        if now >= self._slice_end:
            self._begin_slice(now)
        self._counts[bisect_left(self._bounds, value)] += 1
        self._total += value

    def add_all(self, values: Sequence[float], now: float) -> None:
        """Count some values, as :meth:`add` does each."""
        if not values:
            return  # a slice begins with a value
        if now >= self._slice_end:
            self._begin_slice(now)
        bounds, counts = self._bounds, self._counts
        for value in values:
            counts[bisect_left(bounds, value)] += 1
            self._total += value

    def _begin_slice(self, now: float) -> None:
        start = now // SLICE * SLICE
        self._slice_end = start + SLICE
        self._copies.append(_Copy(start, self._counts.copy(), self._total))

    def totals(self) -> HistogramTotals:
        """Return all values so far."""
        return HistogramTotals(self._bounds, self._counts.copy(), self._total)

    def durations(self, now: float) -> Durations:
        """Return percentiles of the recent values.

        A percentile is interpolated within its bucket. Values above the highest bound count as
        that bound.
        """
        return self.durations_of(self._recent(now)) or _NO_DURATIONS

    def durations_of(self, counts: Iterable[int]) -> Durations | None:
        """Return percentiles of some of the values; ``None``: there are none.

        :param counts: how many of them belong to each bucket.
        """
        below = list(accumulate(counts))
        if not below or not below[-1]:
            return None
        values = (self._value_at(share * below[-1], below) for share in PERCENTILES.values())
        return Durations(below[-1], *values)

    def percentile(self, share: float, now: float) -> float:
        """Return one figure of :meth:`durations`; to sort a thousand histograms by it.

        :param share: one of :data:`PERCENTILES`.
        """
        below = list(accumulate(self._recent(now)))
        return self._value_at(share * below[-1], below) if below else 0.0

    def buckets(self, now: float) -> tuple[Bucket, ...]:
        """Return the recent values by bucket, from the first bucket with any to the last."""
        counts = list(self._recent(now))
        used = [bucket for bucket, count in enumerate(counts) if count]
        if not used:
            return ()
        uppers = (*self._bounds, None)
        return tuple(Bucket(uppers[n], counts[n]) for n in range(used[0], used[-1] + 1))

    def rate(self, now: float, since: float) -> float:
        """Return the sum of the values of the last 30 to 60 seconds, per second.

        :param since: from when on values could be added.
        """
        start = (now // SLICE - _RATE_SLICES + 1) * SLICE
        copy = self._copy_from(start)
        if copy is None:
            return 0.0
        return (self._total - copy.total) / max(1.0, now - max(start, since))

    def _recent(self, now: float) -> Iterable[int]:
        """Return the counts of the recent values; none if there are none."""
        copy = self._copy_from((now // SLICE - SLICES + 1) * SLICE)
        return () if copy is None else map(sub, self._counts, copy.counts)

    def _copy_from(self, start: float) -> _Copy | None:
        """Return the first copy that is not older than the slice that begins at ``start``."""
        for copy in self._copies:
            if copy.start >= start:
                return copy
        return None

    def _value_at(self, rank: float, below: Sequence[int]) -> float:
        bounds = self._bounds
        bucket = bisect_left(below, rank)
        if bucket == len(bounds):
            return bounds[-1]
        low, before = (bounds[bucket - 1], below[bucket - 1]) if bucket else (0.0, 0)
        return low + (bounds[bucket] - low) * (rank - before) / (below[bucket] - before)


class IntervalDurations:
    """How long something took since this was asked last, whatever the slices of its histogram.

    :param histogram: somebody else adds to it.
    """

    def __init__(self, histogram: RecentHistogram) -> None:
        self._histogram = histogram
        self._before = histogram.totals().counts

    def take(self) -> Durations | None:
        """Return the percentiles since the last call; ``None``: there were no values."""
        before, self._before = self._before, self._histogram.totals().counts
        return self._histogram.durations_of(map(sub, self._before, before))


_NO_DURATIONS: Final = Durations(0, 0.0, 0.0, 0.0, 0.0)
