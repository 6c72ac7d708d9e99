"""What operators are notified of: the last events, each of which is a line of the log as well."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import takewhile
from typing import Any, Final, Literal, TypedDict

import msgspec
import trio

from gbs_actor.environment import SYSTEM, Environment
from gbs_actor.observability.masking import mask
from gbs_actor.observability.terminal import visible

Severity = Literal["info", "warning", "error"]

CAPACITY: Final = 5_000
"""Events that are kept by default."""
WINDOW: Final = 1.0
"""Seconds within which what is repeated becomes one event."""
DISTINCT: Final = 20
"""Different events of one kind within the window; further ones become one event, too."""

_MAX_TEXT: Final = 500
_MAX_NAME: Final = 200
_OTHERS: Final = ("others",)
_EACH: Final = ("trace.", "operator.")
"""Kinds of which each one counts, and which come only when an operator wants them to."""
_LOGGED_ELSEWHERE: Final = "operator."
"""Kinds whose line of the log is that of the audit."""
_LEVELS: Final = {"info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}

Detail = str | int | float | bool | None | dict[str, Any]


class LogFields(TypedDict):
    """Whom an event, or a line of the log, is about."""

    room: str | None
    """The slug of its room."""
    user_id: int | None
    sid: str | None
    """The id of its connection."""


class OperatorEvent(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Something that happened. Texts are safe for a terminal, and cut where they are long."""

    number: int
    """Counts from 1 in each process."""
    at: float
    """Unix time in seconds."""
    kind: str
    """Such as ``room.crashed``."""
    severity: Severity
    room: str | None
    """The slug, if it is about one room."""
    user_id: int | None
    sid: str | None
    """The id of the client's connection, as everywhere in ``/admin``."""
    text: str
    """What happened, in words."""
    details: Mapping[str, Detail]
    """Of an event that stands for more like it: how many, as ``times``."""


class EventPage(msgspec.Struct, frozen=True):
    """Some of the events, the oldest first."""

    run: str
    """Random for each process: in another run the numbers begin anew."""
    last: int
    """The number to go on from; none up to it is of interest but these."""
    missed: int
    """How many of those after the requested number are no longer kept, whatever their kind."""
    events: tuple[OperatorEvent, ...]


@dataclass(frozen=True, slots=True)
class EventFilter:
    """Which events are of interest; by default all."""

    kinds: tuple[str, ...] = ("",)
    """What their kinds begin with."""
    room: str | None = None
    user_id: int | None = None

    def matches(self, event: OperatorEvent) -> bool:
        """Whether an event is of interest."""
        return (
            event.kind.startswith(self.kinds)
            and self.room in (None, event.room)
            and self.user_id in (None, event.user_id)
        )


@dataclass(slots=True)
class _Occurrence:
    """What happened, and what became of it within the window."""

    severity: Severity
    text: str
    room: str | None = None
    user_id: int | None = None
    sid: str | None = None
    details: Mapping[str, Detail] = field(default_factory=dict)
    """Of the first one."""
    times: int = 0
    """How often it was repeated."""


