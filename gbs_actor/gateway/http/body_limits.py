"""How large the body of a request may be, where a route differs from the settings."""

from __future__ import annotations

import re
from typing import Any, Final

from quart_trio.wrappers import TrioRequest

from gbs_actor.contract.command_spec import LINE_UP_PATH
from gbs_actor.contract.commands import COMMANDS


def _pattern(path: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\\?\{\w+\\?\}", "[^/]+", re.escape(LINE_UP_PATH + path)))


_LIMITS: Final = tuple(
    (_pattern(route.path), route.max_body)
    for spec in COMMANDS
    for route in spec.routes
    if route.max_body is not None
)
"""Paths, and the bytes that a body may have there at most."""


class LimitedRequest(TrioRequest):
    """A request whose body is limited by its path: before it is routed, it may have arrived."""

    def __init__(self, method: str, scheme: str, path: str, *fields: Any, **options: Any) -> None:
        limit = _limit(path, options.pop("max_content_length", None))
        super().__init__(method, scheme, path, *fields, max_content_length=limit, **options)


def _limit(path: str, usual: int | None) -> int | None:
    """Return the bytes that a body may have, at least as many as usual."""
    for pattern, limit in _LIMITS:
        if usual is not None and limit > usual and pattern.fullmatch(path):
            return limit
    return usual
