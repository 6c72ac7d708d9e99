"""What asyncpg needs of asyncio, on Trio, for one connection.

The coroutines of asyncpg wait for nothing but futures that their event loop has made. To wait
for one of those made here is to read from the connection's socket, in the task that waits, until
its result has arrived. So these coroutines are to be awaited from Trio, like any other; there is
no event loop of asyncio, no task that reads, and one switch of tasks between a query and its
result. Cancellation and deadlines are Trio's. A coroutine that was cancelled leaves a connection
that is to be closed, since the result is still to come.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Coroutine, Generator, Iterable
from contextlib import suppress
from typing import Any, Final, Generic, TypeVar
from typing import Protocol as StructuralType

import trio

from gbs_actor.concurrency import first_exception

T = TypeVar("T")

_RECEIVE_SIZE: Final = 65_536
"""Bytes; more than a record of TLS, so that what is left is in the kernel, which reports it."""
_WOULD_BLOCK: Final = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


class _Protocol(StructuralType):
    """The part of an ``asyncio.Protocol`` that is used here."""

    def connection_made(self, transport: Transport) -> None: ...
    def data_received(self, data: bytes) -> None: ...
    def connection_lost(self, error: Exception | None) -> None: ...


P = TypeVar("P", bound=_Protocol)


class ConnectionLoop:
    """Stands in for asyncio's event loop, for one connection.

    asyncpg opens several transports only one after the other: hosts that refuse, or are not
    in the wanted state, and the second attempt of ``sslmode=prefer``. It waits for the last.
    """

    def __init__(self) -> None:
        self._transports: list[Transport] = []

    @property
    def transport(self) -> Transport:
        """The transport in use.

        :raises ConnectionResetError: it has been closed.
        """
        if not self._transports:
            raise ConnectionResetError("the connection is closed")
        return self._transports[-1]

    def close(self) -> None:
        """Close all transports, however far they came."""
        while self._transports:
            self._transports[-1].close()

    # -- as asyncpg calls them

    def create_future(self) -> Future[Any]:
        """Return a future of :attr:`transport`."""
        return Future(self)

    async def create_connection(
        self,
        protocol_factory: Callable[[], P],
        host: str,
        port: int,
        *,
        ssl: ssl.SSLContext | None = None,
    ) -> tuple[Transport, P]:
        """Connect by TCP; with TLS at once if ``ssl`` is given.

        :raises OSError: no connection was made.
        """
        try:
            stream = await trio.open_tcp_stream(host, port)
        except OSError as error:
            # Of several addresses, the first: "all attempts failed" does not say why.
            raise first_exception(error.__cause__ or error) from None
        transport = Transport(self._transports, stream)
        if ssl is not None:
            await transport.start_tls(ssl, host)
        return transport, transport.connect(protocol_factory())

    async def create_unix_connection(
        self, protocol_factory: Callable[[], P], path: str
    ) -> tuple[Transport, P]:
        """Connect to a Unix socket.

        :raises OSError: no connection was made.
        """
        transport = Transport(self._transports, await trio.open_unix_socket(path))
        return transport, transport.connect(protocol_factory())

    async def start_tls(
        self, transport: Transport, _: object, context: ssl.SSLContext, *, server_hostname: str
    ) -> Transport:
        """Continue with TLS on a transport; asyncpg sets its next protocol.

        :raises OSError: the handshake failed.
        """
        await transport.start_tls(context, server_hostname)
        return transport

    def create_task(self, coroutine: Coroutine[Any, Any, Any]) -> Future[None]:
        """End the connection instead.

        The only task that asyncpg starts here sends a request to cancel, on a connection of its
        own, after an invalid record in a COPY.
        """
        coroutine.close()
        with suppress(ConnectionResetError):
            self.transport.end(None)
        future: Future[None] = Future(self)
        future.set_result(None)
        return future

    def call_soon(self, callback: Callable[..., object], *arguments: object) -> None:
        """Call back at once: for a notification."""
        callback(*arguments)

    def get_debug(self) -> bool:
        """Return whether connections record where they were made."""
        return False

    def is_closed(self) -> bool:
        """Return whether connections that are not closed can no longer be."""
        return False


class Future(Generic[T]):
    """Stands in for asyncio's; to be awaited from Trio, by one task at a time.

    Awaiting it raises what reading raises besides its own exception: :exc:`trio.Cancelled`, and
    :exc:`ConnectionResetError` if the transport is closed. Callbacks run at once.
    """

    __slots__ = ("_callbacks", "_cancelled", "_done", "_exception", "_loop", "_result")

    def __init__(self, loop: ConnectionLoop) -> None:
        self._loop = loop
        self._done = self._cancelled = False
        self._result: Any = None
        self._exception: BaseException | None = None
        self._callbacks: list[Callable[[Future[T]], object]] = []

    def __await__(self) -> Generator[Any, Any, T]:
        while not self._done:
            yield from self._loop.transport.wait_received().__await__()
        return self.result()

    def done(self) -> bool:
        """Return whether there is a result or an exception."""
        return self._done

    def cancelled(self) -> bool:
        """Return whether it was cancelled."""
        return self._cancelled

    def result(self) -> T:
        """Return the result or raise the exception."""
        if self._exception is not None:
            raise self._exception
        result: T = self._result
        return result

    def exception(self) -> BaseException | None:
        """Return the exception."""
        return self._exception

    def set_result(self, result: T) -> None:
        """Complete it with a result."""
        self._result = result
        self._complete()

    def set_exception(self, exception: BaseException) -> None:
        """Complete it with an exception."""
        self._exception = exception
        self._complete()

    def cancel(self) -> None:
        """Complete it: nobody will await it."""
        self._cancelled = True
        self._complete()

    def add_done_callback(self, callback: Callable[[Future[T]], object]) -> None:
        """Call back when it is completed."""
        if self._done:
            callback(self)
        else:
            self._callbacks.append(callback)

    def _complete(self) -> None:
        self._done = True
        for callback in self._callbacks:
            callback(self)


class Transport:
    """The socket of a connection: written to by asyncpg's protocol, read from by Trio's tasks.

    :param opened: the transports that are open; this one adds and removes itself.
    :param stream: its socket is taken over.
    """

    def __init__(self, opened: list[Transport], stream: trio.SocketStream) -> None:
        self._opened = opened
        self._socket = socket.socket(fileno=stream.socket.detach())
        self._socket.setblocking(False)
        self._unsent = bytearray()
        self._protocol: _Protocol
        opened.append(self)

    def connect(self, protocol: P) -> P:
        """Use a protocol from now on, which may send its first message."""
        self._protocol = protocol
        protocol.connection_made(self)
        return protocol

    async def start_tls(self, context: ssl.SSLContext, server_hostname: str) -> None:
        """Encrypt from now on.

        :raises OSError: the handshake failed; the transport is closed.
        """
        try:
            self._socket = secured = context.wrap_socket(
                self._socket, server_hostname=server_hostname, do_handshake_on_connect=False
            )
            while True:
                try:
                    return secured.do_handshake()
                except ssl.SSLWantReadError:
                    await trio.lowlevel.wait_readable(secured)
                except ssl.SSLWantWriteError:
                    await trio.lowlevel.wait_writable(secured)
        except OSError:
            self.close()
            raise

    async def wait_received(self) -> None:
        """Wait until something has arrived, and pass it to the protocol.

        Sends what is unsent before.
        """
        if self._unsent:
            await self._send_unsent()
        else:
            await trio.lowlevel.wait_readable(self._socket)
            self.receive()

    def receive(self) -> bool:
        """Pass to the protocol what has arrived; return whether there was anything.

        The end of the connection counts.
        """
        try:
            data = self._socket.recv(_RECEIVE_SIZE)
        except _WOULD_BLOCK:
            return False
        except OSError as error:
            self.end(error)
            return True
        if data:
            self._protocol.data_received(data)
        else:
            self.end(None)
        return True

    def end(self, error: Exception | None) -> None:
        """Close the connection and notify the protocol; may be repeated."""
        if self in self._opened:
            self.close()
            self._protocol.connection_lost(error)

    # -- as asyncpg calls them

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send what the kernel takes at once; whoever waits for the result sends the rest."""
        if self._unsent:
            self._unsent += data
        elif (sent := self._send(data)) < len(data):
            self._unsent += memoryview(data)[sent:]

    def writelines(self, buffers: Iterable[bytes | bytearray | memoryview]) -> None:
        """Send several buffers, see :meth:`write`."""
        self.write(b"".join(buffers))

    def close(self) -> None:
        """Close the socket, whatever is unsent; may be repeated."""
        if self in self._opened:
            self._opened.remove(self)
            self._unsent.clear()
            trio.lowlevel.notify_closing(self._socket)
            self._socket.close()

    abort = close

    def set_protocol(self, protocol: _Protocol) -> None:
        """Pass to this protocol what arrives from now on."""
        self._protocol = protocol

    def get_extra_info(self, name: str) -> object:
        """Return the socket by its name; as ``ssl_object`` only with TLS."""
        if name == "ssl_object" and not isinstance(self._socket, ssl.SSLSocket):
            return None
        return self._socket

    # -- how it is done

    def _send(self, data: bytes | bytearray | memoryview) -> int:
        """Return how many bytes need not be sent any more."""
        try:
            return self._socket.send(data)
        except _WOULD_BLOCK:
            return 0
        except OSError:
            return len(data)  # the connection has ended; what can still be read says why

    async def _send_unsent(self) -> None:
        """Send the rest; receive meanwhile, for the server may wait for that."""
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._receive_on)
                with suppress(trio.ClosedResourceError):  # by the end of the connection
                    while self._unsent:
                        await trio.lowlevel.wait_writable(self._socket)
                        del self._unsent[: self._send(self._unsent)]
                nursery.cancel_scope.cancel()
        except BaseExceptionGroup as errors:  # callers expect no group
            await trio.lowlevel.checkpoint_if_cancelled()
            raise first_exception(errors) from None

    async def _receive_on(self) -> None:
        while self in self._opened:
            await trio.lowlevel.wait_readable(self._socket)
            self.receive()
