"""Which web pages may open a connection that carries a user's cookie.

A browser sends the user's cookies with every WebSocket handshake, whatever page opens it, and
no same-origin rule prevents that (cross-site WebSocket hijacking, RFC 6455 §10.2). A token
that the page itself sends needs no such check.
"""

from __future__ import annotations

from collections.abc import Collection, Container
from urllib.parse import urlsplit

_DEFAULT_PORTS = {"http": 80, "https": 443}


class OriginPolicy:
    """Decides about the ``Origin`` of requests that carry certain cookies.

    :param allowed: origins (``https://example.org``) from which they may come, besides
        the server's own host; ``*`` allows all.
    :param cookie_names: cookies that authenticate a user.
    """

    def __init__(self, allowed: Collection[str] = (), cookie_names: Collection[str] = ()) -> None:
        self._allowed = frozenset(origin.rstrip("/").lower() for origin in allowed)
        self._cookie_names = frozenset(cookie_names)

    def refuses(self, origin: str | None, host: str | None, cookies: Container[str]) -> bool:
        """Return whether to refuse a request.

        :param origin: its ``Origin`` header; ``None``: no browser sent it.
        :param host: its ``Host`` header.
        :param cookies: the names of its cookies.
        """
        if origin is None or not any(name in cookies for name in self._cookie_names):
            return False
        if "*" in self._allowed or origin.lower() in self._allowed:
            return False
        return not _same_host(origin, host)


def _same_host(origin: str, host: str | None) -> bool:
    """Compare host and port; the scheme may differ behind a proxy that ends TLS."""
    try:
        parts = urlsplit(origin)
        own = urlsplit(f"//{host}")
        default = _DEFAULT_PORTS.get(parts.scheme)
        ports = (parts.port or default, own.port or default)
    except ValueError:
        return False
    if host is None or parts.hostname is None:
        return False  # "null" has no host, and must not match a request without one
    if "@" in parts.netloc or "\\" in origin:
        return False  # no origin; parsers disagree on where its host begins
    return parts.hostname == own.hostname and ports[0] == ports[1]
