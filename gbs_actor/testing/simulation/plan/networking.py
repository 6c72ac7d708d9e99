"""Puts a network between the clients and the server of a plan: protocols, and faults of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from random import Random
from typing import Final, Literal, get_args

from msgspec.structs import replace

from gbs_actor.testing.simulation.plan.plan import Network, Participant, Plan, Transport
from gbs_actor.testing.simulation.plan.profiles import FAULTS, Profile
from gbs_actor.testing.simulation.plan.steps import (
    Disconnect,
    Grant,
    Intrude,
    Intrusion,
    Invoke,
    Join,
    Kick,
    Loss,
    Operate,
    Read,
    Renew,
    Return,
    Shutdown,
    SplitBytes,
    Step,
    Violate,
    Violation,
)

HTTP: Final = 0.25
"""How likely a plan has requests over HTTP: to make the application costs as much as all else."""
_TRANSPORTS: Final[tuple[Transport, ...]] = (
    "websocket",
    "websocket",
    "polling",
    "upgraded",
    "plain",
)
_NETWORKS: Final[tuple[Network, ...]] = ("perfect", "perfect", "rough", "slow")
_INTRUSIONS: Final[tuple[Intrusion, ...]] = get_args(Intrusion)
_VIOLATIONS: Final[tuple[Violation, ...]] = get_args(Violation)
_ACCESSES: Final[tuple[Literal["none", "read", "edit"], ...]] = ("none", "read", "edit")
RETURNS: Final[tuple[Return, ...]] = get_args(Return)
_SETTINGS: Final[Mapping[str, Mapping[str, tuple[int | float, ...]]]] = {
    "socketio": {
        "ping_interval": (10.0,),
        "ping_timeout": (5.0,),
        "event_rate": (2.0,),
        "event_burst": (3,),
        "join_burst": (1, 2),
        "packet_burst": (5,),
        "max_unanswered_events": (1, 2),
        "outbox_messages": (4, 20),
        "outbox_bytes": (20_000,),
        "max_poll_packets": (1, 2),
    },
    "limits": {
        "user_burst": (5,),
        "user_rate": (3.0,),
        "user_editing_burst": (1,),
        "max_connections_per_user": (1, 2),
    },
}
"""Limits that are reached."""
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
            steps=tuple(self._steps()),
            plane=random.random() < 0.6,
            network=random.choice(_NETWORKS),
            server=self._settings(),
        )

    def _settings(self) -> dict[str, dict[str, int | float]]:
        settings: dict[str, dict[str, int | float]] = {}
        small = self._profile.small
        if self._is_calm:
            return settings
        for group, names in _SETTINGS.items():
            for name, values in names.items():
                if self.random.random() < self._profile.small_limits / 3 or name in small:
                    settings.setdefault(group, {})[name] = self.random.choice(values)
        return settings

    @property
    def _is_calm(self) -> bool:
        return {*FAULTS} <= self._profile.never

    def _steps(self) -> Iterator[Step]:
        """Yield the steps, with faults of the network in between, of which each plan has some."""
        random = self.random
        share = 0.0 if self._is_calm else random.choice((0.0, 0.3, 0.6))
        chosen = self._profile.network
        faults = [
            fault for name, fault in _FAULTS.items() if random.random() < share or name in chosen
        ]
        intensity = random.choice((0.15,) if chosen else (0.02, 0.05, 0.15))
        for step in self._plan.steps:
            yield self._step(step)
            if faults and random.random() < intensity:
                yield from random.choice(faults)(self)

    def _client(self) -> int:
        return self.random.choice(self._plan.clients).number

    def _storm(self) -> Iterator[Step]:
        back_after = self.random.choice((0.0, 0.0, 1.0))
        for client in self._plan.clients:
            way = self.random.choice(_LOSSES)
            how = self.random.choice(RETURNS)
            yield Disconnect(client.number, back_after=back_after, how=how, way=way)

    def _intrude(self) -> Iterator[Step]:
        yield Intrude(self.random.choice(_INTRUSIONS))

    def _renew(self) -> Iterator[Step]:
        lifetime = self.random.choice((1.0, 20.0, 60.0))
        yield Renew(self._client(), lifetime, self.random.random() < 0.6)

    def _grant(self) -> Iterator[Step]:
        clients = [each for each in self._plan.clients if not each.operator]
        if clients:
            retreat = self.random.randrange(self._plan.retreats)
            access = self.random.choice(_ACCESSES)
            yield Grant(self.random.choice(clients).number, access, retreat)

    def _kick(self) -> Iterator[Step]:
        yield Kick(self._client(), self._http)

    def _violate(self) -> Iterator[Step]:
        yield Violate(self._client(), self.random.choice(_VIOLATIONS))

    def _split(self) -> Iterator[Step]:
        yield SplitBytes(self._client(), self.random.choice((1, 2, 7, 100)))

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
        if isinstance(step, Operate | Shutdown):
            return replace(step, http=self._http)
        return step


_FAULTS: Final[Mapping[str, Callable[[_Networking], Iterator[Step]]]] = {
    "storm": _Networking._storm,
    "intrude": _Networking._intrude,
    "renew": _Networking._renew,
    "grant": _Networking._grant,
    "kick": _Networking._kick,
    "violate": _Networking._violate,
    "split": _Networking._split,
}
