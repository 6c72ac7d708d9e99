"""A real Prometheus on a real server: the dashboard has its data, and the alerts fire."""

from __future__ import annotations

import math
import re
import signal
import subprocess
import urllib.error
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import trio

from gbs_actor.client import Client, CommandFailed, ConnectError, connect
from gbs_actor.store.postgres.connection import connect as connect_to_database
from tests.e2e.server_process import RETREAT, ServerProcess, running_server, token
from tests.faults.postgres_processes import freeze, thaw
from tests.monitoring.files import ALERTS, CONFIG, names_in, queries, tool

METRICS_TOKEN = "7hWv0yGmJx8Qk2RzTn5BdHs3CfAeUp9L"
OTHER_RETREAT = "2024-summer"
LINEUPS = f"/api/v1/retreat/{OTHER_RETREAT}/line-up/user-lineups"
ENVIRONMENT = {
    "GBS_METRICS_TOKEN": METRICS_TOKEN,
    "GBS_WRITE_CHECK_INTERVAL": "0.2",
    "GBS_MAX_CRASHES": "0",  # the first one is too many
    "GBS_IDLE_TIMEOUT": "300",
}
PATIENCE = 30.0
PAUSE = 0.2
WINDOW = "10s"
SEVERAL_SERVERS = {
    "gbs_nodes",
    "gbs_other_servers",
    *(f"gbs_bus_{name}" for name in ("connected", "failures_total", "gaps_total", "lag_seconds")),
    *(f"gbs_bus_{name}" for name in ("messages_total", "unreadable_total")),
    *(f"gbs_bus_{name}" for name in ("pending", "pending_presence")),
}
"""Metrics of which a single server has no samples."""
EDITED = f"rate(gbs_delivery_seconds_count[{WINDOW}]) > 1 and rate(gbs_joins_total[{WINDOW}]) >= 0"
"""Has a value once there were edits for some scrapes."""


@pytest.fixture
def server() -> Iterator[ServerProcess]:
    tool("prometheus")
    with running_server(environment=ENVIRONMENT) as running:
        yield running


