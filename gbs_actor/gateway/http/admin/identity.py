"""Who may use ``/admin``: operators with a Bearer token, or with a session of a browser.

The cookie with which a user edits the line-up is never read here: a fault of any page that has it
must not reach the server's operation.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Collection
from dataclasses import dataclass
from math import inf
from typing import Final

import trio
from quart import Request

from gbs_actor.auth import (
    AdminSession,
    AdminSessions,
    AuthError,
    Authorizer,
    TokenSource,
    User,
    Verifier,
    auth_required,
    find_token,
    forbidden,
)
from gbs_actor.contract.decoding import check_slug
from gbs_actor.environment import Environment
from gbs_actor.gateway.http.identity import RateLimited, from_own_page
from gbs_actor.gateway.limits import UserRateLimit
from gbs_actor.settings import Settings

ADMIN_PATH: Final = "/admin"
SESSION_PATH: Final = f"{ADMIN_PATH}/session"
SESSION_COOKIE: Final = "adminSession"
CSRF_HEADER: Final = "X-CSRF-Token"
FORWARDED: Final = "gbs_actor.forwarded"
"""Key of a request's scope: the :class:`Operator` for whom another server forwards it. No client
can set it: servers make scopes, and none but our own makes one with this key."""

_SAFE: Final = frozenset({"GET", "HEAD"})
_NOBODY: Final = 0
"""The id by which requests with the operator token are counted; no user has it."""


@dataclass(frozen=True, slots=True)
class Operator:
    """Who has sent a request to ``/admin``."""

    user: User | None
    """``None``: whoever has the operator token."""
    session: AdminSession | None = None
    """``None``: a Bearer token was sent."""
    csrf_token: str | None = None
    """Of the session."""
    forwarded: bool = False
    """Whether another server has authenticated them, and forwards the request."""
    recorded: bool = False
    """Whether that server records what they do, but for refusals, as this is only a part of it."""

    @property
    def user_id(self) -> int | None:
        """``None``: whoever has the operator token."""
        return None if self.user is None else self.user.user_id

    @property
    def unrestricted(self) -> bool:
        """Whether the token is for all retreats."""
        return self.user is None or self.user.retreats is None

    @property
    def expires_at(self) -> float | None:
        """Unix time at which the session or the token expires; ``None``: never."""
        if self.session is not None:
            return self.session.expires_at
        return None if self.user is None else self.user.expires_at


OnRefusal = Callable[[Request, Operator | None, AuthError], None]
"""Called with who has sent it, if that is known. Must not raise."""


class AdminIdentity:
    """Authenticates and authorizes the requests to ``/admin``.

    A request that may change something is refused unless the server's own page has sent it, or a
    script: it needs the server's own origin, or none and a Bearer token; with a session's cookie it
    needs the origin and the session's CSRF token.

    :param rates: how often users may send requests, shared with their other transports.
    :param environment: where ids and times of sessions come from.
    :param on_refusal: called for each request that is refused, but not for too many of them.
    """

    def __init__(
        self,
        verifier: Verifier,
        authorizer: Authorizer,
        rates: UserRateLimit,
        settings: Settings,
        *,
        environment: Environment,
        on_refusal: OnRefusal,
    ) -> None:
        self.sessions = AdminSessions.from_settings(settings, environment)
        self._verifier = verifier
        self._authorizer = authorizer
        self._policy = authorizer.policy
        self._rates = rates
        self._on_refusal = on_refusal
        token = settings.admin.admin_token
        self._admin_token = None if token is None else token.get_secret_value().encode()

    def authenticate(self, request: Request) -> Operator:
        """Return who has sent a request; they may be no operator. It counts as one of theirs.

        :raises AuthError: no token and no session, or an invalid one; or the request may change
            something, and FORBIDDEN: who has sent it is not certain.
        :raises RateLimited: there were too many.
        """
        forwarded = request.scope.get(FORWARDED)
        if isinstance(forwarded, Operator):
            return forwarded
        operator: Operator | None = None
        try:
            operator = self._identify(request)
            if request.method not in _SAFE:
                _check_sender(request, operator)
        except AuthError as error:
            self._on_refusal(request, operator, error)
            raise
        now, user_id = trio.current_time(), operator.user_id or _NOBODY
        if not self._rates.take(user_id, now):
            raise RateLimited(self._rates.wait(user_id, now), operator.user_id)
        return operator

    def _identify(self, request: Request) -> Operator:
        headers = {"Authorization": request.headers.get("Authorization", "")}
        found = find_token(None, headers, request.cookies, SESSION_COOKIE)
        if found is None:
            raise auth_required()
        token, source = found
        if source is TokenSource.COOKIE:
            session = self.sessions.open(token)
            return Operator(session.user, session, self.sessions.csrf_token(token))
        if self._admin_token is not None and hmac.compare_digest(token.encode(), self._admin_token):
            return Operator(None)
        return Operator(self._verifier.verify(token, source))

    def _forbid(self, request: Request, operator: Operator) -> AuthError:
        error = forbidden()
        self._on_refusal(request, operator, error)
        return error

    def seconds_left(self, operator: Operator) -> float:
        """Return the seconds until an operator's session or token ends; 0: it has."""
        if operator.session is not None and self.sessions.has_ended(operator.session):
            return 0.0
        expires_at = operator.expires_at
        return inf if expires_at is None else max(0.0, expires_at - self._verifier.now())

    def require(self, request: Request) -> Operator:
        """Return who has sent a request, if they are an operator, maybe only of some retreats.

        :raises AuthError: they are none, or see :meth:`authenticate`.
        :raises RateLimited: see :meth:`authenticate`.
        """
        operator = self.authenticate(request)
        if operator.user is not None and not self._policy.is_operator(operator.user.role):
            raise self._forbid(request, operator)
        return operator

    def require_unrestricted(self, request: Request) -> Operator:
        """Return who has sent a request, if they are an operator of the whole server.

        :raises AuthError: they are none, their token is restricted to some retreats, or see
            :meth:`authenticate`.
        :raises RateLimited: see :meth:`authenticate`.
        """
        operator = self.require(request)
        if not operator.unrestricted:
            raise self._forbid(request, operator)
        return operator

    async def require_in(self, request: Request, slug: str) -> Operator:
        """Return who has sent a request, if they are an operator in this retreat.

        :raises AuthError: they are none there, or see :meth:`authenticate`.
        :raises InvalidPayload: no retreat can have this slug.
        :raises RateLimited: see :meth:`authenticate`.
        :raises StoreUnavailable: the role in the retreat cannot be looked up.
        """
        operator = self.authenticate(request)
        check_slug(slug)
        if operator.user is not None:
            role = await self._authorizer.role_for(operator.user, slug)
            if not self._policy.is_operator(role):
                raise self._forbid(request, operator)
        return operator

    async def reaches(self, operator: Operator, slug: str | None) -> bool:
        """Return whether an operator may act on who is in a room; ``None``: in no room.

        :raises StoreUnavailable: the role in the retreat cannot be looked up.
        """
        if slug is None or operator.user is None:
            await trio.lowlevel.checkpoint()
            return operator.unrestricted
        return self._policy.is_operator(await self._authorizer.role_for(operator.user, slug))

    async def shown_to(self, operator: Operator, slugs: Collection[str]) -> frozenset[str]:
        """Return those of some retreats in which somebody is an operator.

        See :meth:`gbs_actor.auth.Authorizer.roles_for`.
        """
        if operator.user is None:
            await trio.lowlevel.checkpoint()
            return frozenset(slugs)
        roles = await self._authorizer.roles_for(operator.user, slugs)
        return frozenset(slug for slug, role in roles.items() if self._policy.is_operator(role))


def is_admin_path(path: str) -> bool:
    """Return whether a path is ``/admin``, or below it."""
    return path == ADMIN_PATH or path.startswith(f"{ADMIN_PATH}/")


def _check_sender(request: Request, operator: Operator) -> None:
    """Refuse what a page of another origin may have sent.

    :raises AuthError: FORBIDDEN.
    """
    if not from_own_page(request):
        raise forbidden()
    if operator.session is not None and "Origin" not in request.headers:
        raise forbidden()
    if operator.csrf_token is not None:
        given = request.headers.get(CSRF_HEADER, "")
        if not hmac.compare_digest(given.encode(), operator.csrf_token.encode()):
            raise forbidden()
