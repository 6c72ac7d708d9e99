"""A client's HTTP/1.1: one connection, one request after the other."""

from __future__ import annotations

import h11
import trio
from websockets.datastructures import Headers, HeadersLike

from gbs_actor.testing.network import SimStream
from gbs_actor.testing.peers.messages import HttpReply
from gbs_actor.testing.peers.transport import HOST, TransportClosed


class HttpConnection:
    """Sends requests over a stream.

    :param stream: owned from now on.
    """

    def __init__(self, stream: SimStream) -> None:
        self.stream = stream
        """The connection."""
        self._state = h11.Connection(h11.CLIENT, max_incomplete_event_size=65_536)
        self._idle_since = trio.current_time()

    def reusable(self, idle: float) -> bool:
        """Return whether another request may be sent.

        :param idle: seconds for which the server surely keeps a connection without a request.
        """
        return self._state.our_state is h11.IDLE and trio.current_time() <= self._idle_since + idle

    async def request(
        self,
        method: str,
        target: str,
        *,
        headers: HeadersLike,
        body: bytes = b"",
    ) -> HttpReply:
        """Send a request and return its response; cancelled, the connection is cut.

        :raises TransportClosed: the connection ended before.
        :raises AssertionError: the response is no HTTP/1.1.
        """
        fields = Headers(headers)
        fields.setdefault("Host", HOST)
        if body or method not in ("GET", "HEAD"):
            fields["Content-Length"] = str(len(body))
        message = self._state.send(
            h11.Request(method=method, target=target, headers=_encoded(fields))
        )
        assert message is not None
        if body:
            message += self._state.send(h11.Data(data=body)) or b""
        self._state.send(h11.EndOfMessage())
        try:
            await self.stream.send_all(message)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass  # a response may have been sent before
        except trio.Cancelled:
            self.stream.socket.close()
            raise
        return await self._response()

    async def _response(self) -> HttpReply:
        status = 0
        headers = Headers()
        body = bytearray()
        while True:
            match await self._next_event():
                case h11.Response(status_code=status, headers=fields):
                    headers = Headers(
                        [(name.decode(), value.decode("latin-1")) for name, value in fields]
                    )
                case h11.Data(data=data):
                    body += data
                case h11.EndOfMessage():
                    break
                case h11.ConnectionClosed():
                    raise TransportClosed(None, "no response")
                case _:  # 1xx
                    pass
        if self._state.our_state is h11.DONE and self._state.their_state is h11.DONE:
            self._state.start_next_cycle()
            self._idle_since = trio.current_time()
        else:
            self.stream.socket.close()
        return HttpReply(status, headers, bytes(body))

    async def _next_event(self) -> object:
        while True:
            try:
                event = self._state.next_event()
            except h11.RemoteProtocolError as error:
                if self._state.trailing_data[1]:
                    raise TransportClosed(None, "no response") from None
                raise AssertionError(f"the server breaks HTTP/1.1: {error}") from error
            if event is not h11.NEED_DATA:
                return event
            try:
                data = await self.stream.receive_some()
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                data = b""
            except trio.Cancelled:
                self.stream.socket.close()
                raise
            self._state.receive_data(bytes(data))


def _encoded(fields: Headers) -> list[tuple[bytes, bytes]]:
    return [(name.encode(), value.encode("latin-1")) for name, value in fields.raw_items()]
