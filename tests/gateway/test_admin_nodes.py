"""``/admin/nodes``, and operators who see and act on all servers of a store from one of them."""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any, NoReturn
from uuid import UUID, uuid4

import msgspec
import pytest
import trio
from trio.testing import MockClock

from gbs_actor.auth import Role
from gbs_actor.gateway.http.admin.room_query import SORTS
from gbs_actor.gateway.nodes.outgoing import MAX_IN_FLIGHT, MAX_OF_ONE
from gbs_actor.gateway.nodes.request import response_from
from gbs_actor.store.nodes import NodeRequest
from gbs_actor.store.protocol import StoreUnavailable
from gbs_actor.testing import (
    HttpReply,
    LineupServer,
    PeerClosed,
    SimStore,
    lineup_server,
    seeded_environment,
)
from gbs_actor.testing.peers import HttpConnection, TransportClosed
from tests.gateway.admin_site import OWN
from tests.gateway.serving import RETREATS, SECRET, world


@asynccontextmanager
async def servers(
    *, comparison_interval: float = 0.25, **server: object
) -> AsyncIterator[list[LineupServer]]:
    """Run two servers on one store, and wait until each has reported itself.

    :param server: further settings of both.
    """
    environment = seeded_environment(1)
    store = SimStore(environment=environment, shared=True)

    def of(name: str) -> dict[str, dict[str, object]]:
        return {
            "auth": {"jwt_secret": SECRET},
            "store": {"node": name},
            "rooms": {"comparison_interval": comparison_interval},
            "server": server,
        }

    async with (
        lineup_server(
            retreats=RETREATS, store=store, environment=environment, settings=of("a")
        ) as first,
        lineup_server(
            retreats=(), store=store.elsewhere(), environment=environment, settings=of("b")
        ) as second,
    ):
        await trio.sleep(2)
        yield [first, second]


async def nodes_of(server: LineupServer) -> dict[str | None, Any]:
    response = await server.http("GET", "/admin/nodes", role=Role.ADMIN_MINISTER)
    assert response.status == 200
    return {each["node"]: each for each in response.json()["nodes"]}


async def test_a_server_without_a_name_is_the_only_one_and_writes_nothing(
    autojump_clock: MockClock,
) -> None:
    async with world() as here:
        await trio.sleep(3)
        response = await here.get("/admin/nodes", here.bearer(role=Role.ADMIN_MINISTER))
        (only,) = response.json()["nodes"]
        assert (only["node"], only["here"], only["state"]) == (None, True, "ready")
        assert await here.store.nodes.reports() == []


async def test_each_server_shows_both(
    autojump_clock: MockClock,
) -> None:
    async with servers() as (first, second):
        await second.peer(join="2024-winter")
        await trio.sleep(2)
        seen = await nodes_of(first)
        assert list(seen) == ["a", "b"]
        assert [each["here"] for each in seen.values()] == [True, False]
        assert (seen["b"]["status"]["rooms"], seen["b"]["status"]["connections"]) == (1, 1)
        assert seen["b"]["reported"] < 2
        assert (await nodes_of(second))["b"]["here"]


