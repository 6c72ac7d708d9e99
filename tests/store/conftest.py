"""Fixtures for the tests of the store: the kinds of store behind one face."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest
import trio

from gbs_actor.store.embedded.server import EmbeddedPostgres
from gbs_actor.store.memory import MemoryStore
from gbs_actor.store.postgres.connection import DbConnection, connect
from gbs_actor.store.postgres.store import PostgresStore
from gbs_actor.testing import SimStore
from tests.store.fixtures import copy_folder, public_temporary_folder
from tests.store.worlds import AnyStore, Desk

OpenNodes = Callable[[], AbstractAsyncContextManager[tuple[AnyStore, AnyStore]]]
OpenStore = Callable[[], AbstractAsyncContextManager[AnyStore]]


@asynccontextmanager
async def _open_memory() -> AsyncIterator[AnyStore]:
    yield MemoryStore()


@asynccontextmanager
async def _open_simulated() -> AsyncIterator[AnyStore]:
    yield SimStore()


@asynccontextmanager
async def _open_memory_of_nodes() -> AsyncIterator[tuple[AnyStore, AnyStore]]:
    store = MemoryStore(shared=True)
    yield store, store


@pytest.fixture(params=["memory", "simulated", "postgres"])
def open_store(request: pytest.FixtureRequest) -> OpenStore:
    """Open a store of each kind; that of PostgreSQL on a fresh database."""
    if request.param == "memory":
        return _open_memory
    if request.param == "simulated":
        return _open_simulated
    dsn: str = request.getfixturevalue("database_url")

    @asynccontextmanager
    async def open_postgres() -> AsyncIterator[AnyStore]:
        async with PostgresStore.open(dsn) as store:
            yield store

    return open_postgres


@pytest.fixture
async def store(open_store: OpenStore) -> AsyncIterator[AnyStore]:
    """An open store without any retreat."""
    async with open_store() as store:
        yield store


@pytest.fixture(params=["memory", "postgres"])
def open_nodes(request: pytest.FixtureRequest) -> OpenNodes:
    """Open a store of each kind for two servers, who serve it at the same time."""
    if request.param == "memory":
        return _open_memory_of_nodes
    dsn: str = request.getfixturevalue("database_url")

    @asynccontextmanager
    async def open_postgres() -> AsyncIterator[tuple[AnyStore, AnyStore]]:
        async with (
            PostgresStore.open(dsn, node="a") as one,
            PostgresStore.open(dsn, node="b") as two,
        ):
            yield one, two

    return open_postgres


@pytest.fixture
async def nodes(open_nodes: OpenNodes) -> AsyncIterator[tuple[AnyStore, AnyStore]]:
    """The same retreats as two servers reach them."""
    async with open_nodes() as stores:
        yield stores


@pytest.fixture
async def desks(nodes: tuple[AnyStore, AnyStore]) -> tuple[Desk, Desk]:
    """A desk at each of two servers, for the small retreat."""
    one, two = nodes
    return await Desk.of(one), await Desk.of(two, first_id=1_000)


@pytest.fixture
async def desk(store: AnyStore) -> Desk:
    """A desk for the small retreat."""
    return await Desk.of(store)


@pytest.fixture
async def postgres(database_url: str) -> AsyncIterator[PostgresStore]:
    """An open store on a fresh database."""
    async with PostgresStore.open(database_url) as store:
        yield store


@pytest.fixture
async def outside(database_url: str) -> AsyncIterator[DbConnection]:
    """A connection beside the store, for what other programs may do to the database."""
    connection = await connect(database_url, deadline=trio.current_time() + 10)
    try:
        yield connection
    finally:
        connection.terminate()


@pytest.fixture(scope="session")
def stopped_cluster() -> Iterator[Path]:
    """The folder of an embedded PostgreSQL that has run and has been stopped: to be copied."""

    async def run_once(base: Path) -> None:
        async with EmbeddedPostgres(base).running():
            pass

    with public_temporary_folder() as folder:
        trio.run(run_once, folder / "postgres")
        yield folder / "postgres"


@pytest.fixture
def parent() -> Iterator[Path]:
    """A folder that every account may pass."""
    with public_temporary_folder() as folder:
        yield folder


@pytest.fixture
def empty_base(parent: Path) -> Path:
    """Where an embedded PostgreSQL may put its folder."""
    return parent / "embedded"


@pytest.fixture
def base(empty_base: Path, stopped_cluster: Path) -> Path:
    """A folder that an embedded PostgreSQL has been in before."""
    copy_folder(stopped_cluster, empty_base)
    return empty_base
