"""Records the sockets of the namespace that have ended, and the clients that were refused."""

from __future__ import annotations

from typing import Final

from gbs_actor.gateway.closed_sessions import ClosedSessions
from gbs_actor.gateway.namespace.clients import SocketClients
from gbs_actor.socketio import (
    ConnectError,
    Handshake,
    Observer,
    Request,
    RequestRefused,
    Session,
    Socket,
)

_SHOWN_NAMESPACE: Final = 100
"""Characters of a namespace that does not exist: a client may send a million."""


class ClosingObserver(Observer):
    """Adds to :class:`~gbs_actor.gateway.closed_sessions.ClosedSessions` what ends on a server."""

    def __init__(self, closed: ClosedSessions, clients: SocketClients) -> None:
        self._closed = closed
        self._clients = clients
        self._refused: dict[str, set[str]] = {}
        """The sessions, not ended yet, whose client was refused, with the reasons."""

    def request_refused(
        self, request: Request, address: str | None, refusal: RequestRefused
    ) -> None:
        """Add a refused handshake; requests of a session are none."""
        if not any(field.startswith("sid=") for field in request.query.split("&")):
            self._closed.add_refused_request("socket.io", request, address, refusal)

    def connect_refused(self, session: Session, namespace: str, error: Exception) -> None:
        """Add a client that was refused by the namespace, or has asked for another one.

        It may go on to ask; that is added once for each reason.
        """
        reason, detail = "internal error", type(error).__name__
        if isinstance(error, ConnectError):
            code = error.data.get("code") if isinstance(error.data, dict) else None
            reason = error.message if code is None else str(code)
            detail = f"{error.message}: {namespace[:_SHOWN_NAMESPACE]}"
        reasons = self._refused.setdefault(session.sid, set())
        if reason in reasons:
            return
        reasons.add(reason)
        self._add_refused(session, reason, detail)

    def disconnected(self, socket: Socket, reason: str) -> None:
        """Add a client that has ended."""
        client = self._clients.of(socket)
        if client is not None:
            self._closed.add_ended(
                "socket.io",
                socket.transport,
                reason,
                socket.session.close_text,
                client=client,
                address=socket.handshake.remote_address,
                opened_at=_opened_at(socket.handshake),
                sid=socket.id,
            )

    def session_ended(self, session: Session, reason: str) -> None:
        """Add a session whose client was neither accepted nor refused."""
        if self._refused.pop(session.sid, None) is None and not session.joined:
            self._add_refused(session, session.close_text or reason)

    def _add_refused(self, session: Session, reason: str, detail: str = "") -> None:
        handshake = session.handshake
        self._closed.add_refused(
            "socket.io",
            session.transport.name,
            reason,
            detail,
            address=handshake.remote_address,
            opened_at=_opened_at(handshake),
        )


def _opened_at(handshake: Handshake) -> float:
    assert handshake.issued is not None
    return handshake.issued.timestamp()
