"""Fixtures for the tests of every part."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import settings

from tests.store.fixtures import PostgresCluster

# How long an example takes depends on what else the machine does.
settings.register_profile("tests", deadline=None)
settings.load_profile("tests")


@pytest.fixture(scope="session")
def postgres_cluster() -> Iterator[PostgresCluster]:
    """A PostgreSQL server for the whole run; started by the first test that asks."""
    with PostgresCluster() as cluster:
        yield cluster


@pytest.fixture
def database_url(postgres_cluster: PostgresCluster) -> Iterator[str]:
    """A fresh, migrated database of one test."""
    with postgres_cluster.fresh_database() as dsn:
        yield dsn
