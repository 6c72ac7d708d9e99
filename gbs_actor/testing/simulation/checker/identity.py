"""Who may do what, and until when: tokens, grants and kicks, as a history has them."""

from __future__ import annotations

from base64 import urlsafe_b64decode
from collections.abc import Iterator
from math import inf
from typing import Final

import msgspec

from gbs_actor.contract.events import ClientEvent
from gbs_actor.testing.simulation.checker.events import Connection, Invocation
from gbs_actor.testing.simulation.checker.facts import Facts
from gbs_actor.testing.simulation.history import Granted, Kicked, Violated, WallSet

TIME_TO_RENEW: Final = 90.0
"""Seconds from the expiry of a token to the end of a connection: a leeway, and time to renew it."""
SOON: Final = 5.0
"""Seconds in which what the server does, or has to do, has reached a client."""
GRANT_TIME: Final = 40.0
"""Seconds in which a grant takes effect everywhere; some for delays."""


class _Claims(msgspec.Struct):
    exp: float = inf


class Identity:
    """What a history has of the users' rights, put in order."""

    def __init__(self, facts: Facts) -> None:
        self._facts = facts
        moments = [*enumerate(facts.history.moments)]
        self._walls = [
            (i, each.event.now) for i, each in moments if isinstance(each.event, WallSet)
        ]
        self._grants = [(i, each.event) for i, each in moments if isinstance(each.event, Granted)]
        self.kicks = [(i, each.event) for i, each in moments if isinstance(each.event, Kicked)]
        self.violations = [(i, e.event) for i, e in moments if isinstance(e.event, Violated)]
        self._renewals: dict[Connection, list[Invocation]] = {}
        for each in facts.invocations.values():
            if each.event.event == ClientEvent.AUTHENTICATE and each.connection is not None:
                self._renewals.setdefault(each.connection, []).append(each)

    # -- tokens

    def renewals(self, connection: Connection) -> Iterator[tuple[Invocation, float, int | None]]:
        """Yield the tokens that a connection may have got.

        Each with the Unix time at which it has to end for it, and where the next one is accepted.
        """
        given = [each for each in self._renewals.get(connection, ()) if each.code is None]
        for number, each in enumerate(given):
            later = (next_.answered for next_ in given[number + 1 :] if next_.accepted)
            yield each, _expires_at(each) + TIME_TO_RENEW, next(later, None)

    def was_late(self, first: int, last: int, unix: float) -> bool:
        """Whether the wall clock has reached a time between two events."""
        return any(end >= unix for _, _, end in self._stretches(first, last))

    def late_since(self, first: int, last: int, unix: float) -> float:
        """Return since when, in seconds since the start, it is later than that at an event."""
        since = inf
        for at, start, end in self._stretches(first, last):
            if end < unix:
                since = inf
            elif start < unix or since == inf:
                since = at + max(0.0, unix - start)
        return since

    def wall_is_set(self, first: int, last: int) -> bool:
        """Whether the wall clock is set between two events."""
        return any(first < index < last for index, _ in self._walls)

    def _stretches(self, first: int, last: int) -> Iterator[tuple[float, float, float]]:
        """Yield when each stretch between settings begins, and what the clock shows from and to."""
        at = self._facts.at
        ends = [*(index for index, _ in self._walls[1:]), last]
        for (index, now), end in zip(self._walls, ends, strict=True):
            begin, until = max(index, first), min(end, last)
            if begin <= until:
                shown = now - at(index)
                yield at(begin), shown + at(begin), shown + at(until)

    # -- grants

    def revocations(self, connection: Connection) -> Iterator[tuple[str, int, int | None]]:
        """Yield where and when the user of a connection may not read: a retreat, from and to."""
        user = connection.event.user_id
        grants = [(index, each) for index, each in self._grants if each.user_id == user]
        for number, (index, each) in enumerate(grants):
            if each.access == "none":
                others = (end for end, later in grants[number + 1 :] if later.slug == each.slug)
                yield each.slug, index, next(others, None)

    def was_revoked(self, connection: Connection, closed: int) -> bool:
        """Whether a connection may be ended as its user may not read where it is, or was to be."""
        at, asked = self._facts.at, {move.slug for move in connection.moves}
        asked |= {connection.slug, connection.event.slug}
        return any(
            slug in asked
            and start < closed
            and (end is None or at(end) + GRANT_TIME >= at(connection.opened))
            for slug, start, end in self.revocations(connection)
        )

    # -- kicks and violations

    def has_violated(self, number: int, closed: int, code: int) -> bool:
        """Whether a client has broken the protocol in a way that a code is for."""
        return any(
            index < closed and (violated.connection, violated.code) == (number, code)
            for index, violated in self.violations
        )

    def was_kicked(self, connection: Connection, closed: int) -> bool:
        """Whether a connection may be ended as an operator wants it.

        Its client may have been admitted a moment before it learns that.
        """
        opened, at = connection.opened, self._facts.at
        first = opened
        if at(closed) - at(opened) <= SOON:
            first = next(i for i in range(opened + 1) if at(i) >= at(opened) - SOON)
        return any(
            kick.user_id == connection.event.user_id and first <= index < closed
            for index, kick in self.kicks
        )


def is_inside(connection: Connection, slug: str, index: int) -> bool:
    """Whether a client is in a room for sure at an event, and for as long as it moves nowhere."""
    if connection.in_doubt or connection.opened > index:
        return False
    if any(
        move.index < index and (move.answered is None or move.answered > index)
        for move in connection.moves
    ):
        return False
    before = [item.slug for item in connection.items if item.index < index]
    return bool(before) and before[-1] == slug


def first_move(connection: Connection, index: int) -> int | None:
    """Return where a client asks next, after some event, to be elsewhere."""
    return next((move.index for move in connection.moves if move.index > index), None)


def _expires_at(renewal: Invocation) -> float:
    """Return when a token expires, in Unix time (RFC 7519 §4.1.4)."""
    payload = str(renewal.event.argument["token"]).split(".")[1]
    padded = payload + "=" * (-len(payload) % 4)
    return msgspec.json.decode(urlsafe_b64decode(padded), type=_Claims).exp