async def test_one_that_does_not_see_what_others_change_is_not_ready(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def unanswered(_: object) -> NoReturn:
        raise StoreUnavailable("it times out")

    async with servers() as (first, second):
        await second.peer(join="2024-winter")
        with monkeypatch.context() as broken:
            broken.setattr(second.store, "versions", unanswered)
            await trio.sleep(4)
            assert (await second.http("GET", "/readyz")).status == 200
            await trio.sleep(3)
            response = await second.http("GET", "/readyz")
            assert (response.status, response.json()["code"]) == (503, "STORE_UNAVAILABLE")
            assert response.json()["message"].startswith("What other servers have changed was")
            assert (await nodes_of(first))["b"]["state"] == "not ready"
            metrics = (await second.http("GET", "/metrics", role=Role.ADMIN_MINISTER)).body
            assert {b"gbs_ready 0.0", b"gbs_database_up 1.0"} <= {*metrics.splitlines()}
        await trio.sleep(2)
        assert (await second.http("GET", "/readyz")).status == 200
        assert (await nodes_of(first))["b"]["state"] == "ready"


async def test_one_that_reports_no_more_is_gone_and_one_that_stops_is_not_there(
    autojump_clock: MockClock,
) -> None:
    async with servers() as (first, second):
        second.kill()
        await trio.sleep(8)
        assert (await nodes_of(first))["b"]["state"] == "ready"
        await trio.sleep(4)
        assert (await nodes_of(first))["b"]["state"] == "gone"
    async with servers() as (first, second):
        await second.stop()
        await trio.sleep(2)
        assert list(await nodes_of(first)) == ["a"]


async def test_a_report_of_another_version_is_a_node_all_the_same(
    autojump_clock: MockClock,
) -> None:
    async with servers() as (first, _):
        store = first.store
        (report,) = [each for each in await store.nodes.reports() if each.name == "b"]
        await store.nodes.report("c", report.run_id, b'{"version": 3}', b"")
        await trio.sleep(2)
        node = (await nodes_of(first))["c"]
        assert (node["state"], node["status"]) == ("not ready", None)


async def test_without_the_store_the_report_goes_on_later(
    autojump_clock: MockClock,
) -> None:
    async with servers() as (first, second):
        first.store.begin_outage()
        await trio.sleep(30)
        first.store.end_outage()
        await trio.sleep(10)
        assert (await nodes_of(second))["a"]["state"] == "ready"


async def test_who_sees_only_some_retreats_does_not_see_the_servers(
    autojump_clock: MockClock,
) -> None:
    async with servers() as (first, _):
        token = first.token(role=Role.ADMIN_MINISTER, retreats=["2024-winter"])
        response = await first.http(
            "GET", "/admin/nodes", headers={"Authorization": f"Bearer {token}"}
        )
        assert response.status == 403


REASON = {"reason": "a test"}


async def acted(
    server: LineupServer, path: str, json: Any = REASON, *, status: int = 200, **token: Any
) -> Any:
    token = {"role": Role.ADMIN_MINISTER} | token
    headers = {"Authorization": f"Bearer {server.token(**token)}"}
    response = await server.http("POST", f"/admin{path}", json, user=None, headers=headers)
    assert response.status == status, response.json()
    return response.json()


async def audited(server: LineupServer, action: str) -> list[Any]:
    """Return the records of an action, the oldest first, once those under way are stored."""
    await trio.sleep(5)
    response = await server.http("GET", f"/admin/audit?action={action}", role=Role.ADMIN_MINISTER)
    return list(reversed(response.json()["records"]))


async def test_a_user_is_kicked_on_all_servers_and_it_is_recorded_once(
    autojump_clock: MockClock,
) -> None:
    async with servers() as (first, second):
        peers = [await each.peer(user=7, join="2024-winter") for each in (first, second)]
        other = await second.peer(user=8, join="2024-winter")
        tried = await acted(first, "/users/7/kick?dry_run=1")
        assert (tried["sessions"], tried["dryRun"], tried["missing"]) == (2, True, [])
        done = await acted(first, "/users/7/kick")
        assert (done["sessions"], done["changed"]) == (2, True)
        with trio.fail_after(10):
            for peer in peers:
                await peer.disconnected.wait()
        assert not other.disconnected.is_set()
        trial, record = await audited(first, "user.kick")
        assert (trial["outcome"], record["outcome"]) == ("dry_run", "done")
        assert "Server b" in record["details"]


async def test_a_session_is_kicked_wherever_it_is(
    autojump_clock: MockClock,
) -> None:
    async with servers() as (first, second):
        peer = await second.peer(user=7, join="2024-winter")
        (client,) = second.composition.clients.connected
        done = await acted(first, f"/sessions/{client.sid}/kick")
        assert done["sessions"] == 1
        with trio.fail_after(10):
            await peer.disconnected.wait()
        (record,) = await audited(second, "session.kick")
        assert (record["target"], record["outcome"]) == (client.sid, "done")


async def test_a_kick_names_a_server_that_does_not_report_any_more(
    autojump_clock: MockClock,
) -> None:
    async with servers() as (first, second):
        await second.peer(user=7, join="2024-winter")
        second.store.begin_outage()
        await trio.sleep(12)
        assert (await acted(first, "/users/7/kick"))["missing"] == ["b"]
        second.store.end_outage()
        await trio.sleep(5)
        assert (await acted(first, "/users/7/kick"))["sessions"] == 1


async def test_what_may_be_asked_is_the_same_on_all_servers(autojump_clock: MockClock) -> None:
    async with servers() as (first, _):
        for path in ("/admin/sessions", "/admin/drain"):
            here, there = [
                await first.http("OPTIONS", path + field, role=Role.ADMIN_MINISTER)
                for field in ("", "?node=b")
            ]
            assert (there.status, there.headers["Allow"]) == (here.status, here.headers["Allow"])


async def sent(server: LineupServer, method: str, **fields: str) -> HttpReply:
    """Send a request about an operator's session."""
    return await server.http(method, "/admin/session", user=None, headers={"Origin": OWN, **fields})


async def begun(server: LineupServer) -> dict[str, str]:
    """Begin a session; return the header fields with which a page sends its requests."""
    bearer = f"Bearer {server.token(role=Role.ADMIN_MINISTER)}"
    session = await sent(server, "POST", Authorization=bearer)
    cookie = session.headers["Set-Cookie"].partition(";")[0]
    return {"Cookie": cookie, "X-CSRF-Token": session.json()["csrfToken"]}


async def test_a_session_of_an_operator_ends_on_all_servers(autojump_clock: MockClock) -> None:
    async with servers() as (first, second):
        bearer = f"Bearer {first.token(role=Role.ADMIN_MINISTER)}"
        other, ended = [await sent(first, "POST", Authorization=bearer) for _ in range(2)]
        cookies = [each.headers["Set-Cookie"].partition(";")[0] for each in (other, ended)]
        for server in (first, second):
            assert (await sent(server, "GET", Cookie=cookies[1])).status == 200
        refused = await sent(second, "DELETE", Cookie=cookies[1])
        assert refused.status == 403  # no page has sent it
        csrf = {"X-CSRF-Token": ended.json()["csrfToken"]}
        assert (await sent(second, "DELETE", Cookie=cookies[1], **csrf)).status == 204
        for server in (first, second):
            assert (await sent(server, "GET", Cookie=cookies[1])).status == 401
            assert (await sent(server, "GET", Cookie=cookies[0])).status == 200


@pytest.mark.parametrize("seconds", [0.0, 60.0], ids=["just now", "for long"])
async def test_who_ends_a_session_learns_on_which_servers_it_may_go_on(
    seconds: float, autojump_clock: MockClock
) -> None:
    async with servers() as (first, _):
        page = await begun(first)
        first.store.begin_outage()
        await trio.sleep(seconds)
        ended = await sent(first, "DELETE", **page)
        assert (ended.status, ended.json()) == (200, {"missing": ["b"]})
        assert "Max-Age=0" in ended.headers["Set-Cookie"]
        assert (await sent(first, "GET", **page)).status == 401
        first.store.end_outage()


async def test_what_operators_read_keeps_no_action_from_other_servers(
    autojump_clock: MockClock,
) -> None:
    async with servers() as (first, second):
        page = await begun(first)
        peers = [await second.peer(user=user, join="2024-winter") for user in range(7, 15)]
        take = second.store.nodes.take

        async def late(run_id: UUID, limit: int) -> list[NodeRequest]:
            await trio.sleep(0.5)
            return await take(run_id, limit)

        second.store.nodes.take = late  # type: ignore[method-assign]
        ask = partial(first.http, "GET", "/admin/system?node=b", role=Role.ADMIN_MINISTER)
        async with trio.open_nursery() as nursery:
            for _ in range(MAX_OF_ONE + 1):
                nursery.start_soon(ask)
            await trio.sleep(0.1)
            for user in range(7, 15):
                nursery.start_soon(acted, first, f"/users/{user}/kick")
            assert (await sent(first, "DELETE", **page)).status == 204
        assert (await sent(second, "GET", **page)).status == 401
        with trio.fail_after(10):
            for peer in peers:
                await peer.disconnected.wait()


async def test_who_may_not_kick_a_session_of_another_server_is_recorded_there(
    autojump_clock: MockClock,
) -> None:
    async with servers() as (first, second):
        await second.peer(user=7, join="2024-winter")
        (client,) = second.composition.clients.connected
        done = await acted(first, f"/sessions/{client.sid}/kick", retreats=["2024-summer"])
        assert (done["changed"], done["message"]) == (False, "There is no such client.")
        records = await audited(first, "session.kick")
        assert {each["outcome"] for each in records} == {"unchanged", "refused"}
        (refused,) = [each for each in records if each["outcome"] == "refused"]
        assert (refused["target"], refused["operatorId"]) == (client.sid, 1)
        assert "(server b)" in refused["details"]
        assert client in second.composition.clients.connected


async def test_a_shutdown_does_not_wait_for_other_servers_beyond_its_time(
    autojump_clock: MockClock,
) -> None:
    async with servers(shutdown_grace=2) as (first, second):
        await first.peer(user=7, join="2024-winter")
        second.store.begin_outage()

        async def kick() -> None:
            with suppress(PeerClosed):
                await acted(first, "/users/7/kick")

        async with trio.open_nursery() as nursery:
            nursery.start_soon(kick)
            await trio.sleep(0.1)
            began = trio.current_time()
            await first.stop()
            assert trio.current_time() - began <= 2
        second.store.end_outage()
        await trio.sleep(10)
        (record,) = await audited(second, "user.kick")
        assert (record["outcome"], "Not answered: b." in record["details"]) == ("done", True)


async def test_other_servers_are_waited_for_however_short_a_shutdown_is(
    autojump_clock: MockClock,
) -> None:
    async with servers(shutdown_grace=0.2) as (first, second):
        await second.peer(user=7, join="2024-winter")
        done = await acted(first, "/users/7/kick")
        assert (done["sessions"], done["missing"]) == (1, [])


async def test_a_kick_while_the_server_stops_is_recorded(autojump_clock: MockClock) -> None:
    async with servers(shutdown_grace=4) as (first, second):
        await first.peer(user=7, join="2024-winter")
        second.store.begin_outage()
        connection = HttpConnection(await first.open_stream())
        headers = {"Authorization": f"Bearer {first.token(role=Role.ADMIN_MINISTER)}"}
        body = msgspec.json.encode(REASON)
        began = trio.current_time()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(first.stop)
            await trio.testing.wait_all_tasks_blocked()
            with suppress(TransportClosed):
                await connection.request("POST", "/admin/users/7/kick", headers=headers, body=body)
        assert trio.current_time() - began <= 4
        second.store.end_outage()
        await trio.sleep(10)
        (record,) = await audited(second, "user.kick")
        assert "Not answered: b." in record["details"]


async def test_what_cannot_be_sent_to_other_servers_is_done_on_none(
    autojump_clock: MockClock,
) -> None:
    async with servers() as (first, _):
        peer = await first.peer(user=7, join="2024-winter")
        await acted(first, f"/users/7/kick?{'x' * 8_001}", status=400)
        await trio.sleep(5)
        assert not peer.disconnected.is_set()


async def test_a_room_of_another_server_is_restarted_there_and_it_records_that(
    autojump_clock: MockClock,
) -> None:
    async with servers() as (first, second):
        for each in (first, second):
            await each.peer(join="2024-winter")
        started = first.room("2024-winter").batches
        done = await acted(first, "/rooms/2024-winter/stop?node=b")
        assert (done["changed"], done["room"]) != (False, None)
        assert first.room("2024-winter").batches == started
        with pytest.raises(LookupError):
            second.room("2024-winter")
        (record,) = await audited(first, "room.stop")
        assert (record["outcome"], record["operatorId"]) == ("done", 1)
        assert "(server b)" in record["details"]


@pytest.mark.parametrize("path", ["/system", "/overview", "/task-tree", "/rooms", "/sessions"])
async def test_what_another_server_shows_is_what_it_would_show_itself(
    path: str, autojump_clock: MockClock
) -> None:
    async with servers() as (first, second):
        await second.peer(join="2024-winter")
        there = await second.http("GET", f"/admin{path}", role=Role.ADMIN_MINISTER)
        here = await first.http("GET", f"/admin{path}?node=b", role=Role.ADMIN_MINISTER)
        assert here.status == 200
        assert here.json().keys() == there.json().keys()
        assert here.headers["Cache-Control"] == "no-store"


async def test_servers_that_seldom_compare_their_rooms_take_requests_all_the_same(
    autojump_clock: MockClock,
) -> None:
    async with servers(comparison_interval=60) as (first, _):
        for _ in range(10):
            asked = await first.http("GET", "/admin/system?node=b", role=Role.ADMIN_MINISTER)
            assert asked.status == 200


async def test_the_other_server_decides_what_an_operator_may_do(
    autojump_clock: MockClock,
) -> None:
    async with servers() as (first, second):
        await second.peer(join="2024-winter")
        await acted(first, "/rooms/2024-winter/stop?node=b", role=Role.LINEUP_STAFF, status=403)
        await acted(first, "/drain?node=b", retreats=["2024-winter"], status=403)
        restricted = await acted(first, "/rooms/2024-winter/stop?node=b", retreats=["2024-winter"])
        assert restricted["changed"]
        refused = await first.http("GET", "/admin/system?node=b", user=None)
        assert refused.status == 401


@pytest.mark.parametrize("node", ["c", "", "%00", "b&node=a"])
async def test_a_server_that_is_not_there_cannot_be_asked(
    node: str, autojump_clock: MockClock
) -> None:
    async with servers() as (first, _):
        response = await first.http("GET", f"/admin/system?node={node}", role=Role.ADMIN_MINISTER)
        assert response.status in {400, 404}
    async with world() as alone:
        response = await alone.get(
            f"/admin/system?node={node}", alone.bearer(role=Role.ADMIN_MINISTER)
        )
        assert response.status in {400, 404}


async def test_events_of_another_server_come_page_by_page(autojump_clock: MockClock) -> None:
    async with servers() as (first, second):
        second.composition.operator_events.publish("limit.hit", "on b")
        first.composition.operator_events.publish("limit.hit", "on a")
        path, role = "/admin/events?kind=limit.&node=b", Role.ADMIN_MINISTER
        page = (await first.http("GET", path, role=role)).json()
        assert [each["text"] for each in page["events"]] == ["on b"]
        second.composition.operator_events.publish("limit.hit", "later")
        after = f"&after={page['run']}-{page['last']}"
        later = (await first.http("GET", path + after, role=role)).json()
        assert [each["text"] for each in later["events"]] == ["later"]
        stream = {"Accept": "text/event-stream"}
        refused = await first.http("GET", path, role=role, headers=stream)
        assert (refused.status, refused.json()["message"]) == (
            400,
            "Another server has no stream: ask for pages of events.",
        )


async def test_levels_and_traces_are_those_of_the_server_that_is_named(
    autojump_clock: MockClock,
) -> None:
    async with servers() as (first, second):
        level = {"logger": "gbs_actor.rooms", "level": "DEBUG", **REASON}
        await acted(first, "/log-level?node=b", level)
        await acted(first, "/traces?node=b", {"userId": 7, **REASON})
        for server, number in ((first, 0), (second, 1)):
            assert len(server.composition.log_levels.statistics().temporary) == number
            assert len(server.composition.clients.traces.statistics()) == number
        await acted(first, "/traces/stop?node=b", {"userId": 7, **REASON})
        shown = await first.http("GET", "/admin/traces?node=b", role=Role.ADMIN_MINISTER)
        assert shown.json()["traces"] == []


async def test_an_operators_session_names_the_servers(autojump_clock: MockClock) -> None:
    async with servers() as (first, second):
        for retreats in (None, ["2024-winter"]):
            token = first.token(role=Role.ADMIN_MINISTER, retreats=retreats)
            headers = {"Authorization": f"Bearer {token}"}
            session = (await first.http("GET", "/admin/session", user=None, headers=headers)).json()
            assert (session["node"], session["nodes"]) == ("a", ["a", "b"])
        await second.stop()
        await trio.sleep(2)
        session = (await first.http("GET", "/admin/session", role=Role.ADMIN_MINISTER)).json()
        assert (session["node"], session["nodes"]) == ("a", ["a"])
    async with world() as alone:
        bearer = alone.bearer(role=Role.ADMIN_MINISTER)
        session = (await alone.get("/admin/session", bearer)).json()
        assert (session["node"], session["nodes"]) == (None, [])


async def test_what_is_of_no_one_server_takes_no_node(
    autojump_clock: MockClock,
) -> None:
    async with servers() as (first, _):
        for path in ("audit", "nodes", "session"):
            response = await first.http("GET", f"/admin/{path}?node=b", role=Role.ADMIN_MINISTER)
            assert response.status == 400


async def test_what_a_server_does_not_take_in_time_it_never_does(
    autojump_clock: MockClock,
) -> None:
    async with servers() as (first, second):
        peer = await second.peer(user=7, join="2024-winter")
        second.store.begin_outage()  # it takes nothing; its last report is a moment old
        failed = await acted(first, "/rooms/2024-winter/stop?node=b", status=503)
        assert "nothing was done" in failed["message"]
        kicked = await acted(first, "/users/7/kick")
        assert (kicked["sessions"], kicked["missing"]) == (0, ["b"])
        second.store.end_outage()
        await trio.sleep(20)
        assert second.room("2024-winter").state == "running"
        assert not peer.disconnected.is_set()


async def test_a_server_that_has_begun_and_does_not_answer_may_have_done_it(
    autojump_clock: MockClock,
) -> None:
    async with servers() as (first, second):
        peer = await second.peer(user=7, join="2024-winter")
        sid = next(iter(second.composition.clients.connected)).sid
        answer = second.store.nodes.answer

        async def lost(request_id: UUID, answer: bytes) -> None:
            await trio.lowlevel.checkpoint()

        second.store.nodes.answer = lost  # type: ignore[method-assign]
        failed = await acted(first, f"/sessions/{sid}/kick?node=b", status=504)
        assert failed["code"] == "OUTCOME_UNKNOWN"
        with trio.fail_after(10):
            await peer.disconnected.wait()
        second.store.nodes.answer = answer  # type: ignore[method-assign]


async def test_an_operator_may_wait_for_so_many_answers_of_a_server_and_all_for_so_many(
    autojump_clock: MockClock,
) -> None:
    async with servers() as (first, second):
        second.store.begin_outage()  # it takes nothing
        replies: list[tuple[int, str]] = []

        async def ask(user: int) -> None:
            headers = {"Authorization": f"Bearer {first.token(user, Role.ADMIN_MINISTER)}"}
            reply = await first.http("GET", "/admin/system?node=b", user=None, headers=headers)
            replies.append((reply.status, reply.json()["message"]))

        async with trio.open_nursery() as nursery:
            for _ in range(MAX_OF_ONE + 1):
                nursery.start_soon(ask, 1)
            await trio.sleep(0.5)
            own = "Too many requests of yours wait for server b; nothing was done."
            assert replies == [(429, own)]
            others = MAX_IN_FLIGHT - MAX_OF_ONE
            for user in range(2, 3 + others):
                nursery.start_soon(ask, user)
            await trio.sleep(0.5)
            every = "Too many requests wait for server b; nothing was done."
            assert replies[1:] == [(429, every)]
        assert [status for status, _ in replies[2:]] == [503] * MAX_IN_FLIGHT
        await ask(1)
        assert replies[-1][0] == 503


async def test_what_is_not_waited_for_any_more_is_not_there_any_more(
    autojump_clock: MockClock,
) -> None:
    async with servers() as (first, second):
        nodes = second.store.nodes
        (report,) = first.composition.nodes.others()
        send = first.composition.nodes.outgoing.send
        await second.stop()
        with trio.move_on_after(1):
            await send(report, b"never taken", None)
        assert await nodes.take(report.run_id, 10) == []
        async with trio.open_nursery() as nursery:
            nursery.start_soon(send, report, b"taken", None)
            await trio.sleep(0.5)
            (taken,) = await nodes.take(report.run_id, 10)
            nursery.cancel_scope.cancel()
        await nodes.answer(taken.id, b"late")
        assert await nodes.take_answer(taken.id) is None


async def test_rooms_of_other_servers_are_read_once_for_all_who_ask(
    autojump_clock: MockClock,
) -> None:
    async with servers() as (first, _):
        read, rooms = 0, first.store.nodes.rooms

        async def slowly(run_ids: Collection[UUID]) -> dict[UUID, bytes]:
            nonlocal read
            read += 1
            await trio.sleep(0.5)
            return await rooms(run_ids)

        first.store.nodes.rooms = slowly  # type: ignore[method-assign]
        async with trio.open_nursery() as nursery:
            for user in range(1, 11):
                headers = {"Authorization": f"Bearer {first.token(user, Role.ADMIN_MINISTER)}"}
                ask = partial(first.http, "GET", "/admin/rooms", user=None, headers=headers)
                nursery.start_soon(ask)
        assert read == 1


async def test_requests_that_cannot_be_read_are_answered_so(
    autojump_clock: MockClock,
) -> None:
    async with servers() as (first, _):
        nodes = first.store.nodes
        (report,) = [each for each in await nodes.reports() if each.name == "b"]
        for stored in (b"", b"\x00" * 1_000, b"{}"):
            request_id = uuid4()
            await nodes.ask(request_id, report.run_id, stored, 10)
            await trio.sleep(1)
            answer = await nodes.take_answer(request_id)
            assert answer is not None
            assert response_from(answer).status == 400
        await nodes_of(first)


async def sessions_of(server: LineupServer, query: str = "", **token: Any) -> Any:
    token = {"role": Role.ADMIN_MINISTER} | token
    headers = {"Authorization": f"Bearer {server.token(**token)}"}
    response = await server.http("GET", f"/admin/sessions{query}", user=None, headers=headers)
    assert response.status == 200
    return response.json()


async def test_the_sessions_of_all_servers_are_one_list(
    autojump_clock: MockClock,
) -> None:
    async with servers() as (first, second):
        for user in (3, 1, 2):
            await first.peer(user=user, join="2024-winter")
            await trio.sleep(10)
            await second.peer(user=user + 10, join="2024-summer")
            await trio.sleep(10)
        page = await sessions_of(first, "?sort=-connectedFor&limit=4")
        assert (page["total"], page["missing"]) == (6, [])
        assert [(each["userId"], each["node"]) for each in page["sessions"]] == [
            (3, "a"),
            (13, "b"),
            (1, "a"),
            (11, "b"),
        ]
        rest = await sessions_of(first, "?sort=-connectedFor&limit=4&offset=4")
        assert [each["userId"] for each in rest["sessions"]] == [2, 12]
        there = await sessions_of(first, "?node=b&search=12")
        assert [each["userId"] for each in there["sessions"]] == [12]
        assert (await sessions_of(first, "?node=a"))["total"] == 3
        own = await sessions_of(second, "?room=2024-winter")
        assert {each["node"] for each in own["sessions"]} == {"a"}
        restricted = await sessions_of(first, retreats=["2024-summer"])
        assert {each["node"] for each in restricted["sessions"]} == {"b"}


async def test_the_sessions_of_a_server_that_does_not_answer_are_missing(
    autojump_clock: MockClock,
) -> None:
    async with servers() as (first, second):
        await first.peer(join="2024-winter")
        await second.peer(join="2024-winter")
        second.store.begin_outage()
        page = await sessions_of(first)
        assert (page["total"], page["missing"]) == (1, ["b"])


async def rooms_of(server: LineupServer, query: str = "", **token: Any) -> Any:
    token = {"role": Role.ADMIN_MINISTER} | token
    headers = {"Authorization": f"Bearer {server.token(**token)}"}
    response = await server.http("GET", f"/admin/rooms{query}", user=None, headers=headers)
    assert response.status == 200
    return [(each["slug"], each["node"]) for each in response.json()["rooms"]]


async def test_the_rooms_of_all_servers_are_one_list(autojump_clock: MockClock) -> None:
    async with servers() as (first, second):
        await first.peer(join="2024-winter")
        await second.peer(join="2024-winter")
        await second.peer(join="2024-summer")
        await trio.sleep(7)
        all_rooms = [("2024-summer", "b"), ("2024-winter", "a"), ("2024-winter", "b")]
        assert await rooms_of(first) == all_rooms
        assert await rooms_of(second) == all_rooms
        assert await rooms_of(first, "?search=winter&sort=-slug") == all_rooms[1:]
        assert await rooms_of(first, "?limit=1&offset=2") == all_rooms[2:]
        assert await rooms_of(first, "?node=b") == [all_rooms[0], all_rooms[2]]
        assert await rooms_of(first, "?node=a") == all_rooms[1:2]
        assert await rooms_of(first, "?state=failed") == []
        assert await rooms_of(first, retreats=["2024-summer"]) == all_rooms[:1]
        shown = (await first.http("GET", "/admin/rooms", role=Role.ADMIN_MINISTER)).json()
        assert shown["total"] == 3
        assert shown["rooms"][2]["subscriberCount"] == 1


@pytest.mark.parametrize("sort", SORTS)
async def test_every_order_is_one_of_the_rooms_of_all_servers(
    sort: str, autojump_clock: MockClock
) -> None:
    async with servers() as (first, second):
        await first.peer(join="2024-winter")
        await second.peer(join="2024-winter")
        await trio.sleep(7)
        both = [("2024-winter", "a"), ("2024-winter", "b")]
        assert sorted(await rooms_of(first, f"?sort={sort}")) == both


async def test_rooms_that_cannot_be_read_are_left_out(autojump_clock: MockClock) -> None:
    async with servers() as (first, _):
        nodes = first.store.nodes
        (report,) = [each for each in await nodes.reports() if each.name == "b"]
        await first.peer(join="2024-winter")
        page = await first.http("GET", "/admin/rooms?node=a", role=Role.ADMIN_MINISTER)
        room = msgspec.json.encode(page.json()["rooms"])
        bomb = msgspec.msgpack.encode([zlib.compress(b" " * 50_000_000 + room)])
        for stored in (b"", b"{}", b"\xc0", msgspec.msgpack.encode([b"", b"x"]), bomb):
            await nodes.report("c", uuid4(), report.status, stored)
            await trio.sleep(2)
            assert await rooms_of(first) == [("2024-winter", "a")]
        await nodes.report(
            "c", uuid4(), report.status, msgspec.msgpack.encode([zlib.compress(room)])
        )
        await trio.sleep(2)
        assert await rooms_of(first) == [("2024-winter", "a"), ("2024-winter", "c")]


async def test_without_the_store_an_operator_sees_and_acts_on_this_server(
    autojump_clock: MockClock,
) -> None:
    async with servers() as (first, second):
        peer = await first.peer(user=7, join="2024-winter")
        await second.peer(user=7, join="2024-winter")
        await trio.sleep(7)
        assert len(await rooms_of(first)) == 2
        first.store.begin_outage()
        assert await rooms_of(first, "?sort=-slug") == [("2024-winter", "a"), ("2024-winter", "b")]
        page = await sessions_of(first)
        assert (page["total"], page["missing"]) == (1, ["b"])
        kicked = await acted(first, "/users/7/kick")
        assert (kicked["sessions"], kicked["missing"]) == (1, ["b"])
        with trio.fail_after(10):
            await peer.disconnected.wait()
        await trio.sleep(11)
        assert {name: each["state"] for name, each in (await nodes_of(first)).items()} == {
            "a": "not ready",
            "b": "gone",
        }
        first.store.end_outage()
        (record,) = await audited(first, "user.kick")
        assert record["outcome"] == "done"


async def test_of_several_servers_the_first_sessions_are_shown(autojump_clock: MockClock) -> None:
    async with servers() as (first, second):
        headers = {"Authorization": f"Bearer {first.token(role=Role.ADMIN_MINISTER)}"}
        path = "/admin/sessions?offset=490&limit=20"
        refused = await first.http("GET", path, user=None, headers=headers)
        assert refused.status == 400
        one = await first.http("GET", f"{path}&node=b", user=None, headers=headers)
        assert one.status == 200
        await second.stop()
        await trio.sleep(2)
        alone = await first.http("GET", path, user=None, headers=headers)
        assert alone.status == 200
