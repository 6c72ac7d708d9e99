"""A plan that fails is made small, and written down for a test."""

from __future__ import annotations

from gbs_actor.rooms import Tracepoint
from gbs_actor.testing.simulation import Plan, draw, simulate
from gbs_actor.testing.simulation.plan import Participant, steps
from gbs_actor.testing.simulation.shrink import shrink, source
from gbs_actor.testing.store import Fault


def is_unknown(plan: Plan) -> bool:
    return simulate(plan).counters["answer: OUTCOME_UNKNOWN"] > 0


def seed_that_fails() -> Plan:
    return next(plan for plan in map(draw, range(500)) if is_unknown(plan))


def test_what_is_left_fails_and_nothing_more_can_be_left_out() -> None:
    plan = seed_that_fails()
    small = shrink(plan, is_unknown)
    assert is_unknown(small)
    assert len(small.steps) <= 6
    assert len(small.clients) == 1
    assert shrink(small, is_unknown) == small


def test_the_attempts_are_bounded() -> None:
    attempts = []

    def fails(plan: Plan) -> bool:
        attempts.append(plan)
        return True

    shrink(draw(0), fails, attempts=5)
    assert len(attempts) == 5


def test_a_plan_is_written_as_python() -> None:
    plan = Plan(
        7,
        "general",
        (Participant(number=1, user=101, form="batch"),),
        (
            steps.Wait(),
            steps.Invoke(client=1, event="undo", argument={"onConflict": "skip"}, undoes=0),
            steps.FailStore(Fault.LATE, times=2),
            steps.CrashRoom(at=Tracepoint.TAKEN),
        ),
        settings={"batch_size": 1},
    )
    text = source(plan)
    names = {
        "Plan": Plan,
        "Participant": Participant,
        "steps": steps,
        "Fault": Fault,
        "Tracepoint": Tracepoint,
    }
    assert eval(text, names) == plan
    drawn = [draw(seed) for seed in range(30)]
    assert [eval(source(each), names) for each in drawn] == drawn
