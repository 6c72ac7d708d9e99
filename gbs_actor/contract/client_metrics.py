"""What a page measures of itself, and reports now and then.

The page counts in the buckets of :data:`BOUNDS`, so that a report has the same size whatever
happened; the server only adds the counts up.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import isclose
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from gbs_actor.contract.decoding import InvalidPayload, decode

BOUNDS: Final = (
    *(0.001, 0.0025, 0.005, 0.01, 0.016, 0.025, 0.05, 0.1, 0.25, 0.5),
    *(1.0, 2.5, 5.0, 10.0, 30.0),
)
"""The highest value of each bucket, in seconds; longer ones go into one more. 0.016 is a frame."""
LONGEST: Final = 3_600.0
"""A longer time is reported as this one: what waited for hours was a page that slept."""
MAX_REPORT: Final = 4_096
"""Bytes of a report, at most."""

Count = Annotated[int, Meta(ge=0, le=100_000)]


class Times(msgspec.Struct, frozen=True):
    """How long something took, each time since the last report."""

    counts: Annotated[
        tuple[Count, ...], Meta(min_length=len(BOUNDS) + 1, max_length=len(BOUNDS) + 1)
    ]
    """Of each bucket; the last one has what is above all bounds."""
    sum: Annotated[float, Meta(ge=0)]
    """Of the times, in seconds."""


class ClientMetrics(msgspec.Struct, frozen=True):
    """What a page has counted since its last report."""

    seconds: Annotated[float, Meta(gt=0, le=86_400)]
    """How long that is."""
    attempts: Count
    """Connections that it has tried to open."""
    successes: Count
    """Connections that were opened and accepted; an attempt may be of the report before."""
    reconnects: Count
    """Of these, those that were not the page's first."""
    answers: Times
    """From the emit of a command to its answer."""
    screens: Times
    """From an edit until the screen shows it."""


_decoder: Final = msgspec.json.Decoder(ClientMetrics)


def decode_report(raw: bytes) -> ClientMetrics:
    """Decode one report.

    :param raw: JSON as it arrived.
    :raises InvalidPayload: it is malformed, or contradicts itself.
    """
    report = decode(raw, _decoder)
    if report.reconnects > report.successes:
        raise InvalidPayload("reconnects", "reconnects must not be above successes.")
    for field, times in (("answers", report.answers), ("screens", report.screens)):
        lowest, highest = _sums(times.counts)
        # The page adds its times one by one, so its sum is not exact.
        if not (
            lowest <= times.sum <= highest
            or isclose(times.sum, lowest, rel_tol=1e-6)
            or isclose(times.sum, highest, rel_tol=1e-6)
        ):
            raise InvalidPayload(
                f"{field}.sum", f"{field}.sum must be between {lowest:g} and {highest:g} by counts."
            )
    return report


def _sums(counts: Sequence[int]) -> tuple[float, float]:
    """Return the lowest and the highest sum that times in these buckets can have."""
    edges = (0.0, *BOUNDS, LONGEST)
    lowest = highest = 0.0
    for count, (low, high) in zip(counts, pairwise(edges), strict=True):
        lowest += count * low
        highest += count * high
    return lowest, highest
