"""Rules on how connections end: for a reason, with the code that is for it, and in time."""

from __future__ import annotations

from collections.abc import Mapping
from math import inf
from typing import Final

from gbs_actor.contract.events import ServerEvent
from gbs_actor.testing.simulation.checker.events import Connection
from gbs_actor.testing.simulation.checker.facts import Facts
from gbs_actor.testing.simulation.checker.identity import (
    GRANT_TIME,
    SOON,
    Identity,
    first_move,
    is_inside,
)
from gbs_actor.testing.simulation.checker.violation import Found, rule
from gbs_actor.testing.simulation.history import Cause, Closed, Delivered

AUTHENTICATION: Final = 4401
FORBIDDEN: Final = 4403
SHUTDOWN: Final = 1001
"""The server ends."""
RESTART: Final = 1012
"""A room ends, whose clients are to come back."""
VIOLATIONS: Final = (1002, 1003, 1007, 1009)
"""Codes for who breaks the protocol (RFC 6455 §7.4.1)."""
_WALL_UNNOTICED: Final = 60.0
"""Seconds in which the server may not have noticed that the wall clock was set."""
_REJECTED: Final = frozenset({Cause.STORE, Cause.CRASH, Cause.STOP, Cause.STALE, Cause.LOAD})
"""Why a join by connecting may fail for now."""
_UNSTORED: Final = (Cause.STORE, Cause.KILL, Cause.STOP)
"""Why the end of a session may not be stored."""
_CAUSES: Final[Mapping[int | None, frozenset[Cause]]] = {
    # Of who cannot be brought up to date, as an epoch has ended, the stream is reset, too.
    None: frozenset({Cause.KILL, Cause.STOP, Cause.NETWORK, Cause.LOAD, Cause.STALE}),
    SHUTDOWN: frozenset({Cause.STOP}),
    1008: frozenset({Cause.NETWORK}),
    1011: frozenset({Cause.STORE, Cause.CRASH}),
    RESTART: frozenset({Cause.STOP}),
    1013: _REJECTED | {Cause.NETWORK},
    4429: frozenset({Cause.LOAD}),
    # Statuses that polling ends with.
    400: frozenset({*Cause} - {Cause.IDENTITY}),
    503: frozenset({Cause.STOP}),
}
"""What may lead to each code that does not follow from who the client is."""


@rule
def ended_for_a_reason(facts: Facts) -> Found:
    """A connection that the server ends has a reason, and the code that is for it."""
    identity = Identity(facts)
    for connection in facts.connections.values():
        if (index := connection.closed) is None:
            continue
        closed = facts.history.moments[index].event
        assert isinstance(closed, Closed)
        if closed.ending in (None, "client"):
            continue
        number, code = closed.connection, closed.code
        if closed.ending == "disconnect" or code in (AUTHENTICATION, FORBIDDEN):
            how = code if code is not None else "a DISCONNECT"
            if not _is_unwanted(facts, identity, connection, closed, index):
                yield index, f"connection {number} ends with {how}, and its client may stay"
        elif code in VIOLATIONS:
            if not identity.has_violated(number, index, code):
                yield index, f"connection {number} ends with {code}, and broke no rule of it"
        elif not _is_caused(facts, connection, index, code):
            yield index, f"connection {number} ends with {code} without a cause"


def _is_unwanted(
    facts: Facts, identity: Identity, connection: Connection, closed: Closed, index: int
) -> bool:
    """Whether a connection has to end for who its client is, and what it may do."""
    code = closed.code if closed.ending == "server" else None
    if code != AUTHENTICATION and (
        identity.was_revoked(connection, index) or identity.was_kicked(connection, index)
    ):
        return True
    return code != FORBIDDEN and _has_expired(facts, identity, connection, index)


def _has_expired(facts: Facts, identity: Identity, connection: Connection, index: int) -> bool:
    """Whether the token of a connection has expired, and its client was notified before."""
    notified = any(
        isinstance(item.event, Delivered)
        and item.event.event == ServerEvent.ERROR
        and item.event.payload["code"] == "TOKEN_EXPIRED"
        for item in connection.items
    )
    return any(
        identity.was_late(renewal.index, index if superseded is None else superseded, due)
        and (notified or identity.wall_is_set(renewal.index, index))
        for renewal, due, superseded in identity.renewals(connection)
    )


