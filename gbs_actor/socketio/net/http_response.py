"""Answers to HTTP requests: what they say, and the bytes of one after which nothing follows."""

from __future__ import annotations

from dataclasses import dataclass
from email.utils import formatdate
from http import HTTPStatus

import msgspec
import trio

_PATIENCE = 2.0  # seconds for the client to take the answer
_DRAIN = 65_536  # bytes read and dropped, so that a reset does not overtake the answer


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """An answer, for whichever HTTP server it is that speaks to the client."""

    status: int
    body: bytes
    content_type: str = "application/json"
    headers: tuple[tuple[str, str], ...] = ()


class RequestRefused(Exception):
    """Why a request goes no further.

    :param status: HTTP status.
    :param error: becomes the JSON body of the answer.
    :param headers: further fields of the answer.
    """

    def __init__(
        self, status: int, error: msgspec.Struct, headers: tuple[tuple[str, str], ...] = ()
    ) -> None:
        super().__init__(status, error)
        self.status = status
        self.error = error
        self.headers = headers


def serialize(answer: HttpResponse) -> bytes:
    """Return the bytes of an answer after which the connection is closed."""
    lines = [
        f"HTTP/1.1 {answer.status} {HTTPStatus(answer.status).phrase}",
        f"Date: {formatdate(usegmt=True)}",
        f"Content-Type: {answer.content_type}",
        f"Content-Length: {len(answer.body)}",
        "Connection: close",
        *(f"{name}: {value}" for name, value in answer.headers),
    ]
    return "\r\n".join((*lines, "", "")).encode("latin-1") + answer.body


async def send_response(stream: trio.abc.HalfCloseableStream, answer: HttpResponse) -> None:
    """Send an answer, and close the stream. Takes two seconds at most.

    Cancelled, close the stream at once.
    """
    try:
        with trio.move_on_after(_PATIENCE):
            await stream.send_all(serialize(answer))
            await stream.send_eof()
            dropped = 0
            while dropped < _DRAIN:
                data = await stream.receive_some(_DRAIN)
                if not data:
                    break
                dropped += len(data)
    except (trio.BrokenResourceError, trio.ClosedResourceError):
        pass  # gone already: nobody is left to be told
    finally:
        await trio.aclose_forcefully(stream)
