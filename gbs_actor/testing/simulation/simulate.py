"""Runs a plan, or that of a seed."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, Literal

from gbs_actor.testing.scheduling import run
from gbs_actor.testing.simulation import rooms, server
from gbs_actor.testing.simulation.history import Answered, Delivered, Ended, History
from gbs_actor.testing.simulation.plan import Plan, draw
from gbs_actor.testing.simulation.trace import Trace

Layer = Literal["rooms", "server"]


def simulate(
    plan: Plan | int, *, profile: str = "general", layer: Layer = "rooms", logs: bool = False
) -> Trace:
    """Run a plan, and return what happened; it is not checked yet.

    :param plan: or the seed of one.
    :param profile: what that is drawn for.
    :param layer: what is simulated.
    :param logs: whether gbs-actor logs as usual; most of it is about faults that are injected.
    :raises Exception: whatever is raised in the run: a fault of the simulator.
    """
    if isinstance(plan, int):
        plan = draw(plan, profile, networked=layer == "server")
    counters: Counter[str] = Counter()
    with _logging(wanted=logs):
        history = run(_PLAY[layer], plan, counters, seed=plan.seed)
    _count(history, counters)
    return Trace(plan, history, counters)


_PLAY: Final = {"rooms": rooms.play, "server": server.play}


@contextmanager
def _logging(*, wanted: bool) -> Iterator[None]:
    logger = logging.getLogger("gbs_actor")
    level = logger.level
    if not wanted:
        logger.setLevel(logging.CRITICAL + 1)
    try:
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
