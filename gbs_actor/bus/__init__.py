"""The bus: what tells the other nodes that retreats have changed.

A *node* is one of several servers on one database. After a commit it publishes a *hint*: retreat,
epoch, revision. A hint is never the source of truth: it may be lost, doubled, reordered, and what
it is about is read from the store. Each node compares its rooms with the store every quarter of a
second anyway; the bus only makes that sooner.

::

    protocol   Bus, what rooms need of it: publish, next, run, statistics
    hints      HintMap, which coalesces hints, and is bounded
    message    the messages between nodes: hints to bytes, and back
    node_bus   NodeBus: when messages are sent, what is received, reconnection
    channel    Channel: a connection to a publish/subscribe server, as NodeBus needs it
    postgres   … by LISTEN and NOTIFY
    valkey     … by a Valkey or Redis, through coredis
    opening    the bus that the settings ask for
"""

from gbs_actor.bus.hints import Hint, Hints
from gbs_actor.bus.protocol import Bus, BusStatistics

__all__ = ["Bus", "BusStatistics", "Hint", "Hints"]
