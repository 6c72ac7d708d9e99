"""``/admin/sessions`` and ``/admin/closed``: who is connected, who was, and whom operators see."""

from __future__ import annotations

import json
import logging
from types import SimpleNamespace
from typing import Any, cast

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import wait_all_tasks_blocked

from gbs_actor.auth import Role
from gbs_actor.gateway.client import Client
from gbs_actor.gateway.http.admin.session_query import SORTS
from gbs_actor.gateway.sessions import SORT_KEYS, is_found, session_page
from gbs_actor.rooms import SinkStatistics
from tests.gateway.serving import NOW, OTHER_SLUG, SLUG, Transport, World, ending, world
from tests.gateway.test_closed_sessions import let_nobody_in

ADDRESS = "198.18.0.2"
"""Of the first client."""
BOTH = pytest.mark.parametrize("transport", ["socketio", "plain"])
PROTOCOLS: dict[Transport, str] = {"socketio": "socket.io", "plain": "websocket"}


async def shown(here: World, path: str, **token: Any) -> Any:
    """Return what an operator is shown."""
    response = await here.get(path, here.bearer(**({"role": Role.ADMIN_MINISTER} | token)))
    assert response.status == 200
    assert response.headers["Cache-Control"] == "no-store"
    return response.json()


async def users(here: World, query: str = "", **token: Any) -> tuple[list[int], int]:
    """Return the users of the sessions that are listed, and how many there are in all."""
    page = await shown(here, f"/admin/sessions{query}", **token)
    return [session["userId"] for session in page["sessions"]], page["total"]


# The list


@BOTH
async def test_a_session_is_listed_with_its_client_and_its_connection(transport: Transport) -> None:
    async with world() as here, here.joined_by(transport, user_id=5, name="이하늘"):
        (session,) = (await shown(here, "/admin/sessions"))["sessions"]
        (client,) = here.clients.connected
        assert session.pop("connectedFor") >= 0
        assert session.pop("conflated") >= 0  # who is here may have changed twice at once
        assert session == {
            "sid": client.sid,
            "protocol": PROTOCOLS[transport],
            "transport": "websocket",
            "userId": 5,
            "userName": "이하늘",
            "room": SLUG,
            "address": ADDRESS,
            "queued": 0,
            "queuedBytes": 0,
            "behindFor": 0.0,
            "lag": 0,
            "roundTrip": None,
            "traced": False,
            "node": None,
        }


@BOTH
async def test_no_id_that_opens_a_session_is_shown(transport: Transport) -> None:
    async with world() as here, here.joined_by(transport):
        (client,) = here.clients.connected
        (channel,) = (*here.services.sockets.channels, *here.server.composition.plain.channels)
        secret = getattr(channel, "sid", None)
        for path in ("/admin/sessions", f"/admin/sessions/{client.sid}", "/admin/closed"):
            assert str(secret) not in json.dumps(await shown(here, path))
        assert client.sid != secret


async def test_the_lag_is_that_behind_the_room_and_there_is_none_outside() -> None:
    async with (
        world() as here,
        here.joined_by("plain", user_id=5) as peer,
        here.connect("socketio", user_id=6),
    ):
        await here.assign(2, 3)
        await peer.event("lineup-updated")
        inside, outside = here.clients.connected
        assert inside.subscriber.lag == 0
        inside.subscriber.sent_revision -= 1
        page = await shown(here, "/admin/sessions?sort=-lag")
        assert [session["lag"] for session in page["sessions"]] == [1, None]
        assert (inside.subscriber.lag, outside.subscriber.lag) == (1, 0)


