"""Which web pages may open a connection that carries a user's cookie.

A browser sends the user's cookies with every WebSocket handshake, whatever page opens it, and
no same-origin rule prevents that (cross-site WebSocket hijacking, RFC 6455 §10.2). A token
that the page itself sends needs no such check.
"""

from __future__ import annotations

from collections.abc import Collection, Container
from typing import Final

from gbs_actor.socketio.net.host import parse_host

_DEFAULT_PORTS: Final = {"http": 80, "https": 443}


def parse_origin(text: str) -> str | None:
    """Return an origin as browsers write it (RFC 6454 §6.1); ``None`` if it is none.

    That is scheme, host and port, in lower case and without the scheme's default port. ``null``
    is no origin.
    """
    scheme, separator, authority = text.partition("://")
    host = parse_host(authority)
    scheme = scheme.lower()
    if not separator or host is None or not scheme.isascii() or not scheme[:1].isalpha():
        return None
    name, port = host
    suffix = "" if port in {None, _DEFAULT_PORTS.get(scheme)} else f":{port}"
    return f"{scheme}://{name}{suffix}"


def own_origin(host: str | None, *, secure: bool) -> str | None:
    """Return the origin under which a request has reached the server.

    :param host: host and port that it was sent to; ``None``: it does not say.
    :param secure: whether its client has used TLS.
    """
    return None if host is None else parse_origin(f"{'https' if secure else 'http'}://{host}")


class OriginPolicy:
    """Decides about the ``Origin`` of requests that carry certain cookies.

    :param allowed: origins (``https://example.org``) from which they may come, besides
        the server's own; ``*`` allows all.
    :param cookie_names: cookies that authenticate a user.
    """

    def __init__(self, allowed: Collection[str] = (), cookie_names: Collection[str] = ()) -> None:
        self._allowed = allowed_origins(allowed)
        self._allows_all = "*" in allowed
        self._cookie_names = frozenset(cookie_names)

    def refuses(self, origin: str | None, own: str | None, cookies: Container[str]) -> bool:
        """Return whether to refuse a request.

        :param origin: its ``Origin`` header; ``None``: no browser sent it.
        :param own: the server's own origin, as :func:`own_origin` returns it.
        :param cookies: the names of its cookies.
        """
        if origin is None or not any(name in cookies for name in self._cookie_names):
            return False
        asked = parse_origin(origin)
        return not self._allows_all and (
            asked is None or (asked != own and asked not in self._allowed)
        )


def allowed_origins(origins: Collection[str]) -> frozenset[str]:
    """Return origins of the settings as browsers write them; what is none is left out."""
    parsed = (parse_origin(origin.rstrip("/")) for origin in origins)
    return frozenset(origin for origin in parsed if origin is not None)
