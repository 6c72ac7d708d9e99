"""The browser's client in Node against the whole server, over a network that fails."""

from __future__ import annotations

import json
import random
from collections import Counter
from pathlib import Path
from subprocess import PIPE
from typing import Any

import pytest
import trio

import gbs_actor.web
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


@pytest.mark.parametrize("seed", [1, 2])
async def test_after_any_faults_lists_are_equal_and_each_edit_is_applied_once_or_reported(
    node: str, drivers_folder: Path, seed: int
) -> None:
    chance = random.Random(seed)
    with running_server() as server:
        async with relay_to(server) as relay:
            tokens = [token(20 + each, f"간사 {each}") for each in range(CLIENTS)]
            command = [node, str(drivers_folder / "lineup.mjs"), str(INDEX), relay.url, str(seed)]
            process = await trio.lowlevel.open_process([*command, *tokens], stdin=PIPE, stdout=PIPE)
            assert process.stdin is not None
            assert process.stdout is not None
            try:
                await trio.sleep(1)
                for _ in range(FAULTS):
                    await fail(relay, server, chance)
                    await trio.sleep(chance.random() * 0.5)
                await process.stdin.aclose()
                with trio.fail_after(90):
                    report = json.loads(b"".join([data async for data in process.stdout]))
            finally:
                process.kill()
                await process.wait()
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
    assert sum(state["metrics"]["reconnects"] for state in report["states"]) > 2 * CLIENTS
