"""What each role may do, and the role of a user in a retreat."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec
import trio

from gbs_actor.auth.user import User
from gbs_actor.settings import AuthSettings
from gbs_actor.store.protocol import Store, StoreUnavailable

_AUTH = AuthSettings()

NO_ROLE: Final = ""
"""The role of a user whose token does not allow a retreat: it may do nothing."""
MAX_GRANTS = 50_000
"""How many grants are cached; those of the retreat looked up longest ago are dropped first."""


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


class AuthorizerStatistics(msgspec.Struct, frozen=True, rename="camel"):
    """Counters of the cache of roles."""

    cached: int
    """Retreats whose grants are in the cache."""
    hits: int
    """Roles returned from the cache."""
    lookups: int
    """Retreats whose grants were read from the store."""
    stale_hits: int
    """Roles returned from the cache by expired grants, as the store was unreachable."""


@dataclass(frozen=True, slots=True)
class _Grants:
    """All grants of one retreat: they are few, and the next who comes need not be looked up."""

    roles: Mapping[int, str]
    """By user."""
    looked_up_at: float

    @property
    def size(self) -> int:
        """How many grants it counts as; that there are none is cached, too."""
        return 1 + len(self.roles)


class _Lookup:
    """One query to come, for all who ask while another one is under way."""

    def __init__(self) -> None:
        self.slugs: dict[str, None] = {}
        self.found: dict[str, _Grants] = {}
        self.failure: str | None = None
        """Why the store could not be reached."""
        self.done = False


class Authorizer:
    """Decides which role a user has in a retreat, and so who may see it.

    Without the retreat in the token's claim ``retreats`` it is :data:`NO_ROLE`; else the one that
    a grant gives there; else the token's.

    :param grant_ttl: seconds within which a change of a grant takes effect.
    """

    def __init__(self, store: Store, policy: Policy, *, grant_ttl: float = _AUTH.grant_ttl) -> None:
        self.policy = policy
        self.max_age = grant_ttl / 3
        """Seconds for which grants are cached, and of a round of the gateway's ``GrantWatch``: a
        client may join with a cached grant, and be looked up at the end of the second round.
        """
        self._store = store
        self._grants: OrderedDict[str, _Grants] = OrderedDict()
        self._size = 0
        self._looking_up = trio.Lock()
        self._next_lookup = _Lookup()
        self._hits = self._lookups = self._stale_hits = 0

    async def role_for(self, user: User, slug: str) -> str:
        """Return the role the user has in this retreat.

        While the store is unreachable, cached grants count, however old. Without the retreat's
        grants in the cache it raises: a grant may also take rights away.

        :raises StoreUnavailable: the store is unreachable, and the grants are not in the cache.

        Cancelled, it leaves the cache unchanged.
        """
        grants = await self._cached(user, (slug,), required=True)
        return _role(user, slug, grants.get(slug))

    def cached_role(self, user: User, slug: str) -> str | None:
        """Return the role if it need not be looked up, else ``None``; see :meth:`role_for`."""
        grants = None
        if user.may_enter(slug):
            grants = self._grants.get(slug)
            if grants is None or self._outdated(grants, trio.current_time()):
                return None
            self._hits += 1
        return _role(user, slug, grants)

    async def roles_for(self, user: User, slugs: Collection[str]) -> dict[str, str]:
        """Return the roles the user has in several retreats, for a list of them; by one query.

        While the store is unreachable, a grant that is not cached counts as none: that is when
        operators need the list of rooms.

        Cancelled, it leaves the cache unchanged.
        """
        grants = await self._cached(user, slugs, required=False)
        return {slug: _role(user, slug, grants.get(slug)) for slug in slugs}

    async def current_roles(self, slug: str, users: Sequence[User]) -> list[str]:
        """Return the roles that users have in one retreat, by one query whatever is cached.

        :raises StoreUnavailable: the store is unreachable.

        Cancelled, it leaves the cache unchanged.
        """
        grants = (await self._look_up([slug]))[slug]
        return [_role(user, slug, grants) for user in users]

    async def _cached(
        self, user: User, slugs: Collection[str], *, required: bool
    ) -> dict[str, _Grants | None]:
        """Return the grants of retreats that the token allows; look up those too old.

        :param required: raise if the store is unreachable and those of one are not in the cache.
        """
        now = trio.current_time()
        cached = {slug: self._grants.get(slug) for slug in slugs if user.may_enter(slug)}
        outdated = [
            slug for slug, grants in cached.items() if grants is None or self._outdated(grants, now)
        ]
        self._hits += len(cached) - len(outdated)
        if not outdated:
            await trio.lowlevel.checkpoint()
            return cached
        try:
            found = await self._look_up_together(outdated)
        except StoreUnavailable:
            if required and None in cached.values():
                raise
            self._stale_hits += len(outdated)
            return cached
        return cached | {slug: found[slug] for slug in outdated}

    def _outdated(self, grants: _Grants, now: float) -> bool:
        return now - grants.looked_up_at >= self.max_age

    async def _look_up_together(self, slugs: Collection[str]) -> dict[str, _Grants]:
        """Look grants up, by one query for all who ask while another query is under way.

        Many clients that connect at once cost a few queries. Cancelled, the query is left to
        the others who wait for it.
        """
        lookup = self._next_lookup
        lookup.slugs.update(dict.fromkeys(slugs))
        async with self._looking_up:
            if lookup is self._next_lookup:
                self._next_lookup = _Lookup()
            if not lookup.done:
                try:
                    lookup.found = await self._look_up(lookup.slugs)
                except StoreUnavailable as error:
                    lookup.failure = str(error)
                lookup.done = True
        if lookup.failure is not None:
            raise StoreUnavailable(lookup.failure)
        return lookup.found

    async def _look_up(self, slugs: Collection[str]) -> dict[str, _Grants]:
        """Return the grants in the store, or those cached meanwhile by a later lookup."""
        looked_up_at = trio.current_time()
        roles = await self._store.grants(slugs)
        found = {}
        for slug in slugs:
            known = self._grants.get(slug)
            if known is None or known.looked_up_at <= looked_up_at:
                known = _Grants(roles.get(slug, {}), looked_up_at)
                self._keep(slug, known)
            found[slug] = known
        self._lookups += len(found)
        return found

    def _keep(self, slug: str, grants: _Grants) -> None:
        """Put a retreat's grants into the cache; they stay, however many, until others come."""
        former = self._grants.pop(slug, None)
        self._size += grants.size - (0 if former is None else former.size)
        self._grants[slug] = grants
        while self._size > MAX_GRANTS and len(self._grants) > 1:
            _, dropped = self._grants.popitem(last=False)
            self._size -= dropped.size

    def clear_cache(self) -> None:
        """Clear the cache, after grants were changed."""
        self._grants.clear()
        self._size = 0

    def statistics(self) -> AuthorizerStatistics:
        """Return counters; never blocks."""
        return AuthorizerStatistics(len(self._grants), self._hits, self._lookups, self._stale_hits)


def _role(user: User, slug: str, grants: _Grants | None) -> str:
    """Decide the role of a user in a retreat; nothing else does."""
    if not user.may_enter(slug):
        return NO_ROLE
    return user.role if grants is None else grants.roles.get(user.user_id, user.role)
