"""Schemathesis holds a running server to its own description, with all its checks."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e.server_process import OPERATOR, RETREAT, ROOT, ServerProcess, running_server, token

SEED = 20_240_119
LINE_UP = f"/api/v1/retreat/{RETREAT}/line-up"
MEMOS = 30

Reached = dict[str, set[int]]
"""The statuses that were seen, by operation."""


@pytest.fixture(scope="module")
def server() -> Iterator[ServerProcess]:
    """A server that lets one user ask as fast as they can."""
    with running_server(
        environment={"GBS_USER_RATE": "1000000", "GBS_USER_BURST": "1000000"}
    ) as running:
        yield running
        for line in running.log().splitlines():
            assert json.loads(line)["level"] not in {"error", "critical"}, line


@pytest.fixture(scope="module")
def ids(server: ServerProcess) -> dict[str, list[int]]:
    """Ids of people, of leaders and of memos that are there."""
    with httpx.Client(
        base_url=server.url + LINE_UP, headers={"Authorization": f"Bearer {token()}"}
    ) as client:
        rows = client.get("/user-lineups").json()["userRetreatGbsLineups"]
        free = [row["id"] for row in rows if row["lineupMemoId"] is None]
        for person in free[:MEMOS]:
            answer = client.post(f"/{person}/lineup-memo", json={"memo": "x"})
            assert answer.status_code == 200, answer.text
        rows = client.get("/user-lineups").json()["userRetreatGbsLineups"]
        groups = client.get("/gbslist").json()["gbsList"]
    return {
        "groups": [group["id"] for group in groups],
        "numbers": [group["number"] for group in groups],
        "people": [row["id"] for row in rows],
        "memos": [row["lineupMemoId"] for row in rows if row["lineupMemoId"] is not None],
    }


def configuration(ids: dict[str, list[int]], bearer: str | None) -> str:
    """Return a configuration file that mixes ids that are there into those made up."""
    authentication = "" if bearer is None else f'[auth.openapi.bearer]\nbearer = "{bearer}"\n'
    return f"""
hooks = "tests.api.schemathesis_hooks"
{authentication}
[dictionaries]
retreats = {{ values = ["{RETREAT}"] }}
people = {{ values = {ids["people"]} }}
memos = {{ values = {ids["memos"]} }}
groups = {{ values = {ids["groups"]} }}
numbers = {{ values = {ids["numbers"]} }}

[parameters]
"path.slug" = {{ dictionary = "retreats", probability = 0.9 }}
"path.registrationId" = {{ dictionary = "people", probability = 0.8 }}
"path.gbsId" = {{ dictionary = "groups", probability = 0.8 }}
"body.userRetreatRegistrationId" = {{ dictionary = "people", probability = 0.8 }}

[[operations]]
include-operation-id = ["assignLeaders", "updateGroupMemo", "deleteGroupMemo"]
parameters = {{ "body.gbsNumber" = {{ dictionary = "numbers", probability = 0.8 }} }}

[[operations]]
include-operation-id = "createMemo"
parameters = {{ "path.id" = {{ dictionary = "people", probability = 0.8 }} }}

