"""What one client knows of the room, and in which order it learnt it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import trio

Row = dict[str, Any]


@dataclass
class View:
    """Rows merged by id as they come."""

    rows: dict[int, Row] = field(default_factory=dict)
    revisions: list[int] = field(default_factory=list)
    """Of everything that came on the connection: updates, answers, lists."""
    updates: Counter[tuple[int, int]] = field(default_factory=Counter)
    """How often each update came: by row and revision."""
    _news: trio.Event = field(default_factory=trio.Event)

    def replaced(self, rows: Iterable[Row], revision: int) -> None:
        """Take a whole list."""
        self.rows = {row["id"]: row for row in rows}
        self._learnt(revision)

    def merged(self, rows: Iterable[Row], revision: int) -> None:
        """Take what an answer or a reading brings."""
        self.rows.update({row["id"]: row for row in rows})
        self._learnt(revision)

    def updated(self, row: Row) -> None:
        """Take what the server sent unasked."""
        self.updates[row["id"], row["revision"]] += 1
        self.merged([row], row["revision"])

    def _learnt(self, revision: int) -> None:
        self.revisions.append(revision)
        self._news.set()
        self._news = trio.Event()

    async def news(self) -> None:
        """Wait until something more has come."""
        await self._news.wait()

    async def until(self, rows: dict[int, Row]) -> None:
        """Wait until the rows are these."""
        while self.rows != rows:
            await self.news()
