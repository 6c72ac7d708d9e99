"""Connection state recovery from this process's memory."""

from __future__ import annotations

import re
from collections import OrderedDict, deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec
import trio

from gbs_actor.socketio.channel.message import Message
from gbs_actor.socketio.encoding import encode_event
from gbs_actor.socketio.recovery import RestoredSession
from gbs_actor.socketio.socket import Socket
from gbs_actor.socketio.websocket.close_code import CloseCode

_OFFSET: Final = re.compile(r"0|[1-9][0-9]{0,18}", re.ASCII)


@dataclass(slots=True)
class _Session:
    sid: str
    began_at: int
    """Number of the last event before it."""
    socket: Socket | None
    data: Any = None
    lost_at: float = 0.0
    """Trio time at which its socket ended, if it has none."""


@dataclass(frozen=True, slots=True)
class _Kept:
    number: int
    sid: str | None
    """The session it was sent to; ``None``: all."""
    message: Message
    at: float


class RecoveryStatistics(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What is kept so that clients can resume."""

    connected: int
    """Sessions with a socket."""
    away: int
    """Sessions without a socket, which may be restored."""
    messages: int
    """Events that are kept."""
    restored: int
    """Sessions that were restored, since the start."""


class MemoryRecovery:
    """Implements :class:`~gbs_actor.socketio.recovery.Recovery` for one namespace.

    Events are numbered over the whole namespace. The last ones are kept, for a time and up
    to a number: a client that has missed more is not recovered. While a client is
    disconnected, events to all sockets are kept for it, too; it gets its ``socket.data`` back.

    ``on_connect`` has to check that the same user reconnects: the handler sees
    ``socket.recovered`` and the former ``data``, and may refuse.

    :param on_request: for clients only whose CONNECT payload has ``"recovery": true``.
    :param max_disconnection: seconds a client may be disconnected.
    :param max_messages: events that are kept; fewer than an outbox may hold, as all of them
        may go out at once.
    :param max_sessions: clients that may be disconnected at the same time; the one that
        disconnected first is removed first.
    """

    def __init__(
        self,
        *,
        on_request: bool = False,
        max_disconnection: float = 120.0,
        max_messages: int = 1_000,
        max_sessions: int = 10_000,
    ) -> None:
        self._on_request = on_request
        self._max_disconnection = max_disconnection
        self._max_messages = max_messages
        self._max_sessions = max_sessions
        self._sessions: dict[str, _Session] = {}
        self._away: OrderedDict[str, _Session] = OrderedDict()
        """The sessions without a socket, in the order in which they were lost."""
        self._kept: deque[_Kept] = deque()
        self._last = 0
        self._restored = 0

    def statistics(self) -> RecoveryStatistics:
        """Return how much is kept; never blocks."""
        self._prune()
        return RecoveryStatistics(
            connected=len(self._sessions) - len(self._away),
            away=len(self._away),
            messages=len(self._kept),
            restored=self._restored,
        )

    def enabled_for(self, socket: Socket) -> bool:
        """Return whether the client requests recovery, if it has to."""
        auth = socket.auth
        return not self._on_request or (isinstance(auth, dict) and auth.get("recovery") is True)

    def start_session(self, socket: Socket) -> str:
        """Begin a session; return its pid."""
        pid = socket.namespace.environment.token(24)
        self._sessions[pid] = _Session(socket.id, self._last, socket)
        return pid

    async def restore(self, socket: Socket, pid: str, offset: str) -> RestoredSession | None:
        """Continue a session on a new socket; see the protocol.

        Cancelled, the session can still be restored.
        """
        await trio.lowlevel.checkpoint()
        self._prune()
        session = self._sessions.get(pid)
        if session is None:
            return None
        former = session.socket
        if former is not None:
            former.close_transport(CloseCode.NORMAL, "taken over")
            await former.wait_disconnected()
            if self._sessions.get(pid) is not session or session.socket is not None:
                return None  # it has ended, or another socket was faster
        del self._away[pid]
        missed = self._missed(session, offset)
        if missed is None:
            del self._sessions[pid]
            return None
        session.socket = socket
        self._restored += 1
        return RestoredSession(session.sid, missed, session.data)

    def record_event(
        self, namespace: str, name: str, args: Sequence[Any], to: Socket | None
    ) -> Message:
        """Encode an event with its number as offset, and keep it for a time.

        :raises TypeError: an argument has no JSON form.
        """
        number = self._last + 1
        message = encode_event(namespace, name, *args, str(number))
        self._last = number
        sid = None if to is None else to.id
        self._kept.append(_Kept(number, sid, message, trio.current_time()))
        self._prune()
        return message

    def last_offset(self, socket: Socket) -> str:
        """Return the number of the last event, of any session."""
        return str(self._last)

    def connection_lost(self, socket: Socket) -> None:
        """Keep the session of a client that has disconnected."""
        pid = socket.pid
        session = self._sessions.get(pid) if pid is not None else None
        if pid is None or session is None or session.socket is not socket:
            return
        session.socket = None
        session.data = socket.data
        session.lost_at = trio.current_time()
        self._away[pid] = session
        self._prune()

    def end_session(self, socket: Socket) -> None:
        """End a session; it cannot be restored."""
        pid = socket.pid
        session = self._sessions.get(pid) if pid is not None else None
        if pid is not None and session is not None and session.socket is socket:
            del self._sessions[pid]

    def _missed(self, session: _Session, offset: str) -> list[Message] | None:
        """Return the events after an offset; ``None``: some are no longer kept."""
        if _OFFSET.fullmatch(offset) is None:
            return None
        seen = int(offset)
        first = self._kept[0].number if self._kept else self._last + 1
        if not first - 1 <= seen <= self._last:
            return None
        # The offset may be from an earlier session: events to all belong to this one only
        # from its start.
        since = max(seen, session.began_at)
        return [
            kept.message
            for kept in self._kept
            if (kept.number > seen and kept.sid == session.sid)
            or (kept.number > since and kept.sid is None)
        ]

    def _prune(self) -> None:
        """Remove events and sessions that are too old or too many."""
        limit = trio.current_time() - self._max_disconnection
        kept, away = self._kept, self._away
        while kept and (kept[0].at < limit or len(kept) > self._max_messages):
            kept.popleft()
        while away:
            pid, session = next(iter(away.items()))
            if session.lost_at >= limit and len(away) <= self._max_sessions:
                break
            del away[pid], self._sessions[pid]
