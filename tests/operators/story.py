"""What operators of a server may see in one day, and what the clients have counted of it.

Fifty clients edit in three rooms. One of them stops reading, two are refused, one is killed, and
one room crashes until it is FAILED.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

import httpx
import trio

from tests.e2e.server_process import RETREAT, ServerProcess, token
from tests.faults.test_slow_reader import ReluctantStream
from tests.mixed.peers import PATIENCE, plain_peer
from tests.mixed.socketio_peer import socketio_peer
from tests.operators.load import (
    ACCEPTED,
    ACCEPTED_BEFORE,
    Editor,
    ResettableSocketIOPeer,
    edit_all,
    refused_as_plain,
    refused_over_socketio,
    reluctant_peer,
    reset,
    until_all_have,
    user_token,
)
from tests.operators.operated import (
    BESIDE,
    CRASHES,
    CRASHING,
    OPERATOR_TOKEN,
    ROOMS,
    admin,
    command,
    mend,
    spoil,
    until_state,
)

CLIENTS: Final = 50
EDITS: Final = 12
SLOW, KILLED = 0, 1
"""Numbers of clients."""
MALFORMED: Final = "VALIDATION_FAILED"
"""The code of what no room gets to see."""


@dataclass(frozen=True)
class Counted:
    """What the clients have counted."""

    answers: dict[str, Counter[str]]
    """Per room: ``accepted``, ``repeated``, or the code of an error."""

    @classmethod
    def by(cls, editors: Sequence[Editor]) -> Counted:
        answers: dict[str, Counter[str]] = {slug: Counter() for slug in ROOMS}
        for editor in editors:
            answers[editor.slug] += editor.answers
        return cls(answers)

    @property
    def all(self) -> Counter[str]:
        """The answers of all rooms."""
        return sum(self.answers.values(), Counter())

    @property
    def codes(self) -> Counter[str]:
        """Those of them that are errors."""
        return Counter({k: v for k, v in self.all.items() if k not in (ACCEPTED, ACCEPTED_BEFORE)})

    def rejected(self, slug: str) -> int:
        """Return how many commands a room has rejected."""
        answers = self.answers[slug]
        return answers.total() - sum(
            answers[each] for each in (ACCEPTED, ACCEPTED_BEFORE, MALFORMED)
        )


def subscribers(slug: str) -> int:
    """Return how many clients are in a room once one of them is killed."""
    return len([n for n in range(2, CLIENTS) if ROOMS[n % 3] == slug]) + (slug == RETREAT)


@dataclass(frozen=True)
class Story:
    """What happens, part by part, each of them once and in this order."""

    editors: Sequence[Editor]
    _server: ServerProcess
    _http: httpx.AsyncClient
    _slow: ReluctantStream
    _killed: ResettableSocketIOPeer
    _doomed: trio.Nursery

    @property
    def counted(self) -> Counted:
        """What the clients have counted so far."""
        return Counted.by(self.editors)

    async def lose_some(self) -> None:
        """Refuse two clients, let one read no more, and kill one once it has edited."""
        await refused_over_socketio(self._server, "nobody's")
        assert await refused_as_plain(self._server, token(exp=1), RETREAT) == 4401
        self._slow.hold()
        await edit_all(self.editors[1:], EDITS)
        await until_all_have(self._in(BESIDE), await rows_of(self._server, BESIDE))
        self._doomed.cancel_scope.cancel()
        await reset(self._killed.stream)
        (closed,) = await until_total(self._server, "/closed?accepted=true", 1)
        assert (closed["userId"], closed["room"]) == (1000 + KILLED, BESIDE)

    async def fail(self) -> None:
        """Let a room crash while many edit in it, until it is FAILED."""
        failed = trio.Event()
        async with trio.open_nursery() as nursery:
            for editor in self._in(CRASHING):
                nursery.start_soon(editor.work_until, failed)
            await spoil(self._server, CRASHING)
            await self._restart(CRASHING)
            await until_state(self._server, CRASHING, "failed")
            failed.set()

    async def _restart(self, slug: str) -> None:
        response = await self._http.post(
            f"/admin/rooms/{slug}/restart",
            headers={"Authorization": f"Bearer {OPERATOR_TOKEN}"},
            json={"reason": "a test"},
        )
        assert response.status_code == 200, response.text

    async def recover(self) -> None:
        """Recover the room while they edit on."""
        recovered = trio.Event()
        await mend(self._server, CRASHING)
        async with trio.open_nursery() as nursery:
            for editor in self._in(CRASHING):
                nursery.start_soon(editor.work_until, recovered)
            await command(self._server, "admin", "room", "recover", CRASHING, "--reason", "mended")
            await until_state(self._server, CRASHING, "running")
            recovered.set()
        await edit_all(self._in(CRASHING), EDITS)

    async def until_lagging(self) -> None:
        """Wait until the server has noticed that one reads no more."""
        lagging = await until_published(self._server, "subscriber.lagging")
        assert {event["userId"] for event in lagging} == {1000 + SLOW}

    async def catch_up(self) -> None:
        """Let it read on, and wait until all have everything."""
        self._slow.release()
        for slug in ROOMS:
            there = [each for each in self._in(slug) if each.peer is not self._killed]
            await until_all_have(there, await rows_of(self._server, slug))
        with trio.fail_after(30):
            while not any(
                event["userId"] == 1000 + SLOW
                for event in await until_published(self._server, "subscriber.caught_up")
            ):
                pass

    def _in(self, slug: str) -> list[Editor]:
        return [each for each in self.editors if each.slug == slug]


@asynccontextmanager
async def begun(server: ServerProcess) -> AsyncIterator[Story]:
    """A story whose clients have all come, for the time of a block."""
    limits = httpx.Limits(max_connections=None)
    async with (
        httpx.AsyncClient(base_url=server.url, timeout=PATIENCE, limits=limits) as http,
        trio.open_nursery() as tasks,
    ):
        doomed = await tasks.start(_nursery_of_its_own)
        slow, slow_stream = await reluctant_peer(tasks, server, user_token(SLOW), RETREAT)
        killed = ResettableSocketIOPeer(doomed, server, http)
        await killed.open(user_token(KILLED), "websocket", BESIDE)
        editors = [Editor(slow, RETREAT, SLOW), Editor(killed, BESIDE, KILLED)]
        for number in range(2, CLIENTS):
            slug, who = ROOMS[number % 3], user_token(number)
            if number % 2:
                by = "polling" if number % 10 == 5 else "websocket"
                peer: Any = await socketio_peer(tasks, server, http, who, by, slug=slug)  # type: ignore[arg-type]
            else:
                peer = await plain_peer(tasks, server, who, by="header", slug=slug)
            editors.append(Editor(peer, slug, number))
        yield Story(editors, server, http, slow_stream, killed, doomed)
        tasks.cancel_scope.cancel()


async def _nursery_of_its_own(task_status: trio.TaskStatus[trio.Nursery]) -> None:
    async with trio.open_nursery() as nursery:
        task_status.started(nursery)
        await trio.sleep_forever()


async def rows_of(server: ServerProcess, slug: str) -> dict[int, dict[str, Any]]:
    """Return the rows of a retreat by id, read over HTTP."""
    path = f"/api/v1/retreat/{slug}/line-up/user-lineups"
    read = await trio.to_thread.run_sync(server.get, path, token())
    return {row["id"]: row for row in read["userRetreatGbsLineups"]}


async def until_total(server: ServerProcess, path: str, total: int) -> list[Any]:
    """Wait until a list below ``/admin`` has so many entries; return them."""
    with trio.fail_after(30):
        while (page := await admin(server, path))["total"] != total:  # noqa: ASYNC110
            await trio.sleep(0.02)
    (listed,) = (value for value in page.values() if isinstance(value, list))
    return listed


async def until_published(server: ServerProcess, kind: str) -> list[dict[str, Any]]:
    """Wait for events of a kind; return those that there are."""
    events: list[dict[str, Any]] = []
    with trio.fail_after(20):
        while not events:
            events = (await admin(server, f"/events?kind={kind}"))["events"]
    return events


PUBLISHED: Final = {
    ("room.started", RETREAT, None): 1,
    ("room.started", BESIDE, None): 1,
    ("room.started", CRASHING, None): 1,
    ("room.crashed", CRASHING, None): CRASHES,
    ("room.failed", CRASHING, None): 1,
    ("room.recovered", CRASHING, None): 1,
    ("operator.action", None, None): 2,  # restart and recover
    ("session.refused", None, None): 2,
    ("session.closed", BESIDE, 1000 + KILLED): 1,
    ("subscriber.lagging", RETREAT, 1000 + SLOW): 1,
    ("subscriber.caught_up", RETREAT, 1000 + SLOW): 1,
}
"""How often operators are notified of what: by kind, room and user."""


def published(events: Sequence[dict[str, Any]]) -> Counter[tuple[str, str | None, int | None]]:
    """Count events as :data:`PUBLISHED` has them; repeats are one event with their number."""
    kinds: Counter[tuple[str, str | None, int | None]] = Counter()
    for event in events:
        who = event["userId"]
        what = event["kind"], event["room"], who
        if event["kind"].startswith("subscriber."):
            if who == 1000 + SLOW:  # others may not keep up at times, on a busy machine
                kinds[what] = 1  # nor does that say how often it catches up in between
            continue
        kinds[what] += int(event["details"].get("times", 1))
    return kinds
