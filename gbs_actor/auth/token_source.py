"""Finds the token of a request: in the CONNECT payload, a header or a cookie."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

_BEARER = "bearer "


class TokenSource(StrEnum):
    """The source of a token; it decides what happens when the token expires."""

    PAYLOAD = "payload"
    """Sent by the page itself: the payload of a Socket.IO CONNECT, or a WebSocket subprotocol."""
    HEADER = "header"
    """``Authorization: Bearer``."""
    COOKIE = "cookie"


def find_token(
    auth_payload: object,
    headers: Mapping[str, str],
    cookies: Mapping[str, str],
    cookie_name: str,
) -> tuple[str, TokenSource] | None:
    """Return the first token present and its source; ``None``: there is none.

    The order is the CONNECT payload ``{"token": …}``, ``Authorization: Bearer`` (RFC 6750
    §2.1), the cookie. A token is a non-empty string; the first one decides, even if it is
    invalid and a later one is not.

    :param auth_payload: the decoded payload of a CONNECT of any type, or what
        replaces it; ``None`` for plain HTTP.
    :param headers: names in any case.
    :param cookies: values by name, as sent.
    """
    if isinstance(auth_payload, Mapping):
        token = auth_payload.get("token")
        if isinstance(token, str) and token:
            return token, TokenSource.PAYLOAD
    header = next((value for name, value in headers.items() if name.lower() == "authorization"), "")
    if header[: len(_BEARER)].lower() == _BEARER and (token := header[len(_BEARER) :].strip()):
        return token, TokenSource.HEADER
    if cookie := cookies.get(cookie_name):
        return cookie, TokenSource.COOKIE
    return None
