"""Measure commits on the embedded PostgreSQL: changes per second by batch size, and a load.

    python -m scripts.bench.commit [--seconds 3] [--people 600] [--url postgresql://…]

One committer at a time, as a room is. Each batch moves people between groups, so it
touches the retreat, groups, registrations and the log, with fsync on. CPU is that of this
process, deciding left out, and that of all processes of the embedded PostgreSQL.
"""

from __future__ import annotations

import argparse
import random
import statistics
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter, process_time
from uuid import uuid4

import structlog
import trio

from gbs_actor.lineup.board import Board
from gbs_actor.lineup.changes import Change
from gbs_actor.lineup.commands import AssignNumber, Author, Command
from gbs_actor.lineup.records import Gender
from gbs_actor.store.embedded.server import EmbeddedPostgres
from gbs_actor.store.postgres.store import PostgresStore
from gbs_actor.store.protocol import Attempt
from gbs_actor.store.seed.seed import (
    RetreatSeed,
    SeedGrade,
    SeedPerson,
    SeedSchedule,
    SeedUnivGroup,
)
from scripts.bench.processes import cpu_seconds_with_children

BATCH_SIZES = (1, 16, 64)
AUTHOR = Author(user_id=1, name="bench", admin_user_id=1)
SLUG = "bench"


@dataclass(frozen=True)
class Result:
    """What a run with one batch size came to."""

    batch: int
    changes_per_second: float
    milliseconds: list[float]
    """Per commit."""
    cpu_per_commit: float
    """Of this process, deciding left out, in microseconds."""
    server_cpu_per_commit: float | None
    """Of the embedded PostgreSQL, in microseconds; ``None``: it is not ours."""


def seed(people: int) -> RetreatSeed:
    now = datetime.now(UTC)
    return RetreatSeed(
        slug=SLUG,
        title="Benchmark",
        univ_groups=(SeedUnivGroup(1, "1", (SeedGrade(1, "1"),)),),
        schedules=tuple(SeedSchedule(f"{number}", now) for number in range(9)),
        people=tuple(
            SeedPerson(
                name=f"Person {number}",
                gender=random.choice(list(Gender)),
                phone_number="010-0000-0000",
                univ_group_number=1,
                grade_number=1,
                current_leader="Leader",
                is_leader=False,
                user_type=None,
                schedules=tuple(range(9)),
                registered_at=now,
                gbs_number=1 + number // 8,
                memo="memo" if number % 5 == 0 else "",
            )
            for number in range(people)
        ),
    )


@contextmanager
def public_folder() -> Iterator[Path]:
    """Make a folder that every account may pass: PostgreSQL's has to, if we are root."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@asynccontextmanager
async def open_store(url: str | None) -> AsyncIterator[tuple[PostgresStore, int | None]]:
    """Open a store; the second value is the process id of the embedded PostgreSQL."""
    if url is not None:
        async with PostgresStore.open(url, migrating=True) as store:
            yield store, None
        return
    with public_folder() as folder:
        async with (
            EmbeddedPostgres(folder / "postgres").running() as dsn,
            PostgresStore.open(dsn, migrating=True) as store,
        ):
            lock_file = next(folder.glob("**/postmaster.pid"))
            yield store, int(lock_file.read_text().splitlines()[0])


def next_batch(board: Board, size: int) -> list[Change]:
    draft = board.draft(iter(()))
    changes = []
    for row in random.sample(board.rows(), size):
        number = 1 + (row.gbs_number or 0) % (len(board) // 8)
        outcome = draft.decide(
            Command(AssignNumber(row.id, number), AUTHOR, uuid4()), datetime.now(UTC)
        )
        assert isinstance(outcome, Change)
        changes.append(outcome)
    return changes


async def measure(
    store: PostgresStore, postmaster: int | None, board: Board, size: int, seconds: float
) -> Result:
    milliseconds: list[float] = []
    cpu = 0.0
    server_began = None if postmaster is None else cpu_seconds_with_children(postmaster)
    while sum(milliseconds) < seconds * 1_000:
        changes = next_batch(board, size)
        attempt = Attempt(uuid4(), board.retreat_id, board.epoch, board.revision, tuple(changes))
        began, cpu_began = perf_counter(), process_time()
        assert await store.commit(attempt) is None
        milliseconds.append(1_000 * (perf_counter() - began))
        cpu += process_time() - cpu_began
        for change in changes:
            board.apply(change)
    commits = len(milliseconds)
    per_server = None
    if postmaster is not None and server_began is not None:
        per_server = 1e6 * (cpu_seconds_with_children(postmaster) - server_began) / commits
    per_second = 1_000 * size * commits / sum(milliseconds)
    return Result(size, per_second, milliseconds, 1e6 * cpu / commits, per_server)


async def measure_load(store: PostgresStore, rounds: int) -> list[float]:
    milliseconds: list[float] = []
    for _ in range(rounds):
        began = perf_counter()
        await store.load(SLUG)
        milliseconds.append(1_000 * (perf_counter() - began))
    return milliseconds


async def main(options: argparse.Namespace) -> None:
    async with open_store(options.url) as (store, postmaster):
        began = perf_counter()
        await store.delete_retreat(SLUG)
        await store.import_retreat(seed(options.people))
        print(f"import of {options.people} people: {1_000 * (perf_counter() - began):.0f} ms")
        loads = await measure_load(store, 20)
        print(f"load: median {statistics.median(loads):.1f} ms, best {min(loads):.1f} ms")
        retreat = await store.load(SLUG)
        assert retreat is not None
        board = Board(retreat)
        print("batch  changes/s  median ms   p99 ms  CPU µs/commit  PostgreSQL's")
        for size in BATCH_SIZES:
            await measure(store, postmaster, board, size, 0.3)
            result = await measure(store, postmaster, board, size, options.seconds)
            ordered = sorted(result.milliseconds)
            server = result.server_cpu_per_commit
            print(
                f"{size:5}  {result.changes_per_second:9,.0f}  {statistics.median(ordered):9.2f}"
                f"  {ordered[int(0.99 * len(ordered))]:7.2f}  {result.cpu_per_commit:13,.0f}"
                f"  {'-' if server is None else f'{server:,.0f}':>12}"
            )
        await store.delete_retreat(SLUG)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=3.0, help="per batch size")
    parser.add_argument("--people", type=int, default=600)
    parser.add_argument("--url", help="a PostgreSQL of yours instead of an embedded one")
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(30))
    trio.run(main, parser.parse_args())
