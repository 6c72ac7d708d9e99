"""One edit, and how each kind of client says it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from tests.e2e.server_process import RETREAT

LINE_UP = f"/api/v1/retreat/{RETREAT}/line-up"


@dataclass(frozen=True)
class Edit:
    """Something that a person at a page wants changed."""

    command_id: UUID
    event: str
    target: int
    """A registration's id; a memo's where one is updated or deleted."""
    content: dict[str, Any]

    def argument(self) -> dict[str, Any]:
        """Return the argument of the event, over any WebSocket and over Socket.IO."""
        of_memo = self.event in {"update-lineup-memo", "delete-lineup-memo"}
        return {
            "memoId" if of_memo else "lineupId": self.target,
            **self.content,
            "commandId": str(self.command_id),
        }

    def request(self) -> tuple[str, str]:
        """Return method and path over HTTP; the body is :attr:`content`."""
        match self.event:
            case "update-gbs-number":
                return "PUT", f"{LINE_UP}/user-lineups/{self.target}"
            case "create-lineup-memo":
                return "POST", f"{LINE_UP}/{self.target}/lineup-memo"
            case "update-lineup-memo":
                return "PUT", f"{LINE_UP}/{self.target}/lineup-memo"
            case "delete-lineup-memo":
                return "DELETE", f"{LINE_UP}/{self.target}/lineup-memo"
        raise ValueError(self.event)


@dataclass(frozen=True)
class Accepted:
    """The server's word that an edit is durable."""

    revision: int
    row: dict[str, Any]
