"""Faults that simulations have found, as the smallest plans that show them."""

from __future__ import annotations

from gbs_actor.rooms import Tracepoint
from gbs_actor.testing.simulation import Plan, simulate
from gbs_actor.testing.simulation.checker import check
from gbs_actor.testing.simulation.plan import Participant, steps


def test_out_of_a_crashed_room_a_no_op_shows_the_revision_of_the_rows_own_fields() -> None:
    plan = Plan(
        seed=252,
        profile="crashes",
        clients=(
            Participant(number=1, user=102, form="batch"),
            Participant(number=2, user=101, form="batch", operator=True),
        ),
        steps=(
            steps.Invoke(1, "update-gbs-number", {"lineupId": 6, "gbsNumber": 2}),
            steps.CrashRoom(at=Tracepoint.COMMITTED),
            steps.Invoke(2, "update-gbs-number", {"lineupId": 4, "gbsNumber": 2}),
        ),
        people=8,
    )
    assert check(simulate(plan).history) == []


def test_out_of_a_crashed_room_a_conflict_shows_the_revision_of_the_rows_own_fields() -> None:
    unlead = {"lineupId": 3, "gbsNumber": 1, "isLeader": False}
    plan = Plan(
        seed=107,
        profile="crashes",
        clients=tuple(
            Participant(number=number, user=101 + number, form="batch") for number in range(5)
        ),
        steps=(
            steps.Turns(4),
            steps.Invoke(0, "create-lineup-memo", {"lineupId": 4, "memo": "b"}),
            steps.Invoke(4, "bulk-assign-gbs", {"assignments": [unlead], "onConflict": "skip"}),
            steps.Wait(),
            steps.CrashRoom(at=Tracepoint.DELIVERING),
            steps.Invoke(0, "create-lineup-memo", {"lineupId": 3, "memo": "b"}),
            steps.Invoke(3, "create-lineup-memo", {"lineupId": 4, "memo": "a"}),
        ),
    )
    assert check(simulate(plan).history) == []


def test_a_session_goes_on_in_a_room_although_the_answer_to_its_join_was_lost() -> None:
    plan = Plan(
        seed=2373,
        profile="marks",
        clients=(Participant(number=2, user=103, form="batch"),),
        steps=(
            steps.Wait(),
            steps.StopReading(client=2),
            steps.Leave(client=2),
            steps.Join(client=2),
            steps.Wait(),
            steps.Disconnect(client=2),
        ),
        people=8,
    )
    assert check(simulate(plan).history) == []


def test_a_list_that_a_plain_connection_joins_with_has_the_empty_groups_of_its_revision() -> None:
    plan = Plan(
        seed=445,
        profile="rights",
        clients=(
            Participant(number=1, user=102, form="batch", operator=True),
            Participant(number=3, user=104, form="batch", transport="plain"),
        ),
        steps=(
            steps.Wait(seconds=1.0),
            steps.Violate(client=3, what="size"),
            steps.Leave(client=1),
            steps.Invoke(client=1, event="create-gbs", argument={"gbsNumbers": [7]}, named=0),
            steps.Wait(seconds=7.0),
            steps.Invoke(3, "update-gbs-number", {"lineupId": 4, "gbsNumber": 4}),
        ),
        people=7,
    )
    assert check(simulate(plan, layer="server").history) == []


def test_a_server_may_read_for_itself_while_the_end_of_a_run_is_looked_at() -> None:
    plan = Plan(
        seed=1,
        profile="general",
        clients=(Participant(number=0, user=101),),
        steps=(steps.Wait(seconds=8.0),),
        people=2,
        retreats=2,
        latency=0.4,
    )
    assert check(simulate(plan, layer="server").history) == []


def test_the_server_keeps_the_mark_of_a_client_that_has_vanished() -> None:
    plan = Plan(
        seed=79,
        profile="rights",
        clients=(
            Participant(number=0, user=101, form="batch", transport="plain"),
            Participant(number=2, user=103),
        ),
        steps=(
            steps.Wait(),
            steps.Mark(client=0, registration=7),
            steps.Wait(),
            steps.Disconnect(client=0, way="vanish"),
        ),
        people=7,
    )
    assert check(simulate(plan, layer="server").history) == []


def test_a_group_that_waits_is_not_replaced_by_one_of_another_room() -> None:
    plan = Plan(
        seed=1382,
        profile="moves",
        clients=(
            Participant(number=0, user=101, form="batch"),
            Participant(number=2, user=103, form="batch", retreat=1),
        ),
        steps=(
            steps.Join(client=2),
            steps.Wait(seconds=7.0),
            steps.Invoke(2, "update-gbs-number", {"lineupId": 2, "gbsNumber": 5}),
            steps.Invoke(0, "update-gbs-number", {"lineupId": 8, "gbsNumber": 1}),
            steps.Invoke(0, "update-gbs-number", {"lineupId": 11, "gbsNumber": 1}, named=1),
            steps.StopReading(client=2),
            steps.Join(client=2, retreat=1),
        ),
        retreats=2,
    )
    assert check(simulate(plan).history) == []


def test_a_mark_that_ends_while_its_viewer_is_elsewhere_is_no_longer_known_to_it() -> None:
    plan = Plan(
        seed=31,
        profile="general",
        clients=(
            Participant(number=0, user=101),
            Participant(number=3, user=104, operator=True),
            Participant(number=15, user=116),
        ),
        steps=(
            steps.Mark(client=3, registration=5, field="lineupMemo"),
            steps.Wait(),
            steps.Leave(client=0),
            steps.Leave(client=3),
            steps.Wait(),
            steps.Join(client=3),
            steps.Wait(seconds=70.0),
            steps.Invoke(15, "update-gbs-number", {"lineupId": 3, "gbsNumber": None}),
            steps.Join(client=0),
            steps.Mark(client=3, registration=5, field="lineupMemo"),
        ),
    )
    assert check(simulate(plan).history) == []
