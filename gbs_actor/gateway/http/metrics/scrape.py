"""Renders snapshots: in a thread, one at a time, for all who scrape within a second."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from typing import Final

import trio
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, choose_encoder, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from gbs_actor.gateway.http.metrics.families import families
from gbs_actor.gateway.http.metrics.snapshot import Snapshot

FRESH: Final = 1.0
"""Seconds for which a snapshot serves all who scrape."""


class Scrapes:
    """What scrapers get.

    :param take: takes a snapshot.
    """

    def __init__(self, take: Callable[[], Awaitable[Snapshot]]) -> None:
        self._take = take
        self._turn = trio.Lock()
        self._taken_at = -FRESH
        self._snapshot: Snapshot | None = None
        self._rendered: dict[str, bytes] = {}
        """The snapshot, by content type."""

    async def text(self, accept: str) -> tuple[bytes, str]:
        """Return the metrics, and their content type.

        Cancelled while they are rendered, it returns once that is done.

        :param accept: the field of the request (RFC 9110 §12.5.1); Prometheus asks for
            OpenMetrics by it.
        """
        encode, content_type = _encoder(accept)
        async with self._turn:
            now = trio.current_time()
            if self._snapshot is None or now - self._taken_at >= FRESH:
                self._snapshot, self._taken_at = await self._take(), now
                self._rendered.clear()
            body = self._rendered.get(content_type)
            if body is None:
                render = partial(encode, _Collector(self._snapshot))
                body = self._rendered[content_type] = await trio.to_thread.run_sync(render)
            return body, content_type


def _encoder(accept: str) -> tuple[Callable[[Collector], bytes], str]:
    try:
        return choose_encoder(accept)
    except (ValueError, TypeError):  # a version that is none
        return generate_latest, CONTENT_TYPE_PLAIN_0_0_4


class _Collector(Collector):
    """A snapshot as the library's encoders read it."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics."""
        return families(self._snapshot)