def _is_caused(facts: Facts, connection: Connection, index: int, code: int | None) -> bool:
    """Whether what may lead to a code is there as a connection ends, or was not long ago."""
    recent, causes = facts.at(index) - SOON, _CAUSES.get(code, frozenset())
    return any(
        each.event.cause in causes
        and each.event.client in (None, connection.event.client)
        and (each.event.slug is None or code != SHUTDOWN)
        and (each.event.slug is not None or code != RESTART)
        and each.start < index
        and (each.end is None or (each.end > connection.opened and facts.at(each.end) >= recent))
        for each in facts.disturbances.values()
    )


@rule
def ended_for_good(facts: Facts) -> Found:
    """A session that the server has ended by a DISCONNECT is not resumed.

    What hinders the server from storing its end excuses that.
    """
    last: dict[int, Connection] = {}
    for connection in facts.connections.values():
        client, former = connection.event.client, last.get(connection.event.client)
        last[client] = connection
        if not connection.event.resumed or former is None or former.closed is None:
            continue
        closed = facts.history.moments[former.closed].event
        assert isinstance(closed, Closed)
        since = facts.at(former.closed) - SOON
        if closed.ending == "disconnect" and not _is_hindered(
            facts, connection, since, connection.opened, *_UNSTORED
        ):
            yield connection.opened, f"client {client} resumes a session that has ended for good"


@rule
def ended_in_time(facts: Facts) -> Found:
    """Who may not stay is disconnected in time: a token has expired, a grant is taken, a kick."""
    if facts.quiet is None:
        return
    identity = Identity(facts)
    for connection in facts.connections.values():
        last = facts.quiet if connection.closed is None else connection.closed
        yield from _outlasts_its_token(facts, identity, connection, last)
        yield from _outlasts_its_grant(facts, identity, connection, last)
        yield from _outlasts_a_kick(facts, identity, connection, last)
        yield from _outlasts_a_violation(facts, identity, connection, last)


def _outlasts_its_token(
    facts: Facts, identity: Identity, connection: Connection, last: int
) -> Found:
    renewals = [*identity.renewals(connection)]
    if not renewals:
        return
    renewal, due, _ = renewals[-1]
    if renewal.answered is None:
        return
    since = identity.late_since(renewal.answered, last, due)
    most = SOON + _WALL_UNNOTICED * identity.wall_is_set(renewal.index, last)
    if facts.at(last) - since > most and not _is_hindered(facts, connection, since, last):
        yield last, f"connection {connection.event.connection} outlasts its token"


def _outlasts_its_grant(
    facts: Facts, identity: Identity, connection: Connection, last: int
) -> Found:
    for slug, start, end in identity.revocations(connection):
        if start >= last or not is_inside(connection, slug, start):
            continue
        until = min(last, *(each for each in (end, first_move(connection, start)) if each), last)
        since = facts.at(start)
        if facts.at(until) - since > GRANT_TIME and not _is_hindered(
            facts, connection, since, until, Cause.NETWORK, Cause.STORE
        ):
            sentence = f"connection {connection.event.connection} stays in {slug}, which its user"
            yield until, f"{sentence} may not read any more"


def _outlasts_a_kick(facts: Facts, identity: Identity, connection: Connection, last: int) -> Found:
    begun = inf
    for index, kick in identity.kicks:
        if kick.user_id != connection.event.user_id:
            continue
        if not kick.done:
            begun = index
            continue
        admitted = connection.opened < begun and (
            connection.event.slug is None or any(item.index < begun for item in connection.items)
        )
        since = facts.at(index)
        if (
            admitted
            and facts.at(last) - since > SOON
            and index < last
            and not _is_hindered(facts, connection, since, last)
        ):
            yield last, f"connection {connection.event.connection} outlasts a kick"


def _outlasts_a_violation(
    facts: Facts, identity: Identity, connection: Connection, last: int
) -> Found:
    number = connection.event.connection
    for index, violated in identity.violations:
        since = facts.at(index)
        if (
            violated.connection == number
            and facts.at(last) - since > SOON
            and not _is_hindered(facts, connection, since, last)
        ):
            yield last, f"connection {number} outlasts that it breaks the protocol"


def _is_hindered(
    facts: Facts, connection: Connection, since: float, last: int, *causes: Cause
) -> bool:
    """Whether there is a cause between some time and an event; by default, in the network."""
    return any(
        each.event.cause in (causes or (Cause.NETWORK,))
        and each.event.client in (None, connection.event.client)
        and each.start < last
        and (each.end is None or facts.at(each.end) >= since)
        for each in facts.disturbances.values()
    )
