"""How large the body of a request may be, where a route differs from the settings."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from quart_trio.wrappers import TrioRequest

from gbs_actor.contract.command_spec import LINE_UP_PATH
from gbs_actor.contract.commands import COMMANDS

LIMITS: Final[dict[str, int]] = {
    LINE_UP_PATH + route.path: route.max_body
    for spec in COMMANDS
    for route in spec.routes
    if route.max_body is not None
}
"""Bytes that the body of a command may have, by the template of the path."""


def limited_request(others: Mapping[str, int]) -> type[TrioRequest]:
    """Return a request whose body is limited by its path: before it is routed, it may have arrived.

    :param others: the bytes that a body may have elsewhere, by the template of the path.
    """
    limits = [
        (re.compile(re.sub(r"\{\w+\}", "[^/]+", template)), limit)
        for template, limit in {**LIMITS, **others}.items()
    ]

    class LimitedRequest(TrioRequest):
        def __init__(
            self, method: str, scheme: str, path: str, *fields: Any, **options: Any
        ) -> None:
            limit = _limit(limits, path, options.pop("max_content_length", None))
            super().__init__(method, scheme, path, *fields, max_content_length=limit, **options)

    return LimitedRequest


def _limit(
    limits: Iterable[tuple[re.Pattern[str], int]], path: str, usual: int | None
) -> int | None:
    """Return the bytes that a body may have, at least as many as usual."""
    for pattern, limit in limits:
        if usual is not None and limit > usual and pattern.fullmatch(path):
            return limit
    return usual
