"""The stock client and our own commands against a server that speaks TLS itself."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.certificates import Authority
from tests.e2e.drivers import TRANSPORTS, Driver, over_each_transport, running_program
from tests.e2e.in_room import until_settled
from tests.e2e.server_process import RETREAT, ROOT, ServerProcess, running_server, token
from tests.e2e.stock_client import stock_client


@dataclass
class Secured:
    """A server, and the file with the authority that its clients have to know."""

    server: ServerProcess
    authority: Path


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    folder = tmp_path_factory.mktemp("tls")
    authority = Authority()
    (folder / "authority.pem").write_text(authority.pem)
    issued = authority.issue(folder)
    environment = {
        "GBS_TLS_CERTIFICATE": str(issued.certificate),
        "GBS_TLS_KEY": str(issued.key),
    }
    with running_server(environment=environment) as server:
        yield Secured(server, folder / "authority.pem")


@pytest.mark.node
@pytest.mark.parametrize("transports", TRANSPORTS)
async def test_the_stock_client_gets_through_tls_by_every_transport(
    secured: Secured,
    node: str,
    drivers_folder: Path,
    transports: str,
) -> None:
    knowing = {"NODE_EXTRA_CA_CERTS": str(secured.authority)}  # read once, at its start
    with running_program([node, str(drivers_folder / "driver.mjs")], knowing) as port:
        await joins_and_edits(secured, over_each_transport(port)[transports])


async def joins_and_edits(secured: Secured, driver: Driver) -> None:
    async with stock_client(driver) as client:
        await client.connect(secured.server.url, token())
        rows = (await client.ask("join-retreat", RETREAT))["data"]
        person = next(row["id"] for row in rows if not row["isLeader"])
        edit = {"lineupId": person, "gbsNumber": 31}
        assert (await client.ask("update-gbs-number", edit))["status"] == "OK"
        await client.event("lineup-updated", lambda row: row["id"] == person)
        await until_settled([driver], [client])


def test_tail_follows_a_room_over_tls(secured: Secured) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "gbs_actor.cli", "tail", RETREAT, "--url", secured.server.url],
        env={
            **{name: value for name, value in os.environ.items() if not name.startswith("GBS_")},
            "PYTHONPATH": str(ROOT),
            "PYTHONUNBUFFERED": "1",
            "SSL_CERT_FILE": str(secured.authority),
            "GBS_TOKEN": token(),
        },
        cwd=secured.authority.parent,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    with process:
        line = process.stdout.readline()
        process.terminate()
    assert "80 people" in line
