"""The layer of nodes reaches what it is meant to reach, and its faults do what they say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest

from gbs_actor.rooms import Tracepoint
from gbs_actor.testing.simulation import PlanTrace, simulate
from gbs_actor.testing.simulation.checker import check
from gbs_actor.testing.simulation.history import (
    Answered,
    Ended,
    Invoked,
    NodeCommitted,
    NodeDisturbed,
    Routed,
)
from gbs_actor.testing.simulation.plan import Participant, Plan, Step, draw, steps
from gbs_actor.testing.simulation.shrink import source
from gbs_actor.testing.store import Fault

SEEDS = 60
EDIT = "update-gbs-number"
ON_TWO = (
    Participant(number=0, user=101, node=0),
    Participant(number=1, user=102, form="batch", node=1),
)


def play(*played: Step, latencies: tuple[float, ...] = (0.0, 0.0)) -> PlanTrace:
    plan = Plan(1, "written", ON_TWO, played, latencies=latencies)
    return simulate(plan, layer="nodes")


def codes(trace: PlanTrace, client: int) -> list[str]:
    """Return what the commands of a client were answered: codes, or OK."""
    asked = {
        moment.event.invocation
        for moment in trace.history.moments
        if isinstance(moment.event, Invoked)
        and (moment.event.client, moment.event.event) == (client, EDIT)
    }
    return [
        str(moment.event.reply.get("code", "OK"))
        for moment in trace.history.moments
        if isinstance(moment.event, Answered) and moment.event.invocation in asked
    ]


def commits(trace: PlanTrace) -> Iterator[tuple[float, int]]:
    """Yield when a change became durable, and which node had sent it."""
    for moment in trace.history.moments:
        if isinstance(moment.event, NodeCommitted):
            yield moment.at - trace.history.moments[0].at, moment.event.node


def test_a_run_of_seeds_reaches_what_several_nodes_do() -> None:
    reached: Counter[str] = Counter()
    for seed in range(SEEDS):
        reached += simulate(seed, profile="nodes", layer="nodes").counters
    wanted = {
        *(f"commits of node {node}" for node in range(3)),
        *("missed: 1", "missed: 2", "frozen", "killed", "started", "new epoch"),
        *("bus: lost", "bus: doubled", "bus: delayed", "bus: overtaken"),
        *("bus: cut", "bus: silent", "resumed", "moment: Routed", "passed: resolving"),
        *("answer: STORE_UNAVAILABLE", "answer: OUTCOME_UNKNOWN", "answer: ROOM_RESTARTED"),
    }
    assert wanted - reached.keys() == set()
    assert "missed: 3" not in reached


def test_a_client_that_comes_back_to_another_node_sees_what_it_has_missed() -> None:
    trace = play(
        steps.Wait(),
        steps.Disconnect(1, back_after=1.0, node=0),
        steps.Invoke(0, EDIT, {"lineupId": 5, "gbsNumber": 4}),
        steps.Wait(2.0),
    )
    assert check(trace.history) == []
    routes = [m.event for m in trace.history.moments if isinstance(m.event, Routed)]
    assert [(each.client, each.node) for each in routes] == [(0, 0), (1, 1), (1, 0)]
    (at_first, at_other) = [m.event for m in trace.history.moments if isinstance(m.event, Ended)]
    assert len(at_first.replicas) == 2
    assert len(at_other.replicas) == 0


def test_a_fault_of_one_node_is_none_of_the_others() -> None:
    trace = play(
        steps.Wait(),
        steps.FailStore(Fault.REFUSED, node=1),
        steps.Invoke(1, EDIT, {"lineupId": 5, "gbsNumber": 4}),
        steps.Invoke(0, EDIT, {"lineupId": 6, "gbsNumber": 4}),
        steps.Wait(1.0),
    )
    assert check(trace.history) == []
    assert (codes(trace, 0), codes(trace, 1)) == (["OK"], ["STORE_UNAVAILABLE"])
    (fault,) = [m.event for m in trace.history.moments if isinstance(m.event, NodeDisturbed)]
    assert fault.node == 1


def test_a_node_that_is_frozen_answers_when_that_is_over_and_the_others_go_on() -> None:
    trace = play(
        steps.Wait(),
        steps.Freeze(3.0, node=1),
        steps.Invoke(1, EDIT, {"lineupId": 5, "gbsNumber": 4}),
        steps.Invoke(0, EDIT, {"lineupId": 6, "gbsNumber": 4}),
        steps.Wait(1.0),
    )
    assert check(trace.history) == []
    assert [(round(at), node) for at, node in commits(trace)] == [(0, 0), (3, 1)]


def test_a_holder_of_the_lock_that_freezes_loses_it_and_holds_nobody_up_for_long() -> None:
    """Node 1 misses twice, and is frozen while it has the lock."""
    for frozen_after in (0.0, 0.01, 0.02, 0.03, 0.04, 0.05, 0.06):
        trace = play(
            steps.Wait(1.0),
            steps.FailStore(Fault.CONTENDED, times=2, node=1),
            steps.Invoke(1, EDIT, {"lineupId": 5, "gbsNumber": 4}),
            steps.Wait(frozen_after),
            steps.Freeze(2.0, node=1),
            steps.KeepAsking(0, 5, 6),
            steps.Wait(1.0),
            latencies=(0.001, 0.01),
        )
        assert check(trace.history) == []
        assert codes(trace, 0) == ["OK"] * 5
        assert sum(at < 1.6 for at, node in commits(trace) if node == 0) >= 5


def rates(seed: int, latencies: tuple[float, ...], *editing: int) -> list[float]:
    """Return how many commits of each node there are a second, until the first client is done.

    :param editing: the nodes whose clients edit.
    """
    count = 30
    clients = tuple(Participant(node, 101 + node, node=node) for node in range(len(latencies)))
    asking = (steps.KeepAsking(node, count, 4 + node, pause=0.005) for node in editing)
    played: tuple[Step, ...] = (steps.Wait(1.0), *asking, steps.Wait(2.0))
    made: Counter[int] = Counter()
    plan = Plan(seed, "written", clients, played, latencies=latencies)
    for at, node in commits(simulate(plan, layer="nodes")):
        made[node] += 1
        if made[node] == count:
            return [made[each] / (at - 1.0) for each in range(len(latencies))]
    raise AssertionError(made)


@pytest.mark.parametrize("latencies", [(0.002, 0.02), (0.0, 0.002, 0.02)])
def test_no_node_gets_less_than_half_of_its_share_whatever_its_latency(
    latencies: tuple[float, ...],
) -> None:
    """Its share is what it can do alone, divided by how many there are."""
    nodes, seeds = range(len(latencies)), range(4)
    together = [rates(seed, latencies, *nodes) for seed in seeds]
    for node in nodes:
        alone = sum(rates(seed, latencies, node)[node] for seed in seeds)
        assert sum(each[node] for each in together) >= alone / len(nodes) / 2


def test_a_plan_of_several_nodes_is_printed_as_it_is() -> None:
    for seed in range(20):
        plan = draw(seed, "nodes", nodes=True)
        names = {"Plan": Plan, "Participant": Participant, "steps": steps, "Fault": Fault}
        assert eval(source(plan), {**names, "Tracepoint": Tracepoint}) == plan
