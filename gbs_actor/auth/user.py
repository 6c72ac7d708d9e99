"""Who is at the other end, as a verified token tells."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from gbs_actor.settings import Role

LEEWAY = 30
"""Seconds by which clocks may differ: ``exp`` and ``nbf`` count that much later, earlier."""


class TokenSource(StrEnum):
    """Where a token was found; it decides what happens when it expires."""

    PAYLOAD = "payload"
    """Given by the page: the payload of a Socket.IO CONNECT, or a WebSocket subprotocol."""
    HEADER = "header"
    """``Authorization: Bearer``."""
    COOKIE = "cookie"


@dataclass(frozen=True, slots=True)
class User:
    """A person whose token has been verified."""

    user_id: int
    admin_user_id: int
    """Equal to ``user_id`` where the token names none."""
    name: str
    """"" where the token names none."""
    email: str
    role: Role
    retreats: frozenset[str] | None
    """Slugs of the retreats they may enter; ``None``: all."""
    expires_at: float | None
    """Unix time in seconds, leeway not included; ``None``: never."""
    source: TokenSource

    def may_enter(self, slug: str) -> bool:
        """Whether the token's claim ``retreats`` lets them into this one."""
        return self.retreats is None or slug in self.retreats

    def is_same_person(self, other: User) -> bool:
        """Whether a new token continues this one: ``authenticate`` takes no other's."""
        return self.user_id == other.user_id
