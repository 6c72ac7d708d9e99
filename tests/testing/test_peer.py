from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

from gbs_actor.testing import Conditions, Fault, Peer, PeerClosed, Received, lineup_server
from gbs_actor.testing.peers import PeerProtocol

PROTOCOLS: tuple[PeerProtocol, ...] = ("socketio", "polling", "upgraded", "plain")


async def test_an_event_is_returned_once_and_others_are_left(autojump_clock: MockClock) -> None:
    async with lineup_server() as server:
        peer = await server.peer(join="winter")
        for number in (3, 4):
            await peer.call("update-gbs-number", {"lineupId": 20, "gbsNumber": number})
        moved = [
            await peer.event("lineup-updated", where=lambda row: row["id"] == 20) for _ in "ab"
        ]
        assert [row["gbsNumber"] for row in moved] == [3, 4]
        assert (await peer.event("room-presence"))["total"] == 1
        with pytest.raises(AssertionError, match="no lineup-updated as wanted came within 2 s"):
            await peer.event("lineup-updated", within=2, where=lambda row: row["id"] == 20)


async def test_an_event_that_is_there_needs_no_time(autojump_clock: MockClock) -> None:
    async with lineup_server() as server:
        peer = await server.peer(join="winter")
        await server.settle()
        assert (await peer.event("room-presence", within=0))["total"] == 1
        with pytest.raises(AssertionError, match="no lineup-updated came within 0 s"):
            await peer.event("lineup-updated", within=0)


async def test_what_came_instead_is_listed(autojump_clock: MockClock) -> None:
    async with lineup_server() as server:
        peer = await server.peer(join="winter")
        before = trio.current_time()
        with pytest.raises(AssertionError) as failure:
            await peer.event("lineup-updated")
        assert trio.current_time() == before + 5
        lines = str(failure.value).splitlines()
        assert lines[0] == "no lineup-updated came within 5 s; received:"
        received = [line.split(":")[0].strip() for line in lines[1:]]
        assert received[:2] == ["connected", "reply"]
        assert set(received[2:]) == {"event room-presence"}


async def test_no_event_waits_for_what_happens_at_this_instant(autojump_clock: MockClock) -> None:
    async with lineup_server() as server:
        mina = await server.peer(user=1, join="winter")
        joon = await server.peer(user=2, join="winter")
        await joon.no_event("lineup-updated")
        await mina.emit("update-gbs-number", {"lineupId": 20, "gbsNumber": 3})
        with pytest.raises(AssertionError, match="there is event lineup-updated"):
            await joon.no_event("lineup-updated")


async def test_no_event_waits_as_long_as_it_is_told(autojump_clock: MockClock) -> None:
    async with lineup_server() as server:
        mina = await server.peer(user=1, join="winter")
        joon = await server.peer(user=2, join="winter")
        await joon.no_event("user-editing", within=1)
        await mina.emit("user-editing", {"lineupId": 20})
        with pytest.raises(AssertionError, match="user-editing"):
            await joon.no_event("user-editing", within=1)


async def test_received_has_everything_in_order(autojump_clock: MockClock) -> None:
    heard: list[Received] = []
    async with lineup_server() as server:
        peer = await server.peer(join="winter", on_message=heard.append)
        await peer.call("update-gbs-number", {"lineupId": 20, "gbsNumber": None})
        await server.settle()
        assert [each.name or each.kind for each in peer.received[:2]] == ["connected", "reply"]
        assert heard == peer.received
        peer.forget()
        assert peer.received == []
        await peer.no_event("room-presence")


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_events_that_do_not_wait_for_each_other_have_their_own_replies(
    autojump_clock: MockClock, protocol: PeerProtocol
) -> None:
    async with lineup_server() as server:
        peer = await server.peer(protocol, join="winter")
        server.store.fail(Fault.SLOW)
        first, second = [
            await peer.begin("update-gbs-number", {"lineupId": 20, "gbsNumber": number})
            for number in (3, 4)
        ]
        assert (await peer.reply(second)).revision == 2
        assert (await peer.reply(first))["data"]["gbsNumber"] == 3
        numbers = [row["gbsNumber"] for row in peer.named("lineup-updated") if row["id"] == 20]
        assert numbers == [3, 4]


async def test_a_reply_that_cannot_come_any_more_is_not_waited_for(
    autojump_clock: MockClock,
) -> None:
    async with lineup_server() as server:
        peer = await server.peer(join="winter")
        server.store.fail(Fault.SLOW)
        edit = await peer.begin("update-gbs-number", {"lineupId": 20, "gbsNumber": 3})
        peer.stream.cut()
        with pytest.raises(PeerClosed, match="before the answer"):
            await peer.reply(edit)


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_who_declines_presence_is_not_sent_it_each_time(
    autojump_clock: MockClock, protocol: PeerProtocol
) -> None:
    async with lineup_server() as server:
        declining = await server.peer(protocol, user=1, join="winter", presence=False)
        other = await server.peer(user=2, join="winter")
        await other.event("room-presence", where=lambda presence: presence["total"] == 2)
        assert {each["total"] for each in declining.named("room-presence")} == {1}


