"""A history as lines for a person who looks for a bug: when, who, what; and what is wrong there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import msgspec

from gbs_actor.lineup.changes import LogEntry
from gbs_actor.testing.simulation.checker import Violation
from gbs_actor.testing.simulation.history import (
    Abandoned,
    Answered,
    Calmed,
    Closed,
    Committed,
    Delivered,
    Disturbed,
    Ended,
    Event,
    Granted,
    History,
    Invoked,
    Kicked,
    NewEpoch,
    NodeCommitted,
    NodeDisturbed,
    Opened,
    Quiet,
    Routed,
    Violated,
    WallSet,
)

SHOWN: Final = 200
"""Characters of a payload that are shown."""
_WHO: Final = 9
_OF_ROWS: Final = (
    "id",
    "gbsNumber",
    "isLeader",
    "lineupMemo",
    "lineupMemoId",
    "gbsMemo",
    "revision",
)

LineKind = Literal["client", "store", "fault", "run", "violation"]


@dataclass(frozen=True, slots=True)
class Line:
    """A moment, or what is wrong at one."""

    index: int
    """Of the moment in the history."""
    at: float
    """Seconds since the run began."""
    kind: LineKind
    who: str
    what: str

    def __str__(self) -> str:
        if self.kind == "violation":
            return f"{'':5}{'!' * 8:>10}  {self.what}"
        return f"{self.index:5}{self.at:10.3f}  {self.who:<{_WHO}}  {self.what}"


def lines(history: History, violations: Sequence[Violation] = ()) -> Iterator[Line]:
    """Yield what happened, and behind each moment what is wrong there.

    :param violations: of this history.
    """
    broken: dict[int, list[Violation]] = {}
    for each in violations:
        broken.setdefault(each.index, []).append(each)
    reader = _Reader()
    start = history.moments[0].at if history.moments else 0.0
    for index, moment in enumerate(history.moments):
        kind, who, what = reader.read(moment.event)
        yield Line(index, moment.at - start, kind, who, what)
        for each in broken.pop(index, ()):
            yield Line(index, moment.at - start, "violation", "", f"{each.rule}: {each.sentence}")
    for index, rest in broken.items():  # of the run as a whole
        for each in rest:
            yield Line(index, 0.0, "violation", "", f"{each.rule}: {each.sentence}")


class _Reader:
    """Knows whose connections and questions the numbers in events are."""

    def __init__(self) -> None:
        self._client_of: dict[int, int] = {}
        """By connection."""
        self._asked: dict[int, Invoked] = {}
        self._disturbed: dict[int, str] = {}

    def read(self, event: Event) -> tuple[LineKind, str, str]:
        """Return what kind of event it is, whose, and a sentence."""
        match event:
            case Opened():
                self._client_of[event.connection] = event.client
                return "client", _client(event.client), _opened(event)
            case Closed(connection=connection):
                return "client", self._who(connection), _closed(event)
            case Invoked():
                self._asked[event.invocation] = event
                return "client", _client(event.client), _invoked(event)
            case Answered(invocation=number, reply=reply):
                asked = self._asked[number]
                text = f"#{number} {asked.event} is answered: {_json(reply)}"
                return "client", _client(asked.client), text
            case Abandoned(invocation=number):
                asked = self._asked[number]
                text = f"#{number} {asked.event} stays without an answer"
                return "client", _client(asked.client), text
            case Delivered(connection=connection, event=name, payload=payload):
                text = f"receives {name} on {connection}: {_json(payload)}"
                return "client", self._who(connection), text
            case NodeCommitted(slug=slug, entries=entries, node=node):
                what = f"commits to {slug}: {', '.join(map(_entry, entries))}"
                return "store", _node(node), what
            case Committed(slug=slug, entries=entries, foreign=foreign):
                who = "elsewhere" if foreign else "store"
                return "store", who, f"commits to {slug}: {', '.join(map(_entry, entries))}"
            case NewEpoch(slug=slug, epoch=epoch):
                return "store", "store", f"{slug} has a new epoch, {epoch}"
            case WallSet(now=now):
                return "fault", "clock", f"it is {now:.3f}"
            case Granted(slug=slug, user_id=user, access=access):
                return "fault", "grant", f"user {user} may do in {slug}: {access}"
            case Kicked(user_id=user, done=done):
                return "fault", "operator", f"user {user} is {'' if done else 'to be '}kicked"
            case Violated(connection=connection, code=code):
                return "client", self._who(connection), f"breaks the protocol: {code} is due"
            case Disturbed():
                return self._begins(event)
            case Calmed(number=number):
                return "fault", "fault", f"({number}) {self._disturbed[number]} is over"
            case Routed(client=client, node=node):
                return "client", _client(client), f"speaks to {_node(node)}"
            case Quiet():
                return "run", "run", "no fault from here on, and nothing new is asked"
            case Ended(slug=slug, stored=stored, left_over=left_over):
                left = f", left over: {dict(left_over)}" if left_over else ""
                return "run", "run", f"{slug} ends at revision {stored.revision}{left}"

    def _who(self, connection: int) -> str:
        return _client(self._client_of[connection])

    def _begins(self, event: Disturbed) -> tuple[LineKind, str, str]:
        self._disturbed[event.number] = event.what or event.cause
        where = _optional(" in", event.slug)
        if isinstance(event, NodeDisturbed):
            where += f" at {_node(event.node)}"
        return "fault", "fault", f"({event.number}) {event.what or '…'}{where} [{event.cause}]"


def _client(number: int) -> str:
    return f"client {number}"


def _node(number: int) -> str:
    return f"node {number}"


def _closed(event: Closed) -> str:
    ended = f"connection {event.connection} has ended" + _optional(" with", event.code)
    unknown = ", and the server does not learn that" if event.half_open else ""
    return ended + _optional(", by the", event.ending) + unknown


def _opened(event: Opened) -> str:
    how = [f"user {event.user_id}", event.form]
    if event.resumed:
        how.append("the session goes on")
    if not event.presence:
        how.append("no presence")
    return f"has connection {event.connection}{_optional(' into', event.slug)} ({', '.join(how)})"


def _invoked(event: Invoked) -> str:
    way = " by HTTP" if event.connection is None else f" on {event.connection}"
    place = _optional(" in", event.slug) + (" from outside" if event.outside else "")
    return f"#{event.invocation} asks for {event.event}{place}{way}: {_json(event.argument)}"


def _entry(entry: LogEntry) -> str:
    about = _optional(" of", entry.registration_id)
    return f"{entry.revision} {entry.kind}{about} ({entry.command_id})"


def _optional(before: str, value: object) -> str:
    return "" if value is None else f"{before} {value}"


def _json(value: Any) -> str:
    text = msgspec.json.encode(_brief(value)).decode()
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"


def _brief(value: Any) -> Any:
    """Return a value of the wire with only those members of rows that commands change."""
    if isinstance(value, Mapping):
        kept = _OF_ROWS if "userRetreatRegistrationScheduleIds" in value else value
        return {name: _brief(value[name]) for name in kept if name in value}
    if isinstance(value, list | tuple):
        return [_brief(each) for each in value]
    return value
