"""Editors who work at a steady pace, somebody who looks on, and newcomers, all measured."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from itertools import count
from typing import Any
from uuid import UUID

import trio

from scripts.attack.clients import (
    Edit,
    Editor,
    Lost,
    OnRow,
    Place,
    over_http,
    over_polling,
    over_websocket,
)
from scripts.attack.figures import SERVED, Measured
from tests.e2e.server_process import RETREAT, ServerProcess, token

Enter = Callable[[Place, OnRow | None], AbstractAsyncContextManager[Editor]]

WAYS: tuple[Enter, ...] = (over_websocket, over_websocket, over_websocket, over_polling, over_http)
PACE = 0.25
"""Seconds from one edit of an editor to the next."""
ARRIVAL = 1.0
"""Seconds from one newcomer to the next."""
PATIENCE = 10.0
"""Seconds until an editor gives an edit again on a new connection."""
PAUSE = 0.1
NEWCOMERS_ROWS = 20


class People:
    """Everybody honest, over one server.

    :param measured: where the figures go.
    """

    def __init__(self, server: ServerProcess, measured: Measured) -> None:
        self._server = server
        self._measured = measured
        self._chance = random.Random(16)
        self._under_way: dict[tuple[int, int], float] = {}
        self._last: dict[int, int] = {}
        self._stopping = False
        self._entered = trio.Event()
        """Set when all editors have been in the room once."""
        self._inside = 0

    @asynccontextmanager
    async def at_work(self) -> AsyncIterator[None]:
        """Work within the block, and finish what is under way behind it."""
        rows = await trio.to_thread.run_sync(self._rows)
        people = [row["id"] for row in rows if not row["isLeader"]]
        newcomers, editors = people[:NEWCOMERS_ROWS], people[NEWCOMERS_ROWS:]
        async with trio.open_nursery() as looking_on:
            looking_on.start_soon(self._look_on)
            async with trio.open_nursery() as nursery:
                for at, enter in enumerate(WAYS):
                    nursery.start_soon(self._keep_editing, at, enter, editors[at :: len(WAYS)])
                with trio.fail_after(30):
                    await self._entered.wait()
                nursery.start_soon(self._arrive, newcomers)
                yield
                self._stopping = True
            looking_on.cancel_scope.cancel()
        await trio.to_thread.run_sync(self._check)

    def _place(self, address: str, user_id: int) -> Place:
        return Place(address, self._server.port, token(user_id, f"간사{user_id}"), RETREAT)

    async def _keep_editing(self, at: int, enter: Enter, rows: list[int]) -> None:
        """Edit when an edit is due, and as soon as possible where one is late."""
        place = self._place(f"127.0.10.{at + 1}", 100 + at)
        edits = self._edits(rows)
        edit = next(edits)
        due: float | None = None
        while not self._stopping:
            try:
                async with enter(place, None) as editor:
                    if due is None:
                        await self._all_inside()
                        due = trio.current_time() + PACE * at / len(WAYS)
                    while not self._stopping:
                        await trio.sleep_until(due)
                        self._under_way.setdefault((edit.row_id, edit.number), due)
                        with trio.fail_after(PATIENCE):
                            await self._give(editor, edit)
                        self._measured.acks.add(due, trio.current_time())
                        edit, due = next(edits), due + PACE
            except Lost as lost:
                self._lost(lost)
                await trio.sleep(PAUSE)
        if due is not None and due < trio.current_time():
            self._measured.acks.add(due, trio.current_time())

    async def _all_inside(self) -> None:
        self._inside += 1
        if self._inside == len(WAYS):
            self._entered.set()
        await self._entered.wait()

    async def _give(self, editor: Editor, edit: Edit) -> None:
        """Give an edit; until it is acknowledged nobody knows what the row is."""
        self._last.pop(edit.row_id, None)
        await editor.edit(edit)
        self._last[edit.row_id] = edit.number

    def _edits(self, rows: list[int]) -> Iterator[Edit]:
        for at in count():
            row_id = rows[at % len(rows)]
            number = 1_000 + (row_id * 131 + at) % 8_000
            yield Edit(row_id, number, UUID(int=self._chance.getrandbits(128), version=4))

    async def _look_on(self) -> None:
        place = self._place("127.0.10.99", 199)

        def on_row(row_id: int, number: int | None) -> None:
            due = self._under_way.pop((row_id, number or 0), None)
            if due is not None:
                self._measured.deliveries.add(due, trio.current_time())

        while True:
            try:
                async with over_websocket(place, on_row):
                    await trio.sleep_forever()
            except Lost as lost:
                self._lost(lost)
                await trio.sleep(PAUSE)

    def _lost(self, lost: Lost) -> None:
        self._measured.losses += 1
        self._measured.reasons[f"editor: {lost}"[:120]] += 1

    async def _arrive(self, rows: list[int]) -> None:
        async with trio.open_nursery() as nursery:
            due = trio.current_time()
            edits = self._edits(rows)
            for at in count():
                await trio.sleep_until(due)
                if self._stopping:
                    return
                place = self._place(f"127.0.{20 + at // 250}.{1 + at % 250}", 1_000 + at)
                nursery.start_soon(self._newcomer, place, next(edits))
                due += ARRIVAL

    async def _newcomer(self, place: Place, edit: Edit) -> None:
        """Connect, join and edit once; whoever is lost tries again, as a page does."""
        began = trio.current_time()
        with trio.move_on_after(SERVED):
            while True:
                try:
                    async with over_websocket(place) as client:
                        await self._give(client, edit)
                        self._measured.newcomers.add(began, trio.current_time())
                        return
                except Lost as lost:
                    self._measured.reasons[f"newcomer: {lost}"[:120]] += 1
                    await trio.sleep(PAUSE)
        self._measured.refused.append(began)

    def _rows(self) -> list[dict[str, Any]]:
        path = f"/api/v1/retreat/{RETREAT}/line-up/user-lineups"
        rows: list[dict[str, Any]] = self._server.get(path, token(1))["userRetreatGbsLineups"]
        return rows

    def _check(self) -> None:
        """Compare the last acknowledged edit of each row with what the server has."""
        if not self._server.alive():
            self._measured.alive = False
            return
        numbers = {row["id"]: row["gbsNumber"] for row in self._rows()}
        for row_id, number in self._last.items():
            if numbers[row_id] != number:
                self._measured.unsaved.append(f"{row_id}: {number}, now {numbers[row_id]}")
