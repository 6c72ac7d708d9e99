"""Whether each server sees what the others do, and how soon."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import trio

from gbs_actor.client import Backoff, Client, connect
from tests.cluster.cluster import Cluster
from tests.cluster.ledger import Edit
from tests.cluster.plan import Plan
from tests.cluster.writers import ANSWER, PATIENCE, OwnWriter
from tests.e2e.server_process import RETREAT

RECOVERY = 120.0
"""Seconds after which a cluster should have recovered from anything."""
IMPATIENT = Backoff(initial=0.05, maximum=0.25)
FIRST_USER = 900


@dataclass
class Probes:
    """A client of our own on each server, with a memo to write."""

    writers: Mapping[str, OwnWriter]
    """By the server's name."""
    _clients: Mapping[str, Client]
    _turn: int = 0
    _longest: float = 0.0

    async def exchange(self, nodes: Collection[str]) -> float:
        """Edit on each of these servers; return when each edit is seen on all of them.

        :returns: the longest time in seconds from an acknowledgement until another server's
            client has seen the edit.
        """
        self._turn += 1
        self._longest = 0.0
        with trio.fail_after(RECOVERY):
            async with trio.open_nursery() as nursery:
                for name in nodes:
                    nursery.start_soon(self._edit, name, nodes)
        return self._longest

    async def _edit(self, name: str, nodes: Collection[str]) -> None:
        person = self.writers[name].plan.memo_of
        assert person is not None
        row = self._clients[name].row(person)
        assert row is not None
        edit = Edit(person, "lineupMemo", f"{name} {self._turn}", row.lineup_memo_id)
        async with trio.open_nursery() as nursery:
            for other in set(nodes) - {name}:
                nursery.start_soon(self._see, other, edit)
            await self.writers[name].give(edit)
            assert edit.refused is None, edit
            acknowledged = trio.current_time()
        self._longest = max(self._longest, trio.current_time() - acknowledged)

    async def _see(self, name: str, edit: Edit) -> None:
        def seen(client: Client) -> bool:
            row = client.row(edit.person)
            return row is not None and row.lineup_memo == edit.value

        await self._clients[name].until(seen)


@asynccontextmanager
async def probes(cluster: Cluster, people: Sequence[int]) -> AsyncIterator[Probes]:
    """Connect a client to each server for the time of a block.

    :param people: registrations without a memo, one for each server.
    """
    async with AsyncExitStack() as stack:
        clients: dict[str, Client] = {}
        writers: dict[str, OwnWriter] = {}
        for at, (name, node) in enumerate(cluster.nodes.items()):
            plan = Plan("probe", FIRST_USER - 1000 + at, node.url, (), people[at], 0)
            client = clients[name] = await stack.enter_async_context(
                connect(
                    node.url,
                    plan.token,
                    connect_timeout=PATIENCE,
                    attempt_timeout=ANSWER,
                    command_timeout=PATIENCE,
                    backoff=IMPATIENT,
                )
            )
            await client.join(RETREAT)
            writers[name] = OwnWriter(plan, client)
        yield Probes(writers, clients)
