"""Actions of operators over HTTP: what they do to clients, and what the audit has of them."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest
import structlog.testing
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from gbs_actor.auth import Role
from gbs_actor.gateway.http import create_app
from gbs_actor.gateway.http.admin.audit import LOOK_INTERVAL, REFUSALS_AT_ONCE
from gbs_actor.observability import EventFilter
from gbs_actor.settings import Settings
from gbs_actor.store.audit import AuditQuery, AuditRecord
from gbs_actor.testing import HttpReply, Peer
from tests.gateway.admin_site import OWN, Browser, ask
from tests.gateway.serving import (
    OTHER_SLUG,
    SLUG,
    Transport,
    World,
    disconnection,
    ending,
    sequence,
    settings_with,
    world,
)

ADMIN: dict[str, Any] = {"role": Role.ADMIN_MINISTER, "user_id": 90, "name": "운영자"}
EDIT = {"lineupId": 2, "gbsNumber": 3}
ADDRESS = "192.0.2.7"
ROOM = f"/admin/rooms/{SLUG}"
TOKEN = "3lWv0yGmJx8Qk2RzTn5BdHs7CfAeUp9L"


@dataclass
class Desk:
    """An operator's script in front of a server with clients."""

    world: World

    async def act(
        self, path: str, reason: str = "왜냐하면", *, bearer: Any = None, **more: Any
    ) -> HttpReply:
        headers = self.world.bearer(**ADMIN) if bearer is None else bearer
        for known in self.world.clients.of_user(7):
            path = path.replace("/known/", f"/{known.sid}/")
        return await self.world.server.http(
            "POST", path, {"reason": reason} | more, user=None, headers=headers, address=ADDRESS
        )

    async def done(self, path: str, **more: Any) -> Any:
        response = await self.act(path, **more)
        assert response.status == 200, response.body
        assert response.headers["Cache-Control"] == "no-store"
        return response.json()

    async def records(self, **wanted: Any) -> list[AuditRecord]:
        await wait_all_tasks_blocked()
        return await self.world.store.audit(AuditQuery(limit=500, **wanted))


@asynccontextmanager
async def desk(config: Settings | None = None) -> AsyncIterator[Desk]:
    async with world(config) as here:
        yield Desk(here)


async def until_kicked(peer: Peer, transport: Transport) -> None:
    """Check that a client is notified, and then ends for good."""
    error = await peer.event("error")
    assert (error["code"], error["event"]) == ("FORBIDDEN", None)
    if transport == "plain":
        assert await ending(peer) == (4403, "FORBIDDEN")
    else:
        await disconnection(peer)
        assert sequence(peer)[-2:] == ["error", "disconnected"]


# Clients


@pytest.mark.parametrize("transport", ["socketio", "plain"])
@pytest.mark.parametrize("path", ["/admin/sessions/known/kick", "/admin/users/7/kick"])
async def test_who_is_kicked_is_notified_and_disconnected_for_good(
    path: str, transport: Transport, autojump_clock: MockClock
) -> None:
    async with desk() as d, d.world.joined_by(transport) as peer:
        trial = await d.done(f"{path}?dry_run")
        assert (trial["changed"], trial["dryRun"], trial["sessions"]) == (True, True, 1)
        assert (await peer.call("update-gbs-number", EDIT))["status"] == "OK"
        peer.forget()
        kicked = await d.done(path)
        assert (kicked["changed"], kicked["sessions"]) == (True, 1)
        await until_kicked(peer, transport)
        await wait_all_tasks_blocked()
        assert (await d.done(path))["changed"] is False


async def test_a_kick_of_a_user_ends_their_sessions_and_no_others(
    autojump_clock: MockClock,
) -> None:
    async with (
        desk() as d,
        d.world.joined_by("socketio") as first,
        d.world.joined_by("plain", OTHER_SLUG) as second,
        d.world.joined_by("plain", user_id=8) as other,
    ):
        assert (await d.done("/admin/users/7/kick"))["sessions"] == 2
        await until_kicked(first, "socketio")
        await until_kicked(second, "plain")
        assert (await other.call("update-gbs-number", EDIT))["status"] == "OK"


