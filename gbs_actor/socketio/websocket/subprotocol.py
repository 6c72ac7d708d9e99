"""Subprotocols: what a handshake offers, and which one is selected (RFC 6455 §1.9)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence


def offered_subprotocols(headers: Mapping[str, str]) -> list[str]:
    """Return the subprotocols that a handshake offers, in the client's order.

    :param headers: names in lower case, repeated ones joined by ", ".
    """
    field = headers.get("sec-websocket-protocol", "")
    return [name for name in (item.strip() for item in field.split(",")) if name]


def select_subprotocol(offered: Sequence[str], available: Sequence[str]) -> str | None:
    """Return the best one that is offered, if any.

    :param available: the best one first.
    """
    return next((name for name in available if name in offered), None)
