"""The layer of the whole server: plays a plan on all that is behind the front door.

``player`` plays the steps. ``client`` is a participant, over a peer of its protocol; ``membership``
is which room it is in when its events are handled, as it can know; ``requests`` is what it sends
over HTTP. ``operators`` is what an operator does, ``strangers`` what who speaks no protocol does.
"""

from gbs_actor.testing.simulation.server.player import play

__all__ = ["play"]
