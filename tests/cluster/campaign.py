"""Faults under load: clients of every kind edit on a cluster while its parts fail."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path

import trio

from tests.cluster.cluster import Cluster
from tests.cluster.faults import Fault
from tests.cluster.ledger import acknowledged
from tests.cluster.plan import planned
from tests.cluster.probes import RECOVERY, Probes, probes
from tests.cluster.swarm import TRANSPORTS, Swarm, swarm
from tests.cluster.verification import Counts, check
from tests.cluster.writers import Writer, writers
from tests.faults.database import Contents, contents_at

MOMENT = 0.2
"""Seconds behind the begin of edits within which a fault happens."""
SAMPLE = 0.1
"""Seconds between two looks at how many edits are acknowledged."""
EQUAL = 30.0
"""Seconds after the last edit within which all have to show the same."""


@dataclass(frozen=True)
class Outcome:
    """One fault."""

    fault: str
    node: str
    lasted: float
    """Seconds from its begin until its end was begun: until the start of a server, for instance."""
    recovery: float
    """Seconds from there until all servers were ready, and each saw an edit of every other one."""
    lag_during: float | None
    """Seconds after its acknowledgement until an edit was seen on all other servers that ran
    meanwhile; ``None``: there was no database."""
    lag: float
    """The same, once all had recovered."""
    pause: float
    """The longest time in seconds, meanwhile and until the recovery, without an acknowledgement."""
    edits: int
    """Acknowledged from its begin until the recovery."""


@dataclass
class Load:
    """All clients that edit."""

    writers: Sequence[Writer]
    swarm: Swarm
    total: int = 0
    """Edits acknowledged, as of the last sample."""
    pause: float = 0.0
    """The longest time in seconds without any, since it was reset."""
    _latest: float = field(default_factory=trio.current_time)
    _progress: trio.Event = field(default_factory=trio.Event)

    async def sample(self) -> None:
        """Look again and again at how many edits are acknowledged."""
        while True:
            total = await self.swarm.acknowledged() + acknowledged(
                writer.ledger for writer in self.writers
            )
            now = trio.current_time()
            self.pause = max(self.pause, now - self._latest)
            if total > self.total:
                self.total, self._latest = total, now
                self._progress.set()
                self._progress = trio.Event()
            await trio.sleep(SAMPLE)

    def reset_pause(self) -> None:
        """Begin a new measurement of :attr:`pause`."""
        self.pause = 0.0

    async def more(self, edits: int) -> None:
        """Wait until so many more edits are acknowledged."""
        target = self.total + edits
        with trio.fail_after(RECOVERY):
            while self.total < target:
                await self._progress.wait()

    async def hurry(self) -> None:
        """Let all clients give their next edit now."""
        await self.swarm.hurry()
        for writer in self.writers:
            writer.hurry()

    async def stop(self) -> None:
        """Return once no client has an edit under way."""
        for writer in self.writers:
            writer.stop()
        await self.swarm.stop()


@dataclass
class Campaign:
    """A cluster under load."""

    cluster: Cluster
    load: Load
    probes: Probes
    outcomes: list[Outcome] = field(default_factory=list)
    counts: Counts | None = None
    """What was verified, behind the block."""
    _nodes: cycle[str] = field(init=False)
    _chance: random.Random = field(default_factory=lambda: random.Random(1))

    def __post_init__(self) -> None:
        self._nodes = cycle(self.cluster.nodes)

    async def suffer(self, fault: Fault, hold: float) -> Outcome:
        """Let a fault happen, and wait until the cluster has recovered.

        :param hold: seconds that it lasts, if it is one that does.
        """
        node = next(self._nodes)
        before = self.load.total
        self.load.reset_pause()
        began = trio.current_time()
        lag = None
        # All clients edit now, so that the fault has something to cut, at any point of a commit.
        await self.load.hurry()
        await trio.sleep(self._chance.random() * MOMENT)
        async with fault.action(self.cluster, node):
            if fault.held:
                await trio.sleep(hold)
            if not fault.stops_database:
                stopped = {node} if fault.stops_node else set()
                lag = await self.probes.exchange(self.cluster.nodes.keys() - stopped)
            ending = trio.current_time()
        await self.cluster.until_ready()
        await self.probes.exchange(self.cluster.nodes)
        recovered = trio.current_time()
        outcome = Outcome(
            fault=fault.name,
            node=node,
            lasted=ending - began,
            recovery=recovered - ending,
            lag_during=lag,
            lag=await self.probes.exchange(self.cluster.nodes),
            pause=self.load.pause,
            edits=self.load.total - before,
        )
        self.outcomes.append(outcome)
        return outcome


@asynccontextmanager
async def campaign(
    cluster: Cluster, node: str, folder: Path, *, clients: int, rate: float
) -> AsyncIterator[Campaign]:
    """Put a cluster under load for the time of a block, and verify everything behind it.

    :param node: Node.js.
    :param folder: where the programs of stock clients are, with their packages.
    :param clients: how many, of all kinds together.
    :param rate: edits per second, of all together.
    :raises AssertionError: something acknowledged was lost or doubled, or somebody shows
        something else.
    """
    before = await contents_at(cluster.dsn)
    rows = (await cluster.listed("a")).values()
    free = [row["id"] for row in rows if row["lineupMemoId"] is None and not row["isLeader"]]
    reserved = free[: len(cluster.nodes)]
    plans = planned(
        clients,
        cluster.url,
        [row for row in rows if row["id"] not in reserved],
        interval=clients / rate,
    )
    async with AsyncExitStack() as stack:
        stock = await stack.enter_async_context(
            swarm(node, folder, [plan for plan in plans if plan.kind in TRANSPORTS])
        )
        ours = await stack.enter_async_context(
            writers([plan for plan in plans if plan.kind not in TRANSPORTS])
        )
        probing = await stack.enter_async_context(probes(cluster, reserved))
        running = Campaign(cluster, Load(ours, stock), probing)
        async with trio.open_nursery() as sampling:
            async with trio.open_nursery() as nursery:
                for writer in ours:
                    nursery.start_soon(writer.run)
                sampling.start_soon(running.load.sample)
                yield running
                await running.load.stop()
            sampling.cancel_scope.cancel()
        running.counts = await _verified(running, before)


async def _verified(campaign: Campaign, before: Contents) -> Counts:
    """Compare the log, the rows, the answers, and what each client shows."""
    cluster, load = campaign.cluster, campaign.load
    rows = {name: await cluster.listed(name) for name in cluster.nodes}
    shown = rows["a"]
    different = await load.swarm.differences(shown.values(), EQUAL)
    ours = [*load.writers, *campaign.probes.writers.values()]
    deadline = trio.current_time() + EQUAL
    for writer in ours:
        while (difference := await writer.difference(shown)) is not None:
            if trio.current_time() > deadline:
                different.append(difference)
                break
            await trio.sleep(SAMPLE)
        writer.finish()
    ledgers = [
        *(writer.ledger for writer in ours),
        *await load.swarm.ledgers(),
    ]
    counts = check(await contents_at(cluster.dsn), ledgers, before, rows)
    assert not different, different[:5]
    return counts
