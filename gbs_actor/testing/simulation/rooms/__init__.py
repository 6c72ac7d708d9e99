"""The layer of rooms: plays a plan on a supervisor of rooms, a simulated store and clients.

``player`` plays the steps. ``client`` is a participant, with what it shows in ``replica`` and its
``connection``s, which get ``messages``; ``gateway`` is between these and the rooms. ``server`` is
killed and started anew; ``disturbances`` records what may be refused, and why.
"""

from gbs_actor.testing.simulation.rooms.player import InjectedCrash, play

__all__ = ["InjectedCrash", "play"]
