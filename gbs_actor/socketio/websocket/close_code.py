"""WebSocket close codes (RFC 6455 §7.4, and the IANA registry), and protocol violations."""

from __future__ import annotations

from enum import IntEnum

_DEFINED = frozenset({1000, 1001, 1002, 1003, *range(1007, 1015)})


class CloseCode(IntEnum):
    """Those that this server sends."""

    NORMAL = 1000
    GOING_AWAY = 1001
    PROTOCOL_ERROR = 1002
    UNSUPPORTED_DATA = 1003
    INVALID_DATA = 1007
    POLICY_VIOLATION = 1008
    TOO_LARGE = 1009
    INTERNAL_ERROR = 1011
    SERVICE_RESTART = 1012
    TRY_AGAIN_LATER = 1013


def check_close_code(code: int) -> None:
    """Refuse a code that must not be sent in a close frame.

    :raises ValueError: reserved, or out of range.
    """
    if code not in _DEFINED and not 3000 <= code <= 4999:
        raise ValueError(f"{code} is no WebSocket close code that may be sent")


class ProtocolViolation(Exception):
    """The peer broke the protocol; its connection ends.

    :param reason: one clear sentence, for the log and the close frame.
    :param code: WebSocket close code (RFC 6455 §7.4.1).
    """

    def __init__(self, reason: str, code: int = CloseCode.PROTOCOL_ERROR) -> None:
        super().__init__(reason)
        self.reason = reason
        self.code = code
