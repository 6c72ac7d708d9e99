"""Prunes the log while the server runs: no other process can, as the server has the lease."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final

import trio

from gbs_actor.concurrency import Service
from gbs_actor.settings import Settings
from gbs_actor.store.protocol import AdminStore

INTERVAL: Final = 86_400.0
"""Seconds from one pruning to the next."""

logger = logging.getLogger(__name__)


def pruning(store: AdminStore, settings: Settings) -> Service:
    """Return the service that prunes the log of a store."""
    return Service("log pruning", partial(prune_daily, store, settings.store.history_days))


async def prune_daily(store: AdminStore, days: int) -> None:
    """Prune the log now, and then once a day, until cancelled.

    :param days: age of the entries that are removed.
    :raises StoreError: the store failed.
    """
    while True:
        pruned = await store.prune_log(datetime.now(UTC) - timedelta(days=days))
        if pruned:
            logger.info("%d log entries older than %d days are pruned", pruned, days)
        await trio.sleep(INTERVAL)
