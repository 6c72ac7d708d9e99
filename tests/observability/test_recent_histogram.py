"""Histograms of the last minutes, against the values themselves."""

from __future__ import annotations

import itertools
from bisect import bisect_left
from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gbs_actor.observability import (
    DURATION_BOUNDS,
    SIZE_BOUNDS,
    Bucket,
    RecentHistogram,
)
from gbs_actor.observability.recent_histogram import SLICE, SLICES, IntervalDurations

BOUNDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
"""Those of the histograms that Prometheus gets."""

Values = list[tuple[float, float]]
"""Each with the time at which it was added."""


@st.composite
def values(draw: st.DrawFn) -> Values:
    now, added = draw(st.floats(0, 1e6)), []
    for pause, value in draw(
        st.lists(st.tuples(st.floats(0, 2 * SLICE * SLICES), st.floats(0, 200)), max_size=40)
    ):
        now += pause * draw(st.sampled_from([0, 0.01, 1]))
        added.append((now, value))
    return added


def recent(added: Values, now: float, slices: int = SLICES) -> list[float]:
    """Return the values that count, by going through all of them."""
    return sorted(value for at, value in added if at // SLICE > now // SLICE - slices)


def histogram(added: Values, bounds: tuple[float, ...] = DURATION_BOUNDS) -> RecentHistogram:
    made = RecentHistogram(bounds)
    for at, value in added:
        made.add(value, at)
    return made


@given(values(), st.floats(0, 2 * SLICE * SLICES))
def test_percentiles_lie_in_the_buckets_of_the_real_ones(added: Values, later: float) -> None:
    now = (added[-1][0] if added else 0) + later
    real = recent(added, now)
    durations = histogram(added).durations(now)
    assert durations.count == len(real)
    for share, found in (
        (0.5, durations.p50),
        (0.95, durations.p95),
        (0.99, durations.p99),
        (1.0, durations.longest),
    ):
        value = real[ceil(share * len(real)) - 1] if real else 0.0
        bucket = bisect_left(DURATION_BOUNDS, value)
        low = DURATION_BOUNDS[bucket - 1] if bucket else 0.0
        high = DURATION_BOUNDS[min(bucket, len(DURATION_BOUNDS) - 1)]
        assert low <= found <= high * 1.000001


@given(values(), st.floats(0, 2 * SLICE * SLICES))
def test_buckets_have_what_is_recent_and_nothing_else(added: Values, later: float) -> None:
    now = (added[-1][0] if added else 0) + later
    buckets = histogram(added).buckets(now)
    real = recent(added, now)
    assert sum(bucket.count for bucket in buckets) == len(real)
    if buckets:
        assert buckets[0].count
        assert buckets[-1].count
    below = 0
    for bucket in buckets:
        below += bucket.count
        assert below == sum(bucket.upper is None or value <= bucket.upper for value in real)


@given(values(), st.floats(0, 2 * SLICE * SLICES))
def test_the_rate_is_of_the_last_two_slices(added: Values, later: float) -> None:
    now = (added[-1][0] if added else 0) + later
    start = (now // SLICE - 1) * SLICE
    assert histogram(added).rate(now, -1e9) == pytest.approx(
        sum(recent(added, now, slices=2)) / (now - start), abs=1e-6
    )


def test_the_rate_of_a_new_room_is_that_of_its_age() -> None:
    assert histogram([(1_000.0, 1.0)] * 20).rate(1_004.0, since=1_000.0) == 5.0
    assert histogram([(1_000.0, 1.0)] * 20).rate(1_000.0, since=1_000.0) == 20.0


def test_a_value_at_a_bound_belongs_to_the_bucket_below() -> None:
    made = histogram([(0.0, 1.0), (0.0, 2.0), (0.0, 2.0), (0.0, 3.0), (0.0, 9_999.0)], SIZE_BOUNDS)
    assert made.buckets(0.0)[:3] == (Bucket(1.0, 1), Bucket(2.0, 2), Bucket(4.0, 1))
    assert made.buckets(0.0)[-1] == Bucket(None, 1)


def test_the_bounds_of_prometheus_are_among_them_and_each_is_a_quarter_above_the_last() -> None:
    assert set(BOUNDS) < set(DURATION_BOUNDS)
    assert (DURATION_BOUNDS[0], DURATION_BOUNDS[-1]) == (1e-4, 100.0)
    for low, high in itertools.pairwise(DURATION_BOUNDS):
        assert high / low == pytest.approx(5 / 4, rel=0.03)


@given(values())
def test_the_totals_have_all_values_however_old(added: Values) -> None:
    totals = histogram(added).totals()
    assert totals.total == pytest.approx(sum(value for _, value in added))
    below = totals.up_to(BOUNDS)
    assert below == [sum(value <= bound for _, value in added) for bound in BOUNDS]
    assert sum(totals.counts) == len(added)


@given(values(), st.lists(st.floats(0, 200)), st.floats(0, 2 * SLICE * SLICES))
def test_some_values_at_once_are_counted_as_one_by_one(
    added: Values, more: list[float], later: float
) -> None:
    now = (added[-1][0] if added else 0) + later
    at_once, one_by_one = histogram(added), histogram(added)
    at_once.add_all(more, now)
    for value in more:
        one_by_one.add(value, now)
    assert at_once.buckets(now) == one_by_one.buckets(now)
    assert at_once.durations(now) == one_by_one.durations(now)
    assert at_once.totals() == one_by_one.totals()


def test_it_does_not_grow_with_time() -> None:
    made = RecentHistogram(SIZE_BOUNDS)
    for second in range(100_000):
        made.add(1.0, float(second))
    assert len(made._copies) == SLICES
    assert made.durations(99_999.0).count == SLICES * SLICE - (SLICE - 1 - 99_999 % SLICE)


@given(values(), values())
def test_an_interval_has_what_was_added_within_it(before: Values, within: Values) -> None:
    all_of_it = histogram(before)
    interval = IntervalDurations(all_of_it)
    start = before[-1][0] if before else 0.0
    alone = RecentHistogram(DURATION_BOUNDS)
    for at, value in within:
        all_of_it.add(value, start + at)
        alone.add(value, 0.0)
    assert interval.take() == (alone.durations(0.0) if within else None)
    assert interval.take() is None
