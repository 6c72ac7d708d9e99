"""What a page measures of itself, and reports now and then.

The page counts in fixed buckets, so that a report has the same size whatever happened; the server
only adds the counts up. The page's own ``histogram.js`` has the same :data:`BOUNDS`.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from gbs_actor.contract.decoding import InvalidPayload, decode

BOUNDS: Final = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000)
"""The highest value of each bucket, in milliseconds; what took longer goes into one more."""
LONGEST: Final = 31 * 86_400
"""Seconds that a report can be about: the page may have been asleep over a weekend."""
MAX_REPORT: Final = 4_096
"""Bytes of a report, at most."""

_BUCKETS: Final = len(BOUNDS) + 1

Count = Annotated[int, Meta(ge=0, le=1_000_000)]
Bounds = Annotated[tuple[int, ...], Meta(extra_json_schema={"const": list(BOUNDS)})]
Counts = Annotated[tuple[Count, ...], Meta(min_length=_BUCKETS, max_length=_BUCKETS)]


class HistogramReport(msgspec.Struct, frozen=True):
    """How long something took, each time since the last report, in milliseconds."""

    bounds: Bounds
    """Those of the server, or else it refuses the report: it is of another version's page."""
    counts: Counts
    """Of each bucket alone; the last one has what is above all bounds."""
    sum: Annotated[float, Meta(ge=0)]


class ClientMetrics(msgspec.Struct, frozen=True):
    """What a page has counted since its last report."""

    seconds: Annotated[float, Meta(ge=0, le=LONGEST)]
    """How long that is."""
    attempts: Count
    """Connections that it has tried to open."""
    successes: Count
    """Connections that were opened and accepted; the attempt may be in the report before."""
    reconnects: Count
    """Of these, those that were not the page's first."""
    answers: HistogramReport
    """From the emit of a command to its answer."""
    screens: HistogramReport
    """From an edit until the screen shows it."""


_decoder: Final = msgspec.json.Decoder(ClientMetrics)


def decode_report(raw: bytes) -> ClientMetrics:
    """Decode one report.

    :param raw: JSON as it arrived.
    :raises InvalidPayload: it is malformed, contradicts itself, or has other bounds.
    """
    report = decode(raw, _decoder)
    if report.reconnects > report.successes:
        raise InvalidPayload("reconnects", "reconnects must not be above successes.")
    for field, times in (("answers", report.answers), ("screens", report.screens)):
        if times.bounds != BOUNDS:
            raise InvalidPayload(f"{field}.bounds", f"{field}.bounds must be {list(BOUNDS)}.")
        lowest, highest = _sums(times.counts)
        lost = 0.001 + 1e-6 * times.sum  # by the page's additions
        if not lowest - lost <= times.sum <= highest + lost:
            raise InvalidPayload(
                f"{field}.sum", f"{field}.sum must be between {lowest:g} and {highest:g} by counts."
            )
    return report


def _sums(counts: Sequence[int]) -> tuple[float, float]:
    """Return the lowest and the highest sum that times in these buckets can have."""
    lowest = highest = 0
    for count, (low, high) in zip(counts, pairwise((0, *BOUNDS, LONGEST * 1_000)), strict=True):
        lowest += count * low
        highest += count * high
    return lowest, highest
