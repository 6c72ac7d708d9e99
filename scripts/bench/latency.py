"""Measures the time from an edit to its acknowledgement, and to the other clients' updates.

Runs against a server; clients of the Python library, all of one user, so that more than fifty
need a higher GBS_MAX_CONNECTIONS_PER_USER at the server:

    gbs-actor serve --demo --port 8080 &
    python scripts/bench/latency.py --url http://127.0.0.1:8080 --token "$TOKEN"

One client edits at a time, in turns, so slowly that nothing queues: the figures contain no
queueing. All clients share this process, so that with many of them the last ones also wait until
it has decoded the messages of the others: the figures of "other screens" are upper bounds. The
edits stay below the event rate limit.
"""

from __future__ import annotations

import argparse
import math
import resource
import statistics
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import trio
import trio.testing

from gbs_actor.client import Client, connect


@dataclass
class Figures:
    """What was measured with one number of clients; all in seconds."""

    clients: int
    to_ack: list[float] = field(default_factory=list)
    to_other: list[float] = field(default_factory=list)
    to_last: list[float] = field(default_factory=list)
    """Until the last of the other screens."""
    bytes_per_connection: float | None = None
    """Of the server's resident memory."""


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value below which a share of them lies (nearest rank)."""
    ranked = sorted(values)
    return ranked[max(0, math.ceil(share * len(ranked)) - 1)]


def resident(pid: int | None) -> int | None:
    """Return a process's resident memory in bytes; ``None`` without a process."""
    if pid is None:
        return None
    pages = int(Path("/proc", str(pid), "statm").read_text().split()[1])
    return pages * resource.getpagesize()


async def watch(client: Client, row_id: int, number: int, seen: list[float]) -> None:
    """Note when a client sees the edit."""

    def holds(client: Client) -> bool:
        row = client.row(row_id)
        return row is not None and row.gbs_number == number

    await client.until(holds)
    seen.append(trio.current_time())


async def measure(
    url: str,
    token: str,
    retreat: str,
    *,
    count: int,
    edits: int,
    pause: float,
    pid: int | None,
) -> Figures:
    """Connect clients, and edit one after the other.

    :param pause: seconds between two edits.
    :param pid: the server's process, to read its memory; ``None``: not.
    """
    figures = Figures(count)
    async with AsyncExitStack() as stack:
        before = resident(pid)
        clients = [await stack.enter_async_context(connect(url, token)) for _ in range(count)]
        for client in clients:
            await client.join(retreat)
        after = resident(pid)
        if before is not None and after is not None:
            figures.bytes_per_connection = (after - before) / count
        people = [row.id for row in clients[0].rows if not row.is_leader]
        for at in range(edits):
            author = clients[at % count]
            row_id = people[at % len(people)]
            number = 100 + (at // len(people)) % 2 * 100 + at % 50
            seen: list[float] = []
            async with trio.open_nursery() as nursery:
                for client in clients:
                    if client is not author:
                        nursery.start_soon(watch, client, row_id, number, seen)
                await trio.testing.wait_all_tasks_blocked(0.0)
                start = trio.current_time()
                await author.assign(row_id, number)
                figures.to_ack.append(trio.current_time() - start)
            figures.to_other.extend(at - start for at in seen)
            if seen:
                figures.to_last.append(max(seen) - start)
            await trio.sleep(pause)
    return figures


def report(figures: Figures) -> None:
    """Print one measurement."""
    print(f"{figures.clients} clients, {len(figures.to_ack)} edits")
    for name, values in (
        ("edit to acknowledgement", figures.to_ack),
        ("edit to another screen", figures.to_other),
        ("edit to the last screen", figures.to_last),
    ):
        if values:
            print(
                f"  {name:26} p50 {percentile(values, 0.5) * 1000:7.2f} ms"
                f"   p99 {percentile(values, 0.99) * 1000:7.2f} ms"
                f"   mean {statistics.fmean(values) * 1000:7.2f} ms"
            )
    if figures.bytes_per_connection is not None:
        print(f"  server memory per connection {figures.bytes_per_connection / 1024:9.1f} KiB")


def main() -> None:
    """Measure with a few clients, then with many."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--url", default="http://127.0.0.1:8080")
    parser.add_argument("--token", required=True)
    parser.add_argument("--retreat", default="2024-winter")
    parser.add_argument("--clients", type=int, nargs="+", default=[2, 50])
    parser.add_argument("--edits", type=int, default=500)
    parser.add_argument("--pause", type=float, default=0.02, help="seconds between two edits")
    parser.add_argument("--pid", type=int, help="the server's process, to read its memory")
    options = parser.parse_args()
    for count in options.clients:
        measurement = partial(
            measure, count=count, edits=options.edits, pause=options.pause, pid=options.pid
        )
        figures = trio.run(measurement, options.url, options.token, options.retreat)
        report(figures)


if __name__ == "__main__":
    main()
