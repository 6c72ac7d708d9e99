"""Which pages of other origins may read HTTP responses (WHATWG Fetch, "CORS protocol").

The exact origin is allowed, never ``*``, since responses depend on cookies. The fields
belong on every response, errors included: a browser hides a 401 without them. This module
depends on no web framework: header values in, header fields out.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from gbs_actor.socketio.net.origin import allowed_origins

PREFLIGHT_MAX_AGE: Final = 600
"""Seconds a browser may cache the response to a preflight."""

Fields = list[tuple[str, str]]
"""Header fields, name and value."""

_VARY: Final = ("Vary", "Origin")


@dataclass(frozen=True, slots=True)
class CorsPolicy:
    """What pages of the allowed origins may request, and read of the responses."""

    allowed: frozenset[str]
    """Origins as browsers write them: ``https://page.example``, in lower case."""
    methods: str
    """For ``Access-Control-Allow-Methods``."""
    request_headers: str = ""
    """Headers a request may carry beyond those that every page may send."""
    exposed_headers: str = ""
    """Headers of a response that a page may read beyond the ordinary ones."""

    @classmethod
    def of(
        cls,
        allowed: Collection[str],
        methods: Sequence[str],
        request_headers: Sequence[str] = (),
        exposed_headers: Sequence[str] = (),
    ) -> CorsPolicy:
        """Return the policy; origins are taken with a slash at the end and in any case.

        ``*`` and ``null`` allow no origin: ``*`` would let any page act with its visitor's
        cookies, ``null`` any sandboxed frame.
        """
        return cls(
            allowed_origins(allowed),
            ", ".join(methods),
            ", ".join(request_headers),
            ", ".join(exposed_headers),
        )

    def allows(self, origins: Sequence[str]) -> bool:
        """Return whether a page that sent these ``Origin`` fields may read the response.

        Compared byte by byte (Fetch, "CORS check"): a browser sends one field, in lower
        case. More than one, another case, or ``null`` is no origin that was allowed.
        """
        return len(origins) == 1 and origins[0] in self.allowed

    def response_fields(self, origins: Sequence[str]) -> Fields:
        """Return the fields of a response to a request with these ``Origin`` fields."""
        if not self.allows(origins):
            return [_VARY]
        fields = [
            _VARY,
            ("Access-Control-Allow-Origin", origins[0]),
            ("Access-Control-Allow-Credentials", "true"),
        ]
        if self.exposed_headers:
            fields.append(("Access-Control-Expose-Headers", self.exposed_headers))
        return fields

    def preflight_fields(self, origins: Sequence[str]) -> Fields:
        """Return the fields of the response to a preflight, which is a 204 without a body."""
        if not self.allows(origins):
            return [_VARY]
        fields = [
            *self.response_fields(origins),
            ("Access-Control-Allow-Methods", self.methods),
            ("Access-Control-Max-Age", str(PREFLIGHT_MAX_AGE)),
        ]
        if self.request_headers:
            fields.append(("Access-Control-Allow-Headers", self.request_headers))
        return fields


def origins_of(headers: Iterable[tuple[bytes, bytes]]) -> list[str]:
    """Return the ``Origin`` fields of a request, as ASGI has them."""
    return [value.decode("latin-1") for name, value in headers if name == b"origin"]


def is_preflight(method: str, requested_method: str | None) -> bool:
    """Return whether a request is a preflight (Fetch, "CORS-preflight request").

    :param requested_method: its ``Access-Control-Request-Method``.
    """
    return method == "OPTIONS" and requested_method is not None
