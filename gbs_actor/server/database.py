"""Opens the database of the server: the one in the settings, or an embedded one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from gbs_actor.bus import Bus
from gbs_actor.bus.opening import open_bus
from gbs_actor.settings import Settings
from gbs_actor.store.embedded.server import EmbeddedPostgres
from gbs_actor.store.postgres.adoption import Plan
from gbs_actor.store.postgres.migrate import Migration
from gbs_actor.store.postgres.store import PostgresStore


@asynccontextmanager
async def open_store(settings: Settings, *, migrating: bool) -> AsyncIterator[PostgresStore]:
    """Open the store within the block, with an embedded PostgreSQL if no database is set.

    :param migrating: bring the schema of a database from the settings up to date. The
        embedded one is always brought up to date.
    :raises StoreError: the database cannot be used; the text is one sentence.
    """
    url = settings.store.database_url
    if url is not None:
        async with _opened(url.get_secret_value(), settings, migrating=migrating) as store:
            yield store
        return
    embedded = EmbeddedPostgres(settings.store.data_dir)
    async with (
        embedded.running() as dsn,
        _opened(dsn, settings, migrating=True) as store,
    ):
        yield store


async def migrate_database(settings: Settings, *, wait: float) -> Sequence[Migration]:
    """Bring the schema up to date, beside servers that it is compatible with.

    :param wait: seconds to wait, in all, for other programs to release their locks.
    :returns: what was applied.
    :raises StoreError: it cannot be done; the text is one sentence.
    """
    url = settings.store.database_url
    if url is not None:
        return await _migrated(url.get_secret_value(), settings, wait)
    async with EmbeddedPostgres(settings.store.data_dir).running() as dsn:
        return await _migrated(dsn, settings, wait)


async def adopt_database(
    settings: Settings, *, role: str | None, apply: bool, wait: float
) -> Plan | None:
    """Return what the database of the settings lacks; add it if asked to.

    :param role: the user of the servers; ``None``: that of the settings.
    :param wait: seconds to wait, in all, for other programs to release their locks.
    :returns: ``None``: the settings name no database.
    :raises StoreError: it cannot be done; the text is one sentence.
    """
    if (url := settings.store.database_url) is None:
        return None
    dsn = url.get_secret_value()
    return await settings.build(PostgresStore.adopt, dsn, role=role, apply=apply, wait=wait)


def bus_between_nodes(settings: Settings, store: PostgresStore) -> Bus | None:
    """Return the bus to the other nodes on a store; ``None``: this is the only server.

    :raises SettingsError: a package is missing.
    """
    node, url = settings.store.node, settings.store.database_url
    if node is None or url is None:
        return None
    return open_bus(
        settings.bus,
        node=node,
        dsn=url.get_secret_value(),
        database=store.identity,
        may_send=lambda: not store.name_taken,
    )


async def _migrated(dsn: str, settings: Settings, wait: float) -> Sequence[Migration]:
    return await settings.build(PostgresStore.migrate, dsn, wait=wait)


@asynccontextmanager
async def _opened(dsn: str, settings: Settings, *, migrating: bool) -> AsyncIterator[PostgresStore]:
    async with settings.build(PostgresStore.open, dsn, migrating=migrating) as store:
        yield store
