"""One room, ten clients of every kind, edits in every way: one log, one list, nothing lost."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from uuid import UUID

import httpx
import pytest
import trio

from tests.e2e.server_process import RETREAT, ServerProcess, running_server, token
from tests.faults.database import contents
from tests.mixed.edit import Accepted, Edit
from tests.mixed.peers import PATIENCE, Peer, Way, http_peer, plain_peer
from tests.mixed.socketio_peer import SocketIOPeer, socketio_peer
from tests.mixed.view import Row

EDITS = 2_000
HANDS = 4
"""Edits of one client that are under way at the same time."""


@pytest.fixture
def server() -> Iterator[ServerProcess]:
    with running_server(
        environment={"GBS_EVENT_RATE": "100000", "GBS_EVENT_BURST": "100000"}
    ) as running:
        yield running


class Editor:
    """A person at one client, who moves people about and keeps memos of their own."""

    def __init__(self, peer: Peer, seed: int, people: Sequence[int], memos: Sequence[int]) -> None:
        self.peer = peer
        self.accepted: dict[UUID, Accepted] = {}
        self._chance = random.Random(seed)
        self._people = people
        self._memos = memos
        """Registrations that only this one gives memos to: two would be a conflict."""
        self._progress = trio.Event()

    async def work(self, edits: int) -> None:
        """Give so many edits, several at a time."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._keep_memos, edits // HANDS)
            for _ in range(HANDS - 1):
                nursery.start_soon(self._move_people, edits // HANDS)

    async def until(self, accepted: int) -> None:
        """Wait until so many edits are accepted."""
        while len(self.accepted) < accepted:
            await self._progress.wait()

    async def _give(self, event: str, target: int, **content: object) -> Row:
        edit = Edit(UUID(int=self._chance.getrandbits(128), version=4), event, target, content)
        accepted = self.accepted[edit.command_id] = await self.peer.edit(edit)
        self._progress.set()
        self._progress = trio.Event()
        return accepted.row

    async def _move_people(self, edits: int) -> None:
        for _ in range(edits):
            number = self._chance.randint(1, 30)
            person = self._chance.choice(self._people)
            row = await self._give("update-gbs-number", person, gbsNumber=number)
            assert row["id"] == person

    async def _keep_memos(self, edits: int) -> None:
        memo_id = 0
        for at in range(edits):
            text = f"메모 {at}"
            match at % 3:
                case 0:
                    person = self._memos[at // 3 % len(self._memos)]
                    row = await self._give("create-lineup-memo", person, memo=text)
                    memo_id = row["lineupMemoId"]
                case 1:
                    row = await self._give("update-lineup-memo", memo_id, memo=text)
                case _:
                    row = await self._give("delete-lineup-memo", memo_id)
                    text = ""
            assert row["lineupMemo"] == text


async def upgrade_in_the_middle(editor: Editor, peer: SocketIOPeer, edits: int) -> None:
    await editor.until(edits // 3)
    await peer.upgrade()
    assert len(editor.accepted) < edits, "too late to be in the middle"


async def test_ten_clients_of_every_kind_edit_one_room(server: ServerProcess) -> None:
    limits = httpx.Limits(max_connections=None)
    async with (
        httpx.AsyncClient(base_url=server.url, timeout=PATIENCE, limits=limits) as http,
        trio.open_nursery() as tasks,
    ):
        upgrading = [
            await socketio_peer(tasks, server, http, token(101), "polling"),
            await socketio_peer(tasks, server, http, token(102), "polling"),
        ]
        peers: list[Peer] = [
            *upgrading,
            await socketio_peer(tasks, server, http, token(103), "polling"),
            await socketio_peer(tasks, server, http, token(104), "polling"),
            await socketio_peer(tasks, server, http, token(105), "websocket"),
            await socketio_peer(tasks, server, http, token(106), "websocket"),
            await plain_peer(tasks, server, token(107), by="header"),
            await plain_peer(tasks, server, token(108), by="subprotocol"),
            await http_peer(tasks, http, token(109)),
            await http_peer(tasks, http, token(110)),
        ]
        rows = peers[0].view.rows.values()
        people = [row["id"] for row in rows if not row["isLeader"]]
        free = [row["id"] for row in rows if row["lineupMemoId"] is None]
        each = len(free) // len(peers)
        editors = [
            Editor(peer, seed, people, free[seed * each : (seed + 1) * each])
            for seed, peer in enumerate(peers)
        ]
        edits = EDITS // len(editors)
        async with trio.open_nursery() as nursery:
            for editor in editors:
                nursery.start_soon(editor.work, edits)
            for editor, peer in zip(editors, upgrading, strict=False):
                nursery.start_soon(upgrade_in_the_middle, editor, peer, edits)

        await check_log(server, editors, EDITS)
        await check_views(server, peers)
        ways: Counter[Way] = sum((peer.ways for peer in peers), Counter())
        assert min(ways[way] for way in ("polling", "websocket", "plain", "http")) >= 400
        assert all(peer.ways["polling"] and peer.ways["websocket"] for peer in upgrading)
        tasks.cancel_scope.cancel()


async def check_log(server: ServerProcess, editors: list[Editor], edits: int) -> None:
    """Every edit is in the log once, under the revision it was accepted with, and nothing else."""
    stored = await contents(server)
    assert [entry.revision for entry in stored.log] == list(range(1, edits + 1))
    accepted = {
        command_id: answer.revision
        for editor in editors
        for command_id, answer in editor.accepted.items()
    }
    assert {entry.command_id: entry.revision for entry in stored.log} == accepted


async def check_views(server: ServerProcess, peers: Sequence[Peer]) -> None:
    """Everybody has the list that the database has, and got it in ascending order."""
    rows = await trio.to_thread.run_sync(
        server.get, f"/api/v1/retreat/{RETREAT}/line-up/user-lineups", token()
    )
    final = {row["id"]: row for row in rows["userRetreatGbsLineups"]}
    stored = await contents(server)
    assert {row["id"]: row["gbsNumber"] for row in final.values()} == stored.numbers
    for peer in peers:
        with trio.fail_after(30):
            await peer.view.until(final)
        assert peer.view.revisions == sorted(peer.view.revisions)
        assert set(peer.view.updates.values()) <= {1}, "an update came twice"
