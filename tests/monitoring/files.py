"""The shipped files for Prometheus and Grafana, and its tools."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.server_process import ROOT

CONFIG = ROOT / "config"
ALERTS = CONFIG / "alerts.yml"
DASHBOARD = CONFIG / "grafana-dashboard.json"
HERE = Path(__file__).parent

METRIC = re.compile(r"\b(?:gbs|process)_[a-z_]+\b")


def tool(name: str) -> str:
    """Return the path of a program of Prometheus; skip the test if there is none."""
    path = shutil.which(name)
    if path is None:
        pytest.skip(f"{name} is not installed (Debian's package prometheus)")
    return path


def promtool(*arguments: str | Path) -> str:
    """Run it; fail with what it has found."""
    command = [tool("promtool"), *map(str, arguments)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def dashboard() -> dict[str, Any]:
    """Return Grafana's dashboard."""
    shown: dict[str, Any] = json.loads(DASHBOARD.read_text())
    return shown


def queries(window: str = "1m") -> Iterator[tuple[str, str]]:
    """Yield each query of the dashboard with its panel's title, as Grafana sends it."""
    for panel in dashboard()["panels"]:
        for target in panel.get("targets", ()):
            query = target["expr"].replace("$__rate_interval", window)
            yield panel["title"], re.sub(r"\$(instance|job)\b", ".+", query)


def names_in(text: str) -> set[str]:
    """Return the metrics that a text names."""
    return set(METRIC.findall(text))
