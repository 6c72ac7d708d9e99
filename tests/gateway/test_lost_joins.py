"""Who loses the answer to its join does not resume in that room: it has no list of it."""

from __future__ import annotations

from trio.testing import MockClock

from gbs_actor.testing import LineupServer, Peer, lineup_server

RETREATS = ("winter", "summer")


async def edit(server: LineupServer, retreat: str, times: int) -> None:
    """Let somebody else change a room."""
    editor = await server.peer(user=2)
    person = (await editor.join(retreat)).data[-1]["id"]  # is in no group, so leads none
    for number in range(1, times + 1):
        reply = await editor.call("update-gbs-number", {"lineupId": person, "gbsNumber": number})
        assert reply.ok


async def lose_answer(peer: Peer, server: LineupServer, retreat: str) -> None:
    """Join a room, and lose the connection before anything of it arrives."""
    peer.stream.pause()
    await peer.emit("join-retreat", retreat)
    await server.settle()
    peer.stream.cut()
    await peer.closed.wait()


async def test_who_loses_the_answer_to_a_move_does_not_resume_without_the_list(
    autojump_clock: MockClock,
) -> None:
    async with lineup_server(retreats=RETREATS) as server:
        mover = await server.peer(join="winter", recovery=True)
        await edit(server, "winter", 3)
        await server.settle()
        assert mover.offset == "3"
        await lose_answer(mover, server, "summer")
        await mover.reconnect()
        assert not mover.recovered
        assert (await mover.join("summer")).data


async def test_who_loses_the_answer_in_a_new_session_does_not_resume_without_the_list(
    autojump_clock: MockClock,
) -> None:
    async with lineup_server(retreats=RETREATS) as server:
        mover = await server.peer(join="winter", recovery=True)
        await edit(server, "winter", 3)
        await server.settle()
        await mover.emit("leave-retreat", "winter")
        await server.settle()
        await mover.reconnect()
        assert not mover.recovered  # so it may have dropped its list
        await lose_answer(mover, server, "winter")
        mover.offset = "3"  # stock clients keep it
        await mover.reconnect()
        assert not mover.recovered


async def test_who_has_the_answer_to_a_move_resumes_in_a_room_where_nothing_happens(
    autojump_clock: MockClock,
) -> None:
    async with lineup_server(retreats=RETREATS) as server:
        mover = await server.peer(join="winter", recovery=True)
        await edit(server, "winter", 3)
        await server.settle()
        await mover.join("summer")
        await server.settle()
        assert mover.offset == "0"
        mover.stream.cut()
        await mover.reconnect()
        assert mover.recovered
        mover.stream.cut()
        await server.restart(kill=True)
        await mover.reconnect()
        assert mover.recovered
        await edit(server, "summer", 1)
        assert (await mover.event("lineup-updated"))["gbsNumber"] == 1


async def test_who_has_the_answer_to_a_move_resumes_after_a_second_move_to_and_fro(
    autojump_clock: MockClock,
) -> None:
    async with lineup_server(retreats=RETREATS) as server:
        mover = await server.peer(join="winter", recovery=True)
        await edit(server, "winter", 3)
        for retreat in ("summer", "winter"):
            await mover.join(retreat)
            await server.settle()
            mover.stream.cut()
            await edit(server, retreat, 1)
            await mover.reconnect()
            assert mover.recovered
