"""What a server holds, and what it has counted: compared with its beginning, and with a history."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Final

import trio

from gbs_actor.contract.events import ClientEvent, ServerEvent
from gbs_actor.gateway.http.metrics.families import families
from gbs_actor.gateway.http.metrics.snapshot import take_snapshot
from gbs_actor.server.composition import Composition
from gbs_actor.testing.server import LineupServer
from gbs_actor.testing.simulation.checker.events import COMMANDS
from gbs_actor.testing.simulation.history import (
    Abandoned,
    Answered,
    Closed,
    Delivered,
    History,
    Invoked,
    Opened,
)


def held(lineup: LineupServer) -> dict[str, int]:
    """Return how much of everything that is held for clients a server has, by name."""
    composition = lineup.composition
    sockets, plain, door = composition.sockets, composition.plain, composition.front_door
    assert door is not None
    front = door.statistics()
    return {
        "tasks": _count_tasks(),
        "sockets": lineup.open_sockets,
        "sessions": sockets.statistics().connections,
        "plain WebSockets": plain.statistics().connections,
        "clients": composition.clients.statistics().clients,
        "tokens that expire": composition.clients.statistics().expiring,
        "connections": front.connections,
        "HTTP connections": front.http_connections,
        "waiting connections": front.waiting,
        "counted connections": len(sockets.connection_limit),
        "counted without authentication": sockets.unauthenticated.statistics().counted,
        "queued bytes": sockets.memory_limit.bytes,
        "rooms": len(composition.rooms.statistics().rooms),
    }


def _count_tasks() -> int:
    root = trio.lowlevel.current_root_task()
    assert root is not None
    count, tasks = 0, [root]
    while tasks:
        count += 1
        for nursery in tasks.pop().child_nurseries:
            tasks.extend(nursery.child_tasks)
    return count


async def metrics(composition: Composition) -> dict[str, float]:
    """Return what a scrape of ``/metrics`` would get, without the thread that renders it.

    Each sample is named as in PromQL, with the value of its label: ``gbs_closes_total{…}``.
    """
    taken = await take_snapshot(composition.services)
    return {
        "/".join((sample.name, *sample.labels.values())): sample.value
        for family in families(taken)
        for sample in family.samples
    }


class Totals:
    """What all processes of a run have counted."""

    def __init__(self) -> None:
        self.errors: Counter[str] = Counter()
        """Events that got an error, per code."""
        self.joins = 0
        self.crashes = 0
        self.failures: Counter[str] = Counter()
        """What must never happen, by name."""
        self.processes = 0

    def add(self, composition: Composition) -> None:
        """Add what a process has counted up to its end."""
        self.processes += 1
        events = composition.dispatch.statistics()
        clients = composition.clients.statistics()
        self.errors.update(events.errors)
        self.joins += events.joins
        self.crashes += composition.rooms.statistics().crashes
        assert composition.front_door is not None
        door = composition.front_door.statistics()
        self.failures.update(
            {
                "internal errors": events.internal_errors,
                "failed connections": door.failures,
                "failures to accept": door.accept_failures,
                "failures of the watch over tokens": clients.expiry_failures,
            }
        )

    def problems(self, history: History, counters: Mapping[str, int]) -> list[str]:
        """Return what of it the history does not say."""
        found = [f"{count} {name}" for name, count in self.failures.items() if count]
        crashes = sum(count for name, count in counters.items() if name.startswith("crashed: "))
        if self.crashes != crashes:
            found.append(f"{self.crashes} crashes are counted, and {crashes} were injected")
        errors, joins, exact = _received(history)
        exact = exact and not any(name.startswith("stranger: ") for name in counters)
        for code in sorted(errors.keys() | self.errors.keys()):
            counted = self.errors[code]
            received = errors[code] + counters.get(f"error event: {code}", 0)
            if counted < received or (exact and counted > received):
                found.append(f"{counted} errors {code} are counted, and {received} received")
        if self.joins < joins or (exact and self.joins > joins):
            found.append(f"{self.joins} joins are counted, and {joins} were answered")
        return found

    def exposed_wrongly(self, exposed: Mapping[str, float], history: History) -> list[str]:
        """Return which metrics of a run of one process are not what its history says.

        :param exposed: at the end, when all clients have gone.
        """
        events = [moment.event for moment in history.moments]
        asked = {each.invocation: each for each in events if isinstance(each, Invoked)}
        accepted = [
            asked[each.invocation].event in COMMANDS
            for each in events
            if isinstance(each, Answered) and each.reply["status"] == "OK"
        ]
        equal = {f"gbs_event_errors_total/{code}": self.errors[code] for code in self.errors}
        equal |= {"gbs_joins_total": self.joins, "gbs_room_crashes_total": self.crashes}
        equal |= dict.fromkeys(_GAUGES, 0)
        opened = [each for each in events if isinstance(each, Opened)]
        least = {
            "gbs_handshakes_total": len(opened),
            "gbs_recoveries_total/recovered": sum(each.resumed for each in opened),
            "gbs_closes_total": sum(isinstance(each, Closed) for each in events),
            "gbs_commands_total/accepted": sum(accepted),
            "gbs_events_total": sum(
                isinstance(each, Answered) and asked[each.invocation].connection is not None
                for each in events
            ),
        }
        sums: Counter[str] = Counter()
        for name, value in exposed.items():
            sums[name] += int(value)
            family, *labels = name.split("/")
            if labels:
                sums[family] += int(value)
        sums["gbs_commands_total/accepted"] += sums["gbs_commands_total/repeated"]
        found = [
            f"{name} is {sums[name]}, and {value} were counted"
            for name, value in equal.items()
            if sums[name] != value
        ]
        return found + [
            f"{name} is {sums[name]}, and the clients know of {value}"
            for name, value in least.items()
            if sums[name] < value
        ]


_GAUGES: Final = ("gbs_clients", "gbs_connections", "gbs_rooms", "gbs_subscribers")
"""What is left of clients once they have gone: nothing."""


def _received(history: History) -> tuple[Counter[str], int, bool]:
    """Return the errors that clients got, their joins, and whether no other was lost."""
    errors: Counter[str] = Counter()
    joins, exact = 0, True
    asked: dict[int, Invoked] = {}
    for moment in history.moments:
        match moment.event:
            case Invoked() as invoked:
                asked[invoked.invocation] = invoked
            case Answered(invocation=number, reply=reply):
                invoked = asked[number]
                if invoked.connection is None:
                    continue
                if reply["status"] != "OK":
                    errors[reply["code"]] += 1
                elif invoked.event == ClientEvent.JOIN_RETREAT:
                    joins += 1
            case Delivered(event=ServerEvent.INITIAL_DATA):
                joins += 1
            case Abandoned(invocation=number):
                exact = exact and asked[number].connection is None
            case Closed():
                exact = False
    return errors, joins, exact
