"""Where the token of a request is looked for."""

from __future__ import annotations

from collections.abc import Mapping

from gbs_actor.auth.user import TokenSource

_BEARER = "bearer "


def find_token(
    auth_payload: object,
    headers: Mapping[str, str],
    cookies: Mapping[str, str],
    cookie_name: str,
) -> tuple[str, TokenSource] | None:
    """Return the first token present and where it was, or ``None``.

    Looked for in the CONNECT payload ``{"token": …}``, then in ``Authorization: Bearer``
    (RFC 6750 §2.1), then in the cookie. Present is a non-empty string; the first one
    decides, there is no fall-back to the next, however wrong it is.

    :param auth_payload: the decoded payload of a CONNECT, whatever it is, or what takes
        its place; ``None`` for plain HTTP.
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
