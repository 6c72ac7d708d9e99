"""Draws a plan from a seed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from random import Random
from typing import Final

from gbs_actor.rooms.tracepoints import Tracepoint
from gbs_actor.testing.simulation.plan.commands import Commands
from gbs_actor.testing.simulation.plan.networking import with_network
from gbs_actor.testing.simulation.plan.nodes import with_nodes
from gbs_actor.testing.simulation.plan.plan import Participant, Plan
from gbs_actor.testing.simulation.plan.profiles import FAULTS, PROFILES, USUAL, Profile
from gbs_actor.testing.simulation.plan.steps import (
    CrashRoom,
    Disconnect,
    FailStore,
    GoOnReading,
    Join,
    JumpWall,
    Kill,
    Leave,
    Mark,
    NewEpoch,
    Operate,
    Outage,
    Read,
    Return,
    Shutdown,
    Step,
    StopReading,
    Turns,
    Wait,
    WriteElsewhere,
)
from gbs_actor.testing.store import READ_FAULTS, Fault

FIRST_USER: Final = 101
"""Id of the first client's user."""
_COMMIT_FAULTS: Final = tuple(fault for fault in Fault if fault is not Fault.NONE)
_READ_FAULTS: Final = tuple(fault for fault in READ_FAULTS if fault is not Fault.NONE)
_TRACEPOINTS: Final = tuple(Tracepoint)
_RETURNS: Final[tuple[Return, ...]] = ("resume", "resume", "since", "since", "join", "stay away")


def draw(
    seed: int,
    profile: str = "general",
    *,
    networked: bool = False,
    nodes: bool = False,
    clients: int | None = None,
    steps: int | None = None,
) -> Plan:
    """Return the plan of a seed.

    :param profile: one of :data:`~gbs_actor.testing.simulation.plan.profiles.PROFILES`.
    :param networked: whether there is a network between the clients and the server, with faults of
        its own.
    :param nodes: whether there are several nodes, with faults of their own.
    :param clients: how many take part; ``None``: as the profile has it.
    :param steps: how many there are; ``None``: as the profile has it. With a network, some more.
    :raises KeyError: the profile is none.
    """
    drawn_by = PROFILES[profile]
    if clients is not None:
        drawn_by = replace(drawn_by, clients=(clients, clients))
    if steps is not None:
        drawn_by = replace(drawn_by, steps=(steps, steps))
    plan = _Drawing(seed, profile, drawn_by).plan()
    if nodes:
        return with_nodes(plan, drawn_by)
    return with_network(plan, drawn_by) if networked else plan


