"""The bus: what tells the other nodes that retreats have changed.

A *node* is one of several servers on one database. After a commit it publishes a *hint*: retreat,
epoch, revision. A hint is never the source of truth: it may be lost, doubled, reordered, and what
it is about is read from the store. Each node compares its rooms with the store every quarter of a
second anyway; the bus only makes that sooner.

Who is in a room through a node, and where they edit, is nowhere else: it goes over the bus alone. A
node that may have missed something of another one asks it for the present state.

::

    protocol      Bus, what rooms need of it: publish, send, next, listen, run, leave, statistics
    fields        what the fields of messages may hold
    hints         HintMap, which coalesces hints, and is bounded
    presence      the records of presence, and their bounds
    record_queue  RecordQueue: those that wait to be sent
    message       the messages between nodes, to bytes and back
    serials       which messages are new, and where some were lost
    node_bus      NodeBus: when messages are sent, what is received, reconnection
    channel       Channel: a connection to a publish/subscribe server, as NodeBus needs it
    postgres      … by LISTEN and NOTIFY
    valkey        … by a Valkey or Redis, through coredis
    opening       the bus that the settings ask for
"""

from gbs_actor.bus.hints import Hint, Hints
from gbs_actor.bus.protocol import Bus, BusStatistics, NodeMessage

__all__ = ["Bus", "BusStatistics", "Hint", "Hints", "NodeMessage"]
