"""Traces: each event of a user or a session, and nothing of what was typed unless asked for."""

from __future__ import annotations

import json
import logging
from typing import Any
from uuid import uuid4

import msgspec
import pytest
import trio.testing
from trio.testing import wait_all_tasks_blocked

from gbs_actor.auth import Role
from gbs_actor.gateway.plain.channel import PlainChannel
from gbs_actor.gateway.traces import MAX_TRACES, Target, _fields
from gbs_actor.observability import EventFilter
from gbs_actor.store.audit import AuditQuery
from tests.gateway.serving import SLUG, Transport, World, settings_with, world

BOTH = pytest.mark.parametrize("transport", ["socketio", "plain"])
MEMO = "늦게 도착합니다 kim@example.org"


def traced(here: World, kind: str = "") -> list[dict[str, Any]]:
    """Return what was published, and forget it."""
    page = here.events.after(here.seen, EventFilter((kind or "trace.",)), limit=1_000)
    here.seen = here.events.last
    return [
        {
            "kind": each.kind,
            "user_id": each.user_id,
            "sid": each.sid,
            "room": each.room,
            **each.details,
        }
        for each in page.events
    ]


def details(caplog: pytest.LogCaptureFixture) -> str:
    """Return the fields that the log has of events."""
    return str([vars(record).get("details") for record in caplog.records])


async def settled() -> None:
    await wait_all_tasks_blocked()


# What is reported


@BOTH
async def test_an_event_its_update_and_its_reply_are_reported_with_ids_revision_and_code(
    transport: Transport,
) -> None:
    async with world() as here, here.joined_by(transport, user_id=5) as peer:
        await settled()
        (client,) = here.clients.connected
        here.clients.traces.start(5, 1)
        command_id = str(uuid4())
        edit = {"lineupId": 2, "gbsNumber": 3, "commandId": command_id, "baseRevision": 0}
        await peer.call("update-gbs-number", edit)
        await settled()
        events = traced(here)
        assert {(each["user_id"], each["sid"], each["room"]) for each in events} == {
            (5, client.sid, SLUG)
        }
        received = events[0]
        assert (received["kind"], received["name"]) == ("trace.in", "update-gbs-number")
        assert received["fields"] == edit
        assert received["size"] == len(msgspec.json.encode(edit))
        update = next(each for each in events if each["name"] == "lineup-updated")
        assert (update["kind"], update["sentRevision"]) == ("trace.out", 0)
        assert update["fields"]["id"] == 2
        assert update["fields"]["revision"] == 1
        (reply,) = (each for each in events if each["kind"] == "trace.out" and not each["name"])
        assert reply["replyId"] == received["replyId"]
        assert (reply["fields"]["status"], reply["fields"]["revision"]) == ("OK", 1)
        assert reply["fields"]["data"]["id"] == 2
        assert reply["seconds"] >= 0


@BOTH
async def test_the_code_of_an_error_is_reported(transport: Transport) -> None:
    async with world() as here, here.joined_by(transport, user_id=5) as peer:
        await settled()
        here.clients.traces.start(5, 1)
        await peer.call("update-gbs-number", {"lineupId": 99, "gbsNumber": 3})
        await peer.emit("update-gbs-number", {"lineupId": 99, "gbsNumber": 3})
        await peer.event("error")
        replies = [each["fields"].get("code") for each in traced(here, "trace.out")]
        assert replies.count("NOT_FOUND") == 2


@BOTH
async def test_a_list_is_reported_by_its_length(transport: Transport) -> None:
    async with world() as here, here.outside_by(transport, user_id=5) as peer:
        await settled()
        here.clients.traces.start(5, 1)
        await peer.call("join-retreat", SLUG)
        received, *sent = traced(here)
        assert received["fields"] == {"retreatSlug": SLUG}
        reply = next(each for each in sent if not each["name"])
        assert reply["fields"]["data"] == {"rows": 6}


