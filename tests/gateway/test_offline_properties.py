"""Whatever is typed while pages are away: nothing is lost, doubled or overwritten unseen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

import msgspec
import pytest
import trio
import trio.testing
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from gbs_actor.auth import Authorizer, Policy, Verifier
from gbs_actor.gateway.clients import Clients
from gbs_actor.gateway.dispatch import Dispatch
from gbs_actor.gateway.limits import UserConnectionLimit, UserRateLimit
from gbs_actor.lineup.changes import LogEntry
from gbs_actor.lineup.commands import Command
from gbs_actor.lineup.fields import Field
from gbs_actor.observability import OperatorEvents
from gbs_actor.rooms import CommandReply, RoomSupervisor, Snapshot, Subscriber
from gbs_actor.settings import AuthSettings
from gbs_actor.testing.environment import SimWall
from gbs_actor.testing.store import Fault, SimStore
from tests.gateway.composing import (
    NOW,
    OTHER_SLUG,
    SECRET,
    SLUG,
    seed,
    settings_with,
)
from tests.gateway.pages import Page
from tests.rooms.crashes import Crashes

PAGES = 3
PEOPLE = (2, 3, 4)
ELSEWHERE = 8
"""Somebody of the other retreat."""


@dataclass(frozen=True)
class Edit:
    page: int
    person: int
    value: int | None
    """A group number, or which memo."""
    of_memo: bool = False
    id_number: int | None = None
    based: bool = False
    """On the row as the page shows it."""
    named: bool = False
    """Whether it names its retreat."""


@dataclass(frozen=True)
class Do:
    page: int
    what: str


@dataclass(frozen=True)
class Wait:
    seconds: float


Step = Edit | Do | Wait

pages = st.integers(0, PAGES - 1)
steps: st.SearchStrategy[Step] = st.one_of(
    st.builds(
        Edit,
        pages,
        st.sampled_from([*PEOPLE, *PEOPLE, ELSEWHERE]),
        st.none() | st.integers(1, 3),
        st.booleans(),
        st.none() | st.integers(0, 9),
        st.booleans(),
        st.booleans(),
    ),
    st.builds(
        Do,
        pages,
        st.sampled_from(
            (
                *("cut", "cut", "connect", "come back", "join", "join anew", "leave"),
                *("join elsewhere", "stop reading", "read", "retry"),
            )
        ),
    ),
    st.builds(Wait, st.sampled_from([0.0, 0.0, 0.02, 1.0, 7.0])),
)
commit_faults = st.lists(st.sampled_from(Fault), max_size=6)
read_faults = st.lists(
    st.sampled_from([Fault.NONE, Fault.NONE, Fault.SLOW, Fault.UNAVAILABLE]), max_size=6
)


class RecordingSupervisor(RoomSupervisor):
    """Records which commands were submitted inside, and which outside without a base."""

    inside: set[UUID]
    unseen: set[UUID]

    def submit(
        self,
        subscriber: Subscriber,
        command: Command,
        reply: CommandReply,
        received_at: float | None = None,
    ) -> None:
        self.inside.add(command.id)
        super().submit(subscriber, command, reply, received_at)

    def submit_outside(
        self,
        slug: str,
        subscriber: Subscriber,
        command: Command,
        reply: CommandReply,
        received_at: float | None = None,
        *,
        only_repeat: bool = False,
    ) -> None:
        if command.base_revision is None:
            self.unseen.add(command.id)
        super().submit_outside(
            slug, subscriber, command, reply, received_at, only_repeat=only_repeat
        )


@dataclass
class Result:
    pages: list[Page]
    rows: dict[int, Any]
    logs: list[LogEntry]
    unseen: set[UUID]
    """Commands that were given outside a room, without a base, and in no other way."""
    outside: int = field(default=0)


async def play(
    script: Sequence[Step],
    commits: Sequence[Fault],
    reads: Sequence[Fault],
    crash_at: frozenset[int],
) -> Result:
    crashes = Crashes(crash_at)
    store = SimStore()
    for slug in (SLUG, OTHER_SLUG):
        await store.import_retreat(seed(slug))
    inner = store.elsewhere()
    auth = AuthSettings(jwt_secret=SecretStr(SECRET))
    config = settings_with(event_burst=10_000, user_burst=10_000, max_connections_per_user=1_000)
    async with trio.open_nursery() as nursery:
        store.fail(*commits)
        store.fail(*reads, of="read")
        rooms = RecordingSupervisor(store, observe=crashes)
        rooms.inside, rooms.unseen = set(), set()
        verifier = Verifier(auth, now=SimWall())
        authorizer = Authorizer(store, Policy.from_settings(auth))
        limit = UserConnectionLimit(1_000)
        events = OperatorEvents()
        clients = Clients(
            rooms, verifier, authorizer, config, connection_limit=limit, events=events
        )
        rates = UserRateLimit(10_000, 10_000)
        dispatch = Dispatch(
            rooms, clients, verifier, authorizer, config, rates=rates, events=events
        )
        async with rooms.running():
            everybody = [Page(20 + n, clients, dispatch, NOW) for n in range(PAGES)]
            for page in everybody:
                page.connect(nursery)
                page.join()
            await trio.testing.wait_all_tasks_blocked()
            await _play_steps(script, everybody, nursery)
            store.heal()
            crashes.at = frozenset()
            await trio.sleep(200)  # longer than any fault takes
            for page in everybody:
                await _settle(page, nursery)
            await trio.sleep(200)
            await rooms.drain()
            assert rooms.statistics().crashes == crashes.raised
        nursery.cancel_scope.cancel()
    retreat = await inner.load(SLUG)
    other = await inner.load(OTHER_SLUG)
    assert retreat is not None
    assert other is not None
    logs = await inner.log(retreat.id, limit=10_000) + await inner.log(other.id, limit=10_000)
    async with RoomSupervisor(inner).running() as reading:
        snapshot = await reading.read(SLUG)
    assert isinstance(snapshot, Snapshot)
    rows = {row["id"]: row for row in msgspec.json.decode(snapshot.rows)}
    return Result(everybody, rows, logs, rooms.unseen - rooms.inside, len(rooms.unseen))


async def _play_steps(script: Sequence[Step], everybody: list[Page], nursery: trio.Nursery) -> None:
    for step in script:
        match step:
            case Edit():
                _edit(everybody[step.page], step)
            case Do(number, what):
                await _do(everybody[number], what, nursery)
            case Wait(seconds):
                await trio.sleep(seconds)
                await trio.testing.wait_all_tasks_blocked()


def _edit(page: Page, step: Edit) -> None:
    row = page.rows.get(step.person)
    if not step.of_memo:
        event = "update-gbs-number"
        argument: dict[str, Any] = {"lineupId": step.person, "gbsNumber": step.value}
    elif row is None or row["lineupMemoId"] is None:
        event = "create-lineup-memo"
        argument = {"lineupId": step.person, "memo": f"{step.value}"}
    elif step.value is None:
        event = "delete-lineup-memo"
        argument = {"memoId": row["lineupMemoId"]}
    else:
        event = "update-lineup-memo"
        argument = {"memoId": row["lineupMemoId"], "memo": f"{step.value}"}
    more: dict[str, Any] = {}
    if step.id_number is not None:
        # Nobody but this page uses the id, and for nothing else.
        wanted = f"{step.page} {step.id_number} {event} {argument}"
        more["commandId"] = str(uuid5(NAMESPACE_URL, wanted))
    if step.based and row is not None:
        more |= {"baseRevision": row["revision"], "epoch": page.epoch}
    if step.named:
        more["retreatSlug"] = OTHER_SLUG if step.person == ELSEWHERE else SLUG
    page.edit(event, argument | more)


async def _do(page: Page, what: str, nursery: trio.Nursery) -> None:
    match what:
        case "cut":
            await page.cut()
        case "connect":
            page.connect(nursery)
        case "come back":
            if page.line is None:
                page.connect(nursery)
                page.join()
        case "join":
            page.join()
        case "join anew":
            page.join(knows=False)
        case "join elsewhere":
            page.join(OTHER_SLUG)
        case "leave":
            page.leave()
        case "retry":
            page.retry()
        case _:
            page.reading = what == "read"
            if page.reading:
                page.read()


async def _settle(page: Page, nursery: trio.Nursery) -> None:
    """Let a page come back, join, and repeat what was refused for now."""
    page.reading = True
    page.read()
    page.connect(nursery)
    page.join()
    for _ in range(20):
        await trio.sleep(30)
        if not page.retry():
            return
    raise AssertionError(f"not settled: {[it for it in page.everything if not it.acks]}")


def check(result: Result) -> None:
    ids = Counter(entry.command_id for entry in result.logs)
    assert max(ids.values(), default=1) == 1, "a command is in the logs twice"
    by_id = {entry.command_id: entry for entry in result.logs}
    for page in result.pages:
        assert page.violations == []
        assert page.rows == result.rows, "a page ended on other rows than the room"
        anonymous = 0
        for sent in page.everything:
            if sent.ok and sent.command_id is not None:
                assert by_id[sent.command_id].author_id == page.user_id, "acknowledged and lost"
            anonymous += sent.ok and sent.command_id is None
        named = {sent.command_id for sent in page.everything}
        logged = [each for each in result.logs if each.author_id == page.user_id]
        assert anonymous <= sum(each.command_id not in named for each in logged)
    for entry, former in _writes(result.logs):
        if entry.command_id in result.unseen and former is not None:
            assert former.author_id == entry.author_id, "overwritten unseen"


def _writes(logs: list[LogEntry]) -> Iterator[tuple[LogEntry, LogEntry | None]]:
    """Each change of a value, and the one that it replaced."""
    last: dict[tuple[int | None, Field], LogEntry] = {}
    for entry in logs:
        if entry.before != entry.after:
            field_of_row = (entry.registration_id, entry.after[0].field)
            yield entry, last.get(field_of_row)
            last[field_of_row] = entry


def run(
    script: Sequence[Step],
    commits: Sequence[Fault] = (),
    reads: Sequence[Fault] = (),
    crash_at: frozenset[int] = frozenset(),
) -> Result:
    clock = trio.testing.MockClock(autojump_threshold=0)
    return trio.run(
        play, script, commits, reads, crash_at, clock=clock, strict_exception_groups=True
    )


@settings(max_examples=300, deadline=None)
@given(
    script=st.lists(steps, max_size=40),
    commits=commit_faults,
    reads=read_faults,
    crash_at=st.frozensets(st.integers(0, 120), max_size=4),
)
def test_what_is_typed_while_away_is_neither_lost_nor_doubled_nor_overwrites_unseen(
    script: list[Step], commits: list[Fault], reads: list[Fault], crash_at: frozenset[int]
) -> None:
    check(run(script, commits, reads, crash_at))


AWAY: tuple[Step, ...] = (
    Edit(0, 2, 1, id_number=0),
    Do(0, "cut"),
    Edit(1, 2, 3),
    Edit(1, 3, 3),
    Wait(1.0),
    Edit(0, 2, 2, id_number=1),
    Edit(0, 3, 2, based=True, id_number=2),
    Edit(0, 4, 2, id_number=3),
    Edit(0, ELSEWHERE, 2, id_number=4),
    Do(0, "come back"),
    Edit(1, 4, 1),
    Edit(2, 4, 3),
    Wait(1.0),
    Edit(0, 2, 2, of_memo=True),
)


@pytest.mark.parametrize("fault", list(Fault), ids=lambda fault: fault.name.lower())
def test_pages_that_were_away_under_each_fault_of_the_store(fault: Fault) -> None:
    for position in range(6):
        result = run(AWAY, [*[Fault.NONE] * position, fault])
        check(result)
        assert result.outside >= 4