async def test_sessions_are_found_by_room_protocol_and_text() -> None:
    async with (
        world() as here,
        here.joined_by("plain", user_id=501, name="Kim"),
        here.joined_by("socketio", user_id=502, name="이하늘"),
        here.joined_by("socketio", OTHER_SLUG, user_id=603, name="김하늘"),
    ):
        assert await users(here, "?sort=user") == ([501, 603, 502], 3)
        assert await users(here, "?sort=user&limit=1&offset=1") == ([603], 3)
        assert await users(here, f"?room={SLUG}&sort=-user") == ([502, 501], 2)
        assert await users(here, "?protocol=websocket") == ([501], 1)
        assert await users(here, "?protocol=socket.io&sort=user") == ([603, 502], 2)
        assert await users(here, "?search=kIM") == ([501], 1)
        assert await users(here, "?search=50&sort=user") == ([501, 502], 2)
        assert await users(here, "?search=%ED%95%98%EB%8A%98&sort=user") == ([603, 502], 2)
        sid = next(each.sid for each in here.clients.connected if each.user.user_id == 603)
        assert await users(here, f"?search={sid[3:]}") == ([603], 1)
        assert await users(here, "?search=nobody") == ([], 0)


@pytest.mark.parametrize("sort", SORTS)
async def test_every_order_that_is_described_is_one(sort: str) -> None:
    async with (
        world() as here,
        here.joined_by("plain", user_id=5),
        here.joined_by("socketio", user_id=6),
    ):
        found, total = await users(here, f"?sort={sort}")
        assert (set(found), total) == ({5, 6}, 2)


@pytest.mark.parametrize(
    "query",
    [
        "sort=name",
        "sort=--user",
        "limit=0",
        "limit=501",
        "offset=-1",
        "protocol=socketio",
        "protocol=",
        f"search={'x' * 201}",
        "room=a&room=b",
    ],
)
async def test_a_query_that_means_nothing_is_400_and_names_the_field(query: str) -> None:
    async with world() as here:
        bearer = here.bearer(role=Role.ADMIN_MINISTER)
        response = await here.get(f"/admin/sessions?{query}", bearer)
        assert response.status == 400
        assert response.json()["message"].startswith(query.partition("=")[0])


# Order and pages, over many


def stub(number: int, queued: int, name: str, round_trip: float | None) -> Client:
    """Return what the list reads of a client."""
    peer = SimpleNamespace(
        protocol="websocket",
        address=f"192.0.2.{number % 7}",
        user_agent=None,
        round_trip=round_trip,
        outbox=SimpleNamespace(unsent_bytes=queued),
        statistics=lambda: SinkStatistics(1, queued, 0, 0.0, "websocket", "websocket", round_trip),
    )
    room = SimpleNamespace(slug=SLUG)
    subscriber = SimpleNamespace(
        room=room, room_slug=SLUG, lag=queued % 3, connected_at=float(number)
    )
    client = SimpleNamespace(
        sid=f"s{number}",
        peer=peer,
        user=SimpleNamespace(user_id=number),
        author=SimpleNamespace(name=name),
        subscriber=subscriber,
    )
    return cast(Client, client)


STUBS = st.lists(
    st.tuples(
        st.integers(0, 5), st.sampled_from("abC"), st.none() | st.floats(0, 1, allow_nan=False)
    ),
    max_size=40,
).map(lambda rows: [stub(number, *row) for number, row in enumerate(rows)])


@given(
    clients=STUBS,
    sort=st.sampled_from(sorted(SORT_KEYS)),
    descending=st.booleans(),
    bounds=st.tuples(st.integers(0, 45), st.integers(1, 45)),
    search=st.sampled_from(["", "b", "c", "192.0.2.3", "s1"]),
)
async def test_a_page_is_a_part_of_the_whole_list_in_order(
    clients: list[Client], sort: str, descending: bool, bounds: tuple[int, int], search: str
) -> None:
    offset, limit = bounds
    page = await session_page(
        clients,
        lambda client: is_found(client, search),
        sort,
        descending=descending,
        offset=offset,
        limit=limit,
        is_traced=lambda _: False,
    )
    matching = [each for each in clients if is_found(each, search)]
    figures: dict[str, Any] = {
        "queuedBytes": lambda each: each.peer.outbox.unsent_bytes,
        "lag": lambda each: each.subscriber.lag,
        "roundTrip": lambda each: -1 if each.peer.round_trip is None else each.peer.round_trip,
        "connectedFor": lambda each: 1_000 - each.subscriber.connected_at,
        "user": lambda each: each.author.name,
        "sid": lambda each: each.sid,
    }
    ordered = sorted(matching, key=figures[sort], reverse=descending)
    assert page.total == len(matching)
    assert [each.sid for each in page.sessions] == [
        each.sid for each in ordered[offset : offset + limit]
    ]


