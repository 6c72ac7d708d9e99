"""TLS below HTTP and WebSocket: streams and listeners whose handshake is done later."""

from __future__ import annotations

import ssl
from collections.abc import Callable

import trio


class TlsStream(trio.abc.HalfCloseableStream):
    """The server's side of a TLS connection (RFC 8446).

    It ends with the TCP connection, as HTTPS connections do. An end without ``close_notify``
    is ordinary, since HTTP and WebSocket mark the end of a message themselves (RFC 9112
    §9.8).

    :param transport_stream: the accepted stream; this stream owns it from now on.
    :param context: certificate, key and protocols.
    """

    def __init__(self, transport_stream: trio.abc.Stream, context: ssl.SSLContext) -> None:
        self.transport_stream = transport_stream
        self._tls = trio.SSLStream(
            transport_stream, context, server_side=True, https_compatible=True
        )

    async def do_handshake(self) -> None:
        """Negotiate keys and protocol; nothing can be read or written before.

        Cancelled, the stream is unusable.

        :raises trio.BrokenResourceError: the handshake failed, or the peer has
            disconnected. Its ``__cause__`` may be an :exc:`ssl.SSLError` with the reason.
        """
        await self._tls.do_handshake()

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        """See :class:`trio.abc.ReceiveStream`."""
        return await self._tls.receive_some(max_bytes)

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """See :class:`trio.abc.SendStream`. Cancelled, the stream is unusable."""
        await self._tls.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        """See :class:`trio.abc.SendStream`."""
        await self._tls.wait_send_all_might_not_block()

    async def send_eof(self) -> None:
        """Do nothing: here TLS ends in both directions at once, by :meth:`aclose`."""
        await trio.lowlevel.checkpoint()

    async def aclose(self) -> None:
        """Close the connection below."""
        await self._tls.aclose()


class TlsListener(trio.abc.Listener[TlsStream]):
    """Accepts connections for TLS; another task does the handshake.

    :param listener: accepts the connections below.
    :param context: called for each connection, so that a certificate can be replaced.
    """

    def __init__(
        self, listener: trio.abc.Listener[trio.abc.Stream], context: Callable[[], ssl.SSLContext]
    ) -> None:
        self._listener = listener
        self._context = context

    async def accept(self) -> TlsStream:
        """See :class:`trio.abc.Listener`."""
        return TlsStream(await self._listener.accept(), self._context())

    async def aclose(self) -> None:
        """See :class:`trio.abc.AsyncResource`."""
        await self._listener.aclose()
