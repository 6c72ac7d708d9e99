"""Pages in either form behind real outboxes, however slow they read: all show what the room has.

A page is written from the contract alone. Those in the batch form have the rows of our Python
client beside their own.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal
from uuid import UUID, uuid4

import msgspec
import pytest
import trio
import trio.testing
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import UNSET

from gbs_actor.client.packets import Ack, Event, parse
from gbs_actor.client.replies import Reply
from gbs_actor.client.view import LineupView
from gbs_actor.gateway import replies
from gbs_actor.gateway.namespace.peer import RecoverableFormat
from gbs_actor.gateway.replies import Failure
from gbs_actor.lineup.board import Board
from gbs_actor.lineup.changes import Rejection
from gbs_actor.lineup.commands import (
    Action,
    AssignLeaders,
    Assignment,
    AssignNumber,
    Author,
    BulkAssign,
    Command,
    CreateGroups,
    CreateMemo,
    DeleteGroup,
    DeleteMemo,
    SetGroupMemo,
    UnassignLeaders,
    Undo,
    UpdateMemo,
)
from gbs_actor.lineup.fields import Field, values_of
from gbs_actor.lineup.records import Memo, Registration
from gbs_actor.lineup.records import Row as LineupRow
from gbs_actor.rooms import (
    Accepted,
    Done,
    RoomSettings,
    RoomSupervisor,
    Snapshot,
    Subscriber,
)
from gbs_actor.socketio.encoding import encode_raw_ack
from gbs_actor.store.memory import MemoryStore
from tests.gateway.simulated_sink import ENDLESS, SimulatedSink
from tests.rooms.retreats import memory_store

NAMESPACE = "/gbs-lineup"
PEOPLE = 8
SINGLE = RecoverableFormat(NAMESPACE)
BATCH = RecoverableFormat(NAMESPACE, batched=True)
Row = dict[str, Any]


class Line(SimulatedSink):
    """One connection of a page: the sink of its room."""

    def __init__(self, page: Page) -> None:
        self.page = page
        super().__init__(page.form, direct=page.direct, room=page.pace)
        self.subscriber = Subscriber(self, page.author)


class Page:
    """A page, on one connection after the other.

    :param batched: whether it has asked for the batch form.
    :param direct: whether what it is sent is written at once, as on a plain socket.
    :param pace: bytes that its connection takes before it has to be read.
    """

    def __init__(
        self, rooms: RoomSupervisor, user_id: int, *, batched: bool, direct: bool, pace: int
    ) -> None:
        self._rooms = rooms
        self.author = Author(user_id, f"user {user_id}", user_id)
        self.form = BATCH if batched else SINGLE
        self.direct, self.pace = direct, pace
        self.rows: dict[int, Row] = {}
        self.epoch: str | None = None
        self.since: int | None = None
        self.offset: int | None = None
        self.view = LineupView()
        """As our client keeps it."""
        self.line = Line(self)
        self.joined = False
        self._next_id = 0

    # What it does

    async def join(self, *, knows: bool = True) -> None:
        line, ack_id = self.line, self._ack_id()

        def reply(outcome: Snapshot | Rejection) -> None:
            assert isinstance(outcome, Snapshot)
            line.deliver(encode_raw_ack(NAMESPACE, ack_id, replies.joined(outcome)))

        since, epoch = (self.since, self.epoch) if knows else (None, None)
        await self._rooms.join("winter", line.subscriber, since=since, epoch=epoch, reply=reply)

    def give(self, action: Action, base: int | None, command_id: UUID | None) -> None:
        line, ack_id = self.line, self._ack_id()

        def reply(outcome: Accepted | Rejection) -> None:
            if isinstance(outcome, Rejection):
                json = replies.failed("", Failure.of(outcome))
            elif outcome.row is None:
                json = _answer_with_rows(outcome)
            else:
                json = replies.accepted(outcome)
            line.deliver(encode_raw_ack(NAMESPACE, ack_id, json))

        made = command_id is not None
        command = Command(action, self.author, command_id or uuid4(), made, base)
        self._rooms.submit(line.subscriber, command, reply)

    def read(self, size: int = ENDLESS) -> None:
        wire = self.line.wire
        wire.room += size
        self.line.outbox.write_some()
        self.take()
        if size == ENDLESS:
            wire.room = self.pace

    def cut(self) -> None:
        """Lose the connection, and what has not arrived."""
        self._rooms.disconnect(self.line.subscriber)
        self.line = Line(self)

    async def resume(self) -> None:
        """Come back by connection state recovery, or else by a join."""
        if self.offset is None or self.epoch is None:
            await self.join()
            return
        outcome = await self._rooms.resume(
            "winter", self.line.subscriber, since=self.offset, epoch=self.epoch
        )
        if not isinstance(outcome, Done):
            await self.join()

    # What arrives

    def take(self) -> None:
        for text in self.line.wire.frames():
            packet = parse(text.removeprefix("\0"), NAMESPACE)
            if isinstance(packet, Ack):
                answer = json.loads(bytes(packet.arguments[0]))
                self._answered(answer)
                if "full" not in answer and isinstance(answer.get("data"), list):
                    for row in msgspec.convert(answer["data"], list[LineupRow]):
                        self.view.merge_answer(row, answer["revision"])
                else:
                    self._merge_in_view(msgspec.json.decode(packet.arguments[0], type=Reply))
            else:
                assert isinstance(packet, Event)
                payload, offset = map(json.loads, map(bytes, packet.arguments))
                self._happened(packet.name, payload, int(offset))
                if self.epoch is not None or packet.name != "lineup-updated":
                    self.view.receive(packet)

    def _answered(self, reply: dict[str, Any]) -> None:
        if "full" in reply:
            rows = {row["id"]: row for row in reply["data"]}
            self.rows = rows if reply["full"] else self.rows | rows
            self.since, self.epoch = reply["revision"], reply["epoch"]
        elif (data := reply.get("data")) is not None:
            for row in data if isinstance(data, list) else [data]:
                self.rows[row["id"]] = row

    def _merge_in_view(self, reply: Reply) -> None:
        if reply.epoch is not None:
            take = partial(self.view.replace, epoch=reply.epoch) if reply.full else self.view.merge
            take(reply.rows(), reply.revision or 0)
        elif (row := reply.row()) is not None:
            self.view.merge_answer(row, reply.revision if reply.ok else None)

    def _happened(self, name: str, payload: Any, offset: int) -> None:
        assert self.form is SINGLE or offset >= (self.offset or 0)
        self.offset = offset
        if name == "lineup-updated":
            self.rows[payload["id"]] = payload
            self.since = max(self.since or 0, payload["revision"])
        elif name == "lineups-updated":
            assert self.form is BATCH
            assert offset == payload["revision"]
            self._apply(payload)
            self.since = max(self.since or 0, payload["revision"])
        else:
            assert name == "room-presence"

    def _apply(self, payload: dict[str, Any]) -> None:
        revisions = [each["revision"] for each in payload["rows"] + payload["groups"]]
        assert max(revisions) == payload["revision"]
        known = {change["revision"] for change in payload["changes"]}
        assert not known or set(revisions) <= known
        for row in payload["rows"]:
            self.rows[row["id"]] = row
        for group in payload["groups"]:
            for row in self.rows.values():
                if row["gbsNumber"] == group["gbsNumber"] and "deleted" not in group:
                    for name in group.keys() - {"gbsNumber", "revision"}:
                        row[name] = group[name]

    def _ack_id(self) -> int:
        self._next_id += 1
        return self._next_id


def _answer_with_rows(outcome: Accepted) -> bytes:
    """Return the ack of a command of many fields: its rows, for the page to merge."""
    rows = b",".join(row.json for row in outcome.rows)
    return b'{"status":"OK","data":[%b],"revision":%d}' % (rows, outcome.revision)


# What happens


@dataclass(frozen=True)
class Give:
    page: int
    action: Action
    id_number: int | None = None
    based: bool = False
    """On the row as the page shows it."""


@dataclass(frozen=True)
class Do:
    page: int
    what: Literal["cut, join", "cut, resume", "join", "join anew", "read"]
    size: int = 0


Step = Sequence[Give] | Do

PAGES: tuple[dict[str, Any], ...] = (
    {"batched": False, "direct": True, "pace": ENDLESS},
    {"batched": True, "direct": True, "pace": ENDLESS},
    {"batched": True, "direct": True, "pace": 700},
    {"batched": True, "direct": False, "pace": 0},
    {"batched": False, "direct": True, "pace": 700},
)
"""The first two read at once."""


def _person(assignment: Assignment) -> int:
    return assignment.registration_id


ids = st.integers(1, PEOPLE)
actions: st.SearchStrategy[Action] = st.one_of(
    st.builds(AssignNumber, ids, st.none() | st.integers(1, 4)),
    st.builds(AssignNumber, ids, st.none() | st.integers(1, 4)),
    st.builds(CreateMemo, ids, st.sampled_from(["메모", "다른 메모"]), st.just("")),
    st.builds(UpdateMemo, st.integers(1, 6), st.sampled_from(["하나", "둘"]), st.just("")),
    st.builds(DeleteMemo, st.integers(1, 6)),
)
groups = st.integers(1, 4)
assignments = st.builds(
    Assignment,
    ids,
    gbs_number=st.just(UNSET) | st.none() | groups,
    is_leader=st.just(UNSET) | st.booleans(),
    current_leader=st.just(UNSET) | st.sampled_from(["이리더", "박리더"]),
    base_revision=st.none() | st.integers(0, 3),
)
planned: st.SearchStrategy[Action] = st.one_of(
    st.builds(
        BulkAssign,
        st.lists(assignments, min_size=1, max_size=PEOPLE, unique_by=_person).map(tuple),
        on_conflict=st.sampled_from(["skip", "refuse"]),
    ),
    st.builds(CreateGroups, st.lists(groups, max_size=2).map(tuple)),
    st.builds(DeleteGroup, groups),
    st.builds(AssignLeaders, groups, st.lists(ids, max_size=2).map(tuple)),
    st.builds(UnassignLeaders, groups),
    st.builds(SetGroupMemo, groups, st.sampled_from(["3층", "4층", None])),
    st.builds(
        Undo,
        revision=st.integers(1, 12),
        on_conflict=st.sampled_from(["skip", "refuse"]),
        by_operator=st.just(True),
    ),
)
actions |= planned
pages = st.integers(0, len(PAGES) - 1)
gives = st.builds(Give, pages, actions, st.none() | st.integers(0, 5), st.booleans())
steps: st.SearchStrategy[Step] = st.one_of(
    st.lists(gives, min_size=1, max_size=6),
    st.lists(gives, min_size=1, max_size=6),
    st.builds(Do, pages, st.just("read"), st.sampled_from([200, 900, 5_000])),
    st.builds(
        Do, pages, st.sampled_from(["cut, join", "cut, resume", "join", "join anew", "read"])
    ),
)


async def play(script: Sequence[Step]) -> None:
    store = await memory_store(people=PEOPLE)
    supervisor = RoomSupervisor(store, RoomSettings(memo_id_block=2, editing_timeout=1e6))
    async with supervisor.running():
        everybody = [Page(supervisor, n + 1, **how) for n, how in enumerate(PAGES)]
        for page in everybody:
            await page.join()
        for step in script:
            if isinstance(step, Do):
                await _do(everybody[step.page], step)
            else:
                for each in step:
                    _give(everybody[each.page], each)
            await trio.testing.wait_all_tasks_blocked()
            await _check(store, everybody)
        for page in everybody:
            for _ in range(3):
                page.read()
        await _check(store, everybody, read_all=True)
        for page in everybody:
            page.cut()
        await supervisor.drain()


def _give(page: Page, give: Give) -> None:
    base = None
    if give.based:
        action = give.action
        row = page.rows.get(getattr(action, "registration_id", 0))
        base = None if row is None else row["revision"]
    # Whoever uses an id uses it for one command.
    number = give.id_number
    command_id = None if number is None else UUID(int=hash((page.author.user_id, number)) % 2**128)
    page.give(give.action, base, command_id)


async def _do(page: Page, step: Do) -> None:
    match step.what:
        case "read":
            page.read(step.size or ENDLESS)
        case "join":
            await page.join()
        case "join anew":
            await page.join(knows=False)
        case "cut, join":
            page.cut()
            await page.join()
        case _:
            page.cut()
            await page.resume()


async def _check(store: MemoryStore, everybody: list[Page], *, read_all: bool = False) -> None:
    retreat = await store.load("winter")
    assert retreat is not None
    listed = {row.id: _plain(row) for row in Board(retreat).rows()}
    registrations = {each.id: each for each in retreat.registrations}
    for page in everybody:
        page.take()
        views = [page.rows, {row.id: _plain(row) for row in page.view.replica.rows}]
        for rows in views:
            for row in rows.values():
                _check_base(row, registrations[row["id"]])
        if read_all or page.pace == ENDLESS:
            for rows in views:
                assert rows.keys() == listed.keys()
                for row in rows.values():
                    _check_row(row, registrations[row["id"]], listed[row["id"]], page)
            assert page.view.replica.backward_merges == 0


def _plain(row: LineupRow) -> Row:
    plain: Row = json.loads(msgspec.json.encode(row))
    return plain


def _check_base(row: Row, registration: Registration) -> None:
    """A row's revision, as a base, must not hide what somebody has done to it meanwhile."""
    for field, value, stamp in values_of(registration):
        shown = row.get(field, value)
        if field is Field.LINEUP_MEMO:
            value = value.text if isinstance(value, Memo) else ""  # noqa: PLW2901
        if shown != value:
            assert stamp.revision > row["revision"]


