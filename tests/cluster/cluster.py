"""Several servers on one PostgreSQL, as processes of their own, with nginx before them."""

from __future__ import annotations

import re
import string
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial

import trio

from gbs_actor.store.embedded.data_folder import DataFolder
from gbs_actor.store.embedded.server import EmbeddedPostgres
from tests.cluster.buses import BusKind, ClusterBus, running_bus
from tests.e2e.server_process import RETREAT, ROOT, ServerProcess, data_folder, start_server, token
from tests.faults.readiness import until_ready
from tests.mixed.view import Row
from tests.proxy.nginx import NginxProcess, proxy
from tests.store.fixtures import public_temporary_folder

NODE_FILE = ROOT / "config" / "node.env"
"""The example of one server."""
POSTGRES_CONFIG = ROOT / "config" / "postgresql.conf"
SETTINGS: Mapping[str, str] = {
    "GBS_EVENT_RATE": "1000",
    "GBS_JOIN_RATE": "100",
    "GBS_USER_RATE": "10000",
    # All clients are on one machine here.
    "GBS_MAX_UNAUTHENTICATED_PER_ADDRESS": "2000",
    "GBS_CONNECTIONS_PER_ADDRESS": "4000",
    "GBS_MAX_CONNECTIONS_PER_ADDRESS": "4000",
}
"""Of every server: limits for people, not for a load that one machine makes."""


@dataclass
class Cluster:
    """The parts of a cluster."""

    postgres: EmbeddedPostgres
    bus: ClusterBus
    nodes: Mapping[str, ServerProcess]
    """The servers, by name."""
    nginx: NginxProcess

    @property
    def url(self) -> str:
        """Where clients find it."""
        return self.nginx.url

    @property
    def dsn(self) -> str:
        """The database's address."""
        return self.postgres.dsn

    async def until_ready(self) -> None:
        """Wait until every server wants new clients."""
        for node in self.nodes.values():
            await until_ready(node)

    async def listed(self, node: str) -> dict[int, Row]:
        """Read the rows from a server."""
        path = f"/api/v1/retreat/{RETREAT}/line-up/user-lineups"
        answer = await trio.to_thread.run_sync(self.nodes[node].get, path, token())
        return {row["id"]: row for row in answer["userRetreatGbsLineups"]}


def node_file() -> dict[str, str]:
    """Return the variables of a server as the example has them."""
    return dict(re.findall(r"^(GBS_\w+)=(.*)$", NODE_FILE.read_text(), re.MULTILINE))


def names(number: int) -> Sequence[str]:
    """Return the names of so many servers: a, b, c…"""
    return string.ascii_lowercase[:number]


@asynccontextmanager
async def running_cluster(
    number: int, kind: BusKind, *, wired: bool = True, on_disk: bool = False
) -> AsyncIterator[Cluster]:
    """Run a cluster within the block, by the examples in ``config``.

    :param number: of servers.
    :param wired: see :func:`tests.cluster.buses.running_bus`.
    :param on_disk: where commits take their time; otherwise in memory.
    """
    async with AsyncExitStack() as stack:
        database = stack.enter_context(data_folder(on_disk=on_disk))
        folder = stack.enter_context(public_temporary_folder())
        postgres = EmbeddedPostgres(database)
        async with postgres.running():
            pass  # it has made its folder
        with (DataFolder(database).data / "postgresql.conf").open("a") as file:
            file.write(POSTGRES_CONFIG.read_text())
        await stack.enter_async_context(postgres.running())
        bus = await stack.enter_async_context(running_bus(kind, names(number), folder, wired=wired))
        example = node_file()
        del example["GBS_BUS_URL"]  # the bus has its own
        nodes: dict[str, ServerProcess] = {}
        stack.push_async_callback(_end, nodes)
        for name in names(number):  # one after the other: the first one migrates
            data_dir = stack.enter_context(data_folder())
            nodes[name] = await trio.to_thread.run_sync(
                partial(
                    start_server,
                    data_dir,
                    log_path=data_dir.with_name("log"),
                    environment={
                        **example,
                        **SETTINGS,
                        "GBS_DATABASE_URL": postgres.dsn,
                        "GBS_NODE": name,
                        **bus.settings(name),
                    },
                )
            )
        ports = [node.own_port for node in nodes.values()]
        nginx = await stack.enter_async_context(proxy(*ports))
        try:
            yield Cluster(postgres, bus, nodes, nginx)
        except BaseException:
            for name, node in nodes.items():
                sys.stderr.write(f"Server {name}:\n{node.log()[-8000:]}\n")
            raise


async def _end(nodes: Mapping[str, ServerProcess]) -> None:
    """Kill what is left of the servers: their orderly stop is tested elsewhere."""
    with trio.CancelScope(shield=True):
        for node in nodes.values():
            await trio.to_thread.run_sync(node.kill)
