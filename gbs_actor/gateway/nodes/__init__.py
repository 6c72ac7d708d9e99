"""The servers on one store, as operators see them: each reports itself there once a second.

- ``status``: what a node reports of itself.
- ``room_list``: its rooms, as bytes that can be stored every second.
- ``request``: what a node asks of another one; ``outgoing``: how it does.
- ``nodes``: all of them, as one of them sees them.
"""

from gbs_actor.gateway.nodes.nodes import Nodes
from gbs_actor.gateway.nodes.outgoing import NodeNotAnswering, TooManyRequests
from gbs_actor.gateway.nodes.status import NodeList, NodeState, NodeStatus, NodeSummary

__all__ = [
    "NodeList",
    "NodeNotAnswering",
    "NodeState",
    "NodeStatus",
    "NodeSummary",
    "Nodes",
    "TooManyRequests",
]
