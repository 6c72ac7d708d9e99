"""The servers on one store, as operators see them: each reports itself there once a second.

- ``status``: what a node reports of itself.
- ``nodes``: all of them, as one of them sees them.
"""

from gbs_actor.gateway.nodes.nodes import Nodes
from gbs_actor.gateway.nodes.status import NodeList, NodeState, NodeStatus, NodeSummary

__all__ = ["NodeList", "NodeState", "NodeStatus", "NodeSummary", "Nodes"]
