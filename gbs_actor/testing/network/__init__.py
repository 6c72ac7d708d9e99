"""A simulated TCP network: no descriptors, no threads, and the same behaviour for the same seed."""

from gbs_actor.testing.network.address import Address
from gbs_actor.testing.network.conditions import PERFECT, Conditions
from gbs_actor.testing.network.descriptors import Descriptors
from gbs_actor.testing.network.listener import SimListener
from gbs_actor.testing.network.poller import SimPoller, sim_plane
from gbs_actor.testing.network.socket import SimSocket, socket_pair
from gbs_actor.testing.network.stream import SimStream, connection

__all__ = [
    "PERFECT",
    "Address",
    "Conditions",
    "Descriptors",
    "SimListener",
    "SimPoller",
    "SimSocket",
    "SimStream",
    "connection",
    "sim_plane",
    "socket_pair",
]
