"""JWT in, user out; and who may do what in which retreat."""

from gbs_actor.auth.authorizer import Authorizer, AuthorizerStatistics, Policy
from gbs_actor.auth.credentials import RENEWAL_TIME, Credentials
from gbs_actor.auth.keys import Key, KeyRing, KeySetFile
from gbs_actor.auth.refusal import (
    AuthRefused,
    RefusalCode,
    auth_required,
    forbidden,
    invalid_token,
    token_expired,
)
from gbs_actor.auth.session_tokens import SessionClaim, SessionTokens
from gbs_actor.auth.signing import mint
from gbs_actor.auth.token_place import find_token
from gbs_actor.auth.user import LEEWAY, TokenSource, User
from gbs_actor.auth.verifier import MAX_TOKEN, Verifier
from gbs_actor.settings import Role

__all__ = [
    "LEEWAY",
    "MAX_TOKEN",
    "RENEWAL_TIME",
    "AuthRefused",
    "Authorizer",
    "AuthorizerStatistics",
    "Credentials",
    "Key",
    "KeyRing",
    "KeySetFile",
    "Policy",
    "RefusalCode",
    "Role",
    "SessionClaim",
    "SessionTokens",
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
