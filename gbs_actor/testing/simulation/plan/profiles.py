"""What simulations are made of: how often each kind of step is drawn, by what is looked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

FAULTS: Final = (
    "stall",
    "disconnect",
    "half move",
    "crash",
    "operate",
    "fail commit",
    "fail read",
    "outage",
    "write elsewhere",
    "new epoch",
    "kill",
    "shutdown",
    "jump wall",
)
"""The kinds of faults, of which each simulation has only some."""

USUAL: Final[Mapping[str, float]] = MappingProxyType(
    {
        "wait": 6,
        "turns": 5,
        "invoke": 18,
        "join": 2,
        "leave": 1,
        "read": 1,
        "mark": 1,
        "stall": 2,
        "disconnect": 2,
        "half move": 0.4,
        "crash": 1.5,
        "operate": 1,
        "fail commit": 2,
        "fail read": 1,
        "outage": 0.7,
        "write elsewhere": 1,
        "new epoch": 0.3,
        "kill": 0.7,
        "shutdown": 0.5,
        "jump wall": 0.5,
    }
)
"""How often each kind of step is drawn, relative to the others."""


@dataclass(frozen=True, slots=True)
class Profile:
    """What a simulation is drawn by."""

    weights: Mapping[str, float] = field(default_factory=dict)
    """Where they differ from the usual ones; 0: never."""
    always: frozenset[str] = frozenset()
    """Faults that each simulation has."""
    never: frozenset[str] = frozenset()
    """Faults that no simulation has."""
    events: Mapping[str, float] = field(default_factory=dict)
    """How often each command is given, relative to the others; where it differs from the usual."""
    people: tuple[int, int] = (6, 8)
    """At least, and at most."""
    clients: tuple[int, int] = (3, 5)
    steps: tuple[int, int] = (10, 60)
    two_retreats: float = 0.3
    """How likely there are two."""
    spread: float = 0.3
    """How likely a command is about any of them, and not about the first."""
    repeats: float = 0.25
    """How likely a command has an id; few of them are different."""
    again: float = 0.1
    """How likely a client gives an earlier command once more, as it was."""
    based: float = 0.4
    """How likely a command has a base revision."""
    batch_form: float = 0.6
    """How likely a client is in the batch form."""
    latency: float = 0.3
    """How likely the store has any."""
    small_limits: float = 0.3
    """How likely a limit of the rooms is so small that it is reached."""
    small: frozenset[str] = frozenset()
    """Limits that are so in any case."""
    http: float = 0.08
    """How likely a command is given over HTTP."""
    network: frozenset[str] = frozenset()
    """Faults that each simulation with a network has: ``storm``, ``intrude``, ``renew``, ``grant``,
    ``kick``, ``violate``, ``split``."""


_CALM: Final = frozenset(FAULTS)


def _only(*faults: str) -> frozenset[str]:
    return _CALM - {*faults}


PROFILES: Final[Mapping[str, Profile]] = MappingProxyType(
    {
        "general": Profile(),
        "calm": Profile(never=_CALM),
        "since": Profile(
            weights={"disconnect": 8, "join": 5, "stall": 5, "read": 3, "wait": 3},
            always=frozenset({"disconnect", "stall"}),
            never=_only("disconnect", "stall", "operate", "crash"),
            events={"bulk-assign-gbs": 10},
        ),
        "fence": Profile(
            weights={"fail commit": 8, "outage": 3},
            always=frozenset({"fail commit"}),
            never=_only("fail commit", "outage", "crash"),
        ),
        "repeats": Profile(
            weights={"fail commit": 6, "disconnect": 2},
            always=frozenset({"fail commit"}),
            never=_only("fail commit", "disconnect", "crash", "kill"),
            small=frozenset({"remembered_commands"}),
            repeats=0.9,
            again=0.4,
        ),
        "wake-ups": Profile(
            weights={"turns": 15, "join": 6, "leave": 4, "mark": 5},
            never=_only("operate", "stall"),
            latency=0.0,
        ),
        "moves": Profile(
            weights={"half move": 3, "join": 1, "invoke": 40, "wait": 2},
            always=frozenset({"half move"}),
            never=_only("stall", "half move"),
            two_retreats=1.0,
            spread=1.0,
            batch_form=0.8,
            http=0.6,
            steps=(30, 60),
        ),
        "idle": Profile(
            weights={"leave": 8, "join": 6, "wait": 12, "disconnect": 12},
            always=frozenset({"disconnect"}),
            never=_only("disconnect"),
            clients=(1, 2),
            latency=0.0,
            small=frozenset({"idle_timeout"}),
            http=0.3,
        ),
        "batches": Profile(
            weights={"invoke": 40, "wait": 3, "turns": 1, "crash": 4, "fail commit": 4},
            never=_only("crash", "fail commit"),
            people=(2, 4),
            batch_form=0.4,
        ),
        "undo": Profile(events={"undo": 15}, based=0.2, never=_only("disconnect", "fail commit")),
        "groups": Profile(
            events={
                "create-gbs": 6,
                "delete-gbs": 6,
                "assign-gbs-leaders": 6,
                "unassign-gbs-leaders": 4,
                "update-lineup-gbs-memo": 5,
                "delete-lineup-gbs-memo": 3,
            },
            batch_form=0.9,
            based=0.8,
            never=_only("disconnect", "stall"),
        ),
        "kills": Profile(
            weights={"kill": 4, "shutdown": 3},
            always=frozenset({"kill"}),
            never=_only("kill", "shutdown", "fail commit"),
            latency=0.8,
            repeats=0.8,
            again=0.3,
        ),
        "stops": Profile(
            weights={"shutdown": 5, "operate": 3, "outage": 2, "fail commit": 4},
            always=frozenset({"shutdown"}),
            never=_only("shutdown", "operate", "outage", "fail commit"),
            latency=0.8,
            repeats=0.9,
            http=0.3,
        ),
        "marks": Profile(
            weights={"mark": 15, "disconnect": 4, "leave": 3},
            never=_only("disconnect", "crash", "stall"),
        ),
        "rights": Profile(
            weights={"wait": 15, "join": 5, "mark": 4},
            never=_only("disconnect", "jump wall", "shutdown"),
            steps=(30, 60),
            small_limits=0.1,
            network=frozenset({"renew", "grant", "kick", "violate"}),
        ),
        "limits": Profile(
            weights={"disconnect": 8, "turns": 8},
            always=frozenset({"disconnect"}),
            never=_only("disconnect", "stall"),
            small=frozenset({"max_connections_per_user"}),
            small_limits=0.6,
            network=frozenset({"storm"}),
        ),
        "crashes": Profile(
            weights={"crash": 8},
            always=frozenset({"crash"}),
            never=_only("crash", "operate", "fail commit"),
        ),
        "foreign": Profile(
            weights={"write elsewhere": 8, "new epoch": 2, "outage": 2, "disconnect": 6},
            always=frozenset({"write elsewhere", "disconnect"}),
            never=_only("write elsewhere", "new epoch", "outage", "disconnect"),
        ),
        "nodes": Profile(
            weights={
                "invoke": 30,
                "wait": 8,
                "disconnect": 4,
                "read": 3,
                "kill": 1.5,
                "new epoch": 1,
            },
            always=frozenset({"fail commit"}),
            never=frozenset({"write elsewhere"}),
            people=(3, 6),
            clients=(3, 5),
            steps=(10, 40),
            two_retreats=0.2,
            spread=0.2,
            repeats=0.5,
            again=0.25,
            latency=0.6,
            small_limits=0.1,
        ),
        "large": Profile(
            weights={"invoke": 12, "join": 6, "stall": 4, "disconnect": 4, "crash": 2, "wait": 8},
            always=frozenset({"stall", "disconnect"}),
            never=_only("stall", "disconnect", "crash", "fail commit", "kill", "write elsewhere"),
            events={"bulk-assign-gbs": 15, "undo": 8, "delete-gbs": 3},
            people=(200, 1_000),
            clients=(20, 50),
            steps=(20, 50),
            latency=0.1,
            small_limits=0.0,
        ),
    }
)
"""By name. "general" draws from everything; the others are for what is rare there. "nodes" is for
several nodes that edit the same. "large" has
rooms of the size of a whole retreat, in which a step can be too long; it takes a hundred times
longer."""
