"""Authenticates HTTP requests, and checks the roles of their users."""

from __future__ import annotations

from collections.abc import Callable, Collection

import trio
from quart import Request

from gbs_actor.auth import (
    Authorizer,
    TokenSource,
    User,
    Verifier,
    auth_required,
    find_token,
    forbidden,
)
from gbs_actor.contract.decoding import check_slug
from gbs_actor.gateway.limits import UserRateLimit
from gbs_actor.settings import Settings
from gbs_actor.socketio import OriginPolicy, own_origin, parse_origin


class RateLimited(Exception):
    """A user sends more requests than allowed.

    :param wait: the seconds until the next one.
    :param user_id: ``None``: whoever has the operator token.
    """

    def __init__(self, wait: float, user_id: int | None) -> None:
        super().__init__(f"too many requests; wait {wait:.3f} s")
        self.wait = wait
        self.user_id = user_id


def from_own_page(request: Request) -> bool:
    """Return whether a request is no page's of another origin; scripts name no origin at all."""
    origins = request.headers.getlist("Origin")
    own = own_origin(request.headers.get("Host"), secure=request.scheme == "https")
    return not origins or (own is not None and [parse_origin(each) for each in origins] == [own])


class Identity:
    """Authenticates requests, and authorizes their users.

    :param rates: how often users may send requests, shared with their other transports.
    """

    def __init__(
        self,
        verifier: Verifier,
        authorizer: Authorizer,
        rates: UserRateLimit,
        settings: Settings,
    ) -> None:
        self.policy = authorizer.policy
        """What each role may do."""
        self._verifier = verifier
        self._authorizer = authorizer
        self._rates = rates
        self._cookie_name = settings.auth.cookie_name
        self._origins = OriginPolicy(settings.http.allowed_origins, [settings.auth.cookie_name])

    def authenticate(self, request: Request) -> User:
        """Return the user of the request's token, in the header or the cookie.

        It counts as one of the user's requests.

        :raises AuthError: no token, or an invalid one.
        :raises RateLimited: there were too many.
        """
        headers = {"Authorization": request.headers.get("Authorization", "")}
        found = find_token(None, headers, request.cookies, self._cookie_name)
        if found is None:
            raise auth_required()
        user = self._verifier.verify(*found)
        now = trio.current_time()
        if not self._rates.take(user.user_id, now):
            raise RateLimited(self._rates.wait(user.user_id, now), user.user_id)
        return user

    def charge(self, user: User, extra_requests: int) -> None:
        """Count a request of a user as so many more."""
        self._rates.charge(user.user_id, extra_requests)

    async def role_in(self, user: User, slug: str) -> str:
        """Return the role the user has in a retreat.

        :raises InvalidPayload: no retreat can have this slug.
        :raises StoreUnavailable: see :meth:`gbs_actor.auth.Authorizer.role_for`.
        """
        return await self._authorizer.role_for(user, check_slug(slug))

    async def roles_in(self, user: User, slugs: Collection[str]) -> dict[str, str]:
        """Return the roles the user has in several retreats, for a list of them.

        See :meth:`gbs_actor.auth.Authorizer.roles_for`.
        """
        return await self._authorizer.roles_for(user, slugs)

    async def require(
        self, request: Request, permitted: Callable[[str], bool], slug: str | None = None
    ) -> User:
        """Return the user, if their role permits the request.

        :param permitted: a method of :attr:`policy` that decides for a role.
        :param slug: the retreat in which the role counts; ``None``: the role of the token.
        :raises AuthError: the role does not permit it, or the user is unknown.
        :raises RateLimited: see :meth:`authenticate`.
        :raises StoreUnavailable: the role in the retreat cannot be looked up.
        """
        user = self.authenticate(request)
        role = user.role if slug is None else await self.role_in(user, slug)
        if not permitted(role):
            raise forbidden()
        return user

    def check_origin(self, request: Request, user: User) -> None:
        """Refuse a request that a page of a foreign origin sends with its visitor's cookie.

        A browser adds the cookie to requests of any page. It adds no other token, so for those
        the origin does not matter.

        :raises AuthError: FORBIDDEN, see :class:`~gbs_actor.socketio.OriginPolicy`.
        """
        given = request.headers.getlist("Origin")
        if user.source is not TokenSource.COOKIE or not given:
            return
        origin = given[0] if len(given) == 1 else "null"
        own = own_origin(request.headers.get("Host"), secure=request.scheme == "https")
        if self._origins.refuses(origin, own, request.cookies):
            raise forbidden()
