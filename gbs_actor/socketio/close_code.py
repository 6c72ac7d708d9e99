"""Which WebSocket close codes may be sent (RFC 6455 §7.4, and the IANA registry)."""

from __future__ import annotations

_DEFINED = frozenset({1000, 1001, 1002, 1003, *range(1007, 1015)})


def check_close_code(code: int) -> None:
    """Refuse a code that must not stand in a close frame.

    :raises ValueError: reserved, or out of range.
    """
    if code not in _DEFINED and not 3000 <= code <= 4999:
        raise ValueError(f"{code} is no WebSocket close code that may be sent")
