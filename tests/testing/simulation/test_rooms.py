"""The layer of rooms reaches what it is meant to reach, and ends as it should."""

from __future__ import annotations

from collections import Counter

from gbs_actor.lineup.commands import Kind
from gbs_actor.rooms import Tracepoint
from gbs_actor.testing.simulation import Trace, simulate
from gbs_actor.testing.simulation.history import (
    Abandoned,
    Answered,
    Cause,
    Committed,
    Disturbed,
    Ended,
    Invoked,
)
from gbs_actor.testing.simulation.plan import Participant, Plan, steps
from gbs_actor.testing.store import Fault

SEEDS = 250


CODES = (
    "OK",
    "VALIDATION_FAILED",
    "NOT_IN_ROOM",
    "NOT_FOUND",
    "LEADER_LOCKED",
    "CONFLICT",
    "GROUP_NOT_EMPTY",
    "FORBIDDEN",
    "ROOM_BUSY",
    "ROOM_RESTARTED",
    "ROOM_UNAVAILABLE",
    "STORE_UNAVAILABLE",
    "OUTCOME_UNKNOWN",
    "INTERNAL",
)
MORE = (
    "killed",
    "shut down",
    "outage",
    "new epoch",
    "foreign write",
    "operator: restart",
    "operator: recover",
    "operator: stop",
    "operator: drain",
    "resumed",
    "not resumed",
    "event: lineup-updated",
    "event: lineups-updated",
    "event: user-editing",
    "event: room-presence",
    "moment: Abandoned",
)


def test_a_run_of_seeds_reaches_every_fault_step_of_the_loop_change_and_code() -> None:
    reached: Counter[str] = Counter()
    for seed in range(SEEDS):
        reached += simulate(seed).counters
    wanted = {
        *(f"commit: {fault.name}" for fault in Fault if fault is not Fault.NONE),
        *(f"passed: {tracepoint}" for tracepoint in Tracepoint),
        *(f"crashed: {tracepoint}" for tracepoint in Tracepoint),
        *(f"committed: {kind}" for kind in Kind if kind is not Kind.EXTERNAL),
        *(f"answer: {code}" for code in CODES),
        *MORE,
    }
    # Seldom crashed at, in so few seeds.
    wanted -= {f"crashed: {Tracepoint.SENDING_MARKS}", f"crashed: {Tracepoint.CAUGHT_UP}"}
    assert wanted - reached.keys() == set()


def play(*played: steps._Step, **plan: object) -> Trace:
    clients = (
        Participant(number=0, user=101),
        Participant(number=1, user=102, form="batch"),
    )
    return simulate(Plan(1, "written", clients, played, **plan))  # type: ignore[arg-type]


def events_of(trace: Trace, *kinds: type) -> list[object]:
    return [moment.event for moment in trace.history.moments if isinstance(moment.event, kinds)]


ASSIGN = steps.Invoke(0, "update-gbs-number", {"lineupId": 5, "gbsNumber": 4})


def test_a_command_is_committed_before_it_is_answered() -> None:
    trace = play(steps.Wait(), ASSIGN)
    invocation = next(
        moment.event
        for moment in trace.history.moments
        if isinstance(moment.event, Invoked) and moment.event.event == ASSIGN.event
    )
    events = [moment.event for moment in trace.history.moments]
    (committed,) = (event for event in events if isinstance(event, Committed))
    (answered,) = (
        event
        for event in events
        if isinstance(event, Answered) and event.invocation == invocation.invocation
    )
    assert events.index(invocation) < events.index(committed) < events.index(answered)
    assert answered.reply["status"] == "OK"
    assert answered.reply["revision"] == 1


def test_every_client_shows_in_the_end_what_a_read_returns() -> None:
    trace = play(steps.Wait(), ASSIGN)
    (ended,) = events_of(trace, Ended)
    assert isinstance(ended, Ended)
    assert ended.left_over == {}
    assert ended.stored.revision == 1
    numbers = {row["id"]: row["gbsNumber"] for row in ended.rows}
    assert numbers[5] == 4
    assert len(ended.replicas) == 2
    for rows in ended.replicas.values():
        assert {row["id"]: row["gbsNumber"] for row in rows} == numbers


def test_a_killed_server_answers_nothing_and_clients_come_back() -> None:
    trace = play(steps.Wait(), steps.FailStore(Fault.SLOW), ASSIGN, steps.Wait(0.5), steps.Kill())
    assert len(events_of(trace, Abandoned)) == 1
    (ended,) = events_of(trace, Ended)
    assert isinstance(ended, Ended)
    assert len(ended.replicas) == 2


def test_a_fault_of_the_store_is_a_cause_from_when_it_happens() -> None:
    calm = play(steps.Wait(), ASSIGN)
    assert events_of(calm, Disturbed) == []
    trace = play(steps.Wait(), steps.FailStore(Fault.REFUSED), steps.Wait(1.0), ASSIGN)
    (disturbed,) = events_of(trace, Disturbed)
    assert isinstance(disturbed, Disturbed)
    assert disturbed.cause is Cause.STORE
    answers = [event for event in events_of(trace, Answered) if isinstance(event, Answered)]
    assert answers[-1].reply["code"] == "STORE_UNAVAILABLE"


def test_a_client_that_does_not_read_gets_the_last_state_of_each_row_once() -> None:
    moves = [
        steps.Invoke(0, "update-gbs-number", {"lineupId": 5, "gbsNumber": number})
        for number in (3, 4, 3, 4)
    ]
    trace = play(steps.Wait(), steps.StopReading(1), *moves, steps.Wait(1.0), steps.GoOnReading(1))
    assert trace.counters["event: lineups-updated"] < 8
