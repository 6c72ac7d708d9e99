"""A stream of edits by several clients that goes on through every fault."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from uuid import UUID

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


@dataclass
class Editors:
    """Clients that edit all the time."""

    clients: list[Client]
    acknowledged: list[Edit] = field(default_factory=list)
    refused: list[CommandFailed] = field(default_factory=list)
    _progress: trio.Event = field(default_factory=trio.Event)
    _stopping: bool = False

    async def edit(self, client: Client, seed: int) -> None:
        """Assign people to groups, one right after the other, until told to stop.

        Nearly always a commit is under way, then: a fault has something to cut.

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
) -> AsyncIterator[Editors]:
    """Editors at work for the time of a block, and clients that only look on.

    Behind the block the edits under way are finished, and everything is checked: nothing
    acknowledged is lost, nothing happened twice, everybody sees the same.

    :param claims: of the editors' tokens, further ones.
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
        editors = Editors(clients)
        async with trio.open_nursery() as nursery:
            for seed, client in enumerate(clients[:count]):
                nursery.start_soon(editors.edit, client, seed)
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

    given = {edit.command_id: edit.number for edit in editors.acknowledged}
    for entry in stored.log:
        if entry.command_id in given and entry.registration_id is not None:
            last = max(
                it.revision for it in stored.log if it.registration_id == entry.registration_id
            )
            if entry.revision == last:
                assert stored.numbers[entry.registration_id] == given[entry.command_id]

    with trio.fail_after(30):
        for client in editors.clients:
            await client.until(
                lambda client: {row.id: row.gbs_number for row in client.rows} == stored.numbers
            )
    for client in editors.clients:
        with trio.fail_after(5):  # totals may come a frame later than the numbers
            await client.until(lambda client: client.rows == editors.clients[0].rows)
        assert client.statistics().backward_merges == 0