@pytest.mark.parametrize("transport", ["socketio", "plain"])
async def test_clients_of_a_room_that_stops_lose_their_connection_and_may_come_back(
    transport: Transport, autojump_clock: MockClock
) -> None:
    async with desk() as d:
        async with d.world.joined_by(transport) as peer:
            await d.done(f"{ROOM}/stop")
            await peer.closed.wait()
            assert not peer.disconnected.is_set()
            if transport == "plain":
                assert await ending(peer) == (1012, "ROOM_RESTARTED")
            else:
                assert peer.close_code == 1012
        async with d.world.joined_by(transport) as again:
            assert (await again.call("update-gbs-number", EDIT))["status"] == "OK"


@pytest.mark.parametrize("path", ["/admin/sessions/known/kick", f"{ROOM}/stop"])
@pytest.mark.parametrize("transport", ["socketio", "plain"])
async def test_who_was_sent_away_is_found_among_the_closed_with_the_room(
    transport: Transport, path: str, autojump_clock: MockClock
) -> None:
    async with desk() as d:
        async with d.world.joined_by(transport) as peer:
            await d.done(path)
            await peer.closed.wait() if "stop" in path else await until_kicked(peer, transport)
        await wait_all_tasks_blocked()
        page = (await d.world.get("/admin/closed", d.world.bearer(**ADMIN))).json()
        assert [each["room"] for each in page["closed"]] == [SLUG]
        if "stop" in path:
            assert [each["detail"] for each in page["closed"]] == ["ROOM_RESTARTED"]
        events = d.world.services.events.after(None).events
        faults = [each for each in events if each.kind == "session.closed"]
        assert faults == [] or "kick" in path, "that all go is no fault"


async def test_an_action_is_in_the_audit_even_if_its_request_is_cut_off(
    autojump_clock: MockClock,
) -> None:
    async with desk() as d, d.world.joined_by("socketio"):
        d.world.store.loads_may_go_on = trio.Event()
        client = create_app(d.world.services).test_client()  # its request is cancelled with it
        with trio.move_on_after(1):
            headers = d.world.bearer(**ADMIN)
            await client.post(f"{ROOM}/restart", headers=headers, json={"reason": "x"})
        assert [each.action for each in await d.records()] == ["room.restart"]
        d.world.store.loads_may_go_on.set()


# Who may


async def test_a_restricted_operator_acts_in_their_rooms_only(autojump_clock: MockClock) -> None:
    async with desk() as d, d.world.joined_by("socketio"):
        here, elsewhere = (d.world.bearer(**ADMIN, retreats=(slug,)) for slug in (SLUG, OTHER_SLUG))
        for path in (
            f"{ROOM}/restart",
            f"{ROOM}/recover",
            f"{ROOM}/stop",
            f"{ROOM}/drain",
        ):
            refused = await d.act(path, bearer=elsewhere)
            assert (refused.status, refused.json()["code"]) == (403, "FORBIDDEN")
            assert (await d.act(f"{path}?dry_run", bearer=here)).status == 200
        for path, more in (
            ("/admin/users/7/kick", {}),
            ("/admin/drain", {}),
            ("/admin/log-level", {"logger": "gbs_actor.rooms", "level": "DEBUG"}),
            ("/admin/profile", {"seconds": 1}),
        ):
            assert (await d.act(f"{path}?dry_run", bearer=here, **more)).status == 403


@pytest.mark.parametrize("in_room", [True, False])
async def test_a_session_that_an_operator_may_not_see_is_answered_as_if_there_were_none(
    in_room: bool, autojump_clock: MockClock
) -> None:
    async with desk() as d:
        connected = d.world.joined_by("socketio") if in_room else d.world.connect("socketio")
        async with connected:
            elsewhere = d.world.bearer(**ADMIN, retreats=(OTHER_SLUG,))
            unknown = await d.done("/admin/sessions/unknown/kick", bearer=elsewhere)
            hidden = await d.done("/admin/sessions/known/kick", bearer=elsewhere)
            assert hidden == unknown
            assert hidden["changed"] is False
            outcomes = [each.outcome for each in await d.records(action="session.kick")]
            assert outcomes == ["refused", "unchanged"]
            here = d.world.bearer(**ADMIN, retreats=(SLUG,) if in_room else None)
            assert (await d.done("/admin/sessions/known/kick", bearer=here))["changed"]


@pytest.mark.parametrize("reason", ["", " \t", "a\0b", "x" * 501, None, 5])
async def test_an_action_without_a_reason_is_refused(reason: Any) -> None:
    async with desk() as d:
        refused = await d.act(f"{ROOM}/stop", reason=reason)
        assert (refused.status, refused.json()["code"]) == (400, "VALIDATION_FAILED")