def _check_row(row: Row, registration: Registration, listed: Row, page: Page) -> None:
    if page.form is BATCH:
        listed = listed | {"revision": registration.revision}
    assert row == listed


def run(script: Sequence[Step]) -> None:
    clock = trio.testing.MockClock(autojump_threshold=0)
    trio.run(play, script, clock=clock, strict_exception_groups=True)


@settings(max_examples=200, deadline=None)
@given(script=st.lists(steps, max_size=30))
def test_pages_in_either_form_show_what_the_room_has(script: list[Step]) -> None:
    run(script)


@pytest.mark.parametrize("page", range(len(PAGES)))
@pytest.mark.parametrize("how", ["cut, join", "cut, resume"])
def test_a_page_that_is_cut_in_the_middle_of_a_revision_misses_nothing(
    page: int, how: Literal["cut, join", "cut, resume"]
) -> None:
    moves = [Give(0, AssignNumber(person, 1 + person % 3)) for person in (1, 2, 4, 7, 8)]
    for size in range(100, 6_000, 97):
        run((moves, moves[::-1], Do(page, "read", size), Do(page, how), moves[1:3]))


@pytest.mark.parametrize("page", range(len(PAGES)))
def test_a_group_that_overtakes_a_row_hides_no_change_of_that_row(page: int) -> None:
    at_first = [Give(0, AssignNumber(person, 1)) for person in (2, 7, 8)]
    for size in range(100, 4_000, 97):
        run(
            (
                at_first,
                Do(page, "read"),
                [Give(0, AssignNumber(7, 2))],
                [Give(0, AssignNumber(8, 3))],
                [Give(0, CreateMemo(7, "메모", ""))],  # its row goes behind both groups
                Do(page, "read", size),
            )
        )
