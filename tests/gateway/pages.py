"""Pages that edit while they are away, over connections without a network.

A page does what one with the stock client does: it queues what is typed while it has no
connection; once there is one, it repeats what nobody acknowledged, sends the queue, and only
then joins.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from secrets import token_urlsafe
from typing import Any, cast
from uuid import UUID

import msgspec
import trio

from gbs_actor.auth import Role, TokenSource, mint
from gbs_actor.gateway.client import ClientTracer
from gbs_actor.gateway.clients import Clients
from gbs_actor.gateway.dispatch import Dispatch
from gbs_actor.gateway.invocation import Invocation
from gbs_actor.rooms import EncodedRow, Format, SinkStatistics, Snapshot
from gbs_actor.socketio import MemoryLimit, Outbox
from gbs_actor.socketio.channel.dispatcher import Dispatcher
from tests.gateway.composing import SECRET, SLUG
from tests.rooms.peers import FORMAT, Bundle, Rows, Stamped, Updates

JOIN = "join-retreat"


@dataclass(eq=False)
class Sent:
    """An event, and every acknowledgement that arrived."""

    event: str
    argument: dict[str, Any]
    acks: list[dict[str, Any]] = field(default_factory=list)
    emitted: int = 0
    """How often."""

    @property
    def command_id(self) -> UUID | None:
        command_id = self.argument.get("commandId")
        return None if command_id is None else UUID(command_id)

    @property
    def ok(self) -> bool:
        return bool(self.acks) and self.acks[-1]["status"] == "OK"

    @property
    def retryable(self) -> bool:
        return bool(self.acks) and self.acks[-1].get("retryable", False)


class Line:
    """One connection of a page: the server's side of it is a client."""

    def __init__(self, page: Page, nursery: trio.Nursery) -> None:
        self.page = page
        self.alive = True
        self.outbox = cast("Outbox", _NoOutbox())
        credentials = page.clients.authenticate(page.token)
        self.client = page.clients.connect(self, credentials, sid=token_urlsafe(15))
        self._dispatcher = Dispatcher(nursery, _Owner())

    def emit(self, sent: Sent) -> None:
        sent.emitted += 1
        invocation = _PageInvocation(self, sent)
        self._dispatcher.submit(partial(self.page.dispatch.handle, self.client, invocation))

    async def cut(self) -> None:
        self.alive = False
        await self._dispatcher.stop(5)
        self.page.clients.disconnected(self.client)

    protocol = "socket.io"
    behind = False
    address = user_agent = None
    round_trip: float | None = None

    def trace(self, tracer: ClientTracer | None) -> None:
        raise AssertionError("no page is traced")

    @property
    def format(self) -> Format:
        return FORMAT

    def deliver(self, message: Any) -> None:
        if self.alive and isinstance(message, Updates):
            for row in message.rows:
                self.page.arrive(row)
        else:
            assert not self.alive or isinstance(message, Stamped | Bundle)

    def hold(self) -> None:
        """Hold nothing back."""

    def release(self) -> None:
        """See :meth:`hold`."""

    def send_event(self, name: str, payload: bytes) -> None:
        raise AssertionError(f"{name}: {payload!r}")

    def send_list(self, snapshot: Snapshot) -> None:
        raise AssertionError("every event of a page waits for its ack")

    def close_expired(self, source: TokenSource) -> None:
        raise AssertionError("no token expires")

    def close_forbidden(self) -> None:
        raise AssertionError("no role changes")

    def close_restarting(self) -> None:
        raise AssertionError("no operator stops this room")

    def abort(self) -> None:
        raise AssertionError("a delivery or a reply failed")

    def statistics(self) -> SinkStatistics:
        return SinkStatistics(0, 0, 0, 0.0)


class _Owner:
    """Reads without a pause."""

    may_start_events = True

    def resume_reading(self) -> None:
        pass


class _NoOutbox:
    """Nothing is ever queued."""

    def add_limit(self, limit: MemoryLimit) -> None:
        limit.add(cast("Outbox", self))

    def remove_limit(self, limit: MemoryLimit) -> None:
        limit.discard(cast("Outbox", self))


class _PageInvocation(Invocation):
    def __init__(self, line: Line, sent: Sent) -> None:
        super().__init__(line, sent.event, True, trio.current_time(), Counter())
        self._line = line
        self._sent = sent

    def argument(self) -> bytes:
        return json.dumps(self._sent.argument).encode()

    def _send(self, json: bytes) -> None:
        if self._line.alive:
            self._line.page.arrive((self._sent, msgspec.json.decode(json)))


