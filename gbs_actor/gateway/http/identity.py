"""Who sends an HTTP request, and what they may do."""

from __future__ import annotations

import trio
from quart import Request

from gbs_actor.auth import TokenSource, User, auth_required, find_token, forbidden
from gbs_actor.contract.decoding import check_slug
from gbs_actor.gateway.http.services import Services
from gbs_actor.socketio import OriginPolicy


class RateLimited(Exception):
    """A user asks more often than they may; ``wait`` is the seconds until they may again."""

    def __init__(self, wait: float) -> None:
        super().__init__(f"too many requests; wait {wait:.3f} s")
        self.wait = wait


def authenticate(request: Request, services: Services) -> User:
    """Return the user whose token the request carries, in the header or the cookie.

    It counts as one of the user's requests.

    :raises AuthRefused: no token, or not a good one.
    :raises RateLimited: there were too many of late.
    """
    headers = {"Authorization": request.headers.get("Authorization", "")}
    found = find_token(None, headers, request.cookies, services.config.cookie_name)
    if found is None:
        raise auth_required()
    user = services.verifier.verify(*found)
    now = trio.current_time()
    if not services.rates.take(user.user_id, now):
        raise RateLimited(services.rates.wait(user.user_id, now))
    return user


def check_origin(request: Request, user: User, origins: OriginPolicy) -> None:
    """Refuse what a page of a foreign origin does with its visitor's cookie.

    A browser sends the cookie along wherever a form is sent to. It does not send a token
    that the page itself has to give, so there the origin does not matter.

    :raises AuthRefused: FORBIDDEN, see :class:`~gbs_actor.socketio.net.origin.OriginPolicy`.
    """
    given = request.headers.getlist("Origin")
    if user.source is not TokenSource.COOKIE or not given:
        return
    origin = given[0] if len(given) == 1 else "null"
    if origins.refuses(origin, request.headers.get("Host"), request.cookies):
        raise forbidden()


async def role_in(user: User, slug: str, services: Services) -> str:
    """Return the role the user has in a retreat.

    :raises AuthRefused: FORBIDDEN, the token does not let them into this one.
    :raises InvalidPayload: the slug is none that a retreat can have.
    :raises StoreUnavailable: see :meth:`gbs_actor.auth.Authorizer.role_for`.
    """
    if not user.may_enter(check_slug(slug)):
        raise forbidden()
    return await services.authorizer.role_for(user, slug)


async def require_reader(request: Request, slug: str, services: Services) -> User:
    """Return the user, who may see this retreat's line-up.

    :raises AuthRefused: they may not, or are not known.
    :raises StoreUnavailable: their role in the retreat cannot be looked up.
    """
    user = authenticate(request, services)
    if not services.authorizer.policy.may_read(await role_in(user, slug, services)):
        raise forbidden()
    return user


def require_operator(request: Request, services: Services) -> User:
    """Return the user, whose token says that they may look into the server.

    :raises AuthRefused: they may not, or are not known.
    """
    user = authenticate(request, services)
    if not services.authorizer.policy.is_operator(user.role):
        raise forbidden()
    return user


async def require_operator_of(request: Request, slug: str, services: Services) -> User:
    """Return the user, who may look into the room of this retreat.

    :raises AuthRefused: they may not, or are not known.
    :raises StoreUnavailable: their role in the retreat cannot be looked up.
    """
    user = authenticate(request, services)
    if not services.authorizer.policy.is_operator(await role_in(user, slug, services)):
        raise forbidden()
    return user
