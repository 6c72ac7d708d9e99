"""Plays a plan on the whole server."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from random import Random
from typing import Final

import trio

from gbs_actor.roles import Role
from gbs_actor.rooms import RoomSupervisor, Tracepoint
from gbs_actor.testing.network import PERFECT, Conditions, SimStream
from gbs_actor.testing.peers import HttpReply
from gbs_actor.testing.server import LineupServer, lineup_server
from gbs_actor.testing.simulation.bounds import Bound, of_server
from gbs_actor.testing.simulation.history import (
    Access,
    Cause,
    Granted,
    History,
    Json,
)
from gbs_actor.testing.simulation.plan import SLUGS, Participant, Plan, Step, steps
from gbs_actor.testing.simulation.player import RECOVERY_TIME, Player
from gbs_actor.testing.simulation.server.client import Client
from gbs_actor.testing.simulation.server.figures import Totals, held, metrics
from gbs_actor.testing.simulation.server.log_records import LogRecords
from gbs_actor.testing.simulation.server.operators import TOKEN_LIFETIME, Operator
from gbs_actor.testing.simulation.server.requests import Request
from gbs_actor.testing.simulation.server.strangers import intrude
from gbs_actor.testing.store import SimStore

IDLE_TIME: Final = 70.0
"""Seconds after which nothing is left of clients that have gone: longer than rooms are idle."""
RECOVERY_STEP: Final = 20.0
"""Seconds after which the server may have recovered: longer than a commit is late."""
STRANGER: Final = 999
"""The user in whose name strangers do what is wrong."""
GRANT_TIME: Final = 40.0
"""Seconds in which a grant takes effect everywhere."""
_LATENCY: Final = 0.05
_NO_READER: Final = Role.UNIV_GROUP_MINISTER
_ROLES: Final[Mapping[Access, Role | None]] = {
    "none": _NO_READER,
    "read": Role.LEADER_STAFF,
    "edit": None,
}


async def play(plan: Plan, counters: Counter[str]) -> History:
    """Play a plan to its end.

    :param counters: counts what was reached: faults, states, steps of rooms.
    """
    player, logs = _ServerPlayer(plan, counters), LogRecords()
    with logs.kept():
        await player.play()
    player.history.problems += logs.problems(player.history, counters)
    for (level, _), count in logs.records.items():
        counters[f"logged: {level}"] += count
    return player.history


class _ServerPlayer(Player[Client]):
    """One simulation of the whole server."""

    quiet_time = 20.0

    def __init__(self, plan: Plan, counters: Counter[str]) -> None:
        super().__init__(plan, counters)
        self._random = Random(f"{plan.seed} network")  # noqa: S311  (must be the same every time)
        self._first_store = SimStore(environment=self.environment)
        self._conditions = self._draw_conditions()
        self._up = trio.Event()
        self._ending = self._killed = False
        self._end_of_grants = trio.Event()
        self.totals = Totals()
        self._tokens: dict[int, str] = {}
        self.lineup: LineupServer
        self._operator: Operator

    async def play(self) -> None:
        """Play the plan."""
        plan, store = self.plan, self._first_store
        await self.prepare(store)
        self.history.delayed |= plan.network == "slow"
        if plan.server:
            self.disturbances.begin(Cause.LOAD, "small limits")
        settings: dict[str, Mapping[str, object]] = {
            **plan.server,
            "rooms": plan.settings,
            "store": {"write_check_interval": 60.0},
            "auth": {"reader_roles": [role for role in Role if role is not _NO_READER]},
        }
        async with lineup_server(
            retreats=(),
            settings=settings,
            store=store,
            environment=self.environment,
            conditions=self._conditions,
            plane=plan.plane,
            observe=self.passed,
        ) as self.lineup:
            self._operator = Operator(self.lineup, self.history, self.counters)
            self._up.set()
            at_first = held(self.lineup)
            async with trio.open_nursery() as self.nursery:
                self.clients = {each.number: Client(each, self) for each in plan.clients}
                await self.play_steps()
                await self._close_clients()
                self.nursery.cancel_scope.cancel()
            await self._finish(at_first)

    async def _close_clients(self) -> None:
        """Let all clients close their connections; that is no part of the history."""
        async with trio.open_nursery() as closing:
            for client in self.clients.values():
                closing.start_soon(client.close)

    async def _finish(self, at_first: dict[str, int]) -> None:
        """Compare the server with its beginning, once all clients are gone."""
        await trio.sleep(IDLE_TIME)
        await self.settled()
        self.totals.add(self.lineup.composition)
        exposed = await metrics(self.lineup.composition)
        now = held(self.lineup)
        changed = {name: now[name] - at_first[name] for name in now if now[name] != at_first[name]}
        for number, end in enumerate(self.ends):
            left_over = {**end.left_over, **(changed if not number else {})}
            self.history.record(replace(end, left_over=left_over))
        self.history.problems += self.totals.problems(self.history, self.counters)
        if self.totals.processes == 1:
            self.history.problems += self.totals.exposed_wrongly(exposed, self.history)

    def _draw_conditions(self) -> Conditions:
        match self.plan.network:
            case "perfect":
                return PERFECT
            case "rough":
                return Conditions.drawn(self._random)
        return Conditions.drawn(self._random, latency=_LATENCY)

    # -- for the player

    @property
    def store(self) -> SimStore:
        """See :class:`Player`."""
        return self.lineup.store

    @property
    def rooms(self) -> RoomSupervisor:
        """See :class:`Player`."""
        return self.lineup.composition.rooms

    @property
    def is_up(self) -> bool:
        """See :class:`Player`."""
        return self._up.is_set()

    async def wait_up(self) -> None:
        """See :class:`Player`."""
        while not self._up.is_set():
            await self._up.wait()

    def let(self, client: Client, step: Step) -> None:
        """See :class:`Player`."""
        match step:
            case steps.Renew():
                client.renew(step)
            case steps.SplitBytes():
                client.split(step)
            case steps.Grant():
                self.nursery.start_soon(self._grant, client.participant.user, step)
            case steps.Kick():
                self.nursery.start_soon(self._kick, client.participant.user, step)
            case steps.Violate():
                client.violate(step)
            case _:
                super().let(client, step)

    def held(self) -> Iterator[Bound]:
        """See :class:`Player`."""
        return of_server(self.lineup.composition) if self.is_up else iter(())

    async def _grant(self, user: int, step: steps.Grant) -> None:
        """Give a user a role, and take it away in the end."""
        slug = SLUGS[step.retreat]
        self.counters[f"grant: {step.access}"] += 1
        over = self._about(user, f"grant: {step.access}")
        self._give(slug, user, step.access)
        await self._end_of_grants.wait()
        self._give(slug, user, "edit")
        await trio.sleep(GRANT_TIME)
        over()

    def _give(self, slug: str, user: int, access: Access) -> None:
        self.store.grant(slug, user, _ROLES[access])
        self.history.record(Granted(slug, user, access))

    async def operate(self, step: steps.Operate) -> None:
        """See :class:`Player`."""
        if step.http:
            await self._operator.act(f"/rooms/{SLUGS[step.retreat]}/{step.action}")
        else:
            await super().operate(step)

    async def _kick(self, user: int, step: steps.Kick) -> None:
        """Let an operator disconnect all clients of a user."""
        if self.is_up:
            over = self._about(user, "kick")
            await self._operator.kick(user, http=step.http)
            over()

    def _about(self, user: int, what: str) -> Callable[[], None]:
        """Record that what a user may do changes.

        :returns: to be called when that is over.
        """
        overs = [
            self.disturbances.begin(Cause.IDENTITY, what, client=each.number)
            for each in self.plan.clients
            if each.user == user
        ]

        def over() -> None:
            for each in overs:
                each()

        return over

    def intrude(self, step: steps.Intrude) -> None:
        """See :class:`Player`."""
        self.counters[f"stranger: {step.kind}"] += 1
        self.nursery.start_soon(self._intrude, step)

    async def _intrude(self, step: steps.Intrude) -> None:
        try:
            stream = await self.lineup.open_stream("198.18.1.1")
        except OSError:
            return
        token = self.lineup.token(STRANGER, Role.LEADER_STAFF, expires_in=TOKEN_LIFETIME)
        await intrude(stream, step.kind, token, SLUGS[0], self._random)

    async def recover(self) -> None:
        """See :class:`Player`."""
        self._end_of_grants.set()
        await super().recover()

    async def wait_recovered(self) -> None:
        """See :class:`Player`."""
        for _ in range(int(RECOVERY_TIME / RECOVERY_STEP)):
            await self.wait(RECOVERY_STEP)
            if self._has_recovered():
                return

    def _has_recovered(self) -> bool:
        """Whether all clients are connected, and the server holds no other connection."""
        if not self.is_up:
            return False
        numbers = [client.number for client in self.clients.values()]
        admitted = self.lineup.composition.clients.statistics().clients
        return self.disturbances.are_over and None not in numbers and admitted == len(numbers)

    def passed(self, slug: str, tracepoint: Tracepoint, node: int = 0) -> None:
        """See :class:`Player`; what a killed process still does is of no account."""
        if not self._killed:
            super().passed(slug, tracepoint, node)

    async def shut_down(self, step: steps.Shutdown) -> None:
        """See :class:`Player`."""
        if self._ending:
            return
        self._ending = True
        drained = step.drain_for is not None or step.http
        self.counters["shut down" if drained else "shut down without drain"] += 1
        over = self.disturbances.begin(Cause.STOP, "shutdown")
        self._up = trio.Event()
        composition = self.lineup.composition
        if step.http:
            await self._operator.act("/drain")
        await self.lineup.stop(grace=None if step.http else step.drain_for or 0.0)
        self.totals.add(composition)
        ended = self.store
        self.lineup._store = ended.detach()
        self.note_killed(ended)  # a commit whose outcome it did not learn may come later
        over()
        await self._start(0.0)

    def shut_down_at_once(self) -> None:
        """See :class:`Player`."""
        self.nursery.start_soon(self.shut_down, steps.Shutdown())

    def kill(self, down_for: float) -> None:
        """See :class:`Player`."""
        if self._ending:
            return
        self._ending = True
        self.counters["killed"] += 1
        self.disturbances.happened(Cause.KILL, "kill")
        self._up, self._killed = trio.Event(), True
        self.totals.add(self.lineup.composition)
        killed = self.store
        self.lineup.kill()
        self.note_killed(killed)
        self.nursery.start_soon(self._start, down_for)

    async def _start(self, down_for: float) -> None:
        if down_for:
            await trio.sleep(down_for)
        self._killed = False
        await self.lineup.start()
        self._ending = False
        self._up.set()

    # -- for clients

    def home_of(self, event: str, argument: Json) -> str | None:
        """See :class:`~gbs_actor.testing.simulation.server.run.Run`."""
        if "memoId" in argument:
            return self.store.home_of_memo(argument["memoId"])
        return self.slug_of(argument)

    def token(self, participant: Participant, expires_in: float | None = None) -> str:
        """See :class:`~gbs_actor.testing.simulation.server.run.Run`."""
        role = Role.ADMIN_MINISTER if participant.operator else Role.LINEUP_STAFF
        if expires_in is not None:
            return self.lineup.token(participant.user, role, expires_in=expires_in)
        found = self._tokens.get(participant.number)
        if found is None:
            found = self._tokens[participant.number] = self.lineup.token(
                participant.user, role, expires_in=TOKEN_LIFETIME
            )
        return found

    def room_of(self, sid: str) -> str | None:
        """See :class:`~gbs_actor.testing.simulation.server.run.Run`."""
        client = self.lineup.composition.clients.find(sid) if self.is_up else None
        return None if client is None else client.subscriber.room_slug

    def chance(self) -> float:
        """See :class:`~gbs_actor.testing.simulation.server.run.Run`."""
        return self._random.random()

    async def open_stream(self, participant: Participant) -> SimStream:
        """See :class:`~gbs_actor.testing.simulation.server.run.Run`."""
        return await self.lineup.open_stream(f"198.18.0.{participant.number + 1}")

    async def http(self, participant: Participant, request: Request) -> HttpReply:
        """See :class:`~gbs_actor.testing.simulation.server.run.Run`."""
        fields = {"Authorization": f"Bearer {self.token(participant)}", **request.headers}
        return await self.lineup.http(
            request.method, request.path, request.body, user=None, headers=fields
        )
