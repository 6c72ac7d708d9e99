"""The retreats that a demo server has."""

from __future__ import annotations

import logging
from typing import Protocol

from gbs_actor.demo import DEFAULT_RETREATS, demo_retreat
from gbs_actor.store.protocol import RetreatExists
from gbs_actor.store.seed.seed import RetreatSeed

logger = logging.getLogger(__name__)


class ImportingStore(Protocol):
    """A store that retreats can be put into."""

    async def retreats(self) -> list[str]:
        """Return the slugs of all retreats."""
        ...

    async def import_retreat(self, seed: RetreatSeed) -> int:
        """Put in a retreat and return its id.

        :raises RetreatExists: there is one of this slug.
        """
        ...


async def add_demo_retreats(store: ImportingStore) -> None:
    """Put in the demo's retreats that are not there; touch none that is.

    Cancellation leaves each of them either in the store or not, and none half.
    """
    present = set(await store.retreats())
    for slug, people in DEFAULT_RETREATS:
        if slug in present:
            continue
        try:
            await store.import_retreat(demo_retreat(slug, people))
        except RetreatExists:
            continue  # another program was faster
        logger.info("put in the demo retreat %s with %d people", slug, people)
