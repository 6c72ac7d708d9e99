"""Fixtures for the tests of every part."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
import structlog
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


@pytest.fixture
def logging_as_it_was() -> Iterator[None]:
    """Restore the logging of the process behind a test that configures it."""
    root = logging.getLogger()
    handlers, level, config = root.handlers[:], root.level, structlog.get_config()
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(False)
    structlog.configure(**config)
