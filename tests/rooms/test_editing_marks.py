"""However often marks change: everybody ends on the room's, and edits do not wait for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import msgspec
import pytest
import trio
import trio.testing
from hypothesis import given, settings
from hypothesis import strategies as st
from trio.testing import MockClock

from gbs_actor.lineup.codes import Code
from gbs_actor.lineup.commands import AssignNumber
from gbs_actor.rooms import Done, EncodedRow, RoomSettings, RoomSupervisor, Snapshot, Tracepoint
from gbs_actor.testing.store import Fault

from .peers import Client, Stamped
from .retreats import sim_store
from .world import code, world

CLIENTS = 4
STRICT = RoomSettings(
    presence_large_room=1,
    editing_batch_size=2,
    editing_batch_per_user=1,
    deliveries_per_yield=1,
    mailbox_size=4,
)


@dataclass(frozen=True)
class Mark:
    client: int
    registration_id: int
    field_name: str
    on: bool


@dataclass(frozen=True)
class Edit:
    client: int
    registration_id: int
    number: int


@dataclass(frozen=True)
class Wait:
    seconds: float


@dataclass(frozen=True)
class Lose:
    client: int


@dataclass(frozen=True)
class Read:
    client: int
    reading: bool


Step = Mark | Edit | Wait | Lose | Read

clients = st.integers(0, CLIENTS - 1)
steps: st.SearchStrategy[Step] = st.one_of(
    st.builds(
        Mark, clients, st.integers(1, 3), st.sampled_from(["gbsNumber", "memo"]), st.booleans()
    ),
    st.builds(Edit, clients, st.sampled_from([7, 8]), st.integers(1, 4)),
    st.builds(Wait, st.sampled_from([0.0, 0.02, 0.3, 1.0, 7.0])),
    st.builds(Lose, clients),
    st.builds(Read, clients, st.booleans()),
)


@dataclass
class Crashes:
    """Raises at the given steps of the room's loop."""

    at: frozenset[int]
    count: int = 0

    def __call__(self, slug: str, tracepoint: Tracepoint) -> None:
        self.count += 1
        if self.count in self.at:
            raise ZeroDivisionError("a bug")


ConnectionLimit = set[tuple[int, int, str | None]]


def shown(client: Client) -> ConnectionLimit:
    """Return the marks that a client shows: those begun, less those ended."""
    places: ConnectionLimit = set()
    for told in client.editings:
        place = (told.user_id, told.lineup_id, told.field)
        if told.editing:
            places.add(place)
        else:
            places.discard(place)
    return places


def marks_of_room(client: Client) -> ConnectionLimit:
    """Return the marks of the others as the last presence has them."""
    return {
        (user.user_id, place.lineup_id, place.field)
        for user in client.presences[-1].users
        for place in user.editing
        if user.user_id != client.author.user_id
    }


async def play(
    script: Sequence[Step], crash_at: frozenset[int], commits: Sequence[Fault], config: RoomSettings
) -> None:
    store = await sim_store()
    store.fail(*commits)
    crashes = Crashes(crash_at)
    supervisor = RoomSupervisor(store, config, observe=crashes)
    async with supervisor.running():
        peers = [Client(supervisor, user_id=n + 1) for n in range(CLIENTS)]
        for peer in peers:
            await peer.join("winter")
        await _play_steps(script, peers)
        # Long enough for the store to come back, and for all marks to end ...
        await trio.sleep(100)
        assert all(shown(peer) == set() for peer in peers if peer.reading)
        # ... and once more, undisturbed, and not long enough for that.
        store.heal()
        crashes.at = frozenset()
        await _play_steps([s for s in script if not isinstance(s, Wait)], peers)
        await trio.sleep(5)
        for peer in peers:
            peer.reading = True
            peer.read()
        snapshot = await supervisor.read("winter")
        assert isinstance(snapshot, Snapshot)
        rows = {row["id"]: row for row in msgspec.json.decode(snapshot.rows)}
        for peer in peers:
            assert shown(peer) == marks_of_room(peer)
            assert peer.violations == []
            assert peer.rows == rows


async def _play_steps(script: Sequence[Step], peers: list[Client]) -> None:
    for step in script:
        match step:
            case Mark(client, registration_id, field_name, on):
                peers[client].mark(registration_id, field_name, on)
            case Edit(client, registration_id, number):
                peer = peers[client]
                peer.give(peer.command(AssignNumber(registration_id, number)))
            case Wait(seconds):
                await trio.sleep(seconds)
            case Lose(client):
                peers[client].supervisor.reject_mark(peers[client].subscriber)
            case Read(client, reading):
                peers[client].reading = reading
                if reading:
                    peers[client].read()


