"""Puts a network between the clients and the server of a plan: protocols, and faults of its own."""

from __future__ import annotations

from random import Random
from typing import Final

from msgspec.structs import replace

from gbs_actor.testing.simulation.plan.plan import Network, Participant, Plan, Transport
from gbs_actor.testing.simulation.plan.profiles import Profile
from gbs_actor.testing.simulation.plan.steps import Disconnect, Invoke, Join, Loss, Read, Step

HTTP: Final = 0.25
"""How likely a plan has requests over HTTP: to make the application costs as much as all else."""
_TRANSPORTS: Final[tuple[Transport, ...]] = (
    "websocket",
    "websocket",
    "polling",
    "upgrade",
    "plain",
)
_NETWORKS: Final[tuple[Network, ...]] = ("perfect", "perfect", "rough", "slow")
_LOSSES: Final[tuple[Loss, ...]] = ("reset", "reset", "close", "vanish")


def with_network(plan: Plan, profile: Profile) -> Plan:
    """Return a plan with what its seed and profile draw for a network."""
    return _Networking(plan, profile).plan()


class _Networking:
    """The decisions for one plan."""

    def __init__(self, plan: Plan, profile: Profile) -> None:
        self.random = Random(f"{plan.profile} {plan.seed} network")  # noqa: S311  (the same each time)
        self._plan = plan
        self._profile = profile
        self._http = self.random.random() < HTTP

    def plan(self) -> Plan:
        plan, random = self._plan, self.random
        return replace(
            plan,
            clients=tuple(self._participant(each) for each in plan.clients),
            steps=tuple(self._step(each) for each in plan.steps),
            plane=random.random() < 0.6,
            network=random.choice(_NETWORKS),
        )

    def _participant(self, participant: Participant) -> Participant:
        random = self.random
        transport = random.choice(_TRANSPORTS)
        if participant.retreat is None and transport == "plain":
            transport = "websocket"
        return replace(
            participant,
            transport=transport,
            recovery=random.random() < 0.6,
            presence=random.random() < 0.7,
            retries=random.random() < 0.5,
            cookie=random.random() < 0.2,
        )

    def _step(self, step: Step) -> Step:
        if isinstance(step, Invoke) and step.http is not None and not self._http:
            return replace(step, http=None)
        if isinstance(step, Read) and not self._http:
            return Join(step.client, step.retreat, since=step.behind is not None)
        if isinstance(step, Disconnect):
            return replace(step, way=self.random.choice(_LOSSES))
        return step
