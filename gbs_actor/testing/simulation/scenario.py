"""Plays a scenario of somebody's own on the whole server, in conditions that a seed decides."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from functools import partial
from random import Random
from typing import Any, Final, Literal, get_args

from gbs_actor.environment import Environment
from gbs_actor.lineup.changes import LogEntry
from gbs_actor.rooms import Tracepoint
from gbs_actor.testing.environment import seeded_environment
from gbs_actor.testing.network import Conditions
from gbs_actor.testing.server import LineupServer, lineup_server
from gbs_actor.testing.simulation.checker import check
from gbs_actor.testing.simulation.history import Committed, History, NewEpoch
from gbs_actor.testing.simulation.recording import RecordedPeer, Recorder
from gbs_actor.testing.simulation.trace import Trace
from gbs_actor.testing.store import Fault, Operation, SimStore

Scenario = Callable[[LineupServer], Awaitable[None]]
"""What somebody wants to be simulated: connects peers, asks, and asserts."""
ScenarioFault = Literal["bytes", "latency", "slow", "store", "cuts"]
"""What a seed may do to a scenario.

``bytes``
    Connections cut up what is sent, anywhere; sends are partial, buffers small.
``latency``
    Connections and the store take up to 50 ms on Trio's clock, each time another time.
``slow``
    Now and then a call of the store takes a second.
``store``
    Now and then a commit fails or its answer is lost, in each way that :class:`Fault` has but
    those that never answer: a command is refused with a retryable code, or OUTCOME_UNKNOWN.
``cuts``
    Now and then the connection of a peer is reset behind a message: :exc:`PeerClosed`, and the
    scenario calls :meth:`Peer.reconnect`.
"""
FAULTS: Final[tuple[ScenarioFault, ...]] = get_args(ScenarioFault)
UNNOTICED: Final[tuple[ScenarioFault, ...]] = ("bytes", "latency", "slow")
"""Those that no client has to do anything about; it only waits."""
LATENCY: Final = 0.05
_LIKELIHOOD: Final = 0.15
_CUTS: Final = 0.03
_SLOW: Final = (Fault.SLOW, Fault.SLOW_ANSWER)
_FAILURES: Final = (
    Fault.UNAVAILABLE,
    Fault.REFUSED,
    Fault.LOST_BEFORE,
    Fault.LOST_AFTER,
    Fault.LATE,
    Fault.CONTENDED,
    Fault.CONFLICTING,
)
JUDGED: Final = frozenset(
    {
        "log-without-gap",
        "id-once",
        "log-rests-on-itself",
        "durable-when-seen",
        "answered-once",
        "nothing-stray",
        "retryable-marked",
        "accepted-is-in-log",
        "rows-are-right",
        "groups-are-right",
        "revisions-rise",
        "revision-is-one-step",
        "nothing-is-left-out",
        "answer-is-in-place",
        "list-is-right",
    }
)
"""The rules that need to know nothing of what a scenario means to do."""


class RuleBroken(AssertionError):
    """The server has broken a rule, whatever the scenario asserts: a fault of gbs-actor.

    The text is the run, with what is wrong at its moment.
    """


class _UnreliableStore(SimStore):
    """A store to whose calls faults happen by chance, where the scenario wants none of its own."""

    def __init__(
        self,
        environment: Environment,
        random: Random,
        faults: Mapping[Operation, Sequence[Fault]],
        latency: float,
    ) -> None:
        super().__init__(environment=environment, latency=latency)
        self._random = random
        self._possible = faults

    def _next_fault(self, of: Operation) -> Fault:
        fault = super()._next_fault(of)
        possible = self._possible[of]
        if fault is not Fault.NONE or self._foreign or not possible:
            return fault
        if self._random.random() < _LIKELIHOOD:
            fault = self._random.choice(possible)
            self.on_fault(of, fault)
        return fault


def chosen(faults: bool | Collection[str]) -> tuple[ScenarioFault, ...]:
    """Return the faults that are meant, in a fixed order.

    :raises ValueError: there is no such fault.
    """
    if isinstance(faults, bool):
        return UNNOTICED if faults else ()
    unknown = [each for each in faults if each not in FAULTS]
    if unknown:
        raise ValueError(f"no fault {unknown[0]!r}; there are {', '.join(FAULTS)}")
    return tuple(each for each in FAULTS if each in faults)


async def play(
    scenario: Scenario,
    seed: int,
    faults: tuple[ScenarioFault, ...],
    options: Mapping[str, Any],
    counters: Counter[str],
) -> History:
    """Play a scenario to its end, and return what happened.

    :param options: of :func:`~gbs_actor.testing.server.lineup_server`.
    :param counters: counts the faults that happened, and the steps of rooms.
    :raises Exception: what the scenario raises.
    """
    random = Random(f"{seed} scenario")  # noqa: S311  (must be the same every time)
    environment = seeded_environment(seed)
    store = _store(environment, random, faults)
    history = History({}, delayed=True)

    def committed(slug: str, entries: tuple[LogEntry, ...], foreign: bool) -> None:
        history.record(Committed(slug, entries, foreign))

    def fault_happened(of: Operation, fault: Fault) -> None:
        if fault is not Fault.NONE:
            counters[f"{of}: {fault.name}"] += 1

    def passed(slug: str, tracepoint: Tracepoint) -> None:
        counters[f"passed: {tracepoint}"] += 1

    store.on_commit, store.on_fault = committed, fault_happened
    store.on_epoch = lambda slug, epoch: history.record(NewEpoch(slug, epoch))
    async with lineup_server(
        store=store,
        environment=environment,
        conditions=_conditions(random, faults),
        observe=passed,
        **options,
    ) as server:
        reader = store.elsewhere()
        reader.latency = 0.0
        before = {slug: await reader.load(slug) for slug in store.slugs}
        history.before = {slug: each for slug, each in before.items() if each is not None}

        def room_of(sid: str, known: str | None) -> str | None:
            try:
                client = server.composition.clients.find(sid)
            except ConnectionRefusedError:  # it is ending
                return known
            return None if client is None else client.subscriber.room_slug

        recorder = Recorder(history, random, room_of, cuts=_CUTS if "cuts" in faults else 0.0)
        server.make_peer = partial(RecordedPeer, recorder=recorder)
        await scenario(server)
    return history


def _store(
    environment: Environment, random: Random, faults: tuple[ScenarioFault, ...]
) -> _UnreliableStore:
    slow = _SLOW if "slow" in faults else ()
    failures = _FAILURES if "store" in faults else ()
    possible: dict[Operation, Sequence[Fault]] = {"commit": slow + failures, "read": slow[:1]}
    latency = LATENCY if "latency" in faults else 0.0
    return _UnreliableStore(environment, random, possible, latency)


def _conditions(random: Random, faults: tuple[ScenarioFault, ...]) -> Conditions:
    latency = LATENCY if "latency" in faults else 0.0
    if "bytes" in faults:
        return Conditions.drawn(random, latency=latency)
    return Conditions(random=random, latency=latency)


def judge(trace: Trace) -> None:
    """Check what holds whatever the scenario was.

    :raises RuleBroken: it does not.
    """
    violations = [each for each in check(trace.history) if each.rule in JUDGED]
    if violations:
        raise RuleBroken("\n".join(map(str, trace.lines(violations))))
