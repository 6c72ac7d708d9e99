"""Signs tokens: for the command line, the demo and tests."""

from __future__ import annotations

from collections.abc import Collection

import jwt

from gbs_actor.environment import SYSTEM
from gbs_actor.roles import Role


def mint(
    secret: str | bytes,
    *,
    user_id: int,
    role: Role,
    name: str = "",
    email: str = "",
    admin_user_id: int | None = None,
    retreats: Collection[str] | None = None,
    expires_in: float | None = 8 * 3600,
    issuer: str | None = None,
    audience: str | None = None,
    now: float | None = None,
) -> str:
    """Return an HS256 token.

    :param secret: at least 32 bytes.
    :param retreats: slugs the user may enter; ``None``: all.
    :param expires_in: seconds; ``None``: never.
    :param now: Unix time in seconds; default: the current one.
    """
    issued_at = int(SYSTEM.wall() if now is None else now)
    claims: dict[str, object] = {"userId": user_id, "role": role.value, "iat": issued_at}
    optional = {
        "name": name or None,
        "email": email or None,
        "adminUserId": admin_user_id,
        "retreats": None if retreats is None else sorted(retreats),
        "exp": None if expires_in is None else issued_at + int(expires_in),
        "iss": issuer,
        "aud": audience,
    }
    claims |= {claim: value for claim, value in optional.items() if value is not None}
    return jwt.encode(claims, secret, algorithm="HS256")
