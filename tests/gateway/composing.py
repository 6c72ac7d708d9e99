"""Small real parts for the gateway's tests: a retreat of six, rooms, tokens."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

import trio
from pydantic import SecretStr

from gbs_actor.auth import Authorizer, Policy, Role, SessionTokens, Verifier, mint
from gbs_actor.contract.events import NAMESPACE
from gbs_actor.gateway.clients import Clients
from gbs_actor.gateway.closed_sessions import ClosedSessions
from gbs_actor.gateway.dispatch import Dispatch
from gbs_actor.gateway.limits import UserConnectionLimit, UserRateLimit
from gbs_actor.gateway.namespace.clients import SocketClients
from gbs_actor.gateway.namespace.closing import ClosingObserver
from gbs_actor.gateway.namespace.handlers import LineupNamespace
from gbs_actor.gateway.namespace.lagging import LaggingObserver
from gbs_actor.gateway.namespace.recovery import LineupRecovery
from gbs_actor.gateway.namespace.session_locations import SessionLocations
from gbs_actor.lineup.records import Gender, Retreat
from gbs_actor.observability import OperatorEvents
from gbs_actor.rooms import RoomSupervisor
from gbs_actor.settings import AuthSettings, Settings, declarations
from gbs_actor.socketio import SocketServer
from gbs_actor.store.memory import MemoryStore
from gbs_actor.store.protocol import Attempt, Delta, StoreUnavailable
from gbs_actor.store.seed.seed import (
    RetreatSeed,
    SeedGrade,
    SeedPerson,
    SeedSchedule,
    SeedUnivGroup,
)
from gbs_actor.testing.environment import START, SimWall

SECRET = "0123456789abcdef0123456789abcdef"
MAX_AGE = 43_200.0
"""Seconds a session may be come back to."""
SLUG = "2024-winter"
OTHER_SLUG = "2024-summer"
NOW = START
"""Unix time at which every test begins."""

DAY = datetime(2024, 1, 19, 10, tzinfo=UTC)


def seed(slug: str = SLUG, grants: tuple[tuple[int, str], ...] = ()) -> RetreatSeed:
    """Return six people: one leader, who is in group 1, and five in no group."""
    people = tuple(
        SeedPerson(
            name=f"사람{number}",
            gender=Gender.MALE if number % 2 else Gender.FEMALE,
            phone_number=f"010-0000-000{number}",
            univ_group_number=1,
            grade_number=1,
            current_leader="박리더",
            is_leader=number == 0,
            user_type=None,
            schedules=(0,),
            registered_at=DAY,
            gbs_number=1 if number == 0 else None,
        )
        for number in range(6)
    )
    return RetreatSeed(
        slug=slug,
        title=slug,
        univ_groups=(SeedUnivGroup(1, "1부", (SeedGrade(1, "1학년"),)),),
        schedules=(SeedSchedule("첫째 날 저녁", DAY),),
        people=people,
        grants=grants,
    )


class BreakableStore(MemoryStore):
    """A memory store that can be told to be out of reach, or to take its time."""

    def __init__(self) -> None:
        super().__init__()
        self.broken = False
        self.commits_may_go_on = trio.Event()
        self.commits_may_go_on.set()
        self.commit_waits = trio.Event()
        self.loads_may_go_on = trio.Event()
        self.loads_may_go_on.set()
        self.roles_may_go_on = trio.Event()
        self.roles_may_go_on.set()
        self.role_waits = trio.Event()
        self.grant_queries: list[frozenset[str]] = []

    async def load(self, slug: str) -> Retreat | None:
        await self.loads_may_go_on.wait()
        return await super().load(slug)

    async def commit(self, attempt: Attempt) -> Delta | None:
        if not self.commits_may_go_on.is_set():
            self.commit_waits.set()
        await self.commits_may_go_on.wait()
        return await super().commit(attempt)

    async def ping(self) -> None:
        await super().ping()
        if self.broken:
            raise StoreUnavailable("told to be")

    async def slug_of_registration(self, registration_id: int) -> str | None:
        if self.broken:
            raise StoreUnavailable("told to be")
        return await super().slug_of_registration(registration_id)

    async def grants(self, slugs: Collection[str]) -> dict[str, dict[int, str]]:
        if self.broken:
            raise StoreUnavailable("told to be")
        if not self.roles_may_go_on.is_set():
            self.role_waits.set()
        await self.roles_may_go_on.wait()
        self.grant_queries.append(frozenset(slugs))
        return await super().grants(slugs)

    def grant(self, user_id: int, role: str | None, slug: str = SLUG) -> None:
        """Give a user a role in a retreat, or take it back, as somebody does in the database."""
        roles = self._by_slug[slug].roles
        if role is None:
            roles.pop(user_id, None)
        else:
            roles[user_id] = role


@dataclass
class Parts:
    """Everything below the gateway."""

    store: BreakableStore
    rooms: RoomSupervisor
    verifier: Verifier
    authorizer: Authorizer
    settings: Settings
    clock: SimWall
    rates: UserRateLimit
    connection_limit: UserConnectionLimit
    events: OperatorEvents

    def clients(self) -> Clients:
        """Return the realtime clients: none yet."""
        return Clients(
            self.rooms,
            self.verifier,
            self.authorizer,
            self.settings,
            connection_limit=self.connection_limit,
            events=self.events,
        )

    def dispatch(self, clients: Clients) -> Dispatch:
        """Return what handles the events of clients."""
        return Dispatch(
            self.rooms,
            clients,
            self.verifier,
            self.authorizer,
            self.settings,
            rates=self.rates,
            events=self.events,
        )

    def token(
        self,
        user_id: int = 7,
        role: Role = Role.LINEUP_STAFF,
        *,
        name: str = "김하늘",
        email: str = "",
        expires_in: float | None = 3_600,
        retreats: tuple[str, ...] | None = None,
    ) -> str:
        """Return a token that these parts accept."""
        return mint(
            SECRET,
            user_id=user_id,
            role=role,
            name=name,
            email=email,
            expires_in=expires_in,
            retreats=retreats,
            now=self.clock(),
        )


async def two_retreats() -> BreakableStore:
    """Return a store with what :func:`composed` tells of."""
    store = BreakableStore()
    await store.import_retreat(seed(grants=((50, "SHUTTLE_BUS_ACCOUNT_STAFF"), (51, "NOBODY"))))
    await store.import_retreat(seed(OTHER_SLUG, grants=((52, "LINEUP_STAFF"),)))
    return store


def settings_with(**values: object) -> Settings:
    """Return settings that differ from the defaults in these, each given by its name alone."""
    tables: dict[str, dict[str, object]] = {}
    for group, name, _ in declarations():
        if name in values:
            tables.setdefault(group, {})[name] = values.pop(name)
    assert not values, f"no settings: {values}"
    return Settings.model_validate(tables)


@asynccontextmanager
async def composed(
    settings: Settings | None = None,
    *,
    readers: tuple[Role, ...] = tuple(Role),
    store: BreakableStore | None = None,
) -> AsyncIterator[Parts]:
    """Run rooms over a memory store with two retreats.

    In the first, user 50 has the role of a mere reader and 51 none that may read; in the
    second, user 52 has that of an editor.

    :param store: one from :func:`two_retreats`.
    """
    settings = settings or Settings()
    http = settings.http.model_copy(update={"allowed_origins": ("https://page.example",)})
    settings = settings.model_copy(update={"http": http})
    if store is None:
        store = await two_retreats()
    auth = AuthSettings(jwt_secret=SecretStr(SECRET), reader_roles=readers)
    clock = SimWall()
    authorizer = Authorizer(store, Policy.from_settings(auth), grant_ttl=settings.auth.grant_ttl)
    events = OperatorEvents()
    rooms = RoomSupervisor(store, events=events)
    async with rooms.running():
        yield Parts(
            store,
            rooms,
            Verifier(auth, now=clock),
            authorizer,
            settings,
            clock,
            UserRateLimit(settings.limits.user_rate, settings.limits.user_burst),
            UserConnectionLimit(settings.limits.max_connections_per_user),
            events,
        )


@dataclass
class Realtime:
    """What serves the realtime clients, whatever protocol they speak."""

    clients: Clients
    dispatch: Dispatch
    locations: SessionLocations
    closed: ClosedSessions
    recoveries: Counter[str]
    seen: int = 0
    """The last operator event that a test has looked at."""


@asynccontextmanager
async def served_namespace(parts: Parts, sockets: SocketServer) -> AsyncIterator[Realtime]:
    """Put the line-up's namespace on a server, and run what is behind it."""
    clients = parts.clients()
    dispatch = parts.dispatch(clients)
    locations = SessionLocations(parts.store, MAX_AGE)
    socket_clients = SocketClients(NAMESPACE, clients, locations)
    closed = parts.settings.build(ClosedSessions, events=parts.events)
    sockets.observe(ClosingObserver(closed, socket_clients))
    sockets.observe(LaggingObserver(clients, socket_clients))
    tokens = SessionTokens(SECRET.encode(), MAX_AGE, parts.clock)
    recovery = LineupRecovery(socket_clients, dispatch.joining, tokens, locations)
    LineupNamespace(sockets.namespace(NAMESPACE), dispatch, socket_clients, recovery)
    async with clients.running(), locations.running():
        yield Realtime(clients, dispatch, locations, closed, recovery.results)