class OperatorEvents:
    """The last events; any part may publish, and any number of readers follow.

    Memory is bounded, whoever reads or does not. When it is full, the oldest event of the kind
    that has most of them goes: a flood of one kind displaces nothing else. Repeated events become
    one: the first is there at once, and how many more there were is known after :data:`WINDOW`,
    or before the next event of another kind in the same room.

    :param capacity: events that are kept.
    :param environment: where their times and the id of the run come from.
    """

    def __init__(self, capacity: int = CAPACITY, *, environment: Environment = SYSTEM) -> None:
        self.run_id = environment.token(6).replace("-", "_")
        """Random for each process."""
        self.capacity = capacity
        self._wall = environment.wall
        self._last = 0
        self._events: dict[int, OperatorEvent] = {}
        self._by_kind: dict[str, deque[int]] = {}
        self._recent: dict[str, dict[tuple[object, ...], _Occurrence]] = {}
        self._published = trio.lowlevel.ParkingLot()
        self._begun = trio.lowlevel.ParkingLot()

    @property
    def last(self) -> int:
        """The number of the last event."""
        return self._last

    def __len__(self) -> int:
        """Return how many are kept."""
        return len(self._events)

    # -- for parts that have something to report ------------------------------------------

    def publish(
        self,
        kind: str,
        text: str,
        *,
        severity: Severity = "info",
        room: str | None = None,
        user_id: int | None = None,
        sid: str | None = None,
        traceback: str | None = None,
        **details: object,
    ) -> None:
        """Keep an event, and log it unless the audit does; never blocks, never raises.

        To be called in Trio's thread. Costs a microsecond if it is a repeated one.

        :param text: what clients have sent may be part of it, but no memo and no e-mail.
        :param traceback: of an exception; only the log gets it.
        :param details: texts, numbers, truth values, and mappings of those.
        """
        text = text[:_MAX_TEXT]
        happened = _Occurrence(severity, text, room, user_id, sid)
        if not kind.startswith(_EACH) and self._is_repeated(kind, happened):
            return
        happened.details = {name: _shown(value) for name, value in details.items()}
        if room is not None and not kind.startswith(_EACH):
            self._report_repeats_in(room, before=kind)
        self._add(kind, happened, traceback)

    async def run(self) -> None:
        """Report, every :data:`WINDOW`, how often something was repeated, until cancelled."""
        try:
            while True:
                while not self._recent:
                    await self._begun.park()
                await trio.sleep(WINDOW)
                self.flush()
        finally:
            self.flush()

    def flush(self) -> None:
        """Report how often something was repeated since the last time."""
        recent, self._recent = self._recent, {}
        for kind, alike in recent.items():
            for key, each in alike.items():
                self._report(kind, each, "more like this" if key is _OTHERS else "more")

    def _report_repeats_in(self, room: str, *, before: str) -> None:
        """Report repeats of other kinds now: they were before the event that is to be added."""
        for kind, alike in self._recent.items():
            if kind != before:
                for each in alike.values():
                    if each.room == room:
                        self._report(kind, each)

    def _report(self, kind: str, repeated: _Occurrence, more: str = "more") -> None:
        """Report how often something was repeated, if it was, and count anew."""
        times, repeated.times = repeated.times, 0
        if times:
            text = f"{repeated.text} ({times} {more})"
            details = {**repeated.details, "times": times}
            self._add(kind, replace(repeated, text=text, details=details))

    def _is_repeated(self, kind: str, happened: _Occurrence) -> bool:
        """Count it, if it is like something within the window."""
        recent = self._recent.get(kind)
        if recent is None:
            recent = self._recent[kind] = {}
            self._begun.unpark_all()
        key = (happened.text, happened.room, happened.user_id, happened.sid)
        repeated = recent.get(key)
        if repeated is None:
            if len(recent) < DISTINCT:
                recent[key] = happened
                return False
            repeated = recent.setdefault(_OTHERS, _Occurrence(happened.severity, ""))
            repeated.text = happened.text
        repeated.times += 1
        return True

    def _add(self, kind: str, happened: _Occurrence, traceback: str | None = None) -> None:
        self._last += 1
        event = OperatorEvent(
            number=self._last,
            at=self._wall(),
            kind=kind,
            severity=happened.severity,
            room=None if happened.room is None else visible(happened.room[:_MAX_NAME]),
            user_id=happened.user_id,
            sid=None if happened.sid is None else visible(happened.sid[:_MAX_NAME]),
            text=visible(mask(happened.text)),
            details=happened.details,
        )
        if not kind.startswith(_LOGGED_ELSEWHERE):
            _log(event, traceback)
        self._events[event.number] = event
        self._by_kind.setdefault(kind, deque()).append(event.number)
        if len(self._events) > self.capacity:
            most = max(self._by_kind.values(), key=len)
            del self._events[most.popleft()]
        self._published.unpark_all()

    # -- for readers ----------------------------------------------------------------------

    def after(
        self, number: int | None, wanted: EventFilter | None = None, limit: int = CAPACITY
    ) -> EventPage:
        """Return the oldest events after a number; without one the newest of all.

        :param number: :attr:`EventPage.last` of the page before, in the same run.
        :param limit: how many at most.
        """
        since = 0 if number is None else min(number, self._last)
        newer = list(takewhile(lambda each: each.number > since, reversed(self._events.values())))
        newer.reverse()
        shown = newer if wanted is None else [each for each in newer if wanted.matches(each)]
        last = self._last
        if number is None:
            return EventPage(self.run_id, last, 0, tuple(shown[-limit:]))
        if len(shown) > limit:
            shown = shown[:limit]
            last = shown[-1].number
        kept = sum(each.number <= last for each in newer)
        return EventPage(self.run_id, last, last - since - kept, tuple(shown))

    async def wait(self, number: int) -> None:
        """Wait until there is an event after a number. Cancellation changes nothing."""
        await trio.lowlevel.checkpoint()
        while self._last <= number:
            await self._published.park()


def _shown(value: object) -> Detail:
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, Mapping):
        return {str(name): _shown(each) for name, each in value.items()}
    return visible(mask(str(value)[:_MAX_TEXT]))


def _log(event: OperatorEvent, traceback: str | None) -> None:
    fields: dict[str, object] = {
        "kind": event.kind,
        "room": event.room,
        "user_id": event.user_id,
        "sid": event.sid,
        "details": event.details or None,
        "exception": traceback,
    }
    # A part of them, such as gbs_actor.events.room, can have a level of its own.
    logging.getLogger(f"gbs_actor.events.{event.kind.partition('.')[0]}").log(
        _LEVELS[event.severity],
        "%s",
        event.text,
        extra={name: value for name, value in fields.items() if value is not None},
    )
