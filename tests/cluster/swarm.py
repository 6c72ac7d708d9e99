"""Stock Socket.IO clients, and plain WebSockets, that edit all the time: one process of Node.js."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from subprocess import PIPE
from typing import Any
from uuid import UUID

import trio

from tests.cluster.ledger import Edit, Ledger
from tests.cluster.plan import Plan
from tests.e2e.server_process import RETREAT
from tests.mixed.view import Row

TRANSPORTS: Mapping[str, Sequence[str] | None] = {
    "stock": ("websocket",),
    "upgrading": ("polling", "websocket"),
    "polling": ("polling",),
    "plain": None,
}
"""The ways of stock clients through the network, by the name of their kind; ``None``: not a stock
client, but JSON over a WebSocket.
"""


@dataclass
class Swarm:
    """Clients in another process."""

    plans: Sequence[Plan]
    count: int = 0
    """Edits acknowledged, when last asked."""
    _process: trio.Process | None = None
    _turn: trio.Lock = field(default_factory=trio.Lock)

    async def start(self) -> None:
        """Let them connect, join, and begin to edit."""
        clients = [
            {
                "url": plan.url,
                "transports": TRANSPORTS[plan.kind],
                "token": plan.token,
                "numbers": [*plan.numbers],
                "memoOf": plan.memo_of,
                "interval": plan.interval * 1000,
            }
            for plan in self.plans
        ]
        await self._perform("start", slug=RETREAT, clients=clients)

    async def acknowledged(self) -> int:
        """Return how many edits were acknowledged."""
        self.count = (await self._perform("acknowledged"))["acknowledged"]
        return self.count

    async def hurry(self) -> None:
        """Let all give their next edit now."""
        await self._perform("hurry")

    async def stop(self) -> None:
        """Let them finish the edits under way, and begin no others."""
        await self._perform("stop")

    async def differences(self, rows: Collection[Row], patience: float) -> list[str]:
        """Wait until all have these rows; return what some do not have after so many seconds."""
        answer = await self._perform("compare", rows=list(rows), patience=patience * 1000)
        return [
            f"{self.plans[found['at']].name}: {found.get('found')}, not {found.get('expected')}"
            for found in answer["different"]
        ]

    async def ledgers(self) -> list[Ledger]:
        """Return what each has done."""
        report = (await self._perform("report"))["clients"]
        return [
            Ledger(
                plan.name,
                [_edit(edit) for edit in client["edits"]],
                client["violations"],
                client["joins"],
            )
            for plan, client in zip(self.plans, report, strict=True)
        ]

    async def _perform(self, operation: str, **arguments: object) -> dict[str, Any]:
        assert self._process is not None
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        line = json.dumps({"op": operation, **arguments}).encode()
        async with self._turn:
            await self._process.stdin.send_all(line + b"\n")
            answer = bytearray()
            while not answer.endswith(b"\n"):  # nothing comes unasked
                part = await self._process.stdout.receive_some()
                assert part, "the clients' process has ended"
                answer += part
        decoded: dict[str, Any] = json.loads(answer)
        return decoded


def _edit(edit: dict[str, Any]) -> Edit:
    return Edit(
        edit["person"],
        "gbsNumber" if edit["event"] == "update-gbs-number" else "lineupMemo",
        edit["value"],
        command_id=UUID(edit["commandId"]),
        attempts=edit["attempts"],
        took=None if edit["took"] is None else edit["took"] / 1000,
        revision=edit["revision"],
        refused=edit["refused"],
    )


@asynccontextmanager
async def swarm(node: str, folder: Path, plans: Sequence[Plan]) -> AsyncIterator[Swarm]:
    """Run clients within the block.

    :param node: Node.js.
    :param folder: where ``swarm.mjs`` and its packages are.
    """
    swarm = Swarm(plans)
    async with trio.open_nursery() as nursery:
        swarm._process = await nursery.start(
            partial(trio.run_process, [node, str(folder / "swarm.mjs")], stdin=PIPE, stdout=PIPE)
        )
        await swarm.start()
        yield swarm
        assert swarm._process.stdin is not None
        await swarm._process.stdin.aclose()
