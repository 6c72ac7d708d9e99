"""Hypercorn's HTTP/1.1, with the heads of requests parsed and refused as the front door does."""

from __future__ import annotations

from typing import Any

import h11
from hypercorn.events import Updated
from hypercorn.protocol.h11 import H11Protocol

from gbs_actor.socketio.net.request import LOWEST, BadRequest, parse_lines, refusal_of_head


class _Connection(h11.Connection):
    """Reads the head of each request by :func:`~gbs_actor.socketio.net.request.parse_lines`."""

    def _get_io_object(self, role: Any, event: Any, io_dict: Any) -> Any:
        if role is h11.CLIENT and self.their_state is h11.IDLE:
            return self._read_head
        return super()._get_io_object(role, event, io_dict)

    def _read_head(self, buffer: Any) -> h11.Request | None:
        """Return the next request, ``None`` if its head has not arrived."""
        # Empty lines before a request are skipped (RFC 9112 §2.2).
        waiting = bytes(buffer)
        if skipped := len(waiting) - len(waiting.lstrip(b"\r\n")):
            buffer.maybe_extract_at_most(skipped)
        size = len(buffer)
        lines = buffer.maybe_extract_lines()
        if lines is None:
            if size and waiting[skipped] < LOWEST:
                raise h11.LocalProtocolError("no request")
            return None
        if size - len(buffer) > self._max_incomplete_event_size:
            raise h11.LocalProtocolError("too large", error_status_hint=431)
        try:
            request = parse_lines(lines)
        except BadRequest as bad:
            raise h11.LocalProtocolError(str(bad), error_status_hint=bad.status) from None
        fields = [(name.encode(), value.encode("latin-1")) for name, value in request.fields]
        return h11.Request(
            method=request.method.encode(),
            headers=fields,
            target=request.target.encode(),
            http_version=request.version.encode(),
            _parsed=True,  # no second check of each field
        )


class StrictHttp1(H11Protocol):
    """One connection. HTTP/2 is not spoken on it."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.connection = _Connection(
            h11.SERVER, max_incomplete_event_size=self.config.h11_max_incomplete_size
        )

    async def _send_error_response(self, status_code: int) -> None:
        """Refuse a request before the application is called, as the front door does."""
        await self.send(Updated(idle=False))  # its idle timer would keep the connection
        refusal = refusal_of_head(status_code)
        headers = [
            ("Content-Type", refusal.content_type),
            ("Content-Length", str(len(refusal.body))),
            ("Connection", "close"),
            *refusal.headers,
        ]
        response = h11.Response(
            status_code=status_code,
            headers=[
                *((name.encode(), value.encode()) for name, value in headers),
                *self.config.response_headers("h11"),
            ],
        )
        for event in (response, h11.Data(data=refusal.body), h11.EndOfMessage()):
            await self._send_h11_event(event)