async def test_the_end_of_the_namespace_is_noticed_though_the_connection_lives(
    autojump_clock: MockClock,
) -> None:
    async with lineup_server() as server:
        peer = await server.peer(join="winter", token=server.token(expires_in=10))
        await trio.sleep(100)
        assert not peer.disconnected.is_set()
        await trio.sleep(60)
        assert peer.disconnected.is_set()
        assert not peer.closed.is_set()
        await peer.reconnect(token=server.token())
        assert not peer.disconnected.is_set()


async def ask_in_vain(peer: Peer) -> None:
    with pytest.raises(PeerClosed, match="before update-gbs-number was answered"):
        await peer.call("update-gbs-number", {"lineupId": 20, "gbsNumber": 3})


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_a_cut_is_noticed_and_what_waits_is_told(
    autojump_clock: MockClock, protocol: PeerProtocol
) -> None:
    async with lineup_server() as server:
        peer = await server.peer(protocol, join="winter")
        server.store.fail(Fault.SLOW)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask_in_vain, peer)
            await server.settle()
            peer.stream.cut()
        assert peer.closed.is_set()
        assert peer.close_code is None
        with pytest.raises(AssertionError, match=r"the connection has ended \(broken"):
            await peer.event("error")


@pytest.mark.parametrize("protocol", ["socketio", "polling", "upgraded"])
async def test_a_cut_session_is_recovered_with_what_it_missed(
    autojump_clock: MockClock, protocol: PeerProtocol
) -> None:
    async with lineup_server() as server:
        mina = await server.peer(user=1, join="winter")
        joon = await server.peer(protocol, user=2, join="winter", recovery=True)
        await joon.event("room-presence")
        sid = joon.sid
        joon.stream.cut()
        await joon.closed.wait()
        await mina.call("update-gbs-number", {"lineupId": 20, "gbsNumber": 3})
        await joon.reconnect()
        assert (joon.recovered, joon.sid) == (True, sid)
        row = await joon.event("lineup-updated", where=lambda row: row["id"] == 20)
        assert row["gbsNumber"] == 3


async def test_a_recovery_holds_after_a_kill_but_not_if_it_is_not_asked_for(
    autojump_clock: MockClock,
) -> None:
    async with lineup_server() as server:
        peer = await server.peer(join="winter", recovery=True)
        await peer.event("room-presence")
        await trio.sleep(5)  # where a session is, is stored now and then
        await server.restart(kill=True)
        await peer.reconnect()
        recovered = peer.recovered
        await peer.reconnect(recover=False)
        assert (recovered, peer.recovered) == (True, False)
        assert (await peer.call("gbslist", {})).code == "NOT_IN_ROOM"


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_a_peer_that_pauses_harms_no_other(
    autojump_clock: MockClock, protocol: PeerProtocol
) -> None:
    async with lineup_server() as server:
        slow = await server.peer(protocol, user=1, join="winter")
        mina = await server.peer(user=2, join="winter")
        await server.settle()
        slow.stream.pause()
        slow.forget()
        for number in range(1, 30):
            reply = await mina.call("update-gbs-number", {"lineupId": 20, "gbsNumber": number})
            assert reply.ok
            await trio.sleep(0.2)
        assert slow.received == []
        slow.stream.resume()
        row = await slow.event("lineup-updated", where=lambda row: row["gbsNumber"] == 29)
        assert row["id"] == 20


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_bytes_may_come_one_by_one_and_late(
    autojump_clock: MockClock, protocol: PeerProtocol
) -> None:
    async with lineup_server(people=3) as server:
        peer = await server.peer(protocol, join="winter")
        peer.stream.split(1)
        assert (await peer.call("gbslist", {})).ok


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_a_peer_closes_properly(autojump_clock: MockClock, protocol: PeerProtocol) -> None:
    async with lineup_server() as server:
        peer = await server.peer(protocol, join="winter")
        await peer.close()
        assert peer.closed.is_set()
        await peer.close()
        await server.settle()
        assert server.room("winter").subscribers == ()


async def test_a_cookie_carries_the_token_too(autojump_clock: MockClock) -> None:
    async with lineup_server() as server:
        for protocol in PROTOCOLS:
            peer = await server.peer(protocol, join="winter", cookie=True)
            assert (await peer.call("gbslist", {})).ok


async def test_conditions_are_those_of_the_server_or_its_own(autojump_clock: MockClock) -> None:
    from random import Random

    conditions = Conditions(random=Random(1), latency=1.0, splits=0.5, partial_sends=0.5)
    async with lineup_server(conditions=conditions) as server:
        await server.peer(join="winter")
        assert 0 < trio.current_time() < 10
    before = trio.current_time()
    async with lineup_server() as server:
        await server.peer(join="winter")
        assert trio.current_time() == before
