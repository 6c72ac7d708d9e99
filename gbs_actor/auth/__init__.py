"""Authentication (JWT to user) and authorization (roles, per retreat).

::

    request ─ find_token ─ token ─ Verifier ─ User ─ Credentials   what is left after expiry
                                       │        └─── Authorizer    the role in one retreat
                                    KeyRing                        secret, PEM file, JWKS file

``verified_tokens`` keeps what a token says once it is verified; ``signing`` makes tokens, for the
command line, the demo and tests; ``SessionTokens`` signs the recovery ids of Socket.IO sessions,
``AdminSessions`` the cookies of ``/admin``. A refused client gets an :exc:`AuthError`. The policy
is asked in ``gateway.dispatch`` (events) and ``gateway.http`` (requests).
"""

from gbs_actor.auth.admin_sessions import AdminSession, AdminSessions
from gbs_actor.auth.authorizer import Authorizer, AuthorizerStatistics, Policy
from gbs_actor.auth.credentials import RENEWAL_TIME, Credentials
from gbs_actor.auth.errors import (
    AuthError,
    AuthErrorCode,
    TokenFault,
    auth_required,
    forbidden,
    invalid_token,
    token_expired,
)
from gbs_actor.auth.keys import Key, KeyRing, KeySetFile
from gbs_actor.auth.session_tokens import SessionClaim, SessionTokens
from gbs_actor.auth.signing import mint
from gbs_actor.auth.token_source import TokenSource, find_token
from gbs_actor.auth.user import LEEWAY, User
from gbs_actor.auth.verifier import MAX_TOKEN, Verifier
from gbs_actor.roles import Role

__all__ = [
    "LEEWAY",
    "MAX_TOKEN",
    "RENEWAL_TIME",
    "AdminSession",
    "AdminSessions",
    "AuthError",
    "AuthErrorCode",
    "Authorizer",
    "AuthorizerStatistics",
    "Credentials",
    "Key",
    "KeyRing",
    "KeySetFile",
    "Policy",
    "Role",
    "SessionClaim",
    "SessionTokens",
    "TokenFault",
    "TokenSource",
    "User",
    "Verifier",
    "auth_required",
    "find_token",
    "forbidden",
    "invalid_token",
    "mint",
    "token_expired",
]
