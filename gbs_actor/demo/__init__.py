"""Made-up retreats for demonstrations and load tests: made, and added to a store."""

from gbs_actor.demo.adding import add_demo_retreats
from gbs_actor.demo.retreats import DEFAULT_RETREATS, LARGEST, PALETTE, demo_retreat

__all__ = ["DEFAULT_RETREATS", "LARGEST", "PALETTE", "add_demo_retreats", "demo_retreat"]
