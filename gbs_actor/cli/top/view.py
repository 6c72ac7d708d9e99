"""What ``top`` shows, and how keys change it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

SORTS: Final = {
    "commands": "-commandsPerSecond",
    "subscribers": "-subscriberCount",
    "mailbox": "-mailboxDepth",
    "commit": "-commit.p99",
    "handout": "-handOut.p99",
    "restarts": "-restarts",
    "idle": "idleFor",
    "room": "slug",
}
"""The server's sort key for each column that rooms can be sorted by."""

HELP: Final = "q quit  s sort by the next column  r reverse  f only one state  p pause"

_UNWELL: Final = ("failed", "backoff", "restarting", "starting", "draining")


@dataclass
class View:
    """What is asked for; :meth:`press` changes it."""

    sort: str = "commands"
    reverse: bool = False
    state: str | None = None
    search: str = ""
    paused: bool = False
    ended: bool = False

    def query(self, limit: int) -> Mapping[str, str | int]:
        """Return the query of ``/admin/rooms``."""
        key = SORTS[self.sort]
        if self.reverse:
            key = key.removeprefix("-") if key.startswith("-") else f"-{key}"
        query: dict[str, str | int] = {"sort": key, "limit": limit}
        if self.state is not None:
            query["state"] = self.state
        if self.search:
            query["search"] = self.search
        return query

    def press(self, key: str) -> None:
        """Do what a key stands for; others do nothing."""
        match key:
            case "q" | "\x03" | "\x04":
                self.ended = True
            case "s":
                names = list(SORTS)
                self.sort = names[(names.index(self.sort) + 1) % len(names)]
            case "r":
                self.reverse = not self.reverse
            case "f":
                states = (None, *_UNWELL)
                at = states.index(self.state) if self.state in states else 0
                self.state = states[(at + 1) % len(states)]
            case "p":
                self.paused = not self.paused
