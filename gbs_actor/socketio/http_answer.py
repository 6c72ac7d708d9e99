"""Answers to HTTP requests: what they say, and the bytes of one after which nothing follows."""

from __future__ import annotations

from dataclasses import dataclass
from email.utils import formatdate
from http import HTTPStatus

import trio

_PATIENCE = 2.0  # seconds for the client to take the answer
_DRAIN = 65_536  # bytes read and dropped, so that a reset does not overtake the answer


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """An answer, for whichever HTTP server it is that speaks to the client."""

    status: int
    body: bytes
    content_type: str = "application/json"
    headers: tuple[tuple[str, str], ...] = ()


def answer(status: int, body: bytes, content_type: str = "application/json") -> bytes:
    """Return the bytes of an answer after which the connection is closed."""
    phrase = HTTPStatus(status).phrase
    lines = [
        f"HTTP/1.1 {status} {phrase}",
        f"Date: {formatdate(usegmt=True)}",
        f"Content-Type: {content_type}",
        f"Content-Length: {len(body)}",
        "Connection: close",
    ]
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        lines.append("Retry-After: 1")
    if status == HTTPStatus.UPGRADE_REQUIRED:
        lines.append("Upgrade: websocket")
    return "\r\n".join((*lines, "", "")).encode("ascii") + body


async def send_answer(
    stream: trio.abc.HalfCloseableStream,
    status: int,
    body: bytes,
    content_type: str = "application/json",
) -> None:
    """Send an answer, and close the stream. Takes two seconds at most.

    Cancelled, close the stream at once.
    """
    try:
        with trio.move_on_after(_PATIENCE):
            await stream.send_all(answer(status, body, content_type))
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
