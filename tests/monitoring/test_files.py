"""The files for Prometheus and Grafana: valid, and about metrics that there are."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from gbs_actor.auth import Role
from gbs_actor.bus import BusStatistics
from gbs_actor.gateway.http.metrics.families import families
from gbs_actor.gateway.http.metrics.snapshot import take_snapshot
from gbs_actor.gateway.nodes import NodeState
from tests.gateway.serving import settings_with, world
from tests.monitoring.files import (
    ALERTS,
    CONFIG,
    HERE,
    dashboard,
    names_in,
    promtool,
    queries,
)

BUS = BusStatistics(
    kind="postgres",
    connected=True,
    sent=1,
    received=1,
    own=1,
    gaps=1,
    unreadable=0,
    pending=0,
    pending_presence=0,
    lag=0.001,
    failures=0,
    last_error=None,
)


async def exported() -> set[str]:
    """Return the names of all samples of a server."""
    async with world(settings_with()) as here:
        # What only a listening server has.
        response = await here.get("/metrics", here.bearer(role=Role.ADMIN_MINISTER))
        text = response.body.decode()
        # What only one of several servers has.
        taken = replace(await take_snapshot(here.services), nodes={NodeState.READY: 1}, bus=BUS)
    several = {sample.name for family in families(taken) for sample in family.samples}
    found = text_string_to_metric_families(text)
    names = several | {sample.name for family in found for sample in family.samples}
    # Of these there is none before the first one.
    return names | {
        *("gbs_event_errors_total", "gbs_closes_total", "gbs_refused_handshakes_total"),
        "gbs_open_sockets",  # of a server that listens itself
    }


def test_promtool_accepts_the_configuration_and_its_rules() -> None:
    assert "rules found" in promtool("check", "config", CONFIG / "prometheus.yml")
    assert "13 rules found" in promtool("check", "rules", ALERTS)


def test_each_alert_is_raised_by_what_it_is_about_and_by_nothing_else() -> None:
    promtool("test", "rules", HERE / "alerts_test.yml")


def test_each_alert_is_tested_and_says_what_to_do() -> None:
    alerts, tests = ALERTS.read_text(), (HERE / "alerts_test.yml").read_text()
    names = re.findall(r"- alert: (\w+)", alerts)
    assert names
    for name in names:
        assert len(re.findall(rf"alertname: {name}\b", tests)) >= 2
    assert alerts.count(" summary: ") == alerts.count(" action: ") == len(names)


async def test_rules_and_dashboard_name_only_metrics_that_there_are() -> None:
    names = await exported()
    assert names_in(ALERTS.read_text()) <= names | {"gbs_commit_seconds", "gbs_loop_lag_seconds"}
    for title, query in queries():
        assert names_in(query), title
        assert names_in(query) <= names, title


async def test_the_dashboard_shows_everything_that_is_counted() -> None:
    shown = {name for _, query in queries() for name in names_in(query)}
    for name in await exported():
        family = re.sub(r"_(bucket|sum|count)$", "", name)
        assert {name, f"{family}_bucket"} & shown or name == "process_max_fds", name


def test_every_query_of_the_dashboard_parses(tmp_path: Path) -> None:
    rules = [{"record": "x", "expr": query} for _, query in queries()]
    file = tmp_path / "queries.yml"
    file.write_text(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}))
    assert f"{len(rules)} rules found" in promtool("check", "rules", "--lint=none", file)


def test_the_dashboard_is_one_that_grafana_imports() -> None:
    shown = dashboard()
    assert shown["schemaVersion"] >= 39
    assert shown["uid"] == "gbs-actor"
    ids = [panel["id"] for panel in shown["panels"]]
    assert len(ids) == len(set(ids))
    rows = [panel["title"] for panel in shown["panels"] if panel["type"] == "row"]
    assert rows == ["Overview", "Latency", "Rooms", "Database", "Limits", "Process"]
    charts = [panel for panel in shown["panels"] if panel["type"] == "timeseries"]
    assert all("calcs" in panel["options"]["legend"] for panel in charts), (
        "its schema requires them"
    )
    taken: set[tuple[int, int]] = set()
    for panel in shown["panels"]:
        at = panel["gridPos"]
        cells = {(at["x"] + x, at["y"] + y) for x in range(at["w"]) for y in range(at["h"])}
        assert not cells & taken, panel["title"]
        assert max(x for x, _ in cells) < 24
        taken |= cells


@pytest.mark.parametrize("name", ["prometheus.yml", "alerts.yml", "grafana-dashboard.json"])
def test_the_files_name_no_secret(name: str) -> None:
    assert "eyJ" not in (CONFIG / name).read_text()