@pytest.mark.parametrize("search", ["", "이하", "kim", "42", "s42", "192.0.2.0"])
def test_a_client_is_found_by_part_of_its_name_user_id_sid_and_address(search: str) -> None:
    client = stub(42, 0, "이하늘 KIM", None)
    assert is_found(client, search)
    assert not is_found(client, search + "x")


async def test_a_long_list_lets_other_tasks_run_meanwhile() -> None:
    clients = [stub(number, number, "a", None) for number in range(2_000)]
    turns = 0

    async def count_turns() -> None:
        nonlocal turns
        while True:
            turns += 1
            await trio.lowlevel.checkpoint()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(count_turns)
        page = await session_page(
            clients,
            lambda _: True,
            "queuedBytes",
            descending=True,
            offset=0,
            limit=2,
            is_traced=lambda _: False,
        )
        nursery.cancel_scope.cancel()
    assert [each.queued_bytes for each in page.sessions] == [1_999, 1_998]
    assert turns >= 4


# One session


@BOTH
async def test_a_session_as_a_whole(transport: Transport) -> None:
    async with world() as here, here.joined_by(transport, expires_in=600) as peer:
        await peer.call("update-gbs-number", {"lineupId": 2, "gbsNumber": 3})
        (client,) = here.clients.connected
        session = await shown(here, f"/admin/sessions/{client.sid}")
        assert (session["sid"], session["role"]) == (client.sid, Role.LINEUP_STAFF)
        assert session["tokenExpiresAt"] == NOW + 600
        assert (session["sentRevision"], session["lag"], session["underWay"]) == (1, 0, 0)
        assert session["receivedEvents"] == (2 if transport == "socketio" else 1)
        assert session["sentMessages"] > 0
        assert session["sentBytes"] > 100
        assert session["eventRateWait"] == 0
        assert "userAgent" in session


async def test_what_a_client_says_that_it_is_is_shown() -> None:
    async with world() as here, here.connect("plain", headers={"User-Agent": "curl/8"}):
        (client,) = here.clients.connected
        session = await shown(here, f"/admin/sessions/{client.sid}")
        assert session["userAgent"] == "curl/8"


async def test_a_session_that_has_ended_is_not_found_but_among_the_closed() -> None:
    async with world() as here:
        async with here.joined_by("plain"):
            (client,) = here.clients.connected
            await shown(here, f"/admin/sessions/{client.sid}")
        await wait_all_tasks_blocked()
        bearer = here.bearer(role=Role.ADMIN_MINISTER)
        assert (await here.get(f"/admin/sessions/{client.sid}", bearer)).status == 404
        (closed,) = (await shown(here, f"/admin/closed?search={client.sid}"))["closed"]
        assert (closed["sid"], closed["room"], closed["accepted"]) == (client.sid, SLUG, True)


