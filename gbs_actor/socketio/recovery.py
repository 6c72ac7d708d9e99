"""Connection state recovery: what a namespace needs to let clients resume.

A client of such a namespace gets a secret, the pid, and with every event an offset. After a
lost connection it sends both in its CONNECT packet, and continues as the same socket; the
server sends the events it has missed. See the documentation of Socket.IO, "Connection state
recovery", and its protocol, revision 5, "Custom options".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from gbs_actor.socketio.channel.message import Message
from gbs_actor.socketio.socket import SessionRecovery, Socket

_MAX_PID: Final = 1_024
_MAX_OFFSET: Final = 1_024


@dataclass(frozen=True, slots=True)
class RecoveryAttempt:
    """What a client sends to resume a session; not checked yet."""

    pid: str
    offset: str

    @classmethod
    def of(cls, auth: Any) -> RecoveryAttempt | None:
        """Return the attempt in a CONNECT payload; ``None``: there is none, or it is incomplete."""
        if not isinstance(auth, dict):
            return None
        pid, offset = auth.get("pid"), auth.get("offset")
        if not isinstance(pid, str) or not isinstance(offset, str):
            return None
        if len(pid) > _MAX_PID or len(offset) > _MAX_OFFSET:
            return None
        return cls(pid, offset)


@dataclass(frozen=True, slots=True)
class RestoredSession:
    """A session that continues on a new connection."""

    sid: str
    """The socket's id from the first connection on."""
    missed: Sequence[Message] = ()
    """Events to send right after the reply to CONNECT, with their original offsets."""
    data: Any = None
    """Becomes ``socket.data``; ``None`` leaves that unchanged."""


class Recovery(SessionRecovery, Protocol):
    """Keeps the sessions of one namespace that clients may resume."""

    def enabled_for(self, socket: Socket) -> bool:
        """Return whether a new client's session is to be recoverable. Must not block or raise."""
        ...

    async def restore(self, socket: Socket, pid: str, offset: str) -> RestoredSession | None:
        """Continue a session on a new socket; ``None``: it cannot be.

        Called before ``on_connect``, which may still refuse the client. If an earlier
        socket of the session is still connected, end it and wait for its ``on_disconnect``
        before the return: see :meth:`Socket.wait_disconnected`.

        Cancelled, as the client has disconnected or it takes too long: undo what was done.

        :param socket: still has its own id, and keeps it if this returns ``None``.
        :param pid: of at most 1,024 characters, as the client sent it.
        :param offset: the same.
        :raises ConnectError: the client is refused as ``on_connect`` would.
        """
        ...
