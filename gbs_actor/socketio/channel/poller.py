"""What the plane needs of the system; a simulation can stand in for it."""

from __future__ import annotations

from typing import Any, Protocol


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


class Poller(Protocol):
    """Reports which descriptors are ready, as long as they are; such as :class:`select.epoll`."""

    def register(self, fd: int, eventmask: int, /) -> None:
        """Begin to report."""
        ...

    def modify(self, fd: int, eventmask: int, /) -> None:
        """Report other events."""
        ...

    def unregister(self, fd: int, /) -> None:
        """Report nothing any more."""
        ...

    def poll(self, timeout: float, maxevents: int, /) -> list[tuple[int, int]]:
        """Return descriptors with their events."""
        ...

    def close(self) -> None:
        """Report nothing any more, whatever is registered."""
        ...
