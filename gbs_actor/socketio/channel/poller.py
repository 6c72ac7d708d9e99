"""What the plane needs of the system; a simulation can stand in for it."""

from __future__ import annotations

from typing import Protocol


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