@BOTH
@pytest.mark.parametrize("with_memos", [False, True])
async def test_what_was_typed_is_shown_only_if_that_is_asked_for(
    transport: Transport, with_memos: bool, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with world() as here, here.joined_by(transport, user_id=5, name="이하늘") as peer:
        await settled()
        caplog.clear()
        here.clients.traces.start(5, 1, with_memos=with_memos)
        await peer.call("create-lineup-memo", {"lineupId": 2, "memo": MEMO})
        await peer.call("user-editing", {"lineupId": 2, "field": "lineupMemo"})
        await peer.call("an-unknown-event", {"memo": MEMO, "name": "사람2"})
        await settled()
        events = traced(here)
        assert len(events) >= 6
        for text in (MEMO, "사람1", "010-0000-0001"):
            assert (text in str(events)) == (text in details(caplog)) == with_memos
        assert "이하늘" not in caplog.text


@BOTH
async def test_a_token_is_never_shown(transport: Transport) -> None:
    async with world() as here, here.joined_by(transport, user_id=5) as peer:
        await settled()
        here.clients.traces.start(5, 1, with_memos=True)
        token = here.token(user_id=5)
        await peer.call("authenticate", {"token": token})
        await peer.call("authenticat", {"token": token})
        await peer.call("authenticate", {"token": "swordfish"})
        events = traced(here, "trace.in")
        assert [each["name"] for each in events] == ["authenticate", "authenticat", "authenticate"]
        assert token.rpartition(".")[2][:20] not in str(events)
        assert "swordfish" not in str(events)


@BOTH
async def test_odd_arguments_are_reported_without_harm(transport: Transport) -> None:
    async with world() as here, here.joined_by(transport, user_id=5) as peer:
        await settled()
        here.clients.traces.start(5, 1)
        deep: Any = []
        for _ in range(300):
            deep = [deep]
        for argument in (None, 5, "x" * 500, [1, 2], {"commandId": "y" * 500, "id": [1]}, deep):
            await peer.call("update-gbs-number", argument)
        events = traced(here, "trace.in")
        assert [each["fields"] for each in events] == [
            {},
            {},
            {},
            {"rows": 2},
            {"commandId": "y" * 200},
            {"rows": 1},
        ]
        await peer.call("n" * 500, None)
        (event,) = traced(here, "trace.in")
        assert event["name"] == "n" * 200


@pytest.mark.parametrize("data", [b"", b"{", b"\xff", b"[" * 100_000 + b"]" * 100_000], ids=len)
def test_of_what_is_no_json_no_field_is_shown(data: bytes) -> None:
    assert _fields("update-gbs-number", data) == {}


# Whose events


@BOTH
async def test_who_connects_during_a_trace_of_its_user_is_traced_and_nobody_else(
    transport: Transport,
) -> None:
    async with world() as here:
        here.clients.traces.start(5, 1)
        async with (
            here.joined_by(transport, user_id=6) as other,
            here.joined_by(transport, user_id=5) as peer,
        ):
            await other.call("user-editing", {"lineupId": 2, "field": "memo"})
            await settled()
            events = traced(here)
            assert {each["user_id"] for each in events} == {5}
            assert {"kind": "trace.out"}.items() <= events[0].items() or transport == "socketio"
            await peer.call("leave-retreat", SLUG)
            assert [each["name"] for each in traced(here, "trace.in")][-1] == "leave-retreat"


async def test_a_trace_of_one_session_leaves_the_others_of_its_user_alone() -> None:
    async with (
        world() as here,
        here.joined_by("plain", user_id=5) as one,
        here.joined_by("plain", user_id=5) as two,
    ):
        await settled()
        first, _ = here.clients.connected
        here.clients.traces.start(first.sid, 1)
        await two.call("leave-retreat", "elsewhere")
        await one.call("leave-retreat", "elsewhere")
        assert {each["sid"] for each in traced(here)} == {first.sid}


async def test_a_session_is_reported_once_though_its_user_is_traced_as_well() -> None:
    async with world() as here, here.joined_by("plain", user_id=5) as peer:
        await settled()
        (client,) = here.clients.connected
        traces = here.clients.traces
        traces.start(5, 1)
        traces.start(client.sid, 1)
        await peer.call("leave-retreat", "elsewhere")
        assert len(traced(here, "trace.in")) == 1
        traces.stop(client.sid)
        await peer.call("leave-retreat", "elsewhere")
        assert len(traced(here, "trace.in")) == 1
        assert [each.events for each in traces.statistics()] == [2]


# The end


def is_untouched(here: World) -> bool:
    """Return whether nothing at all is left of a trace in the way of an event."""
    plain = all(
        channel._observe_frame is None and channel._sink is channel.outbox
        for channel in here.server.composition.plain.channels
        if isinstance(channel, PlainChannel)
    )
    sockets = [socket for space in here.services.sockets.namespaces for socket in space.sockets]
    return plain and all(
        socket._tracer is None
        and socket._sink is socket.outbox
        and socket.observe_event is here.services.sockets._observers.event_received
        for socket in sockets
    )


@BOTH
async def test_after_its_minutes_nothing_is_reported_and_nothing_is_in_the_way(
    transport: Transport, mock_clock: trio.testing.MockClock
) -> None:
    async with world() as here, here.joined_by(transport, user_id=5) as peer:
        await settled()
        traces = here.clients.traces
        assert is_untouched(here)
        traces.start(5, 1)
        (client,) = here.clients.connected
        assert traces.covers(client)
        assert not is_untouched(here)
        mock_clock.jump(59)
        await peer.call("leave-retreat", "elsewhere")
        assert traced(here, "trace.in")
        mock_clock.jump(1)
        assert not traces.covers(client)
        assert traces.statistics() == ()
        await settled()
        traced(here)
        await peer.call("leave-retreat", "elsewhere")
        assert traced(here) == []
        assert is_untouched(here)
        assert not traces.has(5)
        assert not traces


@BOTH
@pytest.mark.parametrize("everything", [False, True])
async def test_a_trace_that_is_stopped_reports_nothing_more(
    transport: Transport, everything: bool
) -> None:
    async with world() as here, here.joined_by(transport, user_id=5) as peer:
        await settled()
        traces = here.clients.traces
        traces.start(5, 1)
        if everything:
            traces.stop_all()
        else:
            assert traces.stop(5)
        await peer.call("leave-retreat", "elsewhere")
        assert traced(here) == []
        assert is_untouched(here)
        assert not traces.stop(5)


@BOTH
async def test_a_client_that_has_ended_is_not_kept_by_its_trace(transport: Transport) -> None:
    async with world() as here:
        here.clients.traces.start(5, 1)
        async with here.joined_by(transport, user_id=5):
            plain = list(here.server.composition.plain.channels)
            sockets = [
                socket for space in here.services.sockets.namespaces for socket in space.sockets
            ]
            assert not is_untouched(here)
        await settled()
        assert len(plain) + len(sockets) == 1
        for channel in plain:
            assert isinstance(channel, PlainChannel)
            assert (channel._observe_frame, channel._sink) == (None, channel.outbox)
        for socket in sockets:
            assert (socket._tracer, socket._sink) == (None, None)
        assert [each.user_id for each in here.clients.traces.statistics()] == [5]


async def test_a_server_that_shuts_down_traces_nobody() -> None:
    async with world() as here:
        traces = here.clients.traces
        traces.start(5, 60)
        await here.server.stop()
        assert not traces


# What operators send


async def send(
    here: World, path: str, content: Any, status: int = 200, **token: Any
) -> dict[str, Any]:
    token = {"role": Role.ADMIN_MINISTER} | token
    raw = content if isinstance(content, bytes) else json.dumps(content).encode()
    response = await here.server.http(
        "POST", path, user=None, headers=here.bearer(**token), body=raw
    )
    answer: dict[str, Any] = response.json()
    assert response.status == status, answer
    return answer


def targets(answer: dict[str, Any]) -> list[Target]:
    return [each["userId"] or each["sid"] for each in answer["traces"]]


async def test_an_operator_starts_sees_and_stops_a_trace() -> None:
    async with world() as here, here.joined_by("plain", user_id=5):
        (client,) = here.clients.connected
        start = {"userId": 5, "minutes": 2, "reason": "it is slow"}
        answer = await send(here, "/admin/traces?dry_run", start)
        assert (answer["changed"], answer["dryRun"], answer["traces"]) == (True, True, [])
        assert not here.clients.traces
        answer = await send(here, "/admin/traces", start)
        assert (answer["changed"], answer["dryRun"], targets(answer)) == (True, False, [5])
        answer = await send(here, "/admin/traces", {"sid": client.sid, "reason": "x"})
        assert targets(answer) == [5, client.sid]
        bearer = here.bearer(role=Role.ADMIN_MINISTER)
        user, session = (await here.get("/admin/traces", bearer)).json()["traces"]
        assert 110 < user["endsIn"] <= 120
        assert 290 < session["endsIn"] <= 300
        assert (user["withMemos"], user["events"], user["sid"]) == (False, 0, None)
        page = (await here.get("/admin/sessions", bearer)).json()
        assert [each["traced"] for each in page["sessions"]] == [True]
        stop = {"userId": "5", "reason": "found"}
        answer = await send(here, "/admin/traces/stop?dry_run=1", stop)
        assert (answer["changed"], targets(answer)) == (True, [5, client.sid])
        answer = await send(here, "/admin/traces/stop", stop)
        assert (answer["changed"], targets(answer)) == (True, [client.sid])
        answer = await send(here, "/admin/traces/stop", stop)
        assert (answer["changed"], targets(answer)) == (False, [client.sid])
        await settled()
        recorded = await here.store.audit(AuditQuery(limit=100, action="trace."))
        assert [(each.action, each.target, each.outcome) for each in reversed(recorded)] == [
            ("trace.start", "5", "dry_run"),
            ("trace.start", "5", "done"),
            ("trace.start", client.sid, "done"),
            ("trace.stop", "5", "dry_run"),
            ("trace.stop", "5", "done"),
            ("trace.stop", "5", "unchanged"),
        ]


async def test_no_more_traces_than_a_few_run_at_once() -> None:
    async with world() as here:
        for user_id in range(1, MAX_TRACES + 1):
            await send(here, "/admin/traces", {"userId": user_id, "reason": "x"})
        await send(here, "/admin/traces", {"userId": 99, "reason": "x"}, 429)
        await send(here, "/admin/traces?dry_run", {"userId": 99, "reason": "x"}, 429)
        await send(here, "/admin/traces", {"userId": 1, "minutes": 60, "reason": "x"})
        await send(here, "/admin/traces/stop", {"userId": 2, "reason": "x"})
        await send(here, "/admin/traces", {"userId": 99, "reason": "x"})


@pytest.mark.parametrize(
    "content",
    [
        {"userId": 5},
        {"userId": 5, "reason": ""},
        {"userId": 5, "reason": "x" * 501},
        {"userId": 5, "reason": None},
        {"reason": "x"},
        {"userId": 5, "sid": "y", "reason": "x"},
        {"userId": 0, "reason": "x"},
        {"userId": "Kim", "reason": "x"},
        {"userId": 5, "reason": "x", "minutes": 0},
        {"userId": 5, "reason": "x", "minutes": 61},
        {"userId": 5, "reason": "x", "minutes": 60.5},
        {"userId": 5, "reason": "x", "withMemos": "yes"},
        [],
        b"{",
        b"",
        b"\xff",
    ],
    ids=str,
)
async def test_a_body_that_means_nothing_is_400_and_starts_nothing(content: Any) -> None:
    async with world(settings_with(user_rate=100)) as here:
        answer = await send(here, "/admin/traces", content, 400)
        assert answer["code"] == "VALIDATION_FAILED"
        assert not here.clients.traces


async def test_a_session_that_is_not_there_cannot_be_traced() -> None:
    async with world() as here:
        await send(here, "/admin/traces", {"sid": "w-none", "reason": "x"}, 404)
        assert not here.clients.traces


async def test_an_operator_of_some_retreats_traces_nobody() -> None:
    async with world() as here, here.joined_by("plain", user_id=5):
        content = {"userId": 5, "reason": "x"}
        for path in ("/admin/traces", "/admin/traces/stop"):
            await send(here, path, content, 403, retreats=(SLUG,))
        assert not here.clients.traces
