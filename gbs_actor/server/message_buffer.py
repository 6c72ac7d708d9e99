"""What Hypercorn holds of a WebSocket's unfinished message: no more than it may have.

Hypercorn's own buffer keeps what is too large before it complains, and every further
fragment until the connection ends. That is seconds, in which a client can send gigabytes.
"""

from __future__ import annotations

from hypercorn.protocol import ws_stream
from wsproto.events import Message


class BoundedBuffer(ws_stream.WebsocketBuffer):
    """Drops a message that is too large, and the rest of it as it comes."""

    def extend(self, event: Message[str] | Message[bytes]) -> None:
        """Add a fragment.

        :raises FrameTooLargeError: the message is too large; nothing of it is kept.
        """
        if self.length + len(event.data) > self.max_length:
            self.value = None
            self.length = self.max_length + 1
            raise ws_stream.FrameTooLargeError
        super().extend(event)


def bound_message_buffers() -> None:
    """Have Hypercorn use it from now on, whoever runs it in this process."""
    ws_stream.WebsocketBuffer = BoundedBuffer  # type: ignore[misc]
