"""Every view of operators tells the same story, and it is the one that the clients have counted.

tests/e2e/test_dashboard_figures.py has the same for what the dashboard shows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
import trio
from prometheus_client.parser import text_string_to_metric_families

from gbs_actor.gateway.http.metrics.scrape import FRESH
from tests.e2e.server_process import RETREAT, ServerProcess
from tests.mixed.peers import PlainPeer
from tests.operators.load import ACCEPTED, ACCEPTED_BEFORE, Editor
from tests.operators.operated import (
    CRASHES,
    CRASHING,
    PING_INTERVAL,
    ROOMS,
    admin,
    command,
    followed_events,
    metrics,
    operated_server,
)
from tests.operators.story import (
    CLIENTS,
    EDITS,
    KILLED,
    MALFORMED,
    PUBLISHED,
    SLOW,
    Counted,
    begun,
    published,
    subscribers,
)


@pytest.fixture
def server() -> Iterator[ServerProcess]:
    with operated_server() as running:
        yield running


@dataclass(frozen=True)
class Seen:
    """What operators see, in each of the views."""

    rooms: dict[str, Any]
    room: dict[str, Any]
    """By slug."""
    sessions: dict[str, Any]
    closed: dict[str, Any]
    events: dict[str, Any]
    followed: list[dict[str, Any]]
    overview: dict[str, Any]
    system: dict[str, Any]
    top: dict[str, Any]
    metrics: dict[str, float]


async def look(server: ServerProcess) -> Seen:
    """Look at all that operators are shown, once nothing happens any more."""
    metrics = await samples(server)
    events = await admin(server, "/events?limit=500")
    return Seen(
        rooms=await admin(server, "/rooms"),
        room={slug: await admin(server, f"/rooms/{slug}") for slug in ROOMS},
        sessions=await admin(server, "/sessions?limit=500"),
        closed=await admin(server, "/closed"),
        events=events,
        followed=await followed_events(server, len(events["events"])),
        overview=await admin(server, "/overview"),
        system=await admin(server, "/system"),
        top=await command(server, "top"),
        metrics=metrics,
    )


def check_rooms(seen: Seen, counted: Counted) -> None:
    of_top = {room["slug"]: room for room in seen.top["rooms"]}
    of_list = {room["slug"]: room for room in seen.rooms["rooms"]}
    assert set(of_top) == set(of_list) == set(ROOMS)
    for slug in ROOMS:
        answers, restarts = counted.answers[slug], CRASHES if slug == CRASHING else 0
        for shown in (of_list[slug], of_top[slug], seen.room[slug]):
            assert shown["state"] == "running"
            assert shown["revision"] == shown["accepted"] == answers[ACCEPTED]
            assert shown["repeated"] == answers[ACCEPTED_BEFORE]
            assert shown["rejected"] == counted.rejected(slug)
            assert shown["subscriberCount"] == subscribers(slug)
            assert shown["restarts"] == restarts
            assert ("SPOILT" in (shown["lastError"] or "")) is (slug == CRASHING)
            assert shown["mailboxDepth"] == 0
        whole = seen.room[slug]
        assert len(whole["crashHistory"]) == restarts
        assert all("Traceback" in crash["traceback"] for crash in whole["crashHistory"])
        assert whole["lastChanges"][0]["revision"] == answers[ACCEPTED]
        assert {each["lag"] for each in whole["subscribers"]} == {0}
    assert seen.rooms["crashes"] == CRASHES


def check_sessions(seen: Seen, editors: Sequence[Editor]) -> None:
    assert seen.sessions["total"] == CLIENTS - 1
    shown = {each["userId"] - 1000: each for each in seen.sessions["sessions"]}
    assert sorted(shown) == [number for number in range(CLIENTS) if number != KILLED]
    for number, editor in enumerate(editors):
        if number == KILLED:
            continue
        session = shown[number]
        plain = isinstance(editor.peer, PlainPeer)
        assert session["protocol"] == ("websocket" if plain else "socket.io")
        by = "websocket" if plain else editor.peer.transport  # type: ignore[attr-defined]
        assert session["transport"] == by
        assert (session["room"], session["queued"], session["lag"]) == (editor.slug, 0, 0)
    assert shown[SLOW]["conflated"] > 0


def check_closed(seen: Seen) -> None:
    assert seen.closed["total"] == 3
    killed, *refused = seen.closed["closed"]
    assert (killed["reason"], killed["accepted"]) == ("transport error", True)
    assert [(each["protocol"], each["reason"], each["accepted"]) for each in refused] == [
        ("websocket", "TOKEN_EXPIRED", False),
        ("socket.io", "INVALID_TOKEN", False),
    ]
    assert seen.closed["counts"] == {
        "kept": 3,
        "closed": {"transport error": 1},
        "refused": {"INVALID_TOKEN": 1, "TOKEN_EXPIRED": 1},
    }


def check_metrics(seen: Seen, counted: Counted, editors: Sequence[Editor]) -> None:
    metrics = seen.metrics

    def labelled(name: str) -> dict[str, float]:
        """Return the values of a metric that are not 0, by their label."""
        return {
            key.removeprefix(f"{name} "): value
            for key, value in metrics.items()
            if key.startswith(f"{name} ") and value
        }

    plain = [each for each in editors if isinstance(each.peer, PlainPeer)]
    polling = len(range(5, CLIENTS, 10))
    assert labelled("gbs_connections") == {
        "websocket websocket": len(plain),
        "socket.io polling": polling,
        "socket.io websocket": CLIENTS - len(plain) - polling - 1,
    }
    assert labelled("gbs_handshakes_total") == {
        "websocket": len(plain) + 1,
        "socket.io": CLIENTS - len(plain) + 1,
    }
    assert labelled("gbs_refused_handshakes_total") == {"INVALID_TOKEN": 1, "TOKEN_EXPIRED": 1}
    assert labelled("gbs_closes_total") == {
        "socket.io transport error": 1,  # who was killed
        "socket.io transport close": 1,  # who was refused
        "websocket transport close": 1,
    }
    assert metrics["gbs_joins_total"] == CLIENTS
    answers, codes = counted.all, counted.codes
    by_event = CLIENTS - len(plain)  # the others join by connecting
    assert metrics["gbs_events_total"] == answers.total() + by_event
    assert labelled("gbs_event_errors_total") == codes
    assert labelled("gbs_commands_total") == {
        "accepted": answers[ACCEPTED],
        "repeated": answers[ACCEPTED_BEFORE],
        "rejected": codes.total() - codes[MALFORMED],
    }
    assert metrics["gbs_ack_seconds_count"] == answers.total() - codes[MALFORMED]
    assert metrics["gbs_delivery_seconds_count"] == answers[ACCEPTED]
    assert metrics["gbs_conflations_total"] > 0
    assert metrics["gbs_room_crashes_total"] == metrics["gbs_room_restarts_total"] == CRASHES
    assert labelled("gbs_rooms") == {"running": len(ROOMS)}
    given = sum(each.answers.total() for each in plain)
    uptime = seen.overview["uptime"]
    # Of Socket.IO, pongs are messages as well; pings are for both.
    assert metrics["gbs_received_messages_total websocket"] == given
    pings = metrics["gbs_sent_messages_total websocket"] - sum(each.peer.messages for each in plain)
    assert 0 <= pings <= (len(plain) + 1) * (1 + uptime // PING_INTERVAL)


def check_whole_server(seen: Seen, counted: Counted) -> None:
    rooms, codes = seen.overview["rooms"], counted.codes
    assert rooms["states"] == {"running": len(ROOMS)}
    assert rooms["accepted"] == counted.all[ACCEPTED]
    assert rooms["rejected"] == codes.total() - codes[MALFORMED]
    assert rooms["restarts"] == CRASHES
    assert rooms["subscribers"] == seen.overview["connections"] == CLIENTS - 1
    for system in (seen.system, seen.top["system"]):
        assert system["events"]["errors"] == codes
        assert system["events"]["joins"] == CLIENTS
        assert system["sockets"]["connections"] + system["plain"]["connections"] == CLIENTS - 1
        assert system["ack"]["count"] == counted.all.total() - codes[MALFORMED]


async def samples(server: ServerProcess) -> dict[str, float]:
    """Return each sample of ``/metrics``, once it has all that was counted before."""
    await trio.sleep(FRESH)
    return {
        " ".join([sample.name, *sample.labels.values()]): sample.value
        for family in text_string_to_metric_families(await metrics(server))
        for sample in family.samples
    }


async def test_every_view_has_the_figures_that_the_clients_have_counted(
    server: ServerProcess,
) -> None:
    async with begun(server) as story:
        await story.lose_some()
        await story.fail()
        await story.recover()
        await story.until_lagging()
        await story.catch_up()
        seen, counted = await look(server), story.counted
        assert counted.answers[RETREAT][ACCEPTED] >= EDITS * 10
        assert counted.codes["ROOM_UNAVAILABLE"] > 0
        check_rooms(seen, counted)
        check_sessions(seen, story.editors)
        check_closed(seen)
        assert seen.events["missed"] == 0
        assert seen.followed == seen.events["events"]
        assert published(seen.events["events"]) == PUBLISHED
        check_metrics(seen, counted, story.editors)
        check_whole_server(seen, counted)
