"""A stream of edits by several clients that goes on through every fault."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from uuid import UUID

import httpx
import trio

from gbs_actor.client import Backoff, Client, CommandFailed, Disconnected, connect
from tests.e2e.server_process import RETREAT, ServerProcess, token
from tests.faults.database import contents

IMPATIENT = Backoff(initial=0.05, maximum=0.5)
STALLED = 60.0
"""Seconds without a single acknowledged edit that nothing excuses."""


@dataclass(frozen=True)
class Edit:
    """An assignment that the server said yes to."""

    command_id: UUID
    registration_id: int
    number: int


@dataclass(frozen=True)
class Bulk:
    """A bulk edit that the server said yes to."""

    command_id: UUID
    numbers: Mapping[int, int]
    """By registration."""


@dataclass
class Editors:
    """Clients that edit all the time."""

    clients: list[Client]
    pause: float = 0.0
    """Seconds between two edits of each."""
    acknowledged: list[Edit] = field(default_factory=list)
    refused: list[CommandFailed] = field(default_factory=list)
    bulks: list[Bulk] = field(default_factory=list)
    initial: dict[int, int | None] = field(default_factory=dict)
    """Everybody's group before the first edit."""
    undos: dict[UUID, UUID] = field(default_factory=dict)
    """The ids of those that the server said yes to: of the undo, and of what it has undone."""
    _progress: trio.Event = field(default_factory=trio.Event)
    _stopping: bool = False

    async def edit(self, client: Client, seed: int) -> None:
        """Assign people to groups, one right after the other, until told to stop.

        Without a pause a commit is under way nearly always: a fault has something to cut.

        A command without an answer is given again with its id, however long it takes.
        """
        chance = random.Random(seed)
        people = [row.id for row in client.rows if not row.is_leader]
        while not self._stopping:
            edit = Edit(
                UUID(int=chance.getrandbits(128), version=4),
                chance.choice(people),
                chance.randint(1, 30),
            )
            await self._carry_out(client, edit)
            await trio.sleep(self.pause)

    async def edit_many(self, server: ServerProcess, bearer: str, seed: int) -> None:
        """Assign many people at once over HTTP, and undo some of that, until told to stop.

        A request without an answer is sent again with its key, however long it takes.
        """
        chance = random.Random(seed)
        people = [row.id for row in self.clients[0].rows if not row.is_leader]
        async with httpx.AsyncClient(headers={"Authorization": f"Bearer {bearer}"}) as http:
            while not self._stopping:
                numbers = {each: chance.randint(1, 30) for each in chance.sample(people, 25)}
                bulk = Bulk(UUID(int=chance.getrandbits(128), version=4), numbers)
                items = [{"lineupId": id_, "gbsNumber": to} for id_, to in numbers.items()]
                await self._send(
                    http, server, "bulk-assign-gbs", bulk.command_id, {"assignments": items}
                )
                self.bulks.append(bulk)
                if chance.random() < 0.5:
                    undo = UUID(int=chance.getrandbits(128), version=4)
                    wanted = {"commandId": str(bulk.command_id), "onConflict": "skip"}
                    await self._send(http, server, "undo", undo, wanted)
                    self.undos[undo] = bulk.command_id

    async def _send(
        self,
        http: httpx.AsyncClient,
        server: ServerProcess,
        path: str,
        key: UUID,
        content: Mapping[str, object],
    ) -> None:
        url = f"/api/v1/retreat/{RETREAT}/line-up/{path}"
        while True:
            try:
                response = await http.post(
                    server.url + url, json=content, headers={"Idempotency-Key": str(key)}
                )
            except httpx.TransportError:
                await trio.sleep(IMPATIENT.initial)
                continue
            if response.status_code == 200:
                return
            assert response.status_code in {503, 504}, response.text
            await trio.sleep(IMPATIENT.initial)

    async def _carry_out(self, client: Client, edit: Edit) -> None:
        while True:
            try:
                await client.assign(edit.registration_id, edit.number, command_id=edit.command_id)
            except Disconnected:
                continue
            except CommandFailed as refusal:
                self.refused.append(refusal)
                return
            self.acknowledged.append(edit)
            self._progress.set()
            self._progress = trio.Event()
            return

    async def more(self, count: int) -> None:
        """Wait until so many more edits are acknowledged."""
        target = len(self.acknowledged) + count
        with trio.fail_after(STALLED):
            while len(self.acknowledged) < target:
                await self._progress.wait()

    def stop(self) -> None:
        """Let every editor finish the edit in hand and end."""
        self._stopping = True