@settings(max_examples=300, deadline=None)
@given(
    script=st.lists(steps, max_size=25),
    crash_at=st.frozensets(st.integers(10, 90), max_size=3),
    commits=st.lists(st.sampled_from(Fault), max_size=4),
    config=st.sampled_from([STRICT, RoomSettings()]),
)
def test_any_interleaving_of_marks_and_edits_ends_on_the_marks_and_rows_of_the_room(
    script: list[Step], crash_at: frozenset[int], commits: list[Fault], config: RoomSettings
) -> None:
    trio.run(
        play,
        script,
        crash_at,
        commits,
        config,
        clock=MockClock(autojump_threshold=0),
        strict_exception_groups=True,
    )


async def test_a_mark_that_ends_before_it_was_told_of_is_nothing_to_the_others(
    autojump_clock: MockClock,
) -> None:
    async with world() as w:
        author, other = await w.client(1), await w.client(2)
        author.mark(7)
        author.mark(7, on=False)
        await trio.sleep(1)
        assert other.editings == []


async def test_a_mark_that_moves_to_and_fro_is_told_where_it_stays(
    autojump_clock: MockClock,
) -> None:
    async with world() as w:
        author, other = await w.client(1), await w.client(2)
        for registration_id in (7, 8, 7, 8, 6):
            author.mark(registration_id)
        await trio.sleep(1)
        assert [(e.lineup_id, e.editing) for e in other.editings] == [(6, True)]


@pytest.mark.parametrize(("people", "interval"), [(2, 0.1), (60, 0.5)])
async def test_a_flood_of_marks_is_told_of_now_and_then(
    autojump_clock: MockClock, people: int, interval: float
) -> None:
    async with world() as w:
        author = await w.client(1)
        others = [await w.client(n + 2) for n in range(people - 1)]
        for n in range(1_000):
            author.mark(7 + n % 2)
            await trio.sleep(0.01)
        await trio.sleep(1)
        for other in others:
            times = sorted({at for at, m in other.transcript if _tells_of_marks(m)})
            assert len(times) <= 10 / interval + 3
            assert all(later - earlier > 0.99 * interval for earlier, later in pairwise(times))


def _tells_of_marks(message: object) -> bool:
    return isinstance(message, Stamped) and type(message.payload).__name__ == "Editing"


async def test_edits_go_out_before_the_marks_that_came_before_them(
    autojump_clock: MockClock,
) -> None:
    async with world() as w:
        author, other = await w.client(1), await w.client(2)
        await trio.sleep(1)
        other.transcript.clear()
        author.mark(7)
        author.give(author.command(AssignNumber(8, 1)))
        await trio.sleep(0.05)
        heard = [m for _, m in other.transcript]
        rows = [n for n, message in enumerate(heard) if isinstance(message, EncodedRow)]
        marks = [n for n, message in enumerate(heard) if _tells_of_marks(message)]
        assert rows
        assert marks
        assert max(rows) < min(marks)


async def test_a_user_with_many_marks_does_not_keep_another_ones_back(
    autojump_clock: MockClock,
) -> None:
    config = RoomSettings(editing_batch_size=4, editing_batch_per_user=2)
    async with world(config=config) as w:
        watcher = await w.client(3)
        crowd = [await w.client(1) for _ in range(20)]
        someone = await w.client(2)
        await trio.sleep(1)
        for each in crowd:
            each.mark(7)
        someone.mark(8)
        await trio.sleep(0.05)
        assert [(e.user_id, e.lineup_id) for e in watcher.editings] == [(1, 7), (1, 7), (2, 8)]
        await trio.sleep(1)
        assert len(watcher.editings) == 21


async def test_authors_of_marks_are_told_of_the_others_and_not_of_their_own(
    autojump_clock: MockClock,
) -> None:
    async with world() as w:
        peers = [await w.client(n) for n in (1, 2, 3)]
        await trio.sleep(1)
        for peer in peers:
            peer.mark(7)
        await trio.sleep(1)
        assert [[e.user_id for e in peer.editings] for peer in peers] == [[2, 3], [1, 3], [1, 2]]


async def test_marks_that_fill_their_part_of_the_mailbox_keep_no_command_out(
    autojump_clock: MockClock,
) -> None:
    async with world(config=RoomSettings(mailbox_size=2)) as w:
        author, other = await w.client(1), await w.client(2)
        w.store.fail(Fault.SLOW)
        other.give(other.command(AssignNumber(7, 1)))
        await trio.sleep(0.01)
        answers = [author.mark(7) for _ in range(3)]
        edit = other.give(other.command(AssignNumber(8, 1)))
        await trio.sleep(10)
        assert [code(given[0]) for given in answers] == [None, None, Code.ROOM_BUSY]
        assert code(edit.answers[0]) is None


