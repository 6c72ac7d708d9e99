from __future__ import annotations

from gbs_actor.demo import DEFAULT_RETREATS, add_demo_retreats, demo_retreat
from gbs_actor.store.memory import MemoryStore


async def test_every_demo_retreat_is_added_to_an_empty_store() -> None:
    store = MemoryStore()
    await add_demo_retreats(store)
    for slug, people in DEFAULT_RETREATS:
        retreat = await store.load(slug)
        assert retreat is not None
        assert len(retreat.registrations) == people


async def test_a_retreat_that_is_there_is_not_touched() -> None:
    store = MemoryStore()
    slug, _ = DEFAULT_RETREATS[0]
    await store.import_retreat(demo_retreat(slug, 3))
    await add_demo_retreats(store)
    retreat = await store.load(slug)
    assert retreat is not None
    assert len(retreat.registrations) == 3
