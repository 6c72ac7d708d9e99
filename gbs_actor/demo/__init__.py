"""The demo: made-up retreats (``retreats``) and staff (``people``), and a secret (``secret``).

Real retreats use none of it. The secret, with which tokens are signed, is a file in the folder of
the embedded database, so this package is above the store; ``auth`` does not depend on the source of
its keys.
"""

from gbs_actor.demo.people import DEMO_PEOPLE, DEMO_TOKEN_TIME, DemoPerson
from gbs_actor.demo.retreats import (
    DEFAULT_RETREATS,
    LARGEST,
    PALETTE,
    add_demo_retreats,
    demo_retreat,
)

__all__ = [
    "DEFAULT_RETREATS",
    "DEMO_PEOPLE",
    "DEMO_TOKEN_TIME",
    "LARGEST",
    "PALETTE",
    "DemoPerson",
    "add_demo_retreats",
    "demo_retreat",
]