async def test_a_mark_that_is_refused_ends_the_one_before_and_those_that_wait(
    autojump_clock: MockClock,
) -> None:
    async with world(config=RoomSettings(mailbox_size=2)) as w:
        author, other = await w.client(1), await w.client(2)
        author.mark(7)
        await trio.sleep(1)
        w.store.fail(Fault.SLOW)
        other.give(other.command(AssignNumber(7, 1)))
        await trio.sleep(0.01)
        answers = [author.mark(8), author.mark(8), author.mark(8, on=False)]
        await trio.sleep(5)
        assert [type(given[0]) for given in answers[:2]] == [Done, Done]
        assert code(answers[2][0]) is Code.ROOM_BUSY
        assert shown(other) == set()
        author.mark(6)
        await trio.sleep(1)
        assert shown(other) == {(1, 6, "gbsNumber")}


@pytest.mark.parametrize("fault", [Fault.LOST_BEFORE, Fault.LOST_AFTER, Fault.CONTENDED])
@pytest.mark.parametrize("down_for", [0, 8])
async def test_a_mark_that_ends_while_a_commit_is_resolved_does_not_begin_afterwards(
    autojump_clock: MockClock, fault: Fault, down_for: int
) -> None:
    async with world(config=RoomSettings(commit_resolve_timeout=2, editing_timeout=600)) as w:
        author, other = await w.client(1), await w.client(2)
        w.store.fail(*[fault] + [Fault.UNAVAILABLE] * down_for)
        w.store.fail(*[Fault.UNAVAILABLE] * down_for, of="read")
        other.give(other.command(AssignNumber(7, 1)))
        begun = author.mark(7)
        await trio.sleep(0.005)
        ended = author.mark(7, on=False)
        await trio.sleep(120)
        assert shown(other) == set()
        assert [len(begun), len(ended)] == [1, 1]


@dataclass
class Meanwhile:
    """Runs whenever it is let, and notes how much was done in one go before."""

    most: int = 0
    done: int = 0
    _seen: int = field(default=0, repr=False)

    async def until(self, done: int) -> None:
        """Run until so much was done."""
        while self._seen < done:
            await trio.lowlevel.checkpoint()
            self.most = max(self.most, self.done - self._seen)
            self._seen = self.done


class Counted(Client):
    """Counts its deliveries together with others'."""

    meanwhile: Meanwhile | None = None

    def deliver(self, message: object) -> None:
        if self.meanwhile is not None:
            self.meanwhile.done += 1
        super().deliver(message)


@pytest.mark.parametrize("what", ["marks", "presence"])
async def test_while_many_are_told_others_run(what: str) -> None:
    config = RoomSettings(deliveries_per_yield=5, editing_interval=0, presence_interval=1e6)
    if what == "presence":
        config = RoomSettings(deliveries_per_yield=5, editing_interval=1e6, presence_interval=0)
    meanwhile = Meanwhile()
    async with world(config=config) as w:
        peers = [Counted(w.supervisor, n) for n in range(40)]
        for peer in peers:
            await peer.join("winter")
        await trio.testing.wait_all_tasks_blocked()
        for peer in peers:
            peer.meanwhile = meanwhile
        peers[0].mark(7)
        await meanwhile.until(39)
        assert meanwhile.most <= 2 * 5


@pytest.mark.parametrize("down", [False, True], ids=["store up", "store down"])
async def test_while_many_join_others_run(down: bool) -> None:
    meanwhile = Meanwhile()
    async with (
        world(config=RoomSettings(store_backoff_initial=60, store_backoff_max=60)) as w,
        trio.open_nursery() as nursery,
    ):
        first = await w.client()
        if down:
            w.store.fail(Fault.UNAVAILABLE)
            w.store.fail(Fault.UNAVAILABLE, of="read")
            await first.ask(AssignNumber(7, 1))
        peers = [Counted(w.supervisor, n + 2) for n in range(60)]
        for peer in peers:
            nursery.start_soon(_join, peer, meanwhile)
        await meanwhile.until(60)
        assert meanwhile.most <= 2 * 8


async def _join(peer: Client, meanwhile: Meanwhile) -> None:
    def joined(answer: object) -> None:
        assert isinstance(answer, Snapshot)
        meanwhile.done += 1

    await peer.supervisor.join("winter", peer.subscriber, since=None, epoch=None, reply=joined)


async def test_joiners_in_between_two_changes_share_one_snapshot_and_later_ones_another() -> None:
    async with world() as w:
        first, second = await w.client(1), await w.client(2)
        assert first.snapshot is second.snapshot
        assert first.snapshot is not None
        epoch = first.snapshot.epoch
        await first.ask(AssignNumber(7, 1))
        parts = []
        for n in range(2):
            await second.join("winter", since=1, epoch=epoch)
            parts.append(second.snapshot)
            if n == 0:
                assert parts[0] is not None
                assert not parts[0].full
        assert parts[0] is parts[1]
        await first.ask(AssignNumber(7, 2))
        await second.join("winter", since=1, epoch=epoch)
        assert second.snapshot is not parts[0]
