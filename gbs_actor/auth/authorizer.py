"""Who may do what: roles, and the grants that single retreats add."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

import trio

from gbs_actor.auth.user import User
from gbs_actor.settings import AuthSettings
from gbs_actor.store.protocol import Store, StoreUnavailable

MAX_GRANTS = 10_000
"""Answers remembered, at most; the one asked for longest ago is forgotten first."""


@dataclass(frozen=True, slots=True)
class Policy:
    """What each role may do. An unknown role, from a grant say, may do nothing."""

    readers: frozenset[str]
    editors: frozenset[str]
    operators: frozenset[str]

    @classmethod
    def from_settings(cls, settings: AuthSettings) -> Policy:
        """Take the roles of the settings; who may edit may read."""
        return cls(
            readers=frozenset(settings.reader_roles) | frozenset(settings.editor_roles),
            editors=frozenset(settings.editor_roles),
            operators=frozenset(settings.operator_roles),
        )

    def may_read(self, role: str) -> bool:
        """Whether the role may see a line-up."""
        return role in self.readers

    def may_edit(self, role: str) -> bool:
        """Whether the role may change a line-up."""
        return role in self.editors

    def is_operator(self, role: str) -> bool:
        """Whether the role may use the admin endpoints."""
        return role in self.operators


@dataclass(frozen=True, slots=True)
class AuthorizerStatistics:
    """How the memory of grants does."""

    remembered: int
    """Answers in memory."""
    hits: int
    """Questions answered from memory."""
    lookups: int
    """Questions the store answered."""
    stale_answers: int
    """Questions answered from memory past its time, because the store was unreachable."""


@dataclass(frozen=True, slots=True)
class _Answer:
    role: str | None
    asked_at: float


class Authorizer:
    """A user's role in one retreat: the token's, unless a grant there says otherwise.

    :param ttl: seconds an answer of the store is taken as true.
    """

    def __init__(self, store: Store, policy: Policy, *, ttl: float = 30.0) -> None:
        self.policy = policy
        self._store = store
        self._ttl = ttl
        self._answers: OrderedDict[tuple[str, int], _Answer] = OrderedDict()
        self._hits = self._lookups = self._stale_answers = 0

    async def role_for(self, user: User, slug: str) -> str:
        """Return the role the user has in this retreat.

        While the store is unreachable the last answer counts, however old. Without one
        nothing is assumed: a grant may take rights away as well as give them.

        :raises StoreUnavailable: the store is unreachable and was never asked before.

        Cancellation: nothing is remembered of a question that was cut short.
        """
        key = (slug, user.user_id)
        known = self._answers.get(key)
        if known is not None and trio.current_time() - known.asked_at < self._ttl:
            self._hits += 1
            await trio.lowlevel.checkpoint()
            return known.role or user.role
        asked_at = trio.current_time()
        try:
            role = await self._store.role_in_retreat(slug, user.user_id)
        except StoreUnavailable:
            if known is None:
                raise
            self._stale_answers += 1
            return known.role or user.role
        self._lookups += 1
        self._answers[key] = _Answer(role, asked_at)
        self._answers.move_to_end(key)
        while len(self._answers) > MAX_GRANTS:
            self._answers.popitem(last=False)
        return role or user.role

    def forget(self) -> None:
        """Ask the store anew for everyone, after grants were changed."""
        self._answers.clear()

    def statistics(self) -> AuthorizerStatistics:
        """Return counters; never blocks."""
        return AuthorizerStatistics(
            len(self._answers), self._hits, self._lookups, self._stale_answers
        )