async def test_the_log_names_a_plain_websocket_by_the_same_id(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    async with world() as here, here.joined_by("plain") as peer:
        (client,) = here.clients.connected
        (channel,) = here.server.composition.plain.channels
        assert client.sid.startswith("w-")
        channel.overflow()
        await ending(peer)
    assert f"<PlainChannel {client.sid} to '{SLUG}'> closed: too far behind" in caplog.text


# Whom an operator sees


async def test_an_operator_of_some_retreats_sees_nobody_else() -> None:
    async with (
        world() as here,
        here.joined_by("plain", user_id=5),
        here.joined_by("socketio", OTHER_SLUG, user_id=6),
        here.connect("socketio", user_id=8),
    ):
        assert await users(here, "?sort=user") == ([5, 6, 8], 3)
        assert await users(here, retreats=(SLUG,)) == ([5], 1)
        assert await users(here, f"?room={OTHER_SLUG}", retreats=(SLUG,)) == ([], 0)
        bearer = here.bearer(role=Role.ADMIN_MINISTER, retreats=(SLUG,))
        gone = (await here.get("/admin/sessions/unknown", bearer)).json()
        for client in here.clients.connected:
            response = await here.get(f"/admin/sessions/{client.sid}", bearer)
            if client.user.user_id == 5:
                assert response.status == 200
            else:
                assert response.status == 404
                assert response.json() == gone


async def test_a_grant_takes_the_sessions_of_a_room_away() -> None:
    async with (
        world() as here,
        here.joined_by("plain", user_id=5),
        here.joined_by("plain", OTHER_SLUG, user_id=6),
    ):
        here.store.grant(SLUG, 7, "NOBODY")
        here.services.authorizer.clear_cache()
        assert await users(here, user_id=7) == ([6], 1)


# The closed ones


async def closed_users(here: World, query: str = "", **token: Any) -> tuple[list[Any], int]:
    page = await shown(here, f"/admin/closed{query}", **token)
    return [closed["userId"] for closed in page["closed"]], page["total"]


async def test_the_closed_are_listed_the_newest_first_and_found_by_what_they_were() -> None:
    async with world() as here:
        async with here.joined_by("plain", user_id=5, name="Kim"):
            pass
        await wait_all_tasks_blocked()
        async with here.joined_by("socketio", OTHER_SLUG, user_id=6, name="이하늘"):
            pass
        await wait_all_tasks_blocked()
        await let_nobody_in(here.connect("plain", token="x"))
        await wait_all_tasks_blocked()
        assert await closed_users(here) == ([None, 6, 5], 3)
        assert await closed_users(here, "?limit=1&offset=1") == ([6], 3)
        assert await closed_users(here, "?accepted=true") == ([6, 5], 2)
        assert await closed_users(here, "?accepted=false") == ([None], 1)
        assert await closed_users(here, "?userId=5") == ([5], 1)
        assert await closed_users(here, "?reason=INVALID_TOKEN") == ([None], 1)
        assert await closed_users(here, "?address=192.0.2.1") == ([], 0)
        for search in ("kIM", "invalid_token", OTHER_SLUG, "transport"):
            found, _ = await closed_users(here, f"?search={search}")
            wanted = {"kIM": [5], "invalid_token": [None], OTHER_SLUG: [6], "transport": [6, 5]}
            assert found == wanted[search]
        counts = (await shown(here, "/admin/closed?limit=1"))["counts"]
        assert counts == {
            "kept": 3,
            "closed": {"transport close": 2},
            "refused": {"INVALID_TOKEN": 1},
        }


async def test_an_operator_of_some_retreats_sees_only_who_was_there() -> None:
    async with world() as here:
        for slug, user_id in ((SLUG, 5), (OTHER_SLUG, 6)):
            async with here.joined_by("plain", slug, user_id=user_id):
                pass
        await let_nobody_in(here.connect("plain", token="x"))
        await wait_all_tasks_blocked()
        page = await shown(here, "/admin/closed", retreats=(SLUG,))
        assert [each["userId"] for each in page["closed"]] == [5]
        assert (page["total"], page["counts"]) == (1, None)


@pytest.mark.parametrize("query", ["userId=0", "userId=x", "accepted=yes", "limit=501"])
async def test_a_query_for_closed_ones_that_means_nothing_is_400(query: str) -> None:
    async with world() as here:
        bearer = here.bearer(role=Role.ADMIN_MINISTER)
        response = await here.get(f"/admin/closed?{query}", bearer)
        assert response.status == 400
