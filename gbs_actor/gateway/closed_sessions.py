"""The sessions that have ended, and the handshakes that were refused: the last of each.

Kept in memory, for operators: a client that has vanished is found here, with the reason.
"""

from __future__ import annotations

import heapq
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping
from operator import itemgetter
from typing import Final, Literal

import msgspec

from gbs_actor.environment import SYSTEM
from gbs_actor.gateway.client import Client
from gbs_actor.lineup.codes import Code
from gbs_actor.observability import OperatorEvents
from gbs_actor.socketio import Request, RequestRefused

ClientProtocol = Literal["socket.io", "websocket"]

_LOST: Final = frozenset({"ping timeout", "transport error"})
"""Reasons of sessions whose connection has broken, as those of phones do."""
_USUAL: Final = frozenset({"", "server shutting down", "taken over", Code.ROOM_RESTARTED})
"""Details of sessions that ended as they do without a fault."""

_Numbered = tuple[int, "ClosedSession"]


class ClosedSession(msgspec.Struct, frozen=True, rename="camel"):
    """A client whose session has ended, or that was refused."""

    closed_at: float
    """Unix time in seconds."""
    accepted: bool
    """Whether it was a client of the line-up before; else it was refused, or has not asked."""
    protocol: ClientProtocol
    transport: str
    """``"polling"`` or ``"websocket"``."""
    reason: str
    """Of a session, as Socket.IO has it, such as ``"transport close"``; of a refused client, a
    code such as ``TOKEN_EXPIRED``, or a message of the server.
    """
    detail: str
    """What the server has sent as the reason of its decision; empty if it has not decided."""
    address: str | None
    """The client's IP address; ``None`` if it has none."""
    sid: str | None = None
    """The one that it had among the sessions."""
    user_id: int | None = None
    user_name: str | None = None
    room: str | None = None
    """The slug of the room it was in last: who is sent away leaves it before the end."""
    age: float | None = None
    """Seconds since its handshake; ``None`` if that was refused."""


class ClosedSessionsStatistics(msgspec.Struct, frozen=True, rename="camel"):
    """What has ended and was refused. Counters run since the start."""

    kept: int
    """Sessions and refusals that can be looked up."""
    closed: Mapping[str, int]
    """Sessions that have ended, per reason."""
    refused: Mapping[str, int]
    """Refused clients, per reason."""


class ClosedSessions:
    """The last sessions that have ended, and the last refusals, each bounded by itself.

    A flood of refused handshakes does not displace the sessions of clients.

    :param closed_sessions: how many of either are kept.
    :param events: what operators are notified of: refusals, and sessions that ended by a fault.
    :param now: the Unix time in seconds.
    """

    def __init__(
        self,
        closed_sessions: int,
        *,
        events: OperatorEvents,
        now: Callable[[], float] = SYSTEM.wall,
    ) -> None:
        self._events = events
        self._now = now
        self._number = 0
        self._ended: deque[_Numbered] = deque(maxlen=closed_sessions)
        self._refused: deque[_Numbered] = deque(maxlen=closed_sessions)
        self._closed_reasons: Counter[str] = Counter()
        self._refused_reasons: Counter[str] = Counter()

    def recent(
        self,
        *,
        search: str = "",
        user_id: int | None = None,
        address: str | None = None,
        reason: str | None = None,
        accepted: bool | None = None,
    ) -> list[ClosedSession]:
        """Return what is kept, the newest first.

        :param search: part of the name, user id, sid, address, room, reason or detail, in whatever
            case.
        :param accepted: only sessions, or only refused clients.
        """
        wanted = search.casefold()
        by_number = itemgetter(0)
        merged: Iterable[_Numbered] = heapq.merge(
            reversed(self._ended), reversed(self._refused), key=by_number, reverse=True
        )
        return [
            closed
            for _, closed in merged
            if (user_id is None or closed.user_id == user_id)
            and (address is None or closed.address == address)
            and (reason is None or closed.reason == reason)
            and (accepted is None or closed.accepted is accepted)
            and (not wanted or wanted in _text(closed))
        ]

    def statistics(self) -> ClosedSessionsStatistics:
        """Return counters; never blocks."""
        return ClosedSessionsStatistics(
            kept=len(self._ended) + len(self._refused),
            closed=dict(self._closed_reasons),
            refused=dict(self._refused_reasons),
        )

    def add_ended(
        self,
        protocol: ClientProtocol,
        transport: str,
        reason: str,
        detail: str,
        *,
        client: Client,
        address: str | None,
        opened_at: float,
        sid: str | None = None,
    ) -> None:
        """Add the session of a client.

        :param opened_at: Unix time of the handshake, in seconds.
        """
        now = self._now()
        self._closed_reasons[reason] += 1
        lost = reason in _LOST
        if lost or reason == "parse error" or detail not in _USUAL:
            why = f"{reason} ({detail})" if detail not in ("", reason) else reason
            self._events.publish(
                "session.closed",
                f"the session of user {client.user.user_id} was closed: {why}",
                severity="info" if lost else "warning",
                **client.log_fields(),
                reason=reason,
                detail=detail,
                address=address,
                protocol=protocol,
                transport=transport,
            )
        self._append(
            self._ended,
            ClosedSession(
                now,
                True,
                protocol,
                transport,
                reason,
                detail,
                address,
                sid,
                client.user.user_id,
                client.author.name,
                client.subscriber.last_slug,
                max(0.0, now - opened_at),
            ),
        )

    def add_refused(
        self,
        protocol: ClientProtocol,
        transport: str,
        reason: str,
        detail: str = "",
        *,
        address: str | None,
        opened_at: float | None = None,
    ) -> None:
        """Add a client that was refused, or that has ended without asking for anything.

        :param opened_at: Unix time of the handshake; ``None`` if that was refused.
        """
        now = self._now()
        age = None if opened_at is None else max(0.0, now - opened_at)
        self._refused_reasons[reason] += 1
        self._events.publish(
            "session.refused",
            f"a client from {address or 'an unknown address'} was refused: {reason}",
            reason=reason,
            detail=detail,
            address=address,
            protocol=protocol,
            transport=transport,
        )
        self._append(
            self._refused,
            ClosedSession(now, False, protocol, transport, reason, detail, address, age=age),
        )

    def add_refused_request(
        self,
        protocol: ClientProtocol,
        request: Request,
        address: str | None,
        refusal: RequestRefused,
    ) -> None:
        """Add a handshake that got an HTTP error."""
        transport = "polling" if request.header("upgrade") is None else "websocket"
        code, message = getattr(refusal.error, "code", ""), getattr(refusal.error, "message", "")
        reason = code if isinstance(code, str) else message  # Engine.IO's codes are numbers
        self.add_refused(
            protocol, transport, reason, f"{int(refusal.status)} {message}", address=address
        )

    def _append(self, kept: deque[_Numbered], closed: ClosedSession) -> None:
        self._number += 1
        kept.append((self._number, closed))


def _text(closed: ClosedSession) -> str:
    """Return what a search is for, casefolded."""
    user_id = None if closed.user_id is None else str(closed.user_id)
    texts = (
        closed.user_name,
        user_id,
        closed.sid,
        closed.address,
        closed.room,
        closed.reason,
        closed.detail,
    )
    return "\n".join(filter(None, texts)).casefold()
