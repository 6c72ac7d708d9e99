"""The counters of a client."""

from __future__ import annotations

import msgspec


class ClientStatistics(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A client at one moment. Counters run since it was made."""

    connected: bool
    """Whether commands are sent at once."""
    retreat: str | None
    """Slug of the retreat joined."""
    rows: int
    revision: int
    unanswered: int
    """Events without an acknowledgement so far."""
    connections: int
    """Connections that reached the namespace."""
    attempts: int
    """Connections tried."""
    resent: int
    """Commands sent again, after a disconnect or a retryable reply."""
    backward_merges: int
    """Rows that arrived in an older revision than before; above 0 is a bug of the server."""
    last_loss: str
    """Why the last connection ended; "" if none did."""
