"""What follows from a history before anything is judged: what was durable and known, and when.

All order is that of the events. What is known of a retreat at an event is the highest revision that
any client was answered, sent or has read before it.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Any, Final
from uuid import UUID

from gbs_actor.contract.events import CommandEvent, ServerEvent
from gbs_actor.testing.simulation.checker.events import (
    JOIN,
    LEAVE,
    Connection,
    Disturbance,
    Invocation,
    Item,
    Log,
)
from gbs_actor.testing.simulation.checker.rejecting import lowest_state
from gbs_actor.testing.simulation.history import (
    Abandoned,
    Answered,
    Calmed,
    Cause,
    Closed,
    Committed,
    Delivered,
    Disturbed,
    Ended,
    History,
    Invoked,
    NewEpoch,
    NodeDisturbed,
    Opened,
    Quiet,
    Routed,
)
from gbs_actor.testing.simulation.model import Lineup, Malformed, Timeline, asked, target_of

_ON_MEMOS: Final = frozenset({CommandEvent.UPDATE_LINEUP_MEMO, CommandEvent.DELETE_LINEUP_MEMO})
_UPDATES: Final = frozenset({ServerEvent.LINEUP_UPDATED, ServerEvent.LINEUPS_UPDATED})


class Facts:
    """A history, put in order.

    :param history: of a whole run, or of one up to some moment.
    """

    def __init__(self, history: History) -> None:
        self.history = history
        self.logs = {
            slug: Log(Lineup(each), Timeline(each.epoch), Timeline(each.revision))
            for slug, each in history.before.items()
        }
        self.invocations: dict[int, Invocation] = {}
        self.connections: dict[int, Connection] = {}
        self.disturbances: dict[int, Disturbance] = {}
        self.ends: list[tuple[int, Ended]] = []
        self.quiet: int | None = None
        self.stray: list[tuple[int, str]] = []
        """Events that belong to nothing."""
        self._first: dict[tuple[str | None, UUID], Invocation] = {}
        self._of_client: dict[int, list[Connection]] = {}
        self._node_of: dict[int, int] = {}
        """The node that each client speaks to, where there are several."""
        for index, moment in enumerate(history.moments):
            self._take(index, moment.event)

    # -- what rules ask for

    def at(self, index: int) -> float:
        """Return when an event was, in seconds since the start."""
        return self.history.moments[index].at

    def log(self, slug: str | None) -> Log | None:
        """Return the log of a retreat, if there is such a retreat."""
        return None if slug is None else self.logs.get(slug)

    def causes(self, invocation: Invocation, until: int) -> set[Cause]:
        """Return what lies between an invocation and a later event, as far as it can concern it."""
        anywhere = not invocation.settled or invocation.elsewhere
        return {
            each.event.cause
            for each in self.disturbances.values()
            if (anywhere or each.event.slug in (None, invocation.slug))
            and each.event.client in (None, invocation.event.client)
            and each.node in (None, invocation.node)
            and each.lies_in(invocation.index, until)
        }

    def epochs(self, invocation: Invocation, log: Log, until: int) -> set[str]:
        """Return the epochs that may count for what is done up to a later event.

        A room may not have noticed yet that there is another one.
        """
        if Cause.STALE in self.causes(invocation, until):
            return {log.epochs.at(index) for index in log.epochs.revisions if index <= until}
        return {log.epochs.at(invocation.index), log.epochs.at(until)}

    @cached_property
    def by_command(self) -> dict[tuple[str | None, UUID], list[Invocation]]:
        """The invocations of each command id, by retreat and id."""
        found: dict[tuple[str | None, UUID], list[Invocation]] = {}
        for each in self.invocations.values():
            if each.event.command_id is not None:
                found.setdefault((each.slug, each.event.command_id), []).append(each)
        return found

    def commands(self) -> Iterator[Invocation]:
        """Return the invocations that ask for changes."""
        return (each for each in self.invocations.values() if each.is_command)

    def revision_of(self, invocation: Invocation) -> int | None:
        """Return the revision that a command got, by its id or else by its reply."""
        log = self.log(invocation.slug)
        if log is None:
            return None
        if invocation.event.command_id is not None:
            return log.lineup.commands.get(invocation.event.command_id)
        revision = invocation.reply.get("revision")
        return revision if invocation.accepted and isinstance(revision, int) else None

    # -- taking it in

    def _take(self, index: int, event: Any) -> None:
        match event:
            case Delivered():
                self._delivered(index, event)
            case Answered():
                self._answered(index, event)
            case Invoked():
                self._invoked(index, event)
            case Committed():
                self._committed(index, event)
            case Opened():
                self._opened(index, event)
            case Closed():
                connection = self._connection(index, event.connection)
                if connection is not None:
                    connection.closed = index
            case Abandoned():
                invocation = self.invocations.get(event.invocation)
                if invocation is not None and invocation.abandoned is None:
                    invocation.abandoned = index
            case NewEpoch():
                self.logs[event.slug].epochs.put(index, event.epoch)
            case Disturbed():
                node = event.node if isinstance(event, NodeDisturbed) else None
                self.disturbances[event.number] = Disturbance(index, event, node=node)
            case Calmed():
                self.disturbances[event.number].end = index
            case Routed():
                self._node_of[event.client] = event.node
            case Quiet():
                self.quiet = index
            case Ended():
                self.ends.append((index, event))

    def _connection(self, index: int, number: int) -> Connection | None:
        connection = self.connections.get(number)
        if connection is None or connection.closed is not None:
            self.stray.append((index, f"connection {number} is not open"))
            return None
        return connection

    def _opened(self, index: int, event: Opened) -> None:
        log = self.log(event.slug)
        known = 0 if log is None else log.known
        node = self._node_of.get(event.client)
        connection = Connection(index, event, known, event.slug, node=node)
        self.connections[event.connection] = connection
        earlier = self._of_client.setdefault(event.client, [])
        if event.resumed:
            self._resume(connection, earlier)
        earlier.append(connection)

    def _resume(self, connection: Connection, earlier: list[Connection]) -> None:
        """Find the session that goes on: that of the last connection that was in a room."""
        moves: list[Invocation] = []
        for former in reversed(earlier):
            moves += former.moves
            if former.slug is not None:
                connection.former, connection.slug = former, former.slug
                break
        lost = {move.slug for move in moves if move.answered is None}
        leaves = any(move.answered is None and move.event.event == LEAVE for move in moves)
        if connection.former is None or leaves or not lost <= {connection.slug}:
            connection.former, connection.slug, connection.in_doubt = None, None, True

    def _committed(self, index: int, event: Committed) -> None:
        log = self.logs[event.slug]
        for entry in event.entries:
            log.committed.append((index, entry, event.foreign))
            log.lineup.add(entry)
        log.durable.put(index, log.lineup.revision)

    def _invoked(self, index: int, event: Invoked) -> None:
        connection = None
        if event.connection is not None:
            connection = self._connection(index, event.connection)
        slug = event.slug
        log = self.log(slug)
        known = 0 if log is None else log.known
        inside = connection is not None and connection.slug is not None and not event.outside
        node = self._node_of.get(event.client)
        there = 0 if log is None else log.known_at.get(node, 0)
        invocation = Invocation(
            index, event, connection, slug, known, inside, node=node, known_there=there
        )
        self.invocations[event.invocation] = invocation
        if event.command_id is not None:
            invocation.first = self._first.setdefault((slug, event.command_id), invocation)
        if connection is not None and event.event in (JOIN, LEAVE):
            connection.moves.append(invocation)
        if invocation.is_command:
            # Over HTTP nobody is in a room, and a write there counts as one from within.
            outside = event.outside and event.connection is not None
            try:
                invocation.asked = asked(
                    event.event,
                    event.argument,
                    event.user_id,
                    outside=outside,
                    operator=event.operator,
                )
            except Malformed:
                return
            target = target_of(invocation.asked.action)
            invocation.elsewhere = any(
                target in other.lineup.people for name, other in self.logs.items() if name != slug
            ) or (event.event in _ON_MEMOS and len(self.logs) > 1)

    def _answered(self, index: int, event: Answered) -> None:
        invocation = self.invocations.get(event.invocation)
        if invocation is None:
            self.stray.append((index, f"nobody has invoked {event.invocation}"))
            return
        invocation.answers.append(index)
        if len(invocation.answers) > 1:
            return
        invocation.reply = event.reply
        self._find_home(invocation)
        connection = invocation.connection
        if connection is not None:
            invocation.settled = invocation.inside and not any(
                move.answered is None or move.answered > invocation.index
                for move in connection.moves
                if move is not invocation
            )
            if connection.closed is not None:
                self.stray.append((index, f"the connection of {event.invocation} is closed"))
            if invocation.event.event in (JOIN, LEAVE):
                self._moved(connection, invocation)
            connection.items.append(Item(index, event, connection.slug))
        log = self.log(invocation.slug)
        if log is None:
            return
        if invocation.is_command and invocation.accepted:
            log.learn(self.revision_of(invocation), index, invocation.node)
        elif invocation.accepted and (invocation.reads or invocation.settled):
            log.learn(event.reply.get("revision"), index, invocation.node)
        elif invocation.is_command:
            known = range(invocation.known, log.durable.at(index) + 1)
            epochs = self.epochs(invocation, log, index)
            invocation.state = lowest_state(invocation, log.lineup, known, epochs)
            if invocation.asked is not None:  # else that rests on no state
                log.learn(invocation.state, index, invocation.node)

    def _find_home(self, invocation: Invocation) -> None:
        """Look for a command in other retreats: a repeat is answered from within another room."""
        command_id, log = invocation.event.command_id, self.log(invocation.slug)
        if command_id is None or log is None or not invocation.elsewhere:
            return
        if not invocation.accepted:
            return
        if command_id in log.lineup.commands or invocation.event.argument.get("retreatSlug"):
            return
        for slug, other in self.logs.items():
            if command_id in other.lineup.commands:
                invocation.slug, invocation.known, invocation.inside = slug, 0, False

    def _moved(self, connection: Connection, invocation: Invocation) -> None:
        if not invocation.accepted:
            return
        if invocation.event.event == JOIN:
            connection.slug = invocation.slug
        elif connection.slug == invocation.slug:
            connection.slug = None
        elif invocation.settled:
            # Who leaves another retreat stays, and is answered in the revision of the room.
            invocation.slug, invocation.known = connection.slug, 0

    def _delivered(self, index: int, event: Delivered) -> None:
        connection = self._connection(index, event.connection)
        if connection is None:
            return
        log, state = self.log(connection.slug), None
        if log is not None and event.event == ServerEvent.INITIAL_DATA:
            # Two revisions may have the same rows, as an empty group changes none.
            matching = (
                state
                for state in range(connection.known, log.durable.at(index) + 1)
                if event.revision in (None, state)
                and log.lineup.view(state).rows(batched=connection.batched) == event.payload
            )
            state = next(matching, None)
            log.learn(state, index, connection.node)
        elif log is not None and event.event in _UPDATES:
            log.learn(event.payload.get("revision"), index, connection.node)
        connection.items.append(Item(index, event, connection.slug, state))
