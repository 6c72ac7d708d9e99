"""Prunes the log and the audit while the server runs.

No other process can, as the server has the lease.
"""

from __future__ import annotations

import logging
from datetime import timedelta
from functools import partial
from typing import Final

import trio

from gbs_actor.concurrency import Service
from gbs_actor.environment import SYSTEM
from gbs_actor.settings import Settings
from gbs_actor.store.protocol import AdminStore

INTERVAL: Final = 86_400.0
"""Seconds from one pruning to the next."""

logger = logging.getLogger(__name__)


def pruning(store: AdminStore, settings: Settings) -> Service:
    """Return the service that prunes the log and the audit of a store."""
    days = settings.store
    prune = partial(prune_daily, store, days.history_days, days.audit_days)
    return Service("log pruning", prune)


async def prune_daily(store: AdminStore, history_days: int, audit_days: int) -> None:
    """Prune the log and the audit now, and then once a day, until cancelled.

    :param history_days: age of the log's entries that are removed.
    :param audit_days: age of the audit's records that are removed.
    :raises StoreError: the store failed.
    """
    while True:
        now = SYSTEM.now()
        pruned = await store.prune_log(now - timedelta(days=history_days))
        if pruned:
            logger.info("%d log entries older than %d days are pruned", pruned, history_days)
        pruned = await store.prune_audit(now - timedelta(days=audit_days))
        if pruned:
            logger.info("%d audit records older than %d days are pruned", pruned, audit_days)
        await trio.sleep(INTERVAL)
