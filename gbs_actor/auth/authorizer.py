"""What each role may do, and the role of a user in a retreat."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

import trio

from gbs_actor.auth.user import User
from gbs_actor.settings import AuthSettings
from gbs_actor.store.protocol import Store, StoreUnavailable

_AUTH = AuthSettings()

MAX_GRANTS = 10_000
"""How many roles are cached; the one looked up longest ago is dropped first."""


@dataclass(frozen=True, slots=True)
class Policy:
    """What each role may do. An unknown role may do nothing."""

    readers: frozenset[str]
    editors: frozenset[str]
    operators: frozenset[str]

    @classmethod
    def from_settings(cls, settings: AuthSettings) -> Policy:
        """Return the policy of the settings; who may edit may read."""
        return cls(
            readers=frozenset(settings.reader_roles) | frozenset(settings.editor_roles),
            editors=frozenset(settings.editor_roles),
            operators=frozenset(settings.operator_roles),
        )

    def may_read(self, role: str) -> bool:
        """Whether the role may read a line-up."""
        return role in self.readers

    def may_edit(self, role: str) -> bool:
        """Whether the role may change a line-up."""
        return role in self.editors

    def is_operator(self, role: str) -> bool:
        """Whether the role may use the admin endpoints."""
        return role in self.operators


@dataclass(frozen=True, slots=True)
class AuthorizerStatistics:
    """Counters of the cache of roles."""

    cached: int
    """Roles in the cache."""
    hits: int
    """Roles returned from the cache."""
    lookups: int
    """Roles read from the store."""
    stale_hits: int
    """Expired roles returned from the cache, as the store was unreachable."""


@dataclass(frozen=True, slots=True)
class _Grant:
    role: str | None
    """``None``: there is no grant."""
    looked_up_at: float


class Authorizer:
    """A user's role in one retreat: the token's, unless a grant there overrides it.

    :param grant_ttl: seconds for which a grant is cached.
    """

    def __init__(self, store: Store, policy: Policy, *, grant_ttl: float = _AUTH.grant_ttl) -> None:
        self.policy = policy
        self._store = store
        self._ttl = grant_ttl
        self._grants: OrderedDict[tuple[str, int], _Grant] = OrderedDict()
        self._hits = self._lookups = self._stale_hits = 0

    async def role_for(self, user: User, slug: str) -> str:
        """Return the role the user has in this retreat.

        While the store is unreachable, a cached grant counts, however old. Without a cached grant
        it raises: a grant may also take rights away.

        :raises StoreUnavailable: the store is unreachable, and the grant is not in the cache.

        Cancelled, it leaves the cache unchanged.
        """
        key = (slug, user.user_id)
        known = self._grants.get(key)
        if known is not None and trio.current_time() - known.looked_up_at < self._ttl:
            self._hits += 1
            await trio.lowlevel.checkpoint()
            return known.role or user.role
        looked_up_at = trio.current_time()
        try:
            role = await self._store.role_in_retreat(slug, user.user_id)
        except StoreUnavailable:
            if known is None:
                raise
            self._stale_hits += 1
            return known.role or user.role
        self._lookups += 1
        self._grants[key] = _Grant(role, looked_up_at)
        self._grants.move_to_end(key)
        while len(self._grants) > MAX_GRANTS:
            self._grants.popitem(last=False)
        return role or user.role

    def clear_cache(self) -> None:
        """Clear the cache, after grants were changed."""
        self._grants.clear()

    def statistics(self) -> AuthorizerStatistics:
        """Return counters; never blocks."""
        return AuthorizerStatistics(len(self._grants), self._hits, self._lookups, self._stale_hits)
