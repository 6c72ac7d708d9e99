"""Traces: for some minutes, each event that a user or a session sends and is sent.

They are for operators who look for what goes wrong with one client. Each event is published and
logged with its name, size, ids, revision and code; with what was typed only if that is asked for.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import Any, Final

import msgspec
import trio

from gbs_actor.contract.events import ClientEvent
from gbs_actor.gateway.client import Client
from gbs_actor.observability import OperatorEvents, mask

Target = int | str
"""The id of a user, or the sid of a session."""

MAX_TRACES: Final = 20
"""Traces at once."""
MAX_MINUTES: Final = 60

_MAX_PENDING: Final = 1_000
"""Events of a client whose replies are timed."""
_SHOWN_CHARACTERS: Final = 200
"""Of a name, or of a text among the fields."""
_IN_ROOM: Final[frozenset[str]] = frozenset({ClientEvent.JOIN_RETREAT, ClientEvent.LEAVE_RETREAT})
_SHOWN_FIELDS: Final = (
    "status",
    "code",
    "event",
    "retryable",
    "revision",
    "retreatSlug",
    "commandId",
    "baseRevision",
    "since",
    "epoch",
    "full",
    "id",
    "lineupId",
    "userRetreatRegistrationId",
    "memoId",
    "userRetreatRegistrationMemoId",
    "lineupMemoId",
    "gbsNumber",
    "field",
    "editing",
    "userId",
    "total",
)
"""Fields that hold no text of a user, no name and no e-mail address."""


class TooManyTraces(Exception):
    """:data:`MAX_TRACES` are running."""


class Trace(msgspec.Struct, frozen=True, rename="camel"):
    """A trace that is running."""

    user_id: int | None
    """``None``: it is of a session."""
    sid: str | None
    """``None``: it is of a user, with all of their sessions, those to come included."""
    with_memos: bool
    """Whether it shows what was typed, names and e-mail addresses."""
    ends_in: float
    """Seconds."""
    events: int
    """Reported so far."""


class Traces:
    """The traces of one server. They end by themselves, at their deadlines.

    :param clients: those that are connected, as they come and go.
    :param events: what operators are notified of.
    """

    def __init__(self, clients: Collection[Client], events: OperatorEvents) -> None:
        self._clients = clients
        self._operator_events = events
        self._running: dict[Target, _RunningTrace] = {}

    def __bool__(self) -> bool:
        """Return whether any is running."""
        return bool(self._running)

    def statistics(self) -> tuple[Trace, ...]:
        """Return those that are running, the oldest first."""
        now = trio.current_time()
        return tuple(
            Trace(
                target if isinstance(target, int) else None,
                target if isinstance(target, str) else None,
                trace.with_memos,
                trace.deadline - now,
                trace.events,
            )
            for target, trace in self._running.items()
            if now < trace.deadline
        )

    def covers(self, client: Client) -> bool:
        """Return whether a client is traced."""
        return self._of(client) is not None

    def has(self, target: Target) -> bool:
        """Return whether there is a trace of exactly this user or session."""
        self._drop_expired()
        return target in self._running

    def check(self, target: Target) -> None:
        """Check whether a trace could be started.

        :raises TooManyTraces: see :meth:`start`.
        """
        if not self.has(target) and len(self._running) >= MAX_TRACES:
            raise TooManyTraces

    def start(self, target: Target, minutes: float, *, with_memos: bool = False) -> None:
        """Start a trace, in place of one of the same user or session.

        :raises TooManyTraces: and none is of that user or session.
        """
        self.check(target)
        deadline = trio.current_time() + 60 * minutes
        self._running[target] = _RunningTrace(deadline, with_memos=with_memos)
        self._attach_to(target)

    def stop(self, target: Target) -> bool:
        """Stop a trace.

        :returns: whether there was one.
        """
        had = self.has(target)
        if had:
            del self._running[target]
            self._attach_to(target)
        return had

    def stop_all(self) -> None:
        """Stop all traces."""
        for target in tuple(self._running):
            self.stop(target)

    def connected(self, client: Client) -> None:
        """Trace a client that has just been admitted, if a trace is of its user or session."""
        if self._of(client) is not None:
            self.attach(client)

    def attach(self, client: Client) -> None:
        """Let a client be traced as it has to be by now, or not any more."""
        trace = self._of(client)
        client.peer.trace(
            None if trace is None else _Tracer(client, trace, self, self._operator_events)
        )

    def _of(self, client: Client) -> _RunningTrace | None:
        """Return the trace of a client: that of its session rather than that of its user."""
        now = trio.current_time()
        for target in (client.sid, client.user.user_id):
            trace = self._running.get(target)
            if trace is not None and now < trace.deadline:
                return trace
        return None

    def _attach_to(self, target: Target) -> None:
        for client in self._clients:
            if target in (client.sid, client.user.user_id):
                self.attach(client)

    def _drop_expired(self) -> None:
        now = trio.current_time()
        for target, trace in tuple(self._running.items()):
            if now >= trace.deadline:
                del self._running[target]


class _RunningTrace:
    __slots__ = ("deadline", "events", "with_memos")

    def __init__(self, deadline: float, *, with_memos: bool) -> None:
        self.deadline = deadline
        self.with_memos = with_memos
        self.events = 0


class _Tracer:
    """Reports the events of one client; implements :class:`.ClientTracer`."""

    def __init__(
        self, client: Client, trace: _RunningTrace, traces: Traces, events: OperatorEvents
    ) -> None:
        self._client = client
        self._trace = trace
        self._traces = traces
        self._operator_events = events
        self._pending: dict[str, float] = {}
        """When events came whose replies are to come, by what names the reply."""

    def received(self, name: str, data: bytes | None, reply_id: str | None) -> None:
        if self._expired():
            return
        if reply_id is not None and len(self._pending) < _MAX_PENDING:
            self._pending[reply_id] = trio.current_time()
        shown = name[:_SHOWN_CHARACTERS]
        details: dict[str, Any] = {} if reply_id is None else {"replyId": _cut(reply_id)}
        self._report("trace.in", f"{shown!r}", shown, data or b"", details)

    def sent(self, name: str, data: bytes) -> None:
        if not self._expired():
            self._report("trace.out", f"{name!r}", name, data, {})

    def replied(self, reply_id: str, data: bytes) -> None:
        if self._expired():
            return
        details: dict[str, Any] = {"replyId": _cut(reply_id)}
        came = self._pending.pop(reply_id, math.nan)
        if not math.isnan(came):
            details["seconds"] = trio.current_time() - came
        self._report("trace.out", "reply", "", data, details)

    def _expired(self) -> bool:
        """Return whether the trace has ended; then the client is not traced by it any more."""
        if trio.current_time() < self._trace.deadline:
            return False
        self._traces.attach(self._client)
        return True

    def _report(
        self, kind: str, what: str, name: str, data: bytes, details: dict[str, Any]
    ) -> None:
        client, trace = self._client, self._trace
        trace.events += 1
        details = {
            "name": name,
            "size": len(data),
            "sentRevision": client.revision,
            **details,
            "fields": _fields(name, data),
        }
        if trace.with_memos and name != ClientEvent.AUTHENTICATE:  # which has a token
            # Masked before :meth:`.OperatorEvents.publish` cuts it: half a token is none to mask.
            details["content"] = mask(data.decode(errors="replace"))
        user_id, slug = client.user.user_id, client.subscriber.room_slug
        text = f"{what}, {len(data)} bytes"
        self._operator_events.publish(
            kind, text, room=slug, user_id=user_id, sid=client.sid, **details
        )


def _fields(name: str, data: bytes) -> dict[str, Any]:
    """Return what is shown of JSON in any case."""
    try:
        value = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}
    if name in _IN_ROOM and isinstance(value, str):
        return {"retreatSlug": _cut(value)}
    return _shown(value)


def _shown(value: Any) -> dict[str, Any]:
    if isinstance(value, list):
        return {"rows": len(value)}
    if not isinstance(value, dict):
        return {}
    fields = {
        field: _cut(value[field])
        for field in _SHOWN_FIELDS
        if field in value and not isinstance(value[field], (dict, list))
    }
    data = _shown(value.get("data"))
    return {**fields, "data": data} if data else fields


def _cut(value: Any) -> Any:
    return value[:_SHOWN_CHARACTERS] if isinstance(value, str) else value
