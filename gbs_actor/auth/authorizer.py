"""What each role may do, and the role of a user in a retreat."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

import trio

from gbs_actor.auth.user import User
from gbs_actor.settings import AuthSettings
from gbs_actor.store.protocol import Store, StoreUnavailable

_AUTH = AuthSettings()

NO_ROLE: Final = ""
"""The role of a user whose token does not allow a retreat: it may do nothing."""
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


class _Lookup:
    """One query to come, for all who ask while another one is under way."""

    def __init__(self) -> None:
        self.keys: dict[tuple[str, int], None] = {}
        self.found: dict[tuple[str, int], _Grant] = {}
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
        """Seconds for which a grant is cached, and of a round of the gateway's ``GrantWatch``: a
        client may join with a cached grant, and be looked up at the end of the second round.
        """
        self._store = store
        self._grants: OrderedDict[tuple[str, int], _Grant] = OrderedDict()
        self._looking_up = trio.Lock()
        self._next_lookup = _Lookup()
        self._hits = self._lookups = self._stale_hits = 0

    async def role_for(self, user: User, slug: str) -> str:
        """Return the role the user has in this retreat.

        While the store is unreachable, a cached grant counts, however old. Without a cached grant
        it raises: a grant may also take rights away.

        :raises StoreUnavailable: the store is unreachable, and the grant is not in the cache.

        Cancelled, it leaves the cache unchanged.
        """
        grants = await self._cached(user, (slug,), required=True)
        return _role(user, slug, grants.get(slug))

    def cached_role(self, user: User, slug: str) -> str | None:
        """Return the role if it need not be looked up, else ``None``; see :meth:`role_for`."""
        grant = None
        if user.may_enter(slug):
            grant = self._grants.get((slug, user.user_id))
            if grant is None or trio.current_time() - grant.looked_up_at >= self.max_age:
                return None
            self._hits += 1
        return _role(user, slug, grant)

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
        grants = await self._look_up([(slug, user.user_id) for user in users])
        return [_role(user, slug, grants[slug, user.user_id]) for user in users]

    async def _cached(
        self, user: User, slugs: Collection[str], *, required: bool
    ) -> dict[str, _Grant | None]:
        """Return the user's grants where the token allows the retreat; look up those too old.

        :param required: raise if the store is unreachable and a grant is not in the cache.
        """
        user_id, now = user.user_id, trio.current_time()
        grants = {slug: self._grants.get((slug, user_id)) for slug in slugs if user.may_enter(slug)}
        outdated = [
            slug
            for slug, grant in grants.items()
            if grant is None or now - grant.looked_up_at >= self.max_age
        ]
        self._hits += len(grants) - len(outdated)
        if not outdated:
            await trio.lowlevel.checkpoint()
            return grants
        try:
            found = await self._look_up_together([(slug, user_id) for slug in outdated])
        except StoreUnavailable:
            if required and None in grants.values():
                raise
            self._stale_hits += len(outdated)
            return grants
        return grants | {slug: found[slug, user_id] for slug in outdated}

    async def _look_up_together(
        self, keys: Collection[tuple[str, int]]
    ) -> dict[tuple[str, int], _Grant]:
        """Look grants up, by one query for all who ask while another query is under way.

        Many clients that connect at once cost a few queries. Cancelled, the query is left to
        the others who wait for it.
        """
        lookup = self._next_lookup
        lookup.keys.update(dict.fromkeys(keys))
        async with self._looking_up:
            if lookup is self._next_lookup:
                self._next_lookup = _Lookup()
            if not lookup.done:
                try:
                    lookup.found = await self._look_up(lookup.keys)
                except StoreUnavailable as error:
                    lookup.failure = str(error)
                lookup.done = True
        if lookup.failure is not None:
            raise StoreUnavailable(lookup.failure)
        return lookup.found

    async def _look_up(self, keys: Collection[tuple[str, int]]) -> dict[tuple[str, int], _Grant]:
        """Return the grants in the store, or those cached meanwhile by a later lookup."""
        looked_up_at = trio.current_time()
        slugs = dict.fromkeys(slug for slug, _ in keys)
        user_ids = dict.fromkeys(user_id for _, user_id in keys)
        roles = await self._store.grants(slugs, user_ids)
        found = {}
        for key in keys:
            known = self._grants.get(key)
            if known is None or known.looked_up_at <= looked_up_at:
                known = self._grants[key] = _Grant(roles.get(key), looked_up_at)
                self._grants.move_to_end(key)
            found[key] = known
        self._lookups += len(found)
        while len(self._grants) > MAX_GRANTS:
            self._grants.popitem(last=False)
        return found

    def clear_cache(self) -> None:
        """Clear the cache, after grants were changed."""
        self._grants.clear()

    def statistics(self) -> AuthorizerStatistics:
        """Return counters; never blocks."""
        return AuthorizerStatistics(len(self._grants), self._hits, self._lookups, self._stale_hits)


def _role(user: User, slug: str, grant: _Grant | None) -> str:
    """Decide the role of a user in a retreat; nothing else does."""
    if not user.may_enter(slug):
        return NO_ROLE
    return user.role if grant is None or grant.role is None else grant.role