class _Drawing:
    """The decisions of one plan."""

    def __init__(self, seed: int, name: str, profile: Profile) -> None:
        # Text, as its hash is the same in every process.
        self.random = Random(f"{name} {seed}")  # noqa: S311  (must be the same every time)
        self.seed = seed
        self.name = name
        self.profile = profile
        self.retreats = 2 if self.chance(profile.two_retreats) else 1
        self.people = self.random.randint(*profile.people)
        self.clients = self._clients()
        self.commands = Commands(self.random, profile, self.people, self.retreats)

    def chance(self, probability: float) -> bool:
        return self.random.random() < probability

    def plan(self) -> Plan:
        weights = self._weights()
        kinds, ways = [*weights], [*weights.values()]
        steps: list[Step] = []
        for _ in range(self.random.randint(*self.profile.steps)):
            (kind,) = self.random.choices(kinds, ways)
            drawn = _DRAW[kind](self)
            steps += drawn if isinstance(drawn, tuple) else (drawn,)
        return Plan(
            seed=self.seed,
            profile=self.name,
            clients=self.clients,
            steps=tuple(steps),
            people=self.people,
            retreats=self.retreats,
            settings=self._settings(),
            latency=self.random.choice((0.01, 0.2)) if self.chance(self.profile.latency) else 0.0,
        )

    def _weights(self) -> dict[str, float]:
        """Return how often each kind of step comes, of which faults are in or out as a whole."""
        profile, random = self.profile, self.random
        weights = {**USUAL, **profile.weights}
        intensity = random.choice((0.3, 1.0, 1.0, 2.5))
        share = random.choice((0.0, 0.3, 0.6, 0.9))
        for fault in FAULTS:
            chosen = random.random() < share or fault in profile.always
            weights[fault] *= intensity if chosen and fault not in profile.never else 0.0
        weights["wait"] *= random.choice((0.3, 1.0, 2.0))
        weights["turns"] *= random.choice((0.0, 1.0, 3.0))
        return weights

    def _clients(self) -> tuple[Participant, ...]:
        random, profile = self.random, self.profile
        return tuple(
            Participant(
                number=number,
                user=FIRST_USER + (0 if number and self.chance(0.1) else number),
                form="batch" if self.chance(profile.batch_form) else "rows",
                retreat=None
                if self.chance(0.15)
                else (random.randrange(self.retreats) if self.chance(0.3) else 0),
                operator=self.chance(0.5),
            )
            for number in range(random.randint(*profile.clients))
        )

    def _settings(self) -> dict[str, int | float]:
        settings: dict[str, int | float] = {"memo_id_block": self.random.choice((1, 2, 64))}
        for name, values in _LIMITS.items():
            if self.chance(self.profile.small_limits) or name in self.profile.small:
                settings[name] = self.random.choice(values)
        return settings

    # -- steps

    def client(self) -> int:
        return self.random.choice(self.clients).number

    def retreat(self) -> int:
        return self.random.randrange(self.retreats)

    def wait(self) -> Step:
        return Wait(self.random.choice((0.0, 0.0, 0.0, 0.02, 0.3, 1.0, 7.0, 70.0)))

    def turns(self) -> Step:
        return Turns(self.random.randint(1, 4))

    def join(self) -> Step:
        return Join(self.client(), self.retreat(), self.chance(0.6))

    def leave(self) -> Step:
        return Leave(self.client())

    def read(self) -> Step:
        behind = self.random.randint(-1, 4) if self.chance(0.6) else None
        return Read(self.client(), self.retreat(), behind)

    def mark(self) -> Step:
        field = self.random.choice(("gbsNumber", "lineupMemo"))
        return Mark(self.client(), self.commands.registration(), field, self.chance(0.8))

    def stall(self) -> Step:
        return (StopReading if self.chance(0.6) else GoOnReading)(self.client())

    def disconnect(self) -> Step:
        back_after = self.random.choice((0.0, 0.0, 0.5, 3.0))
        loses = self.random.choice((None, 0, 1, 1, 2, 4))
        return Disconnect(self.client(), loses, back_after, self.random.choice(_RETURNS))

    def half_move(self) -> tuple[Step, ...]:
        """A client that does not read joins another retreat, and learns of that, but no more."""
        client = self.client()
        return (
            StopReading(client),
            Join(client, self.retreat()),
            Wait(),
            Disconnect(client, self.random.choice((0, 1, 1)), 3.0, "resume"),
            GoOnReading(client),
        )

    def crash(self) -> Step:
        at = self.random.choice(_TRACEPOINTS) if self.chance(0.7) else None
        passes = self.random.randint(0, 2 if at else 12)
        times = 7 if self.chance(0.05) else 1
        return CrashRoom(self.retreat(), at, passes, times)

    def operate(self) -> Step:
        return Operate(self.random.choice(("restart", "recover", "stop", "drain")), self.retreat())

    def fail_commit(self) -> Step:
        times = self.random.choice((1, 1, 1, 2, 4, 10))
        return FailStore(self.random.choice(_COMMIT_FAULTS), "commit", times)

    def fail_read(self) -> Step:
        times = self.random.choice((1, 1, 1, 2, 4))
        return FailStore(self.random.choice(_READ_FAULTS), "read", times)

    def outage(self) -> Step:
        return Outage(self.random.choice((0.05, 0.5, 3.0, 20.0)))

    def write_elsewhere(self) -> Step:
        retreat = self.retreat()
        event, argument = self.commands.foreign(retreat)
        return WriteElsewhere(event, argument, retreat, self.chance(0.7))

    def new_epoch(self) -> Step:
        return NewEpoch(self.retreat())

    def kill(self) -> Step:
        return Kill(self.random.choice((0.0, 0.5, 3.0, 10.0)))

    def shutdown(self) -> Step:
        at = self.random.choice(_TRACEPOINTS) if self.chance(0.5) else None
        drain_for = self.random.choice((0.0, 1.0, 30.0)) if self.chance(0.5) else None
        return Shutdown(at, self.random.randint(0, 2), drain_for)

    def jump_wall(self) -> Step:
        return JumpWall(self.random.choice((-3_600.0, -1.0, 1.0, 3_600.0)))


_LIMITS: Final[Mapping[str, tuple[int | float, ...]]] = {
    "commit_retries": (0,),
    "remembered_commands": (0, 1),
    "mailbox_size": (2, 5),
    "batch_size": (1, 2),
    "deliveries_per_yield": (1,),
    "idle_timeout": (0.3, 0.5, 3.0),
    "commit_resolve_timeout": (1.0,),
    "max_crashes": (0, 1),
    "presence_interval": (0.0,),
    "editing_interval": (0.0,),
}
"""Settings, and values that are reached in a simulation."""

_DRAW: Final[Mapping[str, Callable[[_Drawing], Step | tuple[Step, ...]]]] = {
    "wait": _Drawing.wait,
    "turns": _Drawing.turns,
    "invoke": lambda drawing: drawing.commands.invoke(drawing.client()),
    "join": _Drawing.join,
    "leave": _Drawing.leave,
    "read": _Drawing.read,
    "mark": _Drawing.mark,
    "stall": _Drawing.stall,
    "disconnect": _Drawing.disconnect,
    "half move": _Drawing.half_move,
    "crash": _Drawing.crash,
    "operate": _Drawing.operate,
    "fail commit": _Drawing.fail_commit,
    "fail read": _Drawing.fail_read,
    "outage": _Drawing.outage,
    "write elsewhere": _Drawing.write_elsewhere,
    "new epoch": _Drawing.new_epoch,
    "kill": _Drawing.kill,
    "shutdown": _Drawing.shutdown,
    "jump wall": _Drawing.jump_wall,
}
