"""A short campaign: every fault once, under a small load of clients of every kind."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.bus.servers import PROGRAM
from tests.cluster.buses import BusKind
from tests.cluster.campaign import campaign
from tests.cluster.cluster import running_cluster
from tests.cluster.faults import FAULTS, possible
from tests.proxy.nginx import NGINX

pytestmark = [
    pytest.mark.faults,
    pytest.mark.node,
    pytest.mark.skipif(NGINX is None, reason="nginx is not installed (Debian: nginx-light)"),
]

CLIENTS = 12
RATE = 12.0
HOLD = 4.0
"""Seconds that a fault lasts."""


@pytest.mark.parametrize(
    "kind",
    [
        "postgres",
        "lost",
        pytest.param(
            "valkey",
            marks=pytest.mark.skipif(
                PROGRAM is None, reason="neither valkey-server nor redis-server is installed"
            ),
        ),
    ],
)
async def test_every_fault_under_load_loses_and_doubles_nothing(
    kind: BusKind, node: str, drivers_folder: Path
) -> None:
    async with (
        running_cluster(3, kind) as cluster,
        campaign(cluster, node, drivers_folder, clients=CLIENTS, rate=RATE) as running,
    ):
        faults = possible(cluster, FAULTS)
        for fault in faults:
            await running.load.more(CLIENTS)
            await running.suffer(fault, HOLD)
        await running.load.more(CLIENTS)
    assert running.counts is not None
    assert running.counts.edits > CLIENTS * len(faults)
