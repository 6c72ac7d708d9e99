"""What a demonstration has of its own: made-up retreats, and a secret to sign tokens with.

Nothing of it serves real retreats. The secret stands here, above the store, since it is a
file in the folder that the embedded database made; who signs tokens (``auth``) need not
know where their key comes from.
"""

from gbs_actor.demo.retreats import (
    DEFAULT_RETREATS,
    LARGEST,
    PALETTE,
    add_demo_retreats,
    demo_retreat,
)

__all__ = ["DEFAULT_RETREATS", "LARGEST", "PALETTE", "add_demo_retreats", "demo_retreat"]
