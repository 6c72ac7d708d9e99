"""A scenario of one's own runs from a seed: the same each time, whatever the seed does to it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter

import pytest
import trio

from gbs_actor.testing import (
    LineupServer,
    Peer,
    PeerClosed,
    PeerRefused,
    RuleBroken,
    SimStore,
    Trace,
    simulate,
)

EVERYTHING = ("bytes", "latency", "slow", "store", "cuts")
EDIT = {"lineupId": 20, "gbsNumber": 3}


async def edit_together(server: LineupServer) -> None:
    """Three clients edit at once; each is told of what the others do."""
    peers = [
        await server.peer(user=1, join="winter"),
        await server.peer("plain", user=2, join="winter", batch=True),
        await server.peer("polling", user=3, join="winter"),
    ]

    async def edit(peer: Peer) -> None:
        for number in (2, 3, 4):
            reply = await peer.call("update-gbs-number", {"lineupId": 20, "gbsNumber": number})
            assert reply.ok

    async with trio.open_nursery() as nursery:
        for peer in peers:
            nursery.start_soon(edit, peer)


async def insist(server: LineupServer) -> None:
    """Two clients edit until they are told that it is done, over however many connections."""

    async def edit(peer: Peer) -> None:
        for number in range(2, 8):
            ok = False
            while not ok:
                try:
                    if peer.closed.is_set():
                        await peer.reconnect()
                        if peer.protocol != "plain" and not peer.recovered:
                            await peer.join("winter")
                    command = {"lineupId": 19, "gbsNumber": number % 4 + 2}
                    ok = (await peer.call("update-gbs-number", command)).ok
                except (PeerClosed, PeerRefused):
                    continue
                if not ok:
                    await trio.sleep(0.5)  # without a pause, the clock would stand

    mina = await connected(server, 1, "socketio")
    joon = await connected(server, 2, "plain")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(edit, mina)
        nursery.start_soon(edit, joon)


async def connected(server: LineupServer, user: int, protocol: str) -> Peer:
    while True:
        try:
            if protocol == "plain":
                return await server.peer("plain", user=user, join="winter")
            return await server.peer(user=user, join="winter", recovery=True)
        except (PeerClosed, PeerRefused):
            continue


@pytest.mark.parametrize("seed", range(6))
def test_what_a_scenario_asserts_holds_for_all_that_no_client_need_notice(seed: int) -> None:
    trace = simulate(edit_together, seed=seed)
    assert trace.seed == seed
    assert trace.counters["answer: OK"] >= 9


@pytest.mark.parametrize("seed", range(6))
def test_a_scenario_that_handles_them_survives_all_faults(seed: int) -> None:
    simulate(insist, seed=seed, faults=EVERYTHING)


def test_each_fault_happens() -> None:
    counters: Counter[str] = Counter()
    connections = 0
    for seed in range(16):
        trace = simulate(insist, seed=seed, faults=EVERYTHING)
        counters.update(trace.counters)
        connections += trace.counters["moment: Opened"]
    assert connections > 2 * 16
    assert {"commit: SLOW", "commit: LOST_AFTER", "read: SLOW"} <= counters.keys()


def test_without_faults_nothing_takes_any_time() -> None:
    trace = simulate(edit_together, seed=1, faults=False)
    assert len({moment.at for moment in trace.history.moments}) == 1
    assert simulate(edit_together, seed=1).history.moments[-1].at > 0


def test_the_same_seed_is_the_same_run_in_every_process() -> None:
    script = (
        "from gbs_actor.testing import simulate\n"
        "from tests.testing.test_simulate import EVERYTHING, insist\n"
        "print(simulate(insist, seed=3, faults=EVERYTHING).hash)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONHASHSEED": "11"},
        capture_output=True,
        text=True,
        check=True,
    )
    hashes = {simulate(insist, seed=3, faults=EVERYTHING).hash for _ in range(2)}
    assert hashes == {done.stdout.strip()}
    assert simulate(insist, seed=4, faults=EVERYTHING).hash not in hashes


def test_an_exception_says_how_to_repeat_it() -> None:
    async def hasty(server: LineupServer) -> None:
        mina = await server.peer(user=1, join="winter")
        assert (await mina.call("update-gbs-number", EDIT)).revision == 2

    with pytest.raises(AssertionError) as caught:
        simulate(hasty, seed=41, faults=("bytes",))
    assert caught.value.__notes__ == ["To repeat it: simulate(hasty, seed=41, faults=('bytes',))"]


def test_the_trace_has_what_each_peer_received() -> None:
    async def two(server: LineupServer) -> None:
        mina = await server.peer(user=1, join="winter")
        joon = await server.peer("plain", user=2, join="winter")
        await mina.call("update-gbs-number", EDIT)
        await joon.event("lineup-updated")

    trace = simulate(two, seed=0)
    names = [each.name for each in trace.received[2]]
    assert names[0] == "initial-data"
    assert "lineup-updated" in names[1:]
    assert trace.received[1][-1].kind == "reply"
    assert "asks for update-gbs-number in winter on 1: " in str(trace)


def test_a_fault_of_the_server_is_found_whatever_is_asserted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def commit(*_: object) -> None:
        await trio.lowlevel.checkpoint()

    monkeypatch.setattr(SimStore, "commit", commit)
    with pytest.raises(RuleBroken, match="!!!!!!!!  durable-when-seen: "):
        simulate(edit_together, seed=0, faults=False)


def test_what_a_scenario_does_to_the_server_is_judged_as_well() -> None:
    async def restart(server: LineupServer) -> None:
        mina = await server.peer(user=1, join="winter", recovery=True)
        await mina.call("update-gbs-number", EDIT)
        await server.restart(kill=True)
        await mina.reconnect()
        await mina.join("winter")
        async with server.client(user=5) as client:
            await client.assign(19, 4)
        assert (await mina.event("lineup-updated", where=lambda row: row["id"] == 19))["revision"]

    for seed in range(4):
        assert isinstance(simulate(restart, seed=seed), Trace)


def test_retreats_and_settings_are_the_scenarios() -> None:
    async def busy(server: LineupServer) -> None:
        mina = await server.peer(user=1, join="summer")
        assert server.settings.rooms.mailbox_size == 5
        assert (await mina.call("update-gbs-number", EDIT)).ok

    simulate(busy, seed=0, retreats=["summer"], settings={"rooms": {"mailbox_size": 5}})


def test_an_unknown_fault_is_refused() -> None:
    with pytest.raises(ValueError, match="no fault 'fire'; there are bytes, latency, "):
        simulate(edit_together, seed=0, faults=("fire",))
