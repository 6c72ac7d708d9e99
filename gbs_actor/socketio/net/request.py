"""The head of an HTTP/1.1 request: parsed just enough to route it.

This is no HTTP server. All but WebSocket handshakes is passed to one, byte for byte,
malformed or not.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_REQUEST_LINE = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+) ([\x21-\x7e]+) HTTP/(1\.[01])\r?")
# White space around a value is stripped separately: a regex for it would backtrack for hours.
_FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):([\t\x20-\x7e\x80-\xff]*)\r?")
HTTP_2_PREFACE = b"PRI * HTTP/2.0\r\n\r\n"
"""What a client of HTTP/2 begins with (RFC 9113 §3.4), as far as it looks like a head."""

_END = re.compile(rb"\r?\n\r?\n")


def head_length(data: bytes | bytearray, searched: int = 0) -> int | None:
    """Return how many bytes the request's head has, ``None`` if its end has not arrived.

    :param searched: how many of the bytes were searched before without finding the end.
    """
    found = _END.search(data, max(0, searched - 3))
    return None if found is None else found.end()


def origins_in(head: bytes | bytearray) -> list[str]:
    """Return the ``Origin`` fields of a head that may be incomplete or malformed."""
    *lines, _cut_off = bytes(head).split(b"\n")
    fields = (line.partition(b":") for line in lines[1:])
    return [
        value.strip(b" \t\r").decode("latin-1")
        for name, _, value in fields
        if name.lower() == b"origin"
    ]


@dataclass(frozen=True, slots=True)
class Request:
    """A request without its body (RFC 9112)."""

    method: str
    target: str
    """As sent: path, and query if there is one."""
    version: str
    """``"1.0"`` or ``"1.1"``."""
    fields: tuple[tuple[str, str], ...]
    """Header fields in their order: name in lower case, value."""
    head: bytes
    """The bytes themselves, with the empty line."""

    @property
    def path(self) -> str:
        """The target without its query."""
        return self.target.partition("?")[0]

    @property
    def query(self) -> str:
        """What follows the question mark, "" for nothing."""
        return self.target.partition("?")[2]

    def header(self, name: str) -> str | None:
        """Return a field's value, repeated ones joined by ", " (RFC 9110 §5.3).

        :param name: in lower case.
        """
        values = [value for field, value in self.fields if field == name]
        return ", ".join(values) if values else None

    @property
    def is_websocket_upgrade(self) -> bool:
        """Whether this asks for a WebSocket, well-formed or not (RFC 6455 §4.1)."""
        upgrade = (self.header("upgrade") or "").lower().split(",")
        return self.version == "1.1" and "websocket" in (token.strip() for token in upgrade)


def parse_request(head: bytes) -> Request | None:
    """Parse a head; return ``None`` if it is not HTTP/1.x.

    :param head: with the empty line at its end.
    """
    lines = head.rstrip(b"\r\n").split(b"\n")
    first = _REQUEST_LINE.fullmatch(lines[0])
    if first is None:
        return None
    fields: list[tuple[str, str]] = []
    for line in lines[1:]:
        found = _FIELD.fullmatch(line)
        if found is None:
            return None
        fields.append((found[1].decode("ascii").lower(), found[2].strip(b" \t").decode("latin-1")))
    method, target, version = (group.decode("ascii") for group in first.groups())
    return Request(method, target, version, tuple(fields), head)
