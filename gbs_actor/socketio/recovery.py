"""Connection state recovery: what a namespace needs so that clients can come back.

A client of such a namespace gets a secret, the pid, and with every event an offset. After a
lost connection it sends both in its CONNECT packet, and continues as the same socket with what
it has missed. See the documentation of Socket.IO, "Connection state recovery", and its
protocol, revision 5, "Custom options".
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
    """What a client sends that wants to come back; nothing of it is checked yet."""

    pid: str
    offset: str

    @classmethod
    def of(cls, auth: Any) -> RecoveryAttempt | None:
        """Return the attempt in a CONNECT payload; ``None``: there is none, or half of one."""
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
    """What goes out right behind the answer to CONNECT, with the offsets it had."""
    data: Any = None
    """Becomes ``socket.data``; ``None`` leaves that as it is."""


class Recovery(SessionRecovery, Protocol):
    """Knows the sessions of one namespace that clients may come back to."""

    def enabled_for(self, socket: Socket) -> bool:
        """Return whether a new client's session is to be one of them. Must not block or raise."""
        ...

    async def restore(self, socket: Socket, pid: str, offset: str) -> RestoredSession | None:
        """Continue a session on a new socket; ``None``: it cannot be.

        Called before ``on_connect``, which may still refuse the client. An earlier socket
        of the session that seems to be alive has to have ended before the return, its
        ``on_disconnect`` included: see :meth:`Socket.wait_disconnected`.

        Cancelled, as the client has gone or it takes too long: undo what was done.

        :param socket: has its own id still, which it keeps where this returns ``None``.
        :param pid: of at most 1,024 characters, as the client sent it.
        :param offset: the same.
        :raises ConnectError: the client is refused as ``on_connect`` would.
        """
        ...
