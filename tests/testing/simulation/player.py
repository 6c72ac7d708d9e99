"""A small server and its clients without any I/O, to make histories that are right.

Commands are decided by the line-up itself; rows, replies and lists go through outboxes, of which
the clients take one item after the other, whenever chance will have it.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from dataclasses import replace as replaced
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any
from uuid import UUID

import msgspec

from gbs_actor.contract.commands import BY_EVENT
from gbs_actor.gateway import replies
from gbs_actor.gateway.replies import Failure
from gbs_actor.lineup.board import Board
from gbs_actor.lineup.changes import Change, LogEntry, Rejection, fence, result_of
from gbs_actor.lineup.commands import Author, Command, Undo, request_bytes
from gbs_actor.lineup.records import Gender, Group, Memo, Person, Registration, Retreat
from gbs_actor.rooms.delivery import OTHER_COMMAND, STORE_DOWN, UNKNOWN_OUTCOME, Accepted
from gbs_actor.rooms.encoded import EncodedGroup, EncodedRow, PartsUpdate
from gbs_actor.testing.simulation.history import (
    READ,
    Abandoned,
    Answered,
    Calmed,
    Cause,
    Closed,
    Committed,
    Delivered,
    Disturbed,
    Ended,
    Event,
    Form,
    History,
    Invoked,
    Json,
    Moment,
    Opened,
    Quiet,
)

SLUG = "winter"
START = datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)


def a_retreat(rnd: random.Random, people: int) -> Retreat:
    """Some people, of whom some are in groups, lead one or have a memo."""
    registrations = []
    for id_ in range(1, people + 1):
        number = rnd.choice([None, 1, 1, 2])
        registrations.append(
            Registration(
                id_,
                Person(
                    user_id=100 + id_,
                    univ_group_id=7,
                    univ_group_number=3,
                    grade_id=70,
                    grade_number=rnd.randint(1, 2),
                    gender=rnd.choice(list(Gender)),
                    name=rnd.choice(["가", "나", "다"]),
                    phone_number="",
                    is_full_attendance=rnd.random() < 0.5,
                    user_type=None,
                    schedule_ids=(1, 2),
                    created_at=START,
                ),
                number,
                START,
                memo=Memo(id_, "a", "") if rnd.random() < 0.4 else None,
                is_leader=number is not None and rnd.random() < 0.2,
            )
        )
    groups = {number: Group(number, rnd.choice(["", "2층"])) for number in (1, 2, 3)}
    return Retreat(1, SLUG, 0, "e1", tuple(registrations), groups)


@dataclass
class Out:
    """Something that waits in an outbox."""

    event: Event
    key: object = None


@dataclass
class Line:
    """A connection: what the server knows of it, and what its client does."""

    number: int
    client: int
    user: int
    form: Form
    joined: bool = False
    outbox: list[Out] = field(default_factory=list)
    pending: set[int] = field(default_factory=set)
    knows_joined: bool = False
    base: int = 0
    offset: int = 0
    replica: dict[int, dict[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class Work:
    """Something in the mailbox."""

    invocation: int
    line: Line | None
    command: Command | None = None
    event: str = ""
    join: Json | None = None


def decoded(raw: bytes) -> Any:
    return msgspec.json.decode(raw)


class Player:
    """Plays one run.

    :param faults: whether the store fails, connections break and the process is killed.
    """

    def __init__(
        self,
        rnd: random.Random,
        *,
        people: int = 5,
        clients: int = 3,
        users: int = 2,
        forms: Sequence[Form] = ("rows", "batch"),
        faults: bool = True,
        many: bool = True,
        commands: int = 10,
        retreat: Retreat | None = None,
    ) -> None:
        self.rnd = rnd
        self.faults = faults
        self.many = many
        self.commands_left = commands
        retreat = retreat or a_retreat(rnd, people)
        self.board = Board(retreat)
        self.history = History({SLUG: retreat}, delayed=True)
        self.numbers = count(1)
        self.clients = clients
        self.users = users
        self.forms = forms
        self.lines: dict[int, Line] = {}
        """Open ones, by client."""
        self.away: dict[int, Line] = {}
        """Of clients whose session may go on."""
        self.mailbox: list[Work] = []
        self.memo_ids = count(1_000)
        self.log: dict[UUID, LogEntry] = {}
        self.given: list[tuple[str, Json, int, bool]] = []
        """Commands with an id that may be repeated."""
        self.now = 0.0
        self.late: list[tuple[Change, ...]] = []
        """A commit that was sent as the process was killed."""

    # -- what is recorded

    def record(self, event: Event) -> None:
        self.history.moments.append(Moment(self.now, event))

    def play(self, steps: int) -> History:
        """Play some steps, then bring everything to its end."""
        actions: list[Callable[[], None]] = [self.ask] * 6 + [self.take] * 12 + [self.work] * 4
        actions += [self.open] * 2 + [self.join] * 2 + [self.read]
        if self.faults:
            actions += [self.close, self.leave, self.fence, self.foreign, self.fail]
        for client in range(self.clients):
            self.open(client)
            self.join(client)
        for _ in range(steps):
            self.now += self.rnd.choice([0.0, 0.1])
            self.rnd.choice(actions)()
        if self.faults and self.rnd.random() < 0.2:
            self.kill()
            self.take()
        self.finish()
        return self.history

    def play_small(self, steps: int) -> History:
        """Play some steps of a run in which everybody joins once at most, and nothing is ended."""
        actions: list[Callable[[], None]] = [self.ask] * 5 + [self.take] * 8 + [self.work] * 5
        actions += [self.read, self.fail, self.fence, self.foreign, self.leave_for_good]
        for client in range(self.clients):
            self.open(client)
            self.join(client)
        for _ in range(steps):
            self.rnd.choice(actions)()
        return self.history

    def leave_for_good(self) -> None:
        if self.rnd.random() < 0.2:
            self.close()

    def finish(self) -> None:
        self.record(Quiet())
        for client in range(self.clients):
            if client not in self.lines:
                self.open(client)
        for client, line in self.lines.items():
            if not line.knows_joined and not line.joined:
                self.join(client)
        while self.mailbox:
            self.work()
        for line in self.lines.values():
            while line.outbox:
                self.take(line)
        retreat = self.board.retreat()
        rows = tuple(decoded(msgspec.json.encode(row)) for row in self.board.rows())
        self.now += 60.0
        replicas = {
            line.number: list(line.replica.values())
            for line in self.lines.values()
            if line.knows_joined
        }
        self.record(Ended(SLUG, retreat, rows, replicas, {"tasks": 0}))

    # -- what clients do

    def line(self) -> Line | None:
        return self.rnd.choice(list(self.lines.values())) if self.lines else None

    def open(self, client: int | None = None) -> None:
        if client is None:
            client = self.rnd.randrange(self.clients)
        if client in self.lines:
            return
        user = 900 + client % self.users
        former = self.away.pop(client, None)
        form = self.forms[client % len(self.forms)] if former is None else former.form
        line = Line(next(self.numbers), client, user, form)
        self.lines[client] = line
        resumes = former is not None and former.knows_joined
        self.record(Opened(line.number, client, user, form, resumed=resumes))
        if resumes:
            assert former is not None
            line.joined = line.knows_joined = True
            line.replica, line.base, line.offset = former.replica, former.base, former.offset
            self.catch_up(line, max(former.base, former.offset))

    def join(self, client: int | None = None) -> None:
        line = self.line() if client is None else self.lines[client]
        if line is None:
            return
        argument: dict[str, Any] = {"retreatSlug": SLUG}
        if line.replica and self.rnd.random() < 0.5:
            argument |= {"since": max(line.base, line.offset), "epoch": "e1"}
        number = self.invoke(line, "join-retreat", argument, None)
        self.mailbox.append(Work(number, line, join=argument))

    def leave(self, line: Line | None = None) -> None:
        line = line or self.line()
        if line is None or not line.knows_joined or line.pending or line.outbox:
            return
        number = self.invoke(line, "leave-retreat", {"retreatSlug": SLUG}, None)
        line.joined = line.knows_joined = False
        self.answer(line, number, {"status": "OK", "data": None, "revision": None})

    def invoke(self, line: Line | None, event: str, argument: Json, command_id: UUID | None) -> int:
        number = next(self.numbers)
        self.record(
            Invoked(
                number,
                -1 if line is None else line.client,
                900 if line is None else line.user,
                None if line is None else line.number,
                event,
                argument,
                SLUG,
                command_id,
                outside=line is None or not line.knows_joined,
            )
        )
        if line is not None:
            line.pending.add(number)
        return number

    def read(self) -> None:
        number = self.invoke(None, READ, {}, None)
        self.answer(None, number, self.listed(None, batched=False))

    def ask(self) -> None:
        line = self.line()
        if line is None or not line.knows_joined or self.commands_left == 0:
            return
        self.commands_left -= 1
        if self.given and self.rnd.random() < 0.25:
            event, argument, user, _ = self.rnd.choice(self.given)
            if user == line.user or self.rnd.random() < 0.1:
                self.submit(line, event, argument)
                return
        event, argument = self.a_command()
        if self.rnd.random() < 0.3:
            argument["baseRevision"] = max(0, self.board.revision - self.rnd.randint(-1, 3))
        key = "idempotencyKey" if event == "undo" else "commandId"
        if self.rnd.random() < 0.9:
            argument[key] = str(UUID(int=self.rnd.getrandbits(128)))
            self.given.append((event, argument, line.user, False))
        self.submit(line, event, argument)

    def submit(self, line: Line, event: str, argument: Json) -> int:
        raw = msgspec.json.encode(argument)
        request = BY_EVENT[event].decode(raw)
        command = request.command(
            Author(line.user, f"이름{line.user}", 0), lambda: UUID(int=self.rnd.getrandbits(128))
        )
        number = self.invoke(line, event, argument, request.command_id)
        self.mailbox.append(Work(number, line, command, event))
        return number

    def a_command(self) -> tuple[str, dict[str, Any]]:
        rnd = self.rnd
        person = {"lineupId": rnd.choice([1, 1, 2, 2, 3, 9])}
        number = rnd.choice([1, 2, 3, 4])
        memo = {"memo": rnd.choice(["a", "b"])}
        memos = [row.lineup_memo_id for row in self.board.rows() if row.lineup_memo_id] or [77]
        memo_id = {"memoId": rnd.choice([*memos, 77])}
        kinds: list[tuple[str, dict[str, Any]]] = [
            ("update-gbs-number", person | {"gbsNumber": number}),
            ("update-gbs-number", person | {"gbsNumber": rnd.choice([None, number])}),
            ("create-lineup-memo", person | memo),
            ("update-lineup-memo", memo_id | memo),
            ("delete-lineup-memo", dict(memo_id)),
        ]
        if self.many:
            items = [
                {"lineupId": id_, "gbsNumber": rnd.choice([1, 2, None])}
                for id_ in rnd.sample([1, 2, 3], 2)
            ]
            skip = rnd.choice(["refuse", "skip"])
            kinds += [
                ("bulk-assign-gbs", {"assignments": items, "onConflict": skip}),
                ("delete-gbs", {"gbsNumber": number, "ifEmpty": rnd.random() < 0.3}),
                ("create-gbs", {"gbsNumbers": [number, number + 1]}),
                (
                    "assign-gbs-leaders",
                    {"gbsNumber": number, "leaderUserIds": [rnd.choice([101, 102])]},
                ),
                ("update-lineup-gbs-memo", {"gbsNumber": number, "memo": rnd.choice("xy")}),
            ]
            if self.log:
                undone = rnd.choice(list(self.log))
                kinds += [("undo", {"commandId": str(undone), "onConflict": skip})] * 2
        return rnd.choice(kinds)

    def take(self, line: Line | None = None) -> None:
        line = line or self.line()
        if line is None or not line.outbox:
            return
        event = line.outbox.pop(0).event
        self.record(event)
        if isinstance(event, Answered):
            line.pending.discard(event.invocation)
            self.answered(line, event)
        elif isinstance(event, Delivered):
            payload = event.payload
            line.offset = max(line.offset, payload["revision"])
            for row in payload["rows"] if line.form == "batch" else [payload]:
                line.replica[row["id"]] = dict(row)
            for group in payload.get("groups", ()):
                for row in line.replica.values():
                    if row["gbsNumber"] == group["gbsNumber"]:
                        hidden = ("gbsNumber", "revision")
                        row |= {k: v for k, v in group.items() if k not in hidden}

    def answered(self, line: Line, event: Answered) -> None:
        reply = event.reply
        data = reply.get("data")
        if "full" in reply:
            line.knows_joined, line.base, line.offset = True, reply["revision"], 0
            if reply["full"]:
                line.replica.clear()
            line.replica |= {row["id"]: dict(row) for row in data or ()}
        elif isinstance(data, Mapping) and "id" in data:
            line.replica[data["id"]] = dict(data)

    def close(self, line: Line | None = None) -> None:
        line = line or self.line()
        if line is None:
            return
        self.record(Closed(line.number))
        for number in sorted(line.pending):
            self.record(Abandoned(number))
        del self.lines[line.client]
        line.outbox.clear()
        if line.knows_joined and self.rnd.random() < 0.7:
            self.away[line.client] = line

    # -- what the server does

    def answer(self, line: Line | None, number: int, reply: Json) -> None:
        if line is None:
            self.record(Answered(number, reply))
        elif self.lines.get(line.client) is line:
            line.outbox.append(Out(Answered(number, reply)))

    def listed(self, since: int | None, *, batched: bool) -> Json:
        rows = self.board.rows() if since is None else self.board.rows_since(since)
        shown = [decoded(self.encoded(row.id, batched=batched).json) for row in rows]
        return {
            "status": "OK",
            "data": shown,
            "revision": self.board.revision,
            "epoch": "e1",
            "full": since is None,
        }

    def encoded(self, id_: int, *, batched: bool) -> EncodedRow:
        row, registration = self.board.row(id_), self.board.registration(id_)
        assert row is not None
        assert registration is not None
        encoded = EncodedRow.of(row)
        return encoded.in_revision(registration.revision) if batched else encoded

    def work(self) -> None:
        """Carry out a join, or a batch of commands."""
        if not self.mailbox:
            return
        first = self.mailbox[0]
        if first.join is not None:
            self.mailbox.pop(0)
            self.let_in(first)
            return
        batch: list[Work] = []
        while self.mailbox and self.mailbox[0].command is not None and len(batch) < 3:
            batch.append(self.mailbox.pop(0))
        self.commit(batch)

    def let_in(self, work: Work) -> None:
        line = work.line
        assert line is not None
        assert work.join is not None
        if self.lines.get(line.client) is not line:
            return
        line.joined = True
        since = work.join.get("since")
        if since is not None and since > self.board.revision:
            since = None
        self.answer(line, work.invocation, self.listed(since, batched=line.form == "batch"))

    def commit(self, batch: list[Work], *, outcome: str = "right") -> None:
        """Decide a batch, make it durable and send what has become of it."""
        draft = self.board.draft(self.memo_ids)
        at = START + timedelta(seconds=self.now)
        accepted: dict[UUID, LogEntry] = {}
        decided: list[Change | Rejection | LogEntry] = []
        for work in batch:
            command = work.command
            assert command is not None
            former = accepted.get(command.id) or self.log.get(command.id)
            if former is not None:
                same = former.request == request_bytes(command.action)
                decided.append(former if same else OTHER_COMMAND)
                continue
            undone = None
            if isinstance(command.action, Undo):
                assert command.action.command_id is not None
                undone = self.log.get(command.action.command_id)
            change = draft.decide(command, at, undone)
            if isinstance(change, Change):
                accepted[command.id] = LogEntry.of(change)
            decided.append(change)
        changes = tuple(each for each in decided if isinstance(each, Change))
        if outcome in ("right", "unknown"):
            self.store(changes)
        if outcome != "right":
            rejection = UNKNOWN_OUTCOME if outcome.startswith("unknown") else STORE_DOWN
            for work in batch:
                self.reject(work, rejection)
            for change in changes if outcome == "unknown" else ():
                self.board.apply(change)
                self.send(change)
            return
        for work, each in zip(batch, decided, strict=True):
            self.carry_out(work, each)

    def store(self, changes: Sequence[Change], *, foreign: bool = False) -> None:
        entries = tuple(LogEntry.of(change) for change in changes)
        self.log |= {entry.command_id: entry for entry in entries}
        if entries:
            self.record(Committed(SLUG, entries, foreign))

    def carry_out(self, work: Work, decided: Change | Rejection | LogEntry) -> None:
        line = work.line
        batched = line is not None and line.form == "batch"
        if isinstance(decided, Rejection):
            self.reject(work, decided)
            return
        if isinstance(decided, Change):
            self.board.apply(decided)
            self.send(decided)
            own = [each.id for each in decided.registrations]
            ids = own if batched else [row.id for row in decided.rows]
        else:
            own = ids = list(result_of(decided).updated)
        row = None
        if decided.registration_id is not None:
            row = self.encoded(decided.registration_id, batched=batched)
        rows = tuple(self.encoded(id_, batched=batched) for id_ in ids)
        reply = Accepted(decided.revision, row, rows, result=result_of(decided))
        self.answer(line, work.invocation, decoded(replies.accepted(reply)))

    def reject(self, work: Work, rejection: Rejection) -> None:
        assert work.command is not None
        line = work.line
        if line is not None and line.form == "batch" and rejection.row is not None:
            registration = self.board.registration(rejection.row.id)
            # As of the draft; a change of the same batch has the next revision.
            assert registration is not None
            own = registration.revision
            row = msgspec.structs.replace(rejection.row, revision=own)
            rejection = replaced(rejection, row=row)
        failure = Failure.of(rejection, repeatable=work.command.client_made_id)
        self.answer(line, work.invocation, decoded(replies.failed(work.event, failure)))

    def send(self, change: Change) -> None:
        for line in self.lines.values():
            if not line.joined:
                continue
            if line.form == "rows":
                for row in change.rows:
                    self.put(line, Delivered(line.number, "lineup-updated", as_json(row)), row.id)
                continue
            parts: list[EncodedRow | EncodedGroup] = [
                self.encoded(each.id, batched=True) for each in change.registrations
            ]
            members = {row.gbs_number: row for row in change.rows}
            parts += [
                EncodedGroup.of(self.board.slug, it, members.get(it.number)) for it in change.groups
            ]
            self.put_parts(line, parts)

    def put_parts(self, line: Line, parts: Sequence[EncodedRow | EncodedGroup]) -> None:
        if not parts:
            return
        update = PartsUpdate(parts, ())
        whole = [update] if not line.outbox else list(update.divided())
        for each in whole:
            key = None if len(whole) == 1 and not line.outbox else each.key
            event = Delivered(line.number, "lineups-updated", decoded(each.json()))
            self.put(line, event, key)

    def put(self, line: Line, event: Event, key: object) -> None:
        line.outbox = [each for each in line.outbox if key is None or each.key != key]
        line.outbox.append(Out(event, key))

    def catch_up(self, line: Line, since: int) -> None:
        board = self.board
        if line.form == "rows":
            rows = sorted(board.rows_since(since), key=lambda row: row.revision)
            for row in rows:
                self.put(line, Delivered(line.number, "lineup-updated", as_json(row)), row.id)
            return
        encoded = [self.encoded(id_, batched=True) for id_ in board.ordered_ids()]
        parts: list[EncodedRow | EncodedGroup] = [e for e in encoded if e.revision >= since]
        for group in board.groups_since(since):
            members = board.members(group.number)
            parts.append(
                EncodedGroup.of(board.slug, group, board.row(members[0]) if members else None)
            )
        parts.sort(key=lambda part: part.revision)
        self.put_parts(line, parts)

    # -- what goes wrong

    def disturbed(self, cause: Cause) -> int:
        number = next(self.numbers)
        self.record(Disturbed(number, cause, SLUG))
        return number

    def fence(self) -> None:
        change = fence(self.board.revision + 1, UUID(int=self.rnd.getrandbits(128)), START)
        self.store([change])
        self.board.apply(change)

    def foreign(self) -> None:
        """Have another server commit a change."""
        event, argument = self.a_command()
        action = BY_EVENT[event].decode(msgspec.json.encode(argument)).action
        if isinstance(action, Undo):
            return
        command = Command(action, Author(700, "남", 0), UUID(int=self.rnd.getrandbits(128)))
        change = self.board.draft(self.memo_ids).decide(command, START)
        if isinstance(change, Change):
            self.store([change], foreign=True)
            self.board.apply(change)
            self.send(change)

    def fail(self, outcome: str = "") -> None:
        """Have the store fail, before a commit or behind one."""
        batch: list[Work] = []
        while self.mailbox and self.mailbox[0].command is not None:
            batch.append(self.mailbox.pop(0))
        if batch:
            number = self.disturbed(Cause.STORE)
            outcomes = ["down", "unknown", "unknown, not stored"]
            self.commit(batch, outcome=outcome or self.rnd.choice(outcomes))
            for line in list(self.lines.values()):
                while line.outbox:
                    self.take(line)
            self.record(Calmed(number))

    def kill(self) -> None:
        number = self.disturbed(Cause.KILL)
        batch = [work for work in self.mailbox if work.command is not None]
        for line in list(self.lines.values()):
            self.close(line)
        self.mailbox.clear()
        if batch and self.rnd.random() < 0.5:
            self.commit(batch)
        self.record(Calmed(number))


def as_json(row: msgspec.Struct) -> Any:
    return decoded(msgspec.json.encode(row))
