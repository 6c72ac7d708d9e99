"""Every view of operators tells the same story, and it is the one that the clients have counted.

Fifty clients edit in three rooms. One of them stops reading, two are refused, one is killed, and
one room crashes until it is FAILED. Each figure is compared with what the clients have counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
import trio
from prometheus_client.parser import text_string_to_metric_families

from gbs_actor.gateway.http.metrics.scrape import FRESH
from tests.e2e.server_process import RETREAT, ServerProcess, token
from tests.mixed.peers import PATIENCE, PlainPeer, plain_peer
from tests.mixed.socketio_peer import socketio_peer
from tests.operators.load import (
    ACCEPTED,
    ACCEPTED_BEFORE,
    Editor,
    ResettableSocketIOPeer,
    edit_all,
    refused_as_plain,
    refused_over_socketio,
    reluctant_peer,
    reset,
    until_all_have,
    user_token,
)
from tests.operators.operated import (
    BESIDE,
    CRASHES,
    CRASHING,
    OPERATOR_TOKEN,
    PING_INTERVAL,
    ROOMS,
    admin,
    command,
    followed_events,
    mend,
    metrics,
    operated_server,
    spoil,
    until_state,
)

CLIENTS = 50
EDITS = 12
SLOW, KILLED = 0, 1
"""Numbers of clients."""
MALFORMED = "VALIDATION_FAILED"
"""The code of what no room gets to see."""


@pytest.fixture
def server() -> Iterator[ServerProcess]:
    with operated_server() as running:
        yield running


async def act(http: httpx.AsyncClient, path: str) -> dict[str, Any]:
    headers = {"Authorization": f"Bearer {OPERATOR_TOKEN}"}
    response = await http.post(f"/admin{path}", headers=headers, json={"reason": "a test"})
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    return answer


async def rows_of(server: ServerProcess, slug: str) -> dict[int, dict[str, Any]]:
    path = f"/api/v1/retreat/{slug}/line-up/user-lineups"
    read = await trio.to_thread.run_sync(server.get, path, token())
    return {row["id"]: row for row in read["userRetreatGbsLineups"]}


async def until_total(server: ServerProcess, path: str, total: int) -> list[Any]:
    with trio.fail_after(30):
        while (page := await admin(server, path))["total"] != total:  # noqa: ASYNC110
            await trio.sleep(0.02)
    (listed,) = (value for value in page.values() if isinstance(value, list))
    return listed


async def nursery_of_its_own(task_status: trio.TaskStatus[trio.Nursery]) -> None:
    async with trio.open_nursery() as nursery:
        task_status.started(nursery)
        await trio.sleep_forever()


@dataclass(frozen=True)
class Counted:
    """What the clients have counted."""

    answers: dict[str, Counter[str]]
    """Per room: ``accepted``, ``repeated``, or the code of an error."""

    @classmethod
    def by(cls, editors: Sequence[Editor]) -> Counted:
        answers: dict[str, Counter[str]] = {slug: Counter() for slug in ROOMS}
        for editor in editors:
            answers[editor.slug] += editor.answers
        return cls(answers)

    @property
    def all(self) -> Counter[str]:
        """The answers of all rooms."""
        return sum(self.answers.values(), Counter())

    @property
    def codes(self) -> Counter[str]:
        """Those of them that are errors."""
        return Counter({k: v for k, v in self.all.items() if k not in (ACCEPTED, ACCEPTED_BEFORE)})


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
        subscribers = len([number for number in range(2, CLIENTS) if ROOMS[number % 3] == slug])
        for shown in (of_list[slug], of_top[slug], seen.room[slug]):
            assert shown["state"] == "running"
            assert shown["revision"] == shown["accepted"] == answers[ACCEPTED]
            assert shown["repeated"] == answers[ACCEPTED_BEFORE]
            assert shown["rejected"] == answers.total() - sum(
                answers[each] for each in (ACCEPTED, ACCEPTED_BEFORE, MALFORMED)
            )
            assert shown["subscriberCount"] == subscribers + (slug == RETREAT)
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


def check_events(seen: Seen) -> None:
    assert seen.events["missed"] == 0
    events = seen.events["events"]
    assert seen.followed == events
    kinds: Counter[tuple[str, str | None, int | None]] = Counter()
    for event in events:  # repeats within a short time are one event with their number
        who = event["userId"]
        if event["kind"].startswith("subscriber.") and who != 1000 + SLOW:
            continue  # on a busy machine others may not keep up at times
        kinds[event["kind"], event["room"], who] += event["details"].get("times", 1)
    assert kinds == {
        ("room.started", RETREAT, None): 1,
        ("room.started", BESIDE, None): 1,
        ("room.started", CRASHING, None): 1,
        ("room.crashed", CRASHING, None): CRASHES,
        ("room.failed", CRASHING, None): 1,
        ("room.recovered", CRASHING, None): 1,
        ("operator.action", None, None): 2,  # restart and recover
        ("session.refused", None, None): 2,
        ("session.closed", BESIDE, 1000 + KILLED): 1,
        ("subscriber.lagging", RETREAT, 1000 + SLOW): 1,
        ("subscriber.caught_up", RETREAT, 1000 + SLOW): 1,
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
    limits = httpx.Limits(max_connections=None)
    async with (
        httpx.AsyncClient(base_url=server.url, timeout=PATIENCE, limits=limits) as http,
        trio.open_nursery() as tasks,
    ):
        # All come.
        doomed = await tasks.start(nursery_of_its_own)
        slow, slow_stream = await reluctant_peer(tasks, server, user_token(SLOW), RETREAT)
        killed = ResettableSocketIOPeer(doomed, server, http)
        await killed.open(user_token(KILLED), "websocket", BESIDE)
        editors = [Editor(slow, RETREAT, SLOW), Editor(killed, BESIDE, KILLED)]
        for number in range(2, CLIENTS):
            slug, who = ROOMS[number % 3], user_token(number)
            if number % 2:
                by = "polling" if number % 10 == 5 else "websocket"
                peer: Any = await socketio_peer(tasks, server, http, who, by, slug=slug)  # type: ignore[arg-type]
            else:
                peer = await plain_peer(tasks, server, who, by="header", slug=slug)
            editors.append(Editor(peer, slug, number))

        # Two are refused, and one is not heard of any more.
        await refused_over_socketio(server, "nobody's")
        assert await refused_as_plain(server, token(exp=1), RETREAT) == 4401
        slow_stream.hold()
        await edit_all(editors[1:], EDITS)
        await until_all_have(
            [each for each in editors if each.slug == BESIDE], await rows_of(server, BESIDE)
        )
        doomed.cancel_scope.cancel()
        await reset(killed.stream)
        (closed,) = await until_total(server, "/closed?accepted=true", 1)
        assert (closed["userId"], closed["room"]) == (1000 + KILLED, BESIDE)

        # A room crashes while many edit in it.
        there = [each for each in editors if each.slug == CRASHING]
        failed, recovered = trio.Event(), trio.Event()
        async with trio.open_nursery() as nursery:
            for editor in there:
                nursery.start_soon(editor.work_until, failed)
            await spoil(server, CRASHING)
            await act(http, f"/rooms/{CRASHING}/restart")
            await until_state(server, CRASHING, "failed")
            failed.set()
        await mend(server, CRASHING)
        async with trio.open_nursery() as nursery:
            for editor in there:
                nursery.start_soon(editor.work_until, recovered)
            await command(server, "admin", "room", "recover", CRASHING, "--reason", "mended")
            await until_state(server, CRASHING, "running")
            recovered.set()
        await edit_all(there, EDITS)

        # Whoever was slow catches up.
        lagging = await until_published(server, "subscriber.lagging")
        assert {event["userId"] for event in lagging} == {1000 + SLOW}
        slow_stream.release()
        for slug in ROOMS:
            await until_all_have(
                [each for each in editors if each.slug == slug and each.peer is not killed],
                await rows_of(server, slug),
            )
        seen = await look(server)
        counted = Counted.by(editors)
        assert counted.answers[RETREAT][ACCEPTED] >= EDITS * 10
        assert counted.codes["ROOM_UNAVAILABLE"] > 0
        check_rooms(seen, counted)
        check_sessions(seen, editors)
        check_closed(seen)
        check_events(seen)
        check_metrics(seen, counted, editors)
        check_whole_server(seen, counted)
        tasks.cancel_scope.cancel()


async def until_published(server: ServerProcess, kind: str) -> list[dict[str, Any]]:
    events: list[dict[str, Any]] = []
    with trio.fail_after(20):
        while not events:
            events = (await admin(server, f"/events?kind={kind}"))["events"]
    return events
