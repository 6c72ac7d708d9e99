"""A database that would lose what it confirms is refused, and so is a useless one."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

import pytest
import trio

from gbs_actor.store.embedded.server import EmbeddedPostgres
from gbs_actor.store.postgres.safety import UnsafeDatabase
from gbs_actor.store.postgres.store import PostgresStore
from gbs_actor.store.protocol import StoreUnavailable
from tests.store.fixtures import PostgresCluster


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("synchronous_commit = off", "synchronous_commit = off"),
        ("default_transaction_read_only = on", "read-only"),
    ],
)
def test_an_unsafe_setting_is_refused(
    postgres_cluster: PostgresCluster, database_url: str, setting: str, message: str
) -> None:
    database = urlsplit(database_url).path.removeprefix("/")
    postgres_cluster.run_sql(f"ALTER DATABASE {database} SET {setting}")
    _assert_refused(database_url, message)


def test_a_database_in_another_encoding_is_refused(postgres_cluster: PostgresCluster) -> None:
    postgres_cluster.run_sql(
        "CREATE DATABASE latin TEMPLATE template0 ENCODING 'LATIN1' LOCALE_PROVIDER libc LOCALE 'C'"
    )
    try:
        _assert_refused(postgres_cluster.dsn("latin"), "LATIN1")
    finally:
        postgres_cluster.run_sql("DROP DATABASE latin WITH (FORCE)")


def _assert_refused(dsn: str, message: str) -> None:
    async def open_store() -> None:
        async with PostgresStore.open(dsn, migrating=True):
            pass

    with pytest.raises(UnsafeDatabase, match=message):
        trio.run(open_store)


async def test_a_standby_is_refused(base: Path) -> None:
    # A standby without a primary: it replays the write-ahead log that it has.
    (base / "pgdata" / "standby.signal").touch()
    async with EmbeddedPostgres(base).running() as dsn:
        with pytest.raises(StoreUnavailable, match="it is a standby; name the primary"):
            async with PostgresStore.open(dsn):
                pass
