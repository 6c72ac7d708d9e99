"""WebSocket subprotocols: what a client offers, and which one it gets (RFC 6455 §1.9)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence


def offered_subprotocols(headers: Mapping[str, str]) -> list[str]:
    """Return those that a handshake offers, in the client's order.

    :param headers: names in lower case, repeated ones joined by ", ".
    """
    field = headers.get("sec-websocket-protocol", "")
    return [name for name in (item.strip() for item in field.split(",")) if name]


def select_subprotocol(offered: Sequence[str], available: Sequence[str]) -> str | None:
    """Return the best one that is offered; a client that offers none of them gets none.

    :param available: the best one first.
    """
    return next((name for name in available if name in offered), None)