class Page:
    """Holds a list, and merges into it what arrives, in the order of arrival."""

    def __init__(self, user_id: int, clients: Clients, dispatch: Dispatch, now: float) -> None:
        self.user_id = user_id
        self.clients = clients
        self.dispatch = dispatch
        token = mint(SECRET, user_id=user_id, role=Role.LINEUP_STAFF, now=now)
        self.token = (token, TokenSource.PAYLOAD)
        self.rows: Rows = {}
        self.slug: str | None = None
        """The retreat of the list."""
        self.since = 0
        self.epoch = ""
        self.line: Line | None = None
        self.reading = True
        self.violations: list[str] = []
        self.everything: list[Sent] = []
        self._queued: list[Sent] = []
        self._unacknowledged: list[Sent] = []
        self._waiting: list[EncodedRow | tuple[Sent, dict[str, Any]]] = []
        self._handed = 0
        self._emissions: list[Sent] = []
        """In the order in which their acks have to come, on this connection."""

    # What its user does

    def edit(self, event: str, argument: dict[str, Any]) -> None:
        sent = Sent(event, argument)
        self.everything.append(sent)
        if self.line is None:
            self._queued.append(sent)
        else:
            self._emit(sent)

    def join(self, slug: str = SLUG, *, knows: bool = True) -> None:
        argument: dict[str, Any] = {"retreatSlug": slug}
        joining = any(it.event == JOIN for it in self._unacknowledged)
        if knows and slug == self.slug and not joining:  # else the list may be another one by then
            argument |= {"since": self.since, "epoch": self.epoch}
        self._emit(Sent(JOIN, argument))

    def leave(self) -> None:
        if self.slug is not None:
            self._emit(Sent("leave-retreat", {"retreatSlug": self.slug}))

    async def cut(self) -> None:
        """Lose the connection, and half of what waits to be read on it."""
        if self.line is None:
            return
        line, self.line = self.line, None
        self._read(len(self._waiting) // 2)
        self._waiting.clear()
        await line.cut()
        self._unacknowledged = [it for it in self._unacknowledged if it.command_id is not None]

    def connect(self, nursery: trio.Nursery) -> None:
        """Repeat what was not acknowledged, send what was queued; joining is up to the caller."""
        if self.line is not None:
            return
        self.line = Line(self, nursery)
        self._handed = 0
        self._emissions.clear()
        again, self._unacknowledged = self._unacknowledged, []
        queued, self._queued = self._queued, []
        for sent in (*again, *queued):
            self._emit(sent)

    def retry(self) -> bool:
        """Repeat what was refused for now; whether there was anything, or is still to come."""
        refused = [it for it in self.everything if it.retryable and it.acks]
        for sent in refused:
            if sent not in self._unacknowledged:
                sent.acks.clear()
                self._emit(sent)
        return bool(refused or self._unacknowledged or self._queued)

    def _emit(self, sent: Sent) -> None:
        if self.line is not None:
            if sent.event != "leave-retreat":
                self._unacknowledged.append(sent)
            self._emissions.append(sent)
            self.line.emit(sent)

    # What arrives

    def arrive(self, message: EncodedRow | tuple[Sent, dict[str, Any]]) -> None:
        if isinstance(message, EncodedRow):
            self._check_revision(message.revision, "row")
            for position, waiting in enumerate(self._waiting):
                if isinstance(waiting, EncodedRow) and waiting.id == message.id:
                    del self._waiting[position]
                    break
        else:
            self._check_ack(*message)
        self._waiting.append(message)
        if self.reading:
            self.read()

    def read(self) -> None:
        self._read(len(self._waiting))

    def _read(self, count: int) -> None:
        waiting, self._waiting = self._waiting[:count], self._waiting[count:]
        for message in waiting:
            if isinstance(message, EncodedRow):
                self.rows[message.id] = msgspec.json.decode(message.json)
                self.since = max(self.since, message.revision)
            else:
                self._take_ack(*message)

    def _take_ack(self, sent: Sent, ack: dict[str, Any]) -> None:
        sent.acks.append(ack)
        if sent in self._unacknowledged:
            self._unacknowledged.remove(sent)
        if sent.event == JOIN:
            self._take_list(sent.argument["retreatSlug"], ack)
        elif isinstance(row := ack.get("data"), dict) and row["id"] in self.rows:
            self.rows[row["id"]] = row

    def _take_list(self, slug: str, ack: dict[str, Any]) -> None:
        if ack["status"] != "OK":
            return
        rows = {row["id"]: row for row in ack["data"]}
        self.rows = rows if ack["full"] else self.rows | rows
        self.since = ack["revision"] if ack["full"] else max(self.since, ack["revision"])
        self.slug, self.epoch = slug, ack["epoch"]

    def _check_revision(self, revision: int, what: str) -> None:
        if revision < self._handed:
            self.violations.append(f"{what} of {revision} after {self._handed}")
        self._handed = revision

    def _check_ack(self, sent: Sent, ack: dict[str, Any]) -> None:
        if sent.event == "leave-retreat":
            return
        if ack["status"] == "ERROR" and ack["code"] != "CONFLICT":
            self._emissions.remove(sent)  # what was refused may have overtaken
            return
        while self._emissions and self._emissions[0] is not sent:
            skipped = self._emissions.pop(0)
            if skipped.event != "leave-retreat" and skipped in self._unanswered():
                self.violations.append(f"{sent} was answered before {skipped}")
        if sent.event == JOIN:
            self._handed = ack["revision"]
        elif ack.get("revision") is not None and not self._repeats(sent):
            self._check_revision(ack["revision"], "ack")

    def _repeats(self, sent: Sent) -> bool:
        """Whether the ack may have the revision of an earlier one."""
        same = (it for it in self.everything if it.command_id == sent.command_id is not None)
        return sum(it.emitted for it in same) > 1

    def _unanswered(self) -> Iterator[Sent]:
        arrived = [it[0] for it in self._waiting if not isinstance(it, EncodedRow)]
        return (it for it in self._unacknowledged if it not in arrived)
