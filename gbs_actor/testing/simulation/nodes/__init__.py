"""The layer of nodes: plays a plan on several supervisors of rooms over one store, with a bus.

``player`` plays the steps. ``node`` is one of the servers, with its ``store``, which is that of all
as it reaches it, and its end of the ``bus``. The clients are those of the layer of rooms, and go
from node to node.
"""

from gbs_actor.testing.simulation.nodes.player import play

__all__ = ["play"]
