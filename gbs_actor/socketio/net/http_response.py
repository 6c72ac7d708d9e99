"""Responses to HTTP requests, refusals included, and how to send the last one of a stream."""

from __future__ import annotations

from dataclasses import dataclass
from email.utils import formatdate
from http import HTTPStatus

import msgspec
import trio

_SEND_TIMEOUT = 2.0  # seconds for the client to take the response
_RECEIVE = 65_536
_DRAIN = 4_194_304  # bytes read and dropped, so that a reset does not overtake the response


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """A response, for any HTTP server."""

    status: int
    body: bytes
    content_type: str = "application/json"
    headers: tuple[tuple[str, str], ...] = ()


class RequestRefused(Exception):
    """A request is refused.

    :param status: HTTP status.
    :param error: becomes the JSON body of the response.
    :param headers: further fields of the response.
    """

    def __init__(
        self, status: int, error: msgspec.Struct, headers: tuple[tuple[str, str], ...] = ()
    ) -> None:
        super().__init__(status, error)
        self.status = status
        self.error = error
        self.headers = headers


def serialize(response: HttpResponse) -> bytes:
    """Return the bytes of a response after which the connection is closed."""
    lines = [
        f"HTTP/1.1 {response.status} {HTTPStatus(response.status).phrase}",
        f"Date: {formatdate(usegmt=True)}",
        f"Content-Type: {response.content_type}",
        f"Content-Length: {len(response.body)}",
        "Connection: close",
        *(f"{name}: {value}" for name, value in response.headers),
    ]
    return "\r\n".join((*lines, "", "")).encode("latin-1") + response.body


async def send_response(stream: trio.abc.HalfCloseableStream, response: HttpResponse) -> None:
    """Send a response, and close the stream. Takes two seconds at most.

    Cancelled, close the stream at once.
    """
    try:
        with trio.move_on_after(_SEND_TIMEOUT):
            await stream.send_all(serialize(response))
            await stream.send_eof()
            dropped = 0
            while dropped < _DRAIN:
                data = await stream.receive_some(_RECEIVE)
                if not data:
                    break
                dropped += len(data)
    except (trio.BrokenResourceError, trio.ClosedResourceError):
        pass  # the client has disconnected
    finally:
        await trio.aclose_forcefully(stream)