class Prometheus:
    """Its HTTP API."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http

    async def _get(self, path: str, **parameters: str) -> Any:
        response = await self._http.get(path, params=parameters)
        assert response.status_code == 200, response.text
        return response.json()["data"]

    async def values(self, query: str) -> list[float]:
        """Return the value of each series that a query has now."""
        found = await self._get("/api/v1/query", query=query)
        return [float(series["value"][1]) for series in found["result"]]

    async def until_values(self, query: str) -> None:
        """Wait until a query has a value."""
        with trio.move_on_after(PATIENCE):
            while not await self.values(query):  # noqa: ASYNC110
                await trio.sleep(PAUSE)
            return
        raise AssertionError(f"{query} has no value")

    async def until_firing(self, name: str) -> dict[str, Any]:
        """Return an alert once it fires."""
        with trio.fail_after(PATIENCE):
            while True:
                for alert in (await self._get("/api/v1/alerts"))["alerts"]:
                    if alert["labels"]["alertname"] == name and alert["state"] == "firing":
                        fired: dict[str, Any] = alert
                        return fired
                await trio.sleep(PAUSE)

    async def firing(self) -> set[str]:
        """Return the alerts that fire."""
        alerts = (await self._get("/api/v1/alerts"))["alerts"]
        return {each["labels"]["alertname"] for each in alerts if each["state"] == "firing"}


def configure(folder: Path, server: ServerProcess) -> Path:
    """Write the shipped files as they are, but with short times and this server."""
    secret = folder / "token"
    secret.write_text(METRICS_TOKEN)
    text = (CONFIG / "prometheus.yml").read_text()
    for shipped, here in (
        ("interval: 15s", "interval: 1s"),
        ("127.0.0.1:9090", f"{server.host}:{server.port}"),
        ("# authorization:", "authorization:"),
        (
            "#   credentials_file: /etc/prometheus/gbs-metrics-token",
            f"  credentials_file: {secret}",
        ),
    ):
        assert shipped in text
        text = text.replace(shipped, here)
    (folder / "alerts.yml").write_text(re.sub(r"for: \w+", "for: 1s", ALERTS.read_text()))
    file = folder / "prometheus.yml"
    file.write_text(text)
    return file


@asynccontextmanager
async def prometheus(folder: Path, server: ServerProcess) -> AsyncIterator[Prometheus]:
    """Run a Prometheus that scrapes the server each second."""
    log = folder / "log"
    with log.open("wb") as output:
        process = await trio.lowlevel.open_process(
            [
                tool("prometheus"),
                f"--config.file={configure(folder, server)}",
                f"--storage.tsdb.path={folder / 'data'}",
                "--web.listen-address=127.0.0.1:0",
            ],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        with trio.fail_after(PATIENCE):
            while not (found := re.search(r'"Listening on" address=(\S+)', log.read_text())):
                assert process.poll() is None, log.read_text()
                await trio.sleep(PAUSE)
        async with httpx.AsyncClient(base_url=f"http://{found[1]}") as http:
            yield Prometheus(http)
    finally:
        process.send_signal(signal.SIGTERM)
        with trio.CancelScope(shield=True):
            await process.wait()


async def edit(client: Client, row_id: int) -> None:
    """Give a person one number after the other, as long as that goes well."""
    try:
        for number in range(1, 9_000):
            await client.assign(row_id, number)
            await trio.sleep(0.02)
    except CommandFailed:
        pass  # the database is frozen by now


async def make_mistakes(server: ServerProcess, client: Client) -> None:
    """Do what has a metric of its own, once."""
    with pytest.raises(CommandFailed):
        await client.assign(999_999_999, 1)
    with pytest.raises(ConnectError):
        async with connect(server.url, "nonsense"):
            pass


async def break_retreat(server: ServerProcess) -> None:
    """Store people of the other retreat as no program can load them."""
    deadline = trio.current_time() + 20
    connection = await connect_to_database(server.dsn, deadline=deadline)
    people = (
        "(SELECT r.user_id FROM user_retreat_registration r JOIN retreat t"
        f" ON t.id = r.retreat_id WHERE t.slug = '{OTHER_RETREAT}')"
    )
    for statement in (
        "SET gbs.own = 'on'",  # else it is taken over at once
        "ALTER TABLE user_profile DROP CONSTRAINT user_profile_gender_check",
        f"UPDATE user_profile SET gender = 'NONE' WHERE id IN {people}",
    ):
        await connection.fetch(statement, deadline=deadline)
    await connection.close(deadline=deadline)


async def test_it_has_data_for_the_dashboard_and_its_alerts_fire(
    server: ServerProcess, tmp_path: Path
) -> None:
    async with (
        prometheus(tmp_path, server) as watched,
        connect(server.url, token(7)) as one,
        connect(server.url, token(8)) as two,
        trio.open_nursery() as nursery,
    ):
        rows = [row for row in await one.join(RETREAT) if not row.is_leader]
        await two.join(RETREAT)
        nursery.start_soon(edit, one, rows[0].id)
        nursery.start_soon(edit, two, rows[1].id)
        await make_mistakes(server, two)
        await watched.until_values(EDITED)
        for _, query in queries(WINDOW):
            # A rate takes two scrapes; what is counted by name was there at the last one alone.
            if not SEVERAL_SERVERS & names_in(query):
                await watched.until_values(query)
        await figures_are_plausible(watched)
        assert await watched.firing() == set()

        await break_retreat(server)
        with pytest.raises(urllib.error.HTTPError, match="503"):
            await trio.to_thread.run_sync(server.get, LINEUPS, token())
        failed = await watched.until_firing("GbsRoomFailed")
        assert failed["annotations"]["summary"].startswith("1 room(s) of ")

        frozen = freeze(server)
        try:
            await watched.until_firing("GbsDatabaseUnavailable")
            await watched.until_firing("GbsNotReady")
            assert "GbsScrapeDown" not in await watched.firing()
        finally:
            thaw(frozen)
        with trio.fail_after(PATIENCE):
            while "GbsNotReady" in await watched.firing():  # noqa: ASYNC110
                await trio.sleep(PAUSE)
        nursery.cancel_scope.cancel()


async def figures_are_plausible(watched: Prometheus) -> None:
    """Compare what the dashboard shows with what was done."""
    shown: dict[str, list[list[float]]] = {}
    for title, query in queries(WINDOW):
        shown.setdefault(title, []).append(await watched.values(query))
    assert shown["Ready"] == [[1.0]]
    assert shown["Connections"][0] == [2.0]
    assert 1 < shown["Edits per second"][0][0] < 120
    for title in ("Received → acknowledged", "Received → sent to the last subscriber", "Commit"):
        (p50,), (p95,), (p99,), (average,) = shown[title]
        assert 0 < p50 <= p95 <= p99 < 1, title
        assert 0 < average < p99, title
    assert all(not math.isnan(value) for values in shown["Loop lag"] for value in values)
