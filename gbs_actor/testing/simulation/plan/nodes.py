"""Puts a plan on several nodes: who speaks to which, and faults of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from random import Random
from typing import Final

from msgspec.structs import replace

from gbs_actor.contract.events import CommandEvent
from gbs_actor.testing.simulation.plan.commands import IDS
from gbs_actor.testing.simulation.plan.plan import Bus, Plan
from gbs_actor.testing.simulation.plan.profiles import FAULTS, Profile
from gbs_actor.testing.simulation.plan.steps import (
    CrashRoom,
    CutBus,
    Disconnect,
    FailStore,
    Freeze,
    Invoke,
    KeepAsking,
    Kill,
    Operate,
    Outage,
    Shutdown,
    StartNode,
    Step,
    Wait,
    WriteElsewhere,
)
from gbs_actor.testing.simulation.retreats import LED
from gbs_actor.testing.store import Fault

_BUSES: Final[tuple[Bus, ...]] = ("none", "perfect", "rough", "rough")
_INTERVALS: Final = (0.25, 3.0, 3.0, 3.0, 5.0, 10.0)
_COOL_DOWN: Final = 5.0
"""Seconds for which a room that has crashed too often rests: the default takes long."""
_LONGEST_WAIT: Final = 7.0
_LATENCIES: Final = (0.002, 0.02, 0.02, 0.06)
"""Seconds, at most, to the store and back: a lock has to outlast both."""
MAX_MISSES: Final = 2
"""How often others may be faster than a batch before it locks the retreat."""
_LOCKED_FAULTS: Final = tuple(
    fault for fault in Fault if fault not in (Fault.NONE, Fault.CONTENDED, Fault.HANGS_COMMITTED)
)
_LOST: Final = (Fault.LOST_BEFORE, Fault.LATE, Fault.LOST_AFTER, Fault.HANGS)
_PAUSES: Final = (0.0, 0.0, 0.02, 0.05)
"""Seconds between two questions of who asks much."""
_OF_A_NODE: Final = (CrashRoom, FailStore, Kill, Operate, Outage, Shutdown)


def with_nodes(plan: Plan, profile: Profile) -> Plan:
    """Return a plan with what its seed and profile draw for several nodes."""
    return _Spreading(plan, profile).plan()


class _Spreading:
    """The decisions for one plan."""

    def __init__(self, plan: Plan, profile: Profile) -> None:
        self.random = Random(f"{plan.profile} {plan.seed} nodes")  # noqa: S311  (the same each time)
        self._plan = plan
        self._is_calm = {*FAULTS} <= profile.never
        self._count = self.random.choice((2, 2, 3))
        self._latencies = _LATENCIES if plan.latency else (0.0,)

    def plan(self) -> Plan:
        plan, random = self._plan, self.random
        latencies = tuple(random.choice(self._latencies) for _ in range(self._count))
        return replace(
            plan,
            clients=tuple(
                replace(client, node=index % self._count if random.random() < 0.7 else 0)
                for index, client in enumerate(plan.clients)
            ),
            steps=tuple(self._steps()),
            settings={
                **plan.settings,
                "comparison_interval": random.choice(_INTERVALS),
                "crash_cool_down": _COOL_DOWN,
            },
            latency=0.0,
            latencies=latencies,
            bus=random.choice(_BUSES),
        )

    def _steps(self) -> Iterator[Step]:
        random = self.random
        faults = [] if self._is_calm else [each for each in _FAULTS if random.random() < 0.5]
        intensity = random.choice((0.03, 0.1, 0.2))
        for step in self._plan.steps:
            if isinstance(step, WriteElsewhere):
                continue  # others write as it is
            yield from self._step(step)
            if random.random() < intensity:
                yield from random.choice([*_EDITING * 2, *faults])(self)

    def _step(self, step: Step) -> Iterator[Step]:
        random = self.random
        if isinstance(step, _OF_A_NODE):
            yield replace(step, node=self._node())
        elif isinstance(step, Disconnect):
            yield replace(step, node=self._node() if random.random() < 0.6 else None)
        elif isinstance(step, Wait):
            yield Wait(min(step.seconds, _LONGEST_WAIT))
        else:
            yield step
        if isinstance(step, Invoke) and step.command is not None:
            yield from self._again(step)

    def _again(self, step: Invoke) -> Iterator[Step]:
        """Yield the same command, at another node perhaps, which has not seen it yet."""
        random = self.random
        chance = random.random()
        if chance < 0.1:
            yield replace(step, client=self._client())
        elif chance < 0.2:
            if random.random() < 0.5:
                yield Wait(random.choice((0.0, 0.0, 0.02)))
            yield Disconnect(step.client, None, 0.0, "since", node=self._node())
            yield Wait(random.choice((0.0, 0.02, 0.3)))
            yield step

    def _client(self) -> int:
        return self.random.choice(self._plan.clients).number

    def _node(self) -> int:
        return self.random.randrange(self._count)

    def _registration(self) -> int:
        """Return the id of one whose group may be changed, as they lead none at first."""
        return self.random.choice(
            [id_ for id_ in range(1, self._plan.people + 1) if id_ not in LED]
        )

    # -- what is put in between

    def _ask_much(self) -> Iterator[Step]:
        """Several clients edit, or read, at once."""
        random = self.random
        registration, command = self._registration(), random.randrange(IDS)
        first = random.randrange(4)
        for index, client in enumerate(self._plan.clients):
            asking = KeepAsking(
                client.number, random.choice((2, 5, 12)), pause=random.choice(_PAUSES)
            )
            if random.random() < 0.2:
                continue
            match (first + index) % 4:
                case 0 | 1:
                    witness = self._client() if random.random() < 0.5 else None
                    yield replace(asking, registration=registration, witness=witness)
                case 2:
                    yield replace(asking, registration=registration, command=command)
                case _:
                    yield asking
        yield Wait(random.choice((0.0, 0.3, 1.0)))

    def _lose_batch(self) -> Iterator[Step]:
        """A batch is lost, and another node is given a part of it."""
        client = self.random.choice(self._plan.clients)
        yield FailStore(self.random.choice(_LOST), "commit", 1, client.node)
        shared, own = self._edit(client.number), self._edit(client.number)
        shared = replace(shared, command=self.random.randrange(IDS))
        yield from (shared, own)
        if self.random.random() < 0.5:
            yield Wait(self.random.choice((0.0, 0.02)))
        yield replace(shared, client=self._client())

    def _edit(self, client: int) -> Invoke:
        argument = {
            "lineupId": self._registration(),
            "gbsNumber": self.random.randint(1, 3),
        }
        return Invoke(client, str(CommandEvent.UPDATE_GBS_NUMBER), argument)

    def _freeze(self) -> Iterator[Step]:
        yield Freeze(self.random.choice((0.1, 0.3, 1.0, 1.0, 7.0)), self._node())

    def _freeze_editing(self) -> Iterator[Step]:
        """A node that is editing, and so may hold a lock, is frozen."""
        yield from self._ask_much()
        yield Wait(self.random.choice((0.0, 0.02, 0.05)))
        yield Freeze(self.random.choice((0.3, 1.0)), self._node())

    def _fail_locked(self) -> Iterator[Step]:
        """A commit fails for which the retreat is locked, as others were faster before."""
        node = self._node()
        yield FailStore(Fault.CONTENDED, "commit", MAX_MISSES, node)
        yield FailStore(self.random.choice(_LOCKED_FAULTS), "commit", 1, node)
        yield from self._ask_much()

    def _cut_bus(self) -> Iterator[Step]:
        node = self._node() if self.random.random() < 0.5 else None
        seconds = self.random.choice((0.0, 1.0, 10.0))
        yield CutBus(seconds, node, self.random.random() < 0.5)

    def _start_node(self) -> Iterator[Step]:
        yield StartNode(self.random.choice(self._latencies))
        self._count = min(self._count + 1, 4)


_EDITING: Final[tuple[Callable[[_Spreading], Iterator[Step]], ...]] = (_Spreading._ask_much,)
_FAULTS: Final[tuple[Callable[[_Spreading], Iterator[Step]], ...]] = (
    _Spreading._freeze,
    _Spreading._freeze_editing,
    _Spreading._fail_locked,
    _Spreading._lose_batch,
    _Spreading._cut_bus,
    _Spreading._start_node,
)