@asynccontextmanager
async def editing(
    server: ServerProcess,
    *,
    count: int = 4,
    claims: Mapping[str, object] | None = None,
    backoff: Backoff = IMPATIENT,
    bulks: bool = False,
    pause: float = 0.0,
) -> AsyncIterator[Editors]:
    """Editors at work for the time of a block, and clients that only look on.

    Behind the block the edits under way are finished, and everything is checked: nothing
    acknowledged is lost, nothing happened twice, everybody sees the same.

    :param claims: of the editors' tokens, further ones.
    :param pause: seconds between two edits of an editor, where others share this process that
        could not keep up with editors at full speed.
    :param bulks: whether somebody edits many people at once, too, and undoes some of that.
    """
    async with AsyncExitStack() as stack:
        clients = [
            await stack.enter_async_context(
                connect(
                    server.url,
                    token(100 + at, f"간사{at}", **(claims or {})),  # type: ignore[arg-type]
                    backoff=backoff,
                    attempt_timeout=5,
                    command_timeout=STALLED,
                )
            )
            for at in range(count + 2)
        ]
        for client in clients:
            await client.join(RETREAT)
        editors = Editors(clients, pause)
        editors.initial = {row.id: row.gbs_number for row in clients[0].rows}
        async with trio.open_nursery() as nursery:
            for seed, client in enumerate(clients[:count]):
                nursery.start_soon(editors.edit, client, seed)
            if bulks:
                nursery.start_soon(editors.edit_many, server, token(99, "간사"), 99)
            yield editors
            editors.stop()
        await _check(server, editors)


async def _check(server: ServerProcess, editors: Editors) -> None:
    stored = await contents(server)
    revisions = [entry.revision for entry in stored.log]
    assert revisions == list(range(1, stored.revision + 1)), "a gap or a repeat in the log"

    logged = {entry.command_id: entry for entry in stored.log}
    assert len(logged) == len(stored.log), "a command is in the log twice"
    for edit in editors.acknowledged:
        assert edit.command_id in logged, f"{edit} was acknowledged and is not in the log"
        assert logged[edit.command_id].registration_id == edit.registration_id

    # Who got a refusal asked for it: a stream like this gives no reason for any.
    assert not editors.refused, [str(refusal) for refusal in editors.refused]

    singles = {edit.command_id: edit for edit in editors.acknowledged}
    bulks = {bulk.command_id: bulk for bulk in editors.bulks}
    for command_id in (*bulks, *editors.undos):
        assert command_id in logged, f"{command_id} was acknowledged and is not in the log"
    numbers = dict(editors.initial)
    before: dict[UUID, dict[int, int | None]] = {}
    for entry in stored.log:
        before[entry.command_id] = {id_: numbers.get(id_) for id_ in entry.numbers}
        numbers.update(entry.numbers)
        if (single := singles.get(entry.command_id)) is not None:
            assert numbers[single.registration_id] == single.number
        if (bulk := bulks.get(entry.command_id)) is not None:
            found = {id_: numbers.get(id_) for id_ in bulk.numbers}
            assert found == bulk.numbers, "a bulk edit was done in part"
        if (undone := editors.undos.get(entry.command_id)) is not None:
            for id_, number in entry.numbers.items():
                assert before[undone].get(id_, number) == number, "an undo put back something else"
    assert numbers == stored.numbers, "the rows are not what the log made of them"

    with trio.fail_after(30):
        for client in editors.clients:
            await client.until(
                lambda client: {row.id: row.gbs_number for row in client.rows} == stored.numbers
            )
    for client in editors.clients:
        with trio.fail_after(30):  # totals may come a frame later than the numbers
            await client.until(lambda client: client.rows == editors.clients[0].rows)
        assert client.statistics().backward_merges == 0
