"""The user of a verified token."""

from __future__ import annotations

from dataclasses import dataclass

from gbs_actor.auth.token_source import TokenSource
from gbs_actor.roles import Role

LEEWAY = 30
"""Seconds by which clocks may differ: ``exp`` counts that much later, ``nbf`` earlier."""


@dataclass(frozen=True, slots=True)
class User:
    """A person whose token has been verified."""

    user_id: int
    admin_user_id: int
    """Equal to ``user_id`` if the token has none."""
    name: str
    """"" if the token has none."""
    email: str
    role: Role
    retreats: frozenset[str] | None
    """Slugs of the retreats they may enter; ``None``: all."""
    expires_at: float | None
    """Unix time in seconds, leeway not included; ``None``: never."""
    source: TokenSource

    def may_enter(self, slug: str) -> bool:
        """Whether the token's claim ``retreats`` allows this one."""
        return self.retreats is None or slug in self.retreats

    def is_same_person(self, other: User) -> bool:
        """Whether ``authenticate`` may replace this user's token by the other's."""
        return self.user_id == other.user_id
