"""The head of an HTTP/1.1 request: parsed, and checked as RFC 9112 and RFC 6455 demand.

The front door and the HTTP server behind it both parse by :func:`parse_lines`, so that a request
gets the same response wherever it arrives. Where the RFCs leave a choice, it is nginx's.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from websockets.exceptions import InvalidHeaderFormat
from websockets.headers import parse_extension, parse_subprotocol

from gbs_actor.socketio.net.host import parse_host
from gbs_actor.socketio.net.http_response import HttpResponse

_TOKEN: Final = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
# Methods are case-sensitive (RFC 9110 §9.1): "get" is not GET.
_REQUEST_LINE: Final = re.compile(
    rb"([!#$%&'*+.^_`|~0-9A-Z-]+) ([\x21\x22\x24-\x7e]+) HTTP/([0-9])\.([0-9])"
)
# White space around a value is stripped separately: a regex for it would backtrack for hours.
_FIELD: Final = re.compile(rb"(" + _TOKEN + rb"):([^\0\r\n]*)")
_ABSOLUTE: Final = re.compile(r"https?://([^/?]*)(.*)", re.IGNORECASE)
_BAD_ESCAPE: Final = re.compile(r"[^?]*%(?:00|(?![0-9A-Fa-f]{2}))")
_LENGTH: Final = re.compile(r"[0-9]{1,19}")
_END: Final = re.compile(rb"\r?\n\r?\n")
_SINGLE: Final = frozenset({"host", "content-length", "transfer-encoding"})

WEBSOCKET_VERSION: Final = "13"  # RFC 6455 §4.1
WEBSOCKET_KEY: Final = re.compile(r"[A-Za-z0-9+/]{22}==")  # 16 bytes (RFC 6455 §4.1)
LOWEST: Final = 0x21
"""A request begins with a visible character; TLS does not."""


_REFUSALS: Final = {
    400: ("VALIDATION_FAILED", "The request is malformed.", ()),
    426: (
        "UPGRADE_REQUIRED",
        f"This server speaks version {WEBSOCKET_VERSION} of WebSocket.",
        # RFC 9110 §15.5.22, RFC 6455 §4.4
        (("Upgrade", "websocket"), ("Sec-WebSocket-Version", WEBSOCKET_VERSION)),
    ),
    431: ("REQUEST_HEADER_FIELDS_TOO_LARGE", "The head of the request is too large.", ()),
    501: ("NOT_IMPLEMENTED", "The only transfer coding is chunked.", ()),
    505: ("HTTP_VERSION_NOT_SUPPORTED", "This server speaks HTTP/1.1.", ()),
}


class BadRequest(Exception):
    """A request's head is refused, and its connection closed after the response.

    :param reason: for the log.
    :param status: HTTP status.
    """

    def __init__(self, reason: str, status: int = HTTPStatus.BAD_REQUEST) -> None:
        super().__init__(reason)
        self.status = status


def refusal_of_head(status: int) -> HttpResponse:
    """Return the response to a request whose head is refused.

    :param status: of :exc:`BadRequest`, or 431 if the head is too large.
    """
    code, message, headers = _REFUSALS[status]
    body = f'{{"code":"{code}","message":"{message}"}}'.encode()
    return HttpResponse(status, body, headers=headers)


def head_length(data: bytes | bytearray, searched: int = 0) -> int | None:
    """Return how many bytes the request's head has, ``None`` if its end has not arrived.

    :param data: without empty lines at its beginning.
    :param searched: how many of the bytes were searched before without finding the end.
    """
    found = _END.search(data, max(0, searched - 3))
    return None if found is None else found.end()


def field_values(head: bytes | bytearray, name: bytes) -> list[str]:
    """Return the values of a field in a head that may be incomplete or malformed.

    :param head: may be followed by a body.
    :param name: in lower case.
    """
    *lines, _cut_off = bytes(head[: head_length(head)]).split(b"\n")
    fields = (line.partition(b":") for line in lines[1:])
    return [
        value.strip(b" \t\r").decode("latin-1")
        for found, _, value in fields
        if found.lower() == name
    ]


@dataclass(frozen=True, slots=True)
class Request:
    """A request without its body (RFC 9112)."""

    method: str
    target: str
    """In origin-form: path, and query if there is one."""
    version: str
    """``"1.0"`` or ``"1.1"``."""
    fields: tuple[tuple[str, str], ...]
    """Header fields in their order: name in lower case, value."""

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
        """Whether this asks for a WebSocket (RFC 6455 §4.1, RFC 9110 §7.8)."""
        return (
            self.method == "GET"
            and self.version != "1.0"
            and "websocket" in self._tokens("upgrade")
            and "upgrade" in self._tokens("connection")
        )

    def _tokens(self, name: str) -> list[str]:
        return [token.strip() for token in (self.header(name) or "").lower().split(",")]


def parse_request(head: bytes | bytearray) -> Request:
    """Parse a head.

    :param head: from the first line to the empty one; b"" if that has not come.
    :raises BadRequest: it is refused.
    """
    return parse_lines([line.removesuffix(b"\r") for line in head.split(b"\n")[:-2] or [b""]])


def parse_lines(lines: Sequence[bytes | bytearray]) -> Request:
    """Parse the lines of a head, without their ends.

    An absolute target becomes the path, and its authority ``Host`` (RFC 9112 §3.2.2). Of
    upgrades only one to WebSocket is kept, in its simplest form; others are ignored, as a server
    may do (RFC 9110 §7.8).

    :raises BadRequest: it is refused.
    """
    first = _REQUEST_LINE.fullmatch(lines[0])
    if first is None:
        raise BadRequest("the request line is malformed")  # RFC 9112 §3
    method, target = first[1].decode("ascii"), first[2].decode("ascii")
    version = _version(first[3], first[4])
    fields = _fields(lines[1:])
    singles = _singles(fields)
    host = singles.get("host")
    if host is None:
        if version == "1.1":
            raise BadRequest("Host is missing")  # RFC 9112 §3.2
    elif parse_host(host) is None:
        raise BadRequest("Host is malformed")  # RFC 9112 §3.2
    if method == "CONNECT" or not target.startswith("/"):
        target, authority = _origin_form(method, target)
        others = (field for field in fields if field[0] != "host")
        fields = [("host", authority), *others]
    if "%" in target and _BAD_ESCAPE.match(target):
        raise BadRequest("the target is malformed")
    has_body = _has_body(singles, version)
    request = Request(method, target, version, tuple(fields))
    if any(name == "upgrade" for name, _ in fields):
        request = _upgrading(request, has_body=has_body)
    return request


def _version(major: bytes, minor: bytes) -> str:
    if major == b"1":
        return "1.0" if minor == b"0" else "1.1"  # RFC 9110 §2.5
    if major == b"0":
        raise BadRequest("HTTP/0.9 has no version")
    raise BadRequest("HTTP/1.1 is spoken here", HTTPStatus.HTTP_VERSION_NOT_SUPPORTED)


def _fields(lines: Sequence[bytes | bytearray]) -> list[tuple[str, str]]:
    fields = []
    for line in lines:
        # No white space before the colon (RFC 9112 §5.1), no folded line (§5.2), no NUL or CR in
        # a value (RFC 9110 §5.5).
        found = _FIELD.fullmatch(line)
        if found is None:
            raise BadRequest("a header field is malformed")
        fields.append((found[1].decode("ascii").lower(), found[2].strip(b" \t").decode("latin-1")))
    return fields


def _singles(fields: Sequence[tuple[str, str]]) -> dict[str, str]:
    """Return the fields that may be given once only, and decide about host and body."""
    singles: dict[str, str] = {}
    for name, value in fields:
        if name in _SINGLE:
            if name in singles:
                raise BadRequest(f"{name} is repeated")  # RFC 9112 §3.2, §6.1, §6.3
            singles[name] = value
    return singles


def _origin_form(method: str, target: str) -> tuple[str, str]:
    """Return path and authority of an absolute target.

    :raises BadRequest: it has another form.
    """
    found = None if method == "CONNECT" else _ABSOLUTE.fullmatch(target)
    if found is None or parse_host(found[1]) is None:
        raise BadRequest("the target is malformed")
    path = found[2]
    return (path if path.startswith("/") else f"/{path}"), found[1]


def _has_body(singles: dict[str, str], version: str) -> bool:
    """Return whether a body follows.

    :raises BadRequest: its end is not certain (RFC 9112 §6.1, §6.3).
    """
    length, coding = singles.get("content-length"), singles.get("transfer-encoding")
    if coding is not None:
        if length is not None or version == "1.0":
            raise BadRequest("the length of the body is ambiguous")
        if coding.lower() != "chunked":
            raise BadRequest("the transfer coding is unknown", HTTPStatus.NOT_IMPLEMENTED)
        return True
    if length is None:
        return False
    if not _LENGTH.fullmatch(length):
        raise BadRequest("Content-Length is malformed")
    return int(length) > 0


def _upgrading(request: Request, *, has_body: bool) -> Request:
    """Return the request with one upgrade, or without any.

    :raises BadRequest: its WebSocket handshake is malformed (RFC 6455 §4.2.1).
    """
    fields = [field for field in request.fields if field[0] != "upgrade"]
    if request.is_websocket_upgrade:
        if has_body:
            raise BadRequest("a WebSocket handshake has no body")
        _check_handshake(request)
        fields = [field for field in fields if field[0] != "connection"]
        fields += [("connection", "Upgrade"), ("upgrade", "websocket")]
    return Request(request.method, request.target, request.version, tuple(fields))


def _check_handshake(request: Request) -> None:
    if request.header("sec-websocket-version") != WEBSOCKET_VERSION:
        raise BadRequest("another version of WebSocket", HTTPStatus.UPGRADE_REQUIRED)
    if not WEBSOCKET_KEY.fullmatch(request.header("sec-websocket-key") or ""):
        raise BadRequest("Sec-WebSocket-Key is malformed")
    try:
        for name, value in request.fields:
            if name == "sec-websocket-protocol":
                parse_subprotocol(value)
            elif name == "sec-websocket-extensions":
                parse_extension(value)
    except InvalidHeaderFormat as error:
        raise BadRequest(f"{error.name} is malformed") from None
