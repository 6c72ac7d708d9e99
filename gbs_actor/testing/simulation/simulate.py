"""Runs a plan, that of a seed, or a scenario."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final, Literal, overload

from structlog.testing import capture_logs

from gbs_actor.settings import Settings
from gbs_actor.store.seed.seed import RetreatSeed
from gbs_actor.testing.scheduling import run
from gbs_actor.testing.simulation import nodes, rooms, scenario, server
from gbs_actor.testing.simulation.history import Answered, Delivered, Ended, History
from gbs_actor.testing.simulation.plan import Plan, draw
from gbs_actor.testing.simulation.scenario import Scenario, ScenarioFault
from gbs_actor.testing.simulation.steps import Steps
from gbs_actor.testing.simulation.trace import PlanTrace, Trace

Layer = Literal["rooms", "server", "nodes"]


def draw_for(
    layer: Layer,
    seed: int,
    profile: str,
    *,
    clients: int | None = None,
    steps: int | None = None,
) -> Plan:
    """Return the plan of a seed for a layer; parameters are those of :func:`draw`."""
    return draw(
        seed,
        profile,
        networked=layer == "server",
        nodes=layer == "nodes",
        clients=clients,
        steps=steps,
    )


@overload
def simulate(
    what: Plan | int,
    *,
    profile: str = "general",
    layer: Layer = "rooms",
    logs: bool = False,
    steps: bool = False,
) -> PlanTrace: ...


@overload
def simulate(
    what: Scenario,
    *,
    seed: int,
    faults: bool | Collection[str] = True,
    retreats: Sequence[str | RetreatSeed] = ("winter",),
    settings: Settings | Mapping[str, Mapping[str, object]] | None = None,
    logs: bool = False,
) -> Trace: ...


def simulate(
    what: Plan | int | Scenario,
    *,
    profile: str = "general",
    layer: Layer = "rooms",
    seed: int = 0,
    faults: bool | Collection[str] = True,
    retreats: Sequence[str | RetreatSeed] = ("winter",),
    settings: Settings | Mapping[str, Mapping[str, object]] | None = None,
    logs: bool = False,
    steps: bool = False,
) -> Trace:
    """Run a scenario of your own from a seed; or a plan, or that of a seed.

    Only a scenario is checked, by what it asserts and by the rules that hold for each client.

    :param what: ``async def scenario(server: LineupServer) -> None``; or what the simulator itself
        runs.
    :param profile: what the plan of a seed is drawn for.
    :param layer: what a plan is run on.
    :param seed: of a scenario: the order of tasks, tokens and ids, and what ``faults`` do.
    :param faults: what happens to a scenario, see
        :data:`~gbs_actor.testing.simulation.scenario.ScenarioFault`. ``True``: what a client need
        not notice, ``("bytes", "latency", "slow")``; by name also what it has to handle.
    :param retreats: of a scenario, as for :func:`~gbs_actor.testing.server.lineup_server`.
    :param settings: likewise.
    :param logs: whether gbs-actor logs as usual; most of it is about faults that are injected.
    :param steps: of a plan: whether to look for the longest step; it takes a few times longer.
    :raises ValueError: there is no such fault.
    :raises RuleBroken: the server has broken a rule in a scenario: a fault of gbs-actor.
    :raises Exception: what a scenario raises, with a note of its seed; or, in the run of a plan, a
        fault of the simulator.
    """
    if callable(what):
        options = {"retreats": retreats, "settings": settings}
        return _run_scenario(what, seed, scenario.chosen(faults), options, logs=logs)
    plan = draw_for(layer, what, profile) if isinstance(what, int) else what
    counters: Counter[str] = Counter()
    counted = Steps() if steps else None
    instruments = () if counted is None else (counted,)
    with _logging(wanted=logs):
        history = run(_PLAY[layer], plan, counters, seed=plan.seed, instruments=instruments)
    _count(history, counters)
    return PlanTrace(
        plan.seed, history, counters, plan, None if counted is None else counted.longest
    )


_PLAY: Final = {"rooms": rooms.play, "server": server.play, "nodes": nodes.play}


def _run_scenario(
    play: Scenario,
    seed: int,
    faults: tuple[ScenarioFault, ...],
    options: Mapping[str, object],
    *,
    logs: bool,
) -> Trace:
    counters: Counter[str] = Counter()
    try:
        with _logging(wanted=logs):
            history = run(scenario.play, play, seed, faults, options, counters, seed=seed)
        _count(history, counters)
        trace = Trace(seed, history, counters)
        scenario.judge(trace)
    except Exception as error:
        name = getattr(play, "__name__", repr(play))
        error.add_note(f"To repeat it: simulate({name}, seed={seed}, faults={faults!r})")
        raise
    return trace


@contextmanager
def _logging(*, wanted: bool) -> Iterator[None]:
    if wanted:
        yield
        return
    logger = logging.getLogger("gbs_actor")
    level = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        with capture_logs():  # of who does not log through that one, unless it is configured so
            yield
    finally:
        logger.setLevel(level)


def _count(history: History, counters: Counter[str]) -> None:
    for moment in history.moments:
        event = moment.event
        if isinstance(event, Answered):
            counters[f"answer: {event.reply.get('code', 'OK')}"] += 1
        elif isinstance(event, Delivered):
            counters[f"event: {event.event}"] += 1
        elif not isinstance(event, Ended):
            counters[f"moment: {type(event).__name__}"] += 1
