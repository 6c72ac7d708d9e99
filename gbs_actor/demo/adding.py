"""Adds the retreats of a demonstration to a store."""

from __future__ import annotations

import logging
from typing import Protocol

from gbs_actor.demo.retreats import DEFAULT_RETREATS, demo_retreat
from gbs_actor.store.protocol import RetreatExists
from gbs_actor.store.seed.seed import RetreatSeed

logger = logging.getLogger(__name__)


class ImportingStore(Protocol):
    """A store that retreats can be added to."""

    async def retreats(self) -> list[str]:
        """Return the slugs of all retreats."""
        ...

    async def import_retreat(self, seed: RetreatSeed) -> int:
        """Add a retreat and return its id.

        :raises RetreatExists: there is one of this slug.
        """
        ...


async def add_demo_retreats(store: ImportingStore) -> None:
    """Add the default retreats that are missing; change none that exists.

    Cancelled, it leaves each of them in the store as a whole, or not at all.
    """
    present = set(await store.retreats())
    for slug, people in DEFAULT_RETREATS:
        if slug in present:
            continue
        try:
            await store.import_retreat(demo_retreat(slug, people))
        except RetreatExists:
            continue  # another program was faster
        logger.info("added the demo retreat %s with %d people", slug, people)
