"""What a simulated client shows: a list of rows, merged as the contract says."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from gbs_actor.contract.events import ServerEvent
from gbs_actor.testing.simulation.history import Json

_NOT_SHOWN: Final = frozenset({"gbsNumber", "revision"})
"""Members of a group that its rows have for themselves."""


class Replica:
    """The rows of one retreat, as a client shows them; it keeps them when it leaves."""

    def __init__(self) -> None:
        self.rows: dict[int, Json] = {}
        self.slug: str | None = None
        """The retreat that they are of; ``None``: it has none."""
        self.epoch: str | None = None
        self.since: int = 0
        """The highest revision of a join's answer or an update: where it may go on from."""
        self.seen = 0
        """The highest revision of anything."""
        self.offset: int | None = None
        """The revision of the last event: what it resumes its session with."""

    def joined(self, slug: str, reply: Json) -> None:
        """Take the answer to a join."""
        rows = {row["id"]: row for row in reply["data"]}
        other = self.slug != slug or self.epoch != reply["epoch"]
        self.rows = rows if reply["full"] else self.rows | rows
        self.slug, self.epoch = slug, reply["epoch"]
        self.since = reply["revision"] if other else max(self.since, reply["revision"])
        self.seen = self.since if other else max(self.seen, self.since)

    def listed(self, slug: str, rows: Iterable[Json]) -> None:
        """Take the list that is sent to who joins by connecting."""
        self.rows = {row["id"]: row for row in rows}
        self.slug, self.epoch = slug, None
        self.since = self.seen = max((row["revision"] for row in self.rows.values()), default=0)

    def accepted(self, reply: Json) -> None:
        """Take the answer to a command; one that was carried out in its room changes the list."""
        revision = reply.get("revision")
        if revision is not None:
            self.seen = max(self.seen, revision)
            data = reply["data"]
            self._merge(data.get("updatedLineups", (data,)))

    def event(self, name: str, payload: Any, revision: int) -> None:
        """Take an event of the room."""
        self.offset = revision
        if name == ServerEvent.LINEUP_UPDATED:
            self._merge((payload,))
        elif name == ServerEvent.LINEUPS_UPDATED:
            self._merge(payload["rows"])
            for group in payload["groups"]:
                self._show(group)
        else:
            return
        self.since = max(self.since, revision)
        self.seen = max(self.seen, revision)

    def _merge(self, rows: Iterable[Json]) -> None:
        for row in rows:
            self.rows[row["id"]] = row

    def _show(self, group: Mapping[str, Any]) -> None:
        if "deleted" in group:
            return
        values = {name: value for name, value in group.items() if name not in _NOT_SHOWN}
        for id_, row in self.rows.items():
            if row["gbsNumber"] == group["gbsNumber"]:
                self.rows[id_] = {**row, **values}
