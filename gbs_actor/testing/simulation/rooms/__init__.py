"""The layer of rooms: plays a plan on a supervisor of rooms, a simulated store and clients.

``player`` plays the steps. ``client`` is a participant, with its ``connection``s, which get
``messages``; ``gateway`` is between these and the rooms. ``server`` is killed and started anew.
"""

from gbs_actor.testing.simulation.rooms.player import play

__all__ = ["play"]
