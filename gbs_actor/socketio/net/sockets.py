"""What is asked of sockets, and of streams over them; a simulation can stand in for both."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable


class Socket(Protocol):
    """A socket that does not block, such as :class:`socket.socket`."""

    def fileno(self) -> int:
        """Return its descriptor."""
        ...

    def recv(self, size: int, /) -> bytes:
        """Receive; b"" at the end of the stream."""
        ...

    def send(self, data: Any, /) -> int:
        """Send some of the data; return how many bytes."""
        ...

    def shutdown(self, how: int, /) -> None:
        """End one side."""
        ...

    def close(self) -> None:
        """Close the descriptor."""
        ...


class ConnectedSocket(Protocol):
    """The socket below a stream, as far as others than the stream use it."""

    @property
    def family(self) -> int:
        """``AF_INET`` and the like."""
        ...

    def getsockname(self) -> Any:
        """Return its own address, in the form of its family."""
        ...

    def getpeername(self) -> Any:
        """Return the address of the other end."""
        ...

    def close(self) -> None:
        """Close the descriptor."""
        ...


@runtime_checkable
class SocketBased(Protocol):
    """A stream over a socket other than Trio's.

    The server treats it as a :class:`trio.SocketStream`: it counts by address, carries HTTP, is
    written to directly, and may continue without a task.
    """

    @property
    def socket(self) -> ConnectedSocket:
        """The socket below."""
        ...

    def send_nowait(self, data: bytes | memoryview, /) -> int:
        """Send some of the data without waiting; return how many bytes.

        :raises BlockingIOError: none can be sent now.
        :raises OSError: the connection is broken, or closed on this side.
        """
        ...

    def take_socket(self) -> Socket:
        """Take the socket out: the stream can then only be closed, and that has no effect."""
        ...
