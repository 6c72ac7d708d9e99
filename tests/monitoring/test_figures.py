"""The figures of /metrics and /admin/system, against those that the load generator has counted."""

from __future__ import annotations

import os
import shutil
import urllib.request
from bisect import bisect_left
from collections.abc import Iterator

import pytest
import trio
from prometheus_client.parser import text_string_to_metric_families

from gbs_actor.gateway.http.metrics.families import BUCKETS
from gbs_actor.gateway.http.metrics.scrape import FRESH
from scripts.bench.installation import Installation
from scripts.bench.load_generator import Clients
from scripts.bench.servers import Server
from tests.e2e.server_process import OPERATOR, RETREAT, ServerProcess, running_server, token

pytestmark = pytest.mark.skipif(
    shutil.which(os.environ.get("CC", "cc")) is None, reason="there is no C compiler"
)

SUBSCRIBERS = 20
METRICS_TOKEN = "7hWv0yGmJx8Qk2RzTn5BdHs3CfAeUp9L"
Samples = dict[str, float]


@pytest.fixture
def server() -> Iterator[ServerProcess]:
    rates = dict.fromkeys(("GBS_USER_RATE", "GBS_USER_BURST", "GBS_EVENT_RATE"), "1000000")
    rates["GBS_EVENT_BURST"] = "1000000"
    with running_server(environment={"GBS_METRICS_TOKEN": METRICS_TOKEN, **rates}) as running:
        yield running


@pytest.fixture
async def installation(tmp_path_factory: pytest.TempPathFactory) -> Installation:
    made = Installation(tmp_path_factory.mktemp("bench"))
    await made.set_up([], lambda _: None)
    return made


async def scrape(server: ServerProcess) -> Samples:
    """Return each sample, once it has all that was counted before."""
    await trio.sleep(FRESH)
    text = await trio.to_thread.run_sync(_read, server)
    return {
        " ".join([sample.name, *sample.labels.values()]): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def _read(server: ServerProcess) -> str:
    request = urllib.request.Request(f"{server.url}/metrics")
    request.add_header("Authorization", f"Bearer {METRICS_TOKEN}")
    with urllib.request.urlopen(request, timeout=10) as response:
        return str(response.read(), "utf-8")


def less(after: Samples, before: Samples) -> Samples:
    return {name: value - before.get(name, 0) for name, value in after.items()}


def bucket_of(name: str, share: float, counted: Samples) -> int:
    """Return the bucket that has a percentile."""
    rank = share * counted[f"{name}_count"]
    below = [counted[f"{name}_bucket {bound}"] for bound in BUCKETS]
    return bisect_left(below, rank)


def memos(server: ServerProcess) -> list[int]:
    rows = server.get(f"/api/v1/retreat/{RETREAT}/line-up/user-lineups", token())
    return [row["lineupMemoId"] for row in rows["userRetreatGbsLineups"] if row["lineupMemoId"]]


async def test_they_are_those_of_the_load_generator(
    server: ServerProcess, installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scripts.bench.load_generator.tokens", lambda: (token(),))
    ours = Server("ours", server.port, server.pid)
    async with Clients(installation, lambda: 0.0).of(ours, {RETREAT: memos(server)}) as load:
        await load.connect(SUBSCRIBERS)
        empty = await scrape(server)
        serial = await load.serial(50)
        one_by_one = await scrape(server)
        paced = await load.paced(200, 400)
        in_time = await scrape(server)
        full = await load.full_speed(1.0)
        at_full_speed = await scrape(server)
        shown = server.get("/admin/system", token(**OPERATOR))  # type: ignore[arg-type]
    assert serial.errors == full.errors == 0
    # On a machine that is too busy some edits are never due: their latencies say nothing.
    assert paced.errors == paced["skipped"]

    counted = less(one_by_one, empty)
    assert serial["updates"] == counted["gbs_deliveries_total"] == 50 * SUBSCRIBERS
    for name in ("gbs_commands_total accepted", "gbs_events_total", "gbs_commits_total"):
        assert counted[name] == 50
    for name in ("gbs_ack_seconds", "gbs_delivery_seconds", "gbs_commit_seconds"):
        assert counted[f"{name}_count"] == 50
    assert one_by_one["gbs_joins_total"] == SUBSCRIBERS

    counted = less(in_time, one_by_one)
    for name, theirs in (
        ("gbs_ack_seconds", "ack_ms"),
        ("gbs_delivery_seconds", "last_screen_ms"),
    ):
        assert counted[f"{name}_count"] == paced["acked"]
        if paced["skipped"]:
            continue
        for share, ms in zip((0.5, 0.95, 0.99), paced.percentiles(theirs), strict=True):
            further = bisect_left(BUCKETS, ms / 1000) - bucket_of(name, share, counted)
            # In its slowest moments a busy machine may keep the load generator waiting for longer.
            assert further in {-1, 0, 1} or (share > 0.5 and further > 1), (name, share, further)

    counted = less(at_full_speed, in_time)
    assert counted["gbs_ack_seconds_count"] == full["acked"]
    # Each client waits for its ack before it sends again (Little's law).
    average = SUBSCRIBERS * full["seconds"] / full["acked"]
    ours_average = counted["gbs_ack_seconds_sum"] / counted["gbs_ack_seconds_count"]
    assert 0.5 * average < ours_average < 1.05 * average
    assert counted["gbs_batch_commands_sum"] == full["acked"]

    assert shown["ack"]["count"] == at_full_speed["gbs_ack_seconds_count"]
    assert shown["delivered"]["count"] == at_full_speed["gbs_delivery_seconds_count"]
    for share, figure in ((0.5, "p50"), (0.95, "p95"), (0.99, "p99")):
        bucket = bucket_of("gbs_ack_seconds", share, at_full_speed)
        assert bisect_left(BUCKETS, shown["ack"][figure]) == bucket
