"""Responses to HTTP requests, refusals included, and how to send the last one of a stream."""

from __future__ import annotations

from dataclasses import dataclass
from email.utils import formatdate
from functools import lru_cache
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


def serialize(response: HttpResponse, now: float, *, close: bool = True) -> bytes:
    """Return the bytes of a response over HTTP/1.1.

    :param now: Unix time in seconds.
    :param close: whether the connection is closed after it.
    """
    status = HTTPStatus(response.status)
    lines = [f"HTTP/1.1 {status.value} {status.phrase}", f"Date: {http_date(now)}"]
    if status is not HTTPStatus.NO_CONTENT:  # RFC 9110 §8.6
        lines.append(f"Content-Type: {response.content_type}")
        lines.append(f"Content-Length: {len(response.body)}")
    if close:
        lines.append("Connection: close")
    lines += [f"{name}: {value}" for name, value in response.headers]
    return "\r\n".join((*lines, "", "")).encode("latin-1") + response.body


def http_date(now: float) -> str:
    """Return a Unix time as HTTP writes it (RFC 9110 §5.6.7)."""
    return _date(int(now))


@lru_cache(maxsize=1)
def _date(seconds: int) -> str:
    return formatdate(seconds, usegmt=True)


async def send_response(
    stream: trio.abc.HalfCloseableStream, response: HttpResponse, now: float
) -> None:
    """Send a response, and close the stream. Takes two seconds at most.

    Cancelled, close the stream at once.

    :param now: Unix time in seconds.
    """
    try:
        with trio.move_on_after(_SEND_TIMEOUT):
            await stream.send_all(serialize(response, now))
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
