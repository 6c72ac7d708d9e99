"""The browser's client in Node against the whole server, over a network that fails."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from subprocess import PIPE
from typing import Any

import pytest
import trio

import gbs_actor.web
from gbs_actor.client import connect
from tests.e2e.relay import Relay, relay_to
from tests.e2e.server_process import RETREAT, ServerProcess, running_server, token

INDEX = Path(gbs_actor.web.__file__).parent / "client" / "index.js"
FAULTS = 20
CLIENTS = 4
pytestmark = pytest.mark.node


async def fail(relay: Relay, server: ServerProcess, chance: random.Random) -> None:
    """Let one thing fail, and work again."""
    match chance.choice(["cut", "cut", "answers lost", "answers lost", "delayed", "killed"]):
        case "cut":
            relay.close()
            await trio.sleep(chance.random() * 0.3)
        case "answers lost":  # commands arrive whose answers do not: they are repeated
            relay.hold_answers()
            await trio.sleep(0.1 + chance.random() * 0.2)
            relay.close()
        case "delayed":
            relay.hold_answers()
            await trio.sleep(chance.random())
        case "killed":
            await trio.to_thread.run_sync(server.kill_and_start_again)
    relay.release_answers()
    relay.reopen()


def written(server: ServerProcess) -> Counter[object]:
    """How often each number and memo was written, by the log."""
    found: Counter[object] = Counter()
    path = f"/api/v1/retreat/{RETREAT}/line-up/history?limit=200"
    before = ""
    while True:
        page = server.get(path + before, token())
        for change in page["changes"]:
            for field in change["after"]:
                value = field["value"]
                found[value["memo"] if isinstance(value, dict) else value] += 1
        if page["next"] is None:
            return found
        before = f"&before={page['next']}"


def fields(row: dict[str, Any]) -> dict[str, Any]:
    """A row but for its revision, which over HTTP is not that of its own fields alone."""
    return {name: value for name, value in row.items() if name != "revision"}


@asynccontextmanager
async def editing(
    node: str, drivers_folder: Path, relay: Relay, seed: int
) -> AsyncIterator[dict[str, Any]]:
    """Clients that edit for the time of a block; yield what has their report behind it."""
    tokens = [token(20 + each, f"간사 {each}") for each in range(CLIENTS)]
    tokens[0] = f"{token(20, exp=1)},{tokens[0]}"  # expired, and its successor
    command = [node, str(drivers_folder / "lineup.mjs"), str(INDEX), relay.url, str(seed), *tokens]
    process = await trio.lowlevel.open_process(command, stdin=PIPE, stdout=PIPE)
    assert process.stdin is not None
    assert process.stdout is not None
    report: dict[str, Any] = {}
    try:
        yield report
        await process.stdin.aclose()
        with trio.fail_after(90):
            report.update(json.loads(b"".join([data async for data in process.stdout])))
    finally:
        process.kill()
        await process.wait()


@pytest.mark.parametrize("seed", [1, 2])
async def test_after_any_faults_lists_are_equal_and_each_edit_is_applied_once_or_reported(
    node: str, drivers_folder: Path, seed: int
) -> None:
    chance = random.Random(seed)
    with running_server() as server:
        async with relay_to(server) as relay, editing(node, drivers_folder, relay, seed) as report:
            await trio.sleep(1)
            for _ in range(FAULTS):
                await fail(relay, server, chance)
                await trio.sleep(chance.random() * 0.5)
        rows = server.get(f"/api/v1/retreat/{RETREAT}/line-up/user-lineups", token())
        applied = written(server)

    for state in report["states"]:
        assert (state["connection"], state["unsent"]) == ({"state": "live"}, 0)
        assert [*map(fields, state["rows"])] == [*map(fields, rows["userRetreatGbsLineups"])]
    statuses = Counter(edit["status"] for edit in report["edits"])
    assert statuses["saved"] > 100
    assert statuses["conflict"] > 0
    assert statuses["pending"] == 0
    for edit in report["edits"]:
        times = applied[edit["value"]]
        match edit["status"]:
            case "saved":
                assert times == 1, edit
            case "conflict":  # and perhaps it was sent again, over theirs
                assert times <= 1, edit
            case _:
                assert times == 0, edit
    assert sum(state["metrics"]["reconnects"] for state in report["states"]) >= CLIENTS


@pytest.mark.parametrize("how", ["cut", "swallowed"])
async def test_it_works_where_websockets_do_not(
    node: str, drivers_folder: Path, server: ServerProcess, how: str
) -> None:
    async with connect(server.url, token()) as watcher:
        await watcher.join(RETREAT)
        edited = watcher.revision + 10
        async with relay_to(server, knows_websockets=how == "swallowed") as relay:
            relay.hold_websockets()
            async with editing(node, drivers_folder, relay, 3) as report:
                with trio.fail_after(60):
                    await watcher.until(lambda client: client.revision >= edited)
    assert all(state["connection"] == {"state": "live"} for state in report["states"])
    assert Counter(edit["status"] for edit in report["edits"])["saved"] >= 5