async def test_an_unknown_field_is_refused() -> None:
    async with desk() as d:
        assert (await d.act(f"{ROOM}/stop", dryRun=True)).status == 400


# The audit


async def test_each_action_is_recorded_with_who_why_and_from_where(
    autojump_clock: MockClock,
) -> None:
    async with desk(settings_with(admin_token=TOKEN)) as d, d.world.joined_by("socketio"):
        with structlog.testing.capture_logs() as lines:
            await d.done(f"{ROOM}/restart")
        assert [line["action"] for line in lines if line["event"] == "audit"] == ["room.restart"]
        await d.done(f"{ROOM}/recover")
        await d.done(f"{ROOM}/stop?dry_run")
        await d.act("/admin/users/8/kick", bearer={"Authorization": f"Bearer {TOKEN}"})
        found = [
            (each.action, each.target, each.outcome, each.operator_id, each.operator_name)
            for each in await d.records()
        ]
        assert found == [
            ("user.kick", "8", "unchanged", None, "operator token"),
            ("room.stop", SLUG, "dry_run", 90, "운영자"),
            ("room.recover", SLUG, "unchanged", 90, "운영자"),
            ("room.restart", SLUG, "done", 90, "운영자"),
        ]
        told = d.world.events.after(0, EventFilter(("operator.",))).events
        assert [(each.text, each.details["reason"]) for each in told] == [
            (f"운영자: room.restart {SLUG}", "왜냐하면")
        ]
        for each in await d.records():
            assert each.reason == "왜냐하면"
            assert each.address == ADDRESS  # of Quart's test client
        page = await d.world.get("/admin/audit?limit=3&action=room.", d.world.bearer(**ADMIN))
        shown = page.json()
        assert [each["action"] for each in shown["records"]] == [
            "room.stop",
            "room.recover",
            "room.restart",
        ]
        assert shown["next"] is None
        first = (await d.world.get("/admin/audit?limit=1", d.world.bearer(**ADMIN))).json()
        rest = await d.world.get(f"/admin/audit?before={first['next']}", d.world.bearer(**ADMIN))
        actions = [each["action"] for each in rest.json()["records"]]
        assert actions[:2] == ["user.kick", "room.stop"]


async def test_what_was_refused_is_recorded_with_who_it_was() -> None:
    async with desk() as d:
        browser = await Browser.log_in(d.world, **ADMIN)
        await ask(d.world, "GET", "/admin/session")
        await d.act(f"{ROOM}/stop", bearer={})
        await d.act(f"{ROOM}/stop", bearer=d.world.bearer(name="엿보는 이"))
        await d.act(f"{ROOM}/stop", bearer=browser.headers(Origin="https://evil.example"))
        await ask(d.world, "GET", "/admin/audit", d.world.bearer(**ADMIN, retreats=(SLUG,)))
        records = await d.records(action="access")
        assert [(each.target, each.operator_name, each.details) for each in records] == [
            ("GET /admin/audit", "운영자", "FORBIDDEN"),
            (f"POST {ROOM}/stop", "운영자", "FORBIDDEN"),
            (f"POST {ROOM}/stop", "엿보는 이", "FORBIDDEN"),
            (f"POST {ROOM}/stop", "", "AUTH_REQUIRED"),
        ]
        assert {each.outcome for each in records} == {"refused"}


async def test_whoever_is_refused_often_fills_no_table(autojump_clock: MockClock) -> None:
    async with desk() as d:
        for _ in range(REFUSALS_AT_ONCE + 5):
            await ask(d.world, "GET", "/admin/rooms")
        assert len(await d.records()) == REFUSALS_AT_ONCE
        await trio.sleep(60)
        await ask(d.world, "GET", "/admin/rooms")
        assert (await d.records())[0].details == "AUTH_REQUIRED; 5 more were not recorded"


async def test_a_look_at_a_room_is_recorded_once_an_hour_for_each_operator(
    autojump_clock: MockClock,
) -> None:
    async with desk() as d:
        await d.world.rows()
        operators = [
            d.world.bearer(**ADMIN, expires_in=None),
            d.world.bearer(**ADMIN | {"user_id": 91}),
        ]
        for bearer in (*operators, operators[0]):
            assert (await d.world.get(ROOM, bearer)).status == 200
        await d.world.get("/admin/rooms/closed", operators[0])
        assert [
            (each.target, each.operator_id) for each in await d.records(action="look.room")
        ] == [
            (SLUG, 91),
            (SLUG, 90),
        ]
        async with d.world.joined_by("socketio", expires_in=None):
            await trio.sleep(LOOK_INTERVAL)
            await d.world.get(ROOM, operators[0])
        assert len(await d.records(action="look.room")) == 3