[[operations]]
include-operation-id = ["updateMemo", "deleteMemo"]
parameters = {{ "path.id" = {{ dictionary = "memos", probability = 0.8 }} }}
"""


def run(server: ServerProcess, folder: Path, config: str, examples: int, *options: str) -> Reached:
    """Run Schemathesis; fail with what it found. Return what it has reached."""
    (folder / "schemathesis.toml").write_text(config)
    report = folder / "report.ndjson"
    result = subprocess.run(
        [
            sys.executable,
            "-m",
            "schemathesis.cli",
            f"--config-file={folder / 'schemathesis.toml'}",
            "run",
            f"{server.url}/openapi.json",
            "--checks=all",
            f"--seed={SEED}",
            f"--max-examples={examples}",
            "--generation-database=none",
            "--continue-on-failure",
            "--no-color",
            "--output-truncate=false",
            "--report=ndjson",
            f"--report-ndjson-path={report}",
            *options,
        ],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert result.returncode == 0, result.stdout[-20_000:] + result.stderr[-2_000:]
    return reached(report)


def reached(report: Path) -> Reached:
    found: Reached = defaultdict(set)
    for line in report.read_text().splitlines():
        recorder = json.loads(line).get("ScenarioFinished", {}).get("recorder", {})
        for case_id, interaction in recorder.get("interactions", {}).items():
            case: dict[str, Any] = recorder["cases"][case_id]["value"]
            if interaction.get("response"):
                operation = f"{case['method']} {case['path']}"
                found[operation].add(interaction["response"]["status_code"])
    return found


NOT_AT_RANDOM = ("drainServer", "profileLoop", "changeLogLevel")
CLOSING = ("stopRoom", "drainRoom")
"""Behind them no room is open that could be shown."""
OF_ROOM = "/api/v1/retreat/{slug}/line-up"


def test_an_editor_finds_everything_as_described(
    server: ServerProcess, ids: dict[str, list[int]], tmp_path: Path
) -> None:
    # What is a spreadsheet, or which times fit to counts, no schema can say: imports and pages'
    # reports have tests of their own.
    others = ("uploadSheet", "applyImport", "exportBlocks", "exportWarnings", "reportClientMetrics")
    options = (
        "--exclude-tag=operators",
        *(f"--exclude-operation-id={operation}" for operation in others),
    )
    seen = run(server, tmp_path, configuration(ids, token()), 40, *options)
    assert {200, 400, 401, 404} <= seen[f"GET {OF_ROOM}/user-lineups"]
    for write in (
        f"PUT {OF_ROOM}/user-lineups/{{registrationId}}",
        f"POST {OF_ROOM}/assign-gbs",
        f"POST {OF_ROOM}/{{id}}/lineup-memo",
        f"PUT {OF_ROOM}/{{id}}/lineup-memo",
        f"DELETE {OF_ROOM}/{{id}}/lineup-memo",
    ):
        assert {200, 400, 401, 404} <= seen[write]
        assert "DELETE" in write or 409 in seen[write]
    for write in (
        f"DELETE {OF_ROOM}/{{gbsId}}/unassign-gbs-leaders",
        f"PUT {OF_ROOM}/lineup-gbs-memo",
        f"DELETE {OF_ROOM}/lineup-gbs-memo",
        f"POST {OF_ROOM}/create-gbs",
    ):
        assert {200, 400, 401} <= seen[write], write
    for write in ("POST {}/bulk-assign-gbs", "DELETE {}/delete-gbs"):
        assert {400, 401, 404} <= seen[write.format(OF_ROOM)], write
    assert {200, 400, 401, 404} <= seen[f"POST {OF_ROOM}/undo"]
    for read in ("gbslist", "history"):
        assert {200, 401, 404} <= seen[f"GET {OF_ROOM}/{read}"]
    assert {200, 401} <= seen["GET /api/v1/retreats"]
    assert {200, 400, 401, 404} <= seen["GET /api/v1/retreat/{slug}"]


def test_an_operator_finds_everything_as_described(
    server: ServerProcess, ids: dict[str, list[int]], tmp_path: Path
) -> None:
    bearer = token(**OPERATOR)  # type: ignore[arg-type]
    # What ends or slows the server, or takes names of its loggers, has tests of its own.
    others = [f"--exclude-operation-id={each}" for each in (*NOT_AT_RANDOM, *CLOSING)]
    seen = run(server, tmp_path, configuration(ids, bearer), 20, "--include-tag=operators", *others)
    assert {200, 401} <= seen["GET /admin/rooms"]
    assert {200, 401, 404} <= seen["GET /admin/rooms/{slug}"]
    for path in ("/admin/system", "/admin/task-tree", "/admin/session"):
        assert {200, 401} <= seen[f"GET {path}"]
    assert {200, 401} <= seen["POST /admin/session"]
    assert {204, 401} <= seen["DELETE /admin/session"]
    closing = [f"--include-operation-id={each}" for each in CLOSING]
    closing.append("--phases=examples,coverage,fuzzing")
    seen.update(run(server, tmp_path, configuration(ids, bearer), 10, *closing))
    for action in ("restart", "recover", "stop", "drain"):
        assert {200, 400, 401} <= seen[f"POST /admin/rooms/{{slug}}/{action}"]
    for whom in ("sessions/{sid}", "users/{userId}"):
        assert {200, 400, 401} <= seen[f"POST /admin/{whom}/kick"]
    for path in ("/admin/audit", "/admin/log-levels"):
        assert {200, 401} <= seen[f"GET {path}"]


def test_without_a_token_only_the_probes_answer(
    server: ServerProcess, ids: dict[str, list[int]], tmp_path: Path
) -> None:
    seen = run(server, tmp_path, configuration(ids, None), 10)
    assert 200 in seen["GET /healthz"]
    assert 200 in seen["GET /readyz"]
    for operation, statuses in seen.items():
        # OPTIONS asks for nothing but the methods.
        if not operation.startswith("OPTIONS ") and not operation.endswith(("/healthz", "/readyz")):
            assert not any(200 <= status < 400 for status in statuses), operation
