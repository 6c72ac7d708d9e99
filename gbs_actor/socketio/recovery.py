"""Connection state recovery: what a namespace needs so that clients can come back.

A client of such a namespace is told a secret, the pid, and with every event an offset. After
a lost connection it shows both in its CONNECT packet, and goes on as the same socket with
what it has missed. See the documentation of Socket.IO, "Connection state recovery", and its
protocol, revision 5, "Custom options".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

from gbs_actor.socketio.channel.message import Message

if TYPE_CHECKING:
    from gbs_actor.socketio.namespace import Namespace
    from gbs_actor.socketio.socket import Socket

RECOVERABLE: Final = frozenset(
    {"transport close", "transport error", "ping timeout", "server shutting down"}
)
"""Reasons of an end after which a client may come back: nobody has meant it for good."""

_MAX_PID: Final = 1_024
_MAX_OFFSET: Final = 1_024


@dataclass(frozen=True, slots=True)
class Claim:
    """What a client shows that wants to come back; nothing of it is checked yet."""

    pid: str
    offset: str

    @classmethod
    def of(cls, auth: Any) -> Claim | None:
        """Return the claim in a CONNECT payload; ``None``: there is none, or half of one."""
        if not isinstance(auth, dict):
            return None
        pid, offset = auth.get("pid"), auth.get("offset")
        if not isinstance(pid, str) or not isinstance(offset, str):
            return None
        if len(pid) > _MAX_PID or len(offset) > _MAX_OFFSET:
            return None
        return cls(pid, offset)


@dataclass(frozen=True, slots=True)
class Restored:
    """A session that goes on."""

    sid: str
    """The socket's id from the first connection on."""
    missed: Sequence[Message] = ()
    """What goes out right behind the answer to CONNECT, with the offsets it had."""
    data: Any = None
    """What becomes of ``socket.data``; ``None``: nothing."""


class Recovery(Protocol):
    """Knows the sessions of one namespace that clients may come back to.

    What is not a coroutine function must neither block nor raise.
    """

    def wants(self, socket: Socket) -> bool:
        """Return whether a new client's session is to be one of them."""
        ...

    def issue(self, socket: Socket) -> str:
        """Begin a session, for a socket that has just been let in; return its pid.

        A pid is a secret, unlike the socket's id.
        """
        ...

    async def restore(self, socket: Socket, pid: str, offset: str) -> Restored | None:
        """Let a session go on on a new socket; ``None``: it cannot.

        Called before ``on_connect``, which may still refuse the client. An earlier socket
        of the session that seems to be alive has to be gone before the return, its
        ``on_disconnect`` included: see :meth:`Socket.wait_gone`.

        Cancelled, as the client has gone or it takes too long: undo what was done.

        :param socket: has its own id still, which it keeps where this returns ``None``.
        :param pid: of at most 1,024 characters, as the client says.
        :param offset: the same.
        :raises ConnectRefused: the client is refused as ``on_connect`` would.
        """
        ...

    def keep(
        self, namespace: Namespace, name: str, args: Sequence[Any], to: Socket | None
    ) -> Message:
        """Encode an event with its offset as last argument, and keep it for who misses it.

        :param to: whom it is for; ``None``: all sockets of the namespace.
        :raises TypeError: an argument has no JSON form.
        """
        ...

    def latest(self, socket: Socket) -> str:
        """Return the offset of what was sent to a socket last."""
        ...

    def lost(self, socket: Socket) -> None:
        """Note that the connection of a session has ended, and that it may be come back to."""
        ...

    def forget(self, socket: Socket) -> None:
        """End a session for good: it must not be restored. May be called again."""
        ...
