"""Tokens that must not open anything."""

from __future__ import annotations

import base64
import hmac
import json
import time
from typing import Any

import jwt
import pytest

from tests.bad_input.conftest import ISSUER
from tests.bad_input.wire import wire_to
from tests.e2e.server_process import SECRET, ServerProcess, token


def _encoded(value: object) -> bytes:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=")


def _signed_with(key: bytes, header: dict[str, Any], claims: object, digest: str = "sha256") -> str:
    """Sign by hand: PyJWT refuses to make such tokens, or warns of them."""
    body = _encoded(header) + b"." + _encoded(claims)
    return (body + b"." + _encoded(hmac.digest(key, body, digest))).decode()


def _claims(**changed: object) -> dict[str, Any]:
    claims = {
        "userId": 7,
        "email": "a@example.org",
        "role": "LINEUP_STAFF",
        "iss": ISSUER,
        "exp": int(time.time()) + 3600,
        **changed,
    }
    return {key: value for key, value in claims.items() if value is not ...}


def _token(**changed: object) -> str:
    return jwt.encode(_claims(**changed), SECRET, "HS256")


WRONG = {
    "algorithm none": _encoded({"alg": "none"}).decode() + "." + _encoded(_claims()).decode() + ".",
    "algorithm None": _encoded({"alg": "NONE"}).decode() + "." + _encoded(_claims()).decode() + ".",
    "no signature": ".".join(_token().split(".")[:2]) + ".",
    "another's signature": jwt.encode(_claims(), "another secret, just as long as ours", "HS256"),
    "another algorithm of the family": _signed_with(
        SECRET.encode(), {"alg": "HS512"}, _claims(), "sha512"
    ),
    "an algorithm that is a number": _signed_with(SECRET.encode(), {"alg": 5}, _claims()),
    "no algorithm": _signed_with(SECRET.encode(), {}, _claims()),
    "claims changed": ".".join(
        [_token().split(".")[0], _encoded(_claims(role="ADMIN_MINISTER")).decode(),
         _token().split(".")[2]]
    ),
    "a wrong issuer": _token(iss="https://evil.example"),
    "no issuer": _token(iss=...),
    "valid in ten years only": _token(nbf=int(time.time()) + 10 * 365 * 86_400),
    "nbf a string": _signed_with(SECRET.encode(), {"alg": "HS256"}, _claims(nbf="soon")),
    "exp a string": _signed_with(SECRET.encode(), {"alg": "HS256"}, _claims(exp="never")),
    "exp beyond every clock": _signed_with(
        SECRET.encode(), {"alg": "HS256"}, _claims(exp=10**400)
    ),
    "a user that is true": _token(userId=True),
    "a user that is a float": _token(userId=7.5),
    "a user of many digits": _token(userId="9" * 30),
    "no user": _token(userId=...),
    "an unknown role": _token(role="KING"),
    "a role that is a list": _token(role=["LINEUP_STAFF"]),
    "retreats that are a string": _token(retreats="2024-winter"),
    "claims that are a list": _signed_with(SECRET.encode(), {"alg": "HS256"}, []),
    "deeply nested claims": _signed_with(
        SECRET.encode(), {"alg": "HS256"}, {}
    ).split(".")[0] + "." + _encoded(b"[" * 3_000).decode() + ".x",
    "huge": _token(email="x" * 200_000),
    "not base64": "a.b.c",
    "one part": "x" * 500,
    "NUL": "\x00",
    "beyond ASCII": "토큰.토큰.토큰",
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
async def test_a_token_that_is_not_ours_is_refused(server: ServerProcess, name: str) -> None:
    async with wire_to(server) as wire:
        refusal = await wire.refusal(json.dumps({"token": WRONG[name]}))
        assert refusal["data"]["code"] in {"INVALID_TOKEN", "FORBIDDEN"}
        if name != "an unknown role":
            assert refusal == {"message": "Invalid token", "data": {"code": "INVALID_TOKEN"}}


async def test_the_public_key_is_no_secret_to_sign_with(
    server: ServerProcess, public_key: bytes
) -> None:
    forged = _signed_with(public_key, {"alg": "HS256", "typ": "JWT"}, _claims())
    async with wire_to(server) as wire:
        refusal = await wire.refusal(json.dumps({"token": forged}))
        assert refusal["data"]["code"] == "INVALID_TOKEN"


async def test_an_expired_token_is_told_apart(server: ServerProcess) -> None:
    async with wire_to(server) as wire:
        expired = token(iss=ISSUER, exp=int(time.time()) - 120)
        refusal = await wire.refusal(json.dumps({"token": expired}))
        assert refusal == {"message": "Token expired", "data": {"code": "TOKEN_EXPIRED"}}


@pytest.mark.parametrize("payload", ["", "{}", '{"token":null}', '{"token":5}', '{"token":""}'])
async def test_a_payload_without_a_token_is_no_authentication(
    server: ServerProcess, payload: str
) -> None:
    async with wire_to(server) as wire:
        refusal = await wire.refusal(payload)
        assert refusal["data"]["code"] == "AUTH_REQUIRED"


async def test_a_good_token_opens(server: ServerProcess, good_token: str) -> None:
    async with wire_to(server) as wire:
        await wire.connect(good_token)
