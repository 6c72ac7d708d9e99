"""Whatever is bounded is within its bounds at each moment of a run, and not only at its end."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from unittest.mock import patch

import trio

from gbs_actor.rooms import rows
from gbs_actor.rooms.mailbox import Item, Mailbox
from gbs_actor.socketio.channel.outbox_limits import OutboxLimits
from gbs_actor.testing.scheduling import run
from gbs_actor.testing.simulation import Plan, simulate
from gbs_actor.testing.simulation.bounds import Bound, Bounds
from gbs_actor.testing.simulation.checker import check
from gbs_actor.testing.simulation.plan import Participant, Step, steps
from gbs_actor.testing.simulation.simulate import Layer
from gbs_actor.testing.store import Fault


def play(*played: Step, layer: Layer = "rooms", clients: int = 2, **more: Any) -> list[str]:
    participants = tuple(Participant(number, 101 + number) for number in range(clients))
    trace = simulate(Plan(3, "by hand", participants, played, **more), layer=layer)
    return [each.sentence for each in check(trace.history) if each.rule == "nothing-left-over"]


def moves(count: int) -> tuple[Step, ...]:
    return tuple(
        steps.Invoke(0, "update-gbs-number", {"lineupId": 5, "gbsNumber": 1 + number % 2})
        for number in range(count)
    )


def test_what_is_exceeded_between_two_moments_is_noticed() -> None:
    held: list[int] = []

    def bound() -> Iterator[Bound]:
        yield "numbers", len(held), 2

    async def fill() -> None:
        held.extend((1, 2, 3))
        await trio.lowlevel.checkpoint()
        held.clear()

    bounds = Bounds(bound)
    run(fill, seed=0, instruments=[bounds])
    (problem,) = bounds.problems()
    assert problem.startswith("3 numbers, of 2 at most, after ")


CROWD = (steps.Wait(), steps.FailStore(Fault.SLOW), *moves(12), steps.Wait(5.0))


def test_a_mailbox_that_refuses_nothing_is_found() -> None:
    def put_work(self: Mailbox, item: Item) -> bool:
        self._count(item, 1)
        self._append(item)
        return True

    assert play(*CROWD, settings={"mailbox_size": 2}) == []
    with patch.object(Mailbox, "put_work", put_work):
        (problem,) = play(*CROWD, settings={"mailbox_size": 2})
    assert "queued commands, of 2 at most" in problem


def test_lists_that_are_all_kept_are_found() -> None:
    joins = [step for move in moves(12) for step in (move, steps.Wait())]
    reads = [steps.Read(1, 0, behind) for behind in range(12)]
    played = (steps.Wait(), *joins, *reads, steps.Wait())
    assert play(*played) == []
    with patch.object(rows, "_make_room", lambda kept: None):
        (problem,) = play(*played)
    assert "lists, of 10 at most" in problem


def test_an_outbox_that_ends_no_connection_is_found() -> None:
    ids = range(7, 61)
    bulks = [
        steps.Invoke(
            0,
            "bulk-assign-gbs",
            {"assignments": [{"lineupId": id_, "gbsNumber": number} for id_ in ids]},
        )
        for number in (1, 2, 3, 1, 2, 3)
    ]
    played: list[Step] = [steps.Wait(), steps.StopReading(1)]
    played += [step for bulk in bulks for step in (bulk, steps.Wait(0.3))]
    limits = {"socketio": {"outbox_bytes": 20_000}}
    assert play(*played, layer="server", people=60, server=limits) == []
    with patch.object(OutboxLimits, "exceeded", lambda self, queue: False):
        problems = play(*played, layer="server", people=60, server=limits)
    assert any("bytes in an outbox, of 20000 at most" in problem for problem in problems)
