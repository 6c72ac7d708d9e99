"""What a peer receives: events, replies, and why it was refused or has ended."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import msgspec
from websockets.datastructures import Headers

Json = Any
"""A decoded JSON value; of a Socket.IO server, with ``bytes`` in it perhaps."""

Kind = Literal["connected", "refused", "event", "reply", "disconnected"]


@dataclass(frozen=True, slots=True)
class Received:
    """One message of the server."""

    kind: Kind
    """``connected`` and ``refused``: the answer to the connect; ``disconnected``: the server has
    ended the namespace."""
    name: str = ""
    """The event's name."""
    arguments: tuple[Json, ...] = ()
    """Of the event, or of the acknowledgement; without the offset."""
    ack_id: int | None = None
    """Of a reply: which call it answers; of an event: that the server wants an answer."""
    offset: str | None = None
    """Of an event, if the session can be recovered."""
    revision: int | None = None
    """Of the list that a plain WebSocket is sent as it joins."""

    @property
    def payload(self) -> Json:
        """The first argument; ``None``: there is none."""
        return self.arguments[0] if self.arguments else None

    def __str__(self) -> str:
        named = f"{self.kind} {self.name}" if self.name else self.kind
        text = " ".join(str(argument) for argument in self.arguments)
        return f"{named}: {text[:117]}..." if len(text) > 120 else f"{named}: {text}".rstrip(": ")


@dataclass(frozen=True, slots=True)
class Reply:
    """The server's answer to one event: that of a Socket.IO ack, or of a plain WebSocket."""

    content: dict[str, Json]
    """All of it."""

    @property
    def ok(self) -> bool:
        """Whether the event was carried out."""
        return self.status == "OK"

    @property
    def status(self) -> str:
        """``OK`` or ``ERROR``."""
        return str(self.content.get("status"))

    @property
    def code(self) -> str | None:
        """Why it was not, e.g. ``CONFLICT``."""
        return self.content.get("code")

    @property
    def message(self) -> str | None:
        """The same as a sentence."""
        return self.content.get("message")

    @property
    def retryable(self) -> bool:
        """Whether the same may succeed later."""
        return bool(self.content.get("retryable"))

    @property
    def data(self) -> Json:
        """The row, the rows, the result; of a ``CONFLICT`` the current row."""
        return self.content.get("data")

    @property
    def conflict(self) -> Json:
        """What somebody else wrote meanwhile."""
        return self.content.get("conflict")

    @property
    def revision(self) -> int | None:
        """Of the room; ``None`` outside of one."""
        return self.content.get("revision")

    def __getitem__(self, name: str) -> Json:
        """Return a field by its name, as ``reply["epoch"]``.

        :raises KeyError: there is none.
        """
        return self.content[name]

    def __str__(self) -> str:
        return str(self.content)


@dataclass(frozen=True, slots=True)
class HttpReply:
    """A response to an HTTP request."""

    status: int
    headers: Headers
    """By their names, in whatever case; ``get_all`` returns those that come several times."""
    body: bytes

    @property
    def ok(self) -> bool:
        """Whether the status is 2xx."""
        return 200 <= self.status < 300

    def json(self) -> Json:
        """Return the body, decoded.

        :raises AssertionError: it is no JSON.
        """
        try:
            return msgspec.json.decode(self.body)
        except msgspec.DecodeError as error:
            raise AssertionError(f"no JSON ({error}) but {self.status} {self.body!r}") from None


class PeerRefused(Exception):
    """The server does not let a peer in."""

    def __init__(self, code: str | int | None, message: str) -> None:
        super().__init__(f"refused with {code}: {message}")
        self.code = code
        """``data.code`` of a connect error, e.g. ``TOKEN_EXPIRED``; or the close code of a
        WebSocket, e.g. 4401; or the status of HTTP."""
        self.message = message
        """The reason."""


class PeerClosed(Exception):
    """The connection of a peer has ended; :meth:`Peer.reconnect` opens another one."""
