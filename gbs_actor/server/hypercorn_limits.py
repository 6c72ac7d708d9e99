"""Limits that Hypercorn lacks, and has no settings for."""

from __future__ import annotations

from typing import Any

from hypercorn.protocol import h2, ws_stream


class BoundedBuffer(ws_stream.WebsocketBuffer):
    """Holds an unfinished message; drops one that is too large, and the rest of it as it comes.

    Hypercorn's own keeps what is too large before it complains, and every further fragment
    until the connection ends. That is seconds, in which a client can send gigabytes.
    """

    def extend(self, event: Any) -> None:
        """Add a fragment.

        :raises FrameTooLargeError: the message is too large; nothing of it is kept.
        """
        if self.length + len(event.data) > self.max_length:
            self.value = None
            self.length = self.max_length + 1
            raise ws_stream.FrameTooLargeError
        super().extend(event)


def limit_hypercorn() -> None:
    """Have Hypercorn keep limits from now on, whoever runs it in this process.

    Messages are bounded as they come; compression is not negotiated, as wsproto inflates
    without a bound; priorities are ignored (RFC 9113 §5.3.2), as a frame of 14 bytes may
    cost milliseconds.
    """
    ws_stream.WebsocketBuffer = BoundedBuffer  # type: ignore[misc]
    ws_stream.server_extensions_handshake = _no_extensions  # type: ignore[assignment, attr-defined]
    h2.H2Protocol._priority_updated = _ignored  # type: ignore[assignment, method-assign]


def _no_extensions(_offered: object, _supported: object) -> None:
    return None


async def _ignored(_protocol: h2.H2Protocol, _event: object) -> None:
    return
