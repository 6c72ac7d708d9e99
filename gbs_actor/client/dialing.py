"""Opens a byte stream to a server's URL."""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

import trio

ConnectStream = Callable[[str, int], Awaitable[trio.abc.Stream]]
"""Opens a stream to ``(host, port)``; raises ``OSError`` if it cannot."""

_TLS_OF_SCHEME = {"http": False, "ws": False, "https": True, "wss": True}


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A server's address, and the path of its Engine.IO resource."""

    host: str
    port: int
    tls: bool
    resource: str
    """Path and query of the WebSocket handshake."""

    @property
    def authority(self) -> str:
        """The ``Host`` header (RFC 9110 §7.2): without the scheme's default port."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.tls else 80) else f"{host}:{self.port}"

    @classmethod
    def of(cls, url: str, path: str) -> Endpoint:
        """Read a URL such as ``https://gbs.example`` or ``ws://127.0.0.1:8080``.

        :param url: scheme http, https, ws or wss; its path is a prefix of ``path``.
        :param path: the Engine.IO path, ``/socket.io/`` by default.
        :raises ValueError: if it is no such URL.
        """
        parts = urlsplit(url)
        tls = _TLS_OF_SCHEME.get(parts.scheme)
        if tls is None or not parts.hostname:
            raise ValueError(f"not a server's URL: {url!r}")
        return cls(
            host=parts.hostname,
            port=parts.port or (443 if tls else 80),
            tls=tls,
            resource=f"{parts.path.rstrip('/')}{path}?EIO=4&transport=websocket",
        )


def tcp(endpoint: Endpoint, tls_context: ssl.SSLContext | None) -> ConnectStream:
    """Return a function that opens a TCP stream, with TLS if the endpoint uses it.

    :param tls_context: ``None``: the system's certificates, or those of ``SSL_CERT_FILE``.
    """

    async def connect_tcp(host: str, port: int) -> trio.abc.Stream:
        return await trio.open_tcp_stream(host, port)

    async def connect_tls(host: str, port: int) -> trio.abc.Stream:
        context = tls_context or ssl.create_default_context()
        stream = await trio.open_ssl_over_tcp_stream(
            host, port, ssl_context=context, https_compatible=True
        )
        try:
            # Now and not at the first write: the handshake is where certificates are refused.
            await stream.do_handshake()
        except BaseException as error:
            await trio.aclose_forcefully(stream)
            if not isinstance(error, trio.BrokenResourceError):
                raise
            if isinstance(error.__cause__, ssl.SSLError):
                raise error.__cause__ from None
            raise ConnectionError("the connection broke in the TLS handshake") from error
        return stream

    return connect_tls if endpoint.tls else connect_tcp