@pytest.mark.parametrize(
    ("path", "kind", "room"),
    [
        ("/admin/sessions", "sessions", ""),
        (f"/admin/sessions?room={SLUG}", "sessions", SLUG),
        ("/admin/sessions/known/", "session", SLUG),
        ("/admin/closed", "closed", ""),
        ("/admin/traces", "traces", ""),
        ("/admin/audit", "audit", ""),
    ],
)
async def test_a_look_at_persons_is_recorded(path: str, kind: str, room: str) -> None:
    async with desk() as d, d.world.joined_by("socketio"):
        (client,) = d.world.clients.connected
        path = path.replace("known/", client.sid)
        assert (await d.world.get(path, d.world.bearer(**ADMIN))).status == 200
        assert [(each.action, each.target) for each in await d.records()] == [
            (f"look.{kind}", room)
        ]
        assert d.world.events.after(0, EventFilter(("operator.",))).events == ()


async def test_an_action_does_not_wait_for_a_store_that_hangs(autojump_clock: MockClock) -> None:
    async with desk() as d:
        await d.world.rows()
        store = d.world.store
        append, hanging = store.append_audit, trio.Event()

        async def hang(entries: Any) -> None:
            await hanging.wait()
            await append(entries)

        store.append_audit = hang  # type: ignore[method-assign]
        began = trio.current_time()
        assert (await d.done(f"{ROOM}/restart"))["changed"]
        assert trio.current_time() == began
        assert await d.records() == []
        hanging.set()
        assert [each.action for each in await d.records()] == ["room.restart"]


# Diagnostics


async def test_a_level_is_changed_and_shown() -> None:
    async with desk() as d:
        logger = logging.getLogger("gbs_actor.rooms")
        more: dict[str, Any] = {"logger": "gbs_actor.rooms", "level": "DEBUG", "minutes": 5}
        await d.done("/admin/log-level?dry_run", **more)
        assert logger.level == logging.NOTSET
        answer = await d.done("/admin/log-level", **more)
        assert logger.level == logging.DEBUG
        shown = (await d.world.get("/admin/log-levels", d.world.bearer(**ADMIN))).json()
        assert shown == answer["levels"]
        assert [(each["logger"], each["level"]) for each in shown["temporary"]] == [
            ("gbs_actor.rooms", "DEBUG")
        ]
        wrongs: tuple[dict[str, Any], ...] = (
            {"logger": "gbs_actor.audit"},
            {"logger": "no.such.part"},
            {"minutes": 121},
            {"minutes": 0},
            {"level": "TRACE"},
        )
        for wrong in wrongs:
            assert (await d.act("/admin/log-level", **(more | wrong))).status == 400
    assert logger.level == logging.NOTSET


async def test_one_profile_is_made_at_a_time(autojump_clock: MockClock) -> None:
    async with desk() as d:
        made: list[dict[str, Any]] = []

        async def make() -> None:
            made.append(await d.done("/admin/profile", seconds=3))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(make)
            await trio.sleep(1)
            busy = await d.act("/admin/profile", seconds=3)
            assert (busy.status, busy.json()["code"]) == (409, "CONFLICT")
        assert made[0]["profile"]["steps"] > 0
        assert (await d.done("/admin/profile?dry_run", seconds=30))["profile"] is None
        assert [each.outcome for each in await d.records(action="loop.")] == ["dry_run", "done"]


async def test_a_profile_whose_client_goes_away_is_in_the_audit(autojump_clock: MockClock) -> None:
    async with desk() as d:
        with trio.move_on_after(1):
            await d.act("/admin/profile", seconds=3)
        (record,) = await d.records(action="loop.")
        assert (record.outcome, record.reason) == ("done", "왜냐하면")


async def test_an_action_of_the_page_needs_its_csrf_token() -> None:
    async with desk() as d:
        browser = await Browser.log_in(d.world, **ADMIN)
        assert (await d.act(f"{ROOM}/stop", bearer=browser.headers())).status == 200
        for headers in (
            browser.headers(X_CSRF_Token=None),
            browser.headers(Origin=None),
            browser.headers(Origin=f"{OWN}:81"),
        ):
            assert (await d.act(f"{ROOM}/stop", bearer=headers)).status == 403
