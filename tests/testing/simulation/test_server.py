"""The layer of the whole server reaches what it is meant to reach, and ends as it should."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final

import pytest

from gbs_actor.testing.simulation import Trace, simulate
from gbs_actor.testing.simulation.checker import check
from gbs_actor.testing.simulation.history import Answered, Closed, Ended, Opened
from gbs_actor.testing.simulation.plan import Participant, Plan, Step, Transport, steps

SEEDS: Final[Mapping[str, Sequence[int]]] = {
    "general": range(300, 380),
    "rights": (*range(12), 25),
    "limits": range(12, 15),
    "stops": range(12),
    "crashes": range(8),
}
"""By profile."""
FORMS = ("rows", "batch")


TRANSPORTS: tuple[Transport, ...] = ("websocket", "polling", "upgraded", "plain")
CODES = (
    "OK",
    "VALIDATION_FAILED",
    "NOT_IN_ROOM",
    "NOT_FOUND",
    "LEADER_LOCKED",
    "CONFLICT",
    "GROUP_NOT_EMPTY",
    "INTERNAL",
    "OUTCOME_UNKNOWN",
    "TOKEN_EXPIRED",
    "ROOM_UNAVAILABLE",
    "FORBIDDEN",
    "RATE_LIMITED",
    "ROOM_BUSY",
    "ROOM_RESTARTED",
    "STORE_UNAVAILABLE",
)
CLOSE_CODES = (
    *(None, 1000, 1001, 1002, 1007, 1009, 1012, 1013),
    *(4401, 4403, 4429),
    400,
)
"""Of WebSockets, of those whose reasons are the line-up's, and of polling."""
MORE = (
    "upgraded",
    "recovered",
    "not recovered",
    "given again",
    "disconnected",
    "killed",
    "shut down",
    "shut down without drain",
    "kick",
    "violation: opcode",
    "violation: mask",
    "violation: size",
    "violation: text",
    "outage",
    "new epoch",
    "foreign write",
    "operator: restart",
    "operator: recover",
    "operator: stop",
    "operator: drain",
    "operator: 200",
    "lost: reset",
    "lost: close",
    "lost: vanish",
    "authenticate: OK",
    "notice: TOKEN_EXPIRED",
    "notice: FORBIDDEN",
    "grant: none",
    "grant: read",
    "stranger: noise",
    "stranger: silence",
    "stranger: half a head",
    "stranger: http",
    "stranger: frames",
    "stranger: messages",
    "status: 200",
    "event: initial-data",
    "event: lineup-updated",
    "event: lineups-updated",
    "event: user-editing",
    "event: room-presence",
)


def test_a_run_of_seeds_reaches_every_protocol_code_and_end_of_a_connection() -> None:
    reached: Counter[str] = Counter()
    for profile, seeds in SEEDS.items():
        for seed in seeds:
            reached += simulate(seed, profile=profile, layer="server").counters
    wanted = {
        *(f"connected: {transport}, {form}" for transport in TRANSPORTS for form in FORMS),
        *(f"answer: {code}" for code in CODES),
        *(f"close code: {code}" for code in CLOSE_CODES),
        *MORE,
    }
    assert wanted - reached.keys() == set()


CLIENTS = tuple(
    Participant(number=number, user=101 + number, transport=transport)
    for number, transport in enumerate(TRANSPORTS)
)
ASSIGN = steps.Invoke(0, "update-gbs-number", {"lineupId": 5, "gbsNumber": 4})


def play(*played: Step, plane: bool = True) -> Trace:
    trace = simulate(
        Plan(1, "written", CLIENTS, tuple(played), plane=plane),
        layer="server",
    )
    assert check(trace.history) == []
    return trace


def events_of(trace: Trace, *kinds: type) -> list[object]:
    return [moment.event for moment in trace.history.moments if isinstance(moment.event, kinds)]


@pytest.mark.parametrize("plane", [True, False])
def test_a_change_is_shown_by_clients_of_each_protocol(plane: bool) -> None:
    trace = play(steps.Wait(), ASSIGN, plane=plane)
    (ended,) = events_of(trace, Ended)
    assert isinstance(ended, Ended)
    assert ended.left_over == {}
    assert len(ended.replicas) == 4
    for rows in ended.replicas.values():
        assert {row["id"]: row["gbsNumber"] for row in rows}[5] == 4


def test_a_client_whose_connection_is_reset_resumes_its_session() -> None:
    trace = play(steps.Wait(), ASSIGN, steps.Wait(), steps.Disconnect(0))
    resumed = [event for event in events_of(trace, Opened) if event.resumed]  # type: ignore[attr-defined]
    assert len(resumed) == 1


def test_clients_come_back_to_a_server_that_was_killed() -> None:
    trace = play(steps.Wait(), steps.Kill(0.5), steps.Wait(3.0), ASSIGN)
    assert len(events_of(trace, Closed)) == 4
    (ended,) = events_of(trace, Ended)
    assert isinstance(ended, Ended)
    assert len(ended.replicas) == 4


def test_what_a_stranger_says_is_noticed_by_nobody() -> None:
    calm = play(steps.Wait(), ASSIGN)
    disturbed = play(steps.Wait(), steps.Intrude("frames"), steps.Intrude("noise"), ASSIGN)
    assert len(events_of(calm, Answered)) == len(events_of(disturbed, Answered))
    assert not events_of(disturbed, Closed)
