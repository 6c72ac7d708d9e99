"""The demo: made-up retreats (``retreats``), and a secret to sign tokens with (``secret``).

Real retreats use neither. The secret is a file in the folder of the embedded database, so this
package is above the store; ``auth`` does not depend on the source of its keys.
"""

from gbs_actor.demo.retreats import (
    DEFAULT_RETREATS,
    LARGEST,
    PALETTE,
    add_demo_retreats,
    demo_retreat,
)

__all__ = ["DEFAULT_RETREATS", "LARGEST", "PALETTE", "add_demo_retreats", "demo_retreat"]
